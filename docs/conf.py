"""Sphinx configuration; `make docs` builds with warnings as errors and executes the examples."""

from importlib.metadata import version as installed

project = "xsm"
author = copyright = "xsm developers"
version = release = installed("xsm")

extensions = ["myst_nb", "sphinx_design"]
exclude_patterns = ["_build", "jupyter_execute"]

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "auto"
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_merge_streams = True

html_theme = "pydata_sphinx_theme"
html_title = f"xsm {release}"
html_static_path = ["_static"]
html_theme_options = {"show_prev_next": False, "secondary_sidebar_items": ["page-toc"]}
