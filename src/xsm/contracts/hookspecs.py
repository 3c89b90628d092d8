"""The three hooks of xsm. A plugin calls ``register`` with descriptions; its heavy modules load on first use."""

from __future__ import annotations

from collections.abc import Callable

import pluggy

from xsm.contracts.model import ModelInfo
from xsm.contracts.operation import Operation
from xsm.contracts.source import SourceInfo

PLUGIN_API = 2

hookspec = pluggy.HookspecMarker("xsm")
hookimpl = pluggy.HookimplMarker("xsm")


@hookspec
def xsm_sources(register: Callable[[SourceInfo], None]) -> None:
    """Register data sources: call ``register(SourceInfo(...))`` once for each."""


@hookspec
def xsm_models(register: Callable[[ModelInfo], None]) -> None:
    """Register models: call ``register(ModelInfo(...))`` once for each."""


@hookspec
def xsm_operations(register: Callable[[Operation], None]) -> None:
    """Register operations: call ``register(f.operation)`` for functions decorated with `xsm.plugin_api.operation`."""
