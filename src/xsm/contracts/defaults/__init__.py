"""Plugins that come with the core: a tiny source and two baseline models."""
