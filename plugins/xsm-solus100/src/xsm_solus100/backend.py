"""The xarray engine ``solus100``: one layer as it is, lazily. Soils have no time, it has a ``soil_depth`` instead."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import xarray as xr
from xarray.backends import BackendEntrypoint

from xsm_solus100.source import open_layer


class Solus100Backend(BackendEntrypoint):
    """Open one prediction layer as ``(soil_depth=1, y, x)``, in its unit, not rescaled to a sum of 100.

    Examples
    --------
    >>> xr.open_mfdataset("SOLUS/*_5_cm_p.tif", engine="solus100")  # doctest: +SKIP
    """

    description = "SOLUS100 soil maps (xsm)"
    url = "https://storage.googleapis.com/solus100pub/index.html"
    open_dataset_parameters = ("filename_or_obj", "drop_variables")

    def open_dataset(self, filename_or_obj: Any, *, drop_variables: str | Iterable[str] | None = None) -> xr.Dataset:
        """Open a layer; its property and depth are those of its name.

        Parameters
        ----------
        filename_or_obj : str or path
            ``{property}_{depth}_cm_p.tif``, local or an http(s) address.
        drop_variables : str or iterable of str, optional
            Names to leave out.
        """
        dropped = [drop_variables] if isinstance(drop_variables, str) else list(drop_variables or ())
        return open_layer(Path(os.fspath(filename_or_obj))).drop_vars(dropped)

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """By the name."""
        from xsm_solus100.source import Solus100Source

        return isinstance(filename_or_obj, str | os.PathLike) and Solus100Source().identify(Path(filename_or_obj))
