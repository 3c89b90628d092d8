"""Make `_static/fuse.png`, the picture of the fusion in README and start page: ``python docs/fuse_picture.py``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr

import xsm
from xsm.io.styles import colours
from xsm.validation.metrics import pearson

TARGET = Path(__file__).parent / "_static" / "fuse.png"
SIZE, DAYS, SEED = 40, 400, 11
SHOWN = 80
"""Last days of the period, none of which was learnt from: they are drawn and scored."""
LINES = {
    "mean": {"color": "#E69F00", "lw": 1.3},
    "model": {"color": "#009E73", "lw": 1.2, "ls": "--"},
    "fusion": {"color": "#332288", "lw": 1.8},
    "truth": {"color": "black", "lw": 1.3},
}


def main() -> None:
    """Draw one day as maps, and one cell through the last days at both depths."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    cube, truth = (xsm.example(name, size=SIZE, days=DAYS, seed=SEED) for name in ("cube", "truth"))
    fused = cube.sm.fuse()
    maps = {
        "retrieval": cube["sm_dca"],
        "filled": cube["sm_dca"].interpolate_na("time"),
        "model": cube["sm_noah_0_10"],
        "root": cube["sm_noah_10_40"],
        "truth": truth["sm_5cm"],
        "truth_25": truth["sm_25cm"],
        "fusion": fused["sm_5cm"],
        "fusion_std": fused["sm_5cm_std"],
        "fusion_25": fused["sm_25cm"],
        "fusion_25_std": fused["sm_25cm_std"],
    }
    last = xr.Dataset({n: v.variable for n, v in maps.items()}, {"time": cube["time"]}).isel(time=slice(-SHOWN, None))
    last = last.where(~fused["frozen"].isel(time=slice(-SHOWN, None)).variable)
    last["mean"] = (last["filled"] + last["model"]) / 2
    figure = plt.figure(figsize=(9.6, 8.0), layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=[0.9, 1.5])
    _maps(upper, last)
    _series(lower, last)
    figure.suptitle(f"A synthetic world with a known truth ({SIZE} x {SIZE} cells of 9 km)", fontsize=12)
    figure.savefig(TARGET, dpi=90)


def _maps(figure: Any, ds: xr.Dataset) -> None:
    share = ds["retrieval"].notnull().mean(("y", "x")).values
    day = int(np.argmin(np.abs(share - 0.5)))
    titles = {"retrieval": "SMAP retrieval", "model": "Land model (Noah)", "fusion": "xsm.fuse", "truth": "Truth"}
    axes = figure.subplots(1, len(titles))
    one = ds[[*titles]].isel(time=day)
    low, high = (float(v) for v in np.nanpercentile(one["truth"], [1, 99]))
    for axis, (name, title) in zip(axes, titles.items(), strict=True):
        image = axis.imshow(one[name], cmap=colours("soil_moisture"), vmin=low, vmax=high)
        axis.set_facecolor("0.85")
        axis.set_title(title, fontsize=12)
        axis.set_xticks([])
        axis.set_yticks([])
    figure.colorbar(image, ax=axes, shrink=0.85, label="5 cm (m³ m⁻³)")
    axes[0].set_xlabel(f"{str(ds['time'].values[day])[:10]}; grey: not observed", fontsize=10)


def _series(figure: Any, ds: xr.Dataset) -> None:
    y, x = np.unravel_index(int(_typical(ds).argmax()), ds["truth"].shape[1:])
    cell = ds.isel(y=y, x=x)
    top, bottom = figure.subplots(2, 1, sharex=True)
    _lines(top, ds, cell, {"mean": "mean of SMAP and Noah", "fusion": "xsm.fuse", "truth": "truth"})
    top.plot(cell["time"], cell["retrieval"], "o", ms=3.5, color="#D55E00", label="SMAP retrieval")
    _lines(bottom, ds, cell, {"root": "Noah 10-40 cm", "fusion_25": "xsm.fuse", "truth_25": "truth"})
    for axis, depth in ((top, "5 cm"), (bottom, "25 cm")):
        axis.set_ylabel(f"{depth} (m³ m⁻³)", fontsize=11)
        axis.legend(ncols=4, frameon=False, fontsize=10, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0)
        axis.spines[["top", "right"]].set_visible(False)
    top.set_xlim(cell["time"].values[0], cell["time"].values[-1])
    bottom.set_xlabel("One cell; shaded: 95 % interval. R: median over all cells, days that were not learnt from.")


def _lines(axis: Any, ds: xr.Dataset, cell: xr.Dataset, names: dict[str, str]) -> None:
    truth = list(names)[-1]
    for name, text in names.items():
        style = LINES[{"root": "model"}.get(name, name.removesuffix("_25"))]
        score = "" if name == truth else f" (R {float(_r(ds[name], ds[truth]).median()):.2f})"
        axis.plot(cell["time"], cell[name], label=text + score, **style)
        if f"{name}_std" in cell:
            half = 1.96 * cell[f"{name}_std"]
            band = {"color": style["color"], "alpha": 0.15, "lw": 0}
            axis.fill_between(cell["time"].values, cell[name] - half, cell[name] + half, **band)


def _r(values: xr.DataArray, truth: xr.DataArray) -> xr.DataArray:
    return xr.apply_ufunc(pearson, values, truth, input_core_dims=[["time"], ["time"]])


def _typical(ds: xr.Dataset) -> np.ndarray:
    """How near a cell is to the medians of R of fusion and mean, with the most negative value for the farthest."""
    scores = [_r(ds[name], ds["truth"]) for name in ("fusion", "mean")]
    away = sum(np.abs(score - score.median()) for score in scores)
    return -away.fillna(np.inf).values


if __name__ == "__main__":
    main()
