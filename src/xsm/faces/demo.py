"""`xsm demo`: a synthetic world written as files of the true formats, and a whole study run on them."""

from __future__ import annotations

import json
import logging
import shutil
import time
from pathlib import Path

import numpy as np
import xarray as xr

from xsm.data.period import split_days
from xsm.errors import UsageError
from xsm.faces.progress_bar import Mode, show
from xsm.io import files
from xsm.options import threads
from xsm.study import config, template
from xsm.study.example import FULL, QUICK, make_files, study_changes
from xsm.study.pipeline import run_study

log = logging.getLogger("xsm")
ROWS = {
    "SMAP DCA (observed)": ("sm_dca", "sm_5cm"),
    "Noah 0-10 cm": ("sm_noah_0_10", "sm_5cm"),
    "xsm 5 cm scenario 1": ("sm_5cm_s1", "sm_5cm"),
    "xsm 5 cm scenario 2": ("sm_5cm_s2", "sm_5cm"),
    "Noah 10-40 cm": ("sm_noah_10_40", "sm_25cm"),
    "xsm 25 cm scenario 1": ("sm_25cm_s1", "sm_25cm"),
    "xsm 25 cm scenario 2": ("sm_25cm_s2", "sm_25cm"),
}
"""Variable of each row of the table, and the variable of the truth that it is scored against."""


def run_demo(
    out: Path, *, quick: bool = False, seed: int = 0, overwrite: bool = False, progress: Mode = "auto"
) -> Path:
    """Write a synthetic world, run the study on its files, score it against the truth, print a table.

    Parameters
    ----------
    out : Path
        Folder to create.
    quick : bool
        A world of 32 x 32 cells and 60 days instead of 64 x 64 and 400.
    seed : int
        Seed of world and training.
    overwrite : bool
        Replace the folder of an earlier demo.
    progress : str
        ``"auto"``, ``"bar"``, ``"json"`` or ``"off"``, as for `xsm.faces.progress_bar.show`.

    Returns
    -------
    Path
        Folder with the Zarr cube, NetCDF and GeoTIFF of the estimates and ``report/report.html``.
    """
    begin = time.monotonic()
    if out.exists():
        if not overwrite or not (out / ".xsm-demo").exists():
            raise UsageError(
                f"'{out}' exists already.", hint="Give another folder, or --overwrite for an earlier demo."
            )
        shutil.rmtree(out)
    out.mkdir(parents=True)
    (out / ".xsm-demo").touch()
    size = QUICK if quick else FULL
    with show(progress, "xsm demo") as stage:
        stage("write a synthetic world")
        world = make_files(out / "files", size, seed)
        log.info("%-24s %6.1f s", "write files", time.monotonic() - begin)
        study_file = out / "study.toml"
        study_file.write_text(template.template(**study_changes(size, "files"), seed=str(seed)))
        study = config.load(study_file)
        results = run_study(study, stage, processes=threads())
        table = score(results, world.truth, study)
    (out / "scores.json").write_text(json.dumps(table, indent=1) + "\n")
    _print(table, out, results, time.monotonic() - begin)
    return out


def score(results: Path, truth: xr.Dataset, study: config.Study) -> dict[str, dict[str, float]]:
    """Score the estimates and the products that they learnt from against the truth of the test days.

    R and ubRMSE in time as medians over cells, RMSE and bias pooled. All rows of a depth have the same cells and days:
    at 5 cm those with observed DCA, and no frozen ones.
    """
    from xsm.validation import metrics

    estimates, cube = files.read(results / "estimates.nc"), files.read(results / "data" / "filled.zarr")
    fit = study.fit or config.Fit()
    training_days, validation_days = split_days(cube["time"].values.astype("M8[D]"), fit.train, fit.validation)
    test_days = ~training_days & ~validation_days
    maps = {n: (estimates if n in estimates else cube)[n] for n, _ in ROWS.values() if n in estimates or n in cube}

    def values(array: xr.DataArray) -> np.ndarray:
        return array.isel(time=test_days).transpose("y", "x", "time").values

    rows: dict[str, dict[str, float]] = {}
    thawed = ~values(cube["frozen"]).astype(bool)
    observed = values(cube["sm_dca_observed"]).astype(bool)
    for depth in ("sm_5cm", "sm_25cm"):
        ref = values(truth[depth])
        group = {row: values(maps[n]) for row, (n, d) in ROWS.items() if d == depth and n in maps}
        use = np.logical_and.reduce([np.isfinite(v) for v in group.values()]) & np.isfinite(ref) & thawed
        if depth == "sm_5cm":
            use &= observed
        enough = use.sum(-1) >= 5
        use &= enough[..., None]
        if not enough.any():
            continue
        for row, est in group.items():
            e, t = np.where(use, est, np.nan)[enough], np.where(use, ref, np.nan)[enough]
            rows[row] = {
                "R": round(float(np.nanmedian(metrics.pearson(e, t))), 4),
                "ubRMSE": round(float(np.nanmedian(metrics.ubrmse(e, t))), 4),
                "RMSE": round(float(np.sqrt(np.nanmean((e - t) ** 2))), 4),
                "bias": round(float(np.nanmean(e - t)), 4),
                "cells": int(enough.sum()),
                "cell_days": int(use.sum()),
            }
    return rows


def _print(table: dict[str, dict[str, float]], out: Path, results: Path, seconds: float) -> None:
    from rich.console import Console
    from rich.table import Table

    scores = Table(
        "against the synthetic truth, test days", "R", "ubRMSE", "RMSE", "bias", box=None, header_style="bold"
    )
    for row, m in table.items():
        scores.add_row(row, f"{m['R']:.3f}", f"{m['ubRMSE']:.4f}", f"{m['RMSE']:.4f}", f"{m['bias']:+.4f}")
    console = Console(highlight=False, width=100)
    console.print(scores)
    console.print("Synthetic data (the twin). R, ubRMSE: medians over cells; RMSE, bias: pooled; m3 m-3.")
    console.print(f"{seconds:.0f} s. Report: {results / 'report' / 'report.html'}", soft_wrap=True)
    console.print(f"Everything: {out}", soft_wrap=True)
