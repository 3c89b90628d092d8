"""GeoTIFF of users as lazy maps: what the file says of missing values, scales, units and bands is applied once."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import rioxarray  # noqa: F401
import xarray as xr

from xsm.data.cf import kind
from xsm.data.grids import grid_of
from xsm.errors import DataError
from xsm.io.geotiff_bands import Band, bands_of, check_place, is_classes, numbers_in, open_tiff, tags_of
from xsm.io.raster import lazy_band

TAGS = "XSM"
"""Domain of the tags with all attributes of dataset and variable as JSON, and the name of the first file."""


def read(path: Path) -> xr.Dataset:
    """Open a GeoTIFF lazily; bands named by ISO dates become ``time``, others a dim ``band`` with their names.

    Missing values, masks, scale and offset are applied: integers that have any become floats. Classes (a palette, or
    ``flag_values``) keep their numbers and get the attribute ``_FillValue``. Bands of different units become variables
    of their own.
    """
    with open_tiff(path) as file:
        if file.subdatasets:
            raise DataError(f"'{path}' contains several rasters.", hint="Give one of them.")
        check_place(file, path)
        bands = bands_of(file)
        if not bands:
            raise DataError(f"'{path}' has no band but a mask.", hint="Give the raster itself.")
        about, attrs, was = _stored_attrs(_xsm_tags(file))
        name = file.tags().get("variable", "") or path.stem
        labels = [file.descriptions[b.number - 1] or "" for b in bands]
        described = [_attributes(file, b) | attrs for b in bands]
        palette = [_palette(file, b) for b in bands]
        crs, transform, shape = file.crs, file.transform, file.shape
    coords: dict[str, Any] = {
        "y": transform.f + (np.arange(shape[0]) + 0.5) * transform.e,
        "x": transform.c + (np.arange(shape[1]) + 0.5) * transform.a,
    }
    maps = [
        _map(path, band, shape, extra | colours, name, was)
        for band, extra, colours in zip(bands, described, palette, strict=True)
    ]
    groups: dict[str, list[int]] = {}
    for i, one in enumerate(maps):
        groups.setdefault(str(one.attrs.get("units", "")), []).append(i)
    variables: dict[str, xr.Variable] = {}
    if len(groups) == 1:
        dim, along = _along(labels)
        whole = _stacked(maps, dim) if len(maps) > 1 or dim == "time" else maps[0]
        variables[name] = whole
        coords |= along if dim in whole.dims else {}
    else:
        names = _names(labels)
        variables = {names[i]: one for i, one in enumerate(maps)}
    ds = xr.Dataset(variables, coords, about)
    ds = ds.rio.write_transform(transform)
    if crs is not None:
        ds = ds.rio.write_crs(crs).rio.write_coordinate_system()
    grid = grid_of(ds)
    return ds if grid is None else grid.assign(ds)


def xsm_tags(path: Path) -> dict[str, str]:
    """The tags that `xsm.io.geotiff.write` gave a file; empty for others, also for files that are not rasters."""
    try:
        with open_tiff(path) as file:
            return _xsm_tags(file)
    except DataError:
        return {}


def _xsm_tags(file: Any) -> dict[str, str]:
    """What xsm adds to a file; earlier versions kept it in a domain, which a copy of GDAL loses."""
    head = f"{TAGS}_"
    tags = {k.removeprefix(head): v for k, v in file.tags().items() if k.startswith(head)}
    return tags or dict(file.tags(ns=TAGS))


def _stored_attrs(tags: dict[str, str]) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Attributes of dataset and variable and its type, if xsm wrote the file; else empty."""
    try:
        about, attrs = (json.loads(tags.get(k, "{}")) for k in ("dataset", "variable"))
        return dict(about), dict(attrs), tags.get("dtype", "")
    except (ValueError, TypeError):
        return {}, {}, ""


def _attributes(file: Any, band: Band) -> dict[str, Any]:
    """Unit, name and classes of a band, as the file has them."""
    tags = tags_of(file, band.number)
    units = file.units[band.number - 1] or tags.get("units", "")
    attrs: dict[str, Any] = {"units": units} if units else {}
    attrs |= {k: tags[k] for k in ("long_name", "standard_name", "flag_meanings") if tags.get(k)}
    for key in ("flag_values", "flag_masks"):
        if (values := numbers_in(tags.get(key, ""))) and np.dtype(band.dtype).kind in "iu":
            attrs[key] = np.array(values).astype(band.dtype)
    return attrs


def _palette(file: Any, band: Band) -> dict[str, Any]:
    """The numbers of a palette as ``flag_values``: to the last one that is not black, without the missing one."""
    if not is_classes(file, band):
        return {}
    colours = file.colormap(band.number)
    last = max((n for n, c in colours.items() if c != (0, 0, 0, 255) and n not in band.missing), default=len(colours))
    values = [n for n in range(last + 1) if n not in band.missing]
    return {"flag_values": np.array(values).astype(band.dtype)}


def _map(path: Path, band: Band, shape: tuple[int, int], attrs: dict[str, Any], name: str, was: str) -> xr.Variable:
    """One band: classes as they are with their fill, all else decoded."""
    stored = np.dtype(band.dtype)
    whole = slice(0, shape[0]), slice(0, shape[1])
    plain = xr.Variable(("y", "x"), np.empty((0, 0), stored), attrs)
    mask = was == "bool" and band.plain()
    unscaled = stored.kind in "iu" and (band.scale, band.offset) == (1.0, 0.0)
    classes = unscaled and not mask and kind(plain, name) != "continuous"
    if stored.kind not in "iuf":
        raise DataError(f"'{path}' holds {stored}, expected numbers.", hint="Convert it with `gdal_translate -ot`.")
    left = {k: v for k, v in attrs.items() if k not in ("_FillValue", "missing_value", "scale_factor", "add_offset")}
    if classes:
        fill = None if band.plain() else _fill(band, attrs, path)
        left |= {} if fill is None else {"_FillValue": stored.type(fill)}
        return xr.Variable(("y", "x"), lazy_band(path, band, *whole, False, None, fill), left)
    data = lazy_band(path, band, *whole, True)
    return xr.Variable(("y", "x"), data.astype(bool) if mask else data, left)


def _fill(band: Band, attrs: dict[str, Any], path: Path) -> int | None:
    """The number that stands for missing in a map of classes: the file's, else one that is not a class."""
    limits = np.iinfo(band.dtype)
    fits = [int(v) for v in band.missing if limits.min <= v <= limits.max and v == int(v)]
    if fits:
        return fits[0]
    if not band.masked:
        return None
    fill = limits.max
    if fill in np.ravel(attrs.get("flag_values", ())):
        raise DataError(
            f"'{path}' has a mask and {fill} as a class, expected a number that is not a class for missing values.",
            hint="Convert it with `gdal_translate -a_nodata`.",
        )
    return int(fill)


def _stacked(maps: list[xr.Variable], dim: str) -> xr.Variable:
    import dask.array as da

    dtype = np.result_type(*(m.dtype for m in maps))
    fills = {float(m.attrs["_FillValue"]) for m in maps if "_FillValue" in m.attrs}
    if len(fills) > 1:
        raise DataError("The bands have different fill values for classes.", hint="Give them one with gdal_translate.")
    attrs = dict(maps[0].attrs)
    if any(m.attrs.get("long_name") != attrs.get("long_name") for m in maps):
        attrs.pop("long_name", None)
    return xr.Variable((dim, "y", "x"), da.stack([m.data.astype(dtype) for m in maps]), attrs)


def _along(labels: list[str]) -> tuple[str, dict[str, Any]]:
    """The dim of the bands: ``time`` where all names are ISO dates, else ``band`` with the numbers and names."""
    if labels and all(_is_date(text) for text in labels):
        dates = np.array(labels, "M8[D]").astype("M8[ns]")
        return "time", {"time": ("time", dates, {"standard_name": "time", "axis": "T"})}
    along: dict[str, Any] = {"band": ("band", np.arange(1, len(labels) + 1))}
    if any(labels):
        along["band_name"] = ("band", np.array(labels), {"long_name": "name of the band"})
    return "band", along


def _names(labels: list[str]) -> list[str]:
    """Names of variables from those of bands; ``band_1`` where there is none, or the name occurs twice."""
    names = [re.sub(r"\W+", "_", text).strip("_") for text in labels]
    return [n if n and names.count(n) == 1 and n not in ("x", "y") else f"band_{i + 1}" for i, n in enumerate(names)]


def _is_date(text: str) -> bool:
    try:
        np.datetime64(text, "D")
    except ValueError:
        return False
    return len(text) == 10
