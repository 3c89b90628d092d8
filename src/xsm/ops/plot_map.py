"""The figures of the report one by one, for notebooks and the shell."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import xarray as xr

from xsm.describe import Kind, Param, operation
from xsm.errors import DataError, UsageError, unknown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from xsm.reporting.gather import Scene

Maps = Annotated[xr.Dataset, Param("Estimates, or gap-filled maps.", label="Maps")]
Cube = Annotated[xr.Dataset | None, Param("Cube behind the maps: Noah, rain, soil, land cover.")]
Stations = Annotated[xr.Dataset, Param("Stations to score the maps against.", kind=Kind.STATIONS)]
Scored = Annotated[xr.Dataset, Param("Result of validate.", label="Scores")]


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

    from xsm.ops.open import day_of
    from xsm.reporting.gather import scene
    from xsm.reporting.maps import class_map, frame_of, limits, moisture_map, plain_map
    from xsm.reporting.tables import label
    from xsm.styles import classes_of, style_of

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
        return _drawn(lambda: class_map(frame, values, title, classes))
    ramp = style_of(name)
    between = limits([values]) if ramp == "soil_moisture" else None
    return _drawn(lambda: moisture_map(frame, values, title, ramp, between) if ramp else
                  plain_map(frame, values, title, str(ds[name].attrs.get("units", ""))))  # fmt: skip


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
    return _drawn(lambda: texture_map(frame, classes.compute(), sites))


@operation(title="Plot boxes of scores", group="Plots", result=Kind.FIGURE, analyst=False)
def plot_boxes(
    ds: Scored,
    *,
    by: Annotated[str, Param("Grouping: texture_group, land_cover, texture or network.")] = "texture_group",
) -> Any:
    """Draw boxplots of the scores over the stations of groups (Figures 3 and 4 of Rabiei et al., 2024).

    Parameters
    ----------
    ds : xarray.Dataset
        Result of `validate` with the grouping among its ``by``.
    by : str
        Grouping; open and closed shrublands are one.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    UsageError
        Where the scores are not grouped so.

    Examples
    --------
    >>> import xsm
    >>> cube, stations = (xsm.example(n, size=16, days=20) for n in ("cube", "stations"))
    >>> figure = cube.sm.validate(stations, by=["texture_group"], min_days=5).sm.plot_boxes()
    """
    from xsm.reporting.skill import boxes

    _check_table(ds)
    if by not in ds.coords:
        raise UsageError(f"The scores are not grouped by '{by}'.", hint=f"Run <validate()> with <by={by}>.")
    return _drawn(lambda: boxes(ds, by))


@operation(title="Plot scores on a map", group="Plots", result=Kind.FIGURE, analyst=False)
def plot_skill(ds: Scored) -> Any:
    """Draw R, ubRMSE and bias at the stations with histograms (Figure 5 of Rabiei et al., 2024).

    Parameters
    ----------
    ds : xarray.Dataset
        Result of `validate`; the estimate of the highest scenario at each depth is shown.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    UsageError
        For a dataset that is no result of `validate`.

    Examples
    --------
    >>> import xsm
    >>> cube, stations = (xsm.example(n, size=16, days=20) for n in ("cube", "stations"))
    >>> figure = cube.sm.validate(stations, min_days=5).sm.plot_skill()
    """
    from xsm.reporting.skill import best, skill_maps

    _check_table(ds)
    return _drawn(lambda: skill_maps(ds, best(ds)))


@operation(title="Plot maps against stations", group="Plots", result=Kind.FIGURE, analyst=False)
def plot_scatter(ds: Maps, stations: Stations, *, cube: Cube = None) -> Any:
    """Draw the density of station days, map against station (Figure 6 of Rabiei et al., 2024).

    Days that a model was trained on or chosen by are left out, as in the report; the title says which days are shown.

    Parameters
    ----------
    ds : xarray.Dataset
        Estimates or gap-filled maps.
    stations : xarray.Dataset
        ``soil_moisture(sensor, time)``.
    cube : xarray.Dataset, optional
        Adds Noah and frozen days, so that the days are those of the report.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    DataError
        Where no day of a station has a value of the maps.

    Examples
    --------
    >>> import xsm
    >>> cube, stations, truth = (xsm.example(n, size=16, days=20) for n in ("cube", "stations", "truth"))
    >>> figure = truth[["sm_5cm"]].sm.plot_scatter(stations, cube=cube)
    """
    from xsm.reporting import pooled, skill

    scene, series, table = _against(ds, stations, cube)
    found = pooled.pairs(scene, series, table)
    if not found:
        raise DataError("No station day has a value of the maps.", hint="Look at the result of validate.")
    return _drawn(lambda: skill.scatter(found, str(table.attrs["period"]).replace("/", " to ")))


@operation(title="Plot calibration", group="Plots", result=Kind.FIGURE, analyst=False)
def plot_calibration(ds: Maps, stations: Stations, *, cube: Cube = None) -> Any:
    """Draw the share of station days inside the intervals of the maps against the share wanted.

    Parameters
    ----------
    ds : xarray.Dataset
        Maps with ``_std``.
    stations : xarray.Dataset
        ``soil_moisture(sensor, time)``.
    cube : xarray.Dataset, optional
        Adds Noah and frozen days, so that the days are those of the report.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    DataError
        Where the maps have no standard deviation, or no day of a station has a value of them.

    Examples
    --------
    >>> import xsm
    >>> cube, stations = (xsm.example(n, size=16, days=20) for n in ("cube", "stations"))
    >>> sm5 = cube.sm.estimate(depth=5)
    >>> figure = sm5.sm.plot_calibration(stations, cube=cube)
    """
    from xsm.reporting import pooled, skill

    scene, series, table = _against(ds, stations, cube)
    _, shares = pooled.coverage(scene, series, table)
    if not shares:
        raise DataError("The maps have no standard deviation.", hint="Keep the variables that end with _std.")
    return _drawn(lambda: skill.reliability(shares))


@operation(title="Plot time series", group="Plots", result=Kind.FIGURE, analyst=False)
def plot_series(
    ds: Maps,
    *,
    stations: Annotated[xr.Dataset | None, Param("Stations to show.", kind=Kind.STATIONS)] = None,
    cube: Cube = None,
    station: Annotated[str | None, Param("Station to show; the first one otherwise.")] = None,
) -> Any:
    """Draw both scenarios, Noah, station, precipitation and distributions (Figure 7 of Rabiei et al., 2024).

    Parameters
    ----------
    ds : xarray.Dataset
        Estimates or gap-filled maps.
    stations : xarray.Dataset, optional
        ``soil_moisture(sensor, time)``; without it the cell with most observations is shown.
    cube : xarray.Dataset, optional
        Adds Noah, precipitation, observed DCA and frozen days.
    station : str, optional
        Name of a station.

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
    >>> figure = truth[["sm_5cm"]].sm.plot_series(stations=stations, cube=cube)
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
    return _drawn(lambda: charts.series(scene, found.isel(site=names.index(name)), name))


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
    return _drawn(lambda: charts.availability(scene.days, share, label(scene.watched)))


def _against(ds: xr.Dataset, stations: xr.Dataset, cube: xr.Dataset | None) -> tuple[Scene, xr.Dataset, xr.Dataset]:
    from xsm.reporting import gather, tables

    scene = gather.scene(ds, cube)
    return scene, gather.station_series(scene, stations), tables.skill(scene, stations)


def _check_table(ds: xr.Dataset) -> None:
    if not {"r", "rmse", "bias", "ubrmse", "n"} <= set(ds.data_vars) or "station" not in ds.dims:
        raise UsageError("The dataset is no result of validate.", hint="Run <validate()> first.")


def _drawn(draw: Callable[[], Figure]) -> Figure:
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
