"""Reads and writes files such as ``c_gls_SWI_202106011200_GLOBE_ASCAT_V3.1.1.nc``: one day, bytes of half a percent."""

import numpy as np
import xarray as xr
import xsm

from xsm_cgls_swi import INFO

HIGHEST = 200  # bytes above it are flags


class SoilWaterIndex:
    """Soil water index (percent of saturation) as ``swi(time, lat, lon)``."""

    info = INFO

    def identify(self, path):
        """By the name."""
        return path.name.startswith("c_gls_SWI_") and path.suffix == ".nc"

    def open(self, request):
        """Open days lazily; a day without a file is present and empty."""
        parts, skipped = [], []
        for path in sorted(request.paths, key=lambda p: p.name):
            try:
                with xr.set_options(keep_attrs=True):
                    parts.append(self._day(path, f"SWI_{request.options['scale']:03d}", request.region))
            except (OSError, ValueError, KeyError) as error:
                if request.on_error == "raise":
                    raise xsm.DataError(f"'{path}' cannot be read ({error}).", hint="Get the file again.") from None
                skipped.append(f"{path.name}: {error}")
        if not parts:
            raise xsm.DataError("None of the files can be read.", hint="Expected names like c_gls_SWI_*.nc.")
        ds = xr.concat(parts, "time").sortby("time")
        first, last = ds["time"].values[[0, -1]].astype("M8[D]")
        if request.time is not None:
            first, last = request.time.start or first, request.time.stop or last
        ds = ds.reindex(time=np.arange(first, last + 1).astype("M8[ns]"))
        ds.attrs = {"title": INFO.title, **({"skipped": skipped} if skipped else {})}
        return ds

    def _day(self, path, name, region):
        raw = xr.open_dataset(path, engine="netcdf4", chunks={}, mask_and_scale=False)
        if region is not None:
            west, south, east, north = region.bbox
            raw = raw.sel(lon=slice(west, east), lat=slice(north, south))
        swi = raw[name].where(raw[name] <= HIGHEST).astype("f4") * np.float32(0.5)
        day = np.datetime64(f"{path.name[10:14]}-{path.name[14:16]}-{path.name[16:18]}", "ns")
        swi = swi.isel(time=0, drop=True).expand_dims(time=[day]).drop_attrs()
        return swi.assign_attrs(units="percent", long_name=f"Soil water index, {name[-3:]} days").to_dataset(name="swi")

    def write(self, world, dest):
        """Write a synthetic world: the share of the pores filled at 25 cm, smoothed, on 0.1 degree."""
        dest.mkdir(parents=True, exist_ok=True)
        west, south, east, north = world.bbox
        lon = np.arange(np.ceil(west * 10), np.floor(east * 10)) / 10 + 0.05
        lat = np.arange(np.floor(north * 10), np.ceil(south * 10), -1) / 10 - 0.05
        row, col = world.grid.rowcol(*np.meshgrid(lon, lat))  # of the global grid
        row, col = row - world.grid.row0, col - world.grid.col0
        inside = (row >= 0) & (row < world.grid.rows) & (col >= 0) & (col < world.grid.cols)
        share = (world.truth["sm_25cm"] / world.truth["porosity"].sel(soil_depth=30)).transpose("time", "y", "x").values
        paths = []
        for day, values in zip(world.days, share, strict=True):
            cell = values[np.where(inside, row, 0), np.where(inside, col, 0)]
            byte = np.where(inside & np.isfinite(cell), np.rint(200 * cell), 255).clip(0, 255).astype("u1")
            ds = xr.Dataset(
                {f"SWI_{n:03d}": (("time", "lat", "lon"), byte[None]) for n in (1, 5, 10, 20)},
                {"time": [day.astype("M8[ns]")], "lat": lat, "lon": lon},
                {"synthetic": f"twin world, seed {world.seed}"},
            )
            paths.append(dest / f"c_gls_SWI_{str(day).replace('-', '')}1200_GLOBE_ASCAT_V3.1.1.nc")
            ds.to_netcdf(paths[-1])
        return paths
