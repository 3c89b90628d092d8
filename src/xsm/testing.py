"""The contract tests that every plugin runs, ours and those of others.

Examples
--------
>>> from xsm.testing import check_model
>>> check_model("linear")
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xsm.contracts.registry import get_source, sources
from xsm.contracts.source import Area, DataSource, SourceInfo, make_request
from xsm.data.cf import VARIABLES
from xsm.data.grids import EASE2_M09, Grid, grid_of
from xsm.data.roles import DEPTHS, ROLES, ROOT, SURFACE, bounds_of_text
from xsm.learning.contract_test import check_model, small_task

__all__ = ["check_canonical", "check_model", "check_source", "leaky_series", "open_files", "raise_if_computes",
           "small_task", "window", "write_layer"]  # fmt: skip
MANY = 50_000_000
"""Values above which `check_source` does not check that there is a valid one."""


@contextmanager
def raise_if_computes() -> Iterator[None]:
    """Fail if anything lazy is computed inside the body.

    Examples
    --------
    >>> import xsm
    >>> soil = xsm.example("solus100", size=8, days=8)
    >>> with raise_if_computes():
    ...     texture = soil.sm.texture()
    """
    import dask

    def refuse(dsk: Any, keys: Any, **_: Any) -> Any:
        raise AssertionError("something was computed while a graph was built")

    with dask.config.set(scheduler=refuse):
        yield


def write_layer(
    path: Path, values: np.ndarray, crs: str, corner: tuple[float, float], pixel: float, **profile: Any
) -> Path:
    """Write a map (row, column) as a GeoTIFF of one band, or of several equal ones; returns the path.

    Parameters
    ----------
    path, values, crs : Path, ndarray, str
        The file, the map, north first, and its CRS.
    corner, pixel : tuple of float, float
        Left and top edge, and the side of a pixel, in the unit of the CRS.
    **profile
        More of rasterio's profile, such as ``nodata`` and ``count``.

    Examples
    --------
    >>> write_layer(Path("layer.tif"), np.ones((4, 5), "u1"), "EPSG:5070", (0.0, 400.0), 100.0, nodata=255).name
    'layer.tif'
    """
    import rasterio
    from rasterio.transform import from_origin

    layout = {"count": 1, "height": values.shape[0], "width": values.shape[1], "dtype": values.dtype} | profile
    with rasterio.open(
        path, "w", driver="GTiff", crs=crs, transform=from_origin(*corner, pixel, pixel), **layout
    ) as file:
        file.write(np.broadcast_to(values, (layout["count"], *values.shape)))
    return path


def open_files(source: DataSource, paths: Iterable[str | Path], **request: Any) -> xr.Dataset:
    r"""Open files through a source itself, without what `xsm.open` adds; for tests of a source.

    Parameters
    ----------
    source : DataSource
        The source.
    paths : iterable of path
        Files of the source.
    **request
        ``region``, ``time``, ``variables``, ``on_error`` and options of the source, as in
        `xsm.plugin_api.make_request`.

    Returns
    -------
    xarray.Dataset

    Examples
    --------
    >>> _ = Path("dots.csv").write_text("date,lon,lat,soil_moisture\n2021-06-01,-98,36,0.2")
    >>> dict(open_files(get_source("tiny"), ["dots.csv"]).sizes)
    {'time': 1, 'y': 1, 'x': 1}
    """
    return source.open(make_request(source.info, map(Path, paths), **request))


def check_source(
    name: str, files: Sequence[str | Path] | None = None, world: Any = None, tmp: Path | None = None
) -> None:
    r"""Check a data source against its contract.

    Parameters
    ----------
    name : str
        Registered name.
    files : sequence of path, optional
        Files of the product to open.
    world : xsm.twin.World, optional
        With ``tmp``: a synthetic world that the source, if it has ``write``, writes and reads back.
    tmp : Path, optional
        Empty folder for the files.

    Raises
    ------
    AssertionError
        Says which rule is broken.

    Examples
    --------
    >>> _ = Path("dots.csv").write_text("date,lon,lat,soil_moisture\n2021-06-01,-98,36,0.2")
    >>> check_source("tiny", ["dots.csv"])
    """
    if name not in sources():
        raise AssertionError(
            f"source '{name}' is not registered: run `pip install -e .` first; known: {sorted(sources())}"
        )
    info = sources()[name]
    _check_info(info)
    source = get_source(name)
    assert isinstance(source, DataSource), f"{name}: lacks info, identify or open"
    assert source.info == info, f"{name}: the class's info is not the registered one"
    paths = [Path(f) for f in files or ()]
    if world is not None and tmp is not None and hasattr(source, "write"):
        paths += source.write(world, tmp)
        assert paths, f"{name}: write returned no path"
    if not paths:
        return
    assert all(source.identify(p) for p in paths), f"{name}: identify refuses its own file"
    with raise_if_computes():
        ds = open_files(source, paths)
    check_canonical(ds, info)
    first = next(iter(ds.data_vars))
    only = open_files(source, paths, variables=[str(first)])
    assert first in only, f"{name}: variables=['{first}'] does not return it"
    if world is not None:
        only = open_files(source, paths, region=Area(world.bbox, world.grid))
    if only[first].size <= MANY and only[first].dtype.kind == "f":
        assert bool(only[first].notnull().any()), f"{name}: {first} has no value at all"
    junk = (tmp or paths[0].parent) / f"junk{paths[0].suffix}"
    if tmp is not None:
        junk.write_bytes(b"<html>please log in</html>")
        _refuses(source, junk)


def check_canonical(ds: xr.Dataset, info: SourceInfo) -> None:
    """Check names, units, dims, day axis and coordinates of a dataset from a source.

    Examples
    --------
    >>> import xsm
    >>> check_canonical(xsm.example("nldas", size=8, days=8), xsm.sources()["nldas"])
    """
    name = info.name
    assert len(ds.data_vars), f"{name}: no variable"
    for key, variable in ds.data_vars.items():
        spec = VARIABLES.get(str(key))
        assert spec is not None or key in info.variables or key in ("flag", "soil_temperature"), (
            f"{name}: unknown name {key}"
        )
        if spec is not None and spec.units:
            assert variable.attrs.get("units") == spec.units, f"{name}: {key} has units {variable.attrs.get('units')}"
        if spec is not None and spec.kind == "continuous" and key != "obs_time":
            assert variable.dtype == np.float32, f"{name}: {key} is {variable.dtype}, expected float32"
    if info.stations:
        assert {"sensor", "time"} <= set(ds.dims), f"{name}: stations have dims sensor, time"
        assert {"station", "network", "lat", "lon", "depth"} <= set(ds.coords), f"{name}: station coordinates missing"
        return
    assert {"x", "y"} <= set(ds.dims) or {"lat", "lon"} <= set(ds.dims), f"{name}: no horizontal dims"
    if "time" in ds.dims and ds.sizes["time"] > 1:
        day = ds["time"].values
        assert np.all(np.diff(day) == np.timedelta64(1, "D")), f"{name}: days are missing or repeated"
    grid = grid_of(ds)
    if grid is not None:
        assert "spatial_ref" in ds.coords, f"{name}: no spatial_ref"


def _check_info(info: SourceInfo) -> None:
    assert info.name.isidentifier() and info.name == info.name.lower(), f"{info.name}: names are lower case identifiers"
    assert ":" in info.factory, f"{info.name}: factory is 'module:Class'"
    assert info.variables, f"{info.name}: lists no variables"
    for key, part in info.parts.items():
        where = f"{info.name}: {key}"
        assert key in info.variables, f"{where} has a role, family or depth, but is not among its variables"
        assert part.role in ("", *ROLES), f"{where} has the role '{part.role}', expected one of {', '.join(ROLES)}"
        layer, depth = bounds_of_text(part.depth), DEPTHS.get(part.role)
        assert layer or not part.depth, f"{where} has the depth '{part.depth}', expected top and bottom such as '7-28'"
        assert not layer or not depth or layer[0] <= depth <= layer[1] or part.role not in (SURFACE, ROOT), (
            f"{where} is of {part.depth} cm, expected a layer that contains {depth} cm as {part.role}"
        )
    for option in (*info.options, *info.fetch_options):
        assert option.name and option.kind and option.help, (
            f"{info.name}: option {option.name} lacks name, kind or help"
        )


def _refuses(source: DataSource, junk: Path) -> None:
    from xsm.errors import XsmError

    try:
        open_files(source, [junk])
    except XsmError as error:
        assert junk.name in str(error), f"{source.info.name}: the error does not name the file: {error}"
    else:
        raise AssertionError(f"{source.info.name}: an HTML page is read as data")


def leaky_series(cells: int = 40, days: int = 240, seed: int = 3) -> xr.Dataset:
    """Series of soil moisture that depend on ten days of rain, which no model of the day's rain alone can follow.

    Parameters
    ----------
    cells, days : int
        Number of series and their length from 2020-01-01.
    seed : int
        Seed of rain, errors and gaps.

    Returns
    -------
    xarray.Dataset
        ``precipitation`` (kg m-2) and ``soil_moisture`` (m3 m-3, three in ten days missing, errors of 0.005), dims
        ``(time, cell)``, and ``sand`` (percent), dim ``cell``; no grid.

    Examples
    --------
    >>> leaky_series(cells=3, days=5)["soil_moisture"].shape
    (5, 3)
    """
    rng = np.random.default_rng(seed)
    rain = np.where(rng.random((days, cells)) < 0.2, rng.gamma(1.0, 8.0, (days, cells)), 0.0)
    wet = np.zeros((days, cells))
    for t in range(1, days):
        wet[t] = 0.9 * wet[t - 1] + 0.1 * rain[t]
    sand = np.linspace(20, 80, cells)
    moisture = 0.1 + 0.03 * wet + 0.001 * (80 - sand) + rng.normal(0, 0.005, rain.shape)
    moisture[rng.random(moisture.shape) < 0.3] = np.nan
    return xr.Dataset(
        {
            "precipitation": (("time", "cell"), rain, {"units": "kg m-2"}),
            "soil_moisture": (("time", "cell"), moisture, {"units": "m3 m-3"}),
            "sand": ("cell", sand, {"units": "percent"}),
        },
        {"time": np.datetime64("2020-01-01", "ns") + np.arange(days) * np.timedelta64(1, "D")},
    )


def window(rows: int = 8, cols: int = 9) -> Grid:
    """A small window of EASE2_M09 on the Great Plains for tests.

    Examples
    --------
    >>> window(2, 3).shape
    (2, 3)
    """
    return EASE2_M09.window(330, 330 + rows, 880, 880 + cols)
