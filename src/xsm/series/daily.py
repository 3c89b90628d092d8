"""Means and sums of days from steps of hours: in which day a step lies, and how many a day needs."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import xarray as xr

from xsm.data.series import ONCE
from xsm.data.time import utc_times
from xsm.data.units import affine, same_units
from xsm.errors import DataError, render_hint, tell, unknown

HOUR = np.timedelta64(3_600_000_000_000, "ns")
SHOWN = 3
VOLUME = {"units": "m3 m-3", "standard_name": "volume_fraction_of_condensed_water_in_soil"}
NO_LONGER = ("cell_methods", "valid_range", "valid_min", "valid_max", "actual_range", "vmin", "vmax")
AMOUNTS = ("precipitation", "rainfall", "snowfall", "runoff", "evaporation", "evapotranspiration", "transpiration")
"""Standard names ``<...>_amount`` of what falls or leaves in a step, other than ``surface_snow_amount``."""


def in_order(ds: xr.Dataset) -> tuple[xr.Dataset, np.ndarray | None]:
    """The dataset with UTC times in order, each once, and the bounds of the steps where the axis names them.

    Raises
    ------
    DataError
        Without times, where one comes twice, and for steps longer than a day.
    """
    bounds = _bounds(ds)
    ds = ds.drop_vars([b] if (b := _bounds_name(ds)) in ds.variables else [])
    ds = utc_times(ds, "The data", daily=False)
    if not ds.sizes.get("time") or "time" not in ds.coords:
        raise DataError(f"The data have no times (dims {dict(ds.sizes)}).", hint="Give steps of hours.")
    times = ds["time"].values
    order = np.argsort(times, kind="stable")
    if (order != np.arange(len(order))).any():
        ds, bounds, times = ds.isel(time=order), None if bounds is None else bounds[order], times[order]
    steps = np.diff(times)
    if len(steps) and not steps.min() > np.timedelta64(0):
        twice = times[1:][steps == np.timedelta64(0)][0]
        raise DataError(f"The data have the time {str(twice)[:16]} twice, expected each once.",
                        hint=f"{ONCE} A clock of summer time repeats an hour.")  # fmt: skip
    if step_of(times) > 24:
        raise DataError(f"The data have steps of {step_of(times) / 24:g} days, expected hours.",
                        hint="Days cannot be made of longer steps.")  # fmt: skip
    return ds, bounds


def step_of(times: np.ndarray) -> float:
    """The commonest step in hours, to the minute; a single time is a day."""
    if len(times) < 2:
        return 24.0
    minutes, count = np.unique(np.rint(np.diff(times) / HOUR * 60), return_counts=True)
    return max(float(minutes[count.argmax()]), 1.0) / 60


def _bounds_name(ds: xr.Dataset) -> str:
    coord = ds.coords.get("time")
    return "" if coord is None else str(coord.attrs.get("bounds", coord.encoding.get("bounds", "")))


def _bounds(ds: xr.Dataset) -> np.ndarray | None:
    name = _bounds_name(ds)
    bounds = ds[name].values if name in ds.variables else np.empty(0)
    return bounds if bounds.dtype.kind == "M" and bounds.shape == (ds.sizes.get("time"), 2) else None


def days_of_steps(
    times: np.ndarray, bounds: np.ndarray | None, offset: float, label: Literal["start", "end"], point: bool
) -> np.ndarray:
    """Day of each step: that of its middle where it has bounds and is no instant, else that of its stamp.

    Examples
    --------
    >>> times = np.array(["2021-04-02T00:00"], "M8[ns]")
    >>> days_of_steps(times, np.array([["2021-04-01T21:00", "2021-04-02T00:00"]], "M8[ns]"), 0.0, "start", False)
    array(['2021-04-01'], dtype='datetime64[D]')
    """
    at = times.astype("M8[ns]")
    if bounds is not None and not point:
        low, high = bounds.astype("M8[ns]").T
        at = low + (high - low) // 2
    elif label == "end" and not point:
        at = at - np.timedelta64(round(step_of(times) * 3.6e12), "ns") // 2
    return (at + np.timedelta64(round(offset * 3.6e12), "ns")).astype("M8[D]")


def daily_mean(values: np.ndarray, least: int) -> np.ndarray:
    """Mean over the first axis in float64; NaN where fewer than ``least`` values are there.

    Parameters
    ----------
    values : ndarray of float
        Steps of a day first, NaN where missing.
    least : int
        Values that a mean needs.

    Returns
    -------
    ndarray of float64
        Without the first axis.

    Examples
    --------
    >>> daily_mean(np.array([[1.0, 1.0], [3.0, np.nan]]), 2)
    array([ 2., nan])
    """
    valid = ~np.isnan(values)
    count = valid.sum(0)
    total = np.where(valid, values, 0).sum(0, dtype="f8")
    return np.divide(total, count, out=np.full(count.shape, np.nan), where=count >= least)


def is_amount(attrs: Mapping[str, Any]) -> bool:
    """Whether a variable is an amount of each step, by its cell methods, GRIB step or standard name: it is summed."""
    standard = str(attrs.get("standard_name", ""))
    return (
        "time: sum" in str(attrs.get("cell_methods", ""))
        or attrs.get("GRIB_stepType") == "accum"
        or (standard.endswith("_amount") and any(word in standard for word in AMOUNTS))
    )


def daily(
    ds: xr.Dataset, bounds: np.ndarray | None, names: Sequence[str], *, min_hours: float, offset: float,
    label: Literal["start", "end"], sums: Sequence[str], thickness: Mapping[str, str],
) -> xr.Dataset:  # fmt: skip
    """Days of some variables; see `xsm.to_daily`."""
    times = ds["time"].values
    step = step_of(times)
    whole = max(round(24 / step), 1)
    least = min(max(math.ceil(min_hours / step - 1e-6), 1), whole)
    points = {n: "time: point" in str(ds[n].attrs.get("cell_methods", "")) for n in names}
    day = {p: days_of_steps(times, bounds, offset, label, p) for p in sorted(set(points.values()))}
    first, last = min(d.min() for d in day.values()), max(d.max() for d in day.values())
    days = np.arange(first, last + 1)
    _tell_short(next(iter(day.values())), days, least, step)
    out = xr.Dataset(attrs=ds.attrs)
    for name in names:
        amount = name in sums or is_amount(ds[name].attrs)
        array = _over_days(ds[name], day[points[name]], days, least, whole if amount else 1)
        attrs = {k: v for k, v in ds[name].attrs.items() if k not in NO_LONGER}
        out[name] = array.assign_attrs(attrs, cell_methods=f"time: {'sum' if amount else 'mean'}")
        if (layer := _thickness(ds, name, thickness)) is not None:
            out[name] = _volumetric(out[name], layer)
    clock = "UTC day" if not offset else f"Day of UTC{offset:+g} h"
    about = {"standard_name": "time", "long_name": clock, "axis": "T", "hours_from_utc": offset}
    return out.assign_coords(time=("time", days.astype("M8[ns]"), about))


def _tell_short(day: np.ndarray, days: np.ndarray, least: int, step: float) -> None:
    count = np.bincount((day - days[0]).astype(int), minlength=len(days))
    short = days[count < least]
    if len(short):
        more = ", ..." if len(short) > SHOWN else ""
        tell(f"{len(short)} of {len(days)} days have fewer than {least} steps of {step:g} hours and are missing: "
             f"{', '.join(map(str, short[:SHOWN]))}{more}.")  # fmt: skip


def _over_days(array: xr.DataArray, day: np.ndarray, days: np.ndarray, least: int, times: int) -> xr.DataArray:
    """Mean of each day, times a number; NaN where fewer than ``least`` values are there. Lazy where the array is."""
    order = np.argsort(day, kind="stable")
    last = array.isel(time=order).transpose(..., "time").variable
    at = (day[order] - days[0]).astype("i8")
    double = array.dtype != np.float32
    means = functools.partial(_means, least=least, times=times, dtype=np.dtype("f8" if double else "f4"))
    if last.chunks is None:
        data: Any = means(np.asarray(last.values), at, 0, len(days))
    else:
        data = _by_blocks(last.data, at, len(days), means)
    coords = {n: c for n, c in array.coords.items() if "time" not in c.dims}
    return xr.DataArray(data, coords, last.dims, array.name).transpose(*array.dims)


def _means(values: np.ndarray, at: np.ndarray, first: int, count: int, *, least: int, times: int, dtype: Any) -> Any:
    """Means of ``count`` days along the last axis, whose days ``at`` are in order."""
    starts = np.flatnonzero(np.diff(at, prepend=-1)) if len(at) else at
    valid = np.isfinite(values)
    out = np.full((*values.shape[:-1], count), np.nan)
    if len(starts):
        total = np.add.reduceat(np.where(valid, values, 0), starts, axis=-1, dtype="f8")
        number = np.add.reduceat(valid, starts, axis=-1, dtype="i8")
        part = np.full(total.shape, np.nan)
        out[..., at[starts] - first] = np.divide(total * times, number, out=part, where=number >= least)
    return out.astype(dtype)


def _by_blocks(data: Any, at: np.ndarray, count: int, means: Any) -> Any:
    """Blocks of whole days: none is cut, and each takes the days up to the next."""
    ends = np.cumsum(data.chunks[-1])[:-1]
    starts = np.flatnonzero(np.diff(at, prepend=at[0] - 1))
    cuts = np.unique([0, *starts[np.searchsorted(starts, ends, "right") - 1], len(at)])
    edges = [0, *at[cuts[1:-1]].tolist(), count]
    data = data.rechunk({data.ndim - 1: tuple(np.diff(cuts).tolist())})

    def block(values: np.ndarray, block_id: tuple[int, ...] | None = None) -> Any:
        k = block_id[-1] if block_id else 0
        return means(values, at[cuts[k] : cuts[k + 1]], edges[k], edges[k + 1] - edges[k])

    chunks = (*data.chunks[:-1], tuple(np.diff(edges).tolist()))
    return data.map_blocks(block, dtype=means.keywords["dtype"], chunks=chunks, meta=np.empty((0,) * data.ndim))


def check_thickness(ds: xr.Dataset, names: Sequence[str], thickness: Mapping[str, str]) -> None:
    """Stop where a thickness is that of no variable, or of one that is no amount of water in a layer."""
    for name in thickness:
        if name not in names:
            raise unknown("variable", name, names)
        units = str(ds[name].attrs.get("units", ""))
        if not same_units(units or "1", "kg m-2"):
            raise DataError(f"'{name}' has the unit '{units}', expected kg m-2 for a layer with a thickness.",
                            hint="Leave it out of <thickness=>.")  # fmt: skip
        layer, size = _layer(ds, name), _thickness(ds, name, thickness)
        if layer and size is not None and not np.allclose(np.asarray(size), layer[0], rtol=0.01):
            tell(f"The thickness of '{name}' is stated as {thickness[name]}, but its layer is {layer[1]}.")
    for name in [n for n in names if n not in thickness]:
        attrs = ds[name].attrs
        text = " ".join(str(v) for v in (name, attrs.get("standard_name"), attrs.get("long_name"))).lower()
        soil = "soil" in text and ("moist" in text or "water" in text)
        if soil and same_units(str(attrs.get("units") or "1"), "kg m-2") and _thickness(ds, name, {}) is None:
            layer = _layer(ds, name)
            how = f"Give the thickness of its layer as <thickness={name}=NUMBER mm>, to get m3 m-3."
            if layer:
                how = (
                    f"Give the thickness of its layer of {layer[1]}, <thickness={name}={layer[0]:g} mm>, to get m3 m-3."
                )
            tell(f"'{name}' stays in {attrs['units']}. {render_hint(how)}")


LAYER = re.compile(
    r"(?<![\d.])(\d+(?:\.\d+)?)\s*(cm|mm|m)?\s*(?:-|_|\u2013|to)\s*"
    r"(\d+(?:\.\d+)?)[\s_]*(cm|mm|m)(?![a-z0-9])",
    re.I,
)
"""Two depths with a unit, as names and attributes write them."""


def _layer(ds: xr.Dataset, name: str) -> tuple[float, str] | None:
    """Thickness in mm and words of the layer that the name or the attributes of a variable state; None for none."""
    for text in (name, *(str(ds[name].attrs.get(k, "")) for k in ("long_name", "depth", "layer", "vertical_layer"))):
        if match := LAYER.search(text):
            upper, first_unit, lower, unit = match.groups()
            top, bottom = (
                float(v) * affine(u.lower(), "mm")[0] for v, u in ((upper, first_unit or unit), (lower, unit))
            )
            if bottom > top:
                return bottom - top, f"{upper} to {lower} {unit.lower()}"
    return None


def _thickness(ds: xr.Dataset, name: str, stated: Mapping[str, str]) -> float | xr.DataArray | None:
    """Thickness of the layers of a variable in mm: as stated, or by the bounds of its depths."""
    if name in stated:
        number, _, unit = stated[name].strip().partition(" ")
        try:
            size = float(number) * affine(unit.strip(), "mm")[0] if unit.strip() else math.nan
        except ValueError:
            size = math.nan
        if not size > 0:
            raise DataError(f"The thickness of '{name}' is '{stated[name]}', expected a number and a unit.",
                            hint="Write it as 100 mm, 10 cm or 0.1 m.")  # fmt: skip
        return size
    if not same_units(str(ds[name].attrs.get("units") or "1"), "kg m-2"):
        return None
    for coord in ds[name].coords.values():
        bounds = ds.variables.get(str(coord.attrs.get("bounds", coord.encoding.get("bounds", ""))))
        units = str(coord.attrs.get("units", ""))
        if coord.name != "time" and bounds is not None and bounds.shape == (*coord.shape, 2) and _is_length(units):
            return (
                xr.DataArray(np.abs(np.diff(bounds.values.astype("f8"))[..., 0]), dims=coord.dims)
                * affine(units, "mm")[0]
            )
    return None


def _is_length(units: str) -> bool:
    try:
        return affine(units, "mm")[1] == 0
    except DataError:
        return False


def _volumetric(array: xr.DataArray, layer: float | xr.DataArray) -> xr.DataArray:
    dtype = array.dtype
    out = (array / layer).astype(dtype).transpose(*array.dims).assign_attrs({**array.attrs, **VOLUME})
    if out.chunks is None and (mid := float(out.median())) > 1:
        raise DataError(f"With this thickness '{array.name}' has a median of {mid:.3g} m3 m-3.",
                        hint="State the thickness of the layer itself, such as 300 mm for 10 to 40 cm.")  # fmt: skip
    return out
