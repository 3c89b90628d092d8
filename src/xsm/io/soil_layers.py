"""Soil maps in layers of GeoTIFF, one for a property and a depth: stacked, in canonical units, fractions of 100."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xsm.contracts.source import Request
from xsm.data.cf import SOIL_FRACTIONS, canonical_attrs, drop_impossible
from xsm.data.soil_values import check_fits, checked_share
from xsm.data.units import convert, unit_of
from xsm.errors import DataError, UsageError, tell
from xsm.io.raster import open_raster

DEPTH = {"long_name": "depth below the surface", "units": "cm", "positive": "down", "axis": "Z"}
_META = np.empty((0, 0), "f4")

Layers = Mapping[tuple[str, float], Path]
"""Files by canonical name and depth in cm."""


@dataclass(frozen=True)
class SoilProduct:
    """What the layers of a soil product have in common.

    Parameters
    ----------
    name : str
        For people.
    properties : mapping of str to str
        The product's names by canonical ones, such as ``{"bulk_density": "bdod"}``.
    units : mapping of str to str
        Units of the stored numbers by canonical names, which the files need not say.
    fill : float
        Number that is missing in ``dtype`` whatever a file says, and in files without a nodata value.
    dtype : str
        Of the product's own files.
    look : callable, optional
        Called with each raster and its path; warns of what is odd.

    Examples
    --------
    >>> SoilProduct("ACME", {"clay": "CLY"}, {"clay": "g kg-1"}, 255, "u1").properties["clay"]
    'CLY'
    """

    name: str
    properties: Mapping[str, str]
    units: Mapping[str, str]
    fill: float
    dtype: str
    look: Callable[[xr.DataArray, Path], None] | None = None


def open_soil(
    layers: Layers,
    depths: Sequence[float],
    request: Request,
    product: SoilProduct,
    absent: Callable[[str, float], DataError],
    *,
    bounds: Sequence[tuple[float, float]] = (),
    rescale: bool = True,
) -> xr.Dataset:
    """Open soil layers as lazy maps ``(soil_depth, y, x)`` in the CRS of the files.

    Sand, silt and clay share one mask and are rescaled to a sum of 100. With ``on_error="skip"`` a layer that cannot be
    read is missing everywhere, a damaged block of one where it lies.

    Parameters
    ----------
    layers : mapping of (str, float) to Path
        Files by canonical name and depth.
    depths : sequence of float
        In cm, the coordinate ``soil_depth``; of layers their middles.
    request : Request
        Its region, variables, ``on_error`` and units count.
    product : SoilProduct
        What the layers have in common.
    absent : callable
        Makes the error for a property and a depth that are not among the layers.
    bounds : sequence of (float, float)
        Tops and bottoms of layers in cm, the coordinate ``soil_depth_bounds``; none for maps at points.
    rescale : bool
        Whether fractions become parts of their sum.

    Returns
    -------
    xarray.Dataset
        float32, percent and g cm-3; attributes ``skipped`` and ``synthetic`` where there is something to say.

    Raises
    ------
    DataError
        For layers that are absent, damaged, in another unit or on different grids.

    Examples
    --------
    >>> from xsm.contracts.source import Request
    >>> from xsm.testing import write_layer
    >>> path = write_layer(Path("cly.tif"), np.full((4, 5), 200, "i2"), "EPSG:5070", (0.0, 400.0), 100.0)
    >>> acme = SoilProduct("ACME", {"clay": "cly"}, {"clay": "g kg-1"}, -32768, "i2")
    >>> request = Request((path,), variables=("clay",))
    >>> ds = open_soil({("clay", 5): path}, [5], request, acme, lambda name, depth: DataError("no"))
    >>> float(ds["clay"][0, 0, 0])
    20.0
    """
    names = soil_names(request.variables, {name for name, _ in layers}, product)
    skipped: list[str] = []
    needed = [*SOIL_FRACTIONS, *names] if rescale and set(names) & set(SOIL_FRACTIONS) else names
    needed = [n for n in dict.fromkeys(needed) if n in names or any((n, d) in layers for d in depths)]
    rasters: dict[tuple[str, float], xr.DataArray] = {}
    for key in ((name, depth) for name in needed for depth in depths):
        try:
            if key not in layers:
                raise absent(*key)
            rasters[key] = _open(layers[key], key[0], request, product)
        except DataError as error:
            if request.on_error == "raise":
                raise
            skipped.append(str(error))
    if not rasters:
        raise DataError(f"None of {len(skipped)} layers can be read, the first: {skipped[0]}")
    first = _same_grid(rasters)
    maps = {n: _stack([rasters.get((n, d)) for d in depths], n, first, product) for n in needed}
    if rescale:
        where = [Path(r.attrs["path"]).name for (n, _), r in rasters.items() if n in SOIL_FRACTIONS]
        _rescale(maps, names, ", ".join(map(repr, where)))
    ds = xr.Dataset(
        {n: (("soil_depth", "y", "x"), maps[n], canonical_attrs(n)) for n in names},
        coords={"soil_depth": ("soil_depth", np.array(depths), dict(DEPTH)), **first.coords},
    )
    if bounds:
        ds = ds.assign_coords(soil_depth_bounds=(("soil_depth", "end"), np.array(bounds), {"units": "cm"}))
        ds["soil_depth"].attrs["bounds"] = "soil_depth_bounds"
    for name in names:
        ds[name].encoding["grid_mapping"] = "spatial_ref"
    extra = {"synthetic": first.attrs["synthetic"], "skipped": skipped}
    return ds.assign_attrs({k: v for k, v in extra.items() if v})


def soil_names(variables: Sequence[str] | None, present: Iterable[str], product: SoilProduct) -> list[str]:
    """Canonical names to open: those that are asked for, else those that the files have.

    Parameters
    ----------
    variables : sequence of str or None
        What the user asks for.
    present : iterable of str
        Canonical names of the files.
    product : SoilProduct
        Knows all names.

    Returns
    -------
    list of str

    Raises
    ------
    UsageError
        For a name that the product does not have.

    Examples
    --------
    >>> acme = SoilProduct("ACME", {"clay": "cly", "sand": "snd"}, {}, 255, "u1")
    >>> soil_names(None, {"sand"}, acme)
    ['sand']
    """
    for name in variables or ():
        if name not in product.properties:
            raise UsageError(
                f"{product.name} has no variable '{name}'.", hint=f"It has: {', '.join(product.properties)}."
            )
    return list(dict.fromkeys(variables or [n for n in product.properties if n in present]))


def soil_depths(soil_depth: Iterable[int | str] | int | str, known: Iterable[int], product: str) -> list[int]:
    """Depths in cm as a user gives them, checked.

    Parameters
    ----------
    soil_depth : int, str or iterable of them
        Such as ``5``, ``"5,30"`` or ``[5, 30]``.
    known : iterable of int
        Depths that the product has.
    product : str
        Its name, for errors.

    Returns
    -------
    list of int

    Raises
    ------
    UsageError
        For a depth that the product does not have, or none.

    Examples
    --------
    >>> soil_depths("5,30", (0, 5, 15, 30), "ACME")
    [5, 30]
    """
    items = [soil_depth] if isinstance(soil_depth, int | str) else list(soil_depth)
    texts = [part.strip() for item in items for part in str(item).split(",") if part.strip()]
    choices = ", ".join(map(str, known))
    for text in texts:
        if text not in choices.split(", "):
            raise UsageError(f"{product} has no depth {text} cm.", hint=f"It has: {choices}.")
    if not texts:
        raise UsageError("soil_depth is empty.", hint=f"Choose of {choices} cm.")
    return list(dict.fromkeys(map(int, texts)))


def _open(path: Path, name: str, request: Request, product: SoilProduct) -> xr.DataArray:
    raster = open_raster(path, request.region, on_error=request.on_error, decode=False)
    if raster is None and request.region is not None:
        raise DataError(f"'{path}' does not touch the region {request.region.bbox}.", hint="Check the region.")
    assert raster is not None  # noqa: S101
    if raster.dtype.kind not in "uif":
        raise DataError(f"'{path}' contains {raster.dtype}, expected numbers.", hint="Get it again.")
    nodata = raster.attrs["nodata"]
    if nodata is None:
        tell(f"'{path}' has no nodata value; every pixel but {product.fill:g} counts.")
    elif raster.dtype == product.dtype and nodata != product.fill:
        tell(f"'{path}' has the nodata value {nodata:g}, expected {product.fill:g}; both are missing.")
    if product.look is not None:
        product.look(raster, path)
    theirs = product.properties[name]
    stated = request.units.get(name) is not None or request.units.get(theirs) is not None
    unit = unit_of(raster.attrs["units"], name, path, request.units, known=theirs) if stated else ""
    return raster.assign_attrs(path=str(path), stated=unit)


def _decoded(stored: np.ndarray, about: Mapping[str, Any], name: str, product: SoilProduct) -> np.ndarray:
    """Values in the canonical unit; a scale of the file, or a unit that the user states, replaces the product's."""
    unit, scaled = about["stated"], (about["scale"], about["offset"]) != (1.0, 0.0)
    missing = [] if about["nodata"] is None else [about["nodata"]]
    if stored.dtype == product.dtype or not missing:
        missing.append(product.fill)
    values = stored.astype("f4")
    values[np.isin(stored, missing)] = np.nan
    if scaled:
        values = values * np.float32(about["scale"]) + np.float32(about["offset"])
    if unit or not scaled:
        values = convert(values, unit or product.units[name], canonical_attrs(name)["units"])
    if name == "bulk_density":
        values[values == 0] = np.nan
    check_fits(values, name, about["path"], product.units[name])
    return drop_impossible(values, name, about["path"])


def _same_grid(rasters: Mapping[tuple[str, float], xr.DataArray]) -> xr.DataArray:
    first = next(iter(rasters.values()))
    for raster in rasters.values():
        same = raster.shape == first.shape and raster.rio.transform() == first.rio.transform()
        if not same or raster.rio.crs != first.rio.crs:
            raise DataError(
                f"'{raster.attrs['path']}' is on another grid than '{first.attrs['path']}'.",
                hint="Cut all layers the same way.",
            )
    return first


def _stack(rasters: Sequence[xr.DataArray | None], name: str, like: xr.DataArray, product: SoilProduct) -> Any:
    """Stack the depths of one variable; a depth without a layer is missing everywhere."""
    import dask.array as da

    empty = da.full(like.shape, np.nan, "f4", chunks=like.chunks)
    return da.stack(
        [
            empty if r is None else r.data.map_blocks(_decoded, dict(r.attrs), name, product, dtype="f4", meta=_META)
            for r in rasters
        ]
    )


def _rescale(maps: dict[str, Any], names: Sequence[str], where: str) -> None:
    fractions = [n for n in SOIL_FRACTIONS if n in names]
    if not fractions:
        return
    absent = [n for n in SOIL_FRACTIONS if n not in maps]
    if absent:
        tell(f"{', '.join(fractions)}: not rescaled to 100, as {', '.join(absent)} is missing.")
        return
    parts = [maps[n] for n in SOIL_FRACTIONS]
    for i, name in enumerate(SOIL_FRACTIONS):
        maps[name] = parts[0].map_blocks(
            checked_share, *parts[1:], i, where, dtype="f4", meta=np.empty((0, 0, 0), "f4")
        )
