"""Figures and films of maps, and figures of series, one at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import xarray as xr

from xsm.contracts.operation import Kind, Param, operation
from xsm.reporting import single_figures, single_maps

Maps = Annotated[xr.Dataset, Param("Estimates, or gap-filled maps.", label="Maps")]
Cube = Annotated[xr.Dataset | None, Param("Cube behind the maps: land model, rain, soil, land cover.")]
Stations = Annotated[xr.Dataset, Param("Stations to score the maps against.", kind=Kind.STATIONS)]

Vmin = Annotated[float | None, Param("Lower end of the colour scale.", label="Lower end", advanced=True)]
Vmax = Annotated[float | None, Param("Upper end of the colour scale.", label="Upper end", advanced=True)]
Robust = Annotated[bool, Param("Leave the outermost percent of the values out of the scale.", advanced=True)]


@operation(title="Plot a map", group="Plots", result=Kind.FIGURE, analyst=False)
def plot_map(
    ds: Maps,
    *,
    variable: Annotated[str | None, Param("What to draw; by default the best surface soil moisture.")] = None,
    day: Annotated[str | None, Param("Day to draw (2022-07-01); by default what all days have in common.")] = None,
    how: Annotated[
        Literal["mean", "median", "min", "max", "std", "count"],
        Param("What is shown of all days; count is the number of days with a value.", label="All days"),
    ] = "mean",
    title: Annotated[str | None, Param("Title of the figure; by default variable and days.")] = None,
    vmin: Vmin = None,
    vmax: Vmax = None,
    robust: Robust = True,
) -> Any:
    """Draw a map of one day, or the mean of all days, with coast and borders.

    The map is in the CRS of the data, with degrees at its edges. Cells without a value are grey, which no colour scale
    contains. Every product of soil moisture has the same colours, from light (dry) to dark (wet).

    Parameters
    ----------
    ds : xarray.Dataset
        Maps with dims ``(time, y, x)`` or ``(time, lat, lon)``.
    variable : str, optional
        Name of a variable, ``_std`` included; of soil maps the uppermost depth is drawn.
    day : str, optional
        A day of the maps.
    how : {"mean", "median", "min", "max", "std", "count"}
        What is shown of many days; ``count`` is the number of days with a value.
    title : str, optional
        Title of the figure; by default the variable in words, and its day or period.
    vmin, vmax : float, optional
        Ends of the colour scale, in the unit of the variable.
    robust : bool
        Whether the scale leaves out the lowest and the highest percent of the values; arrows at its ends say so.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    DataError
        For data that are not maps.
    UsageError
        For an unknown variable or a day outside the maps.

    Examples
    --------
    >>> import xsm
    >>> xsm.example("cube", size=16, days=20).sm.plot_map(variable="sm_noah_0_10").axes[0].get_title(loc="left")
    'Noah 0-10 cm: mean, 2021-04-01 to 2021-04-20'
    """
    return single_maps.one_map(ds, variable, day, how, title, vmin, vmax, robust)


@operation(title="Make a film of maps", group="Plots", result=Kind.PATH, analyst=False)
def plot_animation(
    ds: Maps,
    output: Annotated[Path, Param("GIF or MP4 file to write; MP4 needs ffmpeg.")],
    *,
    variable: Annotated[str | None, Param("What to draw; by default the best surface soil moisture.")] = None,
    every: Annotated[int, Param("Show each day (1), each second day (2), ...", minimum=1)] = 1,
    fps: Annotated[float, Param("Maps per second.", minimum=0.1, maximum=60)] = 6.0,
    vmin: Vmin = None,
    vmax: Vmax = None,
    robust: Robust = True,
    overwrite: Annotated[bool, Param("Replace an existing file.", advanced=True)] = False,
) -> Path:
    """Write a film of the daily maps as GIF or MP4, all days on one colour scale.

    Days are read some at a time, so that a film of years needs little memory.

    Parameters
    ----------
    ds : xarray.Dataset
        Maps with dims ``(time, y, x)`` or ``(time, lat, lon)``; cut the days before, with ``ds.sel(time=...)``.
    output : Path
        File to write; its ending, ``.gif`` or ``.mp4``, says which.
    variable : str, optional
        Name of a variable, ``_std`` included.
    every : int
        Step in days.
    fps : float
        Maps per second.
    vmin, vmax : float, optional
        Ends of the colour scale, in the unit of the variable.
    robust : bool
        Whether the scale leaves out the lowest and the highest percent of the values.
    overwrite : bool
        Replace an existing file.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    DataError
        For data that are not daily maps.
    UsageError
        For another ending, for MP4 where ffmpeg is not installed, or where the output exists already.

    Examples
    --------
    >>> import xsm
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     cube = xsm.example("cube", size=16, days=8)
    ...     film = cube.sm.plot_animation(f"{folder}/noah.gif", variable="sm_noah_0_10")
    ...     film.name
    'noah.gif'
    """
    return single_maps.film(ds, output, variable, every, fps, vmin, vmax, robust, overwrite)


@operation(title="Plot soil texture", group="Plots", result=Kind.FIGURE, analyst=False)
def plot_texture(
    ds: Annotated[xr.Dataset, Param("Soil maps (sand, silt and clay), or texture.")],
    *,
    stations: Annotated[xr.Dataset | None, Param("Stations to show.", kind=Kind.STATIONS)] = None,
) -> Any:
    """Draw the USDA texture classes of the upper soil with the stations (Figure 2 of Rabiei et al., 2024).

    Parameters
    ----------
    ds : xarray.Dataset
        ``sand``, ``silt`` and ``clay``, or ``texture``.
    stations : xarray.Dataset, optional
        Stations in the window are marked by network.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    DataError
        Where there are no soil maps.

    Examples
    --------
    >>> import xsm
    >>> cube = xsm.example("cube", size=16, days=20)
    >>> figure = cube.sm.plot_texture(stations=xsm.example("stations", size=16, days=20))
    """
    return single_figures.texture(ds, stations)


@operation(title="Plot data availability", group="Plots", result=Kind.FIGURE, analyst=False)
def plot_availability(ds: Annotated[xr.Dataset, Param("Observed or gap-filled maps.", label="Maps")]) -> Any:
    """Draw the share of observed cells per day.

    Parameters
    ----------
    ds : xarray.Dataset
        Maps with gaps, or gap-filled ones with ``_observed``.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    DataError
        Where no variable shows what was observed.

    Examples
    --------
    >>> import xsm
    >>> figure = xsm.example("smap", size=16, days=20).sm.plot_availability()
    """
    return single_figures.availability(ds)


@operation(title="Plot time series", group="Plots", result=Kind.FIGURE, analyst=False)
def plot_series(
    ds: Maps,
    stations: Annotated[xr.Dataset | None, Param("Stations to show.", kind=Kind.STATIONS)] = None,
    station: Annotated[str | None, Param("Station to show; by default the first one.")] = None,
    *,
    cube: Cube = None,
) -> Any:
    """Draw both scenarios, land model, station, precipitation and distributions (Figure 7 of Rabiei et al., 2024).

    Parameters
    ----------
    ds : xarray.Dataset
        Estimates or gap-filled maps.
    stations : xarray.Dataset, optional
        ``soil_moisture(sensor, time)``; without stations the cell with most observations is shown.
    station : str, optional
        Name of a station.
    cube : xarray.Dataset, optional
        Adds land model, precipitation, the observed retrieval and frozen days.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    DataError
        Where no station lies in the maps and no cell has a value.
    UsageError
        For an unknown station.

    Examples
    --------
    >>> import xsm
    >>> cube, stations, truth = (xsm.example(n, size=16, days=20) for n in ("cube", "stations", "truth"))
    >>> figure = truth[["sm_5cm"]].sm.plot_series(stations, cube=cube)
    """
    return single_figures.series(ds, stations, station, cube)
