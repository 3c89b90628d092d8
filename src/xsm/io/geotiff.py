"""Maps as cloud-optimized GeoTIFF: days as bands with ISO names, units, statistics; a style for QGIS."""

from __future__ import annotations

import errno
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
from xsm.data.cf import fill_of, kind
from xsm.data.emptiness import spread, tell_written
from xsm.data.grids import grid_of
from xsm.data.skipped import listed, listen, with_skipped
from xsm.errors import DataError, tell
from xsm.io.geotiff_read import TAGS, xsm_tags
from xsm.io.styles import is_of_xsm, qml, signed

log = logging.getLogger("xsm")
DAYS_AT_ONCE = 64
DERIVED = (".aux.xml", ".ovr")
BLOCK = 256
"""Cells on a side of a tile, and at most of the smallest overview."""
IRREGULAR = 1e-3
"""Share of a step by which the distances of coordinates may differ."""


def map_names(ds: xr.Dataset) -> list[str]:
    """Names of the variables that are maps of numbers, as `write` writes them."""
    return [str(n) for n, v in ds.data_vars.items() if {"y", "x"} <= set(v.dims) and v.dtype.kind in "fiub"]


def write(ds: xr.Dataset, path: Path, *, overwrite: bool = False, daily: bool = False) -> list[Path]:
    """Write each map variable as a GeoTIFF, the dates as bands with ISO names, or (``daily``) one file for each day.

    The first variable gets the path itself, each further one ``<stem>_<variable>.tif``, so that the path always exists.
    Files of further variables from an earlier call are replaced or removed. Each file gets a style for QGIS (``.qml``)
    beside it; a style that somebody has changed stays.
    """
    names = map_names(ds)
    if not names:
        raise DataError("The dataset contains no map of numbers.", hint="Write .nc or .zarr instead.")
    _place(ds[names[0]])
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
    tell_written(ds[names], lambda name: _bands(stems[name]), path.name)
    for stem in old:
        _remove(stem)
        log.info("'%s' of an earlier result was removed", stem.name)
    return list(stems.values())


def _bands(path: Path) -> Iterator[np.ndarray]:
    import rasterio

    with rasterio.open(path) as file:
        for band in spread(list(file.indexes)):
            yield file.read(band)


def siblings(path: Path) -> list[Path]:
    """Files of further variables that an earlier `write` put beside a path."""
    files = sorted(path.parent.glob(f"{glob.escape(path.stem)}_*.tif"))
    return [p for p in files if p != path and xsm_tags(p).get("beside") == path.name]


def _remove(path: Path) -> None:
    """Remove a GeoTIFF and the files that belong to it, except a style that somebody has changed."""
    _remove_derived(path)
    if _is_of_xsm(path.with_suffix(".qml")):
        path.with_suffix(".qml").unlink()
    path.unlink()


def _remove_derived(path: Path) -> None:
    """Remove what GDAL and QGIS computed from a file that no longer exists: statistics and overviews."""
    for ending in DERIVED:
        path.with_name(path.name + ending).unlink(missing_ok=True)


def _is_of_xsm(path: Path) -> bool:
    return path.exists() and is_of_xsm(path.read_text(encoding="utf-8", errors="replace"))


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

    ``about`` is written when the body ends, with what it contains then. The bands go to a draft, for nothing may change
    in a cloud-optimized file: its directory, overviews and tiles lie in the order in which they are asked for.
    """
    import rasterio

    dtype = np.dtype({"bool": "u1", "float16": "f4"}.get(str(array.dtype), array.dtype))
    fill = _fill(array)
    labels = _labels(array)
    units, bands, extremes = array.attrs.get("units", ""), itertools.count(1), []
    layout: dict[str, Any] = {"driver": "GTiff", "tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK,
                              "interleave": "band", "bigtiff": "if_safer"}  # fmt: skip
    packed = {"compress": "deflate", "predictor": 3 if dtype.kind == "f" else 2}
    profile = layout | _place(array) | {"count": len(labels), "dtype": dtype, "nodata": fill}
    with fresh(path, overwrite) as part:
        draft = part.with_name("draft")
        with rasterio.open(draft, "w", **profile) as file:

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
            kept = {
                "dataset": _json(about),
                "variable": _json(array.attrs),
                "beside": beside,
                "dtype": str(array.dtype),
            }
            file.update_tags(**{f"{TAGS}_{name}": text for name, text in kept.items()})
        _optimize(draft, part, layout | packed, averaged=kind(array) == "continuous" and array.dtype.kind != "b")
    _remove_derived(path)
    style = path.with_suffix(".qml")
    if style.exists() and not _is_of_xsm(style):
        log.info("'%s' was changed by somebody and stays as it is", style.name)
        return
    with fresh(style, overwrite=True) as part:
        low, high = min(extremes, default=0.0), max(extremes, default=1.0)
        part.write_text(signed(qml(str(array.name), array.attrs, low, high)), encoding="utf-8")


def _optimize(draft: Path, part: Path, layout: Mapping[str, Any], *, averaged: bool) -> None:
    """Copy a draft into a cloud-optimized file with overviews: means of values, every other cell of classes and flags.

    GDAL's own driver for such files has bands side by side from version 3.11 on only: a day would need all of them.
    """
    import rasterio
    from rasterio._err import CPLE_BaseError
    from rasterio.enums import Resampling
    from rasterio.shutil import copy

    try:
        with rasterio.Env(GDAL_TIFF_OVR_BLOCKSIZE=BLOCK):
            with rasterio.open(draft, "r+") as file:
                size = max(file.shape)
                levels = [2**n for n in range(1, size.bit_length()) if size > BLOCK * 2 ** (n - 1)]
                if levels:
                    file.build_overviews(levels, Resampling.average if averaged else Resampling.nearest)
            copy(draft, part, copy_src_overviews=True, **layout)
    except CPLE_BaseError as error:
        raise OSError(errno.EIO, str(error)) from error
    draft.unlink()


def _place(array: xr.DataArray) -> dict[str, Any]:
    """Size, CRS and transform of a map: those of its EASE-Grid, else of its own coordinates and CRS."""
    import rioxarray  # noqa: F401
    from rasterio.transform import Affine

    size = {"height": array.sizes["y"], "width": array.sizes["x"]}
    grid = grid_of(array)
    if grid is not None:
        return size | {"crs": f"EPSG:{grid.epsg}", "transform": Affine.from_gdal(*grid.geotransform)}
    crs = array.rio.crs
    if crs is None:
        raise DataError(
            f"'{array.name}' has no CRS and is not on an EASE-Grid.", hint="Set it with `.rio.write_crs`, or write .nc."
        )
    (left, width), (top, height) = (_axis(array, dim) for dim in ("x", "y"))
    if width < 0 or height > 0:
        raise DataError(
            f"'{array.name}' runs from south to north or from east to west, expected north up.",
            hint="Sort 'x' upwards and 'y' downwards, or write .nc.",
        )
    return size | {"crs": crs, "transform": Affine(width, 0, left, 0, height, top)}


def _axis(array: xr.DataArray, dim: str) -> tuple[float, float]:
    """Outer edge and step of regular coordinates."""
    centres = np.asarray(array[dim], "f8")
    steps = np.diff(centres)
    if not steps.size or not np.allclose(steps, steps.mean(), rtol=IRREGULAR, atol=0):
        raise DataError(
            f"'{array.name}' has {centres.size} coordinates '{dim}' without one distance between them.",
            hint="Write .nc or .zarr instead.",
        )
    step = float((centres[-1] - centres[0]) / (centres.size - 1))
    return float(centres[0] - step / 2), step


def _fill(array: xr.DataArray) -> float | None:
    """The number for missing values: NaN, or the one that integers declare; classes and flags have that of their type.

    Other integers have none, for each of them can be a value.
    """
    if array.dtype.kind == "f":
        return float("nan")
    declared = array.attrs.get("_FillValue", array.encoding.get("_FillValue"))
    if declared is not None or array.dtype.kind == "b":
        return None if declared is None or declared != declared else float(declared)
    return fill_of(array.dtype) if kind(array) != "continuous" else None


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
