"""xsm-fuse: the regression that `xsm.fuse` learns its three steps with, as a model plugin of xsm."""

from __future__ import annotations

from collections.abc import Callable

from xsm.plugin_api import Kind, ModelInfo, Param, hookimpl

XSM_PLUGIN_API = 2

INFO = ModelInfo(
    name="trees",
    title="Gradient-boosted trees of the fusion",
    task="fuse",
    factory="xsm_fuse.model:Trees",
    options=(
        Param("Trees in the ensemble.", "trees", kind=Kind.INTEGER, default=200, minimum=1),
        Param("Step size.", "learning_rate", kind=Kind.NUMBER, default=0.06, minimum=1e-4, maximum=1.0),
        Param("Leaves of a tree.", "leaves", kind=Kind.INTEGER, default=31, minimum=2),
        Param("Least values in a leaf.", "leaf_size", kind=Kind.INTEGER, default=100, minimum=1),
        Param(
            "Most values (days times cells) to learn from.",
            "samples",
            kind=Kind.INTEGER,
            default=150_000,
            minimum=1000,
        ),
    ),
    requires=("lightgbm",),
)


@hookimpl
def xsm_models(register: Callable[[ModelInfo], None]) -> None:
    """Register the model ``trees``."""
    register(INFO)
