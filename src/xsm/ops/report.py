"""A report of soil moisture maps: maps, gaps, series and scores as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import xarray as xr

from xsm.contracts.operation import Kind, Param, operation
from xsm.data.roles import with_roles
from xsm.ops.cube import Roles
from xsm.reporting.report import write_report


@operation(title="Write a report", group="Validation", result=Kind.PATH)
def report(
    ds: Annotated[xr.Dataset, Param("Estimates, or gap-filled maps.")],
    output: Annotated[Path, Param("HTML file to write.", label="Report")],
    *,
    cube: Annotated[xr.Dataset | None, Param("Cube behind the maps: retrieval, land model, rain, soil.")] = None,
    stations: Annotated[xr.Dataset | None, Param("Stations to score the maps against.", kind=Kind.STATIONS)] = None,
    sites: Annotated[tuple[str, ...], Param("Stations whose series are shown; by default three typical ones.")] = (),
    title: Annotated[str, Param("Title of the report.")] = "Soil moisture",
    overwrite: Annotated[bool, Param("Replace an existing report.", advanced=True)] = False,
    roles: Roles = None,
) -> Path:
    """Write one self-contained HTML report of soil moisture maps.

    It shows the maps and their uncertainty, where and when observations are missing, series at stations or cells, the
    scores of Tables 1 and 3 and Figures 2 to 7 of Rabiei et al. (2024), also by kind of day, whether the uncertainty is
    right, how good gap filling is by the length of the gap, and where everything came from.
    What the data do not allow is left out with the reason. Means and counts are computed block by block.

    Parameters
    ----------
    ds : xarray.Dataset
        Daily maps with dims ``(time, y, x)``: estimates (``sm_5cm``, ``sm_25cm_s2``, ...; m3 m-3) with ``_std``, or
        gap-filled variables with ``_std`` and ``_observed``.
    output : Path
        File to write. The figures are also written as PNG and SVG files into the folder ``figures`` beside it.
    cube : xarray.Dataset, optional
        Adds what has a role (retrieval, land model, comparison), ``precipitation``, ``frozen``, soil maps and land
        cover, on the same grid.
    stations : xarray.Dataset, optional
        ``soil_moisture(sensor, time)`` (documentation: Decisions, "Stations").
    sites : sequence of str
        Names of the stations whose series are shown; by default those of the highest, median and lowest R.
    title : str
        Title of the page.
    overwrite : bool
        Replace an existing file.
    roles : mapping of str to str, optional
        Variables that hold a role where several could, or none says so: ``{"model_surface": "swvl1"}``; see
        `xsm.data.roles`. They are those of the cube where one is given.

    Returns
    -------
    Path
        The HTML file.

    Raises
    ------
    DataError
        Where the maps contain neither estimates nor gap-filled variables.
    UsageError
        Where the output exists already.

    Examples
    --------
    >>> import xsm
    >>> filled = xsm.example("smap").sm.gapfill_cru()  # doctest: +SKIP
    >>> filled.sm.report("report.html")  # doctest: +SKIP
    """
    ds, cube = (with_roles(ds, roles), None) if cube is None else (ds, with_roles(cube, roles))
    return write_report(ds, output, cube=cube, stations=stations, sites=sites, title=title, overwrite=overwrite)
