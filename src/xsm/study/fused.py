"""The fused maps of a study day by day, and its archive with percentiles and anomalies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xsm.atomic import fresh
from xsm.data.period import days as period_of
from xsm.data.skipped import LEFT_OUT
from xsm.errors import DataError
from xsm.io import day_store, geotiff
from xsm.learning.estimating import trim
from xsm.learning.fused_days import fused_days
from xsm.series.standing import WINDOW, around_day, standing
from xsm.study.config import FUSED, Fuse, Study
from xsm.study.daily import axis_of
from xsm.study.modelling import fusion_model
from xsm.study.stages import Days, manifest, short

STEP = 8
"""Days that are fused at once; states are kept at the ends of such steps."""
KEPT, SELDOM = 4, 128
"""States that are kept: so many last ones, and those of days whose number divides by the latter."""
PROVISIONAL, FINAL = 0, 1
"""Values of ``day_status``: later observations may still change the day, or only a change of its own inputs does."""


def chained(below: Mapping[str, Days]) -> Days:
    """Digests of a filter: a day rests on all days up to it."""
    out, before = dict[str, str](), ""
    for day, digest in below["cube"].items():
        before = out[day] = short([before, digest])
    return out


def write_fused_days(
    study: Study, config: Fuse, cube: Path, trained: Path | None, part: Path, days: Days, todo: Sequence[str]
) -> None:
    """Fuse days from the state of the day before; where none was kept, from the first day on."""
    bundle, states = fusion_model(config, trained), States(study.out / ".xsm" / "states")
    depths = tuple(int(name.removeprefix("sm_").removesuffix("cm")) for name in bundle.card["targets"])
    source, model = day_store.read(cube), short([bundle.hash, study.region, study.margin])
    source.attrs.pop("xsm_region", None)

    def advance(run: np.ndarray, before: Mapping[str, np.ndarray]) -> tuple[xr.Dataset, dict[str, np.ndarray]]:
        ds = source.sel(time=run.astype("M8[ns]")).load()
        return fused_days(ds, bundle, depths, before)

    def make(run: np.ndarray) -> xr.Dataset:
        at, before = states.before(run[0], days, model)
        start = axis[0] if at is None else at + 1
        for earlier in day_store.runs(np.arange(start, run[0]), STEP):
            _, before = advance(earlier, before)
        maps, after = advance(run, before)
        states.keep(run[-1], days, model, after)
        return maps

    axis, left = axis_of(days, todo)
    day_store.write_days(part, axis, left, make, most=STEP, about=[short(days), model])


class States:
    """States of a recursion at the ends of days, each with the digest of all that it rests on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def before(self, day: np.datetime64, days: Days, model: str) -> tuple[np.datetime64 | None, dict[str, np.ndarray]]:
        """The newest state of an earlier day that still holds, and its day; none where there is none."""
        for path in sorted(self._folder.glob("*.npz"), reverse=True):
            at, mark = path.stem.split(".")
            if np.datetime64(at) < day and days.get(at) and mark == short([model, days[at]]):
                with np.load(path, allow_pickle=False) as arrays:
                    return np.datetime64(at, "D"), {str(n): arrays[f"a{k}"] for k, n in enumerate(arrays["names"])}
        return None, {}

    def keep(self, day: np.datetime64, days: Days, model: str, state: Mapping[str, np.ndarray]) -> None:
        """Keep the state after a day, and remove old ones."""
        path = self._folder / f"{day}.{short([model, days[str(day)]])}.npz"
        with fresh(path, overwrite=True) as part:
            arrays: dict[str, Any] = {f"a{k}": v for k, v in enumerate(state.values())}
            np.savez(part, names=np.array([*state]), **arrays)
        every = sorted(self._folder.glob("*.npz"))
        number = {p: int(np.datetime64(p.stem.split(".")[0]).astype("M8[D]").astype(int)) + 1 for p in every}
        steps = [p for p in every if number[p] % STEP == 0]
        kept = {every[-1], path, *steps[-KEPT:], *(p for p in every if number[p] % SELDOM == 0)}
        for old in set(every) - kept:
            old.unlink()


def reference_of(study: Study, renew: bool = False) -> list[str]:
    """First and last day that percentiles and anomalies are about: by default those of the first archive."""
    done = manifest(study.out)
    if study.update.reference is not None:
        period = period_of(study.update.reference)
        return [str(period.start or "1900-01-01"), str(period.stop or "2100-12-31")]
    if "archive" in done and not renew:
        return list(done["archive"]["about"][1])
    every = [*done["fuse"]["days"]]
    return [every[0], every[-1]]


def about_archive(study: Study, renew: bool = False) -> Any:
    """What the archive depends on besides the maps."""
    return [study.update.provisional, reference_of(study, renew)]


def archive_days(study: Study, renew: bool, below: Mapping[str, Days]) -> Days:
    """Digest of each day of the archive: of its maps, of the days that it is compared with, and its status."""
    days, reference = below["fuse"], reference_of(study, renew)
    axis = np.array([*days], "M8[D]")
    known = axis[(axis >= np.datetime64(reference[0])) & (axis <= np.datetime64(reference[1]))]
    status, out = status_of(axis, study.update.provisional), {}
    marks = np.array([days[str(day)] for day in known])
    for day, state in zip(axis, status, strict=True):
        out[str(day)] = short([days[str(day)], int(state), "".join(marks[around_day(known, day)])])
    return out


def status_of(axis: np.ndarray, provisional: int) -> np.ndarray:
    """Status of each day: the last ones are provisional."""
    return np.where(axis > axis[-1] - provisional, PROVISIONAL, FINAL).astype("u1")


def write_archive(
    study: Study, renew: bool, fused: Path, cube: Path, part: Path, days: Days, todo: Sequence[str]
) -> None:
    """Write days of the archive: maps of the region with percentiles, anomalies and status."""
    axis, left = axis_of(days, todo)
    reference, joined = reference_of(study, renew), day_store.read(cube)
    maps = trim(day_store.read(fused), joined.attrs.get("xsm_region"))
    maps = maps.assign({LEFT_OUT: joined[LEFT_OUT]} if LEFT_OUT in joined else {})
    maps.attrs |= {"title": "Soil moisture estimates"}
    time = maps["time"].values.astype("M8[D]")
    known = time[(time >= np.datetime64(reference[0])) & (time <= np.datetime64(reference[1]))]
    status = dict(zip(axis.astype(str), status_of(axis, study.update.provisional), strict=True))

    def make(run: np.ndarray) -> xr.Dataset:
        ds = maps.sel(time=run.astype("M8[ns]")).load()
        near = known[np.any([around_day(known, day) for day in run], axis=0)]
        for name in (n for n in FUSED if n in ds):
            compared = maps[name].sel(time=near.astype("M8[ns]")).transpose("time", ...).values
            values = ds[name].transpose("time", ...)
            ranks, departures = standing(values.values, run, compared, near)
            about = f"{WINDOW} days around the day of year in {reference[0]} to {reference[1]}"
            for suffix, array, units, what in (
                ("percentile", ranks, "percent", "percentile among"),
                ("anomaly", departures, "m3 m-3", "departure from the mean of"),
            ):
                attrs = {"long_name": f"{ds[name].attrs.get('long_name', name)}: {what} {about}", "units": units}
                ds[f"{name}_{suffix}"] = values.copy(data=array).drop_attrs().assign_attrs(attrs | GRID)
        marks = np.array([status[str(day)] for day in run], "u1")
        return ds.assign(day_status=("time", marks, STATUS))

    day_store.write_days(part, axis, left, make, most=STEP, about=short(days))


GRID = {"grid_mapping": "spatial_ref"}
STATUS = {
    "long_name": "Whether later observations may still change the day",
    "flag_values": np.array([PROVISIONAL, FINAL], "u1"),
    "flag_meanings": "provisional final",
}


def write_day_maps(names: Sequence[str], archive: Path, part: Path, days: Days, todo: Sequence[str]) -> None:
    """Write variables of the archive as GeoTIFFs, one for each day, into a folder."""
    ds = day_store.read(archive).sel(time=np.array(todo, "M8[ns]"))
    for name in (name for name in names if name not in ds):
        raise DataError(f"'{name}' of geotiff is not in the archive, expected one of {', '.join(map(str, ds))}.",
                        hint="Name maps of the fusion; an archive has none of [fit].")  # fmt: skip
    part.mkdir(exist_ok=True)
    for name in names:
        geotiff.write(ds[[name]], part / f"{name}.tif", daily=True, overwrite=True)
