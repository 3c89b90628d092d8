"""Values of maps at a place, or at a table of places."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import xarray as xr

from xsm.contracts.operation import Kind, Param, operation
from xsm.data.cf import add_history
from xsm.data.places import places_of, values_at
from xsm.data.ranges import checked


@operation(title="Values at places", group="Series")
def at(
    ds: Annotated[xr.Dataset, Param("Maps, with time or without.")],
    lat: Annotated[Any, Param("Latitude of the place, or several.", unit="degrees north")] = None,
    lon: Annotated[Any, Param("Longitude of the place, or several.", unit="degrees east")] = None,
    *,
    points: Annotated[Any, Param("CSV of places with the columns lat, lon and name.", kind=Kind.PATH)] = None,
    method: Annotated[
        Literal["nearest", "bilinear"], Param("The cell in which a place lies, or the four around it.")
    ] = "nearest",
    variables: Annotated[tuple[str, ...] | None, Param("Variables; by default all maps.")] = None,
) -> xr.Dataset:
    """Take the values of maps at a place, or at a table of places.

    Cells are found by the values of their coordinates, and longitudes may count from -180 or from 0. Lazy maps stay
    lazy; only the cells of the places are computed.

    Parameters
    ----------
    ds : xarray.Dataset
        Maps on an EASE-Grid or on latitudes and longitudes, of any further dims.
    lat, lon : float or sequence of float, optional
        Degrees of one place, or of several.
    points : path, DataFrame, Dataset, mapping or sequence, optional
        Instead: a CSV or a table with the columns ``lat``, ``lon`` and, if there is one, ``name``; stations; or pairs
        of latitude and longitude.
    method : {"nearest", "bilinear"}
        ``"bilinear"`` weighs the four cells around the place that have a value; classes and flags stay those of the
        cell.
    variables : sequence of str, optional
        By default all maps.

    Returns
    -------
    xarray.Dataset
        Dims ``(time, place)``, or ``(time,)`` for one ``lat`` and ``lon``, with the coordinates ``lat`` and ``lon`` of
        the centre of the cell and its ``distance`` from the place (km). Places of a table that lie outside the maps
        are missing, with a warning.

    Raises
    ------
    DataError
        For one place, or a whole table, outside the maps, and for numbers that are no degrees.
    UsageError
        Where neither a place nor a table is given, or both.

    Examples
    --------
    >>> import xsm
    >>> cube = xsm.example("cube", size=16, days=30)
    >>> series = cube.sm.at(35.9, -98.1, variables=["sm_noah_0_10"])
    >>> series["sm_noah_0_10"].dims, float(series["distance"]) < 7
    (('time',), True)
    >>> cube.sm.at(points={"name": ["a", "b"], "lat": [35.9, 36.0], "lon": [-98.1, -98.0]})["place"].values
    array(['a', 'b'], dtype='<U1')
    """
    places = places_of(lat, lon, points)
    out = values_at(ds, places, method, variables)
    out = checked(out, map(str, out.data_vars))
    shown = {"lat": lat, "lon": lon} if places.single else {"places": len(places.lat)}
    return add_history(out.assign_attrs(ds.attrs), "at", **shown, method=method, variables=variables)
