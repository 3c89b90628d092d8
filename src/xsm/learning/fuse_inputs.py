"""The cube that a fusion takes: its roles are there, in their units, without gaps and impossible values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from xsm.compute.chunks import is_lazy
from xsm.data.families import same_series
from xsm.data.masks import with_masks
from xsm.data.period import check_days
from xsm.data.roles import FUSED, QUANTITIES, RETRIEVAL, ROOT, SURFACE, described, holders, soil_slice
from xsm.data.variation import ratios, tell_flat
from xsm.errors import DataError
from xsm.learning.predictors import reasons, with_units
from xsm.learning.values import check_values, checked_values

WITHOUT_GAPS = (SURFACE, ROOT, "precipitation", "air_temperature")
FILLED = ("fill_method", "fill_training", "ancillary_variables")
"""Attributes of a filled variable that are not true of its observed values."""
SOIL_DEPTH = 5
"""Depth in cm of the soil maps."""
WHO = "Fusion"


def taken(ds: xr.Dataset, depths: Sequence[int] = (5, 25)) -> dict[str, str]:
    """The variables of a cube that a fusion takes, by role."""
    names = holders(ds)
    return {r: names[r] for r in FUSED if r in names and (25 in depths or r != ROOT)}


def in_roles(ds: xr.Dataset, *, needed: tuple[str, ...] = (RETRIEVAL, SURFACE)) -> xr.Dataset:
    """The variables of a cube under the names of their roles, as far as the cube has them.

    The retrieval is as observed on thawed ground: filled values are left out.

    Parameters
    ----------
    ds : xarray.Dataset
        Cube, dims ``(time, y, x)``.
    needed : tuple of str
        Roles that the cube must have.

    Returns
    -------
    xarray.Dataset
        Without ``land`` and ``frozen``, which `xsm.data.masks.with_masks` gives; lazy where the cube is.

    Examples
    --------
    >>> import xsm
    >>> sorted(in_roles(xsm.example("cube", size=16, days=20)).data_vars)[:3]
    ['air_temperature', 'clay', 'land_cover']
    """
    names = taken(ds)
    if missing := [described(role) for role in needed if role not in names]:
        raise DataError(
            f"Fusion needs {', '.join(missing)}, which the cube lacks.",
            hint="Merge satellite and land model with <cube()>, or name a variable of the cube with <roles=>.",
        )
    out = {role: soil_slice(ds, name, SOIL_DEPTH) for role, name in names.items()}
    if RETRIEVAL in out:
        out[RETRIEVAL] = _observed(ds, names[RETRIEVAL])
    return xr.Dataset(out).drop_vars("soil_depth", errors="ignore").assign_attrs(ds.attrs)


def _observed(ds: xr.Dataset, name: str) -> xr.DataArray:
    retrieval, mark = ds[name].where(abs(ds[name]) < np.inf), f"{name}_observed"
    if "denoised" in retrieval.attrs:
        raise DataError(
            f"'{name}' was denoised and no longer contains its observations.", hint="Fill with <denoise=False>."
        )
    if "fill_method" in retrieval.attrs and mark not in ds:
        raise DataError(
            f"'{name}' is filled, but '{mark}', which says where it was observed, is missing.",
            hint="Add it to the cube, or give the retrieval with its gaps.",
        )
    if mark in ds:
        retrieval = retrieval.where(ds[mark] == 1)
    retrieval = retrieval.drop_attrs().assign_attrs({k: v for k, v in retrieval.attrs.items() if k not in FILLED})
    masks = with_masks(ds)
    return retrieval.where(~masks["frozen"].astype(bool)) if "frozen" in masks else retrieval


def check_information(sample: xr.Dataset, names: Mapping[str, str]) -> None:
    """Stop where the retrieval is the land model under another name; warn where either hardly varies.

    Parameters
    ----------
    sample : xarray.Dataset
        Retrieval and land model under the names of their roles, ``(time, ...)`` in memory.
    names : mapping of str to str
        What they are called in the cube, by role.
    """
    retrieval, surface = (
        v.transpose("time", ...).values.reshape(v.sizes["time"], -1) for v in (sample[RETRIEVAL], sample[SURFACE])
    )
    one, other = names[RETRIEVAL], names[SURFACE]
    if same_series(retrieval, surface, scaled=True):
        raise DataError(
            f"The retrieval '{one}' is the land model '{other}' under another name or scale: nothing is left to fuse.",
            hint="Give the satellite's own retrieval.",
        )
    tell_flat(f"The retrieval '{one}'", ratios(retrieval, surface), other, model=False)
    tell_flat(f"The land model '{other}'", ratios(surface, retrieval), one, model=False)


def check_thawed(ds: xr.Dataset) -> None:
    """Stop where ``frozen`` leaves no retrieval: all cells are frozen on all days, or it has no value."""
    frozen = with_masks(ds).get("frozen")
    if frozen is None or not bool(frozen.astype(bool).all()):
        return
    unknown = frozen.dtype.kind == "f" and not bool(frozen.notnull().any())
    what = (
        "has no value, and without one ground counts as frozen"
        if unknown
        else "says that all ground is frozen on all days"
    )
    raise DataError(
        f"'frozen' {what}, so that no retrieval of '{holders(ds)[RETRIEVAL]}' is left.",
        hint="Look at its values, or leave it out of the cube: it is then made from the temperatures.",
    )


def checked_cube(ds: xr.Dataset, depths: Sequence[int]) -> tuple[xr.Dataset, xr.DataArray]:
    """The cube with checked units and values, and why cells have no estimate (``mask_reason``).

    Parameters
    ----------
    ds : xarray.Dataset
        Cube; lazy values are checked when they are computed, those of a lazy retrieval are not.
    depths : sequence of int
        Depths in cm that are asked for.

    Returns
    -------
    xarray.Dataset, xarray.DataArray
        The second one is computed where the cube is in memory.

    Raises
    ------
    DataError
        For a missing role, days that do not follow each other, another unit, gaps in land model or weather, fill
        values.
    """
    check_days(ds)
    in_roles(ds, needed=(RETRIEVAL, SURFACE, *((ROOT,) if 25 in depths else ())))
    names = taken(ds)
    ds = with_units(ds, names.values(), {n: r if r in QUANTITIES else "soil_moisture" for r, n in names.items()})
    whole = [names[role] for role in WITHOUT_GAPS if role in names and (25 in depths or role != ROOT)]
    reason = reasons(ds[whole], xr.Dataset(), with_masks(ds).get("land"), None)
    reason = reason if is_lazy(ds[whole]) else reason.compute()
    values = checked_values(ds[whole], reason == 0, WHO, ds["time"].values[0])
    retrieval = ds[[names[RETRIEVAL]]]
    if not is_lazy(retrieval):
        check_values(retrieval, reason == 0, WHO, what="retrievals", gaps=True)
    return ds.assign(values.data_vars), reason
