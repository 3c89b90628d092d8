"""Downloads: listings and manifests, logins, transfers that resume."""
