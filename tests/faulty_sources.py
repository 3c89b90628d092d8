"""A source that keeps its contract, and one for each way to break it, for the test of the testing kit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from xsm import DataError
from xsm.plugin_api import SourceInfo, canonical_attrs, check_hdf5

DAYS = np.array(["2021-06-01", "2021-06-02", "2021-06-04", "2021-06-05"], "M8[ns]")


def write_files(folder: Path) -> list[Path]:
    """Four days of maps in percent on longitudes from 0 to 360, with gaps; the third of June has no file."""
    rng, paths = np.random.default_rng(2), []
    lat, lon = 34 + 0.25 * np.arange(6), 261 + 0.25 * np.arange(7)
    for day in DAYS:
        wet = rng.uniform(5, 45, (1, 6, 7))
        wet[rng.random(wet.shape) < 0.1] = -9999
        layout = ("time", "lat", "lon")
        ds = xr.Dataset(
            {"sm": (layout, wet, {"units": "percent"}), "tb": (layout, 200 + wet, {"units": "K"})},
            {"time": [day], "lat": lat, "lon": lon},
        )
        paths.append(folder / f"planted_{str(day)[:10]}.nc")
        ds.to_netcdf(paths[-1])
    return paths


class Sound:
    """Each step is a method, which a faulty source replaces."""

    info = SourceInfo(
        "planted", "Daily maps", f"{__name__}:Sound", variables=("soil_moisture", "tb_h"),
        roles={"soil_moisture": "retrieval"}, depths={"soil_moisture": "0-5"},
    )  # fmt: skip

    def identify(self, path):
        return path.name.startswith("planted_") and path.suffix == ".nc"

    def open(self, request):
        ds, skipped = self.read(request)
        ds = self.period(self.region(self.wrap(self.daily(self.canonical(ds))), request.region), request.time)
        ds.attrs = {"skipped": skipped} if skipped else {}
        return self.choose(ds, request.variables)

    def read(self, request):
        parts, skipped = [], []
        for path in request.paths:
            try:
                check_hdf5(path)
                parts.append(self.one(path))
            except (OSError, ValueError, KeyError) as error:
                self.bad(request, path, error, skipped)
        if not parts:
            raise DataError(f"None of the files can be read: {'; '.join(skipped)}.", hint="Download them again.")
        return xr.concat(parts, "time", data_vars="all"), skipped

    def one(self, path):
        return xr.open_dataset(path, engine="netcdf4", chunks={})[["sm", "tb"]]

    def bad(self, request, path, error, skipped):
        if request.on_error == "raise":
            raise DataError(f"'{path}' cannot be read ({error}).", hint="Download it again.") from None
        skipped.append(f"{path.name}: {error}")

    def canonical(self, ds):
        valid = ds["sm"] > 0
        wet, tb = (ds["sm"].where(valid) / 100).astype("f4"), ds["tb"].where(valid).astype("f4")
        return xr.Dataset({
            "soil_moisture": wet.assign_attrs(canonical_attrs("soil_moisture")),
            "tb_h": tb.assign_attrs(canonical_attrs("tb_h")),
        })  # fmt: skip

    def daily(self, ds):
        ds = ds.sortby("time")
        days = ds["time"].values.astype("M8[D]")
        return ds.reindex(time=np.arange(days[0], days[-1] + 1).astype("M8[ns]"))

    def wrap(self, ds):
        return ds.assign_coords(lon=(ds["lon"] + 180) % 360 - 180)

    def region(self, ds, area):
        if area is None:
            return ds
        west, south, east, north = area.bbox
        return ds.sel(lon=slice(west, east), lat=slice(south, north))

    def period(self, ds, time):
        return ds if time is None else ds.sel(time=time)

    def choose(self, ds, variables):
        return ds if variables is None else ds[list(variables)]


class RegionIgnored(Sound):
    def region(self, ds, area):
        return ds


class TimeIgnored(Sound):
    def period(self, ds, time):
        return ds


class VariablesIgnored(Sound):
    def choose(self, ds, variables):
        return ds


class SkipIgnored(Sound):
    def bad(self, request, path, error, skipped):
        raise DataError(f"'{path}' cannot be read ({error}).")


class SkippedNotListed(Sound):
    def bad(self, request, path, error, skipped):
        super().bad(request, path, error, [])


class BareError(Sound):
    def bad(self, request, path, error, skipped):
        raise error


class UnitsAbsent(Sound):
    def canonical(self, ds):
        return super().canonical(ds).drop_attrs()


class UnitsOtherwise(Sound):
    def canonical(self, ds):
        ds = super().canonical(ds)
        return ds.assign(soil_moisture=(ds["soil_moisture"] * 100).assign_attrs(units="percent"))


class UnitsWrong(Sound):
    def canonical(self, ds):
        ds = super().canonical(ds)
        return ds.assign(soil_moisture=(ds["soil_moisture"] * 100).assign_attrs(ds["soil_moisture"].attrs))


class FillValues(Sound):
    def canonical(self, ds):
        right = super().canonical(ds)
        return right.assign(tb_h=ds["tb"].where(ds["sm"] > 0, -9999).astype("f4").assign_attrs(right["tb_h"].attrs))


class Longitudes(Sound):
    def wrap(self, ds):
        return ds


class AxesNamedOtherwise(Sound):
    def wrap(self, ds):
        return super().wrap(ds).rename(lat="lon", lon="lat")

    def region(self, ds, area):
        if area is None:
            return ds
        west, south, east, north = area.bbox
        return ds.sel(lat=slice(south, north), lon=slice(west, east))


class AxesTransposed(Sound):
    def wrap(self, ds):
        return super().wrap(ds).transpose("time", "lon", "lat")


class NoonStamps(Sound):
    def daily(self, ds):
        ds = super().daily(ds)
        return ds.assign_coords(time=ds["time"] + np.timedelta64(12, "h"))

    def period(self, ds, time):
        days = ds["time"].values.astype("M8[D]")
        return ds if time is None else ds.isel(time=(days >= time.start) & (days <= time.stop))


class DaysMissing(Sound):
    def daily(self, ds):
        return ds


class ComputesWhileItOpens(Sound):
    def one(self, path):
        return super().one(path).compute().chunk()


class ReadsWhileItOpens(Sound):
    def one(self, path):
        return xr.open_dataset(path, engine="netcdf4")[["sm", "tb"]]


class Double(Sound):
    def canonical(self, ds):
        return super().canonical(ds).astype("f8", keep_attrs=True)


class OwnName(Sound):
    def canonical(self, ds):
        return super().canonical(ds).rename(tb_h="brightness")


class TakesEveryFile(Sound):
    def identify(self, path):
        return True


class DaysInTheOrderOfPaths(Sound):
    def read(self, request):
        ds, skipped = super().read(request)
        return ds.assign_coords(time=np.sort(ds["time"])), skipped


class KeepsTheFirstRequest(Sound):
    kept = None

    def region(self, ds, area):
        KeepsTheFirstRequest.kept = KeepsTheFirstRequest.kept or [area]
        return super().region(ds, self.kept[0])


FAULTS = {kind.__name__: kind for kind in Sound.__subclasses__()}
