"""What per-cell models share: their options, and learning a target's departure from a map of its mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from xsm.contracts.model import ModelInfo, Spec
from xsm.contracts.operation import Kind, Param
from xsm.errors import UsageError

CENTRE_AND_SCALE = (
    Param(
        "Static predictor with the mean of the target in each cell; the model learns departures from it.",
        "centre",
        kind=Kind.STRING,
    ),
    Param("Static predictor with the spread of the target in each cell.", "scale", kind=Kind.STRING),
)
"""Options ``centre`` and ``scale``, for the description of a model that uses `centre_and_scale`."""


def series_settings(info: ModelInfo, spec: Spec) -> dict[str, Any]:
    """All options of a per-cell model: the user's, else the defaults.

    Parameters
    ----------
    info : ModelInfo
        Description of the model, `CENTRE_AND_SCALE` among its options.
    spec : Spec
        What the model is to learn.

    Returns
    -------
    dict

    Raises
    ------
    UsageError
        Where ``centre`` or ``scale`` is not a static predictor.

    Examples
    --------
    >>> info = ModelInfo("mean", "Mean", "estimate", "xsm_mean.model:Mean", CENTRE_AND_SCALE)
    >>> spec = Spec("estimate", ("rain",), ("sm_5cm",), ("usual",), ("sm",), options={"centre": "usual"})
    >>> series_settings(info, spec)
    {'centre': 'usual', 'scale': None}
    """
    options = {p.name: p.default for p in info.options} | {k: v for k, v in spec.options.items() if v is not None}
    for name in ("centre", "scale"):
        if options[name] and options[name] not in spec.statics:
            raise UsageError(
                f"{name} is '{options[name]}', expected one of the static predictors ({', '.join(spec.statics)}).",
                hint="Add it to <predictors=>.",
            )
    return options


def centre_and_scale(arrays: Mapping[str, np.ndarray], options: Mapping[str, Any]) -> tuple[Any, Any]:
    """What learnt departures are added to and multiplied by: maps among the arrays, else 0 and 1.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Static predictors ``(cell,)`` by name.
    options : mapping
        From `series_settings`.

    Returns
    -------
    centre, scale : ndarray or numpy.float32

    Examples
    --------
    >>> centre_and_scale({"usual": np.array([0.2, 0.3])}, {"centre": "usual", "scale": None})[0]
    array([0.2, 0.3])
    """
    centre, scale = options["centre"], options["scale"]
    return arrays[centre] if centre else np.float32(0), arrays[scale] if scale else np.float32(1)
