"""A synthetic world's land model as SPL4SMGP files: global 9 km grid, 3-hourly, the product's names and fills."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from xsm import EASE2_M09

from xsm_smap.layout import FILL, GROUP, STEPS

if TYPE_CHECKING:
    from xsm.twin import World

VERSION = "Vv7032_001"
LONG_NAMES = {"sm_surface": "Top layer soil moisture (0-5 cm)", "sm_rootzone": "Root zone soil moisture (0-100 cm)"}


def write(world: World, dest: Path) -> list[Path]:
    """Write eight files for each UTC day: 3-hour means of the world's land model in the nearest cell.

    Parameters
    ----------
    world : World
        Its ``grid``, ``days``, ``nldas_hours(day)`` and ``attrs["synthetic"]`` are used; 0-10 cm stands for the
        surface, 0-40 cm for the root zone.
    dest : Path
        Folder; created if it does not exist.

    Returns
    -------
    list of Path
        ``SMAP_L4_SM_gph_<yyyymmdd>T<hh>3000_Vv7032_001.h5``, by time.
    """
    dest.mkdir(parents=True, exist_ok=True)
    paths = []
    for day in world.days:
        hours = world.nldas_hours(day).sel(lat=world.grid.lat, lon=world.grid.lon, method="nearest")
        above, below = (hours[n].values.astype("f8") for n in ("SoilM_0_10cm", "SoilM_10_40cm"))
        fields = {"sm_surface": above / 100, "sm_rootzone": (above + below) / 400}
        for step in range(STEPS):
            values = {n: v[3 * step : 3 * step + 3].mean(0) for n, v in fields.items()}
            stamp = f"{str(day).replace('-', '')}T{3 * step + 1:02d}3000"
            paths.append(_write_file(dest / f"SMAP_L4_SM_gph_{stamp}_{VERSION}.h5", values, world))
    return paths


def _write_file(path: Path, values: dict[str, np.ndarray], world: World) -> Path:
    import h5py

    grid, partial = world.grid, path.with_suffix(".part")
    with h5py.File(partial, "w") as file:
        file.attrs["synthetic"] = np.bytes_(str(world.attrs["synthetic"]).encode())
        group = file.create_group(GROUP)
        for name, field in values.items():
            dataset = group.create_dataset(
                name, EASE2_M09.shape_global, "f4", chunks=(1, EASE2_M09.shape_global[1]), compression="gzip",
                compression_opts=2, fillvalue=np.float32(FILL),
            )  # fmt: skip
            texts = {"long_name": LONG_NAMES[name], "units": "m3 m-3"}
            for key, text in texts.items():
                dataset.attrs[key] = np.bytes_(text.encode())
            dataset.attrs["_FillValue"] = np.float32(FILL)
            filled = np.where(np.isnan(field), FILL, field).astype("f4")
            dataset[grid.row0 : grid.row0 + grid.rows, grid.col0 : grid.col0 + grid.cols] = filled
    os.replace(partial, path)
    return path
