"""The xarray engine ``modis_landcover``: one file, lazily, under the first day of its year."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from xarray.backends import BackendEntrypoint
from xsm import DataError
from xsm.plugin_api import make_request

from xsm_modis import INFO
from xsm_modis.layout import YEAR
from xsm_modis.names import is_igbp
from xsm_modis.source import LandCoverSource


class LandCoverBackend(BackendEntrypoint):
    """Open one MCD12Q1 or MCD12C1 file as ``land_cover (time=1, y, x)``, so that years concatenate.

    Examples
    --------
    >>> xr.open_mfdataset(years, engine="modis_landcover")["land_cover"]  # doctest: +SKIP
    """

    description = "MODIS land cover, IGBP classes (xsm)"
    url = "https://lpdaac.usgs.gov/products/mcd12q1v061/"
    open_dataset_parameters = ("filename_or_obj", "drop_variables", "legend")

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        legend: Any = None,
    ) -> xr.Dataset:
        """Open a file with its year in its name.

        Parameters
        ----------
        filename_or_obj : str or path
            HDF4 or GeoTIFF.
        drop_variables : str or iterable of str, optional
            Names to leave out.
        legend : {"MCD12Q1", "MCD12C1"}, optional
            As in `LandCoverSource.open`.
        """
        path = Path(os.fspath(filename_or_obj))
        year = YEAR.search(path.name)
        if year is None:
            raise DataError(
                f"The name of '{path}' contains no year.", hint="Keep the product's names, or use <open()>."
            )
        ds = LandCoverSource().open(make_request(INFO, [path], legend=legend))
        dropped = [drop_variables] if isinstance(drop_variables, str) else list(drop_variables or ())
        time = xr.Variable("time", [np.datetime64(f"{year[1]}-01-01", "ns")], {"standard_name": "time", "axis": "T"})
        return ds.expand_dims(time=1).assign_coords(time=time).drop_vars(dropped)

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Tell by the name."""
        return isinstance(filename_or_obj, str | os.PathLike) and is_igbp(Path(filename_or_obj).name)
