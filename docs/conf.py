"""Sphinx configuration; `make docs` builds with warnings as errors and executes the examples."""

import inspect
import os
import re
from importlib.metadata import version as installed
from pathlib import Path

project = "xsm"
author = copyright = "xsm developers"
version = release = installed("xsm")

extensions = ["myst_nb", "sphinx_design", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "jupyter_execute", "examples"]
default_role = "py:obj"

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "auto"
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_merge_streams = True
# xsm contains no real data: without them, the page that needs them shows its code only.
nb_execution_excludepatterns = [] if os.environ.get("XSM_TEST_DATA") else ["gallery/western_australia*"]

autodoc_typehints = "none"
autosummary_generate = True
autosummary_imported_members = True
napoleon_google_docstring = False
napoleon_use_rtype = False

html_theme = "pydata_sphinx_theme"
html_title = f"xsm {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_sidebars = {
    page: [] for page in ("start", "concepts", "glossary", "method", "results", "twin", "reliability", "security")
}
html_theme_options = {
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "header_links_before_dropdown": 7,
    "navbar_align": "left",
}

ANSI = re.compile(r"\x1b\[[0-9;]*m")


def write_reference(app):
    """Write the pages that are generated from the descriptions of operations, commands and variables."""
    folder = Path(app.srcdir) / "reference"
    pages = {"commands.md": commands(), "accessor.md": accessor(), "variables.md": variables()}
    for name, text in pages.items():
        page = folder / name
        if not page.exists() or page.read_text(encoding="utf-8") != text:
            page.write_text(text, encoding="utf-8")


def commands():
    """One section for each command, with its help."""
    import click
    from click.testing import CliRunner

    from xsm.faces import tools
    from xsm.faces.cli import cli

    tools.add_to(cli)
    context = click.Context(cli)
    parts = ["# All commands\n\nGenerated from the descriptions of the operations.\n"]

    def show(command, *name):
        help_text = CliRunner().invoke(cli, [*name, "--help"], prog_name="xsm", env={"COLUMNS": "100"}).output
        parts.append(f"## xsm {' '.join(name)}\n\n```text\n{ANSI.sub('', help_text).strip()}\n```\n")
        for sub in getattr(command, "commands", {}):
            show(command.commands[sub], *name, sub)

    for name in cli.list_commands(context):
        show(cli.get_command(context, name), name)
    return "\n".join(parts)


def accessor():
    """The methods of ``ds.sm`` as a table and in full."""
    from xsm.contracts.registry import builtin
    from xsm.faces.accessor import DatasetAccessor

    methods = [op for op in builtin().values() if op.accessor]
    rows = "\n".join(f"| {{py:meth}}`~xsm.faces.accessor.DatasetAccessor.{op.id}` | {op.summary} |" for op in methods)
    names = "\n".join(f".. automethod:: xsm.faces.accessor.DatasetAccessor.{op.id}" for op in methods)
    about = inspect.getdoc(DatasetAccessor).split("\n\nExamples")[0].replace("``", "`")
    return (
        f"# ds.sm\n\n{about}\n\nOn a DataArray the same methods work; if the result has that variable, it is a "
        "DataArray again. Operations of plugins are methods too.\n\n"
        f"| method | |\n| --- | --- |\n{rows}\n\n"
        f"```{{eval-rst}}\n{names}\n```\n"
    )


def variables():
    """Canonical names with units and ranges."""
    from xsm.data.cf import VARIABLES

    rows = "\n".join(
        f"| `{name}` | {v.long_name} | {v.units or v.kind} | "
        f"{f'{v.low:g} to {v.high:g}' if v.kind == 'continuous' and v.high < 1e9 else ''} |"
        for name, v in VARIABLES.items()
    )
    return (
        "# Variables\n\nCanonical names, units and physical ranges; values outside are refused or clipped.\n\n"
        f"| name | what | units | range |\n| --- | --- | --- | --- |\n{rows}\n"
    )


def offer_notebook(app, page, source):
    """End a page of the gallery with a link to it as a notebook, with the results of its cells."""
    folder, _, name = page.rpartition("/")
    if folder == "gallery" and "{code-cell}" in source[0]:
        source[0] += f"\n\n{{nb-download}}`Download this page as a notebook <{name}.ipynb>`\n"


def setup(app):
    """Write the generated pages before the sources are read, and link the notebooks."""
    app.connect("builder-inited", write_reference, priority=100)
    app.connect("source-read", offer_notebook)
