"""Means and spreads of maps over polygons."""

from __future__ import annotations

from typing import Annotated, Any

import xarray as xr

from xsm.contracts.operation import Kind, Param, operation
from xsm.data.cf import add_history, kind
from xsm.data.emptiness import tell_emptied, valid_share
from xsm.data.places import map_names
from xsm.data.ranges import checked
from xsm.data.roles import SOURCE
from xsm.data.series import derived
from xsm.data.zones import zones_of
from xsm.errors import render_hint, unknown
from xsm.kernels.zones import zonal_statistics

STATISTICS = {"mean": "Mean of the region", "std": "Standard deviation within the region",
              "share": "Share of the region with a value"}  # fmt: skip
UNITS = {"share": {"units": "1"}}


@operation(title="Statistics of regions", group="Series")
def zonal(
    ds: Annotated[xr.Dataset, Param("Maps, with time or without.")],
    regions: Annotated[Any, Param("GeoJSON file of polygons in WGS 84, or a name of a region.", kind=Kind.PATH)],
    *,
    statistics: Annotated[
        tuple[str, ...], Param("Any of mean, std and share (of the area with a value).", choices=tuple(STATISTICS))
    ] = ("mean", "std", "share"),
    min_share: Annotated[float, Param("Share of a region's area that must have a value.", minimum=0, maximum=1)] = 0.5,
    name: Annotated[str | None, Param("Property that names the polygons.")] = None,
    variables: Annotated[tuple[str, ...] | None, Param("Variables; by default all maps of numbers.")] = None,
) -> xr.Dataset:
    """Average maps over polygons, such as basins, weighted by area.

    Each cell counts with the exact area that it has in common with the polygon, on the equal-area plane of the
    EASE-Grid: cells of degrees are smaller towards the poles. Lazy maps stay lazy.

    Parameters
    ----------
    ds : xarray.Dataset
        Maps on an EASE-Grid or on latitudes and longitudes, of any further dims.
    regions : path, mapping, GeoDataFrame, geometry, str or sequence of these
        A GeoJSON file or mapping, a table or a single object with ``__geo_interface__``, such as a GeoDataFrame or a
        geometry of shapely, a mapping of names to geometries, names of regions (``"global"``), or boxes (west, south,
        east, north) in degrees. Edges are straight on degrees; polygons may overlap.
    statistics : sequence of str
        ``"mean"``, ``"std"`` (of the population) and ``"share"`` (of the area that has a value, 0 to 1).
    min_share : float
        Steps with a value on less of the area are missing, but for ``share``.
    name : str, optional
        Property that names the polygons; by default ``name`` or ``id``, else they are counted from 1.
    variables : sequence of str, optional
        By default all maps but classes and flags.

    Returns
    -------
    xarray.Dataset
        ``<v>_mean``, ``<v>_std`` and ``<v>_share`` with the dims ``(time, region)``, and the ``area`` of each region
        (km2). Regions that do not lie on the maps are missing, with a warning.

    Raises
    ------
    DataError
        Where no region lies on the maps, names come twice, or coordinates are no degrees.
    UsageError
        For what is no region, and an unknown statistic.

    Examples
    --------
    >>> import xsm
    >>> cube = xsm.example("cube", size=16, days=30)
    >>> basins = cube.sm.zonal({"upper": (-98.2, 35.9, -98.0, 36.1)}, variables=["sm_noah_0_10"])
    >>> list(basins.data_vars), basins["sm_noah_0_10_mean"].dims
    (['sm_noah_0_10_mean', 'sm_noah_0_10_std', 'sm_noah_0_10_share'], ('time', 'region'))
    """
    for statistic in statistics:
        if statistic not in STATISTICS:
            raise unknown("statistic", statistic, STATISTICS)
    names = map_names(
        ds, variables or [n for n in map_names(ds) if kind(ds[n]) == "continuous" and ds[n].dtype.kind in "fiu"]
    )
    zones = zones_of(regions, name)
    ds = checked(ds, names)
    out = zonal_statistics(ds, zones, names, statistics, min_share)
    for source in names:
        for statistic in statistics:
            of = f"{source}_{statistic}"
            out[of] = derived(out[of], ds, source, STATISTICS[statistic], **UNITS.get(statistic, {}))
            if statistic == "mean":  # which is a series of the same quantity, to go on with
                del out[of].attrs[SOURCE]
    _tell_empty(ds, out, names)
    return add_history(out.assign_attrs(ds.attrs), "zonal", regions=len(zones.names), statistics=statistics,
                       min_share=min_share, variables=variables)  # fmt: skip


def _tell_empty(ds: xr.Dataset, out: xr.Dataset, names: list[str]) -> None:
    means = {f"{n}_mean": n for n in names if f"{n}_mean" in out}
    empty = [m for m in means if out[m].chunks is not None or not out[m].notnull().any()]
    tell_emptied(out, {m: valid_share(ds[means[m]]) for m in empty},
                 render_hint("The maps have values on less of each region than <min_share=>."), empty)  # fmt: skip
