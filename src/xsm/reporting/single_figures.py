"""One figure of the report at a time, for notebooks and the shell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import xarray as xr

from xsm.errors import DataError, UsageError, unknown
from xsm.reporting import map_figures, score_figures, score_tables, series_figures, skill_maps, station_days, theme
from xsm.reporting.frames import frame_of
from xsm.reporting.labels import label
from xsm.reporting.scene import Scene, cell_series, make_scene, overview, places, soil_maps, station_series

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def texture(ds: xr.Dataset, stations: xr.Dataset | None) -> Figure:
    """Texture classes of the upper soil with the stations."""
    plain = ds.reset_coords([n for n in ("texture",) if n in ds.coords])
    frame, classes = frame_of(ds), soil_maps(plain)
    if frame is None or classes is None:
        raise DataError("The dataset has no soil maps.", hint="Give sand, silt and clay, or the result of texture.")
    sites = None if stations is None else places(ds, stations)
    return theme.drawn(lambda: map_figures.texture_map(frame, classes.compute(), sites))


def availability(ds: xr.Dataset) -> Figure:
    """Share of observed cells per day."""
    scene = make_scene(ds, None)
    if not scene.watched:
        raise DataError("No variable shows what was observed.", hint="Give maps with gaps, or those of gapfill.")
    share = overview(scene)["share"].values
    return theme.drawn(lambda: series_figures.availability(scene.days, share, label(scene.watched, scene.ds)))


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
    return theme.drawn(lambda: series_figures.series(scene, sites.isel(site=names.index(name)), name))


def boxes(table: xr.Dataset, grouping: str) -> Figure:
    """Boxplots of the scores by group."""
    _check_table(table)
    if grouping not in table.coords:
        raise UsageError(f"The scores are not grouped by '{grouping}'.", hint=f"Run <validate()> with <by={grouping}>.")
    return theme.drawn(lambda: score_figures.boxes(table, grouping))


def skill(table: xr.Dataset) -> Figure:
    """Maps and histograms of the scores at the stations."""
    _check_table(table)
    return theme.drawn(lambda: skill_maps.skill_maps(table, score_figures.best(table)))


def scatter(ds: xr.Dataset, stations: xr.Dataset, cube: xr.Dataset | None) -> Figure:
    """Density of station days, map against station."""
    scene, at_stations, table = _scored(ds, stations, cube)
    pooled = station_days.pairs(scene, at_stations, table)
    if not pooled:
        raise DataError("No station day has a value of the maps.", hint="Look at the result of validate.")
    period = str(table.attrs["period"]).replace("/", " to ")
    return theme.drawn(lambda: score_figures.scatter(pooled, period, scene.ds))


def calibration(ds: xr.Dataset, stations: xr.Dataset, cube: xr.Dataset | None) -> Figure:
    """Share of station days inside the intervals of the maps, against the nominal share."""
    scene, at_stations, table = _scored(ds, stations, cube)
    _, shares = station_days.coverage(scene, at_stations, table)
    if not shares:
        raise DataError("The maps have no standard deviation.", hint="Keep the variables that end with _std.")
    return theme.drawn(lambda: score_figures.reliability(shares, scene.ds))


def _scored(ds: xr.Dataset, stations: xr.Dataset, cube: xr.Dataset | None) -> tuple[Scene, xr.Dataset, xr.Dataset]:
    scene = make_scene(ds, cube)
    return scene, station_series(scene, stations), score_tables.skill(scene, stations)


def _check_table(ds: xr.Dataset) -> None:
    if not {"r", "rmse", "bias", "ubrmse", "n"} <= set(ds.data_vars) or "station" not in ds.dims:
        raise UsageError("The dataset is not a result of validate.", hint="Run <validate()> first.")
