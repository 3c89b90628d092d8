"""Soil water index: the surface filtered exponentially, with its quality and a time constant that may be learnt."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr

from xsm.compute.along_time import along_time
from xsm.data import soil_texture
from xsm.data.series import derived
from xsm.errors import UsageError
from xsm.series import filters
from xsm.series.alongside import FEWEST, common_deviations

CANDIDATES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100)
"""Time constants in days that are tried where one is learnt."""
CLASS = "texture_class"


def soil_water_index(
    ds: xr.Dataset,
    days: np.ndarray,
    names: Sequence[str],
    constant: float | None,
    reference: xr.DataArray | None,
    with_quality: bool,
) -> xr.Dataset:
    """Soil water index of some variables; see `xsm.swi`."""
    at = (days - days[0]).astype(int)
    out = xr.Dataset()
    for name in names:
        if reference is not None:
            constants = _learnt(ds, name, reference, at, out)
        else:
            constants = xr.DataArray(float(constant or 0))
        (index,) = along_time(lambda rows, each: _index(rows, each, at), ds[name], constants)
        how = f", T = {constant:g} days" if constant else ""
        out[f"{name}_swi"] = derived(index, ds, name, f"Soil water index{how}")
        if with_quality:
            (share,) = along_time(lambda rows, each: _quality(rows, each, at), ds[name], constants)
            out[f"{name}_swi_quality"] = derived(
                share, ds, name, "Weight of the observed days in the soil water index", units="percent"
            )
            out[f"{name}_swi"].attrs["ancillary_variables"] = f"{name}_swi_quality"
    return out


def _learnt(ds: xr.Dataset, name: str, reference: xr.DataArray, at: np.ndarray, out: xr.Dataset) -> xr.DataArray:
    """Time constants of the cells, written into ``out`` with their correlation and those of the texture classes."""
    constants, r = along_time(lambda rows, other: _best(rows, other, at), ds[name], reference, outputs=[(), ()])
    if not constants.chunks and not np.isfinite(constants).any():
        raise UsageError(f"'{name}' and the reference share fewer than {FEWEST} days with values in every cell.",
                         hint="Give the time constant in days instead, or a longer reference.")  # fmt: skip
    if "texture" in ds.variables:
        texture = ds["texture"]
        if "soil_depth" in texture.dims:
            texture = texture.isel(soil_depth=0, drop=True)
        codes = np.arange(1, len(soil_texture.CLASSES) + 1)
        by_class = xr.concat([constants.where(texture == k).median() for k in codes], CLASS)
        by_class = by_class.assign_coords({CLASS: list(soil_texture.CLASSES)})
        out[f"{name}_swi_days_by_texture"] = derived(by_class, ds, name, "Time constant, median of a class",
                                                     units="days")  # fmt: skip
        of_class = by_class.drop_vars(CLASS).isel({CLASS: (texture.astype("i8") - 1).clip(0, len(codes) - 1)})
        constants = constants.fillna(of_class.where(texture.isin(codes)))
    out[f"{name}_swi_days"] = derived(constants, ds, name, "Time constant of the soil water index", units="days")
    out[f"{name}_swi_r"] = derived(r, ds, name, "Correlation of the soil water index with the reference", units="1")
    return constants


def _on_all_days(rows: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Rows (cell, time) as (day, cell) of every day of their period, NaN where a day lacks."""
    if len(at) == at[-1] + 1:
        return rows.T
    whole = np.full((at[-1] + 1, len(rows)), np.nan)
    whole[at] = rows.T
    return whole


def _index(rows: np.ndarray, constants: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Index of each cell with its own time constant; NaN where it has none."""
    return _by_constant(filters.exponential_filter, rows, constants, at)


def _quality(rows: np.ndarray, constants: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Weight of the observed days among all days since the first, in percent."""

    def share(part: np.ndarray, constant: float) -> np.ndarray:
        observed = filters.antecedent(np.isfinite(part).astype("f8"), constant)
        return 100 * observed / filters.antecedent(np.ones((len(part), 1)), constant)

    return _by_constant(share, rows, constants, at)


def _by_constant(
    function: Callable[[np.ndarray, float], np.ndarray], rows: np.ndarray, constants: np.ndarray, at: np.ndarray
) -> np.ndarray:
    """A function of all days (day, cell) and a time constant, for the cells of each constant."""
    whole, out = _on_all_days(rows, at), np.full(rows.shape, np.nan)
    for constant in np.unique(constants[np.isfinite(constants)]):
        cells = constants == constant
        out[cells] = function(whole[:, cells], constant)[at].T
    return out


def _best(rows: np.ndarray, other: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Time constant with the largest correlation with the reference, and that correlation."""
    whole = _on_all_days(rows, at)
    best, constants = np.full(len(rows), -np.inf), np.full(len(rows), np.nan)
    for constant in CANDIDATES:
        r = _correlation(filters.exponential_filter(whole, constant)[at].T.astype("f8"), other)
        better = r > best
        best, constants = np.where(better, r, best), np.where(better, constant, constants)
    return constants, np.where(np.isfinite(best), best, np.nan)


def _correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson correlation of rows on their common days; NaN where these are too few or one is constant."""
    _, _, one, two, count = common_deviations(a, b)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = (one * two).sum(1) / np.sqrt((one**2).sum(1) * (two**2).sum(1))
    return np.where(np.isfinite(count), r, np.nan)
