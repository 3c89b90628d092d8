"""What plugins implement and what every face is made from: operations, sources, models, bundles, and their registry."""
