"""SOLUS100 as canonical soil maps on its own 100 m grid (documentation: Formats, SOLUS100)."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr
from xsm import DataError, UsageError
from xsm.plugin_api import Area, Request, canonical_attrs, tell, unit_of

from xsm_solus100 import INFO
from xsm_solus100.layout import EPSG, LEFT, NODATA, PIXEL, PROPERTIES, SCALARS, TOP
from xsm_solus100.values import checked_share, decoded

if TYPE_CHECKING:
    from xsm.plugin_api import Manifest

log = logging.getLogger("xsm")
NAME = re.compile(r"(?P<property>[a-z0-9]+)_(?P<depth>\d+)_cm_(?P<stat>p|l|h|rpi)\.tiff?$")
DEPTHS = (0, 5, 15, 30, 60, 100, 150)
FRACTIONS = ("sand", "silt", "clay")

Layers = dict[tuple[str, int], Path]


class Solus100Source:
    """Prediction layers of SOLUS100."""

    info = INFO

    def identify(self, path: Path) -> bool:
        """Whether a file is a prediction layer of a property that xsm knows, by its name."""
        match = NAME.match(Path(path).name)
        return match is not None and match["property"] in SCALARS and match["stat"] == "p"

    def open(self, request: Request) -> xr.Dataset:
        """Open layers as lazy maps; windows of 2048 x 2048 pixels are read when they are needed.

        Sand, silt and clay share one mask and are rescaled to a sum of 100, which rounding in the product breaks by 1.

        Parameters
        ----------
        request : Request
            Files ``{property}_{depth}_cm_p.tif``; http(s) addresses are read by range requests. The region is read with
            a margin of 8 pixels; soils have no time. Variables: ``sand``, ``silt``, ``clay``, ``bulk_density``, by
            default those of the files. With ``on_error="skip"`` a layer that cannot be read is missing everywhere, a
            damaged block of one where it lies. Options:

            soil_depth : sequence of int
                Depths in cm.

        Returns
        -------
        xarray.Dataset
            float32 (soil_depth, y, x), percent and g cm-3, in the CRS of the files.

        Raises
        ------
        DataError
            For layers that are absent, damaged, of an unknown property or on different grids.
        UsageError
            For an unknown variable or depth.
        """
        depths = _depths(request.options["soil_depth"])
        layers = find_layers(request.paths)
        names = _names(request.variables, {p for p, _ in layers})
        skipped: list[str] = []
        needed = [*FRACTIONS, *names] if set(names) & set(FRACTIONS) else names
        needed = [n for n in dict.fromkeys(needed) if n in names or any((PROPERTIES[n], d) in layers for d in depths)]
        rasters: dict[tuple[str, int], xr.DataArray] = {}
        for name in needed:
            for depth in depths:
                try:
                    rasters[name, depth] = _open(layers, PROPERTIES[name], depth, request.region, request.on_error)
                    rasters[name, depth].attrs["stated"] = _stated(rasters[name, depth].attrs, name, request.units)
                except DataError as error:
                    if request.on_error == "raise":
                        raise
                    skipped.append(str(error))
        if not rasters:
            raise DataError(f"None of {len(skipped)} layers can be read, the first: {skipped[0]}")
        first = _same_grid(rasters, layers)
        maps = {n: _stack([rasters.get((n, d)) for d in depths], n, first) for n in needed}
        where = [Path(r.attrs["path"]).name for (n, _), r in rasters.items() if n in FRACTIONS]
        _rescale(maps, names, ", ".join(map(repr, where)))
        ds = xr.Dataset(
            {n: (("soil_depth", "y", "x"), maps[n], canonical_attrs(n)) for n in names},
            coords={"soil_depth": ("soil_depth", np.array(depths), _DEPTH), **first.coords},
            attrs={
                "title": "SOLUS100 soil properties, predictions at point depths",
                "source": "SOLUS100",
                "references": f"https://doi.org/{INFO.doi}",
            },
        )
        for name in names:
            ds[name].encoding["grid_mapping"] = "spatial_ref"
        extra = {"synthetic": first.attrs["synthetic"], "skipped": skipped}
        return ds.assign_attrs({k: v for k, v in extra.items() if v})

    def fetch(
        self,
        dest: Path,
        *,
        region: Area | None,
        time: slice | None,
        dry_run: bool,
        variables: Sequence[str] = tuple(PROPERTIES),
        soil_depth: Iterable[int | str] | int | str = (5, 30),
    ) -> Manifest:
        """Fetch prediction layers of all of CONUS.

        For a small ``region`` open the layers' addresses with ``xsm.open`` instead, which reads the part that it needs.
        """
        from xsm.plugin_api import download

        from xsm_solus100.fetch import BUCKET, layers

        if region is not None:
            log.info("SOLUS100 comes as whole files; xsm.open reads a region from their addresses in %s.", BUCKET)
        properties = [PROPERTIES[name] for name in _names(variables, set())]
        return download(layers(properties, _depths(soil_depth)), dest, dry_run=dry_run)

    def write(self, world: Any, dest: Path) -> list[Path]:
        """Write a synthetic world as SOLUS100 layers; see `xsm_solus100.write.write`."""
        from xsm_solus100.write import write

        return write(world, dest)


_DEPTH = {"long_name": "depth below the surface", "units": "cm", "positive": "down", "axis": "Z"}


def open_layer(path: Path) -> xr.Dataset:
    """Open one layer as ``(soil_depth=1, y, x)`` in its unit."""
    ((prop, depth),) = layers = find_layers([path])
    name = next((n for n, p in PROPERTIES.items() if p == prop), None)
    if name is None:
        raise DataError(f"'{path}' contains {prop}, expected one of {', '.join(PROPERTIES.values())}.")
    raster = _open(layers, prop, depth, None, "raise")
    ds = xr.Dataset(
        {name: (("soil_depth", "y", "x"), _stack([raster], name, raster), canonical_attrs(name))},
        coords={"soil_depth": ("soil_depth", np.array([depth]), _DEPTH), **raster.coords},
    )
    ds[name].encoding["grid_mapping"] = "spatial_ref"
    return ds


def find_layers(paths: Sequence[Path | str]) -> Layers:
    """Return the prediction layers among files by (property, depth in cm).

    Raises
    ------
    DataError
        For a property whose scale xsm does not know, or without any prediction layer.
    """
    layers: Layers = {}
    others: list[str] = []
    for path in map(Path, paths):
        match = NAME.match(path.name)
        if match is None or match["stat"] != "p":
            others.append(path.name)
            continue
        if match["property"] not in SCALARS:
            raise DataError(
                f"'{path}' contains the property '{match['property']}', whose scale xsm does not know.",
                hint=f"Known: {', '.join(SCALARS)}.",
            )
        key = match["property"], int(match["depth"])
        if key in layers and layers[key] != path:
            tell(f"'{path}' occurs twice, '{layers[key]}' is read.")
        layers.setdefault(key, path)
    if not layers:
        raise DataError(
            f"None of the files is a prediction layer of SOLUS100 ({', '.join(Path(p).name for p in paths[:3])}).",
            hint="Expected names like sandtotal_5_cm_p.tif.",
        )
    if others:
        tell(f"{len(others)} files are not named as prediction layers and are left out, the first: '{others[0]}'.")
    return layers


def _open(
    layers: Layers, prop: str, depth: int, region: Area | None, on_error: Literal["raise", "skip"]
) -> xr.DataArray:
    from xsm.plugin_api import open_raster

    path = layers.get((prop, depth))
    if path is None:
        known = sorted(d for p, d in layers if p == prop)
        raise DataError(
            f"{prop}_{depth}_cm_p.tif is not among the files (of {prop} there are depths {known or 'none'}).",
            hint="Add it, or choose other variables or another soil_depth.",
        )
    raster = open_raster(path, region, on_error=on_error, decode=False)
    if raster is None and region is not None:
        raise DataError(f"'{path}' does not touch the region {region.bbox}.", hint="Check the region.")
    assert raster is not None  # noqa: S101
    raster.attrs["path"] = str(path)
    nodata = raster.attrs["nodata"]
    if raster.dtype.kind not in "uif":
        raise DataError(f"'{path}' contains {raster.dtype}, expected numbers.", hint="Get it again.")
    if nodata is None:
        tell(f"'{path}' has no nodata value; every pixel but {NODATA} counts.")
    elif raster.dtype == np.uint8 and nodata != NODATA:
        tell(f"'{path}' has the nodata value {nodata:g}, expected {NODATA}; both are missing.")
    left, top, pixel = raster.rio.transform().c, raster.rio.transform().f, raster.rio.transform().a
    if raster.rio.crs.to_epsg() != EPSG or pixel != PIXEL or (left - LEFT) % PIXEL or (top - TOP) % PIXEL:
        tell(f"'{path}' is not on the pixels of SOLUS100 (EPSG:{EPSG}, {PIXEL} m).")
    return raster


def _stated(about: Mapping[str, Any], name: str, units: Mapping[str, str]) -> str:
    """The unit of the numbers in a layer, where the user states one; the product's own are scaled without unit."""
    if units.get(name) is None and units.get(PROPERTIES[name]) is None:
        return ""
    return unit_of(about["units"], name, about["path"], units, known=PROPERTIES[name])


def _same_grid(rasters: dict[tuple[str, int], xr.DataArray], layers: Layers) -> xr.DataArray:
    key, first = next(iter(rasters.items()))
    for (name, depth), raster in rasters.items():
        same = raster.shape == first.shape and raster.rio.transform() == first.rio.transform()
        if not same or raster.rio.crs != first.rio.crs:
            raise DataError(
                f"'{layers[PROPERTIES[name], depth]}' is on another grid than '{layers[PROPERTIES[key[0]], key[1]]}'.",
                hint="Cut all layers the same way.",
            )
    return first


def _stack(rasters: Sequence[xr.DataArray | None], name: str, like: xr.DataArray) -> Any:
    """Stack the depths of one variable; a depth without a layer is missing everywhere."""
    import dask.array as da

    empty = da.full(like.shape, np.nan, "f4", chunks=like.chunks)
    return da.stack(
        [
            empty if r is None else r.data.map_blocks(decoded, dict(r.attrs), name, dtype="f4", meta=_META)
            for r in rasters
        ]
    )


_META = np.empty((0, 0), "f4")


def _rescale(maps: dict[str, Any], names: Sequence[str], where: str) -> None:
    fractions = [n for n in FRACTIONS if n in names]
    if not fractions:
        return
    absent = [n for n in FRACTIONS if n not in maps]
    if absent:
        tell(f"{', '.join(fractions)}: not rescaled to 100, as {', '.join(absent)} is missing.")
        return
    parts = [maps[n] for n in FRACTIONS]
    for i, name in enumerate(FRACTIONS):
        maps[name] = parts[0].map_blocks(
            checked_share, *parts[1:], i, where, dtype="f4", meta=np.empty((0, 0, 0), "f4")
        )


def _names(variables: Sequence[str] | None, present: set[str]) -> list[str]:
    for name in variables or ():
        if name not in PROPERTIES:
            raise UsageError(f"SOLUS100 has no variable '{name}'.", hint=f"It has: {', '.join(PROPERTIES)}.")
    names = list(dict.fromkeys(variables or [n for n, p in PROPERTIES.items() if p in present]))
    if not names:
        raise DataError(
            f"The files contain {', '.join(sorted(present))}, expected one of {', '.join(PROPERTIES.values())}.",
            hint="Add the layers of sand, silt, clay or bulk density.",
        )
    return names


def _depths(soil_depth: Iterable[int | str] | int | str) -> list[int]:
    items = [soil_depth] if isinstance(soil_depth, int | str) else list(soil_depth)
    texts = [part.strip() for item in items for part in str(item).split(",") if part.strip()]
    for text in texts:
        if text not in map(str, DEPTHS):
            raise UsageError(f"SOLUS100 has no depth {text} cm.", hint=f"It has: {', '.join(map(str, DEPTHS))}.")
    if not texts:
        raise UsageError("soil_depth is empty.", hint=f"Choose of {', '.join(map(str, DEPTHS))} cm.")
    return list(dict.fromkeys(map(int, texts)))
