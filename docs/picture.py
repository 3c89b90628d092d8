"""Make `_static/demo.png` from a demo's folder: ``python docs/picture.py xsm-demo``."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np

from xsm.io import files
from xsm.io.styles import colours


def main(folder: Path) -> None:
    """Draw surface and subsurface estimate, spread and the observation of one day with gaps, and one series."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    maps = files.read(folder / "results" / "estimates.nc")
    cube = files.read(folder / "results" / "data" / "filled.zarr")
    ramp = colours("soil_moisture")
    observed_share = cube["sm_dca_observed"].mean(("y", "x")).values
    day = int(np.argmin(np.abs(observed_share[200:330] - 0.5)) + 200)
    observed = cube["sm_dca"].where(cube["sm_dca_observed"])
    panels = [
        (observed, "SMAP DCA, observed", ramp, 0, 0.45),
        (maps["sm_5cm_s2"], "xsm 5 cm", ramp, 0, 0.45),
        (maps["sm_25cm_s2"], "xsm 25 cm", ramp, 0, 0.45),
        (maps["sm_5cm_s2_std"], "5 cm, standard deviation", "magma_r", 0, 0.15),
    ]
    figure = plt.figure(figsize=(12, 5.6), layout="constrained")
    grid = figure.add_gridspec(2, 4, height_ratios=[1.25, 1])
    west, east = (maps["x"].values[[0, -1]] / 1e3).tolist()
    south, north = (maps["y"].values[[-1, 0]] / 1e3).tolist()
    for i, (array, title, cmap, low, high) in enumerate(panels):
        axis = figure.add_subplot(grid[0, i])
        image = axis.imshow(
            array.isel(time=day), cmap=cmap, vmin=low, vmax=high, extent=(west, east, south, north), aspect="equal"
        )
        axis.set_facecolor("0.85")
        axis.set_title(title, fontsize=10)
        axis.set_xticks([])
        axis.set_yticks([])
        if i in (2, 3):
            figure.colorbar(image, ax=axis, shrink=0.8, label="m3 m-3")
    axis = figure.add_subplot(grid[1, :])
    y, x = (s // 2 for s in maps["sm_5cm_s2"].shape[1:])
    time = maps["time"].values
    for name, label, colour in (("sm_5cm_s2", "xsm 5 cm", "#01665e"), ("sm_25cm_s2", "xsm 25 cm", "#8c510a")):
        value, spread = (maps[n].isel(y=y, x=x).values for n in (name, f"{name}_std"))
        axis.plot(time, value, color=colour, lw=1.3, label=label)
        axis.fill_between(time, value - spread, value + spread, color=colour, alpha=0.2, lw=0)
    axis.plot(time, observed.isel(y=y, x=x), "k.", ms=3, label="SMAP DCA, observed")
    axis.set_ylabel("soil moisture (m3 m-3)")
    axis.set_xlim(time[0], time[-1])
    axis.legend(ncols=3, frameon=False, loc="upper right", fontsize=9)
    figure.suptitle(
        f"Synthetic world of the demo, {str(time[day])[:10]}, 64 x 64 cells of 9 km; one cell below", fontsize=11
    )
    target = Path(__file__).parent / "_static" / "demo.png"
    target.parent.mkdir(exist_ok=True)
    figure.savefig(target, dpi=90)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
