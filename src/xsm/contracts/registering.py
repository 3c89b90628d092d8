"""What a plugin may register: hooks that are spelt and marked, descriptions of the right kind, names that are free."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, version
from types import ModuleType
from typing import Any

from xsm.contracts import hookspecs
from xsm.contracts.model import ModelInfo
from xsm.contracts.operation import Operation
from xsm.contracts.source import SourceInfo
from xsm.errors import UsageError, unknown

HOOKS = {"xsm_sources": "sources", "xsm_models": "models", "xsm_operations": "operations"}
DESCRIPTIONS: dict[str, Any] = {"sources": SourceInfo, "models": ModelInfo, "operations": Operation}
TOOLS = (
    "demo", "doctor", "init", "inspect", "models", "operations", "ops", "plugins", "qgis", "run", "sources", "status",
    "twin", "update", "view", "watch",
)  # fmt: skip
"""Commands that are no operations; no operation may have their names."""
SLOW = 1.0
"""Seconds of computing after which the import of a plugin counts as slow."""


def check_hooks(module: ModuleType) -> None:
    """Stop at a function ``xsm_...`` that is no hook, or that is not marked as one."""
    for name, function in vars(module).items():
        if not name.startswith("xsm_") or not inspect.isfunction(function) or function.__module__ != module.__name__:
            continue
        where = f"{function.__code__.co_filename}, line {function.__code__.co_firstlineno}"
        if name not in HOOKS:
            error = unknown("hook", name, HOOKS)
            raise UsageError(f"{error.message.rstrip('.')} ({where}).", hint=error.hint)
        if not hasattr(function, f"{hookspecs.hookimpl.project_name}_impl"):
            raise UsageError(f"{name} lacks @hookimpl ({where}).", hint="Write @hookimpl above it.")


def check_description(item: Any, kind: str) -> str:
    """Stop where an item is no description of a kind, or has a name that cannot be one; returns its name."""
    expected = DESCRIPTIONS[kind]
    if not isinstance(item, expected):
        got = item.__name__ if inspect.isclass(item) or inspect.isfunction(item) else f"a {type(item).__name__}"
        hint = (
            "Register f.operation of a decorated function f."
            if kind == "operations"
            else f"Make an {expected.__name__}."
        )
        raise UsageError(f"register got {got}, expected {expected.__name__}.", hint=hint)
    name = item.id if isinstance(item, Operation) else item.name
    one = kind[:-1]
    if not isinstance(name, str) or not name.isidentifier() or name != name.lower():
        raise UsageError(
            f"The {one} '{name}' has a name that cannot be one, expected lower-case letters, digits and underscores.",
            hint="Choose another name.",
        )
    if kind == "operations" and name in TOOLS:
        raise UsageError(f"The operation '{name}' has the name of a tool of xsm.", hint="Choose another name.")
    if kind != "operations" and (not isinstance(item.factory, str) or ":" not in item.factory):
        raise UsageError(
            f"The {one} '{name}' has the factory '{item.factory}', expected a text 'module:Class'.",
            hint="The module is imported on first use.",
        )
    for field in ("variables", "requires"):
        values = getattr(item, field, ())
        if isinstance(values, str) or not all(isinstance(v, str) for v in values):
            raise UsageError(
                f"The {one} '{name}' has {field}={values!r}, expected a tuple of texts.",
                hint=f"Write {field}=({values!r},)." if isinstance(values, str) else "",
            )
    return name


def unmet(dist: Distribution | None) -> list[str]:
    """Requirements of a distribution that this environment does not meet, with the version that it has."""
    from packaging.requirements import InvalidRequirement, Requirement

    lines = []
    for text in (dist.requires if dist else None) or ():
        try:
            need = Requirement(text)
            if need.marker and not need.marker.evaluate({"extra": ""}):
                continue
            got = version(need.name)
        except InvalidRequirement:
            continue
        except PackageNotFoundError:
            lines.append(f"{need.name} (not installed)")
        else:
            if not need.specifier.contains(got, prereleases=True):
                lines.append(f"{need} (version {got} is installed)")
    return lines


def remarks(module: ModuleType, seconds: float, new: set[str], dist: Distribution | None) -> Iterator[str]:
    """What its author should know of a plugin that was imported."""
    if not hasattr(module, "XSM_PLUGIN_API"):
        number = hookspecs.PLUGIN_API
        yield f"names no XSM_PLUGIN_API, {number} is assumed: write XSM_PLUGIN_API = {number} in {module.__file__}"
    if missing := unmet(dist):
        yield f"needs {', '.join(missing)}"
    if seconds > SLOW:
        counts: dict[str, int] = {}
        for name in new & set(sys.modules):
            counts[name.split(".")[0]] = counts.get(name.split(".")[0], 0) + 1
        package = module.__name__.split(".")[0]
        heavy = sorted(counts.keys() - {package, "xsm"}, key=lambda n: -counts[n])[:3]
        yield (f"takes {seconds:.1f} s to import{' (' + ', '.join(heavy) + ')' if heavy else ''}: import what is heavy "
               f"in the module of the factory, not in {module.__file__}")  # fmt: skip
