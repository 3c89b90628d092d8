"""What products are compared with: stations, or series with or without a place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from xsm.data.cells import Spots, spots_of
from xsm.data.places import COLUMNS
from xsm.data.roles import DEPTHS
from xsm.data.series import series_names
from xsm.errors import DataError, UsageError, tell
from xsm.validation.depths import read_depth

CELL = "cell_of_data"
"""Coordinate of sensors: the position of their cell in the data, where both have the same cells."""
DEGREES = {"lat": ("lat", "latitude"), "lon": ("lon", "long", "longitude")}
"""Names of the coordinates of stations, in lower case."""


def as_stations(reference: xr.Dataset, ds: xr.Dataset, depth: Sequence[Any] | None = None) -> xr.Dataset:
    """Stations as they are; a series becomes a station, a table of series, of stations or of cells one for each.

    Parameters
    ----------
    reference : xarray.Dataset
        ``soil_moisture(sensor, time)``, or variables with the dims ``time`` and at most one other: stations with
        latitude and longitude, or the cells of ``ds``.
    ds : xarray.Dataset
        Data that are compared with it.
    depth : sequence, optional
        A single depth is that of a reference which does not say its own.

    Raises
    ------
    UsageError
        For maps, for stations where the data should be, and for stations of several depths that are not stated.
    DataError
        Where the cells are not those of the data.

    Examples
    --------
    >>> days = np.array(["2021-04-01", "2021-04-02"], "M8[ns]")
    >>> sm = xr.Dataset({"probe": ("time", [0.2, 0.3])}, {"time": days})
    >>> as_stations(sm, sm)["station"].values.tolist()
    ['probe']
    """
    if "sensor" in reference.dims and "time" in reference.dims and "soil_moisture" in reference:
        return reference
    if "sensor" in ds.dims:
        raise UsageError("The stations stand where the data should be.", hint="Give the data first, then the stations.")
    if "time" not in reference.dims:
        raise DataError(f"The reference has no time (dims {dict(reference.sizes)}).",
                        hint="Give stations, or a series with times.")  # fmt: skip
    names = series_names(reference)
    places = list(dict.fromkeys(d for n in names for d in reference[n].dims if d != "time"))
    if len(places) > 1:
        raise UsageError(
            f"The reference has the dims {', '.join(map(str, reference.sizes))}, expected stations or series.",
            hint="Give the maps first and the stations second, or take series out of the reference.",
        )
    cells = str(places[0]) if places else ""
    depths = [_depth(reference[name]) for name in names]
    if len(names) == 1 and np.isnan(depths[0]) and depth and len(depth) == 1:
        depths = [_middle(depth[0])]
    at = _same_cells(reference, ds, cells) if cells else None
    if at is None and cells and len(names) > 1 and np.isnan(depths).any():
        raise UsageError(
            f"The stations have several series ({', '.join(names)}) whose depths are not stated.",
            hint="Give one of them with <depth=>, or each the attribute depth in cm.",
        )
    if at is not None:
        reference = reference.isel({cells: np.flatnonzero(at >= 0)})
    layered = len(set(depths)) == len(names) and bool(cells) and np.isfinite(depths).all()
    sensors = [_sensors(reference, name, cells, cm, many=len(names) > 1 and not layered)
               for name, cm in zip(names, depths, strict=True)]  # fmt: skip
    stations = xr.concat(sensors, "sensor", combine_attrs="override")
    return stations if at is None else stations.assign_coords({CELL: ("sensor", np.tile(at[at >= 0], len(names)))})


def _sensors(reference: xr.Dataset, name: str, cells: str, depth: float, *, many: bool) -> xr.Dataset:
    """A variable as ``soil_moisture(sensor, time)``."""
    array = reference[name]
    values = (array if cells in array.dims else array.expand_dims(cells or "sensor")).transpose(..., "time")
    count = values.sizes[values.dims[0]]
    short = "reference" if name == "value" else name
    names = _labels(reference, cells) if cells in array.dims else np.full(count, "")
    network = _along(reference, ("network",), cells)
    coords = {
        "station": np.array([f"{short} {label}".strip() if many or not cells else label for label in names]),
        "network": np.full(count, "") if network is None else network.astype(str),
        **{n: _degrees(reference, n, cells, count) for n in ("lat", "lon")},
        "depth": np.full(count, depth),
    }
    units = {k: v for k, v in array.attrs.items() if k == "units"}
    return xr.Dataset(
        {"soil_moisture": (("sensor", "time"), values.values, units)},
        {"time": reference["time"], **{n: ("sensor", v) for n, v in coords.items()}},
    )


def _labels(reference: xr.Dataset, cells: str) -> np.ndarray:
    """Names of the cells: their own labels, or those of a coordinate that names stations, else their numbers."""
    labels = _along(reference, (cells.lower(), *COLUMNS["name"]), cells)
    return (np.arange(reference.sizes[cells]) if labels is None else labels).astype(str)


def _along(reference: xr.Dataset, names: Sequence[str], cells: str) -> np.ndarray | None:
    """Values along the cells of the first variable that has one of some names, in upper or lower case."""
    there = {str(n).lower(): v for n, v in reference.variables.items() if v.dims == (cells,)}
    return next((there[n].values for n in names if n in there), None)


def _degrees(reference: xr.Dataset, name: str, cells: str, count: int) -> np.ndarray:
    """Latitudes or longitudes of the series, NaN where they have none."""
    if (degrees := _along(reference, DEGREES[name], cells)) is not None:
        return degrees.astype("f8")
    coord = next((reference.coords[n] for n in DEGREES[name] if n in reference.coords), None)
    return np.full(count, np.nan if coord is None or coord.size != 1 else float(coord.values.item()))


def _depth(array: xr.DataArray) -> float:
    """Depth of a series by its attribute, the middle of a range; NaN where it has none, and for products of maps."""
    text = "" if array.attrs.get("role") in DEPTHS else str(array.attrs.get("depth", "")).strip()
    return _middle(text) if text else np.nan


def _middle(depth: Any) -> float:
    return float(np.mean(read_depth(depth).cm))


def _same_cells(reference: xr.Dataset, ds: xr.Dataset, dim: str) -> np.ndarray | None:
    """Position in the data of each cell of the reference, by their labels; None for stations at places of their own.

    Labels that the data lack have -1.
    """
    placed = all(_along(reference, DEGREES[n], dim) is not None for n in ("lat", "lon"))
    count, there = reference.sizes[dim], ds.sizes.get(dim, 0)
    labelled = there and dim in reference.coords and dim in ds.coords
    if not labelled and count == there:
        return np.arange(count)
    at = np.full(count, -1)
    if labelled and ds.indexes[dim].is_unique:
        at = ds.indexes[dim].get_indexer(reference.indexes[dim])
    numbers = labelled and ds.indexes[dim].dtype.kind in "iuf"
    if placed and ((at < 0).any() or (numbers and count < there)):
        return None
    if not labelled:
        raise DataError(
            f"The reference has {count} series along '{dim}', the data {there or 'none'}.",
            hint="Give both the same cells, or stations with lat and lon.",
        )
    if not (at >= 0).any():
        raise DataError(f"The reference has other values along '{dim}' than the data.",
                        hint="Give both the same cells, or stations with lat and lon.")  # fmt: skip
    if (at < 0).any() or count < there:
        tell(f"The reference has {count} series along '{dim}' and the data {there}: "
             f"the {int((at >= 0).sum())} of the same name are compared.")  # fmt: skip
    return at


def place(ds: xr.Dataset, names: Sequence[str], stations: xr.Dataset) -> Spots:
    """The cell of every sensor: the same one, that at its place, or the only series there is."""
    lat, lon = (stations[n].values.astype("f8") for n in ("lat", "lon"))
    none, dims = np.full(len(lat), np.nan), {str(d) for n in names for d in ds[n].dims} - {"time"}
    if CELL in stations.coords:
        (dim,) = dims
        return Spots({dim: stations[CELL].values}, np.full(len(lat), True), none, none)
    placed = np.isfinite(lat).any()
    if not dims and not (placed and {"lat", "latitude"} & set(ds.coords)):
        return Spots({}, np.full(len(lat), True), none, none)
    if not placed:
        raise DataError(
            f"The reference has no lat and lon, and the data have the dims {', '.join(sorted(dims))}.",
            hint="Take the series of one cell out of the data first, or give the reference its place.",
        )
    return spots_of(ds, lon, lat)
