"""The soil water index of any daily soil moisture: an exponential filter of the past."""

from typing import Annotated

import numpy as np
import xarray as xr
from xsm import DataError
from xsm.plugin_api import Param, add_history, operation


@operation(title="Soil water index", group="Analysis")
def soil_water_index(
    ds: Annotated[xr.Dataset, Param("Daily soil moisture, with or without gaps.")],
    *,
    variable: Annotated[str, Param("What to filter.")] = "sm_dca",
    scale: Annotated[int, Param("Time scale of the filter.", unit="days", minimum=1)] = 10,
) -> xr.Dataset:
    """Smooth daily surface soil moisture to what a deeper layer would show.

    Mean of the past, weighted by exp(-age / scale), over the days that have a value: the exponential filter in the
    recursive form of Albergel et al. (2008), doi:10.5194/hess-12-1323-2008.

    Parameters
    ----------
    ds : xarray.Dataset
        Daily, dims with ``time``; lazy for dask.
    variable : str
        What to filter.
    scale : int
        Days after which a value counts 1/e.

    Returns
    -------
    xarray.Dataset
        ``swi`` in the unit of the variable.

    Raises
    ------
    DataError
        Where the dataset lacks the variable.
    """
    if variable not in ds:
        raise DataError(f"The dataset has no '{variable}'.", hint=f"It contains {', '.join(map(str, ds))}.")
    source = ds[variable]
    lazy = source.chunk(time=-1) if source.chunks is not None else source
    swi = xr.apply_ufunc(
        _filter,
        lazy,
        input_core_dims=[["time"]],
        output_core_dims=[["time"]],
        kwargs={"decay": np.exp(-1 / scale)},
        dask="parallelized",
        output_dtypes=["f4"],
    ).transpose(*source.dims)
    swi.attrs = {"units": source.attrs.get("units", ""), "long_name": f"Soil water index, {scale} days"}
    return add_history(swi.to_dataset(name="swi"), "soil_water_index", variable=variable, scale=scale)


def _filter(values, decay):
    total, weight = np.zeros((2, *values.shape[:-1]))
    out = np.full(values.shape, np.nan, "f4")
    for day in range(values.shape[-1]):
        valid = np.isfinite(values[..., day])
        total = total * decay + np.where(valid, values[..., day], 0)
        weight = weight * decay + valid
        np.divide(total, weight, out=out[..., day], where=weight > 0, casting="same_kind")
    return out
