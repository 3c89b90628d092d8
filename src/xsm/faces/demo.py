"""`xsm demo`: a synthetic world written as true files, and the whole study run on them."""

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
from xsm.study.example import QUICK, Size, make_files, study_changes
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


FULL = Size(64, "2021-03-01", 400, fill="epochs = 8, cells = 96", fit=', epochs = 7, precision = "auto"')


def run_demo(
    out: Path, *, quick: bool = False, seed: int = 0, overwrite: bool = False, progress: Mode = "auto"
) -> Path:
    """Write a synthetic world, run the study on its files, score it against the truth, print a table.

    Parameters
    ----------
    out : Path
        Folder to make.
    quick : bool
        A world of 32 x 32 cells and 60 days instead of 64 x 64 and 400.
    seed : int
        Seed of world and training.
    overwrite : bool
        Replace a folder that an earlier demo made.
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
        study_file.write_text(template.template(**study_changes(size, "files")).replace("seed = 0", f"seed = {seed}"))
        study = config.load(study_file)
        results = run_study(study, stage, processes=threads())
        table = score(results, world.truth, study)
    (out / "scores.json").write_text(json.dumps(table, indent=1) + "\n")
    _print(table, out, results, time.monotonic() - begin)
    return out


def score(results: Path, truth: xr.Dataset, study: config.Study) -> dict[str, dict[str, float]]:
    """Score estimates and teachers against the truth of the test days.

    Medians over cells of temporal R and ubRMSE, and pooled RMSE; at 5 cm on the days with observed DCA,
    the same days and cells for every row; frozen days excluded.
    """
    from xsm.validation import metrics

    estimates, cube = files.read(results / "estimates.nc"), files.read(results / "data" / "filled.zarr")
    fit = study.fit or config.Fit()
    used, held = split_days(cube["time"].values.astype("M8[D]"), fit.train, fit.validation)
    test = ~used & ~held
    everything = {
        n: (estimates if n in estimates else cube)[n] for n, _ in ROWS.values() if n in estimates or n in cube
    }

    def values(array: xr.DataArray) -> np.ndarray:
        return array.isel(time=test).transpose("y", "x", "time").values

    rows: dict[str, dict[str, float]] = {}
    thawed = ~values(cube["frozen"]).astype(bool)
    seen = values(cube["sm_dca_observed"]).astype(bool)
    for depth in ("sm_5cm", "sm_25cm"):
        ref = values(truth[depth])
        group = {row: values(everything[n]) for row, (n, d) in ROWS.items() if d == depth and n in everything}
        use = np.logical_and.reduce([np.isfinite(v) for v in group.values()]) & np.isfinite(ref) & thawed
        if depth == "sm_5cm":
            use &= seen
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

    shown = Table(
        "against the synthetic truth, test days", "R", "ubRMSE", "RMSE", "bias", box=None, header_style="bold"
    )
    for row, m in table.items():
        shown.add_row(row, f"{m['R']:.3f}", f"{m['ubRMSE']:.4f}", f"{m['RMSE']:.4f}", f"{m['bias']:+.4f}")
    console = Console(highlight=False, width=100)
    console.print(shown)
    console.print("Synthetic data (the twin). R, ubRMSE: medians over cells; RMSE, bias: pooled; m3 m-3.")
    console.print(f"{seconds:.0f} s. Report: {results / 'report' / 'report.html'}", soft_wrap=True)
    console.print(f"Everything: {out}", soft_wrap=True)
