"""Open files of a product through its data source."""

from __future__ import annotations

import glob
import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import xarray as xr

from xsm.contracts.operation import Kind, Param, operation
from xsm.contracts.registry import get_source
from xsm.contracts.source import Area, DataSource, SourceInfo, make_request
from xsm.data.cf import add_history
from xsm.data.families import declared
from xsm.data.grids import EASE2_M09, Grid
from xsm.data.period import days
from xsm.data.region import REGIONS
from xsm.data.skipped import day_in, listen, settled, tell_skipped
from xsm.errors import DataError, render_hint, tell

log = logging.getLogger("xsm")
LARGE = 1 << 30
"""Bytes that somebody may not have meant to read."""
MARGIN = 32
"""Cells read beyond a region by default: half of the larger patch."""
WIDEST = 512
"""Cells beyond a region that some patch could need."""


@operation(title="Open a product", group="Data", accessor=False)
def open(
    source: Annotated[str, Param("Data source; `xsm sources` lists them.")],
    paths: Annotated[Any, Param("Files, folders or patterns such as 'SMAP/*.h5'.", kind=Kind.PATHS)],
    *,
    region: Annotated[
        Any,
        Param(
            "Name ('conus'), west,south,east,north in degrees or a GeoJSON file; all that the files hold if not given.",
            kind=Kind.REGION,
            choices=tuple(REGIONS),
        ),
    ] = None,
    time: Annotated[
        slice | None, Param("Period, both days included: '2018-01-01/2018-12-31'.", kind=Kind.PERIOD)
    ] = None,
    variables: Annotated[tuple[str, ...] | None, Param("Canonical names; all of the source where not given.")] = None,
    margin: Annotated[
        int,
        Param(
            "Cells read beyond the region, so that patches at its edge are whole.",
            minimum=0,
            maximum=WIDEST,
            advanced=True,
        ),
    ] = MARGIN,
    on_error: Annotated[
        Literal["raise", "skip"], Param("What a file that cannot be read does.", advanced=True)
    ] = "raise",
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
        What to read; see `xsm.data.grids.Grid.region`. Without one, more than `LARGE` bytes are told in the log.
    time : slice, optional
        First and last UTC day.
    variables : sequence of str, optional
        Canonical variables to read.
    margin : int
        Cells of 9 km read beyond the region; ``estimate`` trims them (the attribute ``xsm_region`` remembers the
        region).
    on_error : {"raise", "skip"}
        Stop at a file that cannot be read, or leave it out: its values are missing, and its day stays in ``time``
        where its name tells it. The attribute ``skipped``, a list of str, tells all that was left out at opening,
        warnings the first ten. Values
        are read later, so damage inside a file may show only then: a warning names it, and `xsm.io.files.write` and
        ``xsm open`` add it to ``skipped`` of the file that they write. ``xsm run`` lists both and counts them for each
        day in ``files_left_out``.
    **options
        Options of the source; see ``xsm sources``.

    Returns
    -------
    xarray.Dataset
        On the product's native grid; dims ``(time, y, x)``, ``(soil_depth, y, x)`` or ``(sensor, time)``.

    Raises
    ------
    UsageError
        For a source, variable or option that is not known.
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
    found, period = expand(paths, plugin, skip=on_error == "skip"), None if time is None else days(time)
    request = make_request(
        plugin.info, found, region=area, time=period, variables=variables, on_error=on_error, **options
    )
    with listen(thread=True):
        try:
            ds = plugin.open(request)
        except DataError as error:
            error.message += other_days(found, period)
            raise
        ds = declared(settled(ds, found, period), plugin.info.families, plugin.info.roles)
        tell_skipped(ds, found)
    if region is None and ds.nbytes > LARGE:
        tell(render_hint(f"All cells are read, {ds.nbytes / 1e9:.1f} GB: give <region=> to read less."))
    if region is not None and not plugin.info.stations:
        ds.attrs["xsm_region"] = f"{window.row0} {window.row0 + window.rows} {window.col0} {window.col0 + window.cols}"
    how = {
        "variables": None if variables is None else " ".join(variables),
        "margin": None if margin == MARGIN else margin,
        "on_error": None if on_error == "raise" else on_error,
    }
    return add_history(ds, "open", source=source, region=region, time=time, **(told_files(found) | how | options))


def expand(paths: Any, source: DataSource, *, skip: bool = False) -> list[Path]:
    """Turn files, folders and patterns into a list of files; URLs stay as they are; nothing found is an error.

    With ``skip`` a folder without files of the source is left out, with a warning, where others have some.
    """
    found: list[Any] = []
    empty: list[DataError] = []
    given = [paths] if isinstance(paths, str | Path) or not isinstance(paths, Sequence) else list(paths)
    for item in given:
        if isinstance(item, str) and "://" in item:
            found.append(item)
            continue
        path = Path(item).expanduser()
        matches = [path] if path.exists() else [Path(m) for m in sorted(glob.glob(str(path), recursive=True))]
        if not matches:
            raise DataError(f"'{item}' does not exist.", hint="Give a file, a folder or a pattern that matches files.")
        files: list[Path] = []
        for match in matches:
            inside = _inside(match, source) if match.is_dir() else [match]
            if not inside:
                told = f"'{match}' holds no file of source '{source.info.name}'."
                empty.append(DataError(told, hint=source.info.title + "."))
            files += inside
        found += dict.fromkeys(files)  # '**' gives a folder and what lies in it
    if empty and not (skip and found):
        raise empty[0]
    for error in empty:
        tell(f"{error.message.rstrip('.')} and is left out.")
    return found


def _inside(folder: Path, source: DataSource) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if not p.is_dir() and source.identify(p))


def other_days(paths: Sequence[Any], period: slice | None) -> str:
    """A sentence about the days that the names of files tell, where none of them is near the period."""
    told = [day_in(Path(str(p)).name) for p in paths]
    known = sorted(day for day in told if day is not None)
    if period is None or len(known) < len(told) or not known:
        return ""
    near = [
        (period.start is None or day >= period.start - 1) and (period.stop is None or day <= period.stop + 1)
        for day in known
    ]
    return "" if any(near) else f" The names of the files tell the days {known[0]} to {known[-1]}."


def told_files(found: Sequence[Any]) -> dict[str, str]:
    """Files in a few words for the history: number, first and last name, and a hash of all names and sizes."""
    known = sorted((Path(str(f)).name, size_of(f)) for f in found)
    told = known[0][0] if len(known) == 1 else f"{len(known)} from {known[0][0]}"
    last = {"to": known[-1][0]} if len(known) > 1 else {}
    return {"files": told, **last, "files_hash": hashlib.sha256(repr(known).encode()).hexdigest()[:16]}


def size_of(path: Any) -> int:
    """Bytes of a file; 0 of what is none or cannot be looked at."""
    try:
        return path.stat().st_size if isinstance(path, Path) and path.is_file() else 0
    except OSError:
        return 0


def area_of(info: SourceInfo, window: Grid, margin: int = MARGIN) -> Area:
    """What a source is asked for when a window is wanted: maps with a margin, stations without."""
    wide = window if info.stations else window.grow(margin)
    return Area(wide.bbox, wide)
