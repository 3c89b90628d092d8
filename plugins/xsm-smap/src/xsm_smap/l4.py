"""The source ``smap_l4``: SPL4SMGP, the 3-hourly Level-4 analysis, as daily means; a product to compare with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from xsm import EASE2_M09, DataError, Grid, SkippedFile, UsageError
from xsm.plugin_api import Request, canonical_attrs, drop_impossible, tell

from xsm_smap import L4_INFO
from xsm_smap.layout import FILL, GROUP, STEPS
from xsm_smap.read import check_magic, is_plain, opened, window

if TYPE_CHECKING:
    from xsm.twin import World

NAME = re.compile(
    r"^SMAP_L4_SM_gph_(?P<date>\d{8})T(?P<clock>\d{4})\d{2}_V(?P<version>[A-Za-z]+\d{4})_(?P<counter>\d{3})(?:_.+)?\.h5$"
)

Day = tuple[np.datetime64, tuple[str, ...]]
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
        """By the name."""
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
        grid = EASE2_M09 if request.region is None else request.region.grid
        days_of_files = sorted({s.astype("M8[D]") for s in by_stamp})
        first = days_of_files[0] if time is None or time.start is None else np.datetime64(time.start, "D")
        last = days_of_files[-1] if time is None or time.stop is None else np.datetime64(time.stop, "D")
        days = np.arange(first, last + 1)
        files: list[Day] = [
            (d, tuple(str(by_stamp[s]) for s in sorted(by_stamp) if s.astype("M8[D]") == d)) for d in days
        ]
        arrays = _lazy(files, names, grid, min_steps, request.on_error)
        stamps = {"standard_name": "time", "long_name": "UTC day", "axis": "T"}
        ds = xr.Dataset(
            {n: (("time", "y", "x"), arrays[:, i], {**canonical_attrs(n), "cell_methods": "time: mean"})
             for i, n in enumerate(names)},
            {"time": ("time", days.astype("M8[ns]"), stamps)},
        )  # fmt: skip
        attrs = {
            "title": "SMAP Level 4 soil moisture, daily means",
            "product": "SPL4SMGP",
            "product_version": ", ".join(
                sorted({m["version"] for p in by_stamp.values() if (m := NAME.match(p.name))})
            ),
            "daily_rule": f"mean of the 3-hourly values of the UTC day, at least {min_steps} of {STEPS}",
            "incomplete_days": _incomplete(files, min_steps),
            "skipped": skipped,
            "synthetic": _synthetic(next(iter(by_stamp.values()))),
        }
        return grid.assign(ds).assign_attrs({k: v for k, v in attrs.items() if v})

    def write(self, world: World, dest: Path) -> list[Path]:
        """Write a synthetic world's land model as SPL4SMGP files, see `xsm_smap.write_l4.write`."""
        from xsm_smap.write_l4 import write

        return write(world, dest)


def stamp_of(path: Path) -> np.datetime64:
    """Stamp in the name of a file."""
    match = NAME.match(path.name)
    if match is None:
        raise DataError(
            f"The name of '{path}' does not contain its time.", hint="Keep names as SMAP_L4_SM_gph_<date>T<time>_...h5."
        )
    date, clock = match["date"], match["clock"]
    try:
        return np.datetime64(f"{date[:4]}-{date[4:6]}-{date[6:]}T{clock[:2]}:{clock[2:]}", "m")
    except ValueError:
        raise DataError(f"The name of '{path}' contains no date.", hint="Keep the product's names.") from None


def look(path: Path, names: Sequence[str]) -> None:
    """Check that a file contains the variables on the global 9 km grid."""
    check_magic(path)
    with opened(path) as file:
        group = file.get(GROUP, {})
        for name in names:
            if name not in group:
                raise DataError(
                    f"'{path}' has no dataset {GROUP}/{name}.", hint="Expected a complete SPL4SMGP (gph) file."
                )
            shape = group[name].shape
            if shape != EASE2_M09.shape_global or not is_plain(group[name], "f"):
                raise DataError(
                    f"'{path}': {GROUP}/{name} is {group[name].dtype} of shape {shape}, expected floats of "
                    f"{EASE2_M09.shape_global}.",
                    hint="Use the whole granule.",
                )


def read_day(day: Day, names: Sequence[str], grid: Grid, min_steps: int, on_error: str) -> np.ndarray:
    """Average the files of one day: float32 (variable, row, column), NaN where a cell has too few values."""
    total = np.zeros((len(names), *grid.shape))
    count = np.zeros(total.shape, int)
    for path in day[1]:
        try:
            with opened(path) as file:
                fields = np.stack([window(file[GROUP][n], grid).astype("f4") for n in names])
        except DataError as error:
            if on_error == "raise":
                raise
            tell(SkippedFile(path, error))
            continue
        fields[fields == FILL] = np.nan
        for values, name in zip(fields, names, strict=True):
            drop_impossible(values, name, Path(path).name)
        valid = np.isfinite(fields)
        total += np.where(valid, fields, 0)
        count += valid
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count >= min_steps).astype("f4")


def _look_all(request: Request, names: Sequence[str]) -> tuple[dict[np.datetime64, Path], list[str]]:
    time = request.time
    best: dict[np.datetime64, Path] = {}
    skipped = []
    for path in sorted(map(Path, request.paths), key=_rank):
        try:
            stamp = stamp_of(path)
            day = stamp.astype("M8[D]")
            early = time is not None and time.start is not None and day < np.datetime64(time.start, "D")
            late = time is not None and time.stop is not None and day > np.datetime64(time.stop, "D")
            if early or late:
                continue
            look(path, names)
        except DataError as error:
            if request.on_error == "raise":
                raise
            skipped.append(str(error))
            continue
        best[stamp] = path
    return best, skipped


def _rank(path: Path) -> tuple[str, str]:
    match = NAME.match(path.name)
    return (match["version"], match["counter"]) if match else ("", path.name)


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
            f"{len(short)} of {len(files)} days have fewer than {STEPS} files; {missing} with fewer than {min_steps} "
            "are missing."
        )
    return ", ".join(f"{day} ({n})" for day, n in short)


def _synthetic(path: Path) -> str:
    with opened(path) as file:
        value = file.attrs.get("synthetic", "")
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _names(variables: Sequence[str] | None) -> list[str]:
    for name in variables or ():
        if name not in L4_INFO.variables:
            raise UsageError(f"SPL4SMGP has no variable '{name}'.", hint=f"It has: {', '.join(L4_INFO.variables)}.")
    return list(dict.fromkeys(variables or L4_INFO.variables))
