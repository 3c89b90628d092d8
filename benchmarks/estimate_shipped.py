"""The shipped models in synthetic worlds that they have never seen: skill and spread, without any training."""

from __future__ import annotations

import warnings

import numpy as np

from benchmarks.estimate_twin import INSIDE, SCORES, scores
from tools.train_bundles import unseen
from xsm.learning.shipped import shipped
from xsm.study.example import Size

SEEDS = (11, 12, 13, 14)
"""Seeds of the worlds, which were neither trained on nor calibrated to."""
TEACHER = {5: "sm_noah_0_10", 25: "sm_noah_10_40"}


def run(quick: bool, seeds: tuple[int, ...] = SEEDS) -> bool:
    """Print a table; return whether the 95 % interval covers 90 to 98 % of the truths of all worlds."""
    size, seeds = (Size(32, "2021-03-01", 90), seeds[:1]) if quick else (Size(48, "2021-03-01", 365), seeds)
    table: dict[str, list[tuple[np.ndarray, float, float]]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in seeds:
            place, world = unseen(size, seed, shipped("gapfill"))
            thawed = ~place.cube["frozen"].astype(bool)
            for depth in (5, 25):
                truth = world.truth[f"sm_{depth}cm"]
                rows = {"Noah": (place.cube[TEACHER[depth]], None)}
                for number in (1, 2):
                    maps = place.cube.sm.estimate(depth=depth, scenario=number)
                    rows[f"scenario {number}"] = (maps[f"sm_{depth}cm"], maps[f"sm_{depth}cm_std"])
                counts = thawed & truth.notnull() & rows["scenario 2"][0].notnull() & rows["Noah"][0].notnull()
                driest = truth.where(counts).quantile(0.1).drop_vars("quantile")
                for name, (values, std) in rows.items():
                    x, y = (
                        v.where(counts).transpose("time", "y", "x").values.reshape(size.days, -1)
                        for v in (values, truth)
                    )
                    inside = dry = np.nan
                    if std is not None:
                        covered = (abs(values - truth) <= 1.959964 * std).where(counts)
                        inside, dry = float(covered.mean()), float(covered.where(truth <= driest).mean())
                    table.setdefault(f"{depth} cm: {name}", []).append((scores(x, y), inside, dry))
    print(f"\n## Shipped models in {len(seeds)} synthetic worlds that they have never seen, against the truth\n")
    print(f"| | {' | '.join(SCORES)} | inside 95 %, by world | the same in the driest tenth |\n" + "| --- " * 6 + "|")
    good = []
    for name, each in table.items():
        shares = [[row[k] for row in each] for k in (1, 2)]
        known = not np.isnan(shares[0][0])
        inside = [", ".join(f"{share:.1%}" for share in column) if known else "" for column in shares]
        means = [f"{v:.4f}" for v in np.mean([row[0] for row in each], 0)]
        print(f"| {name} | {' | '.join(means)} | {' | '.join(inside)} |")
        good += [INSIDE[0] <= np.mean(shares[0]) <= INSIDE[1]] * known
    return all(good)
