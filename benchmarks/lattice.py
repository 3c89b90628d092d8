"""Estimate real SMAP soil moisture from weather and soil on days that the model was not trained on.

    python -m benchmarks.lattice --data DATA.nc --split DATE --out PRED.nc   train before DATE, predict from it on
    python -m benchmarks.lattice --data DATA.nc --folds --out PRED.nc        four folds of 30-day blocks, joined

DATA.nc has the dims (time, cell): `soil_moisture` with gaps, daily weather without, maps of soil and vegetation.
PRED.nc gets `soil_moisture` and `soil_moisture_std`. Everything about soil moisture, the mean and spread of each cell
too, comes from the training days alone.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import numpy as np
import xarray as xr

import xsm

WEATHER = ("precipitation", "air_temperature", "shortwave_down", "longwave_down", "specific_humidity", "wind_speed")
MAPS = (
    "clay", "sand", "silt", "bulk", "capa", "ndvi", "flag_landcover", "flag_roughness", "flag_vegdense", "lat", "lon",
)  # fmt: skip
OPTIONS = {"boosting": {"members": 3}, "lstm": {}}
FOLDS, BLOCK_DAYS = 4, 30
HOURS = 24


def load(path: Path) -> xr.Dataset:
    """Read the series, with precipitation in kg m-2 for each day and maps without holes."""
    ds = xr.open_dataset(path).load().reset_coords(("lat", "lon"))
    rain = ds["precipitation"]
    if rain.attrs.get("units") == "kg m-2 h-1":
        ds["precipitation"] = (rain * HOURS).assign_attrs(units="kg m-2")
    ds["wind_speed"] = np.hypot(ds["wind_u"], ds["wind_v"]).assign_attrs(units="m s-1")
    return ds.assign({n: ds[n].fillna(ds[n].mean()).assign_attrs(ds[n].attrs) for n in MAPS})


def predict(ds: xr.Dataset, train: np.ndarray, model: str, seed: int) -> xr.Dataset:
    """Train on the days of a boolean mask and estimate all days."""
    training = ds["soil_moisture"].where(xr.DataArray(train, dims="time"))
    overall = float(training.mean()), float(training.std("time").mean())
    known = ds.assign(
        soil_moisture=training.assign_attrs(ds["soil_moisture"].attrs),
        cell_mean=training.mean("time").fillna(overall[0]),
        cell_spread=training.std("time").fillna(overall[1]).clip(0.01),
    )
    predictors = (*WEATHER, *MAPS, "cell_mean", "cell_spread")
    bundle = xsm.fit(
        known, model=model, predictors=predictors, target="soil_moisture", train=train, seed=seed,
        centre="cell_mean", scale="cell_spread", **OPTIONS[model],
    )  # fmt: skip
    estimates = xsm.estimate(known, model=bundle)
    return xr.Dataset({"soil_moisture": estimates["sm_5cm"], "soil_moisture_std": estimates["sm_5cm_reference_std"]})


def main() -> None:
    """Predict the days that the arguments name and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", choices=OPTIONS, default="boosting")
    parser.add_argument("--seed", type=int, default=0)
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--split", help="first day that is not trained on")
    how.add_argument("--folds", action="store_true")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    ds = load(args.data)
    if args.split:
        train = ds["time"].values < np.datetime64(args.split)
        estimates = predict(ds, train, args.model, args.seed).isel(time=~train)
    else:
        observed = np.flatnonzero(np.isfinite(ds["soil_moisture"]).any("cell"))
        ds = ds.isel(time=slice(observed[0], observed[-1] + 1))
        fold = (np.arange(ds.sizes["time"]) // BLOCK_DAYS) % FOLDS
        parts = [predict(ds, fold != k, args.model, args.seed).isel(time=fold == k) for k in range(FOLDS)]
        estimates = xr.concat(parts, "time", coords="minimal", compat="override").sortby("time")
    estimates.to_netcdf(args.out)


if __name__ == "__main__":
    main()
