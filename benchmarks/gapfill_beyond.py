"""Gap filling beyond the lattice: growth over pixels and days, Western Australia, the twin with its known truth."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from benchmarks.gapfill_scores import score, table
from xsm.contracts.bundle import Bundle
from xsm.contracts.registry import get_model

GAPS = ((1, 2), (3, 5), (6, 15), (16, 60))


def growth(masked: np.ndarray, days: np.ndarray, bundle: Bundle) -> None:
    """Print the filling speed for more pixels and for more days; series are repeated, not invented."""
    model = get_model("cru", "gapfill")
    target = bundle.card["targets"][0]
    base = masked.shape
    for years, cells in ((1, 1000), (1, 4000), (1, 16000), (2, 4000), (4, 4000)):
        values = np.tile(masked, (years, -(-cells // base[1])))[:, :cells].astype("f4")
        calendar = days[0] + np.arange(len(values))
        begin = time.perf_counter()
        model.predict_block({target: values, "days": calendar}, bundle, device="cpu")
        seconds = time.perf_counter() - begin
        print(f"  {cells:6d} pixels x {len(values):5d} days: {values.size / seconds:12,.0f} pixel-days/s")


def western_australia(folder: Path, bench: Any, seed: int, options: dict[str, object]) -> None:
    """Hide 20 % of the 9 km retrievals at random, then one 10-day block in each cell, and score the fills."""
    import xsm

    with_gaps = xsm.open("smap", str(folder))[["sm_dca"]].load()
    flat = (
        with_gaps.stack(cell=("y", "x"))
        .reset_index("cell", drop=True)
        .transpose("time", "cell")
        .reset_coords(drop=True)
    )
    truth = flat["sm_dca"].values.astype("f8")
    use = np.isfinite(truth).sum(0) >= 20
    truth = truth[:, use]
    rng = np.random.default_rng(seed)
    observed = np.isfinite(truth)
    start = rng.integers(5, len(truth) - 15, truth.shape[1])
    day = np.arange(len(truth))[:, None]
    rows: dict[str, list[Any]] = {"linear": [], "Gaussian process": [], "xsm, own series": []}
    for hidden in (observed & (rng.random(observed.shape) < 0.2), observed & (day >= start) & (day < start + 10)):
        masked = np.where(hidden, np.nan, truth)
        near = bench.distance(masked)
        for name, filler in (("linear", bench.linear), ("Gaussian process", bench.gaussian_process)):
            begin = time.perf_counter()
            fills = [filler(column) for column in masked.T]
            spent = time.perf_counter() - begin
            spread = None if fills[0][1] is None else np.stack([s for _, s in fills], 1)
            rows[name].append(
                score(np.stack([f for f, _ in fills], 1), spread, truth, masked, hidden, near, 0.0, spent)
            )
        begin = time.perf_counter()
        ds = flat.isel(cell=np.flatnonzero(use)).assign(
            sm_dca=(("time", "cell"), masked.astype("f4"), flat["sm_dca"].attrs)
        )
        filled = ds.sm.gapfill_cru(variables=["sm_dca"], seed=seed, **options)
        spent = time.perf_counter() - begin
        fill, spread = (filled[v].transpose("time", "cell").values.astype("f8") for v in ("sm_dca", "sm_dca_obs_std"))
        rows["xsm, own series"].append(score(fill, spread, truth, masked, hidden, near, spent, spent))
    print(f"\nWestern Australia, SMAP 9 km, {len(truth)} days, {truth.shape[1]} cells: 20 % random, 10-day blocks")
    print("(times of xsm: training and filling together)")
    print(table(rows))


def twin(seed: int, options: dict[str, object]) -> None:
    """Print the error of filled retrievals against the truth of a synthetic world on thawed days, by length of gap."""
    from tools.train_bundles import world_cube
    from xsm.study.example import Size

    size = Size(32, "2020-01-01", 400)
    cube, world = world_cube(size.grid, size.dates, seed)
    retrieved = cube[["sm_dca", "frozen"]].compute()
    thawed = ~retrieved["frozen"].transpose("time", "y", "x").values.astype(bool)
    truth = world.truth["sm_5cm"].transpose("time", "y", "x").values
    filled: xr.Dataset = retrieved.sm.gapfill_cru(variables=["sm_dca"], seed=seed, **options)
    observed = np.isfinite(retrieved["sm_dca"].transpose("time", "y", "x").values)
    fill, spread = (filled[v].transpose("time", "y", "x").values for v in ("sm_dca", "sm_dca_std"))
    counts = thawed & np.isfinite(fill - truth)
    bias = np.ma.masked_where(~(observed & counts), fill - truth).mean(0).filled(np.nan)
    length = gap_length(observed.reshape(len(observed), -1)).reshape(observed.shape)
    print(f"\nTwin (synthetic, seed {seed}): fills against true 5 cm soil moisture, thawed, bias of each cell removed")
    for low, high in ((0, 0), *GAPS):
        pick = (length >= low) & (length <= high) & counts & np.isfinite(bias)
        error, width = (fill - truth - bias)[pick], spread[pick]
        if len(error):
            what = "observed days" if not high else f"gaps of {low} to {high} days"
            inside = (np.abs(error) < 1.96 * width).mean()
            print(
                f"  {what:22s} {len(error):8d} values  RMSE {np.sqrt((error**2).mean()):.4f}  inside 95 % {inside:.3f}"
            )


def gap_length(observed: np.ndarray) -> np.ndarray:
    """Length in days of the gap that each day (time, cell) lies in; 0 on observed days."""
    index = np.arange(len(observed))[:, None]
    last = np.maximum.accumulate(np.where(observed, index, -1), 0)
    after = np.minimum.accumulate(np.where(observed, index, len(observed))[::-1], 0)[::-1]
    return np.where(observed, 0, after - last - 1)
