"""The sensors that maps are compared with and their values; each one that is left out has a reason."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from xsm.data import cf
from xsm.data.cells import Spots
from xsm.data.masks import FREEZING
from xsm.errors import DataError, tell
from xsm.validation.depths import Depth, is_at

HOUR = np.timedelta64(1, "h")
SAME_PLACE, SAME_VALUES = 0.01, 0.002
"""Degrees, and median difference of day means in m3 m-3, of a station that is there twice under two names."""
SENSORS_AT_ONCE = 64
PARTICLE_DENSITY = 2.65
"""Of mineral soil, g cm-3: pores are one minus bulk density over it."""
LEAST_DAYS = 10
DAY_SHARE = 20 / 24
"""Share of a day's values that its mean needs."""


@dataclass(frozen=True)
class Site:
    """A station in the window: its place and, by layer, the positions of its sensors with their weights."""

    station: str
    network: str
    lat: float
    lon: float
    sensors: Mapping[str, Mapping[int, float]]

    @property
    def first(self) -> int:
        """Position of its first sensor."""
        return next(iter(next(iter(self.sensors.values()))))


POSITION: Mapping[str, dict[str, str]] = {
    "lat": {"standard_name": "latitude", "units": "degrees_north"},
    "lon": {"standard_name": "longitude", "units": "degrees_east"},
    "depth": {"long_name": "Depth below the surface", "units": "cm", "positive": "down"},
}
"""Attributes of where stations and sensors are."""


def site_coords(sites: Sequence[Site]) -> dict[str, np.ndarray]:
    """Coordinates of sites; a name that two networks share gets its network in brackets."""
    times = Counter(s.station for s in sites)
    return {
        "station": np.array([s.station if times[s.station] == 1 else f"{s.station} ({s.network})" for s in sites]),
        "network": np.array([s.network for s in sites]),
        "lat": np.array([s.lat for s in sites]),
        "lon": np.array([s.lon for s in sites]),
    }


class Sensors:
    """The sensors of a stations' dataset in the time of the maps.

    ``reasons`` says why a sensor takes no part, ``remarks`` what of one that does was left out or is doubtful. Values
    are kept per hour of the calendar days between the first and last map. Stamps that end an hour (time attribute
    ``stamps``) belong to that hour, and so midnight to the day before.
    """

    def __init__(self, stations: xr.Dataset, days: np.ndarray) -> None:
        absent = [n for n in ("soil_moisture", "station", "lat", "lon", "depth") if n not in stations.variables]
        if absent or set(stations["soil_moisture"].dims) != {"sensor", "time"}:
            raise DataError(
                f"The stations lack {', '.join(absent) or 'the dims (sensor, time)'}.",
                hint="Open them with <open()>, for example from the source ismn.",
            )
        cf.check_units(stations, ["soil_moisture"])
        self.ds, self.days = stations, days
        count = stations.sizes["sensor"]
        network = stations["network"].values if "network" in stations.variables else np.full(count, "")
        self.coords = {n: stations[n].values.astype(str) for n in ("station",)} | {"network": network.astype(str)}
        self.coords |= {n: stations[n].values.astype("f8") for n in ("lat", "lon", "depth")}
        self.reasons, self.remarks = [""] * count, [""] * count
        self.hours: dict[int, np.ndarray] = {}
        self._day = (days - days[0]).astype(int)
        time = stations["time"].values
        stamps = stations["time"].attrs.get("stamps")
        self.ends = stamps == "end of hour"
        self.day_name = "local-day mean" if stamps == "local day" else "UTC-day mean"
        bins = (time - np.timedelta64(int(self.ends), "ns") - days[0].astype("M8[ns]")) // HOUR
        self._take = np.flatnonzero((bins >= 0) & (bins < (self._day[-1] + 1) * 24))
        if not len(self._take):
            span = f"{time.min().astype('M8[D]')} to {time.max().astype('M8[D]')}" if len(time) else "no time at all"
            raise DataError(
                f"The stations cover {span}, the data {days[0]} to {days[-1]}: no day in common.",
                hint="Give stations and data of the same period.",
            )
        self._take = self._take[np.argsort(bins[self._take], kind="stable")]
        self._bins, self._starts = np.unique(bins[self._take], return_index=True)
        step = np.median(np.diff(self._bins)) if len(self._bins) > 1 else 24
        self.per_day = int(np.clip(round(24 / step), 1, 24))

    @property
    def coarse(self) -> bool:
        """Whether the stations have fewer than 24 values per day."""
        return self.per_day < 24

    def exclude(self, which: Iterable[int], reason: str) -> None:
        """Write down why sensors take no part."""
        for i in which:
            self.reasons[i] = f"{self.reasons[i]}; {reason}" if self.reasons[i] else reason

    def remark(self, i: int, text: str) -> None:
        """Write down what of a sensor was left out or is doubtful."""
        self.remarks[i] = f"{self.remarks[i]}; {text}" if self.remarks[i] else text

    def load(self, which: Sequence[int]) -> None:
        """Read sensors into ``hours``, some at a time; values outside 0 to 1 and of frozen soil are left out."""
        outside = sum(self._load(which[i : i + SENSORS_AT_ONCE]) for i in range(0, len(which), SENSORS_AT_ONCE))
        if outside:
            tell(f"{outside} station values lie outside 0 to 1 m3 m-3 and are left out.")

    def _load(self, which: Sequence[int]) -> int:
        cut = self.ds.isel(sensor=list(which), time=self._take)
        values = cut["soil_moisture"].transpose("sensor", "time").values.astype("f4")
        percent = np.array([np.isfinite(v).any() and np.nanmedian(v) > 1 for v in values], bool)
        wrong = ((values < 0) | (values > 1)) & ~percent[:, None]
        bad = wrong | percent[:, None] | _flagged(cut, "[CD][0-9]+|M")
        if "soil_temperature" in cut:
            warm = cut["soil_temperature"].transpose("sensor", "time").values
            zero = 0.0 if "c" in str(cut["soil_temperature"].attrs.get("units", "K")).lower() else FREEZING
            bad = bad | (warm <= zero)
        finite = np.isfinite(values)
        marked = np.broadcast_to(_flagged(cut, "[CD][0-9]+|out_of_range|dubious"), finite.shape)
        good = finite & ~bad
        total = np.add.reduceat(np.where(good, values, 0), self._starts, axis=1, dtype="f8")
        with np.errstate(invalid="ignore"):
            means = (total / np.add.reduceat(good, self._starts, axis=1, dtype="f8")).astype("f4")
        for row, i in enumerate(which):
            if percent[row]:
                self.exclude([i], f"values look like percent, expected m3 m-3 (median {np.nanmedian(values[row]):.3g})")
            elif not good[row].any():
                why = "every value is negative, above 1 or frozen" if finite[row].any() else "no value in the period"
                self.exclude([i], "every value is flagged" if marked[row].any() else why)
            else:
                if wrong[row].any():
                    self.remark(i, f"values outside 0 to 1 m3 m-3 are left out ({wrong[row].sum()})")
                self.hours[i] = np.full((self._day[-1] + 1) * 24, np.nan, "f4")
                self.hours[i][self._bins] = means[row]
        return int(wrong.sum())

    def layer_hours(self, site: Site, layer: str) -> np.ndarray:
        """Hourly weighted mean of a site's sensors of a layer; NaN where one of them is missing."""
        weights = site.sensors.get(layer, {})
        parts = [np.float32(w) * self.hours[i] for i, w in weights.items()]
        return np.sum(parts, axis=0) if parts else np.full((self._day[-1] + 1) * 24, np.nan, "f4")

    def day_means(self, sites: Sequence[Site], layer: str) -> np.ndarray:
        """Means of the maps' UTC days, (site, day); NaN where fewer than 20/24 of a day's values are there."""
        means = np.full((len(sites), len(self._day)), np.nan, "f4")
        for row, site in enumerate(sites):
            hours = self.layer_hours(site, layer).reshape(-1, 24)[self._day]
            count = np.isfinite(hours).sum(1)
            enough = count >= max(1, np.ceil(self.per_day * DAY_SHARE))
            means[row, enough] = np.nansum(hours[enough], axis=1, dtype="f8") / count[enough]
        return means

    def at_hours(
        self, sites: Sequence[Site], layer: str, position: np.ndarray, tolerance: float | None = None
    ) -> np.ndarray:
        """Values of the hours that contain ``position`` (stamps at the end) or are nearest, in hours of the maps.

        With a tolerance in hours the nearest hour that has a value, as far as its middle (or stamp) lies within.
        """
        nearest = np.floor(position if self.ends else position + 0.5)
        series = np.stack([self.layer_hours(site, layer) for site in sites])
        values = np.full(nearest.shape, np.nan, series.dtype)
        away = np.full(nearest.shape, np.inf)
        reach = 0 if tolerance is None else int(np.ceil(tolerance)) + 1
        for at in (nearest + step for step in range(-reach, reach + 1)):
            inside = (at >= 0) & (at < series.shape[1])
            there = np.take_along_axis(series, np.where(inside, at, 0).astype("i8"), 1)
            gap = np.abs(at + (0.5 if self.ends else 0.0) - position)
            better = inside & np.isfinite(there) & (gap < away) & (tolerance is None or gap <= tolerance)
            values, away = np.where(better, there, values), np.where(better, gap, away)
        return values


def full_name(station: str, network: str) -> str:
    """A station with its network, as it is written where stations of several networks are listed."""
    return f"{station} ({network})" if network else station


def choose(
    sensors: Sensors, ds: xr.Dataset, spots: Spots, depths: Mapping[str, Depth], leave_out: Collection[str] = ()
) -> list[Site]:
    """Choose the sensors to compare, by depth, place, values and number of values; some by full name are left out."""
    known = sensors.coords
    at = np.nan_to_num(known["depth"])
    near = {layer: depth.near(at) for layer, depth in depths.items()}
    right = np.any(list(near.values()), axis=0)
    for i in np.flatnonzero(~right):
        sensors.exclude([int(i)], f"depth is not compared ({known['depth'][i]:g} cm)")
    sensors.exclude(np.flatnonzero(right & ~spots.inside), "outside the window of the maps")
    if not (right & spots.inside).any():
        there = ", ".join(f"{d:g}" for d in np.unique(known["depth"]))
        what = (
            "station lies in the maps" if right.any() else f"sensor stands for {' or '.join(map(str, depths.values()))}"
        )
        around = "" if right.any() else " <depth_method=interpolate> takes the sensors around a depth."
        raise DataError(f"No {what} ({spots.box if right.any() else f'there are {there} cm'}).",
                        hint=f"Check the region of the stations and their depths.{around}")  # fmt: skip
    taught = np.array([full_name(s, n) in leave_out for s, n in zip(known["station"], known["network"], strict=True)])
    sensors.exclude(np.flatnonzero(right & spots.inside & taught), "the maps learnt from it")
    if not (right & spots.inside & ~taught).any():
        raise DataError(
            "The maps learnt from every station that lies in them.",
            hint="Give stations that they did not learn from, or <include_training_stations=True>.",
        )
    sensors.load(np.flatnonzero(right & spots.inside & ~taught).tolist())
    _check_porosity(sensors, ds, spots)

    sites = []
    names = list(zip(known["network"], known["station"], strict=True))
    for name in dict.fromkeys(names[i] for i in sensors.hours):
        mine = [i for i in sensors.hours if names[i] == name]
        needs = {layer: depth.sensors(at[[i for i in mine if near[layer][i]]]) if near[layer][mine].any() else {}
                 for layer, depth in depths.items()}  # fmt: skip
        best: dict[float, int] = {}
        for cm in dict.fromkeys(cm for need in needs.values() for cm in need):
            here = sorted((i for i in mine if is_at(at[i], cm)), key=lambda i: -_count(sensors.hours[i]))
            if here:
                best[cm] = here[0]
                sensors.exclude(here[1:], f"another sensor of the station at {cm:g} cm has more values")
        by_layer: dict[str, dict[int, float]] = {}
        for layer, need in needs.items():
            if lacking := [cm for cm in need if cm not in best]:
                present = [best[cm] for cm in need if cm in best]
                sensors.exclude(present, f"no sensor at {lacking[0]:g} cm for {layer}")
            elif need:
                by_layer[layer] = {best[cm]: weight for cm, weight in need.items()}
            else:
                sensors.exclude([i for i in mine if near[layer][i]], f"the station's depths do not suffice for {layer}")
        if by_layer:
            first = next(iter(next(iter(by_layer.values()))))
            sites.append(Site(name[1], name[0], float(known["lat"][first]), float(known["lon"][first]), by_layer))
    return _without_doubles(sensors, sites)


def _count(values: np.ndarray) -> int:
    return int(np.isfinite(values).sum())


def _check_porosity(sensors: Sensors, ds: xr.Dataset, spots: Spots) -> None:
    """Compare the values with the pores of the cell's soil, where its bulk density is known.

    The soil of a point is not that of its cell, so single wet values are kept with a remark; a sensor that is above
    most of the time is left out.
    """
    if "bulk_density" not in ds or not sensors.hours:
        return
    which = list(sensors.hours)
    at = {dim: xr.DataArray(cells[which], dims="sensor") for dim, cells in spots.index.items()}
    density = ds["bulk_density"].isel(at)
    density = density if at else density.expand_dims(sensor=len(which))
    if "soil_depth" in density.dims:
        nearest = np.abs(density["soil_depth"].values - sensors.coords["depth"][which][:, None]).argmin(1)
        density = density.isel(soil_depth=xr.DataArray(nearest, dims="sensor"))
    for i, porosity in zip(which, 1 - density.values / PARTICLE_DENSITY, strict=True):
        above = np.nansum(sensors.hours[i] > porosity)
        text = f"values are above the porosity of the cell's soil ({above} above {porosity:.2f})"
        if above > np.isfinite(sensors.hours[i]).sum() / 2:
            del sensors.hours[i]
            sensors.exclude([i], f"most {text}")
        elif above:
            sensors.remark(i, text)


def nothing_left(reasons: Sequence[str], most: int = 0) -> DataError:
    """Make the error for no sensor left: the reasons, and the most days that a station has."""
    common = "; ".join(f"{reason} ({n})" for reason, n in counted(reasons).most_common(4))
    hint = "Check region, period and units."
    if most:
        hint = f"The best station has {most} days: take a longer period"
        hint += f", or <min_days={most}> or less." if most >= LEAST_DAYS else "."
    return DataError(f"None of {len(reasons)} sensors can be used: {common}.", hint=hint)


def counted(reasons: Iterable[str]) -> Counter[str]:
    """Count reasons by what they say before their details in brackets."""
    return Counter(reason for text in reasons for reason in dict(reasons_of(text)))


def reasons_of(text: str) -> list[tuple[str, str]]:
    """Split ``excluded`` or ``remarks`` of a sensor into reasons, each with its details."""
    parts = [part.partition(" (") for part in text.split("; ") if part]
    return [(reason, details.removesuffix(")")) for reason, _, details in parts]


def fewest(min_days: int | None, usual: int, days: int) -> int:
    """Fewest days that a station needs: ``min_days``, else the usual number, or a third of a shorter period."""
    return min_days if min_days is not None else max(LEAST_DAYS, min(usual, days // 3))


def _flagged(stations: xr.Dataset, words: str) -> np.ndarray:
    """Where the meaning of ``flag`` is one of a pattern; ISMN codes C and D mark values that cannot be used."""
    if "flag" not in stations:
        return np.zeros((1, 1), bool)
    flag = stations["flag"].transpose("sensor", "time")
    meanings = str(flag.attrs.get("flag_meanings", "")).split()
    values = np.atleast_1d(flag.attrs.get("flag_values", np.arange(len(meanings))))
    return np.isin(flag.values, [v for v, w in zip(values, meanings, strict=False) if re.fullmatch(words, w)])


def _without_doubles(sensors: Sensors, sites: list[Site]) -> list[Site]:
    """Drop stations that are there twice: one place, the same values."""
    lat, lon = np.array([s.lat for s in sites]), np.array([s.lon for s in sites])
    close = (np.abs(lat[:, None] - lat) <= SAME_PLACE) & (np.abs(lon[:, None] - lon) <= SAME_PLACE)
    dropped: set[int] = set()
    for a, b in np.argwhere(np.triu(close, 1)).tolist():
        shared = [layer for layer in sites[a].sensors if layer in sites[b].sensors]
        if a in dropped or b in dropped or not shared:
            continue
        one, two = (sensors.day_means([sites[i]], shared[0])[0] for i in (a, b))
        both = np.isfinite(one) & np.isfinite(two)
        if both.sum() >= 10 and np.median(np.abs(one - two)[both]) < SAME_VALUES:
            keep, drop = (a, b) if np.isfinite(one).sum() >= np.isfinite(two).sum() else (b, a)
            dropped.add(drop)
            twin = f"{sites[keep].station} {sites[keep].network}".strip()
            every = {i for group in sites[drop].sensors.values() for i in group}
            sensors.exclude(sorted(every), f"duplicate of another station ({twin})")
    return [site for i, site in enumerate(sites) if i not in dropped]


def exclude_short(
    sensors: Sensors, sites: Sequence[Site], layer: str, counts: Mapping[str, np.ndarray], left: np.ndarray, least: int
) -> None:
    """Exclude sites with too few days: ``counts`` of each product, ``left`` (product, site) of them all."""
    for j, site in enumerate(sites):
        short = [name for i, name in enumerate(counts) if left[i, j] < least]
        if layer in site.sensors and short:
            each = ", ".join(f"{name} {counts[name][j]}" for name in short)
            sensors.exclude(site.sensors[layer], f"fewer than {least} days ({left[:, j].min()} left: {each})")
