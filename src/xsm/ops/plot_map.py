"""Figures of maps and series, one at a time."""

from __future__ import annotations

from typing import Annotated, Any

import xarray as xr

from xsm.contracts.operation import Kind, Param, operation
from xsm.reporting import single_figures

Maps = Annotated[xr.Dataset, Param("Estimates, or gap-filled maps.", label="Maps")]
Cube = Annotated[xr.Dataset | None, Param("Cube behind the maps: land model, rain, soil, land cover.")]
Stations = Annotated[xr.Dataset, Param("Stations to score the maps against.", kind=Kind.STATIONS)]


@operation(title="Plot a map", group="Plots", result=Kind.FIGURE, analyst=False)
def plot_map(
    ds: Maps,
    *,
    variable: Annotated[str | None, Param("What to draw; by default the best surface soil moisture.")] = None,
    day: Annotated[str | None, Param("Day to draw (2022-07-01); by default the mean of all days.")] = None,
) -> Any:
    """Draw a map of one day or the mean of all days.

    Parameters
    ----------
    ds : xarray.Dataset
        Maps with dims ``(time, y, x)`` or ``(time, lat, lon)``.
    variable : str, optional
        Name of a variable, ``_std`` included; of soil maps the uppermost depth is drawn.
    day : str, optional
        A day of the maps.

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
    'Noah 0-10 cm: mean'
    """
    return single_figures.one_map(ds, variable, day)


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
    """Draw both scenarios, Noah, station, precipitation and distributions (Figure 7 of Rabiei et al., 2024).

    Parameters
    ----------
    ds : xarray.Dataset
        Estimates or gap-filled maps.
    stations : xarray.Dataset, optional
        ``soil_moisture(sensor, time)``; without stations the cell with most observations is shown.
    station : str, optional
        Name of a station.
    cube : xarray.Dataset, optional
        Adds Noah, precipitation, observed DCA and frozen days.

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
