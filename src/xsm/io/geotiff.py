"""Maps as GeoTIFF: days as bands with ISO names, units, statistics, and a style for QGIS beside the file."""

from __future__ import annotations

import glob
import itertools
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xsm.atomic import check_output, fresh
from xsm.data.grids import grid_of, require_grid
from xsm.data.skipped import listed, listen, with_skipped
from xsm.errors import DataError, tell
from xsm.io.styles import is_own, qml, signed

log = logging.getLogger("xsm")
DAYS_AT_ONCE = 64
TAGS = "XSM"
"""Domain of the tags with all attributes of dataset and variable as JSON, and the name of the first file."""
DERIVED = (".aux.xml", ".ovr")


def map_names(ds: xr.Dataset) -> list[str]:
    """Names of the variables that are maps of numbers, as `write` writes them."""
    return [str(n) for n, v in ds.data_vars.items() if {"y", "x"} <= set(v.dims) and v.dtype.kind in "fiub"]


def write(ds: xr.Dataset, path: Path, *, overwrite: bool = False, daily: bool = False) -> list[Path]:
    """Write each map variable as a GeoTIFF, the dates as bands with ISO names, or (``daily``) one file for each day.

    The first variable gets the path itself, each further one ``<stem>_<variable>.tif``, so that the path always exists.
    Files of further variables from an earlier call are replaced or removed. Each file gets a style for QGIS (``.qml``)
    beside it; a style that somebody has changed stays.
    """
    grid = grid_of(ds)
    if grid is None:
        raise DataError("Only maps on an EASE-Grid can be written as GeoTIFF.", hint="Write .nc or .zarr instead.")
    names = map_names(ds)
    if not names:
        raise DataError("The dataset contains no map of numbers.", hint="Write .nc or .zarr instead.")
    if other := sorted({str(n) for n in ds.data_vars} - set(names)):
        tell(f"{', '.join(other)} are not maps of numbers and are left out of the GeoTIFF.")
    stems = {n: path.with_name(f"{path.stem}_{n}.tif") if i else path for i, n in enumerate(names)}
    if daily:
        return [path for name, stem in stems.items() for path in _write_days(ds[name], ds.attrs, stem, overwrite)]
    old = [p for p in siblings(path) if p not in stems.values()]
    for stem in (*stems.values(), *old):
        check_output(stem, overwrite)
    timed = [n for n in names if "time" in ds[n].dims]
    about = dict(ds.attrs)
    with listen() as lost, ExitStack() as stack:
        put = {n: stack.enter_context(_geotiff(ds[n], about, stem, overwrite, path.name)) for n, stem in stems.items()}
        for first in range(0, ds.sizes["time"] if timed else 0, DAYS_AT_ONCE):
            block = ds[timed].isel(time=slice(first, first + DAYS_AT_ONCE)).load()  # variables share their work
            for name in timed:
                put[name](block[name])
        for name in set(names).difference(timed):
            put[name](ds[name])
        about |= with_skipped(about, lost())
    for stem in old:
        _remove(stem)
        log.info("'%s' of an earlier result was removed", stem.name)
    return list(stems.values())


def siblings(path: Path) -> list[Path]:
    """Files of further variables that an earlier `write` put beside a path."""
    files = sorted(path.parent.glob(f"{glob.escape(path.stem)}_*.tif"))
    return [p for p in files if p != path and _tags(p).get("beside") == path.name]


def _remove(path: Path) -> None:
    """Remove a GeoTIFF and the files that belong to it, except a style that somebody has changed."""
    _remove_derived(path)
    if _own_style(path.with_suffix(".qml")):
        path.with_suffix(".qml").unlink()
    path.unlink()


def _remove_derived(path: Path) -> None:
    """Remove what GDAL and QGIS computed from a file that no longer exists: statistics and overviews."""
    for ending in DERIVED:
        path.with_name(path.name + ending).unlink(missing_ok=True)


def _own_style(path: Path) -> bool:
    return path.exists() and is_own(path.read_text(encoding="utf-8", errors="replace"))


def _write_days(array: xr.DataArray, about: Mapping[Any, Any], stem: Path, overwrite: bool) -> Iterator[Path]:
    if "time" not in array.dims:
        with _geotiff(array, about, stem, overwrite) as put:
            put(array)
        yield stem
        return
    for first in range(0, array.sizes["time"], DAYS_AT_ONCE):
        part = array.isel(time=slice(first, first + DAYS_AT_ONCE)).load()
        for day in part["time"].values:
            path = stem.with_name(f"{stem.stem}_{day.astype('M8[D]')}.tif")
            with _geotiff(part.sel(time=[day]), about, path, overwrite) as put:
                put(part.sel(time=[day]))
            yield path


@contextmanager
def _geotiff(
    array: xr.DataArray, about: Mapping[Any, Any], path: Path, overwrite: bool, beside: str = ""
) -> Iterator[Callable[[xr.DataArray], None]]:
    """Open the file of a variable; yields a function that writes the next bands.

    ``about`` is written when the body ends, with what it contains then.
    """
    import rasterio
    from rasterio.transform import Affine

    grid = require_grid(array, f"'{array.name}'")
    dtype = np.dtype("u1") if array.dtype == bool else array.dtype
    fill = {"f": np.nan, "u": {"uint8": 255, "uint16": 65534}.get(str(dtype))}.get(dtype.kind)
    labels = _labels(array)
    units, bands, extremes = array.attrs.get("units", ""), itertools.count(1), []
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "height": grid.rows,
        "width": grid.cols,
        "count": len(labels),
        "dtype": dtype,
        "nodata": fill,
        "crs": f"EPSG:{grid.epsg}",
        "transform": Affine.from_gdal(*grid.geotransform),
        "compress": "deflate",
        "tiled": True,
        "blockxsize": 256,
        "blockysize": 256,
        "interleave": "band",
        "predictor": 3 if dtype.kind == "f" else 2,
    }
    with fresh(path, overwrite) as part, rasterio.open(part, "w", **profile) as file:

        def put(block: xr.DataArray) -> None:
            for values, band in zip(_banded(block).values.astype(dtype), bands, strict=False):
                file.write(values, band)
                if statistics := _statistics(values, fill):
                    file.update_tags(band, **statistics)
                    extremes.extend([statistics["STATISTICS_MINIMUM"], statistics["STATISTICS_MAXIMUM"]])

        yield put
        file.descriptions = labels
        file.units = [units] * len(labels)
        tags = {"units": units, "long_name": array.attrs.get("long_name", str(array.name))}
        plain = {str(k): str(v) for k, v in about.items() if np.ndim(v) == 0}
        plain |= {"skipped": "\n".join(listed(about))} if "skipped" in about else {}
        file.update_tags(**(plain | tags), variable=str(array.name))
        file.update_tags(ns=TAGS, dataset=_json(about), variable=_json(array.attrs), beside=beside)
    _remove_derived(path)
    style = path.with_suffix(".qml")
    if style.exists() and not _own_style(style):
        log.info("'%s' was changed by somebody and stays as it is", style.name)
        return
    with fresh(style, overwrite=True) as part:
        low, high = min(extremes, default=0.0), max(extremes, default=1.0)
        part.write_text(signed(qml(str(array.name), array.attrs, low, high)), encoding="utf-8")


def _json(attrs: Mapping[Any, Any]) -> str:
    return json.dumps({str(k): v for k, v in attrs.items()}, default=lambda value: np.asarray(value).tolist())


def _banded(array: xr.DataArray) -> xr.DataArray:
    """Dims (band, y, x), where ``band`` runs through all others."""
    extra = [d for d in array.dims if d not in ("y", "x")]
    array = array.stack(band=extra, create_index=False) if extra else array.expand_dims("band")
    return array.transpose("band", "y", "x")


def _statistics(values: np.ndarray, fill: float | None) -> dict[str, float]:
    """Statistics of a band under GDAL's names, so that QGIS need not compute them; empty for a band without values."""
    valid = values[np.isfinite(values) if values.dtype.kind == "f" else values != fill].astype("f8")
    if not valid.size:
        return {}
    return {
        "STATISTICS_MINIMUM": valid.min(),
        "STATISTICS_MAXIMUM": valid.max(),
        "STATISTICS_MEAN": valid.mean(),
        "STATISTICS_STDDEV": valid.std(),
        "STATISTICS_VALID_PERCENT": round(100 * valid.size / values.size, 2),
    }


def _labels(array: xr.DataArray) -> list[str]:
    """Names of the bands: dates in ISO form, other coordinates with their name; else the name of the variable."""
    extra = [str(d) for d in array.dims if d not in ("y", "x")]
    texts = [
        array[d].values.astype("M8[D]").astype(str)
        if array[d].dtype.kind == "M"
        else [f"{d} {v}" for v in array[d].values]
        for d in extra
    ]
    return [", ".join(parts) or str(array.name) for parts in itertools.product(*texts)]


def read(path: Path) -> xr.Dataset:
    """Open a GeoTIFF lazily; bands named by ISO dates become ``time``."""
    import rioxarray

    array = rioxarray.open_rasterio(path, masked=False, chunks={"band": 1})
    if not isinstance(array, xr.DataArray):
        raise DataError(f"'{path}' contains several rasters.", hint="Give one of them.")
    name = str(array.attrs.pop("variable", "") or path.stem)
    labels = array.attrs.pop("long_name", ())
    labels = [labels] if isinstance(labels, str) else list(labels)
    nodata = array.rio.nodata
    if nodata is not None and array.dtype.kind == "f":
        array = array.where(array != nodata)
    if labels and all(_is_date(text) for text in labels):
        dates = np.array(labels, "M8[D]").astype("M8[ns]")
        array = array.rename(band="time").assign_coords(time=("time", dates, {"standard_name": "time", "axis": "T"}))
    elif array.sizes["band"] == 1:
        array = array.squeeze("band", drop=True)
    keep = {k: v for k, v in array.attrs.items() if k in ("units", "flag_values", "flag_meanings")}
    if isinstance(keep.get("units"), tuple | list):
        keep["units"] = keep["units"][0]
    about, attrs = _attributes(path)
    array.attrs = keep | attrs
    ds = array.to_dataset(name=name).assign_attrs(about)
    grid = grid_of(ds)
    return ds if grid is None else grid.assign(ds)


def _attributes(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Attributes of dataset and variable, if `write` made the file; else empty."""
    tags = _tags(path)
    try:
        about, attrs = (json.loads(tags.get(k, "{}")) for k in ("dataset", "variable"))
        return dict(about), dict(attrs)
    except (ValueError, TypeError):
        return {}, {}


def _tags(path: Path) -> dict[str, str]:
    """The tags that `write` gave a file; empty for others, also for files that are not rasters."""
    import rasterio

    try:
        with rasterio.open(path) as file:
            return dict(file.tags(ns=TAGS))
    except rasterio.errors.RasterioIOError:
        return {}


def _is_date(text: str) -> bool:
    try:
        np.datetime64(text, "D")
    except ValueError:
        return False
    return len(text) == 10
