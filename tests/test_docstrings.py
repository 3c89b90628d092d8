"""Every example in a docstring runs, and every public name is described as numpydoc wants it."""

from __future__ import annotations

import dataclasses
import doctest
import importlib
import inspect
import pkgutil
import re
import warnings

import pytest

import xsm

PACKAGES = ("xsm", "xsm_smap", "xsm_nldas", "xsm_solus100", "xsm_insitu", "xsm_modis", "xsm_cru", "xsm_convlstm")
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
    told = []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*synthetic.*")
        runner.run(example, out=told.append, clear_globs=False)
    assert runner.summarize(verbose=False).failed == 0, "".join(told)
