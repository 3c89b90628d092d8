"""Places: a latitude and a longitude, or a table of them, and the cells of maps in which they lie."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr

from xsm.data.areas import DEGREES, EASE, transformer
from xsm.data.cf import fill_of, kind
from xsm.data.emptiness import tell_emptied, valid_share
from xsm.data.positions import Along, axes_of, inside, positions
from xsm.errors import DataError, UsageError, tell, unknown

COLUMNS = {
    "lat": ("lat", "latitude", "y"),
    "lon": ("lon", "long", "longitude", "x"),
    "name": ("name", "station", "station_name", "place", "site", "id", "index", "sensor"),
}
"""Names of the columns of a table, upper or lower case; the first that it has counts. A name may be absent."""
SHOWN = 3
PLACE = "place"


@dataclass(frozen=True)
class Places:
    """Degrees and names of places, and where they come from; ``single`` is one that was not in a list."""

    lat: np.ndarray
    lon: np.ndarray
    name: np.ndarray
    where: str
    single: bool = False


def places_of(lat: Any, lon: Any, points: Any) -> Places:
    """Places from a latitude and a longitude, from lists of them, or from a table.

    Parameters
    ----------
    lat, lon : float, str or sequence of float
        Degrees.
    points : path, DataFrame, Dataset, mapping or sequence
        A CSV or a table with the columns of `COLUMNS`, stations, or pairs of latitude and longitude.

    Raises
    ------
    UsageError
        Where neither or both are there, or one of latitude and longitude is absent.
    DataError
        For a table without these columns, and for numbers that are no degrees.

    Examples
    --------
    >>> places_of(40, -100, None).single, places_of(None, None, [(40, -100), (41, -99)]).name.tolist()
    (True, ['40,-100', '41,-99'])
    """
    if points is None and lat is None and lon is None:
        raise UsageError("at needs a place.", hint="Give <lat=> and <lon=>, or a table with <points=>.")
    if points is not None and not (lat is None and lon is None):
        raise UsageError("at got a place and a table of places.", hint="Give <lat=> and <lon=>, or <points=>.")
    if points is not None:
        return _checked(*_of_points(points))
    if lat is None or lon is None:
        raise UsageError(f"at got no '{'lat' if lat is None else 'lon'}'.", hint="Give <lat=> and <lon=> in degrees.")
    y, x = _numbers("lat", lat), _numbers("lon", lon)
    if y.shape != x.shape:
        raise UsageError(f"at got {y.size} latitudes and {x.size} longitudes.", hint="Give one of each for a place.")
    return _checked(np.atleast_1d(y), np.atleast_1d(x), None, "the arguments", single=y.ndim == 0)


def _numbers(name: str, value: Any) -> np.ndarray:
    """A number, or a list of them; a text may have commas."""
    parts = value.replace(",", " ").split() if isinstance(value, str) else value
    try:
        numbers = np.asarray(parts, "f8")
    except (TypeError, ValueError):
        raise UsageError(f"'{name}' is {value!r}, expected degrees.", hint="Give a number such as -98.5.") from None
    return numbers.reshape(()) if isinstance(value, str) and numbers.size == 1 else numbers


def _of_points(points: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, str]:
    """Latitudes, longitudes, names if there are any, and where they come from."""
    import pandas as pd

    if isinstance(points, str | Path):
        return _of_frame(_csv(Path(points)), f"'{points}'")
    if isinstance(points, xr.DataArray):
        points = points.to_dataset(name="values")
    if isinstance(points, xr.Dataset):
        return _of_frame(_stations(points), "'points'")
    if isinstance(points, Mapping):
        points = pd.DataFrame({k: np.atleast_1d(v) for k, v in points.items()})
    if hasattr(points, "columns"):
        named = points.index.name is not None or points.index.dtype.kind not in "iu"
        return _of_frame(points.rename_axis(points.index.name or "name").reset_index() if named else points, "'points'")
    if isinstance(points, Iterable):
        pairs = [tuple(p) if isinstance(p, Sequence | np.ndarray) and not isinstance(p, str) else p for p in points]
        if pairs and all(isinstance(p, tuple) and len(p) == 2 for p in pairs):
            lat, lon = np.array([_numbers("points", p) for p in pairs]).T
            return lat, lon, None, "'points'"
    raise UsageError(
        f"'points' is a {type(points).__name__}, expected a table of places.",
        hint="Give a CSV or a DataFrame with the columns lat, lon and name, or pairs of latitude and longitude.",
    )


def _csv(path: Path) -> Any:
    import pandas as pd

    if not path.is_file():
        raise DataError(f"'{path}' does not exist.", hint="Give a CSV with the columns lat, lon and name.")
    try:
        return pd.read_csv(path, sep=None, engine="python", comment="#", encoding="utf-8-sig", skipinitialspace=True)
    except (ValueError, OSError) as error:
        raise DataError(
            f"'{path}' is not a table ({str(error).splitlines()[0][:100]}).",
            hint="Give a CSV with the columns lat, lon and name.",
        ) from None


def _stations(ds: xr.Dataset) -> Any:
    """A row for each station of a dataset that has latitudes and longitudes along one dim."""
    import pandas as pd

    names = {k: next((str(n) for n in ds.variables if str(n).lower() in known), None) for k, known in COLUMNS.items()}
    lat, lon = names["lat"], names["lon"]
    if lat is None or lon is None or ds[lat].dims != ds[lon].dims or ds[lat].ndim > 1:
        raise DataError(
            f"'points' (dims {dict(ds.sizes)}) has no latitude and longitude of stations.",
            hint="Give stations, or a table with the columns lat, lon and name.",
        )
    label = next((n for n in COLUMNS["name"] if n in ds.variables and ds[n].dims == ds[lat].dims), None)
    columns = [lat, lon, *([label] if label else [])]
    return pd.DataFrame({n: np.atleast_1d(ds[n].values) for n in columns})


def _of_frame(frame: Any, where: str) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, str]:
    columns = {str(c).strip().lower(): c for c in frame.columns}
    column = {k: next((columns[n] for n in known if n in columns), None) for k, known in COLUMNS.items()}
    for key in ("lat", "lon"):
        if column[key] is None:
            raise DataError(
                f"{where} has the columns {', '.join(map(str, frame.columns))}, expected lat, lon and name.",
                hint="Name latitude and longitude in degrees lat and lon.",
            )
    rows = frame[[c for c in column.values() if c is not None]].drop_duplicates()
    if not len(rows):
        raise DataError(f"{where} has no row, expected a place in each.", hint="Look at the table.")
    try:
        lat, lon = (rows[column[k]].to_numpy("f8") for k in ("lat", "lon"))
    except ValueError as error:
        raise DataError(f"{where} has latitudes or longitudes that are no numbers ({error}).",
                        hint="Give degrees such as -98.5.") from None  # fmt: skip
    return lat, lon, None if column["name"] is None else rows[column["name"]].astype(str).to_numpy(str), where


def _checked(lat: np.ndarray, lon: np.ndarray, name: np.ndarray | None, where: str, *, single: bool = False) -> Places:
    if not lat.size:
        raise UsageError(f"{where} has no place.", hint="Give a latitude and a longitude.")
    wrong = ~((np.abs(lat) <= 90) & (lon >= -180) & (lon <= 360))
    if wrong.any():
        y, x = lat[wrong][0], lon[wrong][0]
        swapped = abs(x) <= 90 < abs(y) <= 360
        raise DataError(
            f"{where} has the place latitude {y:g}, longitude {x:g}, expected -90 to 90 and -180 to 360.",
            hint="Latitude and longitude are swapped." if swapped else "Give degrees.",
        )
    texts = np.array([f"{y:g},{x:g}" for y, x in zip(lat, lon, strict=True)]) if name is None else name
    return Places(lat, lon, texts, where, single)


def values_at(
    ds: xr.Dataset, places: Places, method: Literal["nearest", "bilinear"], variables: Sequence[str] | None = None
) -> xr.Dataset:
    """Values of maps at places, lazy where the maps are; see `xsm.at`."""
    rows, cols, box = positions(ds, places.lon, places.lat)
    names = map_names(ds, variables)
    within = inside(rows, cols)
    _tell_outside(places, within, box)
    y_name, x_name, cell = axes_of(ds)
    near = ds[names].isel({a.dim: xr.DataArray(a.nearest, dims=PLACE) for a in (rows, cols)})
    y, x = (near[n].values.astype("f8") for n in (y_name, x_name))
    lon, lat = transformer(EASE, DEGREES).transform(x, y) if cell else (x, y)
    if method == "bilinear":
        smooth = [n for n in names if kind(ds[n]) == "continuous" and ds[n].dtype.kind in "fiu"]
        near = near.assign({n: _bilinear(ds[n], near[n], rows, cols) for n in smooth})
    if not within.all():
        near = near.map(lambda v: _without(v, xr.DataArray(within, dims=PLACE)), keep_attrs=True)
    near = near.drop_vars([n for n in near.coords if n in (y_name, x_name, rows.dim, cols.dim, "spatial_ref")])
    known = np.where(within, 1.0, np.nan)
    out = near.assign_coords(
        place=(PLACE, places.name, {"cf_role": "timeseries_id"}),
        lat=(PLACE, lat * known, {"standard_name": "latitude", "long_name": "Latitude of the cell",
                                  "units": "degrees_north"}),
        lon=(PLACE, lon * known, {"standard_name": "longitude", "long_name": "Longitude of the cell",
                                  "units": "degrees_east"}),
        distance=(PLACE, _kilometres(places, lat, lon) * known,
                  {"long_name": "Distance from the place to the centre of its cell", "units": "km"}),
    )  # fmt: skip
    out = out.transpose("time", ..., PLACE, missing_dims="ignore")
    out = out.isel({PLACE: 0}).drop_vars(PLACE) if places.single else out
    _tell_empty(ds, out, names, places)
    return out


def map_names(ds: xr.Dataset, variables: Sequence[str] | None = None) -> list[str]:
    """Names of the maps of a dataset, or those of some variables, each of which must be one.

    Examples
    --------
    >>> coords = {"lat": [1.0, 0.0], "lon": [0.0, 1.0]}
    >>> map_names(xr.Dataset({"a": (("lat", "lon"), np.zeros((2, 2))), "b": ("lat", [0, 1])}, coords))
    ['a']
    """
    y, x, _ = axes_of(ds)
    dims = str(ds[y].dims[0]), str(ds[x].dims[0])
    maps = [str(n) for n, v in ds.data_vars.items() if set(dims) <= set(v.dims)]
    for name in variables or ():
        if name not in ds.variables:
            raise unknown("variable", name, maps)
        if name not in maps:
            raise DataError(f"'{name}' has the dims {ds[name].dims}, expected a map.",
                            hint=f"Name another variable: {', '.join(maps)}.")  # fmt: skip
    if not maps:
        raise DataError(f"None of the variables ({', '.join(map(str, ds.data_vars)) or 'none'}) is a map.",
                        hint=f"Expected variables with the dims {dims[0]} and {dims[1]}.")  # fmt: skip
    return list(variables or maps)


def _tell_outside(places: Places, within: np.ndarray, box: str) -> None:
    if within.all():
        return
    out = [f"{n} (latitude {y:g}, longitude {x:g})" if n != f"{y:g},{x:g}" else n
           for n, y, x in zip(places.name[~within], places.lat[~within], places.lon[~within], strict=True)]  # fmt: skip
    if places.single:
        raise DataError(
            f"The place latitude {places.lat[0]:g}, longitude {places.lon[0]:g} lies outside the maps ({box}).",
            hint="Give degrees north and east, negative in the west and the south.",
        )
    if not within.any():
        raise DataError(f"All {len(out)} places of {places.where}, such as {out[0]}, lie outside the maps ({box}).",
                        hint="Are latitude and longitude swapped? Look at the region of the maps.")  # fmt: skip
    more = ", ..." if len(out) > SHOWN else ""
    tell(f"{len(out)} of {len(within)} places lie outside the maps ({box}) and are missing: "
         f"{'; '.join(out[:SHOWN])}{more}.")  # fmt: skip


def _bilinear(maps: xr.DataArray, near: xr.DataArray, rows: Along, cols: Along) -> xr.DataArray:
    """Mean of the four cells around each place, of those that have a value; missing where the nearest has none."""
    corners = [(r, c) for r in (0, 1) for c in (0, 1)]
    weights = [np.abs(1 - r - rows.share) * np.abs(1 - c - cols.share) for r, c in corners]
    index = {
        axis.dim: xr.DataArray(
            np.stack([(axis.before, axis.after)[pair[k]] for pair in corners]), dims=("corner", PLACE)
        )
        for k, axis in enumerate((rows, cols))
    }
    around = maps.variable.isel({d: v.variable for d, v in index.items()})
    weight = xr.Variable(("corner", PLACE), np.stack(weights)).where(np.isfinite(around))
    mean = ((around * weight).sum("corner") / weight.sum("corner")).where(np.isfinite(near.variable))
    dtype = maps.dtype if maps.dtype.kind == "f" else np.dtype("f8")
    return near.copy(data=mean.transpose(*near.dims).astype(dtype).data)


def _without(array: xr.DataArray, within: xr.DataArray) -> xr.DataArray:
    """The array without values at places outside: NaN, or the missing value of classes and flags."""
    fill = array.attrs.get("_FillValue", fill_of(array.dtype))
    return array.where(within) if fill is None or array.dtype.kind == "f" else array.where(within, fill)


def _kilometres(places: Places, lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    from pyproj import Geod

    return np.asarray(Geod(ellps="WGS84").inv(places.lon, places.lat, lon, lat)[2]) / 1000


def _tell_empty(ds: xr.Dataset, out: xr.Dataset, names: Sequence[str], places: Places) -> None:
    """Warn of variables that have no value at any place; of places that have none, where others have."""
    floats = [n for n in names if out[n].dtype.kind == "f"]
    empty = [n for n in floats if out[n].chunks is not None or not np.isfinite(out[n].values).any()]
    what = "The place lies in a cell" if places.single else "All places lie in cells"
    tell_emptied(out, {n: valid_share(ds[n]) for n in empty},
                 f"{what} without any value: on water, or beyond a mask of the product.", empty)  # fmt: skip
    for name in set(floats) - set(empty) if not places.single else ():
        valid = xr.DataArray(np.isfinite(out[name])).any([d for d in out[name].dims if d != PLACE])
        lacking = out[PLACE].values[~valid.values & np.isfinite(out["lat"].values)]
        if len(lacking):
            tell(f"'{name}' has no value at {len(lacking)} of {out.sizes[PLACE]} places: "
                 f"{', '.join(lacking[:SHOWN])}{', ...' if len(lacking) > SHOWN else ''}.")  # fmt: skip
