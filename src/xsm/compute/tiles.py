"""Where the patches of a model lie on the global grid, and the tiles and groups of days that a graph is made of.

Patches are anchored to the rows and columns of the global grid, so that a cell's estimate depends neither on the chunks
of the input nor, where all covering patches lie in the data, on the window. Groups of days begin with the first day, as
the chunks of a Zarr store do, so that a chunk group is made of whole groups of days.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xsm.compute.chunks import anchored
from xsm.contracts.model import Block
from xsm.data.grids import Grid

TILE_PATCHES = 6
"""Patches along each side of a tile."""
DAY_GROUP = 16
"""Days of a tile."""


@dataclass(frozen=True)
class LocalAxis:
    """One axis of a tile inside its chunks: what to cut, how much to pad, where the patches and cells are."""

    cut: slice
    pad: tuple[int, int]
    patches: tuple[int, ...]
    cells: slice


@dataclass(frozen=True)
class Tile:
    """A tile inside the chunks of its task: its first day, the day after its last, and the first with an estimate."""

    row: LocalAxis
    col: LocalAxis
    days: tuple[int, int]
    begin: int


@dataclass(frozen=True)
class TileAxis:
    """One axis of a tile: its cells, the cells of the patches that cover it, and the patches' origins (global)."""

    start: int
    stop: int
    first: int
    last: int
    origins: tuple[int, ...]

    def within(self, chunk: int, first: int, size: int) -> LocalAxis:
        """The same inside chunks that begin at cell ``chunk``, in a window of ``size`` cells from ``first``."""
        low, high = max(self.first, first), min(self.last, first + size)
        return LocalAxis(
            slice(low - chunk, high - chunk),
            (low - self.first, self.last - high),
            tuple(o - self.first for o in self.origins),
            slice(self.start - self.first, self.stop - self.first),
        )


def tiles(first: int, size: int, block: Block) -> list[TileAxis]:
    """The tiles along one axis of a window, with every patch that covers a cell of them."""
    start, axes = first, []
    for length in anchored(first, size, block.stride * TILE_PATCHES):
        origins = range(
            -((block.size - 1 - start) // block.stride) * block.stride, start + length, block.stride
        )  # every k * stride with k * stride + size > start
        axes.append(TileAxis(start, start + length, origins[0], origins[-1] + block.size, tuple(origins)))
        start += length
    return axes


def taper(block: Block) -> np.ndarray:
    """Blending weight of a patch along one axis: ramps over the overlap, 1 inside, never 0."""
    overlap = block.size - block.stride
    ramp = np.minimum(1.0, (np.arange(block.size) + 1) / (overlap + 1))
    return (ramp * ramp[::-1]).astype("f4")


def covered(grid: Grid, *blocks: Block) -> np.ndarray:
    """Cells of the window for which every covering patch lies inside it, bool (y, x).

    Of several blocks, each takes the estimates of the one before: its patches must lie in the cells that one covers.
    """

    def axis(first: int, size: int) -> np.ndarray:
        cells, end = np.arange(first, first + size), first + size
        inside = np.ones(size, bool)
        for block in blocks:
            low = -((block.size - 1 - cells) // block.stride) * block.stride
            high = cells // block.stride * block.stride + block.size
            inside &= (low >= first) & (high <= end)
            if not inside.any():
                break
            first, end = cells[inside][0], cells[inside][-1] + 1
        return inside

    return axis(grid.row0, grid.rows)[:, None] & axis(grid.col0, grid.cols)


def day_groups(count: int) -> list[tuple[int, int]]:
    """First day of each group, and the day after its last."""
    return [(first, min(first + DAY_GROUP, count)) for first in range(0, count, DAY_GROUP)]
