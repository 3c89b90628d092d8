"""From series to `Samples` and `Spec`: options of models, sampled cells, training days."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from xsm.contracts.model import ModelInfo, Samples, Spec
from xsm.contracts.source import check_options
from xsm.data.cf import VARIABLES
from xsm.data.grids import grid_of
from xsm.data.masks import with_masks
from xsm.errors import DataError


def model_options(info: ModelInfo, options: Mapping[str, Any]) -> dict[str, Any]:
    """Check a model's options against its description."""
    return check_options(f"option of model '{info.name}'", info.options, options)


def mix(row: np.ndarray, col: np.ndarray, seed: int) -> np.ndarray:
    """Hash of row, column and seed (uint64, splitmix64): the order in which cells are sampled, whatever the chunks."""
    with np.errstate(over="ignore"):
        z = row.astype("u8") * np.uint64(0x9E3779B97F4A7C15) + col.astype("u8") * np.uint64(0xC2B2AE3D27D4EB4F)
        z = z + np.uint64(seed) * np.uint64(0x165667B19E3779F9)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            z = np.multiply(z ^ np.right_shift(z, np.uint64(shift)), np.uint64(factor))
        return z ^ np.right_shift(z, np.uint64(31))


def sample_cells(ds: xr.Dataset, names: Sequence[str], covariates: Sequence[str], count: int, seed: int) -> xr.Dataset:
    """Load the series of at most ``count`` cells with values, drawn by a hash of row and column.

    Returns
    -------
    xarray.Dataset
        Dims ``(time, cell)`` and ``(cell,)``, numpy; with ``frozen`` where the dataset has it or it can be derived.
    """
    ds = with_masks(ds)
    dims = [str(d) for d in ds[names[0]].dims if d != "time"]
    grid = grid_of(ds) if set(dims) == {"y", "x"} else None
    keep = [*names, *covariates, *(("frozen",) if "frozen" in ds and set(ds["frozen"].dims) >= set(dims) else ())]
    part = ds[list(dict.fromkeys(keep))].reset_coords(drop=True)
    if not dims:
        return part.expand_dims("cell", -1).load()
    shape = [ds.sizes[d] for d in dims]
    index = np.indices(shape).reshape(len(shape), -1)
    if grid is not None:
        row, col = (index[dims.index("y")] + grid.row0, index[dims.index("x")] + grid.col0)
    else:
        row, col = index[0], index[1] if len(index) > 1 else index[0] * 0
    order = np.argsort(mix(row, col, seed), kind="stable")
    candidates = order[: min(len(order), 8 * count)]
    points = {d: xr.DataArray(index[i][candidates], dims="cell") for i, d in enumerate(dims)}
    sample = part.isel(points).transpose("time", "cell", ...).load()
    known = {n: np.isfinite(sample[n].values) for n in dict.fromkeys((*names, *covariates))}
    known = {n: v.any(0) if v.ndim == 2 else v for n, v in known.items()}
    has = np.logical_or.reduce([known[n] for n in names]) & np.logical_and.reduce([known[n] for n in covariates])
    if not has.any():
        empty = [n for n, v in known.items() if not v.any()]
        what = f"any value of {', '.join(empty)}" if empty else f"values of all of {', '.join(known)}"
        raise DataError(f"No cell has {what}.", hint="Check the region, the period and the quality filter.")
    return sample.isel(cell=np.flatnonzero(has)[:count])


def series_spec(
    ds: xr.Dataset, targets: Sequence[str], covariates: Sequence[str], info: ModelInfo, options: Mapping[str, Any]
) -> Spec:
    """Describe what a gap-filling model learns: targets, driving series and maps, units, options."""
    driving = [c for c in covariates if "time" in ds[c].dims]
    for name in driving:
        if not np.isfinite(ds[name].values).all():
            raise DataError(f"The covariate '{name}' has gaps.", hint="Fill it first, or leave it out.")
    return Spec(
        task="gapfill",
        inputs=(*targets, *driving),
        targets=tuple(targets),
        statics=tuple(c for c in covariates if c not in driving),
        references=tuple(targets),
        units={n: str(ds[n].attrs.get("units", "")) for n in (*targets, *covariates)},
        options=model_options(info, options),
    )


def series_samples(
    ds: xr.Dataset, targets: Sequence[str], covariates: Sequence[str] = (), use: np.ndarray | None = None
) -> Samples:
    """Samples of series on ``(time, cell)``, from the first to the last day of ``use`` (by default all days).

    Targets are missing on frozen days, except those with ``when_frozen`` in `xsm.data.cf.VARIABLES`, which mean the
    same on frozen ground.
    """
    use = np.ones(ds.sizes["time"], bool) if use is None else use
    first, last = np.flatnonzero(use)[[0, -1]]
    ds, use = ds.isel(time=slice(first, last + 1)), use[first : last + 1]
    days = ds["time"].values.astype("M8[D]")
    arrays = {
        n: _finite(ds[n].transpose("time", "cell").values if "time" in ds[n].dims else ds[n].values)
        for n in (*targets, *covariates)
    }
    frozen = ds["frozen"].transpose("time", "cell").values.astype(bool) if "frozen" in ds else False
    for name in targets:
        if name not in VARIABLES or not VARIABLES[name].when_frozen:
            arrays[name] = np.where(frozen, np.float32(np.nan), arrays[name])
        if not np.isfinite(arrays[name][use]).any():
            raise DataError(
                f"'{name}' has no observation on thawed ground on the {use.sum()} training days.",
                hint="Check its masks, or take a longer period.",
            )
    return Samples(arrays, days, use, np.ones(ds.sizes["cell"], bool))


def _finite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, np.nan).astype("f4")


def periods(days: np.ndarray) -> list[str]:
    """Runs of consecutive days as text.

    Examples
    --------
    >>> periods(np.array(["2020-01-01", "2020-01-02", "2021-05-01"], "M8[D]"))
    ['2020-01-01 to 2020-01-02', '2021-05-01 to 2021-05-01']
    """
    runs = np.split(days, 1 + np.flatnonzero(np.diff(days) > np.timedelta64(1, "D")))
    return [f"{run[0]} to {run[-1]}" for run in runs]


def days_within(texts: Iterable[str]) -> np.ndarray:
    """All days of periods as `periods` writes them, datetime64[D].

    Examples
    --------
    >>> days_within(["2020-01-01 to 2020-01-02", "2021-05-01 to 2021-05-01"]).astype(str).tolist()
    ['2020-01-01', '2020-01-02', '2021-05-01']
    """
    ends = np.array([day for text in texts for day in re.findall(r"\d{4}-\d\d-\d\d", text)], "M8[D]")
    return np.concatenate([ends[:0], *(np.arange(first, last + 1) for first, last in ends.reshape(-1, 2))])
