"""Train the bundle ``uscrn-depth``: soil moisture at 20 cm from that at 5 cm and weather, taught by real stations.

    python -m tools.train_uscrn --data uscrn_conus_daily_2015_2021.nc [--out src/xsm/_bundles/uscrn-depth]

The file has daily means of the U.S. Climate Reference Network (NOAA, public domain), dims (time, station). The model is
trained before 2020 without every third station. It is scored, and its spread scaled, from 2020 on at these stations:
the scores in its card are its own, at places and in years that lent it nothing.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import numpy as np
import xarray as xr

import xsm
from xsm.contracts.bundle import Bundle
from xsm.learning.calibration import conformal_factor
from xsm.series.filters import exponential_filter

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


def later(ds: xr.Dataset, bundle: Bundle, left_out: np.ndarray, early: np.ndarray) -> xr.Dataset:
    """Truth, estimate, spread and the 2-day filter of the 5 cm series at stations and on days that lent nothing."""
    maps = xsm.estimate(ds, depth=25, model=bundle)
    plain = exponential_filter(ds["sm_5cm"].transpose("time", "station").values, 2.0)
    part = xr.Dataset({
        "truth": ds[TARGET], "estimate": maps["sm_25cm"], "spread": maps["sm_25cm_reference_std"],
        "filtered": ds["sm_5cm"].copy(data=plain),
    }).isel(time=~early, station=left_out)  # fmt: skip
    return part.where((part["truth"].count("time") >= FEWEST_DAYS) & part["truth"].notnull())


def scores(part: xr.Dataset) -> dict[str, float]:
    """Medians over stations, beside those of the filter."""
    measured = {"unseen_stations": int((part["truth"].count("time") > 0).sum())}
    for prefix, name in (("unseen_", "estimate"), ("unseen_filter_2_days_", "filtered")):
        measured[f"{prefix}r"] = float(xr.corr(part[name], part["truth"], "time").median())
        measured[f"{prefix}ubrmse"] = float((part[name] - part["truth"]).std("time").median())
        measured[f"{prefix}rmse"] = float(np.sqrt(((part[name] - part["truth"]) ** 2).mean("time")).median())
    return {name: round(value, 4) for name, value in measured.items()}


def described(bundle: Bundle, ds: xr.Dataset, left_out: np.ndarray, part: xr.Dataset) -> Bundle:
    """The bundle with what its card says of data, skill and limits, and its spread scaled to new stations."""
    ratios = (abs(part["estimate"] - part["truth"]) / part["spread"]).values
    ratios = ratios[np.isfinite(ratios)]
    measured = scores(part) | {"unseen_inside_95_unscaled": round(float((ratios < 1.96).mean()), 4)}
    names = ds["station"].values.astype(str)
    learnt = ", ".join(names[~left_out])
    card = dict(bundle.card)
    card["sources"] = {
        **card["sources"],
        "data": f"USCRN daily (NOAA NCEI, public domain), {(~left_out).sum()} stations in CONUS: {learnt}",
        "scored_at": ", ".join(names[left_out]),
    }
    card["metrics"] = {**card["metrics"], **measured}
    card["spread"] = {**card["spread"], "factor": conformal_factor(ratios)}
    card["limits"] = (
        f"Learnt at {(~left_out).sum()} stations in CONUS: sensors at 20 cm, from those at 5 cm and weather; points on "
        "thawed ground, mostly grass. The scores 'unseen' are from 2020 on, at stations that lent it nothing. Fed with "
        "an estimate or a retrieval of 5 cm, it passes on its errors; skill elsewhere is not known. The spread is that "
        "of a sensor at a place without one, scaled on the scored stations."
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
    left_out = np.arange(ds.sizes["station"]) % EVERY == 0
    early = (ds["time"] < np.datetime64(SPLIT)).values
    bundle = xsm.fit(
        ds.isel(station=~left_out), depth=25, scenario=2, predictors=PREDICTORS, target=TARGET, train=early,
        surface="cube", seed=2021, **OPTIONS,
    )  # fmt: skip
    bundle = described(bundle, ds, left_out, later(ds, bundle, left_out, early))
    folder = bundle.save(args.out)
    print({n: v for n, v in bundle.card["metrics"].items() if n.startswith("unseen")}, bundle.card["spread"])
    print(f"{bundle.hash}, {sum(p.stat().st_size for p in folder.iterdir()) / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
