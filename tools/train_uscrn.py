"""Train the bundle ``uscrn-depth``: soil moisture at 20 cm from that at 5 cm and weather, taught by real stations.

    python -m tools.train_uscrn --data uscrn_conus_daily_2015_2021.nc [--out src/xsm/_bundles/uscrn-depth]

The file has daily means of the U.S. Climate Reference Network (NOAA, public domain), dims (time, station). Two models
are trained: one before 2020 without every third station, which is scored from 2020 on at these stations, and the one
that is saved, on all stations and days. Its card has the scores of the first one.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import numpy as np
import xarray as xr

import xsm
from xsm.contracts.bundle import Bundle
from xsm.learning.filters import exponential_filter

TARGET, SPLIT, EVERY = "soil_moisture_20cm", "2020-01-01", 3
FILTERS = (1, 2, 4, 8, 16, 32, 64)
PREDICTORS = (
    *(f"memory(standard(sm_5cm), {d})" for d in FILTERS),
    "precipitation", *(f"antecedent(precipitation, {d})" for d in (1, 2, 3, 5, 8, 12, 20, 35, 60, 100, 180)),
    "air_temperature", *(f"memory(air_temperature, {d})" for d in (3, 10, 30, 90)),
    "mean(sm_5cm)", "spread(sm_5cm)", "mean(precipitation)", "mean(air_temperature)",
)  # fmt: skip
OPTIONS = {
    "model": "boosting", "places": True, "centre": "mean(sm_5cm)", "scale": "spread(sm_5cm)",
    "memories": (), "lags": 0, "trees": 150, "learning_rate": 0.08, "leaves": 24, "leaf_size": 100,
}  # fmt: skip
FEWEST_DAYS = 90


def load(path: Path) -> xr.Dataset:
    """Series of stations under canonical names; soil moisture on thawed days, weather without gaps."""
    with xr.open_dataset(path) as file:
        ds = file.load()
    air = ds["air_temperature_mean"]
    air = air.groupby("time.dayofyear").fillna(air.groupby("time.dayofyear").mean()).fillna(air.mean("time"))
    series = xr.Dataset({
        "precipitation": ds["precipitation"].fillna(0).assign_attrs(units="kg m-2"),
        "air_temperature": (air + 273.15).drop_vars("dayofyear", errors="ignore").assign_attrs(units="K"),
        "sm_5cm": ds["soil_moisture_5cm"].assign_attrs(units="m3 m-3"),
        TARGET: ds[TARGET].where(ds["soil_temperature_20cm"] > 1).assign_attrs(units="m3 m-3"),
    })  # fmt: skip
    both = series[["sm_5cm", TARGET]].notnull().any("time")
    return series.isel(station=(both["sm_5cm"] & both[TARGET]).values)


def train(ds: xr.Dataset, days: np.ndarray) -> Bundle:
    """Train on some days, for places without values."""
    return xsm.fit(
        ds, depth=25, scenario=2, predictors=PREDICTORS, target=TARGET, train=days, surface="cube", seed=2021, **OPTIONS
    )


def score(ds: xr.Dataset) -> dict[str, float]:
    """Medians over stations that lent nothing, on days that were not trained on, beside the exponential filter."""
    left_out = np.arange(ds.sizes["station"]) % EVERY == 0
    early = (ds["time"] < np.datetime64(SPLIT)).values
    bundle = train(ds.isel(station=~left_out), early)
    maps = xsm.estimate(ds, depth=25, model=bundle)
    plain = ds["sm_5cm"].copy(data=exponential_filter(ds["sm_5cm"].transpose("time", "station").values, 2.0))
    estimates = {"": maps["sm_25cm"], "filter_2_days_": plain}
    later = {"time": ~early, "station": left_out}
    truth = ds[TARGET].isel(later)
    truth = truth.where(truth.count("time") >= FEWEST_DAYS)
    scores = {"stations": int((truth.count("time") > 0).sum())}
    for prefix, estimate in estimates.items():
        estimate = estimate.isel(later).where(truth.notnull())
        scores[f"{prefix}r"] = float(xr.corr(estimate, truth, "time").median())
        scores[f"{prefix}ubrmse"] = float((estimate - truth).std("time").median())
    ratio = abs(maps["sm_25cm"].isel(later) - truth) / maps["sm_25cm_reference_std"].isel(later)
    scores["inside_95"] = float((ratio < 1.96).where(ratio.notnull()).mean())
    return {f"unseen_{name}": round(value, 4) for name, value in scores.items()}


def described(bundle: Bundle, ds: xr.Dataset, scores: dict[str, float]) -> Bundle:
    """The bundle with what its card says of data, skill and limits."""
    card = dict(bundle.card)
    first, last = ds["time"].values[[0, -1]].astype("M8[D]")
    names = ", ".join(ds["station"].values.astype(str))
    card["sources"] = {
        **card["sources"],
        "data": f"USCRN daily (NOAA NCEI, public domain), {ds.sizes['station']} stations in CONUS, {first} to {last}",
        "stations": names,
    }
    card["metrics"] = {**card["metrics"], **scores}
    card["limits"] = (
        f"Learnt at {ds.sizes['station']} stations in CONUS: sensors at 20 cm, from those at 5 cm and weather; points "
        "on thawed ground, mostly grass. The scores 'unseen' are of a model trained before 2020, at stations that lent "
        "it nothing. Fed with an estimate or a retrieval of 5 cm, it passes on its errors; skill elsewhere is not "
        "known. The spread is that of a sensor at a place without one."
    )
    return Bundle(card, bundle.weights)


def main() -> None:
    """Train, score and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path(xsm.__file__).parent / "_bundles" / "uscrn-depth")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    ds = load(args.data)
    scores = score(ds)
    print(scores, flush=True)
    bundle = described(train(ds, np.ones(ds.sizes["time"], bool)), ds, scores)
    folder = bundle.save(args.out)
    print(f"{bundle.hash}, {sum(p.stat().st_size for p in folder.iterdir()) / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
