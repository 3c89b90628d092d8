"""The cube that a fusion takes: its roles are there, in their units, without gaps and impossible values."""

from __future__ import annotations

from collections.abc import Sequence

import xarray as xr

from xsm.compute.chunks import is_lazy
from xsm.data.masks import with_masks
from xsm.data.period import check_days
from xsm.data.roles import HOLDERS, RETRIEVAL, ROOT, SURFACE, in_roles
from xsm.learning.predictors import reasons, with_units
from xsm.learning.values import check_values, checked_values

WITHOUT_GAPS = (SURFACE, ROOT, "precipitation", "air_temperature")
WHO = "Fusion"


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
