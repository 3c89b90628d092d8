"""Figures of maps and series one by one, for notebooks and the shell."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import xarray as xr

from xsm.contracts.operation import Kind, Param, operation
from xsm.errors import DataError, UsageError, unknown

if TYPE_CHECKING:
    from matplotlib.figure import Figure


Maps = Annotated[xr.Dataset, Param("Estimates, or gap-filled maps.", label="Maps")]
Cube = Annotated[xr.Dataset | None, Param("Cube behind the maps: Noah, rain, soil, land cover.")]
Stations = Annotated[xr.Dataset, Param("Stations to score the maps against.", kind=Kind.STATIONS)]


@operation(title="Plot a map", group="Plots", result=Kind.FIGURE, analyst=False)
def plot_map(
    ds: Maps,
    *,
    variable: Annotated[str | None, Param("What to draw; the best surface soil moisture otherwise.")] = None,
    day: Annotated[str | None, Param("Day to draw (2022-07-01); the mean of all days otherwise.")] = None,
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
        For data that are no maps.
    UsageError
        For an unknown variable or a day outside the maps.

    Examples
    --------
    >>> import xsm
    >>> xsm.example("cube", size=16, days=20).sm.plot_map(variable="sm_noah_0_10").axes[0].get_title(loc="left")
    'Noah 0-10 cm: mean'
    """
    import numpy as np

    from xsm.data.period import day_of
    from xsm.io.styles import classes_of, style_of
    from xsm.reporting.gather import scene
    from xsm.reporting.maps import class_map, frame_of, value_maps
    from xsm.reporting.tables import label

    name = variable or scene(ds, None).best
    frame = frame_of(ds)
    if frame is None:
        raise DataError(f"The data are no maps (dims {dict(ds.sizes)}).", hint="Give dims (time, y, x).")
    shown = [str(n) for n, v in ds.variables.items() if v.ndim > 1]
    if name not in shown:
        raise unknown("variable", name, shown)
    values, title = ds[name], label(name)
    if "soil_depth" in values.dims:
        values = values.isel(soil_depth=0)
        title = f"{title}, {values['soil_depth'].item():g} cm"
    if day is not None and "time" in values.dims:
        wanted, days = day_of(day), values["time"].values.astype("M8[D]")
        if wanted not in days:
            raise UsageError(f"The maps ({days[0]} to {days[-1]}) have no day {day}.", hint="Choose another day.")
        values, title = values.isel(time=int(np.flatnonzero(days == wanted)[0])), f"{title}, {day}"
        if not bool(values.notnull().any()):
            raise DataError(
                f"'{name}' has no value on {day}.",
                hint="The first days of an estimate are its look-back; choose another day.",
            )
    classes = classes_of(name, ds[name].attrs)
    if "time" in values.dims:
        if classes:
            raise UsageError(f"'{name}' holds classes, which have no mean.", hint="Give a day.")
        values, title = values.mean("time"), f"{title}: mean"
    values = values.compute()
    if classes:
        return drawn(lambda: class_map(frame, values, title, classes))
    units = str(ds[name].attrs.get("units", ""))
    return drawn(lambda: value_maps(frame, {title: values}, style_of(name), units)[0])


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
    from xsm.reporting.gather import places, soil_maps
    from xsm.reporting.maps import frame_of, texture_map

    plain = ds.reset_coords([n for n in ("texture",) if n in ds.coords])
    frame, classes = frame_of(ds), soil_maps(plain)
    if frame is None or classes is None:
        raise DataError("The dataset has no soil maps.", hint="Give sand, silt and clay, or the result of texture.")
    sites = None if stations is None else places(ds, stations)
    return drawn(lambda: texture_map(frame, classes.compute(), sites))


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
        Where nothing tells what was observed.

    Examples
    --------
    >>> import xsm
    >>> figure = xsm.example("smap", size=16, days=20).sm.plot_availability()
    """
    from xsm.reporting import charts, gather
    from xsm.reporting.tables import label

    scene = gather.scene(ds, None)
    if not scene.watched:
        raise DataError("Nothing tells what was observed.", hint="Give maps with gaps, or those of gapfill.")
    share = gather.overview(scene)["share"].values
    return drawn(lambda: charts.availability(scene.days, share, label(scene.watched)))


@operation(title="Plot time series", group="Plots", result=Kind.FIGURE, analyst=False)
def plot_series(
    ds: Maps,
    stations: Annotated[xr.Dataset | None, Param("Stations to show.", kind=Kind.STATIONS)] = None,
    station: Annotated[str | None, Param("Station to show; the first one otherwise.")] = None,
    *,
    cube: Cube = None,
) -> Any:
    """Draw both scenarios, Noah, station, precipitation and distributions (Figure 7 of Rabiei et al., 2024).

    Parameters
    ----------
    ds : xarray.Dataset
        Estimates or gap-filled maps.
    stations : xarray.Dataset, optional
        ``soil_moisture(sensor, time)``; without it the cell with most observations is shown.
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
    from xsm.reporting import charts, gather

    scene = gather.scene(ds, cube)
    found = (
        gather.cell_series(scene, gather.overview(scene))
        if stations is None
        else gather.station_series(scene, stations)
    )
    names = [str(s) for s in found["station"].values] if "station" in found.coords else []
    if not names:
        raise DataError("No station lies in the maps and no cell has a value.", hint="Check region and period.")
    if station is not None and station not in names:
        raise unknown("station", station, names)
    name = station or names[0]
    return drawn(lambda: charts.series(scene, found.isel(site=names.index(name)), name))


def drawn(draw: Callable[[], Figure]) -> Figure:
    """Draw with the settings of the report; a notebook shows the figure as it shows every other result."""
    import matplotlib as mpl

    from xsm.reporting.charts import LOOK

    with mpl.rc_context(LOOK):  # type: ignore[arg-type]
        figure = draw()
        figure.draw_without_rendering()
    figure._repr_png_ = functools.partial(_png, figure)  # type: ignore[attr-defined]
    return figure


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor="white")
    return buffer.getvalue()
