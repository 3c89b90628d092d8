"""What a report is made of: values (`gather`), scores (`tables`), figures (`maps`, `charts`), `sections`, `page`."""
