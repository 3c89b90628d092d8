"""Estimates beside their teachers against the truth of synthetic worlds, on the test days, for several seeds."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from tools.train_bundles import FILL, gappy, world_cube
from xsm.data.period import split_days
from xsm.ops.gapfill import gapfill
from xsm.study.example import Size

DRAWS, BLOCK = 1000, 10
INSIDE = (0.90, 0.98)
SCORES = ("R", "ubRMSE", "RMSE")
Rows = dict[str, np.ndarray]


def world(seed: int, cells: int, days: int, options: Mapping[str, Any]) -> tuple[Rows, Rows, dict[str, np.ndarray]]:
    """Train all scenarios in a world and estimate its test days.

    Returns
    -------
    surface, subsurface : dict of str to ndarray
        Products and ``truth``, (time, cell); NaN where any product of the table does not count.
    spreads : dict of str to ndarray
        Standard deviations by product.
    """
    size = Size(cells, "2020-01-01", days)
    cube, synthetic = world_cube(size.grid, size.dates, seed)
    day = cube["time"].values.astype("M8[D]")
    training, validation = split_days(day, None, None)
    fill = cube.sm.fit(task="gapfill", variables=gappy(cube), train=training, seed=seed, **FILL)
    cube = gapfill(cube, "cru", variables=gappy(cube), model=fill).compute()
    test = np.flatnonzero(~training & ~validation)
    stations, truth = synthetic.stations, synthetic.truth
    dca = cube["sm_dca"].where(cube["sm_dca_observed"])
    products: dict[int, dict[str, xr.DataArray]] = {
        5: {"DCA": dca, "DCA 5 x 5 mean": dca.rolling(y=5, x=5, center=True, min_periods=1).mean(),
            "Noah": cube["sm_noah_0_10"]},
        25: {"Noah": cube["sm_noah_10_40"]},
    }  # fmt: skip
    products[5]["mean of the teachers"] = (products[5]["DCA"] + products[5]["Noah"]) / 2
    spreads: dict[str, np.ndarray] = {}
    surface = None
    for depth, number in ((5, 1), (5, 2), (25, 1), (25, 2)):
        feeds = {"surface": surface} if (depth, number) == (25, 2) else {}
        bundle = cube.sm.fit(depth=depth, scenario=number, stations=stations, seed=seed, **feeds, **options)
        surface = bundle if (depth, number) == (5, 2) else surface
        maps = cube.sm.estimate(depth=depth, scenario=number, model=bundle)
        name = f"scenario {number}"
        products[depth][name] = maps[f"sm_{depth}cm"]
        spread = next(n for n in maps if str(n).endswith("_std"))
        print(f"seed {seed}: {depth} cm {name}, {bundle.card['spread']}", file=sys.stderr, flush=True)
        spreads[f"{depth} cm {name}"] = maps[spread].values[test].reshape(len(test), -1)
    tables = []
    for depth, estimates in products.items():
        rows = {n: v.transpose("time", "y", "x").values[test].reshape(len(test), -1) for n, v in estimates.items()}
        rows["truth"] = truth[f"sm_{depth}cm"].transpose("time", "y", "x").values[test].reshape(len(test), -1)
        counts = np.all([np.isfinite(v) for v in rows.values()], 0)
        counts &= ~cube["frozen"].values[test].reshape(len(test), -1).astype(bool)
        tables.append({n: np.where(counts, v, np.nan) for n, v in rows.items()})
    return tables[0], tables[1], spreads


def scores(x: np.ndarray, truth: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """Median over cells of temporal R and ubRMSE, and pooled RMSE; cells with at least 10 days.

    Parameters
    ----------
    x, truth : ndarray
        (day, cell), NaN in both where they do not count.
    weight : ndarray, optional
        (draw, day): how often a day counts; once by default.

    Returns
    -------
    ndarray
        (3,), or (draw, 3) with weights.
    """
    valid = np.isfinite(truth)
    middle = np.nanmean(truth)
    a, b = (np.where(valid, v - middle, 0.0).astype("f8") for v in (x, truth))
    w = np.ones((1, len(x))) if weight is None else weight.astype("f8")
    n = w @ valid
    n[n < 10] = np.nan
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_a, mean_b = w @ a / n, w @ b / n
        var_a, var_b = (w @ (v * v) / n - m * m for v, m in ((a, mean_a), (b, mean_b)))
        cov = w @ (a * b) / n - mean_a * mean_b
        r = cov / np.sqrt(var_a * var_b)
        ubrmse = np.sqrt(np.maximum(var_a + var_b - 2 * cov, 0))
        square = np.where(np.isnan(n), 0, w @ ((a - b) ** 2))
    rmse = np.sqrt(square.sum(1) / np.nansum(n, 1))
    got = np.stack([np.nanmedian(r, 1), np.nanmedian(ubrmse, 1), rmse], 1)
    return got[0] if weight is None else got


def differences(worlds: list[Rows], one: str, other: str, draws: int) -> np.ndarray:
    """Draw the difference of scores of two rows, averaged over worlds: blocks of days, the same ones for both."""
    rng = np.random.default_rng(0)
    drawn = []
    for rows in worlds:
        days = len(rows["truth"])
        starts = rng.integers(0, max(days - BLOCK, 1), (draws, -(-days // BLOCK)))
        days_of_draw = np.minimum(starts[..., None] + np.arange(BLOCK), days - 1).reshape(draws, -1)[:, :days]
        weight = np.stack([np.bincount(c, minlength=days) for c in days_of_draw])
        drawn.append(scores(rows[one], rows["truth"], weight) - scores(rows[other], rows["truth"], weight))
    return np.mean(drawn, 0)


def table(title: str, worlds: list[Rows], draws: int) -> dict[str, np.ndarray]:
    """Print means over worlds, and scenario 2 minus each row with its 95 % interval."""
    names = [n for n in worlds[0] if n != "truth"]
    means = {n: np.mean([scores(w[n], w["truth"]) for w in worlds], 0) for n in names}
    print(f"\n### {title}, {len(worlds)} worlds\n")
    print(f"| product | {' | '.join(SCORES)} | {' | '.join(f'scenario 2 minus it: {s}' for s in SCORES)} |")
    print("| --- " * 7 + "|")
    for name, values in means.items():
        cells = [f"{v:.4f}" for v in values]
        if name == "scenario 2":
            cells += ["", "", ""]
        else:
            low, high = np.nanquantile(differences(worlds, "scenario 2", name, draws), [0.025, 0.975], axis=0)
            middle = means["scenario 2"] - values
            cells += [f"{m:+.4f} [{a:+.4f}, {b:+.4f}]" for m, a, b in zip(middle, low, high, strict=True)]
        print(f"| {name} | {' | '.join(cells)} |")
    return means


def run(quick: bool, seeds: tuple[int, ...], options: Mapping[str, Any]) -> bool:
    """Print both tables, the coverage of the intervals and the goals; return whether all are met."""
    cells, days = (32, 200) if quick else (48, 600)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = [world(seed, cells, days, options) for seed in seeds]
    draws = DRAWS // 10 if quick else DRAWS
    print("\n## Synthetic twin, test days, against the truth")
    five = table("5 cm, days with observed DCA", [m[0] for m in results], draws)
    deep = table("25 cm, all days", [m[1] for m in results], draws)
    inside = {}
    for key in results[0][2]:
        depth, name = key.split(" cm ")
        parts = []
        for surface, subsurface, spreads in results:
            rows = surface if depth == "5" else subsurface
            error = np.abs(rows[name] - rows["truth"])
            parts.append((error <= 1.959964 * spreads[key])[np.isfinite(error)].mean())
        inside[key] = float(np.mean(parts))
    one, two = five["scenario 1"], five["scenario 2"]
    checks = {
        "5 cm: scenario 2 above both teachers in R": two[0] > max(five["DCA"][0], five["Noah"][0]),
        "5 cm: scenario 2 below both teachers in RMSE": two[2] < min(five["DCA"][2], five["Noah"][2]),
        "5 cm: scenario 2 RMSE below scenario 1": two[2] < one[2],
        "5 cm: scenario 2 R at most 0.01 lower than scenario 1": two[0] > one[0] - 0.01,
        "25 cm: scenario 2 ubRMSE below scenario 1": deep["scenario 2"][1] < deep["scenario 1"][1],
        "25 cm: scenario 2 ubRMSE below Noah": deep["scenario 2"][1] < deep["Noah"][1],
    } | {
        f"{key}: {share:.1%} of truths inside the 95 % interval (goal 90 to 98 %)": INSIDE[0] <= share <= INSIDE[1]
        for key, share in inside.items()
    }
    print()
    for what, good in checks.items():
        print(f"- {'yes' if good else 'NO '} {what}")
    return all(checks.values())
