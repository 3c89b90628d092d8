"""Stations and maps whose scores can be computed by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from xsm.data.grids import EASE2_M09

GRID = EASE2_M09.window(300, 312, 800, 816)
DAYS = np.arange("2022-03-01", "2022-06-09", dtype="M8[D]")
HOURS = np.arange(DAYS[0], DAYS[-1] + 1, dtype="M8[h]").astype("M8[ns]")
PLACES = [(2, 3), (5, 7), (9, 12)]


def point(row: int, col: int) -> dict[str, float]:
    return {"lon": float(GRID.lon[col]) + 0.01, "lat": float(GRID.lat[row]) - 0.01}


def make_stations(depths: tuple[float, ...] = (5.08, 20.32), seed: int = 0) -> xr.Dataset:
    """Three stations, each with a daily wave and hourly noise; times are instants."""
    rng = np.random.default_rng(seed)
    count = len(PLACES) * len(depths)
    phase = np.repeat(np.arange(len(PLACES)), len(depths))[:, None]
    wave = 0.25 + 0.1 * np.sin(np.arange(len(HOURS)) / 24 / 9 + phase)
    values = (wave + rng.normal(0, 0.02, wave.shape)).astype("f4")
    where = [point(*PLACES[i // len(depths)]) for i in range(count)]
    return xr.Dataset(
        {"soil_moisture": (("sensor", "time"), values, {"units": "m3 m-3"})},
        {
            "time": HOURS,
            "station": ("sensor", [f"S{i // len(depths)}" for i in range(count)]),
            "network": ("sensor", ["A" if i // len(depths) < 2 else "B" for i in range(count)]),
            "lat": ("sensor", [w["lat"] for w in where]),
            "lon": ("sensor", [w["lon"] for w in where]),
            "depth": ("sensor", list(np.tile(depths, len(PLACES)))),
        },
    )


def make_maps(seed: int = 1, names: tuple[str, ...] = ("sm_5cm", "sm_noah_0_10", "sm_25cm")) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    shape = (len(DAYS), *GRID.shape)
    ds = xr.Dataset({n: (("time", "y", "x"), rng.uniform(0.1, 0.4, shape).astype("f4")) for n in names})
    ds["frozen"] = ("time", "y", "x"), np.zeros(shape, bool)
    return GRID.assign(ds.assign_coords(time=DAYS.astype("M8[ns]")))


def day_means(stations: xr.Dataset, sensor: int) -> np.ndarray:
    series = pd.Series(stations["soil_moisture"].values[sensor].astype("f8"), index=stations["time"].values)
    counts = series.resample("1D").count()
    return series.resample("1D").mean().where(counts >= 20).to_numpy()
