"""From single sensors to one dataset ``(sensor, time)``; what the station sources share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import xarray as xr
from xsm import DataError, UsageError
from xsm.plugin_api import Area, Request, canonical_attrs, drop_impossible, tell

from xsm_insitu.rows import EmptyFile

FLAGS = ("missing", "good", "unknown", "out_of_range", "dubious")
MISSING, GOOD, UNKNOWN, OUT_OF_RANGE, DUBIOUS = range(5)
VARIABLES = ("soil_moisture", "soil_temperature")
HOUR = np.timedelta64(1, "h")
DAY = np.timedelta64(1, "D")
KELVIN = 273.15
ASTRAY = 2.5
"""Hours between the clock of a station and that of its longitude; Alaska comes to 2."""
LONGEST = 2_000_000
"""Steps of a time axis: two centuries of hours; more is a damaged date."""
_ATTRS: dict[str, dict[str, Any]] = {
    "sensor_id": {"long_name": "Network, station, depth and instrument", "cf_role": "timeseries_id"},
    "station": {"long_name": "Name of the station"},
    "network": {"long_name": "Network of the station"},
    "instrument": {"long_name": "Instrument of the sensor"},
    "wban": {"long_name": "WBAN number of the station"},
    "lat": {"standard_name": "latitude", "units": "degrees_north"},
    "lon": {"standard_name": "longitude", "units": "degrees_east"},
    "depth": {"standard_name": "depth", "units": "cm", "positive": "down"},
    "soil_moisture": canonical_attrs("soil_moisture"),
    "soil_temperature": {"long_name": "Soil temperature", "standard_name": "soil_temperature", "units": "K"},
    "flag": {
        "long_name": "Quality of the soil moisture",
        "flag_values": np.arange(len(FLAGS), dtype=np.uint8),
        "flag_meanings": " ".join(FLAGS),
    },
}


@dataclass(frozen=True)
class Series:
    """Values of one sensor: times, soil moisture (m3 m-3), flags, and soil temperature (K) where it is expected."""

    station: str
    network: str
    lat: float
    lon: float
    depth: float
    id: str
    time: np.ndarray
    soil_moisture: np.ndarray
    flag: np.ndarray
    soil_temperature: np.ndarray | None = None
    file: str = ""
    """What the name of the file says of the sensor."""

    @property
    def key(self) -> tuple[str, str, float, str]:
        """What makes a sensor the same in several files."""
        return self.network, self.station, self.depth, self.id

    @property
    def name(self) -> str:
        """`key` as a text, which no other sensor has."""
        return f"{self.network}:{self.station}:{self.depth} cm:{self.id}"


def expected(variables: Sequence[str] | None) -> bool:
    """Check the names of variables and say whether soil temperature is among them."""
    for name in variables or ():
        if name not in (*VARIABLES, "flag"):
            raise UsageError(f"Stations have no variable '{name}'.", hint=f"They have: {', '.join(VARIABLES)}.")
    return variables is None or "soil_temperature" in variables


def inside(region: Area | None, lon: float, lat: float) -> bool:
    """Whether a station lies in the region's box."""
    if region is None:
        return True
    west, south, east, north = region.bbox
    return west <= wrapped(lon) <= east and south <= lat <= north


def wrapped(lon: float) -> float:
    """A longitude that may count to 360, within -180 to 180; NaN stays."""
    return (lon + 180) % 360 - 180


def read_all(
    paths: Sequence[Any],
    read: Callable[[Any], Iterable[Series]],
    on_error: Literal["raise", "skip"],
    lost: Sequence[str] = (),
) -> tuple[list[Series], list[str]]:
    """Read files (or members of archives) one by one; with ``on_error="skip"`` bad ones are listed, not raised.

    Empty ones are always listed.

    ``lost`` are errors from before, which are listed with the others.
    """
    series: list[Series] = []
    skipped = list(lost)
    for path in paths:
        try:
            series += read(path)
        except EmptyFile as error:
            skipped.append(str(error))
        except DataError as error:
            if on_error == "raise":
                raise
            skipped.append(str(error))
    return series, skipped


def reason(error: Exception) -> str:
    """The first sentence of a library's error."""
    return str(error).strip().split("\n")[0].rstrip(".")


def astray(clock: float, lon: float) -> bool:
    """Whether a clock, in hours from UTC, is not one of a longitude."""
    return abs((clock - lon / 15 + 12) % 24 - 12) > ASTRAY


def check_hours(path: object, when: np.ndarray) -> None:
    """Warn of a few times that are not whole hours among many that are."""
    odd = int((when.astype("M8[h]") != when).sum())
    if 0 < odd < max(2, len(when) // 20):
        tell(f"'{path}' has {odd} of {len(when)} times that are not whole hours.")


def check_place(path: object, lon: float, lat: float) -> None:
    """Refuse coordinates that are nowhere on the globe."""
    if not (-180 <= lon <= 360 and -90 <= lat <= 90):
        raise DataError(f"'{path}' has its station at {lon:g} east, {lat:g} north.", hint="Download the file again.")


def warmth(kelvin: np.ndarray, where: object) -> np.ndarray:
    """Soil temperature, float32; NaN below absolute zero (the products' missing values) or where impossible."""
    return drop_impossible(np.where(kelvin > 0, kelvin, np.nan).astype("f4"), "soil_temperature_0_10", where)


def mask(moisture: np.ndarray, flag: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Drop soil moisture that is missing or outside 0 to 1 and flag it."""
    absent = np.isnan(moisture) | (moisture <= -9)
    wrong = ~absent & ((moisture < 0) | (moisture > 1))
    flag = np.where(absent, MISSING, np.where(wrong, OUT_OF_RANGE, flag)).astype(np.uint8)
    return np.where(absent | wrong, np.nan, moisture).astype("f4"), flag


def assemble(
    series: Sequence[Series],
    *,
    step: np.timedelta64,
    request: Request,
    id_name: str,
    stamps: Literal["end of hour", "instant", "local day"],
    skipped: Sequence[str] = (),
) -> xr.Dataset:
    """Put sensors on one time axis: regular where all stamps are whole steps, else every stamp that occurs.

    Of the request's days; stamps that end an hour belong to the day of that hour.
    """
    region, time, paths = request.region, request.time, request.paths
    series = [cut for one in series if len((cut := _cut(one, time, stamps)).time)]
    if not series:
        where = "" if region is None else f" in longitude {region.bbox[0]:.2f} to {region.bbox[2]:.2f}, "
        where += "" if region is None else f"latitude {region.bbox[1]:.2f} to {region.bbox[3]:.2f}"
        when = "" if time is None else f" from {time.start} to {time.stop}"
        files = f"{len(paths)} files ('{paths[0]}' and others) contain" if len(paths) > 1 else f"'{paths[0]}' contains"
        raise DataError(
            f"{files} no soil moisture{where}{when}.", hint="; ".join(skipped) or "Check region and period."
        )
    axis = _axis(series, step)
    keys = {one.key: one for one in sorted(series, key=lambda s: s.key)}
    number = {key: i for i, key in enumerate(keys)}
    shape = (len(keys), len(axis))
    moisture, flag = np.full(shape, np.nan, "f4"), np.zeros(shape, np.uint8)
    has_temperature = any(one.soil_temperature is not None for one in series)
    temperature = np.full(shape if has_temperature else (0, 0), np.nan, "f4")
    repeated = 0
    for one in series:
        i, at = number[one.key], np.searchsorted(axis, one.time)
        repeated += _repeated(one, moisture[i, at], flag[i, at])
        moisture[i, at], flag[i, at] = one.soil_moisture, one.flag
        if one.soil_temperature is not None:
            temperature[i, at] = one.soil_temperature
    if repeated:
        tell(f"{repeated} values are in several files, with equal values; one of each is kept.")
    if not np.isfinite(moisture).any():
        counts = np.bincount(flag.ravel(), minlength=len(FLAGS))
        said = ", ".join(f"{n} {name}" for n, name in list(zip(counts, FLAGS, strict=True))[GOOD:] if n)
        tell(f"No value of soil moisture is left; by their flags they are: {said or 'all missing'}.")
    sensors = list(keys.values())
    ds = xr.Dataset(
        {"soil_moisture": (("sensor", "time"), moisture), "flag": (("sensor", "time"), flag)},
        {
            "time": ("time", axis, {"standard_name": "time", "axis": "T", "stamps": stamps}),
            **{name: ("sensor", [getattr(s, name) for s in sensors]) for name in ("station", "network")},
            **{name: ("sensor", np.array([getattr(s, name) for s in sensors])) for name in ("lat", "depth")},
            "lon": ("sensor", np.array([s.lon if abs(s.lon) <= 180 else wrapped(s.lon) for s in sensors])),
            id_name: ("sensor", [s.id for s in sensors]),
            "sensor_id": ("sensor", [s.name for s in sensors]),
        },
        {"featureType": "timeSeries"},
    )
    if has_temperature:
        ds["soil_temperature"] = ("sensor", "time"), temperature
    for name, attrs in _ATTRS.items():
        if name in ds.variables:
            ds[name].attrs |= attrs
    if skipped:
        ds.attrs["skipped"] = list(skipped)
    return ds


def _repeated(one: Series, before: np.ndarray, flag: np.ndarray) -> int:
    """Count values of a sensor that another file has too; other values at the same time stop."""
    there = flag > 0
    both = there & np.isfinite(before) & np.isfinite(one.soil_moisture)
    if (differ := both & (np.abs(before - one.soil_moisture) > 1e-6)).any():
        k = int(differ.argmax())
        raise DataError(
            f"Two files have values of {one.name} at {one.time[k].astype('M8[m]')}: {before[k]:g} and "
            f"{one.soil_moisture[k]:g} m3 m-3.",
            hint="Keep the newer file, or the one of the sensor that is meant.",
        )
    return int(there.sum())


def _cut(one: Series, time: slice | None, stamps: str) -> Series:
    if time is None:
        return one
    day = (one.time - np.timedelta64(1 if stamps == "end of hour" else 0, "ns")).astype("M8[D]")
    keep = np.ones(len(day), bool)
    if time.start is not None:
        keep &= day >= np.datetime64(time.start, "D")
    if time.stop is not None:
        keep &= day <= np.datetime64(time.stop, "D")
    warm = None if one.soil_temperature is None else one.soil_temperature[keep]
    return replace(
        one, time=one.time[keep], soil_moisture=one.soil_moisture[keep], flag=one.flag[keep], soil_temperature=warm
    )


def _axis(series: Sequence[Series], step: np.timedelta64) -> np.ndarray:
    first, last = min(s.time.min() for s in series), max(s.time.max() for s in series)
    if (last - first) / step > LONGEST:
        raise DataError(f"The stations span {first} to {last}, too long for steps of {step}.", hint="Check the dates.")
    regular = np.arange(first, last + step, step)
    if all(np.all((s.time - first) % step == np.timedelta64(0)) for s in series):
        return regular
    tell(f"Some time stamps are not whole steps of {step}; the time axis is irregular.")
    return np.unique(np.concatenate([s.time for s in series]))
