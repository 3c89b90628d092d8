"""`xsm demo`: a synthetic world written as true files, and the whole study run on them."""

from __future__ import annotations

import json
import logging
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xsm import config, files
from xsm.errors import UsageError
from xsm.grids import EASE2_M09, Grid
from xsm.options import threads
from xsm.pipeline import run_study
from xsm.progress import Mode, show
from xsm.training import split_days

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


@dataclass(frozen=True)
class Size:
    """How large a demo is: cells on a side, first day, days, options of filling and training, days of the split."""

    cells: int
    start: str
    days: int
    fill: str = ""
    fit: str = ""
    split: tuple[int, int] = (0, 0)

    @property
    def grid(self) -> Grid:
        """Window around 36 N, 98 W on the Great Plains."""
        row, col = EASE2_M09.rowcol(-98.0, 36.0)
        half = self.cells // 2
        return EASE2_M09.window(
            int(row) - half, int(row) - half + self.cells, int(col) - half, int(col) - half + self.cells
        )

    @property
    def dates(self) -> np.ndarray:
        """Days of the demo."""
        return np.datetime64(self.start) + np.arange(self.days)


FULL = Size(64, "2021-03-01", 400, fill="epochs = 8, cells = 96", fit=', epochs = 7, precision = "auto"')
QUICK = Size(32, "2021-05-01", 60, fill="epochs = 12", fit=", epochs = 3", split=(32, 8))


def make_files(data: Path, size: Size, seed: int) -> Any:
    """Make the world of a size and write all its products below a folder; gives the world."""
    from xsm.twin import make_world, write_world

    if data.exists():
        raise UsageError(f"'{data}' exists already.", hint="Give another folder.")
    world = make_world(size.grid, size.dates, seed)
    write_world(world, data)
    return world


def study_changes(size: Size, data: str) -> dict[str, str]:
    """Entries of the study template for the files of a size."""
    west, south, east, north = (round(v, 6) for v in size.grid.bbox)
    sources = {"smap": "smap", "nldas": "nldas", "solus": "solus100", "modis": "modis_landcover", "uscrn": "uscrn"}
    folders = {key: f"{data}/{name.upper()}" for key, name in sources.items()}
    return {
        "region": f"[{west}, {south}, {east}, {north}]",
        "title": "xsm demo: a synthetic world",
        "out": "results",
        "margin": "0",
        "time": f"{size.dates[0]}/{size.dates[-1]}",
        "geotiff": '["sm_5cm_s2", "sm_25cm_s2"]',
        "preset": "small",
        "more": size.fit,
        "fill_options": f"options = {{ {size.fill} }}\n" if size.fill else "",
        "split": _split(size),
        **folders,
    }


def _split(size: Size) -> str:
    if size.split == (0, 0):
        return ""
    one, two = size.split[0], sum(size.split)
    day = size.dates
    return f'train = "{day[0]}/{day[one - 1]}"\nvalidation = "{day[one]}/{day[two - 1]}"\n'


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
        ``"auto"``, ``"bar"``, ``"json"`` or ``"off"``, as for `xsm.progress.show`.

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
        study_file.write_text(config.template(**study_changes(size, "files")).replace("seed = 0", f"seed = {seed}"))
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
    from xsm import metrics

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
