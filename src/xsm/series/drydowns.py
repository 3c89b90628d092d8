"""Drydowns: events of drying, each with an exponential decay."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from xsm.compute.along_time import along_time
from xsm.compute.jit import jit
from xsm.data.emptiness import tell_emptied, valid_share
from xsm.data.series import derived

FEWEST = 3
"""Events that a median needs."""
SHORTEST, LONGEST = 0.1, 200.0
"""Bounds of the e-folding time in days; a fit that ends there is none."""
TRIED = 60
"""Times between the bounds that are tried before the best is refined."""
COLUMNS = ("start", "length", "tau", "amplitude", "floor", "r2")
ABOUT = {
    "start": "First day of a drydown",
    "length": "Days from the first to the last value of a drydown",
    "tau": "E-folding time of a drydown",
    "amplitude": "Amplitude of a drydown",
    "floor": "Moisture that a drydown tends to",
    "r2": "Share of the variance that the fit of a drydown explains",
}
UNITS = {"length": "days", "tau": "days", "r2": "1"}


def drydowns(
    ds: xr.Dataset, days: np.ndarray, names: Sequence[str], rules: tuple[int, int, float, float, float], events: bool
) -> xr.Dataset:
    """Drydowns of some variables; see `xsm.drydown`.

    ``rules``: fewest values, longest gap in days, rise and noise as shares of the range, smallest R2.
    """
    at = (days - days[0]).astype(int)
    most = max(len(days) // (rules[0] - 1), 1)
    out = xr.Dataset()
    for name in names:
        (table,) = along_time(functools.partial(_table, at=at, rules=rules, most=most), ds[name],
                              outputs=[("column", "event")], sizes={"column": len(COLUMNS), "event": most})  # fmt: skip
        of = {column: table.isel(column=i) for i, column in enumerate(COLUMNS)}
        count = of["tau"].notnull().sum("event")
        for suffix, result, title, attrs in [
            ("", _quantile(of["tau"], 0.5), "E-folding time of drydowns, median", {"units": "days"}),
            ("_low", _quantile(of["tau"], 0.25), "E-folding time of drydowns, first quartile", {"units": "days"}),
            ("_high", _quantile(of["tau"], 0.75), "E-folding time of drydowns, third quartile", {"units": "days"}),
            ("_n", count.astype(table.dtype), "Number of drydowns", {"units": "1"}),
            ("_floor", _quantile(of["floor"], 0.5), "Moisture that drydowns tend to, median", {}),
            ("_r2", _quantile(of["r2"], 0.5), "Share of the variance that fits explain, median", {"units": "1"}),
        ]:
            out[f"{name}_drydown{suffix}"] = derived(result, ds, name, title, **attrs)
        if events:
            _add_events(out, ds, name, of, days[0])
        why = f"No series has {FEWEST} drydowns that a decay fits; see the limits of an event."
        tell_emptied(out, {f"{name}_drydown": valid_share(ds[name])}, why, [f"{name}_drydown"])
    if events and not any(v.chunks for v in out.values()):
        out = out.isel(event=slice(max(int(out[f"{n}_drydown_n"].max()) for n in names)))
    return out


def _add_events(out: xr.Dataset, ds: xr.Dataset, name: str, of: dict[str, xr.DataArray], first: np.datetime64) -> None:
    """Write the variables of single events, days as dates."""
    for column, result in of.items():
        attrs = {"units": UNITS[column]} if column in UNITS else {}
        array = derived(result, ds, name, ABOUT[column], **attrs)
        if column == "start":
            array = xr.apply_ufunc(_dates, result, kwargs={"first": first}, dask="parallelized",
                                   output_dtypes=["M8[ns]"])  # fmt: skip
            array = array.assign_attrs(derived(result, ds, name, ABOUT[column]).attrs)
            array.attrs.pop("units", None)
        out[f"{name}_drydown_event_{column}"] = array


def _dates(offsets: np.ndarray, first: np.datetime64) -> np.ndarray:
    days = np.where(np.isfinite(offsets), offsets, 0).astype("m8[D]") + first
    return np.where(np.isfinite(offsets), days.astype("M8[ns]"), np.datetime64("NaT", "ns"))


def _quantile(array: xr.DataArray, share: float) -> xr.DataArray:
    """Quantile over the events, NaN where there are too few."""
    return xr.apply_ufunc(_quantile_of, array, input_core_dims=[["event"]], kwargs={"share": share},
                          dask="parallelized", output_dtypes=[array.dtype])  # fmt: skip


def _quantile_of(events: np.ndarray, share: float) -> np.ndarray:
    """Quantile along the last axis, linear between values."""
    ordered = np.sort(events, axis=-1)
    count = np.isfinite(ordered).sum(-1)
    place = np.maximum(count - 1, 0) * share
    low = np.floor(place).astype(int)
    one, two = (
        np.take_along_axis(ordered, i[..., None], -1)[..., 0]
        for i in (low, np.minimum(low + 1, np.maximum(count - 1, 0)))
    )
    return np.where(count >= FEWEST, one + (two - one) * (place - low), np.nan).astype(events.dtype)


def _table(rows: np.ndarray, at: np.ndarray, rules: tuple[int, int, float, float, float], most: int) -> np.ndarray:
    """Events of each row ``(cell, column, event)``, NaN after the last."""
    return _events(rows, at, *rules, most)


@jit()
def _events(rows: Any, at: Any, fewest: int, gap: int, rise: float, noise: float, least: float, most: int) -> Any:
    """Find the drydowns of each row and fit them."""
    out = np.full((rows.shape[0], 6, most), np.nan)
    for cell in range(rows.shape[0]):
        valid = np.isfinite(rows[cell])
        values, days = rows[cell][valid], at[valid]
        if len(values) < fewest:
            continue
        ordered = np.sort(values)
        extent = ordered[int(0.95 * (len(values) - 1))] - ordered[int(0.05 * (len(values) - 1))]
        event, i = 0, 1
        while i < len(values) - 1:
            last = _end(values, days, i, gap, noise * extent)
            if last - i + 1 < fewest or values[i] - _trough(values, days, i, gap) < max(rise * extent, 1e-12):
                i += 1
                continue
            tau, amplitude, floor, r2 = _decay(values[i : last + 1], days[i : last + 1] - days[i], ordered[0])
            if r2 >= least:
                out[cell, 0, event], out[cell, 1, event] = days[i], days[last] - days[i]
                out[cell, 2, event], out[cell, 3, event] = tau, amplitude
                out[cell, 4, event], out[cell, 5, event] = floor, r2
                event += 1
            i = last
    return out


@jit()
def _end(values: Any, days: Any, start: int, gap: int, noise: float) -> int:
    """Last value of the decline that starts here: the lowest before a rise above the noise or a long gap."""
    lowest, k = start, start + 1
    if values[k] >= values[start]:
        return start
    while k < len(values) and days[k] - days[k - 1] <= gap and values[k] <= values[lowest] + noise:
        if values[k] <= values[lowest]:
            lowest = k
        k += 1
    return lowest


@jit()
def _trough(values: Any, days: Any, start: int, gap: int) -> float:
    """Value before the rise that ends here."""
    k = start
    while k > 0 and values[k - 1] < values[k] and days[k] - days[k - 1] <= gap:
        k -= 1
    return values[k]


@jit()
def _decay(values: Any, days: Any, lowest: float) -> Any:
    """Best ``amplitude * exp(-t / tau) + floor`` and its R2; NaN where it lies at a bound of tau."""
    ratio = math.log(LONGEST / SHORTEST) / TRIED
    best, error, scratch = 0, np.inf, np.empty(len(days))
    for k in range(TRIED + 1):
        this, _, _ = _linear(values, days, lowest, SHORTEST * math.exp(ratio * k), scratch)
        if this < error:
            best, error = k, this
    variance = ((values - values.mean()) ** 2).sum()
    if best in (0, TRIED) or variance <= 0:
        return np.nan, np.nan, np.nan, np.nan
    low, high = math.log(SHORTEST) + ratio * (best - 1), math.log(SHORTEST) + ratio * (best + 1)
    golden = (math.sqrt(5.0) - 1) / 2
    while high - low > 1e-7:
        one, two = high - golden * (high - low), low + golden * (high - low)
        left = _linear(values, days, lowest, math.exp(one), scratch)[0]
        if left <= _linear(values, days, lowest, math.exp(two), scratch)[0]:
            high = two
        else:
            low = one
    tau = math.exp((low + high) / 2)
    error, amplitude, floor = _linear(values, days, lowest, tau, scratch)
    return tau, amplitude, floor, 1 - error / variance


@jit()
def _linear(values: Any, days: Any, lowest: float, tau: float, decay: Any) -> Any:
    """Sum of squares, amplitude and floor for a time, the floor from ``lowest`` to the last value.

    ``decay`` is room for as many numbers as days.
    """
    mean, mean_value = 0.0, values.mean()
    for i in range(len(days)):
        decay[i] = math.exp(-days[i] / tau)
        mean += decay[i] / len(days)
    squares, products = 0.0, 0.0
    for i in range(len(days)):
        squares += (decay[i] - mean) ** 2
        products += (decay[i] - mean) * (values[i] - mean_value)
    amplitude = products / squares if squares > 0 else 0.0
    floor = mean_value - amplitude * mean
    if not lowest <= floor <= values[-1]:
        floor = min(max(floor, lowest), values[-1])
        squares, products = 0.0, 0.0
        for i in range(len(days)):
            squares += decay[i] ** 2
            products += decay[i] * (values[i] - floor)
        amplitude = products / squares
    error = 0.0
    for i in range(len(days)):
        error += (values[i] - amplitude * decay[i] - floor) ** 2
    return error, amplitude, floor
