"""GLDAS-2 Noah as daily maps on its native grid (documentation: Formats, GLDAS)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from xsm import DataError
from xsm.plugin_api import Area, DailyMap, Request, check_hdf5, maps_of, open_daily

from xsm_gldas import INFO, LAYERS

if TYPE_CHECKING:
    from xsm.plugin_api import Manifest

STEP = 3
"""Hours between the times of the product."""
MAGIC = b"\x89HDF\r\n\x1a\n"
NAME = re.compile(r"GLDAS_(?P<model>[A-Z]+)(?P<grid>025|10)_(?P<step>3H|D|M)(?:_EP)?\.A(?P<date>\d{6,8})"
                  r"(?:\.(?P<clock>\d{4}))?\.02\d(?:\..+)?$")  # fmt: skip


def _layer(name: str) -> tuple[DailyMap, DailyMap]:
    top, bottom = map(int, name.split("_"))
    words = f"GLDAS Noah, {top}-{bottom} cm"
    return (
        DailyMap(f"sm_gldas_{name}", (f"SoilMoi{name}cm_inst",), units="kg m-2", factor=0.1 / (bottom - top),
                 attrs={"long_name": f"Soil moisture, {words}"}, like="soil_moisture"),
        DailyMap(f"soil_temperature_{name}", (f"SoilTMP{name}cm_inst",), units="K",
                 attrs={"long_name": f"Soil temperature, {words}"}, like="soil_temperature_0_10"),
    )  # fmt: skip


MAPS = (
    *(one for name in LAYERS for one in _layer(name)),
    DailyMap("precipitation", ("Rainf_f_tavg",), "mean", "kg m-2"),
    DailyMap("precipitation", ("Rainf_tavg", "Snowf_tavg"), "mean", "kg m-2"),
    DailyMap("air_temperature", ("Tair_f_inst",), units="K"),
    DailyMap("evaporation", ("Evap_tavg",), "mean", "kg m-2",
             attrs={"long_name": "Evapotranspiration of the UTC day", "units": "kg m-2"}),
    DailyMap("shortwave_radiation", ("SWdown_f_tavg",), "mean", "W m-2",
             attrs={"long_name": "Downwelling shortwave radiation", "units": "W m-2",
                    "standard_name": "surface_downwelling_shortwave_flux_in_air"}),
)  # fmt: skip


class GldasSource:
    """GLDAS_NOAH025_3H and GLDAS_NOAH10_3H, versions 2.0 and 2.1."""

    info = INFO

    def identify(self, path: Path) -> bool:
        """Whether a file is of GLDAS-2, by its name; other models and time steps are refused by `open`."""
        return NAME.match(Path(path).name) is not None

    def open(self, request: Request) -> xr.Dataset:
        """Open 3-hourly files as daily maps, see `xsm.plugin_api.open_daily`.

        States are the means of the times 00 to 21 UTC. Fluxes are means of the three hours that end at their time, so
        that those of 00 UTC belong to the day before.
        """
        return open_daily(request, INFO, MAPS, open_parts, step=STEP, time_of=time_of)

    def fetch(
        self, dest: Path, *, region: Area | None, time: slice | None, dry_run: bool,
        product: str = "GLDAS_NOAH025_3H", version: str = "2.1",
    ) -> Manifest:  # fmt: skip
        """Fetch files of the whole grid, and the one of 00 UTC after the last day; ``region`` cuts nothing off."""
        from xsm.plugin_api import EARTHDATA, closed_period, download, search_earthdata

        first, last = closed_period(time)
        listed = search_earthdata(product, version, time=(first, last + 1), suffix=".nc4", magic=(MAGIC,))
        end = np.datetime64(last + 1, "m")
        remotes = [r for r in listed if (stamp := stamp_of(Path(r.name))) is not None and first <= stamp <= end]
        return download(sorted(remotes, key=lambda r: r.name), dest, login=EARTHDATA, dry_run=dry_run)

    def write(self, world: Any, dest: Path) -> list[Path]:
        """Write a synthetic world as GLDAS_NOAH025_3H files of version 2.1; see `xsm_gldas.write.write`."""
        from xsm.twin import NETCDF

        from xsm_gldas.write import write

        with NETCDF:
            return write(world, dest)


def time_of(path: Path) -> np.datetime64 | None:
    """The time that the name of a netCDF-4 file says; None where it is no name of the product."""
    stamp = stamp_of(path)
    _check_magic(path)
    return stamp


def stamp_of(path: Path) -> np.datetime64 | None:
    """The time that a name says; None where it is no name of the product.

    Examples
    --------
    >>> stamp_of(Path("GLDAS_NOAH025_3H.A20160101.0300.021.nc4"))
    np.datetime64('2016-01-01T03:00')
    """
    match = NAME.match(path.name)
    if match is None:
        return None
    if match["model"] != "NOAH" or match["step"] != "3H" or not match["clock"]:
        what = {"3H": "3-hourly maps", "D": "daily maps", "M": "monthly means"}[match["step"]]
        raise DataError(f"'{path}' contains {what} of the model {match['model']}, expected 3-hourly maps of NOAH.",
                        hint="Give files of GLDAS_NOAH025_3H.")  # fmt: skip
    date, clock = match["date"], match["clock"]
    try:
        return np.datetime64(f"{date[:4]}-{date[4:6]}-{date[6:]}T{clock[:2]}:{clock[2:]}", "m")
    except ValueError:
        raise DataError(f"The name of '{path}' contains no date.", hint="Keep the product's names.") from None


def open_parts(path: Path) -> list[xr.Dataset]:
    """The maps of a file; its fields are masked and in float32."""
    _check_magic(path)
    check_hdf5(path)
    ds = xr.open_dataset(path, engine="netcdf4")
    source = str(ds.attrs.get("source", "Noah"))
    if "noah" not in source.lower():
        raise DataError(f"'{path}' is of the model {source}, expected Noah.", hint="Give files of GLDAS_NOAH025_3H.")
    return [maps_of(ds, path)]


def _check_magic(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(len(MAGIC))
    if start != MAGIC:
        page = "a web page, as after a failed login" if start.lstrip()[:1] == b"<" else "no netCDF-4 file"
        raise DataError(f"'{path}' is {page}, expected netCDF-4.", hint="Get the file again.")
