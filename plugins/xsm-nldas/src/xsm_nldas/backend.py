"""The xarray engine "nldas": one file at its own time step, under the names of the product."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from xarray.backends import BackendEntrypoint
from xsm.plugin_api import check_hdf5

from xsm_nldas import grib
from xsm_nldas.files import NAME, check_whole, read_header


class NldasBackend(BackendEntrypoint):
    """``xr.open_dataset(path, engine="nldas")``: lazy, decoded to float32, always with ``time``."""

    description = "NLDAS-2 hourly netCDF-4 and GRIB1 files, decoded to float32"
    url = "https://disc.gsfc.nasa.gov/datasets/NLDAS_NOAH0125_H_2.0/summary"
    open_dataset_parameters = ("filename_or_obj", "drop_variables")

    def open_dataset(self, filename_or_obj: Any, *, drop_variables: str | Iterable[str] | None = None) -> xr.Dataset:
        """Open one file.

        Parameters
        ----------
        filename_or_obj : str or Path
            File of one or several hours.
        drop_variables : str or iterable of str, optional
            Variables to leave out.
        """
        path = Path(filename_or_obj)
        check_whole(path)
        if grib.is_grib(path):
            return _grib(path, {drop_variables} if isinstance(drop_variables, str) else set(drop_variables or ()))
        check_hdf5(path)
        raw = xr.open_dataset(filename_or_obj, engine="netcdf4", decode_cf=False, drop_variables=drop_variables)
        for variable in raw.variables.values():
            for name in {"scale_factor", "add_offset"} & set(variable.attrs):
                variable.attrs[name] = np.float32(variable.attrs[name])
        return xr.decode_cf(raw)

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Whether the name is that of an hourly NLDAS-2 file."""
        if not isinstance(filename_or_obj, str | os.PathLike):
            return False
        match = NAME.match(Path(filename_or_obj).name)
        return match is not None and (match[4] == "020" or Path(filename_or_obj).suffix == ".grb")


def _grib(path: Path, dropped: set[str]) -> xr.Dataset:
    """A file of version 002; GDAL decodes whole messages, so its few layers are read at once."""
    header = read_header(path)
    names = [n for n in header.units if n not in dropped]
    values = grib.read(path, names, (slice(0, header.lat.size), slice(0, header.lon.size)))
    axes = {"lat": header.lat, "lon": header.lon, "time": header.hours.astype("M8[h]").astype("M8[ns]")}
    fields = {
        n: (("time", "lat", "lon"), v[None], {"units": header.units[n]}) for n, v in zip(names, values, strict=True)
    }
    return xr.Dataset(fields, {n: (n, v) for n, v in axes.items()})
