"""Files and settings of a study on synthetic data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xsm.data.grids import EASE2_M09, Grid
from xsm.errors import UsageError


@dataclass(frozen=True)
class Size:
    """Size of a synthetic study: cells on a side, first day, days, options of filling and training, split of days."""

    cells: int
    start: str
    days: int
    fill: str = ""
    fit: str = ""
    split: tuple[int, int] = (0, 0)

    @property
    def grid(self) -> Grid:
        """Window around 36 N, 98 W, on the Great Plains."""
        row, col = EASE2_M09.rowcol(-98.0, 36.0)
        half = self.cells // 2
        return EASE2_M09.window(
            int(row) - half, int(row) - half + self.cells, int(col) - half, int(col) - half + self.cells
        )

    @property
    def dates(self) -> np.ndarray:
        """Days of the study."""
        return np.datetime64(self.start) + np.arange(self.days)


QUICK = Size(32, "2021-05-01", 60, fill="epochs = 12", fit=", epochs = 3", split=(32, 8))
FULL = Size(64, "2021-03-01", 400, fill="epochs = 8, cells = 96", fit=', epochs = 7, precision = "auto"')


def make_files(data: Path, size: Size, seed: int) -> Any:
    """Make a world and write the files of all its products below a folder; returns the world."""
    from xsm.twin import make_world, write_world

    if data.exists():
        raise UsageError(f"'{data}' exists already.", hint="Give another folder.")
    world = make_world(size.grid, size.dates, seed)
    write_world(world, data)
    return world


def study_changes(size: Size, data: str) -> dict[str, str]:
    """Entries of the study template for the files of a synthetic study."""
    west, south, east, north = (round(v, 6) for v in size.grid.bbox)
    sources = {"smap": "smap", "nldas": "nldas", "solus": "solus100", "modis": "modis_landcover", "uscrn": "uscrn"}
    folders = {key: f"{data}/{name.upper()}" for key, name in sources.items()}
    return {
        "region": f"[{west}, {south}, {east}, {north}]",
        "title": "A synthetic world",
        "out": "results",
        "margin": "0",
        "time": f"{size.dates[0]}/{size.dates[-1]}",
        "geotiff": '["sm_5cm", "sm_25cm"]',
        "preset": "small",
        "more": size.fit,
        "fill_options": f"options = {{ {size.fill} }}\n" if size.fill else "",
        "split": _split(size),
        **folders,
    }


def _split(size: Size) -> str:
    if size.split == (0, 0):
        return ""
    (training, _), both, day = size.split, sum(size.split), size.dates
    return f'train = "{day[0]}/{day[training - 1]}"\nvalidation = "{day[training]}/{day[both - 1]}"\n'
