"""One figure of the report at a time, for notebooks and the shell."""

from __future__ import annotations

import functools
import io
import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from xsm.data.period import day_of
from xsm.errors import DataError, UsageError, unknown
from xsm.io.styles import classes_of, style_of
from xsm.reporting import map_figures, score_figures, score_tables, series_figures, station_days
from xsm.reporting.labels import label
from xsm.reporting.scene import Scene, cell_series, make_scene, overview, places, soil_maps, station_series

if TYPE_CHECKING:
    from matplotlib.figure import Figure


BAR_LETTERS = 48
"""Letters of a name below a colour bar."""


def one_map(ds: xr.Dataset, variable: str | None, day: str | None) -> Figure:
    """Map of a variable (the best soil moisture where None) on a day, or of its mean."""
    drawable = [str(n) for n, v in ds.variables.items() if v.ndim > 1]
    (only,) = drawable if len(drawable) == 1 else ("",)
    name = variable or only or make_scene(ds, None).best
    frame = map_figures.frame_of(ds)
    if frame is None:
        raise DataError(f"The data are not maps (dims {dict(ds.sizes)}).", hint="Give dims (time, y, x).")
    if name not in drawable:
        raise unknown("variable", name, drawable)
    values, title = ds[name], label(name, ds)
    if "soil_depth" in values.dims:
        values = values.isel(soil_depth=0)
        title = f"{title}, {values['soil_depth'].item():g} cm"
    if day is not None and "time" in values.dims:
        moment, days = day_of(day), values["time"].values.astype("M8[D]")
        if moment not in days:
            raise UsageError(f"The maps ({days[0]} to {days[-1]}) have no day {day}.", hint="Choose another day.")
        values, title = values.isel(time=int(np.flatnonzero(days == moment)[0])), f"{title}, {day}"
        if not bool(values.notnull().any()):
            raise DataError(
                f"'{name}' has no value on {day}.",
                hint="The first days of an estimate are its look-back; choose another day.",
            )
    classes = classes_of(name, ds[name].attrs)
    if "time" in values.dims:
        if classes:
            raise UsageError(f"'{name}' contains classes, which have no mean.", hint="Give a day.")
        values, title = values.mean("time"), f"{title}: mean"
    values = values.compute()
    if classes:
        return _drawn(lambda: map_figures.class_map(frame, values, title, classes))
    words, units = (str(ds[name].attrs.get(key, "")) for key in ("long_name", "units"))
    short = textwrap.shorten(words.partition(" (")[0] or name, BAR_LETTERS, placeholder="...")
    bar = f"{short} ({units})" if units else short
    return _drawn(lambda: map_figures.value_maps(frame, {title: values}, style_of(name), bar)[0])


def texture(ds: xr.Dataset, stations: xr.Dataset | None) -> Figure:
    """Texture classes of the upper soil with the stations."""
    plain = ds.reset_coords([n for n in ("texture",) if n in ds.coords])
    frame, classes = map_figures.frame_of(ds), soil_maps(plain)
    if frame is None or classes is None:
        raise DataError("The dataset has no soil maps.", hint="Give sand, silt and clay, or the result of texture.")
    sites = None if stations is None else places(ds, stations)
    return _drawn(lambda: map_figures.texture_map(frame, classes.compute(), sites))


def availability(ds: xr.Dataset) -> Figure:
    """Share of observed cells per day."""
    scene = make_scene(ds, None)
    if not scene.watched:
        raise DataError("No variable shows what was observed.", hint="Give maps with gaps, or those of gapfill.")
    share = overview(scene)["share"].values
    return _drawn(lambda: series_figures.availability(scene.days, share, label(scene.watched, scene.ds)))


def series(ds: xr.Dataset, stations: xr.Dataset | None, station: str | None, cube: xr.Dataset | None) -> Figure:
    """Series of a station (the first one where None), or without stations of the cell with most observations."""
    scene = make_scene(ds, cube)
    sites = cell_series(scene, overview(scene)) if stations is None else station_series(scene, stations)
    names = [str(s) for s in sites["station"].values] if "station" in sites.coords else []
    if not names:
        raise DataError("No station lies in the maps and no cell has a value.", hint="Check region and period.")
    if station is not None and station not in names:
        raise unknown("station", station, names)
    name = station or names[0]
    return _drawn(lambda: series_figures.series(scene, sites.isel(site=names.index(name)), name))


def boxes(table: xr.Dataset, grouping: str) -> Figure:
    """Boxplots of the scores by group."""
    _check_table(table)
    if grouping not in table.coords:
        raise UsageError(f"The scores are not grouped by '{grouping}'.", hint=f"Run <validate()> with <by={grouping}>.")
    return _drawn(lambda: score_figures.boxes(table, grouping))


def skill(table: xr.Dataset) -> Figure:
    """Maps and histograms of the scores at the stations."""
    _check_table(table)
    return _drawn(lambda: score_figures.skill_maps(table, score_figures.best(table)))


def scatter(ds: xr.Dataset, stations: xr.Dataset, cube: xr.Dataset | None) -> Figure:
    """Density of station days, map against station."""
    scene, at_stations, table = _scored(ds, stations, cube)
    pooled = station_days.pairs(scene, at_stations, table)
    if not pooled:
        raise DataError("No station day has a value of the maps.", hint="Look at the result of validate.")
    period = str(table.attrs["period"]).replace("/", " to ")
    return _drawn(lambda: score_figures.scatter(pooled, period, scene.ds))


def calibration(ds: xr.Dataset, stations: xr.Dataset, cube: xr.Dataset | None) -> Figure:
    """Share of station days inside the intervals of the maps, against the nominal share."""
    scene, at_stations, table = _scored(ds, stations, cube)
    _, shares = station_days.coverage(scene, at_stations, table)
    if not shares:
        raise DataError("The maps have no standard deviation.", hint="Keep the variables that end with _std.")
    return _drawn(lambda: score_figures.reliability(shares, scene.ds))


def _scored(ds: xr.Dataset, stations: xr.Dataset, cube: xr.Dataset | None) -> tuple[Scene, xr.Dataset, xr.Dataset]:
    scene = make_scene(ds, cube)
    return scene, station_series(scene, stations), score_tables.skill(scene, stations)


def _check_table(ds: xr.Dataset) -> None:
    if not {"r", "rmse", "bias", "ubrmse", "n"} <= set(ds.data_vars) or "station" not in ds.dims:
        raise UsageError("The dataset is not a result of validate.", hint="Run <validate()> first.")


def _drawn(draw: Callable[[], Figure]) -> Figure:
    """Draw with the settings of the report; a notebook shows the figure like every other result."""
    import matplotlib as mpl

    with mpl.rc_context(series_figures.LOOK):  # type: ignore[arg-type]
        figure = draw()
        figure.draw_without_rendering()
    figure._repr_png_ = functools.partial(_png, figure)  # type: ignore[attr-defined]
    return figure


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor="white")
    return buffer.getvalue()
