"""Reads the files of mysensor."""

import numpy as np
import xarray as xr
from xsm import DataError
from xsm.plugin_api import canonical_attrs, check_hdf5, convert, unit_of

from xsm_mysensor import INFO


class Source:
    """Files named ``mysensor_*.nc`` with ``soil_moisture (time, lat, lon)``."""

    info = INFO

    def identify(self, path):
        """Whether a file belongs to the product."""
        return path.name.startswith("mysensor_") and path.suffix == ".nc"

    def open(self, request):
        """Open the files lazily as one dataset with a day for every day."""
        parts, skipped = [], []
        for path in request.paths:
            try:
                check_hdf5(path)
                part = xr.open_dataset(path, engine="netcdf4", chunks={})[["soil_moisture"]]
            except (OSError, ValueError, KeyError) as error:
                if request.on_error == "raise":
                    raise DataError(f"'{path}' cannot be read ({error}).", hint="Download it again.") from None
                skipped.append(f"{path.name}: {error}")
                continue
            unit = unit_of(part["soil_moisture"].attrs.get("units"), "soil_moisture", path, request.units)
            parts.append(part.assign(soil_moisture=convert(part["soil_moisture"], unit, "m3 m-3")))
        if not parts:
            raise DataError("None of the files can be read.", hint="Check the paths.")
        ds = xr.concat(parts, "time", data_vars="all").sortby("time")
        days = ds["time"].values.astype("M8[D]")
        ds = ds.reindex(time=np.arange(days[0], days[-1] + 1).astype("M8[ns]"))
        ds = ds.sel(time=request.time or slice(None))
        if request.region is not None:
            west, south, east, north = request.region.bbox
            ds = ds.sel(lon=slice(west, east), lat=slice(south, north))
        ds["soil_moisture"] = ds["soil_moisture"].astype("f4").assign_attrs(canonical_attrs("soil_moisture"))
        if skipped:
            ds.attrs["skipped"] = skipped
        return ds[list(request.variables)] if request.variables else ds
