"""The xarray engine ``smap``: one file as it is, lazily, always with a ``time`` dimension."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray, BackendEntrypoint
from xarray.core import indexing
from xsm import DataError, Grid
from xsm.plugin_api import make_request

from xsm_smap import INFO, layout
from xsm_smap.daily import dataset, read_day
from xsm_smap.granule import Granule, look, wanted_variables


class SmapBackend(BackendEntrypoint):
    """Open one SMAP file on its whole native grid; only indexed rows are ever read.

    Examples
    --------
    >>> xr.open_dataset(path, engine="smap", overpass="PM")["sm_dca"]  # doctest: +SKIP
    """

    description = "SMAP Level-3 and Level-2 radiometer soil moisture (xsm)"
    url = "https://nsidc.org/data/spl3smp_e"
    open_dataset_parameters = ("filename_or_obj", "drop_variables", "overpass", "quality", "projection", "variables")

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        overpass: str | None = None,
        quality: str = "successful",
        projection: str = "global",
        variables: Sequence[str] | None = None,
    ) -> xr.Dataset:
        """Open a file as ``(time=1, y, x)`` with canonical names.

        Parameters
        ----------
        filename_or_obj : str or path
            A SPL3SMP_E, SPL3SMP or SPL2SMP file or a file of points.
        drop_variables : str or iterable of str, optional
            Names to leave out.
        overpass : {"AM", "PM", "both"}, optional
            Pass; by default AM, for a half orbit its own.
        quality, projection, variables
            As in `SmapSource.open`.
        """
        path = Path(os.fspath(filename_or_obj))
        options = {"overpass": overpass or "AM", "quality": quality, "projection": projection}
        request = make_request(INFO, [path], variables=variables, **options)
        granule = look(path, request)
        half_orbit = overpass is None and granule.level == "L2"
        overpass, quality = granule.passes[0] if half_orbit else request.options["overpass"], request.options["quality"]
        if granule.grid is None:
            raise DataError(
                f"'{granule.path}' contains no point.", hint="<open()> places it beside files of other days."
            )
        day = granule.days[0]
        dropped = {drop_variables} if isinstance(drop_variables, str) else set(drop_variables or ())
        names = [n for n in wanted_variables(variables, granule.level) if n not in dropped]
        arrays = {n: _lazy(granule, n, day, granule.grid, overpass, quality) for n in names}
        return dataset(arrays, np.array([day]), granule.grid, [granule], overpass=overpass, quality=quality)

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Whether the file is one of SMAP's, by its name."""
        try:
            name = Path(os.fspath(filename_or_obj)).name
        except TypeError:
            return False
        return bool(layout.L3_NAME.match(name) or layout.L2_NAME.match(name))


class _Array(BackendArray):
    """One variable of one granule; reads the rows that are indexed."""

    def __init__(
        self, granule: Granule, name: str, day: np.datetime64, grid: Grid, overpass: str, quality: str
    ) -> None:
        self.granule, self.name, self.day, self.grid = granule, name, day, grid
        self.options = {"overpass": overpass, "quality": quality}
        self.shape = (1, *grid.shape)
        self.dtype = layout.dtype(name)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.BASIC, self._read)

    def _read(self, key: tuple[Any, ...]) -> np.ndarray:
        (rows, row), (cols, col) = (bounds(k, n) for k, n in zip(key[1:], self.grid.shape, strict=True))
        (r0, r1), (c0, c1) = rows, cols
        if r0 == r1 or c0 == c1:
            return layout.empty(self.name, self.shape)[key]
        part = self.grid.window(self.grid.row0 + r0, self.grid.row0 + r1, self.grid.col0 + c0, self.grid.col0 + c1)
        values = read_day([self.granule], self.day, [self.name], part, **self.options)[self.name]
        return values[None][(key[0], row, col)]


def _lazy(*args: Any) -> indexing.LazilyIndexedArray:
    return indexing.LazilyIndexedArray(_Array(*args))


def bounds(key: Any, size: int) -> tuple[tuple[int, int], Any]:
    """Enclosing window of an integer or a slice and the key inside it."""
    if not isinstance(key, slice):
        return (int(key) % size, int(key) % size + 1), 0
    picked = range(size)[key]
    if not len(picked):
        return (0, 0), key
    low, high = min(picked[0], picked[-1]), max(picked[0], picked[-1])
    first, step = picked[0] - low, picked.step
    stop = first + step * len(picked)
    return (low, high + 1), slice(first, stop if stop >= 0 else None, step)
