"""xsm-lstm: a per-cell LSTM over a long look-back with static inputs as a model plugin of xsm."""

from __future__ import annotations

from collections.abc import Callable

from xsm.plugin_api import CENTRE_AND_SCALE, Kind, ModelInfo, Param, hookimpl

XSM_PLUGIN_API = 2

INFO = ModelInfo(
    name="lstm",
    title="Per-cell LSTM over a long look-back",
    task="estimate",
    factory="xsm_lstm.model:LSTM",
    options=(
        Param("Days of a training sequence.", "look_back", kind=Kind.INTEGER, default=365, minimum=2),
        Param("Units of the hidden state.", "hidden", kind=Kind.INTEGER, default=128, minimum=1, maximum=4096),
        Param("Dropout of features.", "dropout", kind=Kind.NUMBER, default=0.2, minimum=0.0, maximum=0.9),
        Param("Dropout of weights.", "weight_dropout", kind=Kind.NUMBER, default=0.1, minimum=0.0, maximum=0.9),
        Param("Most epochs to train.", "epochs", kind=Kind.INTEGER, default=60, minimum=1),
        Param(
            "Epochs without improvement before training stops.", "patience", kind=Kind.INTEGER, default=10, minimum=1
        ),
        Param("Cells in a batch.", "batch_size", kind=Kind.INTEGER, default=100, minimum=1),
        Param("Most cells to learn from.", "cells", kind=Kind.INTEGER, default=4000, minimum=1),
        Param("Largest step size of Adam.", "learning_rate", kind=Kind.NUMBER, default=3e-3, minimum=1e-6, maximum=1.0),
        Param(
            "Networks with seeds of their own that are averaged.", "members", kind=Kind.INTEGER, default=1, minimum=1
        ),
        *CENTRE_AND_SCALE,
    ),
    requires=("torch",),
    look_back=365,
)


@hookimpl
def xsm_models(register: Callable[[ModelInfo], None]) -> None:
    """Register the model ``lstm``."""
    register(INFO)
