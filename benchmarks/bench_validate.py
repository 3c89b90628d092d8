"""Score 1,000 stations x 1,826 days beside pytesmo: the same data, the same scores, one run.

    python -m benchmarks.bench_validate [--stations 1000] [--days 1826] [--repeat 5]

Three times are printed: `xsm.validation.metrics.scores`, pytesmo's metric calculator alone
(``PairwiseIntercomparisonMetrics``, fed with ready data frames), and pytesmo's validation loop (``Validation`` with
the same calculator and its temporal matcher, data in memory). The run fails where a score differs by more than 1e-10
from pytesmo's functions.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

TOLERANCE, GOAL = 1e-10, 20
NAMES = ("r", "p_value", "spearman", "bias", "rmse", "ubrmse", "n", "r_low", "r_high")


def series(stations: int, days: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Autocorrelated estimates and station values, a tenth of each missing; (station, day)."""
    from scipy.signal import lfilter

    rng = np.random.default_rng(seed)
    truth = 0.25 + 0.05 * lfilter([0.44], [1, -0.9], rng.normal(size=(stations, days)), axis=1)
    x, y = (truth + rng.normal(0, s, truth.shape) for s in (0.04, 0.03))
    x[rng.random(x.shape) < 0.1] = np.nan
    y[rng.random(y.shape) < 0.1] = np.nan
    return x, y


def timed(work: Callable[[], Any], repeat: int = 1) -> tuple[float, Any]:
    """Shortest time of some runs, and the result."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - start)
    return min(times), result


def validation(frames: list[pd.DataFrame], calculator: Any) -> dict[str, np.ndarray]:
    """Pytesmo's loop: read, match in time, calculate, station by station."""
    from pytesmo.validation_framework.data_manager import DataManager
    from pytesmo.validation_framework.temporal_matchers import make_combined_temporal_matcher
    from pytesmo.validation_framework.validation import Validation

    class Reader:
        def __init__(self, column: str) -> None:
            self.column = column

        def read(self, gpi: int) -> pd.DataFrame:
            return frames[gpi][[self.column]]

    datasets = {n: {"class": Reader(n), "columns": [n], "grids_compatible": True} for n in ("station", "map")}
    loop = Validation(
        DataManager(datasets, "station"),
        metrics_calculators={(2, 2): calculator.calc_metrics},
        spatial_ref="station",
        temporal_matcher=make_combined_temporal_matcher(pd.Timedelta(1, "h")),
        scaling=None,
    )
    count = len(frames)
    (result,) = loop.calc(list(range(count)), [0.0] * count, [0.0] * count).values()
    return result


def functions(x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """Scores by pytesmo's functions, in double precision; its calculators store single precision."""
    from pytesmo import metrics as theirs
    from scipy.stats import pearsonr

    rows = []
    for a, b in zip(x, y, strict=True):
        both = np.isfinite(a) & np.isfinite(b)
        a, b = a[both], b[both]
        r = theirs.pearson_r(a, b)
        low, high = theirs.pairwise.pearson_r_ci(a, b, r, alpha=0.05)
        rows.append((r, pearsonr(a, b).pvalue, theirs.spearman_r(a, b), theirs.bias(a, b), theirs.rmsd(a, b),
                     theirs.ubrmsd(a, b), len(a), low, high))  # fmt: skip
    return dict(zip(NAMES, np.array(rows).T, strict=True))


def of_loop(results: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Results of the loop by the same names; the loop returns the square of the RMSE."""
    keys = ("R", "p_R", "rho", "BIAS", "mse", "urmsd", "n_obs", "R_ci_lower", "R_ci_upper")
    out = {name: np.ravel(results[key]).astype("f8") for name, key in zip(NAMES, keys, strict=True)}
    return out | {"rmse": np.sqrt(out["rmse"])}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stations", type=int, default=1000)
    parser.add_argument("--days", type=int, default=1826)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeat", type=int, default=5, help="runs of xsm; the shortest counts")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    import pytesmo
    from pytesmo.validation_framework.metric_calculators import PairwiseIntercomparisonMetrics

    from xsm.validation import metrics

    x, y = series(args.stations, args.days, args.seed)
    metrics.scores(x[:2], y[:2])  # compiles
    seconds, ours = timed(lambda: metrics.scores(x, y), args.repeat)
    calculator = PairwiseIntercomparisonMetrics(calc_kendall=False)
    index = pd.date_range("2018-01-01", periods=args.days)
    frames = [pd.DataFrame({"station": y[i], "map": x[i]}, index) for i in range(args.stations)]
    alone, _ = timed(lambda: [calculator.calc_metrics(f[["map", "station"]], (0, 0, 0)) for f in frames])
    loop, looped = timed(lambda: validation(frames, calculator))
    print(f"{args.stations:,} stations x {args.days:,} days, pytesmo {pytesmo.__version__}")
    print(f"xsm.validation.metrics.scores  {seconds:8.3f} s")
    print(f"pytesmo metric calculator      {alone:8.3f} s  {alone / seconds:6.1f} x")
    print(f"pytesmo validation loop        {loop:8.3f} s  {loop / seconds:6.1f} x   (goal: {GOAL})")
    low, high = metrics.fisher(ours["r"], ours["n"])
    ours |= {"p_value": metrics.p_value(ours["r"], ours["n"]), "r_low": low, "r_high": high}
    exact, stored = functions(x, y), of_loop(looped)
    wrong = {name: float(np.abs(ours[name] - exact[name]).max()) for name in NAMES}
    print("largest differences from pytesmo's functions:", ", ".join(f"{k} {v:.0e}" for k, v in wrong.items()))
    single = max(float(np.abs(ours[name] - stored[name]).max()) for name in NAMES)
    print(f"largest difference from the loop's results, which it stores in single precision: {single:.0e}")
    equal = max(wrong.values()) <= TOLERANCE and single < 1e-6
    print(f"equal to {TOLERANCE:g}: {'yes' if equal else 'NO'}")
    return 0 if equal and loop / seconds >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
