"""Sequences of patches: their positions, their contents, their channels. Numpy only, cut by slicing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from xsm import DataError
from xsm.plugin_api import Samples, Spec

from xsm_convlstm.config import Config

Normalisation = Mapping[str, Mapping[str, float]]
Array = np.ndarray
DAYS_AT_ONCE = 64


@dataclass(frozen=True)
class Batch:
    """Channels ``(time, sample, channel, y, x)``, mask ``(sample, 1, y, x)``, references ``(step, sample, y, x)``."""

    x: np.ndarray
    mask: np.ndarray
    references: tuple[np.ndarray, ...]


def ends(samples: Samples, look_back: int) -> np.ndarray:
    """Indices of the training days that have ``look_back - 1`` consecutive days before them."""
    days = np.asarray(samples.days, "datetime64[D]").astype(int)
    t = np.flatnonzero(np.asarray(samples.use))
    t = t[t >= look_back - 1]
    return t[days[t] - days[t - look_back + 1] == look_back - 1]


def windows(samples: Samples, config: Config) -> np.ndarray:
    """List every sequence as ``(first row, first column, last day)``, for patches with at least one valid cell."""
    mask = np.asarray(samples.mask)
    if mask.ndim != 2:
        raise DataError(
            f"The samples have {mask.ndim} dimensions beside time, expected maps (y, x).",
            hint="Series of cells are for per-cell models, such as lstm, boosting or ridge.",
        )
    if min(mask.shape) < config.patch // 2:
        raise DataError(
            f"The data have {mask.shape[0]} x {mask.shape[1]} cells, a patch of this model has {config.patch} x "
            f"{config.patch} and needs at least half of that.",
            hint="Open a larger region, or give the options <patch=> and <stride=>.",
        )
    rows, columns = (_starts(n, config.patch, config.stride) for n in mask.shape)
    corners = [(r, c) for r in rows for c in columns if mask[r : r + config.patch, c : c + config.patch].any()]
    t = ends(samples, config.look_back)
    if not corners or not len(t):
        raise DataError(
            f"No sequence of {config.look_back} consecutive days to learn from: got {len(t)} such days and "
            f"{int(mask.sum())} cells in the domain.",
            hint="Give a longer period, or a region that has all inputs.",
        )
    return np.array([(r, c, k) for r, c in corners for k in t], dtype=np.int64)


def survey(samples: Samples, spec: Spec, config: Config) -> dict[str, dict[str, float]]:
    """Check the samples and return mean and standard deviation of inputs, statics and target.

    The statistics are over the cells of the domain and the training days; the target's are those of the first
    reference, where it counts.

    Raises
    ------
    DataError
        A variable is missing, there is no sequence, an input has gaps inside the domain, or a reference is
        never observed.
    """
    absent = [n for n in (*spec.inputs, *spec.statics, *spec.references) if n not in samples.arrays]
    if absent:
        raise DataError(
            f"The samples lack {', '.join(absent)}.", hint="Add them to the cube, or choose a scenario without."
        )
    last = np.unique(windows(samples, config)[:, 2])
    needed = np.unique((last[:, None] - np.arange(config.look_back)).ravel())
    learnt = np.isin(needed, last)
    mask = np.asarray(samples.mask)
    statistics: dict[str, dict[str, float]] = {}
    for name in spec.inputs:
        moments = _Moments()
        for part in _parts(needed):
            values = np.asarray(samples.arrays[name][part[0] : part[-1] + 1])[part - part[0]][:, mask]
            if gaps := int((~np.isfinite(values)).sum()):
                raise DataError(
                    f"'{name}' has {gaps} missing or infinite values inside the domain between "
                    f"{samples.days[part[0]]} and {samples.days[part[-1]]}, expected none.",
                    hint="Run gapfill first.",
                )
            moments.add(values[learnt[np.searchsorted(needed, part)]])
        statistics[name] = moments.result()
    for name in spec.statics:
        values = np.asarray(samples.arrays[name])[mask]
        if not np.isfinite(values).all():
            raise DataError(
                f"'{name}' is missing or infinite in cells of the domain.", hint="Take them out of the mask."
            )
        moments = _Moments()
        moments.add(values)
        statistics[name] = moments.result()
    learnt_from = {n: _Moments() for n in spec.references[: 2 if config.beta else 1]}
    for name, moments in learnt_from.items():
        for part in _parts(last):
            values = _reference(samples, name, part[0], part[-1] + 1, slice(None), slice(None))
            moments.add(values[np.isfinite(values)])
        if not moments.n:
            raise DataError(
                f"The reference '{name}' is nowhere observed on the training days.",
                hint="Check its period and its overlap with the inputs.",
            )
    return statistics | {spec.targets[0]: learnt_from[spec.references[0]].result()}


def batches(index: np.ndarray, config: Config, rng: np.random.Generator, limit: int) -> Iterator[np.ndarray]:
    """Shuffle sequences into batches, at most ``limit`` of them (0: all); for ``r2_over="cell"`` one patch in each."""
    size = config.batch_size
    if config.r2_over == "cell":
        _, group = np.unique(index[:, :2], axis=0, return_inverse=True)
        shuffled = [rng.permutation(np.flatnonzero(group == g)) for g in range(group.max() + 1)]
        groups = [s[k : k + size] for s in shuffled for k in range(0, len(s) - size + 1, size)]
        if not groups:
            raise DataError(
                f"r2_over='cell' needs {size} dates in a batch, got {len(shuffled[0])} days to learn from.",
                hint="Give a longer period, or <r2_over=batch>.",
            )
        groups = [groups[k] for k in rng.permutation(len(groups))]
    else:
        order = rng.permutation(len(index))
        groups = [order[k : k + size] for k in range(0, len(order), size)]
    for rows in groups[: limit or None]:
        yield index[rows]


def read(samples: Samples, spec: Spec, config: Config, norm: Normalisation, rows: np.ndarray) -> Batch:
    """Cut the sequences ``rows`` of `windows` out of the samples; cells beyond the data are outside the mask."""
    size, back = config.patch, config.look_back
    steps = back if config.loss_steps == "all" else 1
    names = spec.references[:2]
    arrays = {n: np.full((back, len(rows), size, size), np.nan, np.float32) for n in spec.inputs}
    arrays |= {n: np.full((len(rows), size, size), np.nan, np.float32) for n in spec.statics}
    references = {n: np.full((steps, len(rows), size, size), np.nan, np.float32) for n in names}
    mask = np.zeros((len(rows), size, size), bool)
    ny, nx = np.shape(samples.mask)
    for k, (row, column, t) in enumerate(rows):
        y, x = slice(row, min(row + size, ny)), slice(column, min(column + size, nx))
        here = (slice(0, y.stop - row), slice(0, x.stop - column))
        mask[k][here] = np.asarray(samples.mask[y, x])
        for name in spec.inputs:
            arrays[name][(slice(None), k, *here)] = samples.arrays[name][t - back + 1 : t + 1, y, x]
        for name in spec.statics:
            arrays[name][(k, *here)] = samples.arrays[name][y, x]
        for name in names:
            references[name][(slice(None), k, *here)] = _reference(samples, name, t - steps + 1, t + 1, y, x)
    moving, still = channels(arrays, spec.inputs, mask, norm), fixed_channels(arrays, spec.statics, mask, norm)
    return Batch(joined(moving, still), mask[:, None].astype(np.float32), tuple(references.values()))


def channels(arrays: Mapping[str, np.ndarray], names: tuple[str, ...], mask: np.ndarray, norm: Normalisation) -> Array:
    """Normalise variables to channels, last, 0 outside the mask.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        ``(..., sample, y, x)``, physical units.
    mask : ndarray
        ``(sample, y, x)`` bool.

    Returns
    -------
    ndarray
        ``(..., sample, y, x, channel)`` float32.
    """
    shape = arrays[names[0]].shape if names else mask.shape
    stack = np.zeros((*shape, len(names)), np.float32)
    where = np.broadcast_to(mask, shape)
    for k, name in enumerate(names):
        mean, std = np.float32(norm[name]["mean"]), np.float32(norm[name]["std"])
        stack[..., k][where] = (arrays[name][where] - mean) / std
    return stack


def fixed_channels(
    arrays: Mapping[str, np.ndarray], statics: tuple[str, ...], mask: np.ndarray, norm: Normalisation
) -> Array:
    """Channels that do not change: statics and the mask, ``(sample, y, x, channel)``."""
    return np.concatenate([channels(arrays, statics, mask, norm), mask[..., None].astype(np.float32)], -1)


def joined(moving: Array, still: Array) -> Array:
    """Join ``(time, sample, y, x, channel)`` and ``(sample, y, x, channel)`` to ``(time, sample, channel, y, x)``.

    A view of channels-last memory.
    """
    return np.concatenate([moving, np.broadcast_to(still, (*moving.shape[:-1], still.shape[-1]))], -1).transpose(
        0, 1, 4, 2, 3
    )


def _starts(n: int, size: int, stride: int) -> list[int]:
    """First cells of the patches that cover ``n`` cells; the last one ends with the data."""
    return [*range(0, max(n - size, 0), stride), max(n - size, 0)]


def _parts(days: np.ndarray) -> list[np.ndarray]:
    return [days[k : k + DAYS_AT_ONCE] for k in range(0, len(days), DAYS_AT_ONCE)]


def _reference(samples: Samples, name: str, start: int, stop: int, y: slice, x: slice) -> np.ndarray:
    """Reference values, NaN where they do not count."""
    counts = np.asarray(samples.use)[start:stop, None, None] & np.asarray(samples.mask)[y, x]
    if samples.weight is not None:
        counts = counts & np.asarray(samples.weight[start:stop, y, x], bool)
    return np.where(counts, np.asarray(samples.arrays[name][start:stop, y, x], np.float32), np.float32(np.nan))


class _Moments:
    """Mean and standard deviation of values that come in parts."""

    def __init__(self) -> None:
        self.n, self.shift, self.sum, self.squares = 0, 0.0, 0.0, 0.0

    def add(self, values: np.ndarray) -> None:
        """Add values."""
        if not values.size:
            return
        values = values.astype(np.float64).ravel()
        if not self.n:
            self.shift = float(values.mean())
        values = values - self.shift
        self.n += values.size
        self.sum += float(values.sum())
        self.squares += float(values @ values)

    def result(self) -> dict[str, float]:
        """Mean and standard deviation; the latter is 1 where the values do not vary."""
        mean = self.sum / max(self.n, 1)
        std = max(self.squares / max(self.n, 1) - mean**2, 0.0) ** 0.5
        return {"mean": self.shift + mean, "std": std if std > 1e-6 * max(abs(self.shift), 1e-6) else 1.0}
