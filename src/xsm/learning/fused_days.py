"""Fused maps of the days that follow, from states of the days before; a land model that is late persists."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from xsm.contracts.bundle import Bundle
from xsm.data.roles import ROOT, SURFACE, holders
from xsm.learning.derived import Carry
from xsm.learning.fused_maps import fused_maps

MEMORY = 30
"""Days over which the variance of the daily changes of a series is averaged."""
USUAL_CHANGE = 0.02
"""Daily change that a series without a past is taken to have, m3 m-3 (synthetic worlds: 0.01 to 0.03)."""


def fused_days(
    ds: xr.Dataset, bundle: Bundle, depths: tuple[int, ...], before: Mapping[str, np.ndarray]
) -> tuple[xr.Dataset, dict[str, np.ndarray]]:
    """Fuse days that follow those of earlier calls.

    Where land model or weather is missing, its last value persists and rain counts as none; the variance of the fused
    maps grows with each such day by that of the land model's daily changes.

    Parameters
    ----------
    ds : Dataset
        Cube ``(time, y, x)`` in memory, one step per day.
    bundle : Bundle
        Of the task ``fuse``, trained as a filter.
    depths : tuple of int
        In cm.
    before : mapping of str to ndarray
        States after the day before; empty on the first day.

    Returns
    -------
    Dataset, dict
        Maps as `xsm.fuse` makes them, and the states after the last day. Cutting a period into calls changes no bit.
    """
    carry, names = Carry(before), holders(ds)
    series = {role: names[role] for role in (SURFACE, ROOT, "air_temperature") if role in names}
    added: dict[str, np.ndarray] = {}
    for role, name in series.items():
        cells = [d for d in ds[name].dims if d != "time"]
        values = ds[name].transpose("time", *cells)
        whole, added[role] = persisted(values.values, carry.state(f"last({name})", values.shape[1:]))
        ds[name] = values.copy(data=whole).transpose(*ds[name].dims)
    if rain := names.get("precipitation"):
        ds[rain] = ds[rain].fillna(0.0).where(ds[series[SURFACE]].notnull())
    out = fused_maps(ds, bundle, depths, carry)
    for depth, role in ((5, SURFACE), (25, ROOT)):
        if depth in depths:
            spread = out[f"sm_{depth}cm_std"]
            more = ds[series[role]].transpose("time", ...).copy(data=added[role]).reindex_like(spread)
            out[spread.name] = spread.copy(data=np.sqrt(spread.values**2 + more.transpose(*spread.dims).values))
    return out, carry.after


def persisted(values: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Series whose gaps have the value before, and the variance that each day of a gap adds.

    Parameters
    ----------
    values : ndarray
        Float32 ``(time, ...)``, NaN where missing.
    state : ndarray
        As `xsm.series.recursive.new_state` makes it, ``(3, cell)``, changed in place: mean square of the daily changes,
        last value, days since.

    Returns
    -------
    ndarray, ndarray
        Float32; the latter is 0 where there is a value.

    Examples
    --------
    >>> from xsm.series.recursive import new_state
    >>> whole, more = persisted(np.array([[0.1], [np.nan], [np.nan]], "f4"), new_state(1))
    >>> whole.ravel(), more.ravel().round(4)
    (array([0.1, 0.1, 0.1], dtype=float32), array([0.    , 0.0004, 0.0008], dtype=float32))
    """
    whole, more = values.copy(), np.zeros_like(values)
    square, last, since = state
    for day in range(len(values)):
        value = values[day].ravel().astype("f8")
        known, begun = np.isfinite(value), since > 0
        square[:] = np.where(begun, square, USUAL_CHANGE**2)
        change = np.where(known & begun, (value - last) ** 2 / np.maximum(since, 1.0), square)
        gap = ~known & begun
        whole[day] = np.where(gap, last, value).reshape(values.shape[1:])
        more[day] = np.where(gap, since * square, 0.0).reshape(values.shape[1:])
        square += (change - square) / MEMORY
        last[:] = np.where(known, value, last)
        since[:] = np.where(known, 1.0, np.where(begun, since + 1.0, since))
    return whole, more
