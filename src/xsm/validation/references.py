"""What products are compared with: stations, or series with or without a place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from xsm.data.cells import Spots, spots_of
from xsm.data.series import series_names
from xsm.errors import DataError, UsageError
from xsm.validation.depths import read_depth

CELL = "cell_of_data"
"""Coordinate of sensors: the position of their cell in the data, where both have the same cells."""


def as_stations(reference: xr.Dataset, ds: xr.Dataset) -> xr.Dataset:
    """Stations as they are; a series becomes a station, a table of series or of cells one for each.

    Parameters
    ----------
    reference : xarray.Dataset
        ``soil_moisture(sensor, time)``, or variables with the dims ``time`` and at most one other, which is then that
        of the cells of ``ds``.
    ds : xarray.Dataset
        Data that are compared with it.

    Raises
    ------
    UsageError
        For maps, and for stations where the data should be.
    DataError
        Where the cells are not those of the data.

    Examples
    --------
    >>> days = np.array(["2021-04-01", "2021-04-02"], "M8[ns]")
    >>> sm = xr.Dataset({"probe": ("time", [0.2, 0.3])}, {"time": days})
    >>> as_stations(sm, sm)["station"].values.tolist()
    ['probe']
    """
    if "sensor" in reference.dims:
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
    if cells:
        _check_same_cells(reference, ds, cells)
    count = reference.sizes[cells] if cells else 1
    labels = reference[cells].values.astype(str) if cells in reference.coords else np.arange(count).astype(str)
    sensors = [_sensors(reference, name, cells, labels, many=len(names) > 1) for name in names]
    stations = xr.concat(sensors, "sensor", combine_attrs="override")
    return stations.assign_coords({CELL: ("sensor", np.tile(np.arange(count), len(names)))}) if cells else stations


def _sensors(reference: xr.Dataset, name: str, cells: str, labels: np.ndarray, *, many: bool) -> xr.Dataset:
    """A variable as ``soil_moisture(sensor, time)``."""
    array = reference[name]
    values = (array if cells in array.dims else array.expand_dims(cells or "sensor")).transpose(..., "time")
    count = values.sizes[values.dims[0]]
    short = "reference" if name == "value" else name
    names = labels if cells in array.dims else np.full(count, "")
    station = np.array([f"{short} {label}".strip() if many or not cells else label for label in names])
    coords = {
        "station": station,
        "network": np.full(count, ""),
        **{n: _degrees(reference, known, count) for n, known in (("lat", "latitude"), ("lon", "longitude"))},
        "depth": np.full(count, _depth(array)),
    }
    units = {k: v for k, v in array.attrs.items() if k == "units"}
    return xr.Dataset(
        {"soil_moisture": (("sensor", "time"), values.values, units)},
        {"time": reference["time"], **{n: ("sensor", v) for n, v in coords.items()}},
    )


def _degrees(reference: xr.Dataset, name: str, count: int) -> np.ndarray:
    """Latitudes or longitudes of the series, NaN where they have none."""
    coord = next((reference.coords[n] for n in (name[:3], name) if n in reference.coords), None)
    return np.full(count, np.nan) if coord is None or coord.size not in (1, count) else np.full(count, coord.values)


def _depth(array: xr.DataArray) -> float:
    """Depth of a series by its attribute, the middle of a range; NaN where it has none."""
    if not str(array.attrs.get("depth", "")).strip():
        return np.nan
    return float(np.mean(read_depth(array.attrs["depth"]).cm))


def _check_same_cells(reference: xr.Dataset, ds: xr.Dataset, dim: str) -> None:
    if reference.sizes[dim] != ds.sizes.get(dim):
        raise DataError(
            f"The reference has {reference.sizes[dim]} series along '{dim}', the data {ds.sizes.get(dim, 'none')}.",
            hint="Give both the same cells, or stations with lat and lon.",
        )
    if dim in reference.coords and dim in ds.coords and not np.array_equal(reference[dim], ds[dim]):
        raise DataError(f"The reference has other values along '{dim}' than the data.",
                        hint="Give both the same cells in the same order.")  # fmt: skip


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
