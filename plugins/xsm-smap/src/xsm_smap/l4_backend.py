"""The xarray engine ``smap_l4``: one SPL4SMGP file at its own 3-hourly step, lazily, with a ``time`` dimension."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray, BackendEntrypoint
from xarray.core import indexing
from xsm import EASE2_M09
from xsm.plugin_api import canonical_attrs

from xsm_smap import L4_INFO
from xsm_smap.backend import bounds
from xsm_smap.l4 import NAME, Step, look, read_day, stamp_of


class SmapL4Backend(BackendEntrypoint):
    """Open one SPL4SMGP file on the whole global grid; only indexed rows are ever read.

    Examples
    --------
    >>> xr.open_mfdataset(paths, engine="smap_l4")["sm_rootzone"]  # doctest: +SKIP
    """

    description = "SMAP Level-4 soil moisture, SPL4SMGP (xsm)"
    url = "https://nsidc.org/data/spl4smgp"
    open_dataset_parameters = ("filename_or_obj", "drop_variables")

    def open_dataset(self, filename_or_obj: Any, *, drop_variables: str | Iterable[str] | None = None) -> xr.Dataset:
        """Open a file as ``(time=1, y, x)``, the stamp the middle of its three hours.

        Parameters
        ----------
        filename_or_obj : str or path
            ``SMAP_L4_SM_gph_....h5``.
        drop_variables : str or iterable of str, optional
            Names to leave out.
        """
        path = Path(os.fspath(filename_or_obj))
        dropped = {drop_variables} if isinstance(drop_variables, str) else set(drop_variables or ())
        names = [n for n in L4_INFO.variables if n not in dropped]
        stamp = stamp_of(path)
        step = look(path, names, {})
        time = xr.Variable("time", [stamp.astype("M8[ns]")], {"standard_name": "time", "axis": "T"})
        ds = xr.Dataset(
            {n: (("time", "y", "x"), indexing.LazilyIndexedArray(_Array(step, n)), canonical_attrs(n)) for n in names},
            {"time": time},
            {"title": "SMAP Level 4 soil moisture", "product": "SPL4SMGP"},
        )
        return step.grid.assign(ds)

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """By the name."""
        return isinstance(filename_or_obj, str | os.PathLike) and bool(NAME.match(Path(filename_or_obj).name))


class _Array(BackendArray):
    """One variable of one file; reads the rows that are indexed."""

    def __init__(self, step: Step, name: str) -> None:
        self.step, self.name = step, name
        self.shape = (1, *step.grid.shape)
        self.dtype = np.dtype("f4")

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.BASIC, self._read)

    def _read(self, key: tuple[Any, ...]) -> np.ndarray:
        (rows, row), (cols, col) = (bounds(k, n) for k, n in zip(key[1:], self.step.grid.shape, strict=True))
        if rows[0] == rows[1] or cols[0] == cols[1]:
            return np.full(self.shape, np.nan, "f4")[key]
        grid = self.step.grid
        part = EASE2_M09.window(*(grid.row0 + r for r in rows), *(grid.col0 + c for c in cols))
        values = read_day((np.datetime64("NaT"), (self.step,)), [self.name], part, 1, "raise")
        return values[(key[0], row, col)]
