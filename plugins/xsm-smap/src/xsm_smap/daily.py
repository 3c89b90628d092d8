"""Granules to days: passes merged, missing days filled, everything lazy, dressed as a canonical dataset."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import xarray as xr
from xsm import DataError, Grid, SkippedFile
from xsm.plugin_api import tell

from xsm_smap import layout
from xsm_smap.granule import Granule
from xsm_smap.passes import values

NOON = np.timedelta64(12, "h")


def merge(
    passes: list[dict[str, np.ndarray]], variables: Sequence[str], day: np.datetime64, *, nearest_noon: bool
) -> dict[str, np.ndarray]:
    """Take each cell from one pass: the one nearest 12 UTC, else the first that observed it."""
    if len(passes) == 1:
        return passes[0]
    times = np.stack([p["obs_time"] for p in passes])
    order = (
        np.abs((times - (day + NOON)) / np.timedelta64(1, "s"))
        if nearest_noon
        else np.arange(len(passes))[:, None, None]
    )
    best = np.where(np.isnat(times), np.inf, order).argmin(0)[None]
    return {v: np.take_along_axis(np.stack([p[v] for p in passes]), best, 0)[0] for v in variables}


def read_day(
    granules: Sequence[Granule],
    day: np.datetime64,
    variables: Sequence[str],
    grid: Grid,
    *,
    overpass: str,
    quality: str,
) -> dict[str, np.ndarray]:
    """Read variables of one day: every array ``(grid.rows, grid.cols)``."""
    several = sum(overpass in (p, "both") for g in granules for p in g.passes) > 1 and granules[0].level != "points"
    needed = dict.fromkeys([*variables, "obs_time"] if several else variables)
    passes = [p for g in granules for p in values(g, tuple(needed), grid, overpass=overpass, quality=quality, day=day)]
    if not passes:
        return {v: layout.empty(v, grid.shape) for v in variables}
    return merge(passes, variables, day, nearest_noon=overpass == "both")


def dataset(
    arrays: dict[str, Any],
    days: np.ndarray,
    grid: Grid,
    granules: Sequence[Granule],
    *,
    overpass: str,
    quality: str,
    skipped: Sequence[str] = (),
) -> xr.Dataset:
    """Dress arrays ``(time, y, x)`` as a canonical dataset."""
    _tell_doubts(granules)
    time = xr.Variable("time", days.astype("M8[ns]"), {"standard_name": "time", "long_name": "UTC day", "axis": "T"})
    ds = xr.Dataset({n: (("time", "y", "x"), a, layout.attrs(n)) for n, a in arrays.items()}, {"time": time})
    attrs = {
        "title": "SMAP radiometer soil moisture",
        "product": joined(g.product for g in granules),
        "product_version": joined(g.version for g in granules),
        "crid": joined(g.crid for g in granules),
        "overpass": overpass if granules[0].level != "points" or overpass == "both" else f"{overpass} or unknown",
        "quality": quality if granules[0].level != "points" else "as in the files",
        "skipped": list(skipped),
        "synthetic": joined(g.synthetic for g in granules),
    }
    return grid.assign(ds).assign_attrs({k: v for k, v in attrs.items() if v})


def _tell_doubts(granules: Sequence[Granule]) -> None:
    names = joined(unit.silent for g in granules for *_, unit in g.units)
    if names:
        files = sum(any(unit.silent for *_, unit in g.units) for g in granules)
        tell(
            f"{files} of {len(granules)} SMAP files give no units for {names}; by their values they are in those of "
            "the product."
        )
    adrift = [g.path for g in granules if g.adrift]
    if adrift:
        tell(
            f"{len(adrift)} of {len(granules)} SMAP files were saved again without coordinates ('{adrift[0]}'); their "
            "first row is taken as the northernmost."
        )


def lazy(
    granules: Sequence[Granule], days: np.ndarray, names: Sequence[str], grid: Grid, *, on_error: str, **options: str
) -> dict[str, Any]:
    """Make lazy arrays ``(time, y, x)``: one task per day and group of variables, one chunk per day."""
    import dask.array as da

    blocks = np.empty(len(days), object)
    blocks[:] = [()] * len(days)
    for granule in granules:
        for i in ((d - days[0]).astype(int) for d in granule.days if days[0] <= d <= days[-1]):
            blocks[i] = (*blocks[i], granule)
    by_day = da.from_array(blocks, chunks=1)
    axis = da.from_array(days, chunks=1)
    arrays: dict[str, Any] = {}
    for _, members in itertools.groupby(sorted(names, key=_group), key=_group):
        group = tuple(members)
        dtype = layout.dtype(group[0])
        stack = da.map_blocks(
            _block, by_day, axis, group, grid, on_error, dtype=dtype, meta=np.empty((0, 0, 0, 0), dtype),
            new_axis=[1, 2, 3], chunks=((1,) * len(days), (len(group),), (grid.rows,), (grid.cols,)), **options,
        )  # fmt: skip
        arrays |= {n: stack[:, i] for i, n in enumerate(group)}
    return {n: arrays[n] for n in names}


def _group(name: str) -> str:
    return layout.FIELDS[name].group


def _block(
    granules: np.ndarray, day: np.ndarray, names: Sequence[str], grid: Grid, on_error: str, **options: Any
) -> np.ndarray:
    try:
        by_name = read_day(granules[0], day[0], names, grid, **options) if granules[0] else {}
    except DataError as error:
        if on_error == "raise":
            raise
        tell(SkippedFile(next((g.name for g in granules[0] if g.name in str(error)), granules[0][0].name), error))
        by_name = {}
    return np.stack([by_name[n] if n in by_name else layout.empty(n, grid.shape) for n in names])[None]


def joined(texts: Iterable[str]) -> str:
    """The unlike texts, sorted."""
    return ", ".join(sorted(set(texts) - {""}))
