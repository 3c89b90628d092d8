"""Make `_static/fuse.png`, the picture of the fusion in README and start page: ``python docs/fuse_picture.py``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr

import xsm
from xsm.io.styles import colours
from xsm.reporting import theme
from xsm.reporting.frames import draw_lines, frame_of, oriented
from xsm.reporting.map_figures import limits
from xsm.validation.metrics import pearson

TARGET = Path(__file__).parent / "_static" / "fuse.png"
SIZE, DAYS, SEED = 40, 450, 11
SHOWN = 80
"""Last days of the period, none of which was learnt from: they are drawn and scored."""
LINES = {
    "mean": {"color": theme.ORANGE},
    "model": {"color": theme.GREEN, "ls": "--"},
    "fusion": {"color": theme.INDIGO, "lw": 1.8},
    "truth": {"color": theme.BLACK},
}
TITLES = {"retrieval": "SMAP retrieval", "model": "Land model (Noah)", "fusion": "xsm.fuse", "truth": "Truth"}


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
        "model_25": cube["sm_noah_10_40"],
        "truth": truth["sm_5cm"],
        "truth_25": truth["sm_25cm"],
        "fusion": fused["sm_5cm"],
        "fusion_std": fused["sm_5cm_std"],
        "fusion_25": fused["sm_25cm"],
        "fusion_25_std": fused["sm_25cm_std"],
    }
    last = xr.Dataset({n: v.variable for n, v in maps.items()}, {"time": cube["time"]}).isel(time=slice(-SHOWN, None))
    last["mean"] = (last["filled"] + last["model"]) / 2
    thawed = last.where(~fused["frozen"].isel(time=slice(-SHOWN, None)).variable)
    figure = plt.figure(figsize=(theme.DOUBLE, 6.2), layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=[1, 1.5])
    _maps(upper, last, frame_of(cube))
    _series(lower, thawed)
    figure.savefig(TARGET, dpi=130)


def _maps(figure: Any, ds: xr.Dataset, frame: Any) -> None:
    day = int(np.argmin(np.abs(ds["retrieval"].notnull().mean(("y", "x")).values - 0.6)))
    one = ds[[*TITLES]].isel(time=day)
    low, high = limits(one.values(), "soil_moisture")
    axes = figure.subplots(1, len(TITLES))
    for axis, (name, title) in zip(axes, TITLES.items(), strict=True):
        shown, style = oriented(frame, one[name]), {"cmap": colours("soil_moisture"), "vmin": low, "vmax": high}
        image = axis.imshow(shown, extent=frame.extent, interpolation="nearest", aspect=frame.aspect, **style)
        draw_lines(axis, frame)
        axis.set(facecolor=theme.MISSING, title=title, xticks=[], yticks=[])
    figure.colorbar(image, ax=axes, shrink=0.8, pad=0.01, label="5 cm (m³ m⁻³)")
    when = str(one["time"].values)[:10]
    figure.suptitle(f"A synthetic world with a known truth on {when} (grey: water, or not observed)", fontsize=9)


def _series(figure: Any, ds: xr.Dataset) -> None:
    y, x = np.unravel_index(_typical(ds), ds["truth"].shape[1:])
    cell = ds.isel(y=y, x=x)
    axes = figure.subplots(2, 1, sharex=True)
    axes[0].plot(cell["time"], cell["retrieval"], "o", ms=3, color=theme.RED, label="SMAP retrieval")
    _lines(axes[0], ds, cell, {"mean": "Mean of SMAP and Noah", "fusion": "xsm.fuse", "truth": "Truth"})
    _lines(axes[1], ds, cell, {"model_25": "Noah 10-40 cm", "fusion_25": "xsm.fuse", "truth_25": "Truth"})
    for axis, depth in zip(axes, ("5 cm", "25 cm"), strict=True):
        axis.set_ylabel(f"{depth} (m³ m⁻³)")
        axis.legend(ncols=4, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0)
        axis.margins(x=0.01)
    theme.open_axes(axes)
    theme.dates(axes[1])
    axes[1].set_xlabel("One cell on days that were not learnt from; shaded: 95 % interval. R: median over all cells.")


def _lines(axis: Any, ds: xr.Dataset, cell: xr.Dataset, names: dict[str, str]) -> None:
    truth = [*names][-1]
    for name, text in names.items():
        style: dict[str, Any] = LINES[name.removesuffix("_25")]
        score = "" if name == truth else f" (R {float(_r(ds[name], ds[truth]).median()):.2f})"
        axis.plot(cell["time"], cell[name], label=text + score, **style)
        if f"{name}_std" in cell:
            low, high = (cell[name] + k * cell[f"{name}_std"] for k in (-1.96, 1.96))
            axis.fill_between(cell["time"].values, low, high, color=style["color"], alpha=0.15, lw=0)


def _r(values: xr.DataArray, truth: xr.DataArray) -> xr.DataArray:
    return xr.apply_ufunc(pearson, values, truth, input_core_dims=[["time"], ["time"]])


def _typical(ds: xr.Dataset) -> int:
    """The cell whose R and RMSE, of fusion and mean, are nearest to the medians of all cells."""
    scores = [_r(ds[n], ds["truth"]) for n in ("mean", "fusion")]
    scores += [5 * ((ds[n] - ds["truth"]) ** 2).mean("time") ** 0.5 for n in ("mean", "fusion")]
    away = sum(np.abs(score - score.median()) for score in scores)
    return int(np.argmin(away.fillna(np.inf).values))


if __name__ == "__main__":
    with theme.styled():
        main()
