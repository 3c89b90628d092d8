"""Names of a package that load on first use, and aliases of names that moved."""

from __future__ import annotations

import difflib
import importlib
import warnings
from collections.abc import Mapping
from typing import Any


def by_name(names: Mapping[str, str]) -> dict[str, str]:
    """Home of each name, from the names of each module, separated by spaces."""
    return {name: home for home, text in names.items() for name in text.split()}


def load(package: str, homes: Mapping[str, str], name: str) -> Any:
    """Import a name of a package from the module that defines it; an unknown name suggests the nearest one."""
    if name not in homes:
        near = difflib.get_close_matches(name, homes, n=1)
        guess = f" Did you mean '{near[0]}'?" if near else ""
        raise AttributeError(f"module '{package}' has no attribute '{name}'.{guess}", name=name)  # no second guess
    return getattr(importlib.import_module(homes[name]), name)


def moved(home: str, name: str, module: str = "") -> Any:
    """Return a name from its new home, or an alias of it from a module, and warn the line that uses the old home."""
    text = f"xsm.{name} is now {home}.{name}; the old name will be removed in the next minor release."
    warnings.warn(text, FutureWarning, stacklevel=3)
    return getattr(importlib.import_module(module or home), name)
