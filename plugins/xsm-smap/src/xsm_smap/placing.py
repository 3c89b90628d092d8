"""Where the cells of a file lie: everything that a file says of its place, brought together or refused.

What a file says is a list of claims: names of product and projection, ``x`` and ``y``, EASE indices, latitude and
longitude. Each claim answers for one grid and one order of the two axes; the place is what all of them agree on
(documentation: Formats, SMAP, Placing). `xsm_smap.claims` collects the claims of a file.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from xsm import DataError, Grid

from xsm_smap.layout import FILL, NO_FLAG

OFF_CENTRE = 0.1
"""Share of a cell by which coordinates may miss the centre; float32 degrees miss it by 1e-3."""

Index = np.ndarray
"""Global rows or columns of the lines along one axis, -1 where a claim does not say; empty where it says none."""
Answer = tuple[Index, Index] | None
"""Rows and columns as a claim has them, None where the claim does not fit the grid or the order of the axes."""


@dataclass(frozen=True)
class Claim:
    """One thing that a file says of its place.

    ``said`` is how a sentence names it. ``answer`` takes a grid and whether the data are turned (columns first).
    ``tells_lines`` is false for a name, which tells the grid alone.
    """

    said: str
    answer: Callable[[Grid, bool], Answer]
    tells_lines: bool = True


@dataclass(frozen=True)
class Place:
    """Rows and columns of 2-D data on a global grid, and the order of the two axes."""

    grid: Grid
    rows: Index
    cols: Index
    turned: bool

    @property
    def plain(self) -> bool:
        """Whether the data are the whole grid, north first: row and column of a cell are its place in the array."""
        sizes = zip((self.rows, self.cols), self.grid.shape_global, strict=True)
        return not self.turned and all(len(i) == n and (i == np.arange(n)).all() for i, n in sizes)

    @property
    def window(self) -> Grid:
        """The window that encloses the data."""
        (r0, r1), (c0, c1) = ((int(i.min()), int(i.max()) + 1) for i in (self.rows, self.cols))
        return self.grid.window(r0, r1, c0, c1)

    def put(self, values: np.ndarray, window: Grid) -> np.ndarray:
        """Place 2-D data, in the order of their file, on a window; -9999 or 65534 where the file has no cell."""
        out = np.full(window.shape, FILL if values.dtype.kind == "f" else NO_FLAG, values.dtype)
        r, c = self.rows - window.row0, self.cols - window.col0
        row, col = (r >= 0) & (r < window.rows), (c >= 0) & (c < window.cols)
        part = values.T if self.turned else values
        out[np.ix_(r[row], c[col])] = part[np.ix_(row, col)]
        return out


class OpenPlaceError(DataError):
    """A file that does not say where its cells lie, without contradicting itself."""


def place(claims: Sequence[Claim], grids: Iterable[Grid], shape: tuple[int, ...], what: str) -> Place:
    """Find the one place on which all claims agree.

    Parameters
    ----------
    claims : sequence of Claim
        What the file says.
    grids : iterable of Grid
        Global grids on which the data may be.
    shape : tuple of int
        Of the 2-D data.
    what : str
        Name of the file in a sentence.

    Raises
    ------
    DataError
        Claims that contradict each other or every grid, or that leave the place open.
    """
    grids = tuple(grids)
    places = [p for grid in grids for turned in (False, True) if (p := _complete(claims, grid, turned, shape))]
    by_grid = {p.grid.name: p for p in sorted(places, key=lambda p: p.grid.name)}
    if len(by_grid) > 1:
        raise _open([p.grid for p in by_grid.values()], what)
    if by_grid:
        return places[0]
    raise contradiction(claims, grids, shape, what) or OpenPlaceError(
        f"{what} has {shape[0]} x {shape[1]} cells and does not say where they lie"
        + (f" (it has {', '.join(c.said for c in claims)})." if claims else "."),
        hint="Keep x and y, or EASE_row_index and EASE_column_index, in the subset, or take the whole granule.",
    )


def grid_of_cells(claims: Sequence[Claim], grids: Iterable[Grid], count: int, what: str) -> Grid:
    """Find the one grid on which all claims about ``count`` cells along one dimension agree."""
    grids, shape = tuple(grids), (count, count)
    fits = [g for g in grids if _joined(claims, g, False, shape, cells=True) is not None]
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise _open(fits, what)
    raise contradiction(claims, grids, shape, what, cells=True) or DataError(f"{what} cannot be placed.")


def contradiction(
    claims: Sequence[Claim], grids: Sequence[Grid], shape: tuple[int, ...], what: str, *, cells: bool = False
) -> DataError | None:
    """Name the first claim, or the first two, that no grid can meet; None where there are none."""

    def met(*some: Claim) -> bool:
        turns = (False,) if cells else (False, True)
        return any(_joined(some, grid, turned, shape, cells=cells) is not None for grid in grids for turned in turns)

    hint = "Take the file as it was downloaded, or correct the one that is wrong."
    names = " or ".join(g.name for g in grids)
    for i, claim in enumerate(claims):
        if not met(claim):
            return DataError(f"{what} cannot be placed: no cells of {names} have {claim.said}.", hint=hint)
        other = next((c for c in claims[:i] if not met(c, claim)), None)
        if other is not None:
            return DataError(f"{what} contradicts itself: {other.said} against {claim.said}.", hint=hint)
    if not met(*claims):
        return DataError(f"{what} contradicts itself: {', '.join(c.said for c in claims)} disagree.", hint=hint)
    return None


def _open(grids: Iterable[Grid], what: str) -> DataError:
    return DataError(
        f"The cells of {what} fit {' and '.join(g.name for g in grids)}; nothing in the file says which grid is right.",
        hint="Keep the name that the product came with, or latitude and longitude beside the indices.",
    )


def positions(lon: Any, lat: Any, grid: Grid) -> tuple[Index, Index]:
    """Row and column of points that are cell centres: -1 where missing, -2 where they are none of the grid's."""
    lon, lat = np.broadcast_arrays(np.asarray(lon, "f8"), np.asarray(lat, "f8"))
    missing = ~(np.isfinite(lon) & np.isfinite(lat) & (np.abs(lat) <= 90) & (np.abs(lon) <= 360))
    x, y = _transformer(grid.epsg).transform((np.where(missing, 0, lon) + 180) % 360 - 180, np.where(missing, 0, lat))
    row, col = index(y, grid, "y"), index(x, grid, "x")
    return np.where(missing, -1, row), np.where(missing, -1, col)


def index(values: Any, grid: Grid, axis: str) -> Index:
    """Row ("y") or column ("x") of coordinates in metres: -1 where missing, -2 where they are no cell centre."""
    centres = grid.y if axis == "y" else grid.x
    with np.errstate(invalid="ignore"):
        exact = (np.asarray(values, "f8") - centres[0]) / (centres[1] - centres[0])
        near = np.rint(exact)
        wrong = (np.abs(exact - near) > OFF_CENTRE) | (near < 0) | (near >= len(centres))
    return np.where(np.isfinite(exact), np.where(wrong, -2, near), -1).astype("i8")


def lines(cells: Index, axis: int) -> Index | None:
    """Reduce the indices of 2-D cells to one for each line along an axis; None where they differ along a line."""
    if (cells == -2).any():
        return None
    high = cells.max(1 - axis, initial=-1)
    low = np.where(cells < 0, np.iinfo("i8").max, cells).min(1 - axis, initial=np.iinfo("i8").max)
    return None if ((high >= 0) & (low != high)).any() else high


def _joined(
    claims: Iterable[Claim], grid: Grid, turned: bool, shape: tuple[int, ...], *, cells: bool = False
) -> Answer:
    """What claims say together on one grid; None where they contradict. ``cells`` need not lie in lines."""
    both = [np.full(n, -1, "i8") for n in (shape[::-1] if turned else shape)]
    for claim in claims:
        answer = claim.answer(grid, turned)
        if answer is None:
            return None
        for i, part in enumerate(answer):
            if not len(part):
                continue
            if len(part) != len(both[i]) or ((part >= 0) & (both[i] >= 0) & (part != both[i])).any():
                return None
            both[i] = np.where(both[i] < 0, part, both[i])
    if not cells and any(_filled(i, n) is False for i, n in zip(both, grid.shape_global, strict=True)):
        return None
    return both[0], both[1]


def _complete(claims: Iterable[Claim], grid: Grid, turned: bool, shape: tuple[int, ...]) -> Place | None:
    answer = _joined(claims, grid, turned, shape)
    if answer is None:
        return None
    rows, cols = (_filled(i, n) for i, n in zip(answer, grid.shape_global, strict=True))
    if not (isinstance(rows, np.ndarray) and isinstance(cols, np.ndarray)):
        return None
    return Place(grid, rows, cols, turned)


def _filled(known: Index, size: int) -> Index | bool | None:
    """Fill lines of which nothing is known, by their even step; None where it is open, False where none fits."""
    at, n = np.flatnonzero(known >= 0), len(known)
    if len(at) == n:
        return known if len(np.unique(known)) == n and known.max(initial=-1) < size else False
    if not len(at):
        return np.arange(size) if n == size else None
    line = np.arange(n)
    if len(at) == 1:
        whole = [i for i in (line, line[::-1]) if n == size and i[at[0]] == known[at[0]]]
        return whole[0] if whole else (False if n >= size else None)
    step, rest = divmod(int(known[at[-1]] - known[at[0]]), int(at[-1] - at[0]))
    out = known[at[0]] + step * (line - at[0])
    fits = rest == 0 and step != 0 and (out[at] == known[at]).all() and out.min() >= 0 and out.max() < size
    return out if fits else False


@functools.cache
def _transformer(epsg: int) -> Any:
    from pyproj import Transformer

    return Transformer.from_crs("EPSG:4326", f"EPSG:{epsg}", always_xy=True)
