"""Time constants of the exponential filter from 5 to 20 cm at real stations (USCRN), by the texture of their soil.

    python -m benchmarks.time_constants --data uscrn_conus_daily_2015_2021.nc --soils uscrn-station-soils.csv

The constant of a station is that whose filtered 5 cm series (Albergel et al. 2008) has the largest correlation with the
20 cm series on thawed days. The soil is that of the table's station within 5 km.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from benchmarks.validate_real import distance
from xsm.data.soil_texture import CLASSES, classify, group_of
from xsm.series.filters import exponential_filter

DAYS = (0.5, 1, 1.5, 2, 3, 4, 5, 7, 10, 14, 20, 30, 40)
FEWEST_DAYS, NEAR_KM = 365, 5


def best_days(surface: np.ndarray, deep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Time constant with the largest correlation at each station, and that correlation; NaN where days are too few.

    Parameters
    ----------
    surface, deep : ndarray
        ``(time, station)``, NaN where missing.
    """
    series = xr.DataArray(deep, dims=("time", "station"))
    filtered = (xr.DataArray(exponential_filter(surface, d), dims=series.dims) for d in DAYS)
    r = np.stack([xr.corr(one, series, "time").values for one in filtered])
    enough = (np.isfinite(deep) & np.isfinite(exponential_filter(surface, 1.0))).sum(0) >= FEWEST_DAYS
    best = np.where(np.isfinite(r), r, -1).argmax(0)
    return np.where(enough, np.array(DAYS)[best], np.nan), np.where(enough, r.max(0), np.nan)


def texture_groups(lat: np.ndarray, lon: np.ndarray, soils: pd.DataFrame) -> np.ndarray:
    """Group of the texture at 5 cm of the nearest row of the table; empty where none is near."""
    sand, silt, clay = (soils[f"pct-{n}-5"].to_numpy("f8") for n in ("sand", "silt", "clay"))
    known = soils[np.isfinite(sand + silt + clay)]
    codes = classify(*(known[f"pct-{n}-5"].to_numpy("f8") for n in ("sand", "silt", "clay")))
    away = np.stack(
        [distance(known["lat"].values, known["lon"].values, *place) for place in zip(lat, lon, strict=True)]
    )
    near = away.argmin(1)
    return np.where(away.min(1) < NEAR_KM, [group_of(CLASSES[codes[k] - 1]) for k in near], "")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--soils", type=Path, required=True)
    args = parser.parse_args()
    with xr.open_dataset(args.data) as file:
        ds = file.load()
    deep = ds["soil_moisture_20cm"].where(ds["soil_temperature_20cm"] > 1)
    surface, deep = (v.transpose("time", "station").values for v in (ds["soil_moisture_5cm"], deep))
    days, r = best_days(surface, deep)
    soils = pd.read_csv(args.soils, encoding="utf-8-sig")
    group = texture_groups(ds["lat"].values, ds["lon"].values, soils)
    table = pd.DataFrame({"group": np.where(group == "", "unknown", group), "days": days, "r": r}).dropna()
    print(f"{'texture':8s} stations  days: median (quartiles)  median R")
    for name, part in (*table.groupby("group"), ("all", table)):
        low, middle, high = part["days"].quantile([0.25, 0.5, 0.75])
        print(f"{name:8s} {len(part):8d}  {middle:12.1f} ({low:g} to {high:g})  {part['r'].median():14.2f}")


if __name__ == "__main__":
    main()
