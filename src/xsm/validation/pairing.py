"""Values of maps and stations side by side: the same cells, days and hours (documentation: Decisions, "Validation")."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr

from xsm.data import cf
from xsm.data.cells import Cells, daily
from xsm.validation import matching

RETRIEVALS = ("sm_dca", "sm_scav", "sm_scah")
"""Products of one overpass: compared with the hour nearest to it, not with the day's mean."""


@dataclass(frozen=True)
class Layer:
    """Products of a layer and the stations' values that belong to them, each (product, site, day).

    ``valid`` marks where both are there and the cell is not frozen.
    """

    names: list[str]
    x: np.ndarray
    y: np.ndarray
    valid: np.ndarray


@dataclass(frozen=True)
class Pairs:
    """Pairs by layer, with the days, the sensors (and why some take no part), the sites and their cells."""

    days: np.ndarray
    sensors: matching.Sensors
    sites: list[matching.Site]
    cells: Cells
    layers: dict[str, Layer]
    hourly: bool

    def matching(self, name: str) -> str:
        """How a product is matched with the stations, in words."""
        return "hour of obs_time" if self.hourly and name in RETRIEVALS else self.sensors.day_name

    def annotate(self, table: xr.Dataset, title: str, *sources: xr.Dataset) -> xr.Dataset:
        """Add to a table why sensors are excluded, the title, the period and whether the data are synthetic."""
        about = {
            "excluded": (self.sensors.reasons, "Why a sensor takes no part, wholly or for a product"),
            "remarks": (self.sensors.remarks, "What of a sensor was left out or is doubtful"),
        }
        for name, (texts, long_name) in about.items():
            table[name] = "sensor", np.array(texts, dtype=str), {"long_name": long_name}
        table = table.assign_coords({f"sensor_{k}": ("sensor", v) for k, v in self.sensors.coords.items()})
        table.attrs = {k: v for source in sources for k, v in source.attrs.items() if k == "synthetic"} | {
            "title": title,
            "period": f"{self.days[0]}/{self.days[-1]}",
            "days": "frozen days left out" if self.cells.has("frozen") else "frozen days not left out",
        }
        return table


def pair(
    ds: xr.Dataset,
    stations: xr.Dataset,
    products: Mapping[str, Sequence[str]],
    depths: Mapping[str, str],
    *,
    maps: Sequence[str] = (),
    method: Literal["nearest", "bilinear"] = "nearest",
    time: slice | None = None,
    leave_out: Collection[str] = (),
) -> Pairs:
    """Bring daily maps (m3 m-3) and stations (``soil_moisture(sensor, time)``) together; only the stations' cells are
    computed.

    ``products`` are the variables of ``ds`` by layer, ``"surface"`` and ``"subsurface"``, ``depths`` the depth in cm by
    layer, ``"20"``, or two that are averaged, ``"10-20"``; the values of further ``maps`` are taken at the sites.
    ``method`` and ``time`` are those of `xsm.validate`; stations whose full names are in ``leave_out`` take no part.
    """
    cf.check_units(ds, [name for names in products.values() for name in names])
    ds, days = daily(ds, time)
    sensors = matching.Sensors(stations, days)
    by_layer = {layer: [float(d) for d in depths[layer].split("-")] for layer in products}
    sites = matching.choose(sensors, ds, by_layer, leave_out)
    if not sites:
        raise matching.nothing_left(sensors.reasons)
    place = matching.site_coords(sites)
    every = [name for names in products.values() for name in names]
    cells = Cells(ds, every, ["frozen", "obs_time", *maps], place["lon"], place["lat"], method)
    passes = None if sensors.coarse else cells.hours(days[0])
    pairs = Pairs(days, sensors, sites, cells, {}, passes is not None)
    frozen = cells.frozen()
    for layer, names in products.items():
        x = np.stack([cells.values(name) for name in names])
        y = np.stack([
            sensors.day_means(sites, layer) if passes is None or name not in RETRIEVALS
            else sensors.at_hours(sites, layer, passes) for name in names
        ])  # fmt: skip
        pairs.layers[layer] = Layer(list(names), x, y, np.isfinite(x) & np.isfinite(y) & ~frozen)
    return pairs
