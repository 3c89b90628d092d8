"""Estimate soil moisture at real stations (USCRN) on days, or at stations, that the model was not trained on.

    python -m benchmarks.stations TASK --data FILE.nc --split DATE [--unseen NAMES] --out PRED.nc [--model NAME]

TASK is ``surface`` (5 cm from weather), ``depth`` (20 cm from weather and the measured 5 cm of all days) or ``forward``
(both from weather). Soil moisture before DATE is learnt from; with --unseen (names, comma separated) that of these
stations is not, and the model is one for places without values. FILE.nc has the dims (time, station); PRED.nc gets
``soil_moisture_5cm`` or ``soil_moisture_20cm`` and the standard deviation of the measured value, which is calibrated on
the last year before DATE (of that model: on stations left out in turn).
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import numpy as np
import xarray as xr

import xsm
from benchmarks import water

TASKS = {"surface": (5,), "depth": (20,), "forward": (5, 20)}
LAYERS = {5: 5, 20: 25}
"""Depth of an estimate of xsm for that of the sensor, cm."""
RAIN = (1, 2, 3, 5, 8, 12, 20, 35, 60, 100, 180)
FILTERS = (1, 2, 4, 8, 16, 32, 64)
MEMORIES = {
    "air_temperature": (3, 10, 30, 90), "shortwave": (3, 10, 30), "humidity": (2, 5, 15, 40),
    "excess": (2, 5, 15, 40), "deficit": (3, 10, 30, 90), "demand": (10, 30, 90), "balance": (10, 30, 90, 180),
}  # fmt: skip
"""Days of the exponential filters of each series."""
CLIMATE = ("aridity", "mean(air_temperature)", "mean(excess)")
OPTIONS = {
    "boosting": {"memories": (), "lags": 0, "trees": 200, "learning_rate": 0.1, "leaves": 31, "leaf_size": 100},
    "lstm": {"epochs": 30},
}  # fmt: skip
PLACES = {"boosting": {"places": True}, "lstm": {}}
"""Further options of a model for places without values."""
FEWEST = 100
"""Training days of a station whose own mean and spread are used."""


def prepare(ds: xr.Dataset) -> xr.Dataset:
    """Daily weather without gaps and what follows from it, on (time, station).

    Gaps are filled with the mean of the day of the year at the station, those of precipitation with 0. ``excess`` is
    how much warmer than the air the surface is, ``deficit`` that of vapour pressure, ``demand`` the potential
    evaporation, ``water`` rain and melting snow, ``balance`` water less demand.
    """
    usual = {n: filled(ds[n]) for n in ("air_temperature_mean", "solar_radiation", "relative_humidity")}
    air, radiation, humidity = (v.transpose("time", "station").values.astype("f8") for v in usual.values())
    air = air + water.ZERO
    surface = filled(ds["surface_infrared_temperature"]).transpose("time", "station").values + water.ZERO
    rain = ds["precipitation"].fillna(0).transpose("time", "station").values.astype("f8")
    wet, snow = water.rain_and_melt(rain, air)
    demand = water.evaporation(air, radiation)
    series = {
        "precipitation": (rain, "kg m-2"), "air_temperature": (air, "K"), "shortwave": (radiation, "MJ m-2"),
        "humidity": (humidity, "percent"), "excess": (surface - air, "K"), "snow": (snow, "kg m-2"),
        "deficit": (water.saturation(air) * (1 - humidity / 100), "kPa"), "demand": (demand, "kg m-2"),
        "water": (wet, "kg m-2"), "balance": (wet - demand, "kg m-2"),
    } | {f"storage_{c}": (water.storage(wet, demand, c), "1") for c in water.CAPACITIES}  # fmt: skip
    year = 2 * np.pi * ds["time"].dt.dayofyear.values / 365.25
    series |= {
        n: (np.broadcast_to(f(year)[:, None], rain.shape), "1") for n, f in (("sine", np.sin), ("cosine", np.cos))
    }
    maps = {
        "aridity": np.log(rain.mean(0) / demand.mean(0)),
        "latitude": ds["lat"].values,
        "longitude": ds["lon"].values,
    }
    return xr.Dataset(
        {n: (("time", "station"), v.astype("f4"), {"units": u}) for n, (v, u) in series.items()}
        | {n: ("station", v.astype("f4"), {"units": "1"}) for n, v in maps.items()},
        {"time": ds["time"], "station": ds["station"]},
    )


def filled(series: xr.DataArray) -> xr.DataArray:
    """Gaps by the mean of the day of the year at that station, then of the station, then of all."""
    usual = series.groupby("time.dayofyear").mean()
    series = series.groupby("time.dayofyear").fillna(usual)
    return series.fillna(series.mean("time")).fillna(series.mean())


def thawed(ds: xr.Dataset, depth: int) -> xr.DataArray:
    """Days whose soil is warmer than 1 degree Celsius."""
    known = f"thawed_{depth}cm"
    return ds[known].astype(bool) if known in ds else ds[f"soil_temperature_{depth}cm"] > 1


def predictors(depth: int) -> list[str]:
    """Names of the weather's predictors, and for a depth from the surface those of the 5 cm series."""
    names = [*MEMORIES, "precipitation", "snow", "sine", "cosine", *(f"storage_{c}" for c in water.CAPACITIES)]
    names += [f"antecedent(water, {d})" for d in RAIN] + [f"antecedent(precipitation, {d})" for d in (2, 5, 12, 30)]
    names += [f"memory({n}, {d})" for n, days in MEMORIES.items() for d in days]
    surface = [*(f"memory(surface, {d})" for d in FILTERS), "distance(surface)"]
    return names + surface if depth > 5 else names


def predict(ds: xr.Dataset, depth: int, surface: bool, split: str, unseen: np.ndarray, model: str) -> xr.Dataset:
    """Train before a day, at stations that are not unseen, and estimate all days of all stations.

    Parameters
    ----------
    ds : xarray.Dataset
        Measurements, dims (time, station).
    depth : {5, 20}
        What is estimated.
    surface : bool
        Whether the measured 5 cm series is a predictor.
    unseen : ndarray of bool
        Stations ``(station,)`` without values to learn from.
    """
    name, day = f"soil_moisture_{depth}cm", ds["time"].values.astype("M8[D]")
    train = day < np.datetime64(split)
    last = train & (day >= np.datetime64(split) - 365) & ~unseen.any()
    lent = xr.DataArray(train, dims="time") & xr.DataArray(~unseen, dims="station") & thawed(ds, depth)
    known = prepare(ds).assign({name: ds[name].where(lent).assign_attrs(units="m3 m-3")})
    names = [*predictors(20 if surface else 5), *CLIMATE]
    options = dict(OPTIONS[model])
    if surface:
        known = known.assign(surface_predictors(ds["soil_moisture_5cm"]))
    if unseen.any():
        options |= PLACES[model]
        if surface:
            options |= {"centre": "surface_mean", "scale": "surface_spread"}
            names += [options["centre"], options["scale"]]
    else:
        learnt = known[name].isel(time=train & ~last)
        mean, spread, enough = learnt.mean("time"), learnt.std("time"), learnt.count("time") >= FEWEST
        known["station_mean"], known["station_spread"] = (v.where(enough).fillna(v.mean()) for v in (mean, spread))
        names += ["latitude", "longitude", "station_mean", "station_spread"]
        options |= {"centre": "station_mean", "scale": "station_spread"}
    layer = LAYERS[depth]
    options |= {"validation": last} if last.any() else {}
    bundle = xsm.fit(
        known, depth=layer, model=model, predictors=names, target=name, train=train & ~last, **options
    )  # fmt: skip
    maps = xsm.estimate(known, depth=layer, model=bundle)
    return xr.Dataset({name: maps[f"sm_{layer}cm"], f"{name}_std": maps[f"sm_{layer}cm_reference_std"]})


def surface_predictors(series: xr.DataArray) -> xr.Dataset:
    """The 5 cm series relative to its mean and spread over all days; that of others where a station has no value."""
    series = series.where(series.notnull().any("time"), series.mean("station"))
    mean, spread = series.mean("time"), series.std("time").clip(0.005)
    maps = {"surface_mean": mean.assign_attrs(units="m3 m-3"), "surface_spread": spread.assign_attrs(units="m3 m-3")}
    return xr.Dataset({"surface": ((series - mean) / spread).assign_attrs(units="1"), **maps})


def main() -> None:
    """Predict what the arguments name and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", required=True, help="first day that is not trained on")
    parser.add_argument("--unseen", default="", help="names of stations, comma separated")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", choices=OPTIONS, default="boosting")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with xr.open_dataset(args.data) as file:
        ds = file.load()
    names = [n for n in args.unseen.split(",") if n]
    unseen = np.isin(ds["station"].values, names)
    if unseen.sum() != len(names):
        parser.error(f"{len(names) - unseen.sum()} of the {len(names)} unseen stations are not in {args.data.name}")
    parts = [predict(ds, d, args.task == "depth", args.split, unseen, args.model) for d in TASKS[args.task]]
    xr.merge(parts, compat="override").to_netcdf(args.out)


if __name__ == "__main__":
    main()
