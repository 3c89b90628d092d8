"""Example data from the synthetic twin: no network, no files, seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import xarray as xr

from xsm import atomic
from xsm.contracts.operation import Kind, Param, operation
from xsm.data.cf import add_history
from xsm.twin.examples import example_dataset, example_world
from xsm.twin.write import write_world


@operation(title="Create example data", group="Data", accessor=False)
def example(
    name: Annotated[
        Literal["cube", "gappy_cube", "smap", "nldas", "solus100", "landcover", "stations", "truth"],
        Param("What to create: one product, the merged cube, or the truth behind them."),
    ] = "cube",
    *,
    size: Annotated[int, Param("Cells of 9 km in each direction.", minimum=8, maximum=256)] = 32,
    days: Annotated[int, Param("Days from 2021-04-01.", minimum=8, maximum=2000)] = 90,
    seed: Annotated[int, Param("Another seed is another world.", minimum=0, advanced=True)] = 0,
) -> xr.Dataset:
    """Create synthetic example data: products of one place and period that agree with each other.

    The place is in the southern Great Plains (36 N, 98 W) and has a lake. The data come from `xsm.twin`; nothing is
    observed, and the attributes say so.

    Parameters
    ----------
    name : str
        ``"cube"``: complete predictors, references, soil and land cover on the EASE window, SMAP predictors filled by
        linear interpolation in time of what was observed; retrievals, flags and ``obs_time`` keep their gaps.
        ``"gappy_cube"``: the same with all gaps. ``"smap"``, ``"nldas"``, ``"solus100"``, ``"landcover"``,
        ``"stations"``: as `xsm.open` returns them, each on its own grid. ``"truth"``: what estimates are compared with.
    size, days, seed : int

    Returns
    -------
    xarray.Dataset
        ``solus100`` is lazy (100 m over the whole window), the others are in memory.

    Raises
    ------
    UsageError
        For a name that is not in the list, or a size or number of days outside the limits.

    Examples
    --------
    >>> import xsm
    >>> cube = xsm.example("cube", size=16, days=20)
    >>> dict(cube["tb_h"].sizes), bool(cube["tb_h"].where(cube["land"], 0).isnull().any())
    ({'time': 20, 'y': 16, 'x': 16}, False)
    """
    ds = example_dataset(name, size, days, seed)
    return add_history(ds, "example", name=name, size=size, days=days, seed=seed)


@operation(title="Create example files", group="Data", result=Kind.PATH, accessor=False)
def example_files(
    output: Annotated[Path, Param("Folder to create, with a folder for each product.", kind=Kind.FOLDER)],
    *,
    size: Annotated[int, Param("Cells of 9 km in each direction.", minimum=8, maximum=256)] = 32,
    days: Annotated[int, Param("Days from 2021-04-01.", minimum=8, maximum=2000)] = 90,
    seed: Annotated[int, Param("Another seed is another world.", minimum=0, advanced=True)] = 0,
) -> Path:
    """Write the granules behind the example data as files in the products' formats, to be opened like real ones.

    Parameters
    ----------
    output : Path
        Folder; it gets ``SMAP``, ``NLDAS``, ``SOLUS100``, ``MODIS_LANDCOVER``, ``USCRN`` and ``truth.nc``.
    size, days, seed : int
        As in `example`: the same numbers give the same world.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    UsageError
        Where the folder exists and is not empty.

    Examples
    --------
    >>> import tempfile, xsm
    >>> folder = xsm.example_files(Path(tempfile.mkdtemp()) / "files", size=12, days=8)
    >>> sorted(p.name for p in folder.iterdir() if p.is_dir())
    ['MODIS_LANDCOVER', 'NLDAS', 'SMAP', 'SOLUS100', 'USCRN']
    """
    output = Path(output)
    if output.is_dir() and not any(output.iterdir()):
        output.rmdir()
    with atomic.fresh(output) as part:
        write_world(example_world(size, days, seed), part)
    return output
