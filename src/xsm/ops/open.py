"""Open files of a product through its data source."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import xarray as xr

from xsm.contracts.operation import Kind, Param, operation
from xsm.contracts.registry import get_source
from xsm.contracts.source import MARGIN, area_of, check_stated, make_request
from xsm.data.cf import add_history, check_maps
from xsm.data.grids import EASE2_M09
from xsm.data.period import days
from xsm.data.region import REGIONS
from xsm.data.roles import with_parts
from xsm.data.skipped import listen, settled, tell_skipped
from xsm.errors import DataError, render_hint, tell
from xsm.io.paths import expand, in_history, other_days

LARGE = 1 << 30
"""Bytes that are likely more than the user meant to read."""
WIDEST = 512
"""Most cells that any patch needs beyond a region."""


@operation(title="Open a product", group="Data", accessor=False)
def open(
    source: Annotated[str, Param("Data source; `xsm sources` lists them.")],
    paths: Annotated[Any, Param("Files, folders or patterns such as 'FOLDER/*.nc'.", kind=Kind.PATHS)],
    *,
    region: Annotated[
        Any,
        Param(
            "Name ('global'), west,south,east,north in degrees or a GeoJSON file; all of the files if omitted.",
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
            "Units of variables whose files have none: 'SoilM_0_10cm=kg m-2; Rainf=mm'.",
            kind=Kind.MAPPING,
            advanced=True,
        ),
    ] = None,
    **options: Any,
) -> xr.Dataset:
    r"""Open files of a product as one dataset with canonical names, units and days.

    Parameters
    ----------
    source : str
        Name of a registered data source; see `xsm.sources`.
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
        Units of variables, by their names in the files or canonical names, where the files have none. A unit that
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
        if not isinstance(ds, xr.Dataset):
            raise DataError(
                f"The source '{source}' returned a {type(ds).__name__}, expected an xarray.Dataset.",
                hint="Report it to the authors of its plugin.",
            )
        check_stated(request, source)
        ds = check_maps(settled(ds, files, period), source, skip=on_error == "skip")
        ds = with_parts(ds, plugin.info.parts)
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
