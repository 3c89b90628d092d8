"""The inputs and the cube of a study by days: which granules a day has, and how some of the days are opened."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xsm import atomic
from xsm.data.merging import on_days
from xsm.data.period import days as period_of
from xsm.data.skipped import days_in, mark
from xsm.errors import tell
from xsm.io import day_store
from xsm.ops.cube import cube
from xsm.study.config import Source, Study
from xsm.study.inputs import ENDS, about_input, fingerprint, in_order, is_strict, opened, paths_of
from xsm.study.stages import Days, left_out_by, short

SPARSE = 0.2
"""Share of the days of a period on which a product has granules at least, if it is one of days."""
MOSTLY = 0.5
"""Share of the files of such a product whose names have a day, at least; the others are left out."""
Granules = dict[str, list[Path]]
"""Files of an input by day, all days between the first and the last."""
NIGHT = np.timedelta64(1, "D")
"""Most that the dates in the name of a granule differ: an orbit ends on the day after, an archive of a month later."""
NONE = ""
"""Digest of a day without granules."""


def granules(study: Study, name: str) -> Granules | None:
    """Files of an input by day; None for an input that has no such files."""
    paths = paths_of(study, name, study.inputs[name])
    spans = [(days_in(path.name), path) for path in paths if isinstance(path, Path)]
    dated = [(days[0], path) for days, path in spans if days]
    known = [day for day, _ in dated]
    if (
        not known
        or any(days and days[-1] - days[0] > NIGHT for days, _ in spans)
        or len(known) < MOSTLY * len(paths)
        or len(set(known)) < max(2, SPARSE * ((max(known) - min(known)).astype(int) + 1))
    ):
        return None
    period = slice(None, None) if study.time is None else period_of(study.time)
    first, last = (max(min(known), period.start or min(known)), min(max(known), period.stop or max(known)))
    if first > last:
        return None
    by_day: Granules = {str(day): [] for day in np.arange(first, last + 1)}
    for day, path in dated:
        if str(day) in by_day:
            by_day[str(day)].append(path)
    return by_day


def has_days(study: Study) -> bool:
    """Whether a study can be made day by day: its first input has granules of days, and no series are filled."""
    return study.gapfill is None and granules(study, in_order(study)[0]) is not None


def about_granules(study: Study, source: Source) -> Any:
    """What an input of days depends on besides its granules."""
    options = {k: v for k, v in source.options.items() if k != "on_error"}
    return ["days", options, study.region, study.margin, dict(source.units)]


def about_maps(study: Study, name: str) -> Any:
    """What an input without granules of days depends on: not on the period, if it turns out to have no time."""
    timeless = about_input(replace(study, time=None), name, study.inputs[name])
    file, mark = study.out / ".xsm" / "static.json", short([timeless, name])
    known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    if mark not in known:
        known[mark] = "time" not in opened(study, name).dims
        if file.parent.is_dir():
            with atomic.fresh(file, overwrite=True) as part:
                part.write_text(json.dumps(known), encoding="utf-8")
    return timeless if known[mark] else about_input(study, name, study.inputs[name])


def granule_days(study: Study, name: str, by_day: Granules, below: Mapping[str, Days]) -> Days:
    """Digest of each day of an input: names and fingerprints of its granules."""
    undated = [file for path in paths_of(study, name, study.inputs[name]) if not days_in(file := Path(str(path)).name)]
    if undated:
        tell(f"{len(undated)} files of '{name}', such as '{undated[0]}', have no day in their names and are left out.")
    with _fingerprints(study.out) as mark_of:
        return {
            day: short(sorted([path.name, *mark_of(path)] for path in paths)) if paths else NONE
            for day, paths in by_day.items()
        }


@contextmanager
def _fingerprints(out: Path) -> Iterator[Any]:
    """Fingerprints of files, read again only where size, time or entry of a file have changed."""
    file, new = out / ".xsm" / "granules.json", dict[str, Any]()
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}

    def mark_of(path: Path) -> Sequence[Any]:
        stat = path.stat()
        same = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
        before = known.get(str(path))
        mark = before[1] if before and before[0] == same else fingerprint(path)
        if stat.st_size > 2 * ENDS:
            mark = [mark[0], 0, mark[2]]  # the clock of another computer is none of the granule
        new[str(path)] = [same, list(mark)]
        return list(mark)

    yield mark_of
    if new and file.parent.is_dir() and any(known.get(path) != value for path, value in new.items()):
        with atomic.fresh(file, overwrite=True) as part:
            part.write_text(json.dumps(known | new), encoding="utf-8")


def write_granules(
    study: Study, name: str, by_day: Granules, part: Path, days: Days, todo: Sequence[str]
) -> None:  # fmt: skip
    """Write days of an input; those without granules are empty."""
    full = np.array([day for day, paths in by_day.items() if paths], "M8[D]")

    def make(run: np.ndarray) -> xr.Dataset:
        near = full[(full >= run[0]) & (full <= run[-1])]
        near = near if len(near) else full[[np.argmin(abs(full - run[0]))]]
        paths = [path for day in near.astype(str) for path in by_day[day]]
        return on_days(opened(study, name, paths, f"{near[0]}/{near[-1]}"), run.astype("M8[ns]"))

    strict = is_strict(study, study.inputs[name])
    day_store.write_days(part, *axis_of(days, todo), make, about=short(days), strict=strict)


def axis_of(days: Days, todo: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """All days, and those to write, as datetime64[D]."""
    return np.array([*days], "M8[D]"), np.array(todo, "M8[D]")


def cube_days(study: Study, below: Mapping[str, Days]) -> Days:
    """Digest of each day of the cube: from the first day of the first input to the last one of any that is not absurd.

    A product may be late by ``lag`` days of [update]; later days wait for it.
    """
    inputs = {name.removeprefix("open "): days for name, days in below.items()}
    lag, newest = np.timedelta64(study.update.lag, "D"), [np.datetime64(max(days), "D") for days in inputs.values()]
    first, last = np.datetime64(min(inputs[in_order(study)[0]]), "D"), min(max(newest), min(newest) + lag)
    return {
        str(day): short([[name, days.get(str(day), NONE)] for name, days in sorted(inputs.items())])
        for day in np.arange(first, last + 1)
    }


def about_cube_days(study: Study) -> Any:
    """What the cube depends on besides its inputs and their days."""
    return [in_order(study), _counts(study), *([dict(study.roles)] if study.roles else [])]


def _counts(study: Study) -> bool:
    """Whether files may be left out, which the cube then counts by day."""
    return not all(is_strict(study, source) for source in study.inputs.values())


def write_cube_days(study: Study, stores: Mapping[str, Path], part: Path, days: Days, todo: Sequence[str]) -> None:
    """Join the inputs of a study on some days."""
    lost = left_out_by(study.out, [f"open {name}" for name in study.inputs])

    def make(run: np.ndarray) -> xr.Dataset:
        time = run.astype("M8[ns]")
        parts = [day_store.read(stores[name]) for name in in_order(study)]
        parts = [on_days(_near(ds, time), time) if "time" in ds.dims else ds for ds in parts]
        joined = cube(*parts, roles=study.roles or None)
        return mark(joined, lost or ["-"]) if _counts(study) else joined

    day_store.write_days(part, *axis_of(days, todo), make, about=short(days))


def _near(ds: xr.Dataset, time: np.ndarray) -> xr.Dataset:
    """The days of a dataset that are among others, or its last one: without any, types would be lost."""
    at = np.flatnonzero(np.isin(ds["time"].values, time))
    return ds.isel(time=at if len(at) else [-1])
