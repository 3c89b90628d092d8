"""Soil moisture stations in the synthetic world: points in cells, sensors that drift, fail and spike."""

from __future__ import annotations

import numpy as np
import xarray as xr

from xsm.twin.fields import rng
from xsm.twin.land import Land
from xsm.twin.projection import transformer
from xsm.twin.water import FREEZING, STEPS, frozen_share

DEPTHS = (5, 10, 20, 50, 100)
FLAGS = ("G", "D01", "D06", "M")


def _memory(g: np.random.Generator, shape: tuple[int, int], steps: float) -> np.ndarray:
    """First-order autoregressive noise of unit variance along the last axis, e-folding after ``steps``."""
    from scipy.signal import lfilter

    keep = np.exp(-1 / steps)
    white = g.standard_normal(shape) * np.sqrt(1 - keep**2)
    white[:, 0] = g.standard_normal(shape[0])
    return _smooth(lfilter([1], [1, -keep], white, axis=1), 8)


def records(world: Land) -> xr.Dataset:
    """Hourly records of all stations, a sensor for each depth, UTC; NaN where missing.

    Soil moisture is liquid water at a point: truth of the cell, stretched and shifted by the place, with noise of short
    memory, drift, white sensor noise, gaps and spikes. ``flag`` follows the ISMN: good, frozen soil, spike, missing.
    """
    s, e, g = world.scene, world.errors.station, rng(world.seed, "stations")
    row, col = s.sites
    count, hours = len(row), len(world.days) * 24
    steps = s.run.probes.shape[1]
    at_step, at_hour = (np.arange(steps) + 1) * 24 / STEPS, np.arange(hours)

    def hourly(series: np.ndarray) -> np.ndarray:
        return np.stack([np.interp(at_hour, at_step, one) for one in series.T])

    top, root, deep, warm, warm_below = (hourly(p) for p in s.run.probes)
    slow = _smooth(deep, 20 * 24)
    place = (0.98 * (rng(world.seed, "places").random((2, count)) - 0.5)) * s.grid.cell
    x, y = s.grid.x[col] + place[0], s.grid.y[row] + place[1]
    day = np.arange(len(world.days)).repeat(24)
    now = s.weather.course(np.arange(24))[:, 0][:, col].T
    swing = np.stack([s.weather.at(world.first + i).swing[row, col] for i in range(len(world.days))])
    air = s.run.air_temperature[:, row, col].T[:, day] + np.tile(now, len(world.days)) * swing.T[:, day]
    wave = np.tile(s.weather.course((np.arange(24) - 3.0) % 24)[:, 0][:, col].T, len(world.days)) * swing.T[:, day]

    true = np.stack([top, 0.6 * top + 0.4 * root, 0.1 * top + 0.9 * root, deep, slow], 1)
    heat = np.stack([warm + 0.35 * wave, 0.6 * warm + 0.4 * warm_below + 0.1 * wave, warm_below, *2 * [warm_below]], 1)
    heat[:, 3], heat[:, 4] = _smooth(warm_below, 10 * 24), _smooth(warm_below, 40 * 24)

    shared, by_depth = g.standard_normal((count, 1)), g.standard_normal((count, len(DEPTHS)))
    bias = e.bias * (np.sqrt(2 / 3) * shared + np.sqrt(1 / 3) * by_depth)
    scale = np.exp(e.scale * (0.8 * g.standard_normal((count, 1)) + 0.6 * g.standard_normal((count, len(DEPTHS)))))
    layer = np.stack([np.asarray(s.layers[k].porosity)[row, col] for k in (0, 0, 1, 1, 1)], 1)
    mean = true.mean(2)
    sensors = (count * len(DEPTHS), hours)
    sensor_noise = [_memory(g, (count, hours), 24 * days) for days in e.noise_days]
    noise = np.sqrt(0.5) * (_memory(g, (count, hours), 24 * e.noise_days[0])[:, None] + np.stack(sensor_noise, 1))
    noise *= np.array(e.noise_depth)[:, None] * e.noise
    years = (at_hour - hours / 2) / (24 * 365.25)
    drift = e.drift * g.standard_normal(mean.shape)[..., None] * years
    point = np.clip((mean + bias)[..., None] + scale[..., None] * (true - mean[..., None]) + noise + drift, 0.01, None)
    point = np.minimum(point, layer[..., None] + 0.02)
    heat = heat + e.temperature * g.standard_normal((count, 1, 1))
    below = np.stack([warm, 0.5 * (warm + warm_below), *3 * [warm_below]], 1)
    frozen = below < FREEZING
    heat = np.where(frozen, np.minimum(heat, FREEZING - 0.05), np.maximum(heat, FREEZING + 0.05))
    measured = np.maximum(point * (1 - frozen_share(below)), 0.01)
    measured = measured + e.sensor * g.standard_normal(true.shape)
    spike = g.random(true.shape) < e.spikes
    measured = np.where(spike, measured + g.choice([-0.12, 0.15], true.shape), measured)
    missing = _gaps(g, sensors, e.missing, e.gap_hours).reshape(true.shape)
    flag = np.select([missing, frozen, spike], [3, 1, 2], 0).astype("u1")
    measured = np.where(missing, np.nan, np.maximum(measured, 0.0))

    ds = xr.Dataset(attrs={**world.attrs, "title": "Soil moisture stations, synthetic"})
    ds["soil_moisture"] = ("sensor", "time"), measured.reshape(sensors).astype("f4"), {"units": "m3 m-3"}
    ds["soil_temperature"] = (
        ("sensor", "time"),
        np.where(missing, np.nan, heat).reshape(sensors).astype("f4"),
        {"units": "K"},
    )
    ds["flag"] = ("sensor", "time"), flag.reshape(sensors), _flag_attrs()
    rain = _rain(world, x, y, hours)
    for name, values, units in (("air_temperature", air, "K"), ("precipitation", rain, "kg m-2")):
        repeated = values.repeat(len(DEPTHS), 0).astype("f4")
        ds[name] = ("sensor", "time"), repeated, {"units": units}
    return ds.assign_coords(_coords(world, x, y))


def _coords(world: Land, x: np.ndarray, y: np.ndarray) -> dict[str, xr.Variable]:
    lon, lat = transformer("EPSG:6933", "EPSG:4326").transform(x, y)
    number = np.arange(len(x))
    named = {
        "station": np.array([f"Twin {n + 1:02d}" for n in number]),
        "wban": np.array([f"{3001 + n:05d}" for n in number]),
        "network": np.where(number % 2, "SCAN", "USCRN"),
        "lat": np.round(lat, 4),
        "lon": np.round(lon, 4),
    }
    units = {"lat": {"standard_name": "latitude", "units": "degrees_north"},
             "lon": {"standard_name": "longitude", "units": "degrees_east"}}  # fmt: skip
    coords = {k: xr.Variable("sensor", v.repeat(len(DEPTHS)), units.get(k)) for k, v in named.items()}
    depth = np.tile(np.array(DEPTHS, "f8"), len(x))
    coords["depth"] = xr.Variable("sensor", depth, {"units": "cm", "positive": "down"})
    time = world.days[0].astype("datetime64[ns]") + np.arange(len(world.days) * 24).astype("timedelta64[h]")
    coords["time"] = xr.Variable("time", time, {"standard_name": "time", "axis": "T"})
    return coords


def _flag_attrs() -> dict[str, object]:
    return {
        "flag_values": np.arange(len(FLAGS), dtype="u1"),
        "flag_meanings": " ".join(FLAGS),
        "comment": "ISMN flags: good, soil temperature below 0 degree C, spike, missing",
    }


def _smooth(series: np.ndarray, steps: float) -> np.ndarray:
    from scipy.signal import lfilter

    keep = np.exp(-1 / steps)
    start = series[:, :1]
    return start + lfilter([1 - keep], [1, -keep], series - start, axis=1)


def _gaps(g: np.random.Generator, shape: tuple[int, int], share: float, length: float) -> np.ndarray:
    """Gaps of exponentially distributed length that cover about ``share`` of each row."""
    gone = np.zeros(shape, bool)
    for row in gone:
        for start in g.integers(0, shape[1], g.poisson(share * shape[1] / length)):
            row[start : start + 1 + int(g.exponential(length))] = True
    return gone


def _rain(world: Land, x: np.ndarray, y: np.ndarray, hours: int) -> np.ndarray:
    """Hourly rain at points, mm."""
    storms = world.scene.weather.storms
    hour = storms.half_hour // 2 - 24 * world.first
    inside = (hour >= 0) & (hour < hours)
    out = np.zeros((len(x), hours))
    for row, px, py in zip(out, x, y, strict=True):
        along = np.maximum(1 - ((px - storms.x) / storms.radius) ** 2, 0) ** 3
        mm = along * np.maximum(1 - ((py - storms.y) / storms.radius) ** 2, 0) ** 3 * storms.amount
        row += np.bincount(hour[inside], mm[inside], hours)
    return out
