"""Means and spreads of maps over polygons, and shares of classes."""

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
from xsm.data.zones import Zones, zones_of
from xsm.errors import DataError, render_hint, unknown
from xsm.io.styles import classes_of
from xsm.kernels.zones import zonal_statistics

STATISTICS = {"mean": "Mean of the region", "std": "Standard deviation within the region",
              "share": "Share of the region with a value"}  # fmt: skip
DIGITS = 12
"""Of the share of a class: no class has a share of 1e-18."""
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
    variables: Annotated[
        tuple[str, ...] | None, Param("Variables; by default all maps of numbers, else all maps of classes.")
    ] = None,
) -> xr.Dataset:
    """Average maps over polygons, such as basins, weighted by area; of classes give the share of each.

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
        ``"mean"``, ``"std"`` (of the population) and ``"share"`` (of the area that has a value, 0 to 1). Maps of
        classes, such as those of `drought`, have the share of each class instead of mean and spread.
    min_share : float
        Steps with a value on less of the area are missing, but for ``share``.
    name : str, optional
        Property that names the polygons; by default ``name`` or ``id``, else they are counted from 1.
    variables : sequence of str, optional
        By default all maps of numbers, or where there are none all maps of classes; never flags.

    Returns
    -------
    xarray.Dataset
        ``<v>_mean``, ``<v>_std`` and ``<v>_share`` with the dims ``(time, region)``, and the ``area`` of each region
        (km2). Of classes ``<v>_<class>``: the share (0 to 1) of the area with a value that is in this class.
        Regions that do not lie on the maps are missing, with a warning.

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

    The share of each soil texture:

    >>> soil = cube.sm.texture().sm.zonal({"upper": (-98.2, 35.9, -98.0, 36.1)})
    >>> [name for name in soil if "loam" in name][:2]
    ['texture_loamy_sand', 'texture_sandy_loam']
    """
    for statistic in statistics:
        if statistic not in STATISTICS:
            raise unknown("statistic", statistic, STATISTICS)
    names = list(variables or _default(ds))
    map_names(ds, names)
    zones = zones_of(regions, name)
    ds = checked(ds, names)
    classes = [n for n in names if kind(ds[n]) == "class"]
    numbers = [n for n in names if n not in classes]
    out = zonal_statistics(ds, zones, numbers, statistics, min_share)
    for source in numbers:
        for statistic in statistics:
            of = f"{source}_{statistic}"
            out[of] = derived(out[of], ds, source, STATISTICS[statistic], **UNITS.get(statistic, {}))
            if statistic == "mean":  # which is a series of the same quantity, to go on with
                del out[of].attrs[SOURCE]
    for source in classes:
        out = out.assign(_shares_of_classes(ds, source, zones, statistics, min_share))
    _tell_empty(ds, out, names)
    return add_history(out.assign_attrs(ds.attrs), "zonal", regions=len(zones.names), statistics=statistics,
                       min_share=min_share, variables=variables)  # fmt: skip


def _default(ds: xr.Dataset) -> list[str]:
    """Maps of numbers, else those of classes."""
    kinds = {n: kind(ds[n]) for n in map_names(ds)}
    numbers = [n for n, k in kinds.items() if k == "continuous" and ds[n].dtype.kind in "fiu"]
    return numbers or [n for n, k in kinds.items() if k == "class"]


def _shares_of_classes(
    ds: xr.Dataset, name: str, zones: Zones, statistics: tuple[str, ...], min_share: float
) -> dict[str, xr.DataArray]:
    """The share of each class of a map: the mean of maps that are 1 in the class and 0 in the others."""
    maps = ds[name]
    classes = classes_of(name, maps.attrs)
    if not classes:
        raise DataError(
            f"'{name}' has no flag_values with as many flag_meanings, expected the names of its classes.",
            hint="Set both attributes, or name other <variables=>.",
        )
    known = maps.isin([value for value, _, _ in classes])
    words = {value: f"{name}_{meaning.replace(' ', '_').lower()}" for value, _, meaning in classes}
    inside = {word: (maps == value).where(known).astype("f4") for value, word in words.items()}
    first, *_ = inside
    out = zonal_statistics(ds.assign(inside), zones, list(inside), ("mean", "share"), min_share)
    shares = {n: (f"{n}_mean", f"Share of {n.removeprefix(f'{name}_')}") for n in inside}
    if "share" in statistics:
        shares[f"{name}_share"] = f"{first}_share", STATISTICS["share"]
    return {
        n: derived(out[statistic].round(DIGITS), ds, name, title, units="1") for n, (statistic, title) in shares.items()
    }


def _tell_empty(ds: xr.Dataset, out: xr.Dataset, names: list[str]) -> None:
    means = {f"{n}_mean": n for n in names if f"{n}_mean" in out}
    empty = [m for m in means if out[m].chunks is not None or not out[m].notnull().any()]
    tell_emptied(out, {m: valid_share(ds[means[m]]) for m in empty},
                 render_hint("The maps have values on less of each region than <min_share=>."), empty)  # fmt: skip
