"""The plan of a projected raster finer than the target, or of any share of area: one pass over its pixels."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from xsm.data.geometry import Regular
from xsm.data.grids import Grid
from xsm.kernels import projected_sums, projected_tiles, weights
from xsm.kernels.interpolated import Located, Window, at_nearest, gathered, inside, source_index

Places = tuple[np.ndarray, np.ndarray, np.ndarray, projected_tiles.Pixels]
SPARSE = 4.0
"""Pixels per target cell below which the cell is interpolated instead, as near a horizon."""


@dataclass(frozen=True)
class Reduced:
    """Pixels are summed in target space (`xsm.kernels.plan.Plan`)."""

    geo: Regular
    grid: Grid
    method: str
    min_valid: float
    ratio: float
    coarser: bool

    @property
    def tile(self) -> int:
        """Pixels between exact positions."""
        return projected_sums.tile_of(self.ratio)

    @property
    def around(self) -> int:
        """Target columns around the globe."""
        return self.grid.shape_global[1]

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the source."""
        return self.geo.y.size, self.geo.x.size

    @property
    def located(self) -> Located:
        """The plan of cells that hold too few pixels."""
        return Located(self.geo, self.grid, self.size, self.method, self.min_valid, self.coarser)

    def window(self, rows: slice, cols: slice) -> Window | None:
        """See `Plan.window`."""
        smooth = self.method in weights.RADIUS
        reach = projected_tiles.reach(self.geo, self.grid, self.tile, 2.1 if smooth else 0.6, not smooth)
        at, tile = self.located.window(rows, cols), self.tile
        spans = []
        for axis, touched in enumerate(reach.touching(self.grid, rows, cols)):
            edges = [] if at is None else [at[2 * axis], at[2 * axis + 1]]
            edges += [int(touched.min()) * tile, int(touched.max() + 1) * tile] if len(touched) else []
            if not edges:
                return None
            spans += [min(edges) // tile * tile, min(-(-max(edges) // tile) * tile, self.size[axis])]
        top, bottom, left, right = spans
        return top, bottom, left, right

    def nearest(self, at: Window, rows: slice, cols: slice) -> tuple[np.ndarray, np.ndarray]:
        """See `Plan.nearest`."""
        return self.located.nearest(at, rows, cols)

    def interpolate(self, frames: np.ndarray, at: Window, rows: slice, cols: slice) -> np.ndarray:
        """See `Plan.interpolate`."""
        position = self.located.position(rows, cols)
        full, whole = self._pixels(rows, cols, *position[:2])
        places = self._places(at)
        out = np.empty((len(frames), *full.shape), frames.dtype)
        near, inside_source = at_nearest(frames, *inside(position[0], position[1], self.size, at))
        near = np.where(inside_source, near, np.nan).astype(frames.dtype, copy=False)
        if self.method == "average":
            for frame, centre, result in zip(frames, near, out, strict=True):
                areas = self._areas(frame, np.isnan(frame).astype("i4"), 2, places, at, rows, cols)
                num, den = areas[..., 0, 0], areas[..., 0, 1]
                covered = den + areas[..., 1, 1]
                needed = self.min_valid * np.where(whole, np.minimum(full, covered), full)
                with np.errstate(invalid="ignore", divide="ignore"):
                    result[...] = np.where(den >= needed, num / den, np.nan)
                lost = whole & (covered == 0)
                result[lost] = centre[lost]
            return out
        cubic = self.method == "bicubic"
        for frame, centre, result in zip(frames, near, out, strict=True):
            sums = self._moments(frame, places, at, rows, cols)
            projected_sums.combine(sums, cubic, full, centre, self.min_valid, result)
        sparse = full < SPARSE
        if sparse.any():
            position[:, ~sparse] = np.nan
            out[:, sparse] = gathered(frames, position, at, cubic, self.min_valid, self.coarser)[:, sparse]
        return out

    def majority(self, codes: np.ndarray, classes: int, at: Window, rows: slice, cols: slice) -> np.ndarray:
        """See `Plan.majority`."""
        v, u = self.located.position(rows, cols)[:2]
        full, _ = self._pixels(rows, cols, v, u)
        places = self._places(at)
        near, inside_source = at_nearest(codes, *inside(v, u, self.size, at))
        out = np.empty((len(codes), *full.shape), codes.dtype)
        ones = np.ones(codes.shape[1:], "f4")
        for frame, centre, result in zip(codes, near, out, strict=True):
            area = self._areas(ones, frame, classes, places, at, rows, cols)[..., 1]
            enough = (area.sum(-1) >= self.min_valid * full) | (inside_source & (centre >= 0))
            result[...] = np.where(enough & (area.sum(-1) > 0), area.argmax(-1), -1)
        return out

    def _places(self, at: Window) -> Places:
        x, y, plain = projected_tiles.nodes(self.geo, self.grid, self.tile, at)
        return plain, x, y, projected_tiles.pixels(self.geo, self.grid, self.tile, at, plain)

    def _moments(self, frame: np.ndarray, places: Places, at: Window, rows: slice, cols: slice) -> np.ndarray:
        plain, x, y, cut = places
        row0, col0, around = self.grid.row0 + rows.start - 2, self.grid.col0 + cols.start - 2, self.around
        sums = np.zeros((rows.stop - rows.start + 3, cols.stop - cols.start + 3, 32))
        projected_sums.moments(frame, plain, x, y, self.tile, around, row0, col0, sums)
        projected_sums.moments_of(frame[cut.r - at[0], cut.c - at[2]], cut.x, cut.y, around, row0, col0, sums)
        if sums.shape[1] > around:  # dual cells of the first columns are those of the last
            sums[:, around:] = sums[:, : sums.shape[1] - around]
        return sums

    def _areas(
        self,
        frame: np.ndarray,
        codes: np.ndarray,
        classes: int,
        places: Places,
        at: Window,
        rows: slice,
        cols: slice,
    ) -> np.ndarray:
        plain, x, y, cut = places
        row0, col0 = self.grid.row0 + rows.start, self.grid.col0 + cols.start
        sums = np.zeros((rows.stop - rows.start, cols.stop - cols.start, classes, 2))
        projected_sums.overlap(frame, codes, plain, x, y, self.tile, self.around, row0, col0, sums)
        spot = cut.r - at[0], cut.c - at[2]
        exact = cut.x, cut.y, cut.half_x, cut.half_y
        projected_sums.overlap_of(frame[spot], codes[spot], *exact, self.around, row0, col0, sums)
        return sums

    def _pixels(self, rows: slice, cols: slice, v: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels per target cell, infinite where its centre has no place in the source; whether all of it lies there.

        From the least of the triangles of its centre and two corners: the map may be cut within the cell.
        """
        row, col = (np.arange(p.start, p.stop + 1) - 0.5 for p in (rows, cols))
        corner = np.stack(source_index(self.geo, self.grid, *np.meshgrid(row, col, indexing="ij")))
        ring = [corner[:, i : i + len(v), j : j + v.shape[1]] for i, j in ((0, 0), (0, 1), (1, 1), (1, 0))]
        ways = [(at[0] - v, at[1] - u) for at in ring]
        pairs = zip(ways, ways[1:] + ways[:1], strict=True)
        least = functools.reduce(np.fmin, (np.abs(a[0] * b[1] - a[1] * b[0]) for a, b in pairs))
        whole = np.all([(at[k] >= -0.5) & (at[k] <= self.size[k] - 0.5) for at in ring for k in (0, 1)], 0)
        return np.where(np.isfinite(least), 2 * least, np.inf), whole
