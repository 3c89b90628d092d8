"""Write a synthetic world as files of the true formats, through the source plugins."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from xsm.contracts.registry import get_source
from xsm.contracts.source import Writer
from xsm.errors import UsageError

if TYPE_CHECKING:
    from xsm.twin.world import World

PRODUCTS = ("smap", "nldas", "solus100", "modis_landcover", "uscrn")


def write_world(world: World, dest: str | os.PathLike[str], products: Sequence[str] = PRODUCTS) -> list[Path]:
    """Write a world into ``dest``: a folder for each product, ``truth.nc`` and ``README.txt``.

    Parameters
    ----------
    world : World
    dest : path
        Created where it does not exist.
    products : sequence of str
        Names of sources that can write; each gets the folder of its upper-case name.

    Returns
    -------
    list of pathlib.Path
        Everything written.
    """
    dest = Path(dest)
    writers = {name: get_source(name) for name in products}
    for name, source in writers.items():
        if not isinstance(source, Writer):
            raise UsageError(f"The source '{name}' cannot write synthetic files.", hint="Leave it out of `products`.")
    dest.mkdir(parents=True, exist_ok=True)

    def write(name: str) -> list[Path]:
        folder = dest / name.upper()
        folder.mkdir(exist_ok=True)
        return writers[name].write(world, folder)  # type: ignore[attr-defined]

    with ThreadPoolExecutor() as pool:
        paths = [path for part in pool.map(write, writers) for path in part]
    paths.append(_truth(world, dest / "truth.nc"))
    readme = dest / "README.txt"
    readme.write_text(_readme(world, products), encoding="utf-8")
    return [*paths, readme]


def _truth(world: World, path: Path) -> Path:
    part = path.with_name(f".{path.name}.part")
    floats = [n for n, v in world.truth.data_vars.items() if v.dtype.kind == "f"]
    world.truth.to_netcdf(part, encoding={n: {"zlib": True, "complevel": 1} for n in floats})
    os.replace(part, path)
    return path


def _readme(world: World, products: Sequence[str]) -> str:
    west, south, east, north = world.bbox
    return (
        "SYNTHETIC DATA. Nothing in this folder was observed.\n\n"
        f"{world.attrs['synthetic']}\n"
        f"Region {west:.3f} to {east:.3f} degrees east, {south:.3f} to {north:.3f} degrees north, "
        f"{world.grid.rows} x {world.grid.cols} cells of EASE-Grid 2.0 9 km; {world.days[0]} to {world.days[-1]}.\n"
        f"Folders: {', '.join(p.upper() for p in products)}, in the formats of the products of these names. "
        "truth.nc contains what an estimate is compared with.\n"
        f"SHA-256 of the error sizes: {world.attrs['twin_errors_sha256']}\n"
    )
