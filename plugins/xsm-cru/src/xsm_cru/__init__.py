"""Continuous recurrent units: gap filling with a spread, as a plugin of xsm."""

from __future__ import annotations

from collections.abc import Callable

from xsm.plugin_api import ModelInfo, hookimpl

XSM_PLUGIN_API = 2


@hookimpl
def xsm_models(register: Callable[[ModelInfo], None]) -> None:
    """Register the model ``cru``."""
    from xsm_cru.config import OPTIONS

    register(
        ModelInfo(
            name="cru",
            title="Continuous recurrent unit",
            task="gapfill",
            factory="xsm_cru.model:CRU",
            options=OPTIONS,
            requires=("torch",),
        )
    )
