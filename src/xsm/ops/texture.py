"""USDA soil texture classes from sand, silt and clay (documentation: Soil texture)."""

from __future__ import annotations

from typing import Annotated

import xarray as xr

from xsm.contracts.operation import Param, operation
from xsm.data import cf
from xsm.data.soil_texture import texture_of


@operation(title="Soil texture class", group="Soil")
def texture(ds: Annotated[xr.Dataset, Param("Soil maps: sand, silt and clay.")]) -> xr.Dataset:
    """Classify sand, silt and clay into the USDA soil texture classes.

    Parameters
    ----------
    ds : xarray.Dataset
        ``sand``, ``silt`` and ``clay`` of any equal dims and one unit; their sum is rescaled to 100 percent.

    Returns
    -------
    xarray.Dataset
        ``texture``, uint8, 1 to 12 as ``flag_meanings`` names them, 255 where a fraction is missing or negative. Lazy
        for dask.

    Raises
    ------
    DataError
        Where a fraction is missing or the units differ.

    Examples
    --------
    >>> soil = xr.Dataset({"sand": ("x", [40.0]), "silt": ("x", [40.0]), "clay": ("x", [20.0])})
    >>> classes = texture(soil)["texture"]
    >>> classes.attrs["flag_meanings"].split()[int(classes[0]) - 1]
    'loam'
    """
    return cf.add_history(texture_of(ds).to_dataset(name="texture").assign_attrs(ds.attrs), "texture")
