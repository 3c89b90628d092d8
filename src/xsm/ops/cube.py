"""Merge products into a cube: one window of the EASE-Grid, one run of days."""

from __future__ import annotations

from typing import Annotated, Any

import xarray as xr

from xsm.contracts.operation import Kind, Param, operation
from xsm.data.cf import add_history
from xsm.data.merging import merge_products
from xsm.data.roles import with_roles
from xsm.data.time import utc_times

Roles = Annotated[
    Any,
    Param(
        "Variables that hold roles where several could: 'model_surface=swvl1; model_root=swvl2'.",
        kind=Kind.MAPPING,
        advanced=True,
    ),
]


@operation(title="Build a cube", group="Data", accessor=False)
def cube(
    first: Annotated[xr.Dataset, Param("Sets window and days; normally the satellite.")],
    *others: Annotated[xr.Dataset, Param("Further products on the same grid.")],
    roles: Roles = None,
) -> xr.Dataset:
    """Merge products on one EASE-Grid window and one run of days.

    Parameters
    ----------
    first : xarray.Dataset
        Dims ``(time, y, x)`` on an EASE-Grid 2.0; sets window and days.
    *others : xarray.Dataset
        Placed by integer row and column and by day, never by comparing coordinates; cells and days that they do not
        cover are empty and counted in a warning.
    roles : mapping of str to str, optional
        Variables that hold a role where several could, or none says so: ``{"model_surface": "swvl1"}``; see
        `xsm.data.roles`. They stay with the cube.

    Returns
    -------
    xarray.Dataset
        All variables, with ``land`` and ``frozen`` (documentation: Decisions, "Masks") where their inputs exist.

    Raises
    ------
    DataError
        For no overlap, another grid, a variable in two products, or days that are repeated or out of order.

    Examples
    --------
    >>> import xsm
    >>> smap, nldas = (xsm.example(n, size=16, days=20) for n in ("smap", "nldas"))
    >>> both = xsm.cube(smap, nldas.sm.regrid_ease9km(like=smap))
    >>> both["sm_noah_0_10"].shape == both["tb_h"].shape
    True
    """
    merged = with_roles(merge_products(*map(utc_times, (first, *others))), roles)
    return add_history(merged, "cube", products=1 + len(others), roles=roles)
