"""What a study would do, and the bytes, memory and hours that it will take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from xsm.compute.zarr_regions import memory_to_write
from xsm.data.grids import EASE2_M09
from xsm.data.period import days
from xsm.errors import DataError, UsageError
from xsm.io import files
from xsm.io.paths import size_of
from xsm.learning.estimating import trim
from xsm.learning.fill_checks import check_series
from xsm.ops.cube import cube as make_cube
from xsm.options import threads
from xsm.study.config import Study
from xsm.study.inputs import in_order, opened, paths_of
from xsm.study.modelling import check_models
from xsm.study.pipeline import done_before, stage_names
from xsm.study.stages import manifest
from xsm.web.manifest import human

FIXED = ("train", "report")
"""Stages whose files do not grow with the period."""
PROGRAM = 500_000_000
"""Bytes of memory that the program and its libraries take."""
FILLED, ESTIMATED, FUSED = 9, 9, 18
"""Bytes per cell and day: two spreads and a mark of each filled variable; estimate, spread and frozen ground; both
depths of a fusion with frozen ground and the days of the retrieval."""


@dataclass(frozen=True)
class Forecast:
    """What the stages of a study that has not run yet will take."""

    bytes: Mapping[str, float]
    seconds: Mapping[str, float] = field(default_factory=dict)
    memory: float | None = None

    def __str__(self) -> str:
        rows = {name: (size, self.seconds.get(name)) for name, size in self.bytes.items()}
        rows["in all"] = sum(self.bytes.values()), sum(self.seconds.values()) if self.seconds else None
        hours = {name: "" if took is None else f"  {took / 3600:8.2f} h" for name, (_, took) in rows.items()}
        lines = [f"  {name:24} {human(size):>11}{hours[name]}" for name, (size, _) in rows.items()]
        if self.memory is not None:
            lines.append(f"  {'memory without training':24} {human(self.memory):>11}")
        return "\n".join(lines)


def plan(study: Study) -> str:
    """Describe in a few lines what a study would do and, where its folder has results, which stages are done."""
    check_models(study)
    lines = [f"{study.title}: region {study.region or 'all'}, {study.time or 'all days'} -> {study.out}"]
    for name, source in {**study.inputs, **study.stations}.items():
        paths = paths_of(study, name, source)
        size = sum(map(size_of, paths))
        lines.append(f"  open {name}: {len(paths)} file{'s' * (len(paths) != 1)}, {human(size)}")
    if study.gapfill:
        lines.append(f"  fill gaps: {study.gapfill.method} ({study.gapfill.mode})")
    if study.fit:
        lines.append(f"  train and estimate: {study.fit.model}, {', '.join(study.fit.estimates)}")
    if study.fuse:
        how = study.fuse.model or f"train {study.fuse.method}{' with stations' * study.fuse.stations}"
        lines.append(f"  fuse: {how} ({study.fuse.mode})")
    if study.stations:
        lines.append(f"  validate against {', '.join(study.stations)}")
    lines.append("  report")
    if manifest(study.out):
        lines.append(f"of a run in '{study.out}':")
        lines += [f"  {name:24} {'done' if done else 'to do'}" for name, done in done_before(study).items()]
    return "\n".join(lines)


def outlook(study: Study) -> Forecast:
    """Predict what a study writes and how much memory that takes, from the heads of its files.

    Bytes of each stage whose size grows with cells and days are those before compression, which leaves a quarter to
    three quarters of them; memory is that of opening, joining and filling with `xsm.options.threads`
    workers. There are no times, which only an earlier run can show.
    """
    workers = threads()
    parts = {name: opened(study, name) for name in in_order(study)}
    cube = make_cube(*parts.values())
    inner = trim(cube, cube.attrs.get("xsm_region"))
    at, inside = (int(np.prod([ds.sizes[d] for d in ("time", "y", "x")])) for ds in (cube, inner))
    sizes: dict[str, float] = {f"open {name}": ds.nbytes for name, ds in parts.items()} | {"cube": cube.nbytes}
    memory = [memory_to_write(ds, workers) for ds in (*parts.values(), cube)]
    filled = check_series(cube, study.gapfill.variables, (), True) if study.gapfill else []
    if study.gapfill:
        sizes["fill gaps"] = cube.nbytes + FILLED * at * len(filled)
        series = cube.chunk(time=-1, y=64, x=64)
        memory.append(memory_to_write(series, workers) * sizes["fill gaps"] / cube.nbytes)
    pairs = study.fit.estimates if study.fit else ()
    sizes |= {f"estimate {pair}": ESTIMATED * at for pair in pairs}
    fused = FUSED if study.fuse else 0
    sizes |= {"fuse": fused * at, "maps": (4 + FILLED) * inside * len(filled)}
    sizes["estimate"] = (ESTIMATED * len(pairs) + fused) * inside
    sizes["geotiff"] = 4 * inside * len(study.geotiff)
    return Forecast({n: sizes[n] for n in stage_names(study) if n in sizes}, memory=PROGRAM + max(memory))


def forecast(study: Study, like: Path) -> Forecast:
    """Scale what a finished study of the same products, models and threads (its results, ``like``) took to another.

    Times and sizes grow with cells and days, those of maps without time with cells alone; models and report stay as
    large as they are. The longer the other study, the better; it must have all stages of this one, and this one a
    region and a period.
    """
    done = manifest(like)
    if not (like / "data" / "cube.zarr").is_dir() or "report" not in done:
        raise DataError(f"'{like}' contains no finished study.", hint="Run a short period first, such as a month.")
    if study.region is None or study.time is None:
        raise UsageError("The study has no region or no time.", hint="Set both to predict bytes and hours.")
    cube, period = files.read(like / "data" / "cube.zarr"), days(study.time)
    window = EASE2_M09.region(study.region).grow(study.margin)
    cells = window.rows * window.cols / (cube.sizes["y"] * cube.sizes["x"])
    longer = int((period.stop - period.start) / np.timedelta64(1, "D") + 1) / cube.sizes["time"]
    names = stage_names(study)
    if missing := [name for name in names if name not in done]:
        raise DataError(
            f"The study in '{like}' has no stage {', '.join(missing)}, which this one has.",
            hint="Run a short period of this same study first.",
        )
    seconds, sizes = {}, {}
    for name in names:
        entry = done[name]
        path = like / entry["path"]
        grows = cells * (longer if path.suffix != ".zarr" or (path / "time").is_dir() else 1)
        seconds[name] = entry["seconds"] * grows
        stored = sum(p.stat().st_size for p in ([path] if path.is_file() else path.rglob("*")) if p.is_file())
        sizes[name] = stored * (1 if name.split()[0] in FIXED else grows)
    return Forecast(sizes, seconds)
