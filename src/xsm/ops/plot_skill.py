"""Figures of scores one by one, for notebooks and the shell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import xarray as xr

from xsm.contracts.operation import Kind, Param, operation, share_sections
from xsm.errors import DataError, UsageError
from xsm.ops.plot_map import Cube, Maps, Stations, drawn

if TYPE_CHECKING:
    from xsm.reporting.gather import Scene

Scored = Annotated[xr.Dataset, Param("Result of validate.", label="Scores")]


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
    return drawn(lambda: boxes(ds, by))


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
    return drawn(lambda: skill_maps(ds, best(ds)))


@operation(title="Plot maps against stations", group="Plots", result=Kind.FIGURE, analyst=False)
def plot_scatter(ds: Maps, stations: Stations, *, cube: Cube = None) -> Any:
    """Draw the density of station days, map against station (Figure 6 of Rabiei et al., 2024).

    Days that a model was trained on or chosen by are left out, as in the report; the title says which days are shown.

    Parameters
    ----------
    ds : xarray.Dataset
        Estimates or gap-filled maps, for the calibration with ``_std``.
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
        Where no day of a station has a value of the maps; for the calibration also where they have no standard
        deviation.

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
    return drawn(lambda: skill.scatter(found, str(table.attrs["period"]).replace("/", " to ")))


@operation(title="Plot calibration", group="Plots", result=Kind.FIGURE, analyst=False)
def plot_calibration(ds: Maps, stations: Stations, *, cube: Cube = None) -> Any:
    """Draw the share of station days inside the intervals of the maps against the share wanted.

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
    return drawn(lambda: skill.reliability(shares))


share_sections(plot_scatter, plot_calibration)


def _against(ds: xr.Dataset, stations: xr.Dataset, cube: xr.Dataset | None) -> tuple[Scene, xr.Dataset, xr.Dataset]:
    from xsm.reporting import gather, tables

    scene = gather.scene(ds, cube)
    return scene, gather.station_series(scene, stations), tables.skill(scene, stations)


def _check_table(ds: xr.Dataset) -> None:
    if not {"r", "rmse", "bias", "ubrmse", "n"} <= set(ds.data_vars) or "station" not in ds.dims:
        raise UsageError("The dataset is no result of validate.", hint="Run <validate()> first.")
