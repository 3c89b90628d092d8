"""Fusion in synthetic worlds that it must not know: skill and spread beside its inputs and the article's scenarios.

    python -m benchmarks.bench_fuse [--seeds 1,2] [--hard 3] [--scenarios trained|shipped|none] [--out DIR] [--json]
                                    [--quick] [--strict]

Worlds of 48 x 48 cells and 600 days, those of ``--hard`` with `xsm.twin.Hard`. Every fit gets the days before the last
fifth and never the truth; the scores are those of the last fifth, on all thawed cell-days of land that every product
has: medians over cells of R and ubRMSE, pooled RMSE. An interval's share is also that of the driest and the wettest
tenth of these truths. ``--scenarios trained`` trains the article's models for 4 epochs, so that a world takes minutes.
``--out`` writes the maps of the test days beside the truth. ``--strict`` ends with code 4 where a target is missed.
``--quick`` runs one small world, whose figures mean little.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from benchmarks.estimate_twin import SCORES, scores
from benchmarks.fuse_products import DEPTHS, Products, products
from benchmarks.fuse_worlds import FULL, QUICK, Case, prepare

SKILL = {5: ("mean of inputs", 0.03, 0.88, 0.92), 25: ("model_root", 0.05, 0.90, 0.88)}
"""Targets of ``fuse``: product to beat, gain in R, factors on ubRMSE and RMSE."""
INSIDE = {"fuse": (0.90, 0.98), "fuse with stations": (0.93, 0.97)}
TAIL, FILTER = 0.88, {False: 0.01, True: 0.02}
"""Least share inside the interval in either tail; most that R may lose without later days, in a hard world."""
Result = dict[str, Any]


def evaluate(case: Case, rivals: Products) -> Result:
    """Scores of all products of a world and shares of the truth inside the 95 % intervals."""
    result: Result = {"seed": case.seed, "hard": case.hard, "inside": {}, "tails": {}, "inside of": {}}
    thawed = ~case.cube["frozen"].astype(bool)
    for depth in DEPTHS:
        truth, rows = case.truth[f"sm_{depth}cm"], rivals.values[depth]
        counts = thawed & truth.notnull()
        for values in rows.values():
            counts = counts & values.notnull()

        def series(values: xr.DataArray, counts: xr.DataArray = counts) -> np.ndarray:
            days = values.where(counts).transpose("time", "y", "x").values[case.test]
            return days.reshape(len(days), -1)

        true = series(truth)
        result[str(depth)] = {n: [round(float(s), 5) for s in scores(series(v), true)] for n, v in rows.items()}
        low, high = np.nanquantile(true, (0.1, 0.9))
        for name, spread in rivals.spreads[depth].items():
            inside = np.abs(series(rows[name]) - true) <= 1.959964 * series(spread)
            share = round(float(inside[np.isfinite(true)].mean()), 4)
            ends = {"driest": true <= low, "wettest": true >= high}
            tails = {end: round(float(inside[part].mean()), 4) for end, part in ends.items()}
            if name == "fuse":
                result["inside"][str(depth)], result["tails"][str(depth)] = share, tails
            else:
                result["inside of"].setdefault(name, {})[str(depth)] = {"inside": share, **tails}
    return result


def intervals(result: Result, name: str, depth: int) -> dict[str, float]:
    """Shares inside the interval of a product: of all truths, the driest and the wettest tenth."""
    key = str(depth)
    if name == "fuse":
        return {"inside": result["inside"][key], **result["tails"][key]}
    return result["inside of"].get(name, {}).get(key, {})


def targets(result: Result) -> dict[str, bool]:
    """What fusion should reach in a world, and whether it does."""
    checks = {}
    for depth in DEPTHS:
        rows = result[str(depth)]
        other, gain, ubrmse, rmse = SKILL[depth]
        got, base, past = rows["fuse"], rows[other], rows["fuse filter"]
        checks |= {
            f"{depth} cm: R {got[0] - base[0]:+.3f} to {other} (target {gain:+})": got[0] >= base[0] + gain,
            f"{depth} cm: ubRMSE x {got[1] / base[1]:.3f} (target {ubrmse})": got[1] <= ubrmse * base[1],
            f"{depth} cm: RMSE x {got[2] / base[2]:.3f} (target {rmse})": got[2] <= rmse * base[2],
            f"{depth} cm: filter loses {got[0] - past[0]:.3f} of R (at most {FILTER[result['hard']]})": (
                past[0] >= got[0] - FILTER[result["hard"]]
            ),
        }
        for name, (low, high) in INSIDE.items():
            share = intervals(result, name, depth)
            tails = min(share["driest"], share["wettest"])
            checks |= {
                f"{depth} cm, {name}: {share['inside']:.1%} inside (target {low:.0%} to {high:.0%})": (
                    low <= share["inside"] <= high
                ),
                f"{depth} cm, {name}: {tails:.1%} inside in the worse tail (target {TAIL:.0%})": tails >= TAIL,
            }
    return checks


def show(result: Result) -> bool:
    """Print the tables and the targets of a world; return whether all are met."""
    print(f"\n## Synthetic world {result['seed']}{', hard' if result['hard'] else ''}: test days, against the truth")
    for depth in DEPTHS:
        print(f"\n| {depth} cm | {' | '.join(SCORES)} | inside 95 % | driest tenth | wettest tenth |")
        print("| --- " * 7 + "|")
        for name, row in result[str(depth)].items():
            shares = intervals(result, name, depth)
            cells = [f"{row[0]:.3f}", f"{row[1]:.4f}", f"{row[2]:.4f}"]
            cells += [f"{shares[k]:.1%}" if shares else "" for k in ("inside", "driest", "wettest")]
            print(f"| {name} | {' | '.join(cells)} |")
    checks = targets(result)
    print()
    for what, good in checks.items():
        print(f"- {'yes' if good else 'NO '} {what}")
    sys.stdout.flush()
    return all(checks.values())


def write(case: Case, rivals: Products, folder: Path) -> Path:
    """Write the estimates of the test days, their spreads and the truth of a world as NetCDF."""
    maps = xr.Dataset(attrs=case.truth.attrs)
    for depth in DEPTHS:
        maps[f"truth_{depth}cm"] = case.truth[f"sm_{depth}cm"]
        for ending, each in (("", rivals.values[depth]), ("_std", rivals.spreads[depth])):
            for name, values in each.items():
                maps[f"{name.replace(' ', '_')}_{depth}cm{ending}"] = values.transpose("time", "y", "x").astype("f4")
    maps["frozen"] = case.cube["frozen"]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"world-{case.seed}{'-hard' if case.hard else ''}.nc"
    maps.isel(time=case.test).to_netcdf(path, encoding={n: {"zlib": True, "complevel": 1} for n in maps.data_vars})
    return path


def main() -> None:
    """Make the worlds one by one and print what fusion reaches in them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="1,2", help="seeds of the default worlds")
    parser.add_argument("--hard", default="3", help="seeds of the hard worlds")
    parser.add_argument("--scenarios", choices=("trained", "shipped", "none"), default="trained")
    parser.add_argument("--out", type=Path, help="folder for the maps")
    parser.add_argument("--json", action="store_true", help="print the results as JSON in the last line")
    parser.add_argument("--strict", action="store_true", help="end with code 4 where a target is missed")
    parser.add_argument("--quick", action="store_true", help="one world of 24 x 24 cells and 200 days")
    args = parser.parse_args()
    worlds = [(int(s), hard) for hard, seeds in ((False, args.seeds), (True, args.hard)) for s in seeds.split(",") if s]
    how: dict[str, Any] = {"size": QUICK, "fill": {"epochs": 2, "cells": 48}} if args.quick else {"size": FULL}
    results, good = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed, hard in worlds[:1] if args.quick else worlds:
            case = prepare(seed, hard=hard, **how)
            rivals = products(case, args.scenarios)
            results.append(evaluate(case, rivals))
            good.append(show(results[-1]))
            if args.out:
                print(f"\nMaps: {write(case, rivals, args.out)}")
    if args.json:
        print(json.dumps(results))
    sys.exit(4 if args.strict and not all(good) else 0)


if __name__ == "__main__":
    main()
