"""From a cube to the `Samples` of its training and validation days."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from xsm.contracts.model import Samples

LOADED = 2**30
"""Bytes of predictors and references up to which a lazy cube is loaded once."""


@dataclass(frozen=True)
class LearningCube:
    """The checked variables of a cube that a model learns from.

    Parameters
    ----------
    dynamic, static : xarray.Dataset
        Predictors with and without ``time``.
    observed : xarray.Dataset
        References, missing where they were not observed.
    frozen : xarray.DataArray, optional
        Where and when the ground is frozen.
    domain : xarray.DataArray
        Cells to learn from, bool.
    first_day : int
        Index of the first day that has all predictors.
    lead_in : int
        Days before the first training day that the model looks back on.
    fallback : mapping of str to float
        What stands in where a derived predictor is missing.
    """

    dynamic: xr.Dataset
    static: xr.Dataset
    observed: xr.Dataset
    frozen: xr.DataArray | None
    domain: xr.DataArray
    first_day: int
    lead_in: int
    fallback: Mapping[str, float]


def load_if_small(cube: LearningCube) -> LearningCube:
    """Load a small lazy cube.

    A cube larger than `LOADED` stays lazy, and a model reads what it slices: such a cube should be in a file, because
    what is computed lazily is computed again at every read.
    """
    import dask

    parts = {"dynamic": cube.dynamic, "static": cube.static, "observed": cube.observed}
    if sum(v.nbytes for ds in parts.values() for v in ds.data_vars.values()) > LOADED:
        return cube
    arrays = {part: {n: v.data for n, v in ds.data_vars.items()} for part, ds in parts.items()}
    arrays, frozen = dask.compute(arrays, cube.frozen)  # arrays: dask 2026.8 loses a dataset's variable and x + 1 of it
    loaded: dict[str, Any] = {part: ds.copy(data=arrays[part]) for part, ds in parts.items()}
    return replace(cube, **loaded, frozen=frozen)


def span(cube: LearningCube, split: np.ndarray) -> slice:
    """Days that a model gets for a split: from the lead-in of its first day to its last day."""
    at = np.flatnonzero(split)
    if not len(at):
        return slice(0, 0)
    return slice(min(max(at[0] - cube.lead_in, cube.first_day), at[-1]), at[-1] + 1)


def split_samples(cube: LearningCube, split: np.ndarray) -> Samples:
    """Samples of a split (bool, one value for each day); references on other days are missing."""
    days = span(cube, split)
    variables = {**cube.dynamic.data_vars, **cube.static.data_vars, **cube.observed.data_vars}
    arrays = {}
    for name, variable in variables.items():
        part = _ordered(variable, cube.domain, days)
        if name in cube.observed:
            part = part.where(xr.DataArray(split[days], dims="time")).astype("f4")
        arrays[str(name)] = _sliceable(part)
    frozen = None if cube.frozen is None else cube.frozen.transpose("time", *cube.domain.dims).isel(time=days)
    thawed = None if frozen is None else _sliceable(~frozen.astype(bool))
    day = cube.dynamic["time"].values.astype("M8[D]")
    return Samples(arrays, day[days], split[days], cube.domain.values, thawed)


def _ordered(variable: xr.DataArray, domain: xr.DataArray, days: slice) -> xr.DataArray:
    part = variable.isel(time=days) if "time" in variable.dims else variable
    return part.transpose(*(d for d in ("time", *domain.dims) if d in part.dims))


def _sliceable(variable: xr.DataArray) -> Any:
    return variable.values if variable.chunks is None else StreamedArray(variable.data)


class StreamedArray:
    """A dask array that slices to numpy: only what a slice covers is read (see `xsm.contracts.model.Samples`)."""

    def __init__(self, array: Any) -> None:
        self.array = array
        self.shape, self.ndim, self.dtype = array.shape, array.ndim, array.dtype

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, key: Any) -> np.ndarray:
        return np.asarray(self.array[key].compute(scheduler="threads"))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[...], dtype)
