"""The contract of models: a plugin registers a `ModelInfo` and implements a `Model`.

Models see numpy arrays only; the core cuts blocks, masks, batches and blends (`xsm.compute.patches` and `series`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from xsm.contracts.bundle import BUNDLE_FORMAT, Bundle, versions
from xsm.contracts.operation import Kind, Param

Task = Literal["gapfill", "estimate", "fuse"]
Progress = Callable[[float, str], None]
DRIEST, WETTEST = 0.02, 0.6
"""Limits of an estimate of soil moisture, m3 m-3; the upper one where the porosity is not known."""
MEMORY = Param(
    "Days of exponential filters that are predictors: of the retrieval where it is no reference, else of all series.",
    "memory",
    kind=Kind.STRINGS,
)
"""Option of every model that estimates; the core makes predictors of it, which a model gets like any others."""
_CLIPPED: ContextVar[list[np.ndarray] | None] = ContextVar("clipped", default=None)


@dataclass(frozen=True)
class Block:
    """The piece of data that a model takes in one call.

    Parameters
    ----------
    kind : {"series", "patch"}
        Series: arrays ``(time, cell)``, whole period, cells independent of each other. Patch: arrays
        ``(patch, time, y, x)``.
    size, stride : int
        Cells on a side of a patch, and from one patch to the next; outputs are blended where patches overlap.
    look_back : int
        Days that one day's output needs; the first ``look_back - 1`` days of a period are lead-in.

    Examples
    --------
    >>> Block("patch", size=64, stride=48, look_back=3).stride
    48
    """

    kind: Literal["series", "patch"]
    size: int = 0
    stride: int = 0
    look_back: int = 1


@dataclass(frozen=True)
class ModelInfo:
    """Description of a model, without its code.

    Parameters
    ----------
    name, title : str
        Name in ``fit`` and ``gapfill``, and one line for people.
    task : {"gapfill", "estimate", "fuse"}
        What it does.
    factory : str
        ``"module:Class"`` of the `Model`, imported on first use.
    options : tuple of Param
        Options of its ``fit``.
    requires : tuple of str
        Modules that must be importable.
    look_back : int
        Days that it needs for the estimate of one day, that day included; an option of the same name takes
        precedence. Training samples begin that much earlier than the days to learn from.
    presets : mapping of str to mapping
        By the value of an option ``preset``: what it sets of the options that the core reads, ``look_back`` and
        ``memory``.

    Examples
    --------
    >>> ModelInfo("mean", "Mean of the season", "gapfill", "xsm_mean.model:Mean").task
    'gapfill'
    """

    name: str
    title: str
    task: Task
    factory: str
    options: tuple[Param, ...] = ()
    requires: tuple[str, ...] = ()
    look_back: int = 1
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Spec:
    """What a model is to learn; everything here goes into the bundle's card.

    Parameters
    ----------
    task : {"gapfill", "estimate", "fuse"}
        What the model is for.
    inputs, statics : tuple of str
        Predictors with and without ``time``, in the order of the network's channels; those that the core derives from
        others are named by their text, ``"memory(tb_h, 20)"``.
    targets : tuple of str
        Variables to fill or to estimate.
    references : tuple of str
        Variables to learn from; equal to ``targets`` for gap filling.
    units : mapping of str to str
        Unit of each variable.
    depth, scenario : int, optional
        Of an estimate (Table 2 of Rabiei et al. 2024).
    options : mapping
        The model's own, checked against ``ModelInfo.options``.

    Examples
    --------
    >>> Spec("gapfill", ("tb_h",), ("tb_h",), references=("tb_h",), units={"tb_h": "K"}).statics
    ()
    """

    task: Task
    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    statics: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)
    depth: int | None = None
    scenario: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


def make_card(spec: Spec, model: str, seed: int, *modules: str, **extra: Any) -> dict[str, Any]:
    """Make the card of a bundle from the specification of its training.

    Parameters
    ----------
    spec : Spec
        What the model has learnt.
    model : str
        Registered name of the model.
    seed : int
        Seed of the training.
    *modules : str
        Distributions whose versions matter beside xsm and numpy.
    **extra
        Further entries of the card, such as ``normalisation``, ``metrics``, ``limits``; JSON types only.

    Returns
    -------
    dict

    Examples
    --------
    >>> spec = Spec("gapfill", ("tb_h",), ("tb_h",), references=("tb_h",), units={"tb_h": "K"})
    >>> make_card(spec, "mean", 0, limits="no skill")["limits"]
    'no skill'
    """
    return {
        "format": BUNDLE_FORMAT, "task": spec.task, "model": model, "depth": spec.depth, "scenario": spec.scenario,
        "inputs": list(spec.inputs), "statics": list(spec.statics), "targets": list(spec.targets),
        "references": list(spec.references), "units": dict(spec.units), "options": dict(spec.options), "seed": seed,
        "versions": versions(*modules), **extra,
    }  # fmt: skip


def clip_moisture(values: np.ndarray, card: Mapping[str, Any], porosity: np.ndarray | float = WETTEST) -> np.ndarray:
    """Limit an estimate of soil moisture to between the driest soil and the porosity; other targets stay as they are.

    Parameters
    ----------
    values : ndarray
        Estimate of the first target of a bundle.
    card : mapping
        Card of the bundle; units of m3 m-3 mean soil moisture.
    porosity : ndarray or float
        Of the soil, of a shape that fits ``values``; 0.6 where it is not known (NaN).

    Returns
    -------
    ndarray

    Examples
    --------
    >>> card = {"targets": ["sm_5cm"], "units": {"sm_5cm": "m3 m-3"}}
    >>> clip_moisture(np.array([-0.1, 0.3, 0.9]), card, np.array([0.5, 0.5, np.nan])).tolist()
    [0.02, 0.3, 0.6]
    """
    if card["units"].get(card["targets"][0], "m3 m-3") != "m3 m-3":
        return values
    wettest = np.where(np.isfinite(porosity), porosity, WETTEST).clip(DRIEST)
    clipped = np.clip(values, DRIEST, wettest.astype(values.dtype))
    if (masks := _CLIPPED.get()) is not None:
        masks.append((clipped != values) & np.isfinite(values))
    return clipped


@contextmanager
def clips() -> Iterator[list[np.ndarray]]:
    """Collect where `clip_moisture` changes values inside the body, one array of bool for each call."""
    masks: list[np.ndarray] = []
    token = _CLIPPED.set(masks)
    try:
        yield masks
    finally:
        _CLIPPED.reset(token)


def look_back(info: ModelInfo, options: Mapping[str, Any]) -> int:
    """Days, the estimated one included, that a model with these options needs."""
    return int(_set_for_the_core(info, options).get("look_back") or info.look_back)


def with_memory(info: ModelInfo) -> ModelInfo:
    """The description with the option `MEMORY`, unless the model has one of that name or does not estimate."""
    if info.task != "estimate" or "memory" in {p.name for p in info.options}:
        return info
    return replace(info, options=(*info.options, MEMORY))


def split_memory(info: ModelInfo, options: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The days of the option `MEMORY`, by the user or a preset, and the options of the model itself."""
    if MEMORY not in info.options:
        return (), dict(options)
    days = _set_for_the_core(info, options).get("memory", ())
    return tuple(days), {name: value for name, value in options.items() if name != "memory"}


def _set_for_the_core(info: ModelInfo, options: Mapping[str, Any]) -> dict[str, Any]:
    preset = info.presets.get(str(options.get("preset")), {})
    return {**preset, **{name: value for name, value in options.items() if value is not None}}


@dataclass(frozen=True)
class Samples:
    """Arrays to learn from, in physical units, NaN where missing.

    Parameters
    ----------
    arrays : mapping of str to array-like
        Slice to numpy: dynamic ``(time, y, x)`` or ``(time, cell)``, static ``(y, x)`` or ``(cell,)``.
    days : ndarray
        All days in order, datetime64[D].
    use : ndarray of bool
        Days (time,) whose references may be learnt from; lead-in days are not.
    mask : ndarray of bool
        Cells of the domain, ``(y, x)`` or ``(cell,)``.
    weight : array-like of bool, optional
        Like a dynamic array: where references count; frozen cells do not.

    Examples
    --------
    >>> days = np.datetime64("2021-06-01") + np.arange(3)
    >>> Samples({"tb_h": np.full((3, 2), 240.0)}, days, np.ones(3, bool), np.ones(2, bool)).arrays["tb_h"].shape
    (3, 2)
    """

    arrays: Mapping[str, Any]
    days: np.ndarray
    use: np.ndarray
    mask: np.ndarray
    weight: Any = None

    def series(self, name: str, cells: np.ndarray | None = None) -> np.ndarray:
        """Values of the domain's cells as float32 ``(time, cell)``, of a static variable ``(cell,)``.

        ``cells`` selects some of them, by their number inside the domain.
        """
        return np.asarray(self._cells(self.arrays[name], cells), np.float32)

    def counts(self, name: str, cells: np.ndarray | None = None) -> np.ndarray:
        """Where a reference may be learnt from, bool ``(time, cell)``: observed, a day in use, not frozen."""
        observed = np.isfinite(self.series(name, cells)) & np.asarray(self.use)[:, None]
        if self.weight is None:
            return observed
        return observed & self._cells(np.asarray(self.weight, bool), cells)

    def _cells(self, array: Any, cells: np.ndarray | None) -> np.ndarray:
        at = np.nonzero(self.mask)
        return np.asarray(np.asarray(array)[(..., *(at if cells is None else tuple(i[cells] for i in at)))])


@runtime_checkable
class Model(Protocol):
    """The methods of a model."""

    info: ModelInfo

    def block(self, bundle: Bundle) -> Block:
        """Return the block that ``predict_block`` takes."""

    def fit(self, samples: Samples, spec: Spec, *, validation: Samples | None, seed: int, progress: Progress) -> Bundle:
        """Learn from samples; statistics come from ``samples`` only, never from ``validation``.

        The same ``seed`` gives the same bundle. ``progress`` takes the share done and a sentence.
        """

    def predict_block(
        self, arrays: Mapping[str, np.ndarray], bundle: Bundle, *, device: str
    ) -> Mapping[str, np.ndarray]:
        """Predict one block: physical units in, physical units out, one array for each target and its spread.

        Series: dynamic ``(time, cell)``, static ``(cell,)``, NaN where not observed; returns for each target ``v`` the
        arrays ``v``, ``v_std`` (spread of the true value) and ``v_obs_std`` (spread of a possible observation, its
        noise included), for observed days too: the core replaces these estimates by the observations.
        Filling also gets ``days`` (time,), datetime64[D].
        Patch: dynamic ``(patch, time, y, x)``, static ``(patch, y, x)`` and ``mask (patch, y, x)`` bool, no NaN inside
        the mask; returns ``v`` and ``v_std`` as ``(patch, time - look_back + 1, y, x)``.
        """
