"""The contract test of sources, which `xsm.testing` offers to authors.

It opens the same files in several ways and compares what comes back: a region, a day or a variable of a product has the
values that the whole product has there.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xsm.contracts.canonical_test import check_canonical, check_info, check_values
from xsm.contracts.registry import get_source, sources
from xsm.contracts.source import Area, DataSource, make_request
from xsm.data.areas import DEGREES, transformer
from xsm.data.grids import EASE2_M09
from xsm.data.skipped import listed
from xsm.errors import SkippedFile, XsmError, hear

MANY = 50_000_000
"""Values above which nothing is read but the region of a world."""
ASIDE = 2.0
"""Pixels beyond a region after which a cell is far from it."""
HTML = b"<html>please log in</html>"


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

    Its declarations are checked, and with files that it reads lazily, returns canonical names, units, days and axes
    with values that are possible, keeps to the region, the period and the variables of a request, and leaves out or
    refuses a file that cannot be read. The more days, cells and variables the files have, the more is checked.

    Parameters
    ----------
    name : str
        Registered name.
    files : sequence of path, optional
        Files of the product to open; small ones, of several days and with some values missing.
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
    check_info(info)
    source = get_source(name)
    assert isinstance(source, DataSource), f"{name}: lacks info, identify or open"
    assert source.info == info, f"{name}: the class's info is not the registered one"
    paths = [Path(f) for f in files or ()]
    if world is not None and tmp is not None and hasattr(source, "write"):
        paths += source.write(world, tmp)
        assert paths, f"{name}: write returned no path"
    if paths:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
            _check_files(source, paths, None if world is None else Area(world.bbox, world.grid), Path(scratch))


def _check_files(source: DataSource, paths: Sequence[Path], area: Area | None, scratch: Path) -> None:
    info, name = source.info, source.info.name
    assert all(source.identify(p) for p in paths), f"{name}: identify refuses its own file"
    other = scratch / "notes.txt"
    other.write_bytes(HTML)
    assert not source.identify(other), f"{name}: identify takes a file of another kind ({other.name})"
    with _named(name, "open computes or reads values while the dataset is built, expected a lazy one"), \
            raise_if_computes():  # fmt: skip
        ds = open_files(source, paths)
    check_canonical(ds, info)
    _check_lazy(ds, paths, name)
    where = {} if area is None else {"region": area}
    _check_refusals(source, paths, where, scratch)
    first = str(next(iter(ds.data_vars)))
    only = open_files(source, paths, variables=[first], **where)
    assert first in only, f"{name}: variables=['{first}'] does not return it"
    others = set(ds.data_vars) & set(info.variables) - {first}
    assert not others or others - set(only.data_vars), (
        f"{name}: variables=['{first}'] is ignored: {', '.join(map(str, only.data_vars))} are returned"
    )
    whole = ds if area is None else open_files(source, paths, **where)
    if max(v.size for v in whole.data_vars.values()) > MANY:
        return
    with hear():
        whole = whole.load()
    check_values(whole, first, name)
    _check_region(source, paths, whole, area)
    if "time" in whole.dims:
        _check_period(source, paths, whole, where)
    with hear():
        turned = open_files(source, paths[::-1], **where).load()
    _same(turned, whole, f"{name}: the paths in another order return other values")


@contextmanager
def _named(name: str, rule: str) -> Iterator[None]:
    """Name the plugin and the rule in whatever fails inside."""
    try:
        yield
    except (AssertionError, NotImplementedError) as error:
        raise AssertionError(f"{name}: {rule} ({error})") from error


def _check_lazy(ds: xr.Dataset, paths: Sequence[Path], name: str) -> None:
    """Maps are of dask, unless all files are text, which can only be read whole."""
    if "sensor" in ds.dims or not any(_is_binary(p) for p in paths):
        return
    for key, variable in ds.data_vars.items():
        assert variable.chunks is not None, f"{name}: {key} is read when the files are opened, expected chunks of dask"


def _is_binary(path: Path) -> bool:
    if path.is_dir():
        return True
    with path.open("rb") as file:
        return b"\0" in file.read(4096)


def _check_region(source: DataSource, paths: Sequence[Path], whole: xr.Dataset, area: Area | None) -> None:
    """The surroundings of a cell have its values, and not the cells far from it."""
    name = source.info.name
    dims, lon, lat = _centres(whole)
    assert np.nanmax(np.abs(lat)) <= 90, f"{name}: lat has {np.nanmax(np.abs(lat)):g}: are the axes swapped?"
    if area is not None:
        west, south, east, north = area.bbox
        inside = (lon >= west - 1) & (lon <= east + 1) & (lat >= south - 1) & (lat <= north + 1)
        assert inside.any(), f"{name}: lies outside of the world that it has written: are the axes swapped?"
    at = _with_values(whole, dims)
    if at is None or abs(lat[at]) > 84:
        return
    window = EASE2_M09.region((lon[at] - 0.01, lat[at] - 0.01, lon[at] + 0.01, lat[at] + 0.01))
    near = Area(window.bbox, window)
    with hear():
        part = open_files(source, paths, region=near)
        where = f"{name}: region {tuple(round(v, 2) for v in near.bbox)}"
        assert all(part.sizes[d] for d in dims if d in part.dims), (
            f"{where} returns no cell, though files have values there"
        )
        part = part.load()
    _, part_lon, part_lat = _centres(part)
    off = np.hypot(_turn(part_lon - lon[at]), part_lat - lat[at])
    cell = np.unravel_index(np.nanargmin(off), off.shape)
    assert off[cell] < 1e-3, f"{where} lacks the cell in its middle: longitudes from 0 to 360, or swapped axes?"
    here = whole.isel(dict(zip(dims, at, strict=True)))
    _same(part.isel(dict(zip(dims, cell, strict=True))), here, f"{where} returns other values than the whole")
    reach = [ASIDE * max(_step(v), 0.1) for v in (lon, lat)]
    assert part_lon.shape != lon.shape or not _beyond(lon, lat, near.bbox, reach).any(), (
        f"{where} is ignored: cells far outside are returned"
    )


def _beyond(lon: np.ndarray, lat: np.ndarray, bbox: tuple[float, ...], reach: Sequence[float]) -> np.ndarray:
    west, south, east, north = bbox
    return np.asarray(
        (np.abs(_turn(lon - (west + east) / 2)) > (east - west) / 2 + reach[0])
        | (np.abs(lat - (south + north) / 2) > (north - south) / 2 + reach[1])
    )


def _turn(degrees: np.ndarray) -> np.ndarray:
    return (degrees + 180) % 360 - 180


def _step(centres: np.ndarray) -> float:
    """Largest distance of neighbours along the axis on which centres change most; infinite for points."""
    if centres.ndim != 2:
        return 0.0
    return max((float(np.nanmedian(np.abs(_turn(np.diff(centres, axis=a))))) for a in (0, 1) if centres.shape[a] > 1),
               default=0.0)  # fmt: skip


def _centres(ds: xr.Dataset) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Horizontal dims, and the longitudes (-180 to 180) and latitudes of the cells or sensors along them."""
    if "sensor" in ds.dims:
        return ("sensor",), _turn(ds["lon"].values.astype("f8")), ds["lat"].values.astype("f8")
    if {"lat", "lon"} <= set(ds.dims):
        lon, lat = np.meshgrid(ds["lon"].values.astype("f8"), ds["lat"].values.astype("f8"))
        return ("lat", "lon"), _turn(lon), lat
    if {"lat", "lon"} <= set(ds.coords) and ds["lat"].ndim == 2:
        flat = ds.transpose(..., "y", "x")
        return ("y", "x"), _turn(flat["lon"].values), flat["lat"].values
    import rioxarray  # noqa: F401

    x, y = np.meshgrid(ds["x"].values, ds["y"].values)
    lon, lat = transformer(ds.rio.crs.to_wkt(), DEGREES).transform(x, y)
    return ("y", "x"), np.asarray(lon), np.asarray(lat)


def _with_values(ds: xr.Dataset, dims: tuple[str, ...]) -> tuple[int, ...] | None:
    """The first cell of which every variable has a value, or else most have one."""
    counts: Any = 0
    for variable in ds.data_vars.values():
        if set(dims) <= set(variable.dims):
            valid = variable.notnull()
            counts = counts + valid.any([d for d in valid.dims if d not in dims]).transpose(*dims).values.astype(int)
    if not np.any(counts):
        return None
    return tuple(int(i) for i in np.unravel_index(np.argmax(counts), counts.shape))


def _check_period(source: DataSource, paths: Sequence[Path], whole: xr.Dataset, where: dict[str, Area]) -> None:
    name, days = source.info.name, whole["time"].values.astype("M8[D]")
    last = days[-1]
    if days[0] == last:
        return
    with hear():
        part = open_files(source, paths, time=slice(last, last), **where).load()
    got = np.unique(part["time"].values.astype("M8[D]"))
    assert list(got) == [last], (
        f"{name}: time={last} returns {len(got)} days{''.join(f', {d}' for d in got[:1])}, expected this day alone"
    )
    _same(part, whole.sel(time=whole["time"][days == last]), f"{name}: time={last} returns other values than the whole")


def _same(got: xr.Dataset, expected: xr.Dataset, rule: str) -> None:
    """Variables of both datasets have the same values."""
    for key in set(got.data_vars) & set(expected.data_vars):
        a, b = (ds[key].variable for ds in (got, expected))
        if a.dtype.kind == "f":
            same = a.sizes == b.sizes and np.allclose(a.values, b.values, rtol=1e-4, atol=1e-6, equal_nan=True)
            assert same, f"{rule} ({key})"


def _check_refusals(source: DataSource, paths: Sequence[Path], where: dict[str, Area], scratch: Path) -> None:
    """A file that cannot be read stops with an error that names it, or is left out and listed."""
    name, junk = source.info.name, scratch / "damaged" / paths[-1].name
    if paths[-1].is_dir():
        return
    junk.parent.mkdir()
    junk.write_bytes(HTML)
    try:
        open_files(source, [*paths[:-1], junk], **where)
    except XsmError as error:
        assert junk.name in str(error), f"{name}: the error does not name the file: {error}"
    except Exception as error:
        raise AssertionError(f"{name}: a file that cannot be read raises {type(error).__name__} ({error}), "
                             "expected an xsm.DataError that names it") from error  # fmt: skip
    else:
        raise AssertionError(f"{name}: an HTML page is read as data")
    if len(paths) == 1:
        return
    try:
        with hear() as heard:
            ds = open_files(source, [*paths[:-1], junk], on_error="skip", **where)
    except Exception as error:
        raise AssertionError(f"{name}: on_error='skip' is ignored, one file of {len(paths)} that cannot be read stops "
                             f"with {type(error).__name__}: {error}") from error  # fmt: skip
    lines = [*listed(ds.attrs), *(str(w) for w in heard if isinstance(w, SkippedFile))]
    assert any(junk.name in line for line in lines), f"{name}: the attribute skipped does not name the file left out"
