"""Values of maps and stations side by side: the same cells, days and hours (documentation: Decisions, "Validation")."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr

from xsm.data import cf
from xsm.data.cells import Cells, Spots, daily
from xsm.data.families import families_of, shared
from xsm.data.roles import RETRIEVAL, role_of
from xsm.validation import matching
from xsm.validation.depths import Depth, read_pair
from xsm.validation.references import place


@dataclass(frozen=True)
class Layer:
    """Products of a layer and the stations' values that belong to them, each (product, site, day).

    ``valid`` marks where both are there and the cell is not frozen.
    """

    depth: Depth
    names: list[str]
    x: np.ndarray
    y: np.ndarray
    valid: np.ndarray


@dataclass(frozen=True)
class Pairs:
    """Pairs by layer, with the days, the sensors (and why some take no part), the sites and their cells.

    ``hourly`` are the products that meet the hours of their passes, ``tolerance`` hours at most.
    """

    days: np.ndarray
    sensors: matching.Sensors
    sites: list[matching.Site]
    spots: Spots
    cells: Cells
    layers: dict[str, Layer]
    hourly: frozenset[str]
    tolerance: float | None = None

    def matching(self, name: str) -> str:
        """How a product is matched with the stations, in words."""
        if name not in self.hourly:
            return self.sensors.day_name
        return "hour of obs_time" + (f" within {self.tolerance:g} h" if self.tolerance is not None else "")

    def annotate(self, table: xr.Dataset, title: str, *sources: xr.Dataset) -> xr.Dataset:
        """Add to a table why sensors are excluded, the title, the period and whether the data are synthetic."""
        about = {
            "excluded": (self.sensors.reasons, "Why a sensor takes no part, wholly or for a product"),
            "remarks": (self.sensors.remarks, "What of a sensor was left out or is doubtful"),
        }
        for name, (texts, long_name) in about.items():
            table[name] = "sensor", np.array(texts, dtype=str), {"long_name": long_name}
        table = table.assign_coords({f"sensor_{k}": ("sensor", v) for k, v in self.sensors.coords.items()})
        for name in (n for n in table.coords if str(n).removeprefix("sensor_") in matching.POSITION):
            table[name].attrs = matching.POSITION[str(name).removeprefix("sensor_")]
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
    depths: Mapping[str, str | Depth],
    *,
    maps: Sequence[str] = (),
    method: Literal["nearest", "bilinear"] = "nearest",
    time: slice | None = None,
    leave_out: Collection[str] = (),
    tolerance: float | None = None,
) -> Pairs:
    """Bring daily maps (m3 m-3) and stations (``soil_moisture(sensor, time)``) together; only the stations' cells are
    computed.

    ``products`` are the variables of ``ds`` by layer and ``depths`` the depths of these layers, or texts: ``"20"``, or
    two that are averaged, ``"10-20"``; the values of further ``maps`` are taken at the sites. ``method``, ``time`` and
    ``tolerance`` are those of `xsm.validate`; stations whose full names are in ``leave_out`` take no part.
    """
    every = [name for names in products.values() for name in names]
    cf.check_units(ds, every)
    ds, days = daily(ds, time)
    sensors = matching.Sensors(stations, days)
    by_layer = {layer: read_pair(depths[layer]) for layer in products}
    if np.isnan(sensors.coords["depth"]).all():
        by_layer = dict.fromkeys(products, Depth(rule="any"))
    spots = place(ds, every, stations)
    sites = matching.choose(sensors, ds, spots, by_layer, leave_out)
    if not sites:
        raise matching.nothing_left(sensors.reasons)
    spots = spots.take([site.first for site in sites])
    cells = Cells(ds, every, ["frozen", "obs_time", *maps], spots, method)
    passes = None if sensors.coarse and tolerance is None else cells.hours(days[0])
    at_passes = [n for n in every if role_of(ds, n) == RETRIEVAL and (tolerance is not None or _of_passes(ds, n))]
    hourly = frozenset(at_passes if passes is not None else ())
    pairs = Pairs(days, sensors, sites, spots, cells, {}, hourly, tolerance)
    frozen = cells.frozen() if spots.placed or cells.has("frozen") else np.zeros((), bool)
    for layer, names in products.items():
        x = np.stack([cells.values(name) for name in names])
        y = np.stack([
            sensors.at_hours(sites, layer, passes, tolerance) if name in hourly and passes is not None
            else sensors.day_means(sites, layer) for name in names
        ])  # fmt: skip
        valid = np.isfinite(x) & np.isfinite(y) & ~frozen
        pairs.layers[layer] = Layer(by_layer[layer], list(names), x, y, valid)
    return pairs


def _of_passes(ds: xr.Dataset, name: str) -> bool:
    """Whether ``obs_time`` is that of a retrieval: both rest on the same."""
    return bool(shared(families_of(ds, name), families_of(ds, "obs_time")))
