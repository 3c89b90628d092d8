"""Daily means and sums of steps of hours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import xarray as xr

from xsm.contracts.operation import Kind, Param, operation
from xsm.data.cf import add_history, kind
from xsm.data.emptiness import tell_emptied, valid_share
from xsm.data.ranges import checked
from xsm.errors import DataError, UsageError, render_hint, tell, unknown
from xsm.series.daily import check_thickness, daily, in_order


@operation(title="Daily means", group="Series", keeps_type=True)
def to_daily(
    ds: Annotated[xr.Dataset, Param("Values of hours, or of any other part of a day.")],
    *,
    min_hours: Annotated[float, Param("Hours with a value that a day needs.", unit="h", minimum=0, maximum=24)] = 20,
    utc_offset: Annotated[
        float, Param("Clock of the days: -6 for UTC-6; 0 for UTC days.", unit="h", minimum=-14, maximum=14)
    ] = 0,
    stamps: Annotated[
        Literal["start", "end"], Param("Whether a time is the start or the end of its step; bounds in the data win.")
    ] = "start",
    sums: Annotated[tuple[str, ...], Param("Amounts that are summed besides those that the data declare.")] = (),
    thickness: Annotated[
        Mapping[str, str] | None,
        Param("Thickness of the layer of a variable in kg m-2, which becomes m3 m-3.", kind=Kind.MAPPING),
    ] = None,
    variables: Annotated[tuple[str, ...] | None, Param("Variables; by default all numbers in time.")] = None,
) -> xr.Dataset:
    """Average the hours of each day; amounts such as precipitation are summed.

    A step lies in the day of its middle where the data have bounds of time; instants (``cell_methods`` of
    ``time: point``) and steps without bounds lie in that of their time. A day with too few values is missing. The sum
    of a day that lacks some of its steps is its mean times their number, as in daily products (`xsm.open`).

    Parameters
    ----------
    ds : Dataset, DataArray, Series or DataFrame
        Steps of hours, minutes or any other part of a day, in any order; lazy or not.
    min_hours : float
        Hours with a value that a cell needs in a day; 20 are 7 steps of 3 hours.
    utc_offset : float
        Hours of the clock of the days from UTC: -6 for days of UTC-6.
    stamps : {"start", "end"}
        What a time without bounds marks: with ``"end"`` 00:00 ends the day before, as in stations that say so.
    sums : sequence of str
        Amounts of each step that are summed, besides those with ``cell_methods`` of ``time: sum``, accumulated in GRIB,
        or with a standard name such as ``precipitation_amount``. Rates (kg m-2 s-1) are averaged.
    thickness : mapping of str to str, optional
        Thickness of the soil layer of a variable in kg m-2, such as ``{"SoilMoi0_10cm_inst": "100 mm"}``. Bounds of the
        depth count without it; nothing else is assumed.
    variables : sequence of str, optional
        By default all variables in time but classes and flags.

    Returns
    -------
    Dataset, DataArray, Series or DataFrame
        The same variables with one step for each day, the first to the last.

    Raises
    ------
    DataError
        Where a time comes twice, for steps longer than a day, and for a thickness without a unit.

    Examples
    --------
    >>> import pandas as pd
    >>> hours = pd.Series(range(48), pd.date_range("2021-04-01", periods=48, freq="h"), name="sm", dtype=float)
    >>> import xsm
    >>> xsm.to_daily(hours).tolist()
    [11.5, 35.5]
    """
    ds, bounds = in_order(ds)
    timed = [str(n) for n, v in ds.data_vars.items() if "time" in v.dims]
    able = [n for n in timed if ds[n].dtype.kind in "fiu" and kind(ds[n]) == "continuous"]
    for name in (*(variables or ()), *sums):
        if name not in ds.variables:
            raise unknown("variable", name, able)
        if name not in able:
            raise DataError(f"'{name}' is no number in time (dims {ds[name].dims}, type {ds[name].dtype}).",
                            hint=f"Name others: {', '.join(able) or 'none'}.")  # fmt: skip
    names = list(variables or able)
    if not names:
        raise UsageError("The data have no numbers in time.", hint="Give hourly values.")
    if left := sorted(set(timed) - set(able)) if not variables else []:
        tell(f"{', '.join(left)} are no numbers that can be averaged and are left out.")
    check_thickness(ds, names, thickness or {})
    ds = checked(ds, names)
    label: Literal["start", "end"] = "end" if ds["time"].attrs.get("stamps") == "end of hour" else stamps
    out = daily(ds, bounds, names, min_hours=min_hours, offset=utc_offset, label=label, sums=sums,
                thickness=thickness or {})  # fmt: skip
    if not variables:
        out = out.assign({n: v for n, v in ds.data_vars.items() if "time" not in v.dims and not _is_bounds(ds, str(n))})
    empty = [n for n in names if out[n].chunks is not None or not out[n].notnull().any()]
    tell_emptied(
        out, {n: valid_share(ds[n]) for n in empty}, render_hint("No day has enough: see <min_hours=>."), empty
    )
    return add_history(out, "to_daily", min_hours=min_hours, utc_offset=utc_offset or None, stamps=stamps,
                       sums=sums, thickness=thickness, variables=variables)  # fmt: skip


def _is_bounds(ds: xr.Dataset, name: str) -> bool:
    return any(name == c.attrs.get("bounds", c.encoding.get("bounds")) for c in ds.coords.values())
