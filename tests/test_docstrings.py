"""Every example in a docstring runs, and every public name is described as numpydoc wants it."""

from __future__ import annotations

import dataclasses
import doctest
import importlib
import inspect
import pkgutil
import re
import warnings
from pathlib import Path

import pytest

import xsm

PACKAGES = (
    "xsm", "xsm_smap", "xsm_nldas", "xsm_era5", "xsm_gldas", "xsm_solus100", "xsm_insitu", "xsm_modis", "xsm_cru",
    "xsm_convlstm",
)  # fmt: skip
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def modules():
    for name in PACKAGES:
        package = pytest.importorskip(name) if name == "xsm" else importlib.import_module(name)
        yield name
        yield from (m.name for m in pkgutil.walk_packages(package.__path__, f"{name}.") if "__main__" not in m.name)


def examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    for name in modules():
        for test in finder.find(importlib.import_module(name)):
            if test.examples:
                yield test


EXAMPLES = list(examples())


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda test: test.name)
def test_example_of_a_docstring_runs(example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    output = []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*synthetic.*")
        runner.run(example, out=output.append, clear_globs=False)
    assert runner.summarize(verbose=False).failed == 0, "".join(output)


PUBLIC = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module in (xsm, xsm.plugin_api)
    for name in module.__all__
    if callable(getattr(module, name)) and name not in ("hookimpl", "Progress")
}


def has(text, section):
    return f"\n{section}\n{'-' * len(section)}\n" in text


@pytest.mark.parametrize("thing", PUBLIC.values(), ids=PUBLIC)
def test_public_name_is_described(thing):
    text = inspect.getdoc(thing) or ""
    if isinstance(thing, type):
        names = [f.name for f in dataclasses.fields(thing)] if dataclasses.is_dataclass(thing) else []
        sections = ["Examples"] if not (issubclass(thing, Exception) or getattr(thing, "_is_protocol", False)) else []
    else:
        names = list(inspect.signature(thing).parameters)
        sections = ["Returns", "Examples", *["Raises"] * hasattr(thing, "operation")]
    assert not [s for s in (*["Parameters"] * bool(names), *sections) if not has(text, s)]
    described = text.partition("\nParameters\n")[2].partition("\nReturns\n")[0]
    listed = re.findall(r"^\*{0,2}(\w[\w, *]*?)(?: : .*)?$", described, re.M)
    assert not set(names) - {n.strip(" *") for entry in listed for n in entry.split(",")}


def test_helpers_for_tests_of_plugins_have_an_example():
    assert [n for n in xsm.testing.__all__ if not has(inspect.getdoc(getattr(xsm.testing, n)), "Examples")] == []


def test_every_public_name_is_in_the_reference():
    page = Path(__file__).parents[1] / "docs/reference/api.md"
    if not page.exists():
        pytest.skip("needs a checkout of the repository")
    listed = set(re.findall(r"\bxsm\.(?:plugin_api\.)?(\w+)\b", page.read_text(encoding="utf-8")))
    assert not {*xsm.__all__, *xsm.plugin_api.__all__} - {"__version__"} - listed
