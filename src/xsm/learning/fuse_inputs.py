"""The cube that a fusion takes: its roles are there, in their units, without gaps and impossible values."""

from __future__ import annotations

from collections.abc import Sequence

import xarray as xr

from xsm.compute.chunks import is_lazy
from xsm.data.families import same_series
from xsm.data.masks import with_masks
from xsm.data.period import check_days
from xsm.data.roles import HOLDERS, RETRIEVAL, ROOT, SURFACE, in_roles
from xsm.data.variation import ratios, tell_flat
from xsm.errors import DataError
from xsm.learning.predictors import reasons, with_units
from xsm.learning.values import check_values, checked_values

WITHOUT_GAPS = (SURFACE, ROOT, "precipitation", "air_temperature")
WHO = "Fusion"


def check_information(sample: xr.Dataset) -> None:
    """Stop where the retrieval is the land model under another name; warn where either hardly varies.

    Parameters
    ----------
    sample : xarray.Dataset
        Retrieval and land model under the names of their roles, ``(time, ...)`` in memory.
    """
    retrieval, surface = (
        v.transpose("time", ...).values.reshape(v.sizes["time"], -1) for v in (sample[RETRIEVAL], sample[SURFACE])
    )
    one, other = HOLDERS[RETRIEVAL], HOLDERS[SURFACE]
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
        f"'frozen' {what}, so that no retrieval of '{HOLDERS[RETRIEVAL]}' is left.",
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
    ds = with_units(ds, [n for n in HOLDERS.values() if n in ds])
    whole = [HOLDERS[role] for role in WITHOUT_GAPS if HOLDERS[role] in ds and (25 in depths or role != ROOT)]
    reason = reasons(ds[whole], xr.Dataset(), with_masks(ds).get("land"), None)
    reason = reason if is_lazy(ds[whole]) else reason.compute()
    values = checked_values(ds[whole], reason == 0, WHO, ds["time"].values[0])
    retrieval = ds[[HOLDERS[RETRIEVAL]]]
    if not is_lazy(retrieval):
        check_values(retrieval, reason == 0, WHO, what="retrievals", gaps=True)
    return ds.assign(values.data_vars), reason
