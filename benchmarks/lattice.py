"""Estimate real SMAP soil moisture from weather and soil on days that the model was not trained on.

    python -m benchmarks.lattice --data DATA.nc --split DATE --out PRED.nc   train before DATE, predict from it on
    python -m benchmarks.lattice --data DATA.nc --folds --out PRED.nc        four folds of 30-day blocks, joined
    ... --cross                                                              cross-prediction
    ... --cross --model cru                                                  the same by the gap filler

DATA.nc has the dims (time, cell): `soil_moisture` with gaps, daily weather without, maps of soil and vegetation.
PRED.nc gets `soil_moisture` and `soil_moisture_std`. Everything that is learnt of soil moisture, the mean and spread of
each cell too, comes from the training days alone.

Cross-prediction estimates the retrieval of a day from weather and from the retrievals of **other** days. The model is
trained as before: a retrieval of the fold (or from DATE on) is neither learnt from nor a predictor of what is learnt
from. When it predicts, a day's predictors are the retrievals of all other days, those of the same fold among them, and
never that of the day itself: this measures how well other days and the weather tell what a retrieval will be, not how
well a gap of 30 days is filled. The gap filler, trained likewise, smooths with a tenth of the fold's retrievals hidden
at a time.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import numpy as np
import xarray as xr

import xsm
from benchmarks import water

WEATHER = ("precipitation", "air_temperature", "shortwave_down", "longwave_down", "specific_humidity", "wind_speed")
MAPS = (
    "clay", "sand", "silt", "bulk", "capa", "ndvi", "flag_landcover", "flag_roughness", "flag_vegdense", "lat", "lon",
)  # fmt: skip
RAIN = (1, 2, 3, 5, 8, 12, 20, 35, 60, 100)
MEMORIES = (1.5, 3, 10, 30, 90)
"""Days of the antecedent sums of water, and of the exponential filters of the other series."""
OTHERS = (
    *(f"others(soil_moisture, {d})" for d in (1, 2, 5, 15, 40)),
    *(f'others(soil_moisture, {d}, side="past")' for d in (2, 5, 15)),
    "distance(soil_moisture)", 'distance(soil_moisture, side="past")',
)  # fmt: skip
OPTIONS = {
    "boosting": {"memories": (), "lags": 1, "trees": 800, "learning_rate": 0.06, "leaves": 63, "members": 2},
    "lstm": {},
    "cru": {"epochs": 12},
}
COVARIATES = (*WEATHER, "water", "snow", "balance", "storage_50", "storage_200")
HIDDEN = 10
"""Parts of a fold's retrievals that the gap filler predicts one after the other."""
FOLDS, BLOCK_DAYS = 4, 30
HOURS, SECONDS, MEGA = 24, 86400, 1e-6


def load(path: Path) -> xr.Dataset:
    """Read the series, with precipitation in kg m-2 for each day and maps without holes."""
    ds = xr.open_dataset(path).load().reset_coords(("lat", "lon"))
    rain = ds["precipitation"]
    if rain.attrs.get("units") == "kg m-2 h-1":
        ds["precipitation"] = (rain * HOURS).assign_attrs(units="kg m-2")
    ds["wind_speed"] = np.hypot(ds["wind_u"], ds["wind_v"]).assign_attrs(units="m s-1")
    rain, air, light = (ds[n].values.astype("f8") for n in ("precipitation", "air_temperature", "shortwave_down"))
    wet, snow = water.rain_and_melt(rain, air)
    demand = water.evaporation(air, light * SECONDS * MEGA)
    series = {"water": wet, "snow": snow, "demand": demand, "balance": wet - demand}
    series |= {f"storage_{c}": water.storage(wet, demand, c) for c in water.CAPACITIES}
    ds = ds.assign({n: (("time", "cell"), v.astype("f4"), {"units": "kg m-2"}) for n, v in series.items()})
    return ds.assign({n: ds[n].fillna(ds[n].mean()).assign_attrs(ds[n].attrs) for n in MAPS})


def predictors(model: str) -> list[str]:
    """Names of the predictors from weather; a network has its own memory."""
    if model == "lstm":
        return [*WEATHER, "water", "snow"]
    filtered = (*WEATHER[1:], "demand", "balance")
    names = [*WEATHER, "snow", "demand", *(f"storage_{c}" for c in water.CAPACITIES)]
    names += [f"antecedent(water, {d})" for d in RAIN] + [f"antecedent(precipitation, {d})" for d in (2, 5, 12, 30)]
    return names + [f"memory({n}, {d:g})" for n in filtered for d in MEMORIES]


def predict(ds: xr.Dataset, train: np.ndarray, model: str, seed: int, cross: bool) -> xr.Dataset:
    """Train on the days of a boolean mask and estimate all days; ``cross`` adds the retrievals of other days."""
    training = ds["soil_moisture"].where(xr.DataArray(train, dims="time"))
    overall = float(training.mean()), float(training.std("time").mean())
    known = ds.assign(
        soil_moisture=training.assign_attrs(ds["soil_moisture"].attrs),
        cell_mean=training.mean("time").fillna(overall[0]),
        cell_spread=training.std("time").fillna(overall[1]).clip(0.01),
    )
    names = (*predictors(model), *(OTHERS if cross else ()), *MAPS, "cell_mean", "cell_spread")
    bundle = xsm.fit(
        known, model=model, predictors=names, target="soil_moisture", train=train, seed=seed,
        centre="cell_mean", scale="cell_spread", **OPTIONS[model],
    )  # fmt: skip
    estimates = xsm.estimate(known.assign(soil_moisture=ds["soil_moisture"]) if cross else known, model=bundle)
    return xr.Dataset({"soil_moisture": estimates["sm_5cm"], "soil_moisture_std": estimates["sm_5cm_reference_std"]})


def smooth(ds: xr.Dataset, train: np.ndarray, seed: int) -> xr.Dataset:
    """Train the gap filler on the days of a boolean mask; each retrieval of other days is hidden once and predicted."""
    days = xr.DataArray(train, dims="time")
    bundle = xsm.fit(
        ds.assign(soil_moisture=ds["soil_moisture"].where(days)), task="gapfill", model="cru",
        variables=("soil_moisture",), covariates=COVARIATES, seed=seed, **OPTIONS["cru"],
    )  # fmt: skip
    observed = ds["soil_moisture"]
    part = xr.DataArray(np.random.default_rng(seed).integers(HIDDEN, size=observed.shape), dims=observed.dims)
    out = xr.Dataset()
    for k in range(HIDDEN):
        hidden = (part == k) & ~days
        filled = xsm.gapfill(ds.assign(soil_moisture=observed.where(~hidden)), model=bundle,
                             variables=("soil_moisture",), covariates=COVARIATES)  # fmt: skip
        names = ("soil_moisture", "soil_moisture_std")
        out = xr.Dataset({n: filled[n].where(hidden, out[n] if k else filled[n]) for n in names})
    return out


def main() -> None:
    """Predict the days that the arguments name and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", choices=OPTIONS, default="boosting")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cross", action="store_true", help="retrievals of other days are predictors too")
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--split", help="first day that is not trained on")
    how.add_argument("--folds", action="store_true")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if args.model == "cru" and not args.cross:
        parser.error("the gap filler predicts from retrievals of other days: add --cross")
    ds = load(args.data)

    def estimate(train: np.ndarray) -> xr.Dataset:
        if args.model == "cru":
            return smooth(ds, train, args.seed)
        return predict(ds, train, args.model, args.seed, args.cross)

    if args.split:
        train = ds["time"].values < np.datetime64(args.split)
        estimates = estimate(train).isel(time=~train)
    else:
        observed = np.flatnonzero(np.isfinite(ds["soil_moisture"]).any("cell"))
        ds = ds.isel(time=slice(observed[0], observed[-1] + 1))
        fold = (np.arange(ds.sizes["time"]) // BLOCK_DAYS) % FOLDS
        parts = [estimate(fold != k).isel(time=fold == k) for k in range(FOLDS)]
        estimates = xr.concat(parts, "time", coords="minimal", compat="override").sortby("time")
    estimates.to_netcdf(args.out)


if __name__ == "__main__":
    main()
