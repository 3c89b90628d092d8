"""The pairs of values that are scored, and the table of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import xarray as xr

from xsm.data.cells import distance_km
from xsm.data.period import days as period
from xsm.errors import render_hint, tell
from xsm.series.rescaling import METHODS
from xsm.validation import matching
from xsm.validation.pairing import Layer, Pairs, pair
from xsm.validation.products import layers_of
from xsm.validation.references import as_stations

MIN_DAYS = 60
Rescale = Literal["none", "mean_std", "linreg", "cdf"]


@dataclass(frozen=True)
class Matched:
    """Products beside stations as they are scored, each ``(site, day)``.

    In ``x`` a value that takes no part is NaN; ``y`` are all values of the stations. ``most`` is, by layer, the largest
    number of days of a station.
    """

    pairs: Pairs
    x: Mapping[str, np.ndarray]
    y: Mapping[str, np.ndarray]
    most: Mapping[str, int]
    min_days: int

    @property
    def products(self) -> list[str]:
        """Names of the products, by layer."""
        return list(self.x)

    @property
    def layers(self) -> dict[str, tuple[str, Layer]]:
        """Name and pairs of the layer of each product."""
        return {name: (key, layer) for key, layer in self.pairs.layers.items() for name in layer.names}

    def count(self) -> np.ndarray:
        """Number of days, (product, site)."""
        return np.stack([np.isfinite(x).sum(-1) for x in self.x.values()])


def match(
    ds: xr.Dataset,
    stations: xr.Dataset,
    *,
    variables: Sequence[str] | None = None,
    method: Literal["nearest", "bilinear"] = "nearest",
    subsurface: str = "20",
    surface: str = "5",
    depth: Sequence[Any] | None = None,
    depth_method: Literal["nearest", "interpolate"] = "nearest",
    tolerance: float | None = None,
    rescale: Rescale = "none",
    min_days: int | None = None,
    common: bool = True,
    time: Any = None,
    maps: Sequence[str] = (),
    leave_out: Collection[str] | None = None,
) -> Matched:
    """Bring products and stations together and leave out what is not scored; see `xsm.validate`.

    ``leave_out`` are the full names of stations that take no part, by default those that the products learnt from.
    """
    stations = as_stations(stations, ds, depth)
    free = "depth" in stations.variables and bool(np.isnan(stations["depth"].values.astype("f8")).all())
    products, depths = layers_of(ds, variables, surface=surface, subsurface=subsurface, depth=depth,
                                 method=depth_method, free=free)  # fmt: skip
    names = [name for layer in products.values() for name in layer]
    taught = training_stations(ds, names)
    pairs = pair(ds, stations, products, depths, maps=maps, method=method, tolerance=tolerance,
                 time=None if time is None else period(time),
                 leave_out=taught if leave_out is None else leave_out)  # fmt: skip
    sites = pairs.sites
    if among := sorted(taught & {matching.full_name(site.station, site.network) for site in sites}):
        some = f"{', '.join(among[:3])}{'...' * (len(among) > 3)}"
        tell(f"The maps learnt from {len(among)} of these stations ({some}): scores are too good there.")
    least = matching.fewest(min_days, MIN_DAYS, len(pairs.days))
    most: dict[str, int] = {}
    x: dict[str, np.ndarray] = {}
    y: dict[str, np.ndarray] = {}
    for layer, series in pairs.layers.items():
        valid = series.valid
        counts = dict(zip(series.names, valid.sum(-1), strict=True))
        if common:
            valid = np.broadcast_to(valid.all(0), valid.shape)
        left = valid.sum(-1)
        matching.exclude_short(pairs.sensors, sites, layer, counts, left, least)
        most[layer] = int(left.max())
        for i, name in enumerate(series.names):
            y[name] = series.y[i]
            scored = np.where(valid[i] & (left[i] >= least)[:, None], series.x[i], np.nan)
            if rescale != "none":
                scored = METHODS[rescale].function(scored.astype("f8"), y[name].astype("f8"))
            x[name] = scored
    matched = Matched(pairs, x, y, most, least)
    if not matched.count().any():
        raise matching.nothing_left(pairs.sensors.reasons, max(most.values()))
    for layer, days in most.items():
        if days < least:
            shared = ", or <common=False>" if common and len(products[layer]) > 1 else ""
            tell(
                f"No station has {least} days of {', '.join(products[layer])}, the most are {days}: they have no "
                "scores. " + render_hint(f"Give <min_days={days}> or less{shared}.")
            )
    return matched


def training_stations(ds: xr.Dataset, products: Sequence[str]) -> set[str]:
    """Full names of the stations that products learnt from, as their attribute ``training_stations`` lists them."""
    texts = [str(ds[name].attrs.get("training_stations", "")) for name in products]
    return {name.strip() for text in texts for name in text.split(",") if name.strip()}


def pair_table(matched: Matched, *sources: xr.Dataset) -> xr.Dataset:
    """All pairs, one after the other; see `xsm.matchup`."""
    pairs = matched.pairs
    sites = matching.site_coords(pairs.sites)
    away = distance_km(sites["lat"], sites["lon"], pairs.spots.lat, pairs.spots.lon)
    parts: list[dict[str, np.ndarray]] = []
    for name, x in matched.x.items():
        y, depth = matched.y[name], pairs.layers[matched.layers[name][0]].depth
        site, day = np.nonzero(np.isfinite(x) & np.isfinite(y))
        text = {"product": name, "depth": str(depth), "matching": pairs.matching(name)}
        parts.append({
            **{k: np.full(len(site), v) for k, v in text.items()},
            **{k: v[site] for k, v in sites.items()},
            "time": pairs.days[day].astype("M8[ns]"),
            "value": x[site, day].astype("f8"),
            "reference": y[site, day].astype("f8"),
            "distance": away[site],
        })  # fmt: skip
    columns = {k: np.concatenate([part[k] for part in parts]) for k in ORDER}
    table = xr.Dataset({k: ("pair", v, ATTRS.get(k, {})) for k, v in columns.items()})
    title = "Pairs of soil moisture and stations"
    table.attrs = pairs.annotate(xr.Dataset(), title, *sources).attrs | {"min_days": matched.min_days}
    why = matching.counted(r for r in pairs.sensors.reasons if r)
    if why:
        table.attrs["left_out"] = "; ".join(f"{reason} ({n} sensors)" for reason, n in why.most_common())
    return table


ORDER = ("product", "station", "network", "time", "value", "reference", "depth", "matching", "lat", "lon", "distance")
ATTRS: Mapping[str, Mapping[str, str]] = {
    "value": {"long_name": "Soil moisture of the product", "units": "m3 m-3"},
    "reference": {"long_name": "Soil moisture of the station", "units": "m3 m-3"},
    "depth": {"long_name": "Depth at which the station is taken"},
    "matching": {"long_name": "How the station is matched in time"},
    "time": {"standard_name": "time"},
    "lat": matching.POSITION["lat"],
    "lon": matching.POSITION["lon"],
    "distance": {"long_name": "Distance of the station from the centre of its cell", "units": "km"},
}
