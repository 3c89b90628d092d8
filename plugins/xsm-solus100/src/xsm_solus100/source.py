"""SOLUS100 as canonical soil maps on its own 100 m grid (documentation: Formats, SOLUS100)."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr
from xsm import DataError
from xsm.plugin_api import (
    Area,
    Request,
    SoilProduct,
    make_request,
    open_soil,
    soil_depths,
    soil_names,
    tell,
)

from xsm_solus100 import INFO
from xsm_solus100.layout import EPSG, LEFT, NODATA, PIXEL, PROPERTIES, SCALARS, TOP

if TYPE_CHECKING:
    from xsm.plugin_api import Manifest

log = logging.getLogger("xsm")
NAME = re.compile(r"(?P<property>[a-z0-9]+)_(?P<depth>\d+)_cm_(?P<stat>p|l|h|rpi)\.tiff?$")
DEPTHS = (0, 5, 15, 30, 60, 100, 150)

Layers = dict[tuple[str, int], Path]


class Solus100Source:
    """Prediction layers of SOLUS100."""

    info = INFO

    def identify(self, path: Path) -> bool:
        """Whether a file is a prediction layer of a property that xsm knows, by its name."""
        match = NAME.match(Path(path).name)
        return match is not None and match["property"] in SCALARS and match["stat"] == "p"

    def open(self, request: Request) -> xr.Dataset:
        """Open layers as lazy maps; windows of 1024 x 1024 pixels are read when they are needed.

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
        depths = soil_depths(request.options["soil_depth"], DEPTHS, PRODUCT.name)
        layers = find_layers(request.paths)
        canonical = {prop: name for name, prop in PROPERTIES.items()}
        by_name = {(canonical[p], d): path for (p, d), path in layers.items() if p in canonical}
        if not by_name and not request.variables:
            present = ", ".join(sorted({p for p, _ in layers}))
            raise DataError(
                f"The files contain {present}, expected one of {', '.join(PROPERTIES.values())}.",
                hint="Add the layers of sand, silt, clay or bulk density.",
            )

        def absent(name: str, depth: int) -> DataError:
            prop = PROPERTIES[name]
            known = sorted(d for p, d in layers if p == prop)
            return DataError(
                f"{prop}_{depth}_cm_p.tif is not among the files (of {prop} there are depths {known or 'none'}).",
                hint="Add it, or choose other variables or another soil_depth.",
            )

        return open_soil(by_name, depths, request, PRODUCT, absent).assign_attrs(
            title="SOLUS100 soil properties, predictions at point depths",
            source="SOLUS100",
            references=f"https://doi.org/{INFO.doi}",
        )

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
        properties = [PROPERTIES[name] for name in soil_names(variables, (), PRODUCT)]
        return download(layers(properties, soil_depths(soil_depth, DEPTHS, PRODUCT.name)), dest, dry_run=dry_run)

    def write(self, world: Any, dest: Path) -> list[Path]:
        """Write a synthetic world as SOLUS100 layers; see `xsm_solus100.write.write`."""
        from xsm_solus100.write import write

        return write(world, dest)


def open_layer(path: Path) -> xr.Dataset:
    """Open one layer as ``(soil_depth=1, y, x)`` in its unit, not rescaled to 100."""
    ((prop, depth),) = find_layers([path])
    name = next((n for n, p in PROPERTIES.items() if p == prop), None)
    if name is None:
        raise DataError(f"'{path}' contains {prop}, expected one of {', '.join(PROPERTIES.values())}.")
    request = make_request(INFO, [path], variables=[name])
    return open_soil({(name, depth): path}, [depth], request, PRODUCT, lambda *_: DataError(""), rescale=False)


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


def _look(raster: xr.DataArray, path: Path) -> None:
    transform = raster.rio.transform()
    off = (transform.c - LEFT) % PIXEL or (transform.f - TOP) % PIXEL
    if raster.rio.crs.to_epsg() != EPSG or transform.a != PIXEL or off:
        tell(f"'{path}' is not on the pixels of SOLUS100 (EPSG:{EPSG}, {PIXEL} m).")


PRODUCT = SoilProduct(
    "SOLUS100",
    PROPERTIES,
    {**dict.fromkeys(("sand", "silt", "clay"), "percent"), "bulk_density": "cg cm-3"},
    NODATA,
    "uint8",
    _look,
)
