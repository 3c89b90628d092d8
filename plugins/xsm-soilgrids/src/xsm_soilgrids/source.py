"""SoilGrids 2.0 as canonical soil maps on its own 250 m grid (documentation: Formats, SoilGrids)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr
from xsm import DataError
from xsm.plugin_api import Area, Request, SoilProduct, open_soil, soil_depths, soil_names, tell

from xsm_soilgrids import INFO
from xsm_soilgrids.layout import LAYERS, NAME, NODATA, PROPERTIES, UNITS, layer_of

if TYPE_CHECKING:
    from xsm.plugin_api import Manifest

PRODUCT = SoilProduct("SoilGrids", PROPERTIES, UNITS, NODATA, "int16")
CANONICAL = {prop: name for name, prop in PROPERTIES.items()}
DEPTHS = range(1, 201)

Files = dict[tuple[str, str], Path]
"""By canonical name and layer."""


class SoilGridsSource:
    """Layers of SoilGrids 2.0."""

    info = INFO

    def identify(self, path: Path) -> bool:
        """Whether a file is a layer of a property that xsm reads, by its name."""
        match = NAME.match(Path(path).name)
        return match is not None and match["property"] in CANONICAL and match["statistic"] != "uncertainty"

    def open(self, request: Request) -> xr.Dataset:
        """Open layers as lazy maps; windows of 1024 x 1024 pixels are read when they are needed.

        Parameters
        ----------
        request : Request
            Files ``{property}_{layer}cm_{statistic}.vrt`` with their folders of tiles, or ``.tif``, whole or cut;
            http(s) addresses are read by range requests, of a VRT only the tiles that the region touches. Variables:
            ``sand``, ``silt``, ``clay``, ``bulk_density``, by default those of the files. Options:

            soil_depth : sequence of int
                Depths in cm. A map of SoilGrids is that of a layer; a depth takes the layer it lies in, a boundary the
                layer above it: 5 is 0-5 cm, 25 and 30 are 15-30 cm.
            statistic : {"mean", "Q0.5"}
                Mean or median of the predictions.

        Returns
        -------
        xarray.Dataset
            float32 (soil_depth, y, x), percent and g cm-3, in the CRS of the files. ``soil_depth`` is the middle of a
            layer, ``soil_depth_bounds`` its top and bottom.

        Raises
        ------
        DataError
            For layers that are absent, damaged, in another unit or on different grids.
        UsageError
            For an unknown variable or depth.
        """
        statistic = request.options["statistic"]
        layers = list(dict.fromkeys(map(layer_of, _depths(request.options["soil_depth"]))))
        files = find_files(request.paths, statistic)
        names = soil_names(request.variables, {name for name, _ in files}, PRODUCT)
        middles = {sum(LAYERS[layer]) / 2: layer for layer in layers}
        by_depth = {(n, d): files[n, layer] for n in PROPERTIES for d, layer in middles.items() if (n, layer) in files}

        def absent(name: str, depth: float) -> DataError:
            known = ", ".join(layer for n, layer in files if n == name) or "none"
            return DataError(
                f"{PROPERTIES[name]}_{middles[depth]}cm_{statistic} is not among the files (of "
                f"{PROPERTIES[name]} there are the layers {known}).",
                hint="Add it, or choose other variables or another soil_depth.",
            )

        ds = open_soil(
            by_depth,
            list(middles),
            replace(request, variables=tuple(names)),
            PRODUCT,
            absent,
            bounds=[LAYERS[layer] for layer in layers],
        )
        return ds.assign_attrs(
            title=f"SoilGrids 2.0 soil properties, {'mean' if statistic == 'mean' else 'median'} of the predictions",
            source="SoilGrids 2.0",
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
        soil_depth: Iterable[int | str] | int | str = (5, 25),
        statistic: str = "mean",
    ) -> Manifest:
        """Fetch the part of layers that touches a region; see `xsm_soilgrids.fetch.layers`.

        `xsm.open` reads the same from the addresses of whole layers, `xsm_soilgrids.fetch.addresses`.
        """
        from xsm.plugin_api import download

        from xsm_soilgrids.fetch import layers

        properties = [PROPERTIES[name] for name in soil_names(variables, (), PRODUCT)]
        return download(layers(properties, _depths(soil_depth), statistic, region), dest, dry_run=dry_run)

    def write(self, world: Any, dest: Path) -> list[Path]:
        """Write a synthetic world as SoilGrids tiles; see `xsm_soilgrids.write.write`."""
        from xsm_soilgrids.write import write

        return write(world, dest)


def find_files(paths: Sequence[Path | str], statistic: str) -> Files:
    """Return the layers of a statistic among files, by canonical name and layer.

    Raises
    ------
    DataError
        Without any such layer.
    """
    files: Files = {}
    others: list[str] = []
    for path in map(Path, paths):
        match = NAME.match(path.name)
        if match is None or match["property"] not in CANONICAL or match["statistic"] != statistic:
            others.append(path.name)
            continue
        if match["layer"] not in LAYERS:
            raise DataError(
                f"'{path}' is of the layer {match['layer']} cm, expected one of {', '.join(LAYERS)}.",
                hint="Keep the product's names.",
            )
        key = CANONICAL[match["property"]], match["layer"]
        if key in files and files[key] != path:
            tell(f"'{path}' occurs twice, '{files[key]}' is read.")
        files.setdefault(key, path)
    if not files:
        raise DataError(
            f"None of the files is a layer of SoilGrids, {statistic} ({', '.join(Path(p).name for p in paths[:3])}).",
            hint="Expected names like clay_0-5cm_mean.vrt, or choose another <statistic=Q0.5>.",
        )
    if others:
        tell(f"{len(others)} files are not layers of {statistic} and are left out, the first: '{others[0]}'.")
    return files


def _depths(soil_depth: Iterable[int | str] | int | str) -> list[int]:
    return soil_depths(soil_depth, DEPTHS, PRODUCT.name)
