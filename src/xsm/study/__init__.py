"""A study in one file: its stages, what is done before, what it will cost."""
