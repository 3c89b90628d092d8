"""The version of xsm, of its plugins, and of the files that carry it."""

__version__ = "0.1.0"
