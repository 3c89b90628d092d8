"""Validate on real stations: one chain in Hawaii (SMAP, GLDAS Noah, SCAN) and 78 USCRN stations of 2020.

    python -m benchmarks.validate_real [--data shared/data]

Hawaii: the SMAP L3 (36 km) and GLDAS Noah (0.25 degree) series nearest to the SCAN station Waimea Plain, 2017 and 2018,
through `validate` and `triple_collocation`. The station lies outside the cells of both series, on a volcanic island:
this shows that the chain works and says nothing about skill.

USCRN: the test data contain no gridded product of 2020, so stations are compared with each other: one product is the
nearest other station, one is the station's own sensor at 10 cm; scores are grouped by the texture of its soil.

Every score is also computed by pytesmo from the same pairs; the run fails if they differ by more than 1e-10.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

import xsm
from xsm.data.grids import EASE2_M09, EASE2_M36
from xsm.validation.pairing import pair

TOLERANCE = 1e-10
HAWAII = "Waimea_Plain"
DAYS = np.arange("2017-01-01", "2019-01-01", dtype="M8[D]")


def distance(lat: np.ndarray, lon: np.ndarray, lat0: float, lon0: float) -> np.ndarray:
    """Great-circle distance in km."""
    from pyproj import Geod

    there = np.broadcast_arrays(np.asarray(lon, "f8"), np.asarray(lat, "f8"))
    return Geod(ellps="WGS84").inv(np.full_like(there[0], lon0), np.full_like(there[0], lat0), *there)[2] / 1000


def hawaii(data: Path) -> tuple[xr.Dataset, xr.Dataset, str]:
    """Maps of one 36 km cell with the nearest series of SMAP and Noah, and the SCAN station."""
    stations = xsm.open("ismn", data / "insitu/ismn/SCAN/WaimeaPlain", time=slice("2017-01-01", "2018-12-31"))
    lat0, lon0 = float(stations["lat"][0]), float(stations["lon"][0])
    with xr.open_dataset(data / "smap_l3_timeseries/hawaii_0165.nc") as smap:
        away = distance(smap["lat"].values, smap["lon"].values, lat0, lon0)
        flag = smap["retrieval_qual_flag"].values.astype(int)
        use = (smap["locationIndex"].values == away.argmin()) & (smap["Overpass"].values == 1) & ((flag & 0b110) == 0)
        dca = pd.Series(smap["soil_moisture"].values[use], pd.DatetimeIndex(smap["time"].values[use])).sort_index()
    with xr.open_dataset(data / "gldas_noah/hawaii_0165.nc") as gldas:
        far = distance(gldas["lat"].values, gldas["lon"].values, lat0, lon0)
        water = gldas["SoilMoi0_10cm_inst"].isel(locations=int(far.argmin())).to_series()
        cold = gldas["SoilTMP0_10cm_inst"].isel(locations=int(far.argmin())).to_series()
    noah = (water / 100).resample("1D").mean().where(water.resample("1D").count() >= 7)  # kg m-2 of 10 cm; 8 a day
    frozen = cold.resample("1D").min() < 273.15
    first = dca.groupby(dca.index.floor("1D")).head(1)
    row, col = (int(v) for v in EASE2_M36.rowcol(lon0, lat0))
    grid = EASE2_M36.window(row - 1, row + 2, col - 1, col + 2)
    days = pd.DatetimeIndex(DAYS)
    passes = pd.Series(first.index, first.index.floor("1D")).reindex(days)
    retrieved = pd.Series(first.values, first.index.floor("1D")).reindex(days)
    blank = np.full((len(DAYS), 3, 3), np.nan, "f4")
    maps = xr.Dataset(coords={"time": DAYS.astype("M8[ns]")})
    for name, series in (("sm_dca", retrieved), ("sm_noah_0_10", noah.reindex(days))):
        maps[name] = ("time", "y", "x"), blank.copy(), {"units": "m3 m-3"}
        maps[name][:, 1, 1] = series.values.astype("f4")
    for name, once in (
        ("obs_time", passes.values.astype("M8[ns]")),
        ("frozen", frozen.reindex(days).values.astype(bool)),
    ):
        maps[name] = ("time", "y", "x"), np.broadcast_to(once[:, None, None], blank.shape).copy()
    return grid.assign(maps), stations, f"SMAP cell centre {away.min():.0f} km away, Noah {far.min():.0f} km"


def uscrn(data: Path) -> tuple[xr.Dataset, xr.Dataset, str]:
    """Lazy maps of the nearest other station and of each station's sensor at 10 cm, and the stations."""
    stations = xsm.open("uscrn", data / "insitu/uscrn/crn_daily_2020_half.csv.gz")
    soils = pd.read_csv(data / "insitu/uscrn-station-soils.csv", encoding="utf-8-sig")
    lat, lon = stations["lat"].values, stations["lon"].values
    row, col = (v.astype(int) for v in EASE2_M09.rowcol(lon, lat))
    grid = EASE2_M09.window(row.min() - 1, row.max() + 2, col.min() - 1, col.max() + 2)
    moisture, depth, names = stations["soil_moisture"].values, stations["depth"].values, stations["station"].values
    cells: dict[str, dict[tuple[int, int], np.ndarray]] = {}
    gaps = []
    for target, layer in ((5, "sm_5cm"), (20, "sm_25cm")):
        nearest, shallow = f"nearest_station_{target}", f"own_10_cm_{target}"
        cells |= {nearest: {}, shallow: {}}
        has = np.flatnonzero((depth == target) & np.isfinite(moisture).any(1))
        for i in has:
            at = int(row[i] - grid.row0), int(col[i] - grid.col0)
            others = has[names[has] != names[i]]
            away = distance(lat[others], lon[others], lat[i], lon[i])
            cells[nearest][at] = moisture[others[away.argmin()]]
            gaps += [float(away.min())] if layer == "sm_5cm" else []
            (ten,) = np.flatnonzero((names == names[i]) & (depth == 10))
            cells[shallow][at] = moisture[ten]
    for name in ("sand", "silt", "clay"):
        cells[name] = {}
        for i in np.flatnonzero(depth == 5):
            away = distance(soils["lat"].values, soils["lon"].values, lat[i], lon[i])
            if away.min() < 3:
                value = soils[f"pct-{name}-5"].values[away.argmin()]
                cells[name][int(row[i] - grid.row0), int(col[i] - grid.col0)] = np.float32(value)
    maps = xr.Dataset(coords={"time": stations["time"].values})
    for name, known in cells.items():
        maps[name] = scattered(known, grid.shape, stations.sizes["time"] if "_" in name else 0)
        maps[name].attrs = {"units": "m3 m-3", "depth": 25 if name.endswith("_20") else 5} if "_" in name else {}
    return grid.assign(maps), stations, f"nearest other station: median {np.median(gaps):.0f} km away"


def scattered(known: dict[tuple[int, int], Any], shape: tuple[int, int], days: int) -> xr.DataArray:
    """A lazy map with values in a few cells."""
    import dask.array as da

    def block(block_info: Any = None) -> np.ndarray:
        place = block_info[None]["array-location"]
        out = np.full([b - a for a, b in place], np.nan, "f4")
        (top, bottom), (left, right) = place[-2:]
        for (r, c), values in known.items():
            if top <= r < bottom and left <= c < right:
                out[..., r - top, c - left] = values
        return out

    chunks = tuple(tuple(min(64, n - k) for k in range(0, n, 64)) for n in shape)
    chunks = ((days,), *chunks) if days else chunks
    return xr.DataArray(da.map_blocks(block, chunks=chunks, dtype="f4"), dims=("time", "y", "x")[-len(chunks) :])


def difference(maps: xr.Dataset, stations: xr.Dataset, table: xr.Dataset, min_days: int) -> float:
    """Largest difference between a score of the table and pytesmo's from the same pairs."""
    from pytesmo import metrics as theirs

    layers = {
        str(k): [str(p) for p in table["product"].values[table["layer"].values == k]] for k in table["layer"].values
    }
    pairs = pair(maps, stations, layers, {"surface": "5", "subsurface": "20"})
    names = [site.station for site in pairs.sites]
    worst = 0.0
    for layer in pairs.layers.values():
        valid = layer.valid.all(0)
        for k, name in enumerate(layer.names):
            for i in np.flatnonzero(valid.sum(-1) >= min_days):
                x, y = (v[k, i][valid[i]].astype("f8") for v in (layer.x, layer.y))
                one = table.sel(product=name).isel(station=table["station"].values.tolist().index(names[i]))
                expected = {"r": theirs.pearson_r(x, y), "spearman": theirs.spearman_r(x, y), "rmse": theirs.rmsd(x, y),
                            "bias": theirs.bias(x, y), "ubrmse": theirs.ubrmsd(x, y)}  # fmt: skip
                worst = max(worst, *(abs(float(one[score]) - value) for score, value in expected.items()))
    return worst


def show(title: str, table: xr.Dataset, worst: float) -> None:
    """Print the means over stations of every product, and excluded sensors with the reason."""
    names = dict.fromkeys(("r", "spearman", "r_anomaly", "kge"), ".2f") | dict.fromkeys(
        ("rmse", "bias", "ubrmse"), ".3f"
    )
    count = table.sizes["station"]
    print(f"\n{title}\n{count} stations, {table.attrs['period']}, {table.attrs['days']}; means over stations")
    print(f"{'product':22s} {'stations':>8s} {'days':>5s} " + " ".join(f"{n:>9s}" for n in names))
    for product in table["product"].values:
        one = table.sel(product=product)
        n = one["n"].values
        means = " ".join(format(float(one[name].mean()), form).rjust(9) for name, form in names.items())
        print(f"{product:22s} {int((n > 0).sum()):8d} {int(np.median(n[n > 0])) if (n > 0).any() else 0:5d} {means}")
    excluded = pd.Series(table["excluded"].values.astype(str)).str.split(" (", regex=False).str[0]
    for reason, count in excluded[excluded != ""].value_counts().items():
        print(f"  excluded: {count} sensors, {reason}")
    remarks = [str(r) for r in table["remarks"].values if str(r)]
    print(f"  remarks: {len(remarks)} sensors" + (f", e.g. {remarks[0]}" if remarks else ""))
    print(f"  largest difference from pytesmo's functions: {worst:.0e}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("XSM_TEST_DATA", "../shared/data")))
    args = parser.parse_args()
    if not (args.data / "insitu").is_dir():
        parser.error(f"'{args.data}' contains no folder 'insitu'; pass --data or set XSM_TEST_DATA")
    warnings.simplefilter("ignore")

    maps, stations, where = hawaii(args.data)
    table = maps.sm.validate(stations, anomaly=True)
    worst = difference(maps, stations, table, 60)
    show(f"Hawaii, SCAN {HAWAII} at 5 cm ({where})", table, worst)
    errors = maps.sm.triple_collocation(stations).isel(station=0)
    print(f"triple collocation, {int(errors['n'])} days, matched with the {errors.attrs['matching']}:")
    for product in errors["product"].values:
        one = errors.sel(product=product)
        low, high = float(one["error_std_low"]), float(one["error_std_high"])
        print(f"  {product:14s} error {float(one['error_std']):.3f} ({low:.3f} to {high:.3f}) m3 m-3, "
              f"R with the truth {float(one['r_truth']):.2f}")  # fmt: skip
    if note := str(errors["note"].values):
        print(f"  {note}")

    maps, stations, where = uscrn(args.data)
    names = [str(n) for n in maps.data_vars if "_" in str(n)]
    table = maps.sm.validate(stations, variables=names, by=["texture_group"], anomaly=True)
    other = difference(maps, stations, table, 60)
    count = len(np.unique(stations["station"].values))
    show(f"USCRN 2020, {count} stations ({where})", table, other)
    for group in table["by_texture_group"].values:
        for name in names[:2]:
            one = table.sel(product=name, by_texture_group=group)
            r, ubrmse, number = (float(one[f"{s}_by_texture_group"]) for s in ("r", "ubrmse", "count"))
            print(f"  {group:8s} {name:22s} {number:3.0f} stations, R {r:.2f}, ubRMSE {ubrmse:.3f}")
    equal = max(worst, other) <= TOLERANCE
    print(f"\nequal to pytesmo to {TOLERANCE:g}: {'yes' if equal else 'NO'}")
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
