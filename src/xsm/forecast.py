"""How many bytes and hours a study will take, from what the stages of an earlier, shorter one took on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xsm import files
from xsm.config import Study
from xsm.errors import DataError, UsageError
from xsm.grids import EASE2_M09
from xsm.manifest import human
from xsm.ops.open import days
from xsm.stages import manifest

FIXED = ("train", "report")
"""Stages whose files do not grow with the period."""


@dataclass(frozen=True)
class Forecast:
    """Seconds and bytes of each stage of a study that is still to be run."""

    seconds: dict[str, float]
    bytes: dict[str, float]

    def __str__(self) -> str:
        total = sum(self.seconds.values()), sum(self.bytes.values())
        lines = [f"  {n:24} {human(self.bytes[n]):>9}  {s / 3600:8.2f} h" for n, s in self.seconds.items()]
        return "\n".join([*lines, f"  {'in all':24} {human(total[1]):>9}  {total[0] / 3600:8.2f} h"])


def forecast(study: Study, like: Path) -> Forecast:
    """Scale what an earlier study took to the cells and days of another one.

    Parameters
    ----------
    study : Study
        With a region and a period.
    like : Path
        Results of a finished study of the same products, models and threads: the longer, the better.

    Returns
    -------
    Forecast
        Times and sizes grow with cells and days, those of maps without time with cells alone; models and report stay
        as large as they are.

    Raises
    ------
    UsageError
        For a study without region or period.
    DataError
        Where ``like`` holds no finished study.
    """
    done = manifest(like)
    if not (like / "data" / "cube.zarr").is_dir() or "report" not in done:
        raise DataError(f"'{like}' holds no finished study.", hint="Run a short period first, such as a month.")
    if study.region is None or study.time is None:
        raise UsageError("The study has no region or no time.", hint="Give both to predict bytes and hours.")
    cube, period = files.read(like / "data" / "cube.zarr"), days(study.time)
    window = EASE2_M09.region(study.region).grow(study.margin)
    cells = window.rows * window.cols / (cube.sizes["y"] * cube.sizes["x"])
    longer = int((period.stop - period.start) / np.timedelta64(1, "D") + 1) / cube.sizes["time"]
    seconds, sizes = {}, {}
    for name, entry in done.items():
        path = like / entry["path"]
        grows = cells * (longer if path.suffix != ".zarr" or (path / "time").is_dir() else 1)
        seconds[name] = entry["seconds"] * grows
        held = sum(p.stat().st_size for p in ([path] if path.is_file() else path.rglob("*")) if p.is_file())
        sizes[name] = held * (1 if name.split()[0] in FIXED else grows)
    return Forecast(seconds, sizes)
