"""`xsm demo`: a synthetic world written as files of the true formats, and a whole study run on them."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Mapping
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
    "SMAP DCA, gaps filled": ("sm_dca", "sm_5cm"),
    "Noah 0-10 cm": ("sm_noah_0_10", "sm_5cm"),
    "mean of these two": ("mean", "sm_5cm"),
    "xsm 5 cm scenario 1": ("sm_5cm_s1", "sm_5cm"),
    "xsm 5 cm scenario 2": ("sm_5cm_s2", "sm_5cm"),
    "xsm 5 cm fusion": ("sm_5cm", "sm_5cm"),
    "Noah 10-40 cm": ("sm_noah_10_40", "sm_25cm"),
    "xsm 25 cm scenario 1": ("sm_25cm_s1", "sm_25cm"),
    "xsm 25 cm scenario 2": ("sm_25cm_s2", "sm_25cm"),
    "xsm 25 cm fusion": ("sm_25cm", "sm_25cm"),
}
"""Variable of each row of the table, and the variable of the truth that it is scored against."""
FORMS = {"R": ".3f", "ubRMSE": ".4f", "RMSE": ".4f", "bias": "+.4f"}


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
    print_table(table, out, results, time.monotonic() - begin)
    return out


def score(results: Path, truth: xr.Dataset, study: config.Study) -> dict[str, dict[str, float]]:
    """Score the estimates and what they were made from against the truth of the test days.

    R and ubRMSE in time as medians over cells, RMSE and bias pooled. All rows of a depth have the same cells and days:
    the thawed ones for which every row has a value, observed or filled.
    """
    from xsm.validation import metrics

    estimates, cube = files.read(results / "estimates.nc"), files.read(results / "data" / "filled.zarr")
    learner = study.fit or study.fuse or config.Fit()
    day = cube["time"].values.astype("M8[D]")
    training_days, validation_days = split_days(day, learner.train, learner.validation)
    test_days = ~training_days & ~validation_days
    cube = cube.assign(mean=(cube["sm_dca"] + cube["sm_noah_0_10"]) / 2)
    maps = {n: (estimates if n in estimates else cube)[n] for n, _ in ROWS.values() if n in estimates or n in cube}

    def values(array: xr.DataArray) -> np.ndarray:
        return array.isel(time=test_days).transpose("y", "x", "time").values

    rows: dict[str, dict[str, float]] = {}
    thawed = ~values(cube["frozen"]).astype(bool)
    for depth in ("sm_5cm", "sm_25cm"):
        ref = values(truth[depth])
        group = {row: values(maps[n]) for row, (n, d) in ROWS.items() if d == depth and n in maps}
        use = np.logical_and.reduce([np.isfinite(v) for v in group.values()]) & np.isfinite(ref) & thawed
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


def print_table(table: Mapping[str, Mapping[str, float]], out: Path, results: Path, seconds: float) -> None:
    """Print the scores, the best of each depth marked, and where everything is."""
    from rich.console import Console
    from rich.table import Table

    scores = Table("against the synthetic truth, test days", *FORMS, box=None, header_style="bold")
    for depth in dict.fromkeys(d for _, d in ROWS.values()):
        rows = {row: m for row, m in table.items() if ROWS[row][1] == depth}
        for row, m in rows.items():
            marks = {s: " *" if is_best(rows, row, s) else "  " for s in FORMS}
            scores.add_row(row, *(f"{m[s]:{form}}{marks[s]}" for s, form in FORMS.items()))
        scores.add_row()
    console = Console(highlight=False, width=100)
    console.print(scores)
    console.print("* best of its depth. Test days on thawed ground, the same cells and days for all rows of a depth.")
    console.print("Synthetic data (the twin). R, ubRMSE: medians over cells; RMSE, bias: pooled; m3 m-3.")
    console.print(f"{seconds:.0f} s. Report: {results / 'report' / 'report.html'}", soft_wrap=True)
    console.print(f"Everything: {out}", soft_wrap=True)


def is_best(rows: Mapping[str, Mapping[str, float]], row: str, name: str) -> bool:
    """Whether a row has the best score of its rows: the highest R, else the value nearest to zero.

    Examples
    --------
    >>> rows = {"a": {"R": 0.9, "bias": -0.02}, "b": {"R": 0.8, "bias": 0.01}}
    >>> is_best(rows, "a", "R"), is_best(rows, "a", "bias")
    (True, False)
    """
    goodness = {r: m[name] if name == "R" else -abs(m[name]) for r, m in rows.items()}
    return goodness[row] == max(goodness.values())
