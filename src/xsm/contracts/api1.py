"""Run plugins written for plugin API 1, until the next minor release: their sources take six arguments, not a request.

Their models and operations are as today's; what they import from the root of `xsm` comes with a `FutureWarning`.
"""

from __future__ import annotations

import functools
import inspect
from types import SimpleNamespace
from typing import Any

import xarray as xr

from xsm.contracts.source import DataSource, Request
from xsm.errors import tell as tell_today

API = 1
REASON = "written for plugin API 1, runs through an adapter until the next minor release"
OPTIONAL = ("fetch", "write")


def is_written_for(source: Any) -> bool:
    """Whether a source takes six arguments in place of a request, whatever API number its plugin names."""
    return len(inspect.signature(source.open).parameters) > 1


def adapt(source: Any) -> DataSource:
    """Return a source of API 1 as one of today's."""
    optional = {name: getattr(source, name) for name in OPTIONAL if hasattr(source, name)}
    adapted: Any = SimpleNamespace(
        info=source.info, identify=source.identify, open=functools.partial(_open, source), **optional
    )
    return adapted


def tell(warning: Warning | str, stacklevel: int = 1) -> None:
    """Warn as `xsm.plugin_api.tell` does, which finds the user's line without ``stacklevel``."""
    tell_today(warning)


def _open(source: Any, request: Request) -> xr.Dataset:
    defaults = {param.name: param.default for param in source.info.options}
    return source.open(
        list(request.paths),
        region=request.region,
        time=request.time,
        variables=None if request.variables is None else list(request.variables),
        on_error=request.on_error,
        **{name: value for name, value in request.options.items() if value != defaults[name]},
    )
