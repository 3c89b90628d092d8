"""A reference series beside the data: the same days, the same cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from xsm.contracts.containers import as_dataset
from xsm.data.ranges import checked
from xsm.data.series import days_of, series_names
from xsm.data.time import are_months
from xsm.errors import DataError, UsageError

FEWEST = 30
"""Days, or months, that data and reference must share."""
BESIDE = ("time", "day_of_year")
"""Dims that are no cells."""


def beside(ds: xr.Dataset, reference: Any, to: str | None) -> xr.DataArray | None:
    """The reference on the days (months) of the data, NaN on those that it lacks; None where neither argument is given.

    Parameters
    ----------
    ds : xarray.Dataset
        Data with times in order, from `xsm.data.series.days_of`.
    reference : Dataset, DataArray, Series or DataFrame, optional
        Data that has the reference; by default ``ds`` itself.
    to : str, optional
        Name of the variable; may be left out where the reference has a single series.

    Raises
    ------
    DataError
        Where days or cells are not those of the data.
    UsageError
        Where several variables could be meant.

    Examples
    --------
    >>> days = np.array(["2021-04-01", "2021-04-02"], "M8[ns]")
    >>> ds = xr.Dataset({"sm": ("time", [0.1, 0.2])}, {"time": days})
    >>> beside(ds, ds.isel(time=[1]).rename(sm="station"), None).values
    array([nan, 0.2])
    """
    if reference is None and to is None:
        return None
    other = as_dataset("reference", ds if reference is None else reference)[0]
    if not isinstance(other, xr.Dataset):
        raise UsageError(f"'reference' is a {type(reference).__name__}, expected data with times.",
                         hint="Give a Dataset, a DataArray or a pandas Series.")  # fmt: skip
    months = are_months(ds["time"].values)
    other, _ = days_of(other, "The reference", months=months)
    if months and not are_months(other["time"].values):
        raise DataError("The reference has times of days, the data have months.",
                        hint="Give means of months as the reference, or days of the data.")  # fmt: skip
    names = series_names(other, None if to is None else [to])
    if len(names) > 1:
        raise UsageError(f"The reference has several series: {', '.join(names)}.", hint=f"Name one: <to={names[0]}>.")
    array = checked(other, names)[names[0]]
    unit = "M8[M]" if months else "M8[D]"
    array = array.assign_coords(time=array["time"].values.astype(unit).astype("M8[ns]"))
    stamps = ds["time"].values.astype(unit).astype("M8[ns]")
    if not np.isin(stamps, array["time"].values).any():
        first, last = (str(t)[:10] for t in array["time"].values[[0, -1]])
        raise DataError(
            f"The reference covers {first} to {last}, the data {str(stamps[0])[:10]} to {str(stamps[-1])[:10]}: "
            f"no {'month' if months else 'day'} in common.",
            hint="Give a reference of the same period.",
        )
    array = array.reindex(time=stamps).assign_coords(time=ds["time"])
    array = array.squeeze([d for d in array.dims if array.sizes[d] == 1 and d not in ds.dims], drop=True)
    same_cells(array, ds, "The reference")
    return array


def same_dims(array: xr.DataArray, values: xr.DataArray, what: str) -> None:
    """Stop where an array has dims besides the data's, which would give every cell of one with every cell of the other.

    Parameters
    ----------
    array, values : DataArray
        The reference, or what else is beside the data, and one of their variables.
    what : str
        Names the array in the error.

    Examples
    --------
    >>> station = xr.DataArray([0.1, 0.2], dims="time")
    >>> same_dims(station, xr.DataArray(np.zeros((2, 3)), dims=("time", "cell")), "The reference")
    """
    others = [str(d) for d in array.dims if d not in values.dims and d not in BESIDE]
    if others:
        here = ", ".join(map(str, values.dims))
        raise DataError(f"{what} has the dims {', '.join(map(str, array.dims))}, '{values.name}' has {here}.",
                        hint="Bring both to one grid first, with <regrid()>, or give a single series for all cells, "
                             "such as that of a place by <at()>.")  # fmt: skip


def same_cells(array: xr.DataArray, ds: xr.Dataset, what: str) -> None:
    """Stop where an array has other cells than the data; ``what`` names it in the error."""
    for dim in array.dims:
        if dim in ds.dims and array.sizes[dim] != ds.sizes[dim]:
            raise DataError(f"{what} has {array.sizes[dim]} cells along '{dim}', the data {ds.sizes[dim]}.",
                            hint="Bring both to one grid first, with <regrid()>.")  # fmt: skip
        if dim in array.indexes and dim in ds.indexes and not array.indexes[dim].equals(ds.indexes[dim]):
            raise DataError(f"{what} has other values along '{dim}' than the data.",
                            hint="Bring both to one grid first, with <regrid()>.")  # fmt: skip


def compared(
    ds: xr.Dataset, reference: Any, to: str | None, variables: Sequence[str] | None
) -> tuple[xr.Dataset, list[str], xr.DataArray]:
    """The data, whose series are checked, names of those to compare with a reference (not itself), and the reference.

    See `beside` and `xsm.data.ranges.checked`.

    Raises
    ------
    UsageError
        Where neither a reference nor one of the data's variables is named, or no other series is left.

    Examples
    --------
    >>> days = np.array(["2021-04-01", "2021-04-02"], "M8[ns]")
    >>> sm = ("time", [0.2, 0.3], {"units": "m3 m-3"})
    >>> _, names, noah = compared(xr.Dataset({"sm_dca": sm, "sm_noah": sm}, {"time": days}), None, "sm_noah", None)
    >>> names, noah.name
    (['sm_dca'], 'sm_noah')
    """
    other = beside(ds, reference, to)
    if other is None:
        raise UsageError("There is no reference, expected one to compare with.",
                         hint="Give data with <reference=>, or another variable of the input with <to=>.")  # fmt: skip
    names = series_names(ds, variables)
    if reference is None and not variables:
        names = [n for n in names if n != to]
    if not names:
        raise UsageError(f"The input has no other series than '{to}'.", hint="Give a reference with <reference=>.")
    for name in names:
        same_dims(other, ds[name], "The reference")
    return checked(ds, names), names, other


def common_deviations(
    rows: np.ndarray, other: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Means of both on their common days, deviations from them (0 elsewhere), and how many, NaN if too few."""
    both = np.isfinite(rows) & np.isfinite(other)
    count = both.sum(1).astype("f8")
    count[count < FEWEST] = np.nan
    mean, mean_other = (np.where(both, v, 0.0).sum(1) / count for v in (rows, other))
    one, two = (np.where(both, v - m[:, None], 0.0) for v, m in ((rows, mean), (other, mean_other)))
    return mean, mean_other, one, two, count
