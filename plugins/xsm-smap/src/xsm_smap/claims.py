"""What an HDF5 file says of the place of its data: names, projection, axes, indices, latitude and longitude."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from xsm import DataError, Grid

from xsm_smap.hdf5 import cleaned, frame, number, plane, shape, swapped, text
from xsm_smap.placing import Answer, Claim, index, lines, positions

GRIDS_OF = {
    "SPL3SMP": ("EASE2_M36",),
    "SPL2SMP": ("EASE2_M36",),
    "SPL3SMP_E": ("EASE2_M09", "EASE2_N09"),
    "SPL2SMP_E": ("EASE2_M09",),
    "SPL4SMGP": ("EASE2_M09",),
}
"""Grids of the products by short name."""
FILE_NAME = re.compile(r"^SMAP_L(?P<level>[234])_SM_(?P<kind>P_E|P|gph)_")
SHORT_NAMES = ("shortName", "short_name", "ShortName", "SMAPShortName")
AXIS_NAMES = {
    "x": re.compile(r"^x(_(global|polar|cylindrical|coordinate))?$"),
    "y": re.compile(r"^y(_(global|polar|cylindrical|coordinate))?$"),
    "lon": re.compile(r"^lon(gitude)?$"),
    "lat": re.compile(r"^lat(itude)?$"),
}
AXIS_UNITS = {"degrees_north": "lat", "degree_north": "lat", "degrees_east": "lon", "degree_east": "lon"}
AXIS_STANDARD = {"projection_x_coordinate": "x", "projection_y_coordinate": "y"}
CELLS = {
    "row": ("EASE_row_index", "cell_row"),
    "col": ("EASE_column_index", "cell_column"),
    "lat": ("latitude", "cell_lat", "lat"),
    "lon": ("longitude", "cell_lon", "lon"),
}
"""Datasets of one value a cell, without suffix of the pass."""
EMPTY_INDEX = 65534
LARGE = 1_000_000
SAMPLE = 8
"""Lines of large datasets that are read."""
KM = re.compile(r"_(\d+)\s?km", re.I)
PARAMETERS = {
    "standard_parallel": 30.0,
    "latitude_of_projection_origin": 90.0,
    "longitude_of_central_meridian": 0.0,
    "longitude_of_projection_origin": 0.0,
    "false_easting": 0.0,
    "false_northing": 0.0,
}
"""Of the EASE-Grid 2.0, cylindrical and polar."""
NOTHING = np.empty(0, "i8")
"""The part of an answer where a claim says nothing of an axis."""


@dataclass(frozen=True)
class Cells:
    """Values of a 2-D dataset on the lines ``at`` of its first axis; ``swapped`` against the data."""

    values: np.ndarray
    at: np.ndarray
    count: int
    swapped: bool

    def ends(self, axis: int, kind: str) -> np.ndarray:
        """Lowest and highest degrees (2, line) of each line: where both are of one cell, so are all."""
        degrees = self.values if kind == "lat" else (self.values + 180) % 360 - 180
        valid = np.isfinite(self.values) & (np.abs(self.values) <= (90 if kind == "lat" else 360))
        across = axis if self.swapped else 1 - axis
        low, high = (f.reduce(np.where(valid, degrees, np.nan), across, initial=np.nan) for f in (np.fmin, np.fmax))
        return np.stack([low, high])

    def lines(self, cells: np.ndarray, axis: int) -> np.ndarray | None:
        """One index for each line along an axis of the data."""
        mine = 1 - axis if self.swapped else axis
        part = lines(cells, mine)
        if part is None or mine == 1:
            return part
        whole = np.full(self.count, -1, "i8")
        whole[self.at] = part
        return whole


def named_grids(file: Any, path: Path) -> Iterator[Claim]:
    """Claims of the file's name and of the product's short name."""
    match = FILE_NAME.match(path.name)
    if match:
        product = "SPL4SMGP" if match["kind"] == "gph" else f"SPL{match['level']}SM{match['kind']}"
        if product in GRIDS_OF:
            yield on_grids(f"its file name ({product})", GRIDS_OF[product])
    for place in ("/", "Metadata/DatasetIdentification", "Metadata/SeriesIdentification"):
        node = file.get(place)
        for name in SHORT_NAMES if node is not None else ():
            if text(node, name) in GRIDS_OF:
                product = text(node, name)
                yield on_grids(f"{name} in the metadata ({product})", GRIDS_OF[product])


def on_grids(said: str, names: Sequence[str]) -> Claim:
    """A claim that says the grid and nothing else."""
    return Claim(said, lambda grid, turned: (NOTHING, NOTHING) if grid.name in names else None, False)


def cell_claims(file: Any, group: Any, path: Path) -> list[Claim]:
    """All claims about cells along one dimension; every answer has rows and columns of all cells."""

    def values(name: str) -> np.ndarray | None:
        node = group.get(name)
        return None if node is None else cleaned(node, np.asarray(node[...], "f8"))

    row, col, lat, lon = (values(CELLS[k][0]) for k in ("row", "col", "lat", "lon"))
    claims = [*named_grids(file, path)]
    if row is not None and col is not None:
        claims.append(_cell_indices(row, col))
    if lat is not None and lon is not None and lat.shape == lon.shape:
        claims.append(_cell_degrees(lat, lon))
    return claims


def _cell_indices(row: np.ndarray, col: np.ndarray) -> Claim:
    valid = np.isfinite(row) & np.isfinite(col) & (row >= 0) & (col >= 0) & (row < EMPTY_INDEX) & (col < EMPTY_INDEX)
    r, c = (np.where(valid, v, -1).astype("i8") for v in (row, col))

    def answer(grid: Grid, turned: bool) -> Answer:
        inside = all(i.max(initial=-1) < n for i, n in zip((r, c), grid.shape_global, strict=True))
        return (r, c) if inside else None

    spans = [
        f"{n} (up to {i.max(initial=-1)})" for n, i in zip((CELLS["row"][0], CELLS["col"][0]), (r, c), strict=True)
    ]
    return Claim(" and ".join(spans), answer)


def _cell_degrees(lat: np.ndarray, lon: np.ndarray) -> Claim:
    def answer(grid: Grid, turned: bool) -> Answer:
        both = positions(lon, lat, grid)
        return None if any((i == -2).any() for i in both) else both

    valid = (np.abs(lat) <= 90) & (np.abs(lon) <= 360)
    spans = [
        f"{n} ({v[valid].min():.6g} to {v[valid].max():.6g})" if valid.any() else n
        for n, v in (("latitude", lat), ("longitude", lon))
    ]
    return Claim(" and ".join(spans), answer)


def collect(file: Any, maps: Sequence[tuple[Any, str]], path: Path) -> list[Claim]:
    """All claims about 2-D maps of one shape.

    Parameters
    ----------
    file : h5py.File
        The file.
    maps : sequence of (h5py.Dataset, str)
        One map of each pass, and the suffix of the pass.
    path : Path
        Of the file.
    """
    claims = [*named_grids(file, path)]
    for data, suffix in maps:
        groups = _ancestors(data)
        nodes = [data]
        for node, axis in _axes(data, groups):
            claims.append(_axis(node, axis, data))
            nodes.append(node)
        claims += _cells(groups, suffix, data)
        claims += _projections(file, groups, nodes)
    return claims


def _ancestors(data: Any) -> list[Any]:
    groups, group = [], data.parent
    while True:
        groups.append(group)
        if group.name == "/":
            return groups
        group = group.parent


def _axes(data: Any, groups: Sequence[Any]) -> Iterator[tuple[Any, int | None]]:
    """1-D coordinates, with the axis of the data that they belong to where the file says."""
    known = set()
    for position, axis in enumerate(plane(data)):
        for scale in data.dims[axis].values():
            known.add(scale.name)
            if _kind(scale):
                yield scale, position
    for group in groups:
        for node in _lists(group):
            if node.name not in known and _kind(node):
                known.add(node.name)
                if len(node) in shape(data):
                    yield node, None


def _lists(group: Any) -> Iterator[Any]:
    """The 1-D datasets of a group; the others are not made into objects of h5py."""
    from h5py import h5d

    for name in group:
        with contextlib.suppress(KeyError, ValueError, TypeError):  # a group, or a link to nothing
            if h5d.open(group.id, name.encode()).rank == 1:
                yield group[name]


def _kind(node: Any) -> str:
    """What a 1-D coordinate counts: "x", "y", "lon", "lat" or nothing that is known."""
    if node.ndim != 1 or node.dtype.kind not in "fiu" or text(node, "NAME").startswith("This is a netCDF dimension"):
        return ""
    units = text(node, "units").strip().lower()
    by_attribute = AXIS_UNITS.get(units) or AXIS_STANDARD.get(text(node, "standard_name"))
    name = node.name.rsplit("/", 1)[-1]
    return by_attribute or next((k for k, pattern in AXIS_NAMES.items() if pattern.match(name)), "")


def _axis(node: Any, axis: int | None, data: Any) -> Claim:
    kind, values = _kind(node), cleaned(node, np.asarray(node[...], "f8"))
    values = values * (1000 if kind in "xy" and text(node, "units").strip() == "km" else 1)
    count = shape(data)
    first = 0 if kind in ("y", "lat") else 1

    def answer(grid: Grid, turned: bool) -> Answer:
        mine = 1 - first if turned else first
        if (axis is not None and axis != mine) or len(values) != count[mine]:
            return None
        if kind in "xy":
            part = index(values, grid, kind)
        elif grid.epsg != 6933:
            return None
        else:
            part = positions(values, 0, grid)[1] if kind == "lon" else positions(0, values, grid)[0]
        if (part == -2).any():
            return None
        return (part, NOTHING) if first == 0 else (NOTHING, part)

    known = values[np.isfinite(values)]
    span = f"{known[0]:.10g} to {known[-1]:.10g}" if len(known) else "no values"
    return Claim(f"{node.name.lstrip('/')} ({span})", answer)


def _cells(groups: Sequence[Any], suffix: str, data: Any) -> Iterator[Claim]:
    by_kind: dict[str, tuple[str, Cells]] = {}
    for kind, names in CELLS.items():
        for group in groups:
            node = next((group[n + s] for n in names for s in dict.fromkeys((suffix, "")) if n + s in group), None)
            if node is None or getattr(node, "ndim", 0) < 2:
                continue
            order = swapped(node, frame(data))
            if order is None:
                raise DataError(
                    f"'{node.file.filename}': {node.name} has the shape {' x '.join(map(str, node.shape))}, the data "
                    f"have {' x '.join(map(str, data.shape))}.",
                    hint="Cut all datasets of a file alike.",
                )
            by_kind[kind] = node.name.lstrip("/"), _read(node, swap=order)
            break
    for kind in ("row", "col"):
        if kind in by_kind:
            yield _indices(*by_kind[kind], kind)
    if "lat" in by_kind or "lon" in by_kind:
        yield from _degrees(by_kind)


def _indices(name: str, cells: Cells, kind: str) -> Claim:
    valid = np.isfinite(cells.values) & (cells.values >= 0) & (cells.values < EMPTY_INDEX)
    whole = np.where(valid, cells.values, -1).astype("i8")
    broken = bool((valid & (cells.values != whole)).any())

    def answer(grid: Grid, turned: bool) -> Answer:
        axis = (kind == "row") == turned
        size = grid.shape_global[kind == "col"]
        part = None if broken or whole.max(initial=-1) >= size else cells.lines(whole, int(axis))
        if part is None:
            return None
        return (part, NOTHING) if kind == "row" else (NOTHING, part)

    low = whole[valid].min() if valid.any() else None
    span = "no value" if low is None else f"{low} to {whole.max()}"
    return Claim(f"{name} ({span})", answer)


def _degrees(by_kind: dict[str, tuple[str, Cells]]) -> Iterator[Claim]:
    """Claims of latitude and of longitude; on the polar grid each needs the other."""
    lon, lat = (by_kind[k][1] if k in by_kind else None for k in ("lon", "lat"))
    both = (lon.values, lat.values) if lon and lat and lon.swapped == lat.swapped else None
    for kind in ("lat", "lon"):
        if kind in by_kind:
            yield _degree(*by_kind[kind], kind, both)


def _degree(name: str, cells: Cells, kind: str, both: tuple[np.ndarray, np.ndarray] | None) -> Claim:
    def answer(grid: Grid, turned: bool) -> Answer:
        if grid.epsg != 6933 and both is None:
            return NOTHING, NOTHING
        axis = int((kind == "lat") == turned)
        if grid.epsg != 6933 and both is not None:
            part = cells.lines(positions(*both, grid)[kind == "lon"], axis)
        else:
            ends = cells.ends(axis, kind)
            pair = positions(0, ends, grid)[0] if kind == "lat" else positions(ends, 0, grid)[1]
            part = cells.lines(pair.T if axis == int(cells.swapped) else pair, axis)
        if part is None:
            return None
        return (part, NOTHING) if kind == "lat" else (NOTHING, part)

    valid = cells.values[np.isfinite(cells.values) & (np.abs(cells.values) <= 360)]
    span = f"{valid.flat[0]:.6g} to {valid.flat[-1]:.6g}" if valid.size else "no value"
    return Claim(f"{name} ({span})", answer)


def _projections(file: Any, groups: Sequence[Any], nodes: Sequence[Any]) -> Iterator[Claim]:
    names = {text(n, "grid_mapping").split(":")[0].strip() for n in nodes} - {""}
    for name in sorted(names):
        holders = [file] if name.startswith("/") else groups
        node = next((g[name] for g in holders if name in g), None)
        if node is not None and text(node, "grid_mapping_name"):
            yield _projection(name.lstrip("/"), node)


def _projection(name: str, node: Any) -> Claim:
    kind, size = text(node, "grid_mapping_name"), KM.search(name)
    parameters = {n: number(node.attrs[n]) for n in PARAMETERS if n in node.attrs}
    fits = all(abs(v - PARAMETERS[n]) < 1e-6 for n, v in parameters.items())

    def answer(grid: Grid, turned: bool) -> Answer:
        expected = "lambert_cylindrical_equal_area" if grid.epsg == 6933 else "lambert_azimuthal_equal_area"
        right = fits and kind == expected and (size is None or int(size[1]) == round(grid.cell / 1000))
        return (NOTHING, NOTHING) if right else None

    return Claim(f"the projection {name} ({kind})", answer, tells_lines=False)


def _read(node: Any, *, swap: bool) -> Cells:
    """Values of a cell dataset; of a large one in chunks of one line, some lines that were written."""
    count, width = shape(node)
    if node.ndim == 2 and node.size > LARGE and node.chunks == (1, width):
        chunks = node.id.get_num_chunks()
        some = sorted({int(i) for i in np.linspace(0, chunks - 1, SAMPLE)}) if chunks else []
        at = np.array([node.id.get_chunk_info(i).chunk_offset[0] for i in some], int)
        values = cleaned(node, np.array([node[int(i)] for i in at], "f8").reshape(len(at), width))
        if not chunks or ((values >= -360) & (values < EMPTY_INDEX)).any():
            return Cells(values, at, count, swap)
    return Cells(cleaned(node, np.asarray(node[...], "f8").reshape(count, width)), np.arange(count), count, swap)
