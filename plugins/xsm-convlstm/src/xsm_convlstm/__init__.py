"""xsm-convlstm: the attention ConvLSTM of Rabiei et al. (2024) as a model plugin of xsm."""

from __future__ import annotations

from collections.abc import Callable

from xsm.plugin_api import ModelInfo, hookimpl

XSM_PLUGIN_API = 2


@hookimpl
def xsm_models(register: Callable[[ModelInfo], None]) -> None:
    """Register the model ``convlstm``."""
    from xsm_convlstm.config import INFO

    register(INFO)
