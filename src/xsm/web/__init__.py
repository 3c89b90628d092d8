"""Downloads: catalogues, manifests, credentials, transfers that resume."""
