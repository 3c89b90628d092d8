"""Figures of scores, one at a time."""

from __future__ import annotations

from typing import Annotated, Any

import xarray as xr

from xsm.contracts.operation import Kind, Param, operation, share_sections
from xsm.ops.plot_map import Cube, Maps, Stations
from xsm.reporting import single_figures

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
        Where the scores are not grouped by it.

    Examples
    --------
    >>> import xsm
    >>> cube, stations = (xsm.example(n, size=16, days=20) for n in ("cube", "stations"))
    >>> figure = cube.sm.validate(stations, by=["texture_group"], min_days=5).sm.plot_boxes()
    """
    return single_figures.boxes(ds, by)


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
        For a dataset that is not a result of `validate`.

    Examples
    --------
    >>> import xsm
    >>> cube, stations = (xsm.example(n, size=16, days=20) for n in ("cube", "stations"))
    >>> figure = cube.sm.validate(stations, min_days=5).sm.plot_skill()
    """
    return single_figures.skill(ds)


@operation(title="Plot maps against stations", group="Plots", result=Kind.FIGURE, analyst=False)
def plot_scatter(ds: Maps, stations: Stations, *, cube: Cube = None) -> Any:
    """Draw the density of station days, map against station (Figure 6 of Rabiei et al., 2024).

    Training and validation days of the model are left out, as in the report; the title says which days are shown.

    Parameters
    ----------
    ds : xarray.Dataset
        Estimates or gap-filled maps, for the calibration with ``_std``.
    stations : xarray.Dataset
        ``soil_moisture(sensor, time)``.
    cube : xarray.Dataset, optional
        Adds the land model and frozen days, so that the days are those of the report.

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
    return single_figures.scatter(ds, stations, cube)


@operation(title="Plot calibration", group="Plots", result=Kind.FIGURE, analyst=False)
def plot_calibration(ds: Maps, stations: Stations, *, cube: Cube = None) -> Any:
    """Draw the share of station days inside the intervals of the maps against the nominal share.

    Examples
    --------
    >>> import xsm
    >>> cube, stations = (xsm.example(n, size=16, days=20) for n in ("cube", "stations"))
    >>> sm5 = cube.sm.estimate(depth=5)
    >>> figure = sm5.sm.plot_calibration(stations, cube=cube)
    """
    return single_figures.calibration(ds, stations, cube)


share_sections(plot_scatter, plot_calibration)
