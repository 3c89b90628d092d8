"""Make the pictures of the synthetic twin in `_static`: ``python docs/twin_pictures.py``."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np

from xsm.io.styles import RAMPS
from xsm.twin import World, default_grid, make_world

STATIC = Path(__file__).parent / "_static"


def maps(world: World, target: Path) -> None:
    """Soil, cover, a storm, the truth after it, what SMAP and the land model see of it."""
    import matplotlib.pyplot as plt
    from matplotlib.colors import LinearSegmentedColormap

    ramp = LinearSegmentedColormap.from_list("soil moisture", [c for _, c in RAMPS["soil_moisture"]])
    truth, smap, noah = world.truth, world.smap, world.nldas_daily
    storm = truth["precipitation"].rolling(time=2).sum()
    day = int((storm.mean(("y", "x")) * np.isfinite(smap["tb_h"]).mean(("y", "x"))).argmax())
    west, east = (truth["x"].values[[0, -1]] / 1e3).tolist()
    south, north = (truth["y"].values[[-1, 0]] / 1e3).tolist()
    at = {"time": day}
    box = (west, east, south, north)
    lon, lat = noah["lon"].values, noah["lat"].values
    model = noah["sm_noah_0_10"].isel(at)
    panels = [
        (truth["sand"][0], "Sand, 5 cm (%)", "YlOrBr", 0, 100, box),
        (truth["vegetation_water_content"].isel(at), "Vegetation water (kg m-2)", "YlGn", 0, 8, box),
        (storm.isel(at), "Rain of two days (mm)", "Blues", 0, 80, box),
        (truth["sm_5cm"].isel(at), "Truth, 0-10 cm", ramp, 0, 0.45, box),
        (smap["tb_h"].isel(at), "SMAP brightness temperature H (K)", "magma", 190, 280, box),
        (smap["sm_dca"].isel(at), "SMAP DCA", ramp, 0, 0.45, box),
        (model, "Noah, 0-10 cm, 0.125 degree", ramp, 0, 0.45, (lon[0], lon[-1], lat[0], lat[-1])),
        (truth["sm_25cm"].isel(at), "Truth, 10-40 cm", ramp, 0, 0.45, box),
    ]  # fmt: skip
    figure, axes = plt.subplots(2, 4, figsize=(14, 6.4), layout="constrained")
    for axis, (array, title, colours, low, high, extent) in zip(axes.flat, panels, strict=True):
        origin = "lower" if "lat" in array.dims else "upper"
        image = axis.imshow(array, cmap=colours, vmin=low, vmax=high, extent=extent, origin=origin, aspect="auto")
        axis.set(title=title, xticks=[], yticks=[], facecolor="0.85")
        figure.colorbar(image, ax=axis, shrink=0.8)
    figure.suptitle(f"Synthetic world on the Gulf coast, {str(truth['time'].values[day])[:10]}; m3 m-3 without unit")
    figure.savefig(target, dpi=80)
    plt.close(figure)


def year(world: World, target: Path) -> None:
    """One year of one station's cell: rain, truth, station, retrieval and land model."""
    import matplotlib.pyplot as plt

    stations = world.stations.sel(sensor=world.stations["depth"] == 5)
    one = stations.isel(sensor=3)
    row, col = (int(v) for v in world.grid.rowcol(float(one["lon"]), float(one["lat"])))
    here = {"y": row - world.grid.row0, "x": col - world.grid.col0}
    truth, smap = world.truth.isel(here), world.smap.isel(here)
    noah = world.nldas_daily["sm_noah_0_10"].sel(lon=float(one["lon"]), lat=float(one["lat"]), method="nearest")
    time = truth["time"].values
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(12, 5), height_ratios=[1, 3], sharex=True, layout="constrained"
    )
    above.bar(time, truth["precipitation"], color="#3b6fb6", width=np.timedelta64(1, "D"))
    above.set_ylabel("rain (mm)")
    hourly = one["soil_moisture"].where(one["flag"] == 0)
    below.plot(hourly["time"], hourly, color="0.6", lw=0.8, label="station, 5 cm, good hours")
    below.plot(time, truth["sm_5cm"], color="k", lw=1.4, label="truth of the cell, 0-10 cm")
    below.plot(time, noah, color="#8c510a", lw=1.1, label="Noah, 0-10 cm")
    below.plot(time, smap["sm_dca"], ".", color="#01665e", ms=5, label="SMAP DCA")
    below.fill_between(time, 0, 0.02, where=truth["ice_fraction"].values > 0.1, color="#9ecae1", label="frozen")
    below.set(ylabel="soil moisture (m3 m-3)", xlim=(time[0], time[-1]), ylim=(0, None))
    below.legend(ncols=5, frameon=False, fontsize=9, loc="upper center")
    figure.suptitle(f"One cell of a synthetic world, 42 N, 92 W, seed {world.seed}")
    figure.savefig(target, dpi=80)
    plt.close(figure)


def main() -> None:
    """Draw both."""
    mpl.use("Agg")
    STATIC.mkdir(exist_ok=True)
    maps(
        make_world(default_grid(72, lon=-97.0, lat=30.0), slice("2021-05-01", "2021-07-01"), 1),
        STATIC / "twin-maps.png",
    )
    year(
        make_world(default_grid(20, lon=-92.0, lat=42.0), slice("2021-01-01", "2021-12-31"), 0),
        STATIC / "twin-year.png",
    )


if __name__ == "__main__":
    main()
