"""The verdict on a damaged file: the dataset read from it beside the one read from the sound file."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from xsm.data.cf import VARIABLES


def compare(sound: xr.Dataset, got: xr.Dataset, *, checked: bool, warned: bool) -> str:
    """Say what became of the values of the sound file.

    ``checked``: a checksum covers the values. ``warned``: a warning named the damaged file.
    """
    placed = aligned(sound, got)
    changed, lost = placed is None, False
    if placed is not None and "sensor" in sound.dims:
        changed = not set(_keys(got)) <= set(_keys(sound))
    for name, variable in sound.data_vars.items():
        if placed is None or name not in placed:
            lost = True
            continue
        old, new = variable.values, placed[name].values
        if old.shape != new.shape:
            changed = True
            continue
        gone = _missing(new) & ~_missing(old)
        other = ~_equal(old, new) & ~gone
        if name == "flag" and "sensor" in sound.dims:  # of a value that became missing
            other &= ~np.isnan(placed["soil_moisture"].values)
        lost |= bool(gone.any())
        changed |= bool(other.any())
        if not warned and _impossible(str(name), new):
            return "silent"
    if not changed:
        return "missing" if lost else "equal"
    return "warned" if warned else "silent" if checked or placed is None else "changed"


def aligned(sound: xr.Dataset, got: xr.Dataset) -> xr.Dataset | None:
    """The new dataset on the axes of the sound one, or None where it has other cells, sensors or times."""
    if "sensor" not in sound.dims:
        axes = [n for n in sound.dims if n in sound.coords]
        if any(n not in got.coords or not set(got[n].values) <= set(sound[n].values) for n in axes):
            return None
        fill = {n: {"u2": 65534, "u1": 255}.get(v.dtype.str[1:], np.nan) for n, v in got.data_vars.items()}
        return got.reindex({n: sound[n] for n in axes}, fill_value=fill)
    old, new = (_keys(ds) for ds in (sound, got))
    place = [
        max(range(len(old)), key=lambda i, k=key: sum(a == b for a, b in zip(old[i], k, strict=True))) for key in new
    ]
    if len(set(place)) < len(new) or not set(got["time"].values) <= set(sound["time"].values):
        return None
    order = [place.index(i) if i in place else -1 for i in range(len(old))]
    out = got.isel(sensor=[max(i, 0) for i in order])
    gone = np.array(order) < 0
    for name in out.data_vars:
        out[name][gone] = 0 if name == "flag" else np.nan
    filled = {n: 0 if n == "flag" else np.nan for n in out.data_vars}
    return out.reindex(time=sound["time"], fill_value=filled)


def _keys(ds: xr.Dataset) -> list[tuple[Any, ...]]:
    names = ("station", "lat", "lon", "depth", "instrument" if "instrument" in ds.coords else "wban")
    return list(zip(*(ds[n].values.tolist() for n in names), strict=True))


def _missing(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "f":
        return np.isnan(values)
    if values.dtype.kind == "M":
        return np.isnat(values)
    return values == {"uint16": 65534, "uint8": 255}.get(str(values.dtype), -1)


def _equal(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    return (old == new) | (_missing(old) & _missing(new))


def _impossible(name: str, values: np.ndarray) -> bool:
    spec = VARIABLES.get(name)
    if spec is None or values.dtype.kind != "f":
        return False
    slack = 1e-5 * max(1.0, abs(spec.high)) if np.isfinite(spec.high) else 0
    return bool(((values < spec.low - slack) | (values > spec.high + slack)).any())
