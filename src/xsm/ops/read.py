"""Read a file of maps, series or stations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import xarray as xr

from xsm.contracts.operation import Param, operation
from xsm.io import files


@operation(title="Read a file", group="Data", accessor=False, analyst=False)
def read(path: Annotated[Path, Param("NetCDF, Zarr, GeoTIFF, or a CSV of stations.")]) -> xr.Dataset:
    """Read a file that xsm or another tool wrote, lazily: NetCDF, Zarr, GeoTIFF, or a CSV of stations.

    Times and missing values are decoded. Files of the products of the agencies are read by `xsm.open`.

    Parameters
    ----------
    path : Path
        A ``.nc``, ``.zarr``, ``.tif`` or ``.csv``. A GeoTIFF with dates as names of its bands gets ``time``; variables
        that `xsm.to_geotiff` wrote beside it are read too. The columns of a CSV are those of stations (documentation:
        How to, "Your stations").

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    DataError
        Where the file does not exist, is damaged, or is of another kind.

    Examples
    --------
    >>> import tempfile, xsm
    >>> path = Path(tempfile.mkdtemp()) / "cube.tif"
    >>> cube = xsm.example("cube", size=16, days=10)[["sm_dca"]]
    >>> _ = cube.sm.to_geotiff(path)
    >>> xsm.read(path)["sm_dca"].equals(cube["sm_dca"])
    True
    """
    return files.read_all(path)
