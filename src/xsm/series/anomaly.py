"""Anomalies: differences from a moving mean or from a climatology, on request in standard deviations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from xsm.compute.along_time import along_time
from xsm.compute.moving import moving_mean, moving_std
from xsm.data.series import derived
from xsm.errors import DataError, UsageError
from xsm.series.alongside import same_cells, same_dims
from xsm.series.day_of_year import DIM, LENGTH, RULES, day_of_year

DAYS = 64
"""Days of maps in memory whose anomalies are computed at once."""


def from_moving_mean(
    ds: xr.Dataset, days: np.ndarray, names: Sequence[str], window: int, standardise: bool, min_obs: int
) -> xr.Dataset:
    """Differences from the moving mean of some variables; see `xsm.anomaly`."""
    number = (days - days[0]).astype(int)

    def difference(rows: np.ndarray) -> np.ndarray:
        anomalies = rows - moving_mean(rows, number, window, min_obs)
        return _scaled(anomalies, moving_std(rows, number, window, min_obs)) if standardise else anomalies

    out = xr.Dataset()
    for name in names:
        (anomalies,) = along_time(difference, ds[name])
        out[f"{name}_anomaly"] = _described(anomalies, ds, name, f"the moving mean of {window} days", standardise)
    return out


def from_climatology(
    ds: xr.Dataset, days: np.ndarray, names: Sequence[str], climatology: xr.Dataset, leap_days: bool, standardise: bool
) -> xr.Dataset:
    """Differences from a climatology, matched by day of year; see `xsm.anomaly`."""
    number = xr.DataArray(day_of_year(days, leap_days), dims="time")
    out = xr.Dataset()
    for name in names:
        mean, std = _of_variable(ds, name, names, climatology, standardise)
        anomalies = _differences(ds[name], mean, std, number)
        out[f"{name}_anomaly"] = _described(anomalies, ds, name, "the climatology", standardise)
    return out


def _differences(
    values: xr.DataArray, mean: xr.DataArray, std: xr.DataArray | None, number: xr.DataArray
) -> xr.DataArray:
    """Values less the mean of their days of year; what is in memory a few days at a time."""
    dtype = np.dtype("f4" if values.dtype == np.float32 else "f8")

    def of_days(at: slice) -> xr.DataArray:
        day = {DIM: number.isel(time=at)}
        anomalies = values.isel(time=at) - mean.sel(day).drop_vars(DIM)
        if std is not None:
            anomalies = _scaled(anomalies, std.sel(day).drop_vars(DIM))
        return anomalies.transpose(*values.dims).astype(dtype, copy=False)

    if values.chunks is not None or mean.chunks is not None:
        return of_days(slice(None))
    out = values.astype(dtype)
    for first in range(0, values.sizes["time"], DAYS):
        at = slice(first, first + DAYS)
        out[{"time": at}] = of_days(at).variable
    return out


def _scaled(anomalies: Any, std: Any) -> Any:
    """Anomalies in standard deviations; missing where all values were the same."""
    where = xr.where if isinstance(std, xr.DataArray) else np.where
    return anomalies / where(std > 0, std, np.nan)


def _described(array: xr.DataArray, ds: xr.Dataset, name: str, what: str, standardise: bool) -> xr.DataArray:
    text = f"{'Standardised a' if standardise else 'A'}nomaly from {what}"
    return derived(array, ds, name, text, **({"units": "1"} if standardise else {}))


def as_climatology(value: Any) -> xr.Dataset:
    """A climatology as a dataset on all days of year; of pandas the index has the days of year.

    Examples
    --------
    >>> import pandas as pd
    >>> as_climatology(pd.Series([0.2, 0.3], [1, 2])).sizes["day_of_year"]
    366
    """
    if hasattr(value, "to_xarray") and hasattr(value, "index"):
        frame = value.to_frame("climatology" if value.name is None else value.name) if value.ndim == 1 else value
        if frame.index.name not in (None, DIM) or frame.index.dtype.kind not in "iu":
            raise UsageError(
                f"'climatology' is a {type(value).__name__} with an index of the type {frame.index.dtype}, expected "
                "days of year.",
                hint="Give the result of <climatology()>, or a Series with the index 1 to 366.",
            )
        value = frame.rename_axis(DIM).to_xarray()
    if isinstance(value, xr.DataArray):
        value = value.to_dataset(name="climatology" if value.name is None else value.name)
    if not isinstance(value, xr.Dataset):
        raise UsageError(f"'climatology' is a {type(value).__name__}, expected data with days of year.",
                         hint="Give the result of <climatology()>.")  # fmt: skip
    if DIM not in value.dims:
        raise DataError(
            f"The climatology has the dims {tuple(map(str, value.dims))}, expected 'day_of_year'.",
            hint="Give the result of <climatology()>; the days of an xarray groupby are renamed to day_of_year.",
        )
    if DIM not in value.indexes:
        if value.sizes[DIM] != LENGTH:
            raise DataError(f"The climatology has {value.sizes[DIM]} days without numbers, expected {LENGTH}.",
                            hint="Number them with a coordinate day_of_year.")  # fmt: skip
        value = value.assign_coords({DIM: np.arange(1, LENGTH + 1)})
    attrs = dict(value[DIM].attrs)
    value = value.reindex({DIM: np.arange(1, LENGTH + 1)})
    value[DIM].attrs.update(attrs)
    return value


def leap_rule(climatology: xr.Dataset) -> bool | None:
    """How a climatology counts days, by its attribute; None where it has none."""
    text = climatology[DIM].attrs.get("leap_days")
    return next((rule for rule, words in RULES.items() if words == text), None)


def _of_variable(
    ds: xr.Dataset, name: str, names: Sequence[str], climatology: xr.Dataset, standardise: bool
) -> tuple[xr.DataArray, xr.DataArray | None]:
    """Climatology and standard deviation of a variable."""
    known = [str(n) for n, v in climatology.data_vars.items() if DIM in v.dims]
    means = [n for n in known if not n.endswith("std")]
    match = f"{name}_climatology"
    if match not in means:
        if len(names) > 1 or len(means) != 1:
            raise DataError(f"The climatology has no '{match}' (it has {', '.join(known) or 'none'}).",
                            hint="Compute it from the same variables, or name one with <variables=>.")  # fmt: skip
        match = means[0]
    spread = next((n for n in (f"{match}_std", "std") if n in known), None)
    if standardise and spread is None:
        raise DataError(f"The climatology has no standard deviation '{match}_std'.",
                        hint="Compute it with <climatology()> and <std=True>.")  # fmt: skip
    arrays = [climatology[match], *([climatology[spread]] if standardise and spread else [])]
    for array in arrays:
        same_cells(array, ds, "The climatology")
        same_dims(array, ds[name], "The climatology")
    return arrays[0], arrays[1] if len(arrays) > 1 else None
