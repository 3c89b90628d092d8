"""The contract of models: `ModelInfo` is what a plugin registers, `Model` what it implements.

Models see numpy arrays only; the core cuts blocks, masks, batches and blends (`xsm.blocks`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from xsm.bundle import Bundle
from xsm.describe import Param
from xsm.source import missing_or_unknown

Task = Literal["gapfill", "estimate"]
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Block:
    """The piece of data that a model takes at once.

    ``kind="series"``: arrays ``(time, cell)``, whole period, cells independent of each other.
    ``kind="patch"``: arrays ``(patch, time, y, x)`` of ``size`` x ``size`` cells whose outputs are blended with
    ``stride``; the first ``look_back - 1`` days are lead-in.
    """

    kind: Literal["series", "patch"]
    size: int = 0
    stride: int = 0
    look_back: int = 1


@dataclass(frozen=True)
class ModelInfo:
    """Light description of a model; ``factory`` is ``"module:Class"``, imported on first use.

    ``look_back`` is how many days, the estimated one included, a model wants to see where its option of that name does
    not say otherwise; training samples begin so much earlier than the days to learn from.
    """

    name: str
    title: str
    task: Task
    factory: str
    options: tuple[Param, ...] = ()
    requires: tuple[str, ...] = ()
    look_back: int = 1


@dataclass(frozen=True)
class Spec:
    """What a model is asked to learn; everything here goes into the bundle's card.

    ``inputs`` and ``statics`` are canonical names in the order of the network's channels, ``targets`` the variables
    to give, ``references`` those it learns from (equal to ``targets`` for gap filling). ``units`` holds the unit of
    each. ``options`` are the model's own, checked against ``ModelInfo.options``.
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


@dataclass(frozen=True)
class Samples:
    """Arrays to learn from, in physical units, NaN where missing.

    ``arrays`` maps names to array-likes that slice to numpy: dynamic ``(time, y, x)`` or ``(time, cell)``, static
    ``(y, x)`` or ``(cell,)``. ``days`` are all days in order (datetime64[D]), ``use`` marks the days whose references
    may be learnt from (lead-in days are not), ``mask`` the cells of the domain, ``weight`` (optional, like a dynamic
    array, bool) where references count (frozen cells do not).
    """

    arrays: Mapping[str, Any]
    days: np.ndarray
    use: np.ndarray
    mask: np.ndarray
    weight: Any = None

    def series(self, name: str, cells: np.ndarray | None = None) -> np.ndarray:
        """Values of the domain's cells as float32 ``(time, cell)``, of a static variable ``(cell,)``.

        ``cells`` chooses some of them, by their number inside the domain.
        """
        at = np.nonzero(self.mask) if cells is None else tuple(i[cells] for i in np.nonzero(self.mask))
        values = np.asarray(self.arrays[name])
        return np.asarray(values[(..., *at)], np.float32)

    def counts(self, name: str, cells: np.ndarray | None = None) -> np.ndarray:
        """Where a reference may be learnt from, bool ``(time, cell)``: observed, a day in use, not frozen."""
        found = np.isfinite(self.series(name, cells)) & np.asarray(self.use)[:, None]
        if self.weight is None:
            return found
        at = np.nonzero(self.mask) if cells is None else tuple(i[cells] for i in np.nonzero(self.mask))
        return found & np.asarray(self.weight, bool)[(..., *at)]


@runtime_checkable
class Model(Protocol):
    """What a model implements."""

    info: ModelInfo

    def block(self, bundle: Bundle) -> Block:
        """Return the block that ``predict_block`` takes."""

    def fit(self, samples: Samples, spec: Spec, *, validation: Samples | None, seed: int, progress: Progress) -> Bundle:
        """Learn from samples; statistics come from ``samples`` only, never from ``validation``."""

    def predict_block(
        self, arrays: Mapping[str, np.ndarray], bundle: Bundle, *, device: str
    ) -> Mapping[str, np.ndarray]:
        """Predict one block: physical units in, physical units out, one array for each target and its spread.

        Series: dynamic ``(time, cell)``, static ``(cell,)``, NaN where not observed; gives for each target ``v`` the
        arrays ``v``, ``v_std`` (spread of the true value) and ``v_obs_std`` (spread of a would-be observation).
        Filling also gets ``days`` (time,), datetime64[D].
        Patch: dynamic ``(patch, time, y, x)``, static ``(patch, y, x)`` and ``mask (patch, y, x)`` bool, no NaN inside
        the mask; gives ``v`` and ``v_std`` as ``(patch, time - look_back + 1, y, x)``.
        """


def models() -> Mapping[str, ModelInfo]:
    """Return the descriptions of all registered models by name."""
    from xsm.plugin import manager

    return manager().models


def get_model(name: str, task: Task | None = None) -> Model:
    """Make the model of a name, or say which plugin brings it."""
    from xsm.plugin import load_factory

    known = {n: i for n, i in models().items() if task is None or i.task == task}
    if name not in known:
        raise missing_or_unknown("model", name, known)
    info = known[name]
    return load_factory(info.factory, f"model '{name}'", info.requires)
