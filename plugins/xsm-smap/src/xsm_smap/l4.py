"""The source ``smap_l4``: SPL4SMGP, the 3-hourly Level-4 analysis, as daily means; a product to compare with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from xsm import EASE2_M09, DataError, Grid, SkippedFile, UsageError
from xsm.plugin_api import Request, canonical_attrs, check_bulk, drop_impossible, tell

from xsm_smap import L4_INFO
from xsm_smap.claims import collect
from xsm_smap.hdf5 import Frame, frame, plane, shape, swapped
from xsm_smap.layout import FILL, GROUP, STEPS
from xsm_smap.maps import Unit, cut, has_numbers, is_turned, standard, unit_in, upright
from xsm_smap.placing import Place, place
from xsm_smap.products import refuse_names, refuse_others, refuse_unlike
from xsm_smap.read import check_magic, opened, window

if TYPE_CHECKING:
    from xsm.twin import World

NAME = re.compile(
    r"^SMAP_L4_SM_gph_(?P<date>\d{8})T(?P<clock>\d{4})\d{2}_V(?P<version>[A-Za-z]+\d{4})_(?P<counter>\d{3})(?:_.+)?\.(?:h5|nc|nc4)$"
)


@dataclass(frozen=True)
class Step:
    """A file that was looked at: ``place`` is None where its maps are the whole grid as the product has it."""

    path: str
    grid: Grid
    place: Place | None = None
    frame: Frame = ((), None)
    units: tuple[tuple[str, Unit], ...] = ()


Day = tuple[np.datetime64, tuple[Step, ...]]
"""A UTC day and its files."""


class SmapL4Source:
    """SPL4SMGP granules, global 9 km grid.

    Examples
    --------
    >>> SmapL4Source().identify(Path("SMAP_L4_SM_gph_20150401T013000_Vv7032_001.h5"))
    True
    """

    info = L4_INFO

    def identify(self, path: Path) -> bool:
        """Tell by the name."""
        return NAME.match(Path(path).name) is not None

    def open(self, request: Request) -> xr.Dataset:
        """Open 3-hourly files lazily as daily means ``(time, y, x)``; every UTC day is present.

        The stamps of the names (01:30 to 22:30 UTC) are the middles of eight 3-hour means, so that the mean of a day's
        eight files is that of the UTC day.

        Parameters
        ----------
        request : Request
            Files ``SMAP_L4_SM_gph_<date>T<time>_V<version>_<counter>.h5``; of several files of one stamp the highest
            version, then the highest counter is read. Variables: ``sm_surface`` (0-5 cm), ``sm_rootzone`` (0-100 cm).
            Options:

            min_steps : int
                Files that a day needs; a day with fewer is missing.

        Returns
        -------
        xarray.Dataset
            float32, m3 m-3; one dask chunk per day. Attribute ``incomplete_days``.

        Raises
        ------
        xsm.DataError
            For a file that cannot be used, or none in the period.
        xsm.UsageError
            For an unknown variable.
        """
        names, time, min_steps = _names(request.variables), request.time, request.options["min_steps"]
        by_stamp, skipped = _look_all(request, names)
        if not by_stamp:
            raise DataError(
                f"None of the {len(request.paths)} files is a readable SPL4SMGP file of the period.",
                hint="; ".join(skipped) or "Check paths and period.",
            )
        grid = _window(by_stamp.values(), request)
        days_present = sorted({s.astype("M8[D]") for s in by_stamp})
        first = days_present[0] if time is None or time.start is None else np.datetime64(time.start, "D")
        last = days_present[-1] if time is None or time.stop is None else np.datetime64(time.stop, "D")
        days = np.arange(first, last + 1)
        files: list[Day] = [(d, tuple(by_stamp[s] for s in sorted(by_stamp) if s.astype("M8[D]") == d)) for d in days]
        arrays = _lazy(files, names, grid, min_steps, request.on_error)
        stamps = {"standard_name": "time", "long_name": "UTC day", "axis": "T"}
        ds = xr.Dataset(
            {n: (("time", "y", "x"), arrays[:, i], {**canonical_attrs(n), "cell_methods": "time: mean"})
             for i, n in enumerate(names)},
            {"time": ("time", days.astype("M8[ns]"), stamps)},
        )  # fmt: skip
        notes = {
            "title": "SMAP Level 4 soil moisture, daily means",
            "product": "SPL4SMGP",
            "product_version": ", ".join(
                sorted({m["version"] for p in by_stamp.values() if (m := NAME.match(Path(p.path).name))})
            ),
            "daily_rule": f"mean of the 3-hourly values of the UTC day, at least {min_steps} of {STEPS}",
            "incomplete_days": _incomplete(files, min_steps),
            "skipped": skipped,
            "synthetic": _synthetic(next(iter(by_stamp.values())).path),
        }
        return grid.assign(ds).assign_attrs({k: v for k, v in notes.items() if v})

    def write(self, world: World, dest: Path) -> list[Path]:
        """Write a synthetic world's land model as SPL4SMGP files, see `xsm_smap.write_l4.write`."""
        from xsm_smap.write_l4 import write

        return write(world, dest)


def stamp_of(path: Path) -> np.datetime64:
    """Stamp that the name of a file says."""
    match = NAME.match(path.name)
    if match is None:
        refuse_names(path, ("SPL4SMGP",))
        raise DataError(
            f"The name of '{path}' does not say its time.", hint="Keep names as SMAP_L4_SM_gph_<date>T<time>_...h5."
        )
    date, clock = match["date"], match["clock"]
    try:
        return np.datetime64(f"{date[:4]}-{date[4:6]}-{date[6:]}T{clock[:2]}:{clock[2:]}", "m")
    except ValueError:
        raise DataError(f"The name of '{path}' contains no date.", hint="Keep the product's names.") from None


def look(path: Path, names: Sequence[str], units: Mapping[str, str]) -> Step:
    """Check that a file contains the expected variables on the 9 km grid, and where its cells lie."""
    refuse_names(path, ("SPL4SMGP",))
    check_magic(path)
    with opened(path) as file:
        refuse_others(file, path, ("SPL4SMGP",))
        group = file.get(GROUP, {})
        maps: list[Any] = []
        factors: list[tuple[str, Unit]] = []
        for name in names:
            if name not in group:
                raise DataError(
                    f"'{path}' has no dataset {GROUP}/{name}.", hint="Expected SPL4SMGP (gph) with this dataset."
                )
            data = group[name]
            axes = frame(maps[0] if maps else data) if has_numbers(data) else ((), None)
            if not has_numbers(data) or len(plane(data)) != 2 or swapped(data, axes) is None:
                size = axes[0] if len(axes[0]) == 2 else EASE2_M09.shape_global
                raise DataError(
                    f"'{path}': {GROUP}/{name} is {getattr(data, 'dtype', 'a group')} of shape "
                    f"{getattr(data, 'shape', ())}, expected floats of {size}.",
                    hint="Use the file as it was downloaded.",
                )
            factors.append((name, unit_in(data, name, path, units)))
            maps.append(data)
        if not maps:
            return Step(str(path), EASE2_M09)
        placed = place(collect(file, [(maps[0], "")], path), [EASE2_M09], shape(maps[0]), f"'{path}'")
        return Step(str(path), placed.window, None if placed.plain else placed, frame(maps[0]), tuple(factors))


def _values(step: Step, file: Any, name: str, grid: Grid) -> np.ndarray:
    data, unit = file[GROUP][name], dict(step.units)[name]
    if step.place is None and not is_turned(data, step.frame):
        return unit.convert(standard(data, window(data, grid), "f").astype("f4"))
    return unit.convert(cut(standard(data, upright(data, step.frame), "f").astype("f4"), step.place, grid))


def read_day(day: Day, names: Sequence[str], grid: Grid, min_steps: int, on_error: str) -> np.ndarray:
    """Average the files of one day: float32 (variable, row, column), NaN where a cell has too few values."""
    total = np.zeros((len(names), *grid.shape))
    count = np.zeros(total.shape, int)
    for step in day[1]:
        path = step.path
        try:
            with opened(path) as file:
                stack = np.stack([_values(step, file, n, grid) for n in names])
            stack[stack == FILL] = np.nan
            for values, name in zip(stack, names, strict=True):
                check_bulk(values, name, "m3 m-3", f"'{path}'")
        except DataError as error:
            if on_error == "raise":
                raise
            tell(SkippedFile(path, error))
            continue
        for values, name in zip(stack, names, strict=True):
            drop_impossible(values, name, Path(path).name)
        valid = np.isfinite(stack)
        total += np.where(valid, stack, 0)
        count += valid
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count >= min_steps).astype("f4")


def _look_all(request: Request, names: Sequence[str]) -> tuple[dict[np.datetime64, Step], list[str]]:
    time = request.time
    best: dict[np.datetime64, Step] = {}
    skipped = []
    for path in sorted(map(Path, request.paths), key=_rank):
        try:
            stamp = stamp_of(path)
            day = stamp.astype("M8[D]")
            early = time is not None and time.start is not None and day < np.datetime64(time.start, "D")
            late = time is not None and time.stop is not None and day > np.datetime64(time.stop, "D")
            if early or late:
                continue
            step = look(path, names, request.units)
        except DataError as error:
            if request.on_error == "raise":
                raise
            skipped.append(str(error))
            continue
        if stamp in best and _release(best[stamp].path) == _release(path):
            refuse_unlike(best[stamp].path, str(path))
        best[stamp] = step
    if silent := sorted({unit.silent for step in best.values() for _, unit in step.units if unit.silent}):
        tell(f"SPL4SMGP files give no units for {', '.join(silent)}; by their values they are in those of the product.")
    return best, skipped


def _window(steps: Iterable[Step], request: Request) -> Grid:
    if request.region is not None:
        return request.region.grid
    grids = [s.grid for s in steps]
    return EASE2_M09.window(
        min(g.row0 for g in grids), max(g.row0 + g.rows for g in grids),
        min(g.col0 for g in grids), max(g.col0 + g.cols for g in grids),
    )  # fmt: skip


def _release(path: str | Path) -> tuple[str, str]:
    match = NAME.match(Path(path).name)
    return (match["version"], match["counter"]) if match else ("", "")


def _rank(path: Path) -> tuple[str, ...]:
    return (*_release(path), path.name)


def _lazy(files: Sequence[Day], names: Sequence[str], grid: Grid, min_steps: int, on_error: str) -> Any:
    import dask.array as da

    blocks = np.empty(len(files), object)
    blocks[:] = files
    return da.map_blocks(
        lambda block: read_day(block[0], names, grid, min_steps, on_error)[None],
        da.from_array(blocks, chunks=1, name=False), dtype="f4", meta=np.empty((0, 0, 0, 0), "f4"), new_axis=[1, 2, 3],
        chunks=((1,) * len(files), (len(names),), (grid.rows,), (grid.cols,)),
    )  # fmt: skip


def _incomplete(files: Sequence[Day], min_steps: int) -> str:
    short = [(day, len(paths)) for day, paths in files if len(paths) < STEPS]
    if short:
        missing = sum(n < min_steps for _, n in short)
        tell(
            f"{len(short)} of {len(files)} days have fewer than {STEPS} files; the {missing} days with fewer than "
            f"{min_steps} are left empty."
        )
    return ", ".join(f"{day} ({n})" for day, n in short)


def _synthetic(path: str) -> str:
    with opened(path) as file:
        value = file.attrs.get("synthetic", "")
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _names(variables: Sequence[str] | None) -> list[str]:
    for name in variables or ():
        if name not in L4_INFO.variables:
            raise UsageError(f"SPL4SMGP has no variable '{name}'.", hint=f"It has: {', '.join(L4_INFO.variables)}.")
    return list(dict.fromkeys(variables or L4_INFO.variables))
