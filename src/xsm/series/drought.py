"""Classes of drought from percentiles, and the share of the area in each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from xsm.data.cf import NO_CLASS, same_units
from xsm.data.positions import axes_of
from xsm.data.roles import SOURCE
from xsm.errors import DataError, tell

LIMITS = {"D0": 30.0, "D1": 20.0, "D2": 10.0, "D3": 5.0, "D4": 2.0}
"""Largest percentiles of the classes."""
FEW = 30
"""Values of which some percentile is above 1, but for a drought without example."""
DIM, SUFFIX = "drought_class", "_percentile"
WHOLE = 2**30
"""Weight of a cell at the equator; weights are whole numbers, so that sums do not depend on their order."""


def percentile_names(ds: xr.Dataset) -> list[str]:
    """Variables that are percentiles, by name or long name; their unit must be percent.

    Examples
    --------
    >>> percentile_names(xr.Dataset({"sm": ("time", [0.2]), "sm_percentile": ("time", [20.0])}))
    ['sm_percentile']
    """
    names = [
        str(n)
        for n, v in ds.data_vars.items()
        if "time" in v.dims
        and (str(n).endswith(SUFFIX) or str(v.attrs.get("long_name", "")).lower().startswith("percentile"))
    ]
    for name in names:
        units = str(ds[name].attrs.get("units", "percent"))
        if not same_units(units, "percent"):
            raise DataError(f"'{name}' has the unit '{units}', expected percent.",
                            hint="Multiply shares of 1 by 100 and set attrs['units'] to 'percent'.")  # fmt: skip
        if ds[name].chunks is None:
            _doubt_shares(ds[name])
        if ds[name].chunks is None and not (ds[name].isnull() | ((ds[name] >= 0) & (ds[name] <= 100))).all():
            low, high = float(ds[name].min()), float(ds[name].max())
            raise DataError(f"'{name}' has values from {low:g} to {high:g}, expected percentiles from 0 to 100.",
                            hint="Compute them with <percentile()>.")  # fmt: skip
    return names


def _doubt_shares(percentiles: xr.DataArray) -> None:
    """Stop or warn where percentiles are all from 0 to 1: ranks as shares, by number, spread and unit."""
    values = percentiles.values[np.isfinite(percentiles.values)]
    if values.size < 2 or not ((values >= 0) & (values <= 1)).all() or values.max() == values.min():
        return
    what = f"'{percentiles.name}' has values from {values.min():.3g} to {values.max():.3g} only"
    hint = "Multiply shares of 1, as of rank(pct=True), by 100."
    if values.size >= FEW and values.max() > 0.5 and "units" not in percentiles.attrs:
        raise DataError(f"{what}, expected percentiles from 0 to 100.", hint=hint)
    tell(f"{what} and is taken as percentiles from 0 to 100. {hint}")


def drought_of(ds: xr.Dataset, names: Sequence[str]) -> xr.Dataset:
    """Classes of some variables of percentiles, and of those with cells the area in each; see `xsm.drought`."""
    out = xr.Dataset()
    for name in names:
        source = str(ds[name].attrs.get(SOURCE, name.removesuffix(SUFFIX)))
        classes = xr.apply_ufunc(classified, ds[name], dask="parallelized", output_dtypes=[np.uint8])
        classes.attrs = {k: v for k, v in ds[name].attrs.items() if k == "grid_mapping"} | {
            "long_name": f"US Drought Monitor class ({source})",
            "units": "1",
            "flag_values": np.arange(len(LIMITS) + 1, dtype="u1"),
            "flag_meanings": " ".join(("none", *LIMITS)),
            SOURCE: source,
        }
        classes.encoding = {"_FillValue": NO_CLASS}
        out[f"{source}_drought"] = classes
        if classes.ndim > 1:
            area, weights = _area(classes)
            area.attrs = {
                "long_name": f"Area in a drought class or a worse one ({source})",
                "units": "percent",
                "comment": f"Share of the area with a class; {weights}.",
                SOURCE: source,
            }
            out[f"{source}_drought_area"] = area
    return out


def classified(percentiles: np.ndarray) -> np.ndarray:
    """Classes of percentiles: 0 for none, 1 to 5 for D0 to D4, 255 where missing.

    Examples
    --------
    >>> classified(np.array([50, 30, 10.1, 2, np.nan]))
    array([  0,   1,   2,   5, 255], dtype=uint8)
    """
    worse = sum((percentiles <= limit).astype("u1") for limit in LIMITS.values())
    return np.where(np.isfinite(percentiles), worse, NO_CLASS).astype("u1")


def _area(classes: xr.DataArray) -> tuple[xr.DataArray, str]:
    """Share of the area in each class or a worse one (time, drought_class), and how cells are weighted."""
    weights, words = _weights(classes)
    valid = classes != NO_CLASS
    across = [d for d in classes.dims if d not in ("time", *weights.dims)]

    def area(cells: xr.DataArray) -> xr.DataArray:
        return (cells.sum(across) * weights).sum(weights.dims)

    shares = xr.concat([area((classes >= k) & valid) for k in range(1, len(LIMITS) + 1)], DIM)
    whole = area(valid)
    shares = 100 * shares / whole.where(whole > 0)
    names = xr.DataArray(list(LIMITS), dims=DIM, attrs={"long_name": "US Drought Monitor class"})
    return shares.assign_coords({DIM: names}).transpose("time", DIM), words


def _weights(classes: xr.DataArray) -> tuple[xr.DataArray, str]:
    """Weights of cells by their area, as whole numbers."""
    ds = classes.to_dataset(name="classes")
    try:
        y, _, cell = axes_of(ds)
    except DataError:
        return xr.DataArray(1), "each cell or series counts the same"
    if cell or ds[y].ndim != 1:
        return xr.DataArray(1), "the cells of the grid have equal areas"
    rows = np.rint(np.cos(np.radians(ds[y])) * WHOLE).astype("i8").drop_vars(y, errors="ignore")
    return rows, "cells are weighted with the cosine of their latitude"
