"""The tasks that a model is trained for, and which arguments of `xsm.fit` each of them takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import xarray as xr

from xsm.contracts.bundle import Bundle
from xsm.errors import UsageError
from xsm.learning.fitting_estimate import fit_estimate
from xsm.learning.fitting_fuse import fit_fuse
from xsm.learning.fitting_gapfill import fit_gapfill

TASKS: dict[str, Callable[..., Bundle]] = {"estimate": fit_estimate, "gapfill": fit_gapfill, "fuse": fit_fuse}
"""The function of each task; its keyword arguments are those that belong to the task."""


def arguments_of(task: str) -> tuple[str, ...]:
    """Names of the arguments that belong to a task, without the options of its model.

    Examples
    --------
    >>> arguments_of("gapfill")
    ('model', 'train', 'variables', 'covariates', 'allow_target_leak', 'seed')
    """
    return tuple(n for n in inspect.signature(TASKS[task]).parameters if n not in ("ds", "options"))


def fit_task(
    task: str, ds: xr.Dataset, arguments: Mapping[str, Any], defaults: Mapping[str, Any], options: Mapping[str, Any]
) -> Bundle:
    """Train a model for a task; an argument that is not its own and not at its default is refused."""
    names = [n for n in arguments if n in arguments_of(task)]
    for name, value in arguments.items():
        if name not in names and _differ(value, defaults[name]):
            owner = next(t for t in TASKS if name in arguments_of(t))
            raise UsageError(
                f"'{name}' belongs to task='{owner}'; task='{task}' takes {', '.join(names)}.",
                hint=f"Leave it out, or choose <task={owner}>.",
            )
    return TASKS[task](ds, **{n: arguments[n] for n in names}, options=options)


def _differ(value: Any, default: Any) -> bool:
    return value is not None if default is None else bool(value != default)
