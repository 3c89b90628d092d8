"""Open files of a product through its data source."""

from __future__ import annotations

import glob
import hashlib
import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import xarray as xr

from xsm.contracts.operation import Kind, Param, operation
from xsm.contracts.registry import get_source
from xsm.contracts.source import Area, DataSource, Request, SourceInfo, make_request
from xsm.data.cf import VARIABLES, add_history
from xsm.data.families import declared
from xsm.data.grids import EASE2_M09, Grid
from xsm.data.period import days
from xsm.data.plausible import watched
from xsm.data.region import REGIONS
from xsm.data.skipped import day_in, listen, settled, tell_skipped
from xsm.data.units import Stated
from xsm.errors import DataError, UsageError, render_hint, tell, unknown

log = logging.getLogger("xsm")
LARGE = 1 << 30
"""Bytes that are likely more than the user meant to read."""
MARGIN = 32
"""Cells read beyond a region by default: half of the larger patch of a model."""
WIDEST = 512
"""Most cells that any patch needs beyond a region."""


@operation(title="Open a product", group="Data", accessor=False)
def open(
    source: Annotated[str, Param("Data source; `xsm sources` lists them.")],
    paths: Annotated[Any, Param("Files, folders or patterns such as 'SMAP/*.h5'.", kind=Kind.PATHS)],
    *,
    region: Annotated[
        Any,
        Param(
            "Name ('conus'), west,south,east,north in degrees or a GeoJSON file; all of the files if omitted.",
            kind=Kind.REGION,
            choices=tuple(REGIONS),
        ),
    ] = None,
    time: Annotated[
        slice | None, Param("Period, both days included: '2018-01-01/2018-12-31'.", kind=Kind.PERIOD)
    ] = None,
    variables: Annotated[tuple[str, ...] | None, Param("Canonical names; all of the source if omitted.")] = None,
    margin: Annotated[
        int,
        Param(
            "Cells read beyond the region, so that patches at its edge are complete.",
            minimum=0,
            maximum=WIDEST,
            advanced=True,
        ),
    ] = MARGIN,
    on_error: Annotated[
        Literal["raise", "skip"], Param("Stop at a file that cannot be read, or leave it out.", advanced=True)
    ] = "raise",
    units: Annotated[
        Any,
        Param(
            "Units of variables whose files tell none: 'SoilM_0_10cm=kg m-2; Rainf=mm'.",
            kind=Kind.MAPPING,
            advanced=True,
        ),
    ] = None,
    **options: Any,
) -> xr.Dataset:
    r"""Open files of a product as one lazy dataset with canonical names, units and days.

    Parameters
    ----------
    source : str
        Name of a registered data source, for example ``"smap"``.
    paths : str, Path or sequence of them
        Files, folders (searched for files of the product) or glob patterns.
    region : str, sequence of float, geometry, Path of GeoJSON or Grid, optional
        What to read, as for `xsm.Grid.region`; everything by default, with a warning where that is more than 1 GB.
    time : slice, optional
        First and last UTC day.
    variables : sequence of str, optional
        Canonical variables to read.
    margin : int
        Cells of 9 km read beyond the region; ``estimate`` trims them (the attribute ``xsm_region`` records the
        region).
    on_error : {"raise", "skip"}
        Stop at a file that cannot be read, or leave it out: its values are missing, and its day stays in ``time``
        if its name contains one. The attribute ``skipped``, a list of str, names every file left out at opening,
        warnings name the first ten. Values are read later, so damage inside a file may show only then: a warning names
        the file, and ``xsm open`` adds it to ``skipped`` of the file that it writes. ``xsm run`` lists both and counts
        them for each day in ``files_left_out``.
    units : mapping of str to str, optional
        Units of variables, by their names in the files or canonical names, where the files tell none. A unit that
        contradicts a file's own stops.
    **options
        Options of the source; see ``xsm sources``.

    Returns
    -------
    xarray.Dataset
        On the product's native grid; dims ``(time, y, x)``, ``(soil_depth, y, x)`` or ``(sensor, time)``.

    Raises
    ------
    UsageError
        For an unknown source, variable or option.
    DataError
        For files that are missing or cannot be read.

    Examples
    --------
    >>> import xsm
    >>> from pathlib import Path
    >>> rows = ["date,lon,lat,soil_moisture", "2021-06-01,-98,36,0.2", "2021-06-03,-98,36,0.3"]
    >>> _ = Path("points.csv").write_text("\n".join(rows))
    >>> xsm.open("tiny", "points.csv")["soil_moisture"].values.round(2).ravel()
    array([0.2, nan, 0.3], dtype=float32)
    """
    plugin = get_source(source)
    area = None
    if region is not None:
        window = EASE2_M09.region(region)
        area = area_of(plugin.info, window, margin)
    files, period = expand(paths, plugin, skip=on_error == "skip"), None if time is None else days(time)
    request = make_request(
        plugin.info, files, region=area, time=period, variables=variables, on_error=on_error, units=units, **options
    )
    with listen(thread=True):
        try:
            ds = plugin.open(request)
        except DataError as error:
            error.message += other_days(files, period)
            raise
        check_stated(request, source)
        ds = plausible(settled(ds, files, period), source, skip=on_error == "skip")
        ds = declared(ds, plugin.info.families, plugin.info.roles)
        tell_skipped(ds, files)
    if region is None and ds.nbytes > LARGE:
        tell(render_hint(f"All cells are read, {ds.nbytes / 1e9:.1f} GB: give <region=> to read less."))
    if region is not None and not plugin.info.stations:
        ds.attrs["xsm_region"] = f"{window.row0} {window.row0 + window.rows} {window.col0} {window.col0 + window.cols}"
    how = {
        "variables": None if variables is None else " ".join(variables),
        "margin": None if margin == MARGIN else margin,
        "on_error": None if on_error == "raise" else on_error,
        "units": "; ".join(f"{name}={unit}" for name, unit in (units or {}).items()) or None,
    }
    return add_history(ds, "open", source=source, region=region, time=time, **(in_history(files) | how | options))


def check_stated(request: Request, source: str) -> None:
    """Stop where the user states the unit of a variable that the source did not look for."""
    stated = request.units
    looked_up = stated.looked_up if isinstance(stated, Stated) else set(stated)
    for name in stated:
        if not looked_up:
            raise UsageError(
                f"The source '{source}' reads every unit from its files and takes none from units=.",
                hint=f"Leave '{name}' out of <units=>.",
            )
        if name not in looked_up:
            raise unknown("variable in units=", name, looked_up)


def plausible(ds: xr.Dataset, source: str, *, skip: bool) -> xr.Dataset:
    """Check by their distribution that values can be in the unit of their quantity; lazy ones when they are read."""
    checked = {}
    for name, variable in ds.data_vars.items():
        spec = VARIABLES.get("soil_temperature_0_10" if name == "soil_temperature" else str(name))
        if spec is not None and spec.kind == "continuous" and variable.dtype.kind == "f":
            checked[name] = watched(variable.variable, str(name), spec.units, f"source '{source}'", skip=skip)
    return ds.assign(checked)


def expand(paths: Any, source: DataSource, *, skip: bool = False) -> list[Path]:
    """Turn files, folders and patterns into a list of files; URLs stay as they are; no file is an error.

    With ``skip`` a folder without files of the source is left out, with a warning, if others have some.
    """
    files: list[Any] = []
    empty: list[DataError] = []
    for item in [paths] if isinstance(paths, str | Path) or not isinstance(paths, Sequence) else paths:
        if isinstance(item, str) and "://" in item:
            files.append(item)
            continue
        path = Path(item).expanduser()
        matches = [path] if path.exists() else _matches(path)
        if not matches:
            raise DataError(f"'{item}' does not exist.", hint="Give a file, a folder or a pattern that matches files.")
        matching: list[Path] = []
        for match in matches:
            inside = _inside(match, source) if match.is_dir() else [match]
            if not inside:
                problem = f"'{match}' contains no file of source '{source.info.name}'."
                empty.append(DataError(problem, hint=source.info.title + "."))
            matching += inside
        files += dict.fromkeys(matching)  # '**' gives a folder and what lies in it
    if empty and not (skip and files):
        raise empty[0]
    for error in empty:
        tell(f"{error.message.rstrip('.')} and is left out.")
    return files


def _matches(pattern: Path) -> list[Path]:
    """Files that match a pattern; brackets in the name of a folder that exists stand for themselves.

    Where nothing matches, all brackets stand for themselves.
    """
    there = next((p for p in pattern.parents if p.exists()), Path())
    rest = str(pattern.relative_to(there))
    for last in (rest, re.sub(r"\[", "[[]", rest)):
        if files := sorted(glob.glob(os.path.join(glob.escape(str(there)), last), recursive=True)):
            return [Path(f) for f in files]
    return []


def _inside(folder: Path, source: DataSource) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if not p.is_dir() and source.identify(p))


def other_days(paths: Sequence[Any], period: slice | None) -> str:
    """A sentence with the days in the names of files, if none of them is near the period."""
    dates = [day_in(Path(str(p)).name) for p in paths]
    known = sorted(day for day in dates if day is not None)
    if period is None or len(known) < len(dates) or not known:
        return ""
    near = [
        (period.start is None or day >= period.start - 1) and (period.stop is None or day <= period.stop + 1)
        for day in known
    ]
    return "" if any(near) else f" By their names the files are of {known[0]} to {known[-1]}."


def in_history(files: Sequence[Any]) -> dict[str, str]:
    """Files in a few words for the history: number, first and last name, and a hash of all names and sizes."""
    known = sorted((Path(str(f)).name, size_of(f)) for f in files)
    first = known[0][0] if len(known) == 1 else f"{len(known)} from {known[0][0]}"
    last = {"to": known[-1][0]} if len(known) > 1 else {}
    return {"files": first, **last, "files_hash": hashlib.sha256(repr(known).encode()).hexdigest()[:16]}


def size_of(path: Any) -> int:
    """Bytes of a file; 0 of anything else and of what cannot be accessed."""
    try:
        return path.stat().st_size if isinstance(path, Path) and path.is_file() else 0
    except OSError:
        return 0


def area_of(info: SourceInfo, window: Grid, margin: int = MARGIN) -> Area:
    """The area to request for a window: with a margin for maps, without one for stations."""
    wide = window if info.stations else window.grow(margin)
    return Area(wide.bbox, wide)
