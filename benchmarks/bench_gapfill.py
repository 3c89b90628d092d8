"""Fill the real SMAP lattice with ``xsm-cru`` and score it beside what users have.

    python -m benchmarks.bench_gapfill [--data smap_conus_lattice.nc] [--bench gapfill.py] [--quick | --small]

Observations are hidden in three ways (20 % at random, a 35-day block in each cell, common 35-day outages) by the
scoring script beside the data; each masked lattice trains a model of its own and is filled by it. Then: growth over
pixels and days, Western Australia at 9 km, and the synthetic twin. Defaults: ``XSM_TEST_DATA`` and the ``bench`` folder
beside it.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from benchmarks import gapfill_beyond, gapfill_peers
from benchmarks.gapfill_scores import Score, score, table
from xsm.contracts.bundle import Bundle
from xsm.contracts.model import Samples, Spec
from xsm.contracts.registry import get_model

KINDS = ("random", "block", "outage")
WEATHER = ("precipitation", "air_temperature", "shortwave_down")
GOALS = {"xsm, own series": ("Gaussian process", 0.97), "xsm, with weather": ("GP with weather", 0.95)}
CRPS_GOAL = 0.95
FASTER = 25
SIZES, JUDGED = (10, 20, 30), 20
"""Latent values of the plain unit whose speed is measured: published models have 10 to 30."""
STEPS, PIXELS = 60, 20_000
"""Training steps of the plain unit; pixels that xsm and (a tenth of them) the plain unit fill for the speed."""
SMALL = {"cells": 12, "days": 200, "steps": 1, "pixels": 200, "options": {"epochs": 1, "budget": 5}}


def train(
    ds: xr.Dataset, masked: np.ndarray, covariates: tuple[str, ...], seed: int, options: dict[str, object]
) -> Any:
    """Train on one masked lattice; return model, bundle and the arrays to fill."""
    arrays = {v: ds[v].transpose("time", "cell").values for v in covariates} | {"soil_moisture": masked.astype("f4")}
    days = ds.time.values.astype("datetime64[D]")
    samples = Samples(arrays, days, np.ones(len(days), bool), np.ones(ds.sizes["cell"], bool))
    units = {v: ds[v].attrs.get("units", "1") for v in arrays}
    spec = Spec("gapfill", ("soil_moisture", *covariates), ("soil_moisture",), units=units, options=options)
    model = get_model("cru", "gapfill")
    bundle = model.fit(samples, spec, validation=None, seed=seed, progress=lambda share, text: None)
    return model, bundle, arrays | {"days": days}


def lattice(
    bench: Any, ds: xr.Dataset, seed: int, options: dict[str, object], steps: int
) -> tuple[dict[str, list[Score]], Bundle]:
    """Score all fillers in the three experiments; also return the bundle of random gaps from each cell's own series."""
    truth = ds.soil_moisture.transpose("time", "cell").values.astype("f8")
    masks = bench.hidden(truth, seed)
    usable = np.min([np.isfinite(np.where(h, np.nan, truth)).sum(0) for h in masks.values()], 0) >= 30
    truth, ds = truth[:, usable], ds.isel(cell=np.flatnonzero(usable))
    features = bench.weather_features(ds)
    rows: dict[str, list[Score]] = {}
    kept = None
    for kind in KINDS:
        hidden = masks[kind][:, usable]
        masked = np.where(hidden, np.nan, truth)
        near = bench.distance(masked)

        def add(name: str, fill: Any, std: Any, training: float, seconds: float, kind: str = kind) -> None:
            args = (hidden, near, training, seconds)  # noqa: B023 (called in this turn of the loop)
            rows.setdefault(name, []).append(score(fill, std, truth, masked, *args))  # noqa: B023
            last = rows[name][-1]
            print(f"{kind}: {name}: RMSE {last.rmse:.4f}, CRPS {last.crps:.5f}", file=sys.stderr, flush=True)

        for name, filler in (
            ("linear", lambda c: bench.linear(masked[:, c])),  # noqa: B023
            ("DCT-PLS (pytesmo)", None),
            ("Gaussian process", lambda c: bench.gaussian_process(masked[:, c])),  # noqa: B023
            ("GP with weather", lambda c: bench.gp_with_weather(masked[:, c], features[:, c])),  # noqa: B023
        ):
            begin = time.perf_counter()
            if filler is None:
                fill, std = gapfill_peers.dct_pls(masked), None
            else:
                fills = [filler(c) for c in range(masked.shape[1])]
                fill = np.stack([f for f, _ in fills], 1)
                std = None if fills[0][1] is None else np.stack([s for _, s in fills], 1)
            add(name, fill, std, 0.0, time.perf_counter() - begin)
        add("plain CRU (PyTorch)", *gapfill_peers.plain_cru(masked, seed, steps))
        for name, covariates in (("xsm, own series", ()), ("xsm, with weather", WEATHER)):
            begin = time.perf_counter()
            model, bundle, arrays = train(ds, masked, covariates, seed, options)
            trained = time.perf_counter()
            out = model.predict_block(arrays, bundle, device="cpu")
            filled = time.perf_counter()
            fill, std = (out[v].astype("f8") for v in ("soil_moisture", "soil_moisture_obs_std"))
            add(name, fill, std, trained - begin, filled - trained)
            kept = kept or bundle
    assert kept is not None
    return rows, kept


def verdict(rows: dict[str, list[Score]]) -> bool:
    """Print whether each goal is met; return whether all are."""
    good = True
    for name, (peer, share) in GOALS.items():
        for kind, ours, theirs in zip(KINDS, rows[name], rows[peer], strict=True):
            rmse, crps = ours.rmse / theirs.rmse, ours.crps / theirs.crps
            bands = [b for b in ours.bands if np.isfinite(b)]
            calibrated = 0.93 <= ours.inside <= 0.97 and min(bands) >= 0.90 and max(bands) <= 0.98
            met = rmse <= share and crps <= CRPS_GOAL and calibrated and ours.complete
            good &= met
            spread = "calibrated" if calibrated else "NOT calibrated"
            print(
                f"  {name}, {kind}: RMSE {rmse:.3f} (goal {share}), CRPS {crps:.3f} (goal {CRPS_GOAL}), "
                f"spread {spread}: {'met' if met else 'NOT MET'}"
            )
    return good


def main() -> int:
    root = Path(os.environ.get("XSM_TEST_DATA", "../shared/data"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=root / "smap_conus_lattice.nc")
    parser.add_argument("--bench", type=Path, default=root.parent / "bench/gapfill.py")
    parser.add_argument("--seed", type=int, default=1, help="seed of the hidden observations and of the training")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="only the lattice")
    parser.add_argument("--small", action="store_true", help="a few cells and steps, to see whether it runs")
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="option of the model")
    args = parser.parse_args()
    for path in (args.data, args.bench):
        if not path.is_file():
            parser.error(f"'{path}' is not a file; pass --data and --bench or set XSM_TEST_DATA")
    import torch

    torch.set_num_threads(args.threads)
    options: dict[str, object] = dict(o.split("=", 1) for o in args.option)
    spec = importlib.util.spec_from_file_location("scoring", args.bench)
    assert spec is not None and spec.loader is not None
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    ds = bench.load(args.data)
    steps, pixels = STEPS, PIXELS
    if args.small:
        steps, pixels, options = SMALL["steps"], SMALL["pixels"], SMALL["options"] | options
        ds = ds.isel(cell=slice(None, None, ds.sizes["cell"] // SMALL["cells"]), time=slice(SMALL["days"]))
    rows, bundle = lattice(bench, ds, args.seed, options, steps)
    print(f"SMAP 36 km over CONUS, {ds.sizes['time']} days, seed {args.seed}, {args.threads} threads")
    print(table(rows))
    good = verdict(rows)
    days = ds.time.values.astype("datetime64[D]")
    values = ds.soil_moisture.transpose("time", "cell").values
    model = get_model("cru", "gapfill")
    many = np.tile(values, (1, -(-pixels // values.shape[1])))[:, :pixels]
    begin = time.perf_counter()
    model.predict_block({"soil_moisture": many, "days": days}, bundle, device="cpu")
    speed = many.size / (time.perf_counter() - begin)
    print(f"filling {len(days)} days x {pixels} pixels, xsm, own series: {speed:,.0f} pixel-days/s")
    few, ratios = many[:, : pixels // 10], {}
    for size in SIZES:
        plain = few.size / gapfill_peers.plain_cru(few, args.seed, 0, size // 2)[3]
        ratios[size] = speed / plain
        print(
            f"filling {len(days)} days x {few.shape[1]} pixels, plain CRU with {size} latent values: {plain:,.0f} "
            f"pixel-days/s, {ratios[size]:.1f} times as fast (goal {FASTER})"
        )
    if not (args.quick or args.small):
        print("\nGrowth")
        gapfill_beyond.growth(values, days, bundle)
        gapfill_beyond.western_australia(
            root / "smap_l3_9km_points/Western-Australia_20200101_20200228", bench, args.seed, options
        )
        gapfill_beyond.twin(args.seed, options)
    return 0 if good and ratios[JUDGED] >= FASTER else 1


if __name__ == "__main__":
    sys.exit(main())
