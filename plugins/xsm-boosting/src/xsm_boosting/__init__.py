"""xsm-boosting: gradient-boosted trees on predictors and their running means as a model plugin of xsm."""

from __future__ import annotations

from collections.abc import Callable

from xsm.plugin_api import CENTRE_AND_SCALE, Kind, ModelInfo, Param, hookimpl

XSM_PLUGIN_API = 2

INFO = ModelInfo(
    name="boosting",
    title="Gradient-boosted trees on the weather of the last weeks",
    task="estimate",
    factory="xsm_boosting.model:Boosting",
    options=(
        Param(
            "Days before each period that running means need.", "look_back", kind=Kind.INTEGER, default=100, minimum=1
        ),
        Param(
            "Earlier days that are predictors themselves.", "lags", kind=Kind.INTEGER, default=1, minimum=0, maximum=30
        ),
        Param(
            "Time scales of the running means in days.",
            "memories",
            kind=Kind.STRINGS,
            default=("1.5", "3", "6", "12", "25", "50", "100"),
        ),
        Param(
            "Ensembles with seeds of their own that are averaged.", "members", kind=Kind.INTEGER, default=1, minimum=1
        ),
        Param("Most trees in an ensemble.", "trees", kind=Kind.INTEGER, default=1000, minimum=1),
        Param("Step size.", "learning_rate", kind=Kind.NUMBER, default=0.04, minimum=1e-4, maximum=1.0),
        Param("Leaves of a tree.", "leaves", kind=Kind.INTEGER, default=127, minimum=2),
        Param("Least values in a leaf.", "leaf_size", kind=Kind.INTEGER, default=20, minimum=1),
        Param(
            "Most values (days times cells) to learn from.",
            "samples",
            kind=Kind.INTEGER,
            default=1_000_000,
            minimum=1000,
        ),
        Param(
            "Learn for places without values: departures from a cell's mean in units of its spread. The mean follows "
            "from centre, the spread is in proportion to scale; without them both follow from all maps.",
            "places",
            kind=Kind.BOOLEAN,
            default=False,
        ),
        *CENTRE_AND_SCALE,
    ),
    requires=("lightgbm",),
    look_back=100,
)


@hookimpl
def xsm_models(register: Callable[[ModelInfo], None]) -> None:
    """Register the model ``boosting``."""
    register(INFO)
