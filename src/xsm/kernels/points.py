"""Points without neighbours: the mean or the commonest value of those in a cell, else the nearest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xsm.data.geometry import Scattered
from xsm.data.targets import Sites, Target
from xsm.kernels.interpolated import Window


@dataclass(frozen=True)
class Points:
    """Points without neighbours, as frames of one row (`xsm.kernels.plan.Plan`): those in a cell, else the nearest.

    ``index`` (rows, cols) is the nearest point of each target cell, -1 where none is near; ``cell`` (points, 2) the row
    and column of the target cell that contains each point, -1 outside.
    """

    index: np.ndarray
    cell: np.ndarray
    min_valid: float
    coarser: bool = False

    def window(self, rows: slice, cols: slice) -> Window | None:
        """See `Plan.window`."""
        return (0, 1, 0, len(self.cell)) if (self.index[rows, cols] >= 0).any() else None

    def nearest(self, at: Window, rows: slice, cols: slice) -> tuple[np.ndarray, np.ndarray]:
        """See `Plan.nearest`."""
        index = self.index[rows, cols]
        return np.minimum(index, 0), index

    def interpolate(self, frames: np.ndarray, at: Window, rows: slice, cols: slice) -> np.ndarray:
        """See `Plan.interpolate`."""
        index = self.index[rows, cols]
        out = np.where(index >= 0, frames[:, 0, index], np.nan).astype(frames.dtype, copy=False)
        point, spot, count = self._in_cells(rows, cols)
        for frame, result in zip(frames[:, 0, point], out, strict=True):
            valid = np.isfinite(frame)
            number = np.bincount(spot[valid], minlength=index.size).reshape(index.shape)
            total = np.bincount(spot[valid], frame[valid], index.size).reshape(index.shape)
            enough = (number > 0) & (number >= self.min_valid * count)
            result[enough] = total[enough] / number[enough]
        return out

    def majority(self, codes: np.ndarray, classes: int, at: Window, rows: slice, cols: slice) -> np.ndarray:
        """See `Plan.majority`."""
        index = self.index[rows, cols]
        out = np.where(index >= 0, codes[:, 0, index], -1)
        point, spot, count = self._in_cells(rows, cols)
        for frame, result in zip(codes[:, 0, point], out, strict=True):
            valid = frame >= 0
            share = np.bincount(spot[valid] * classes + frame[valid], minlength=index.size * classes)
            share = share.reshape(*index.shape, classes)
            number = share.sum(-1)
            enough = (number > 0) & (number >= self.min_valid * count)
            result[enough] = share.argmax(-1)[enough]
        return out

    def _in_cells(self, rows: slice, cols: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Points in the cells of a block, the cell that contains each, and how many each contains."""
        low, high = (rows.start, cols.start), (rows.stop, cols.stop)
        point = np.flatnonzero(((self.cell >= low) & (self.cell < high)).all(1))
        shape = high[0] - low[0], high[1] - low[1]
        spot = np.ravel_multi_index(tuple((self.cell[point] - low).T), shape)
        return point, spot, np.bincount(spot, minlength=shape[0] * shape[1]).reshape(shape)


def cells_of(geo: Scattered, target: Target) -> np.ndarray:
    """Row and column (points, 2) in a target window of the cell that contains each point; -1 outside."""
    if isinstance(target, Sites):
        return np.full((len(geo.lon), 2), -1)
    row, col = target.rowcol(geo.lon, geo.lat)
    cell = np.column_stack([row - target.row0, col - target.col0])
    cell[(row < 0) | (cell < 0).any(1) | (cell >= target.shape).any(1)] = -1
    return cell
