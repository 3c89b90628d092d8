"""ERA5-Land and ERA5 as daily maps on their native grids (documentation: Formats, ERA5)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr
from xsm import DataError
from xsm.plugin_api import Area, DailyMap, Request, open_daily

from xsm_era5 import GLOBE, LAND, LAYERS, moisture
from xsm_era5.files import NAMED_LAND, is_ours, open_parts

if TYPE_CHECKING:
    from xsm.plugin_api import Manifest

DRY = 1e-4
"""Soil moisture, m3 m-3, up to which there is no soil: over the sea of ERA5 it is zero, but for the packing."""
BETWEEN = 0.15
"""Degrees, between the spacing of ERA5-Land (0.1) and that of ERA5 (0.25)."""


def maps_for(source: str, title: str, amounts: Literal["sum", "day so far"]) -> tuple[DailyMap, ...]:
    """The daily variables of a product, whose amounts are those of the hour or of the day until then."""
    layers = [(i, layer.replace("_", "-")) for i, layer in enumerate(LAYERS, 1)]
    return (
        *(DailyMap(name, (f"swvl{i}",), above=DRY, like="soil_moisture",
                   attrs={"long_name": f"Soil moisture, {title}, {layer} cm"})
          for (i, layer), name in zip(layers, moisture(source), strict=True)),
        *(DailyMap(f"soil_temperature_{LAYERS[i - 1]}", (f"stl{i}",), units="K", like="soil_temperature_0_10",
                   attrs={"long_name": f"Soil temperature, {title}, {layer} cm"})
          for i, layer in layers),
        DailyMap("precipitation", ("tp",), amounts, "kg m-2"),
        DailyMap("air_temperature", ("t2m",), units="K"),
        DailyMap("evaporation", ("e",), amounts, "kg m-2", factor=-1,
                 attrs={"long_name": "Evapotranspiration of the UTC day", "units": "kg m-2"}),
        DailyMap("shortwave_radiation", ("ssrd",), amounts, "J m-2", factor=1 / 86400,
                 attrs={"long_name": "Downwelling shortwave radiation", "units": "W m-2",
                        "standard_name": "surface_downwelling_shortwave_flux_in_air"}),
    )  # fmt: skip


class Era5Land:
    """ERA5-Land: 0.1 degree, missing over the sea, amounts since 00 UTC."""

    info = LAND
    maps = maps_for("era5_land", "ERA5-Land", "day so far")

    def identify(self, path: Path) -> bool:
        """Whether a file is of ECMWF, by its name or first bytes."""
        return is_ours(Path(path))

    def open(self, request: Request) -> xr.Dataset:
        """Open files of hours as daily maps, see `xsm.plugin_api.open_daily`.

        Amounts are those since 00 UTC, so that the value of 00 UTC is the whole day before. Where it is absent, the
        last value of the day counts, in the share of the hours, if it is of ``min_hours`` or later.
        """
        ds = open_daily(request, self.info, self.maps, open_parts, step=1, land="lsm")
        spacing = float(np.abs(np.diff(ds["lat"].values)).min()) if ds.sizes["lat"] > 1 else None
        fine = spacing is not None and spacing < BETWEEN
        if spacing is not None and fine != (self.info is LAND):
            other = "era5_land" if fine else "era5"
            raise DataError(
                f"The cells of '{request.paths[0]}' are {spacing:g} degrees apart, expected "
                f"{0.1 if self.info is LAND else 0.25:g}: amounts would be those of other hours.",
                hint=f"Open it as the source {other}.",
            )
        return ds

    def fetch(
        self, dest: Path, *, region: Area | None, time: slice | None, dry_run: bool,
        variables: tuple[str, ...] | None = None,
    ) -> Manifest:  # fmt: skip
        """Fetch the hours of a region, an archive for each month; see `xsm_era5.fetch.fetch`."""
        from xsm_era5.fetch import fetch

        return fetch(self.info, dest, region=region, time=time, dry_run=dry_run, variables=variables)

    def write(self, world: Any, dest: Path) -> list[Path]:
        """Write a synthetic world as the Climate Data Store delivers it; see `xsm_era5.write.write`."""
        from xsm.twin import NETCDF

        from xsm_era5.write import write

        with NETCDF:
            return write(world, dest, self.info.name)


class Era5(Era5Land):
    """ERA5 on single levels: 0.25 degree, the sea included, amounts of hours."""

    info = GLOBE
    maps = maps_for("era5", "ERA5", "sum")

    def identify(self, path: Path) -> bool:
        """Whether a file is of ECMWF and not named as ERA5-Land."""
        return is_ours(Path(path)) and not NAMED_LAND.search(Path(path).name)
