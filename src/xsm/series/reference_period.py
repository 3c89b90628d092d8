"""The days that a climatology or a percentile rests on, and a warning where they are too few."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from xsm.data.emptiness import tell_emptied, valid_share
from xsm.data.period import day_mask
from xsm.errors import render_hint, tell
from xsm.series.day_of_year import around, years_around

FEW_YEARS = 3


def period_mask(days: np.ndarray, period: Any) -> np.ndarray:
    """Which days lie in the reference period: a period, or None for all."""
    return np.ones(len(days), bool) if period is None else day_mask(days, period, "time")


def tell_base(base: str, days: np.ndarray, option: str = "anomaly_from") -> None:
    """Warn where anomalies are taken from a climatology of so few years that it resembles them."""
    if base == "climatology" and (years := len(np.unique(days.astype("M8[Y]")))) < FEW_YEARS:
        short = f"The climatology rests on {years} year{'s' * (years > 1)} only, which it resembles"
        tell(f"{short}: anomalies are too small. {render_hint(f'Give a longer record, or <{option}=moving>.')}")


def tell_too_few(
    out: xr.Dataset, ds: xr.Dataset, names: Sequence[str], suffix: str, days: np.ndarray, window: int, min_years: int
) -> None:
    """Warn where results are empty: at once where the reference period has too few years, else by their values.

    Parameters
    ----------
    out, ds : Dataset
        Results ``<name><suffix>`` and the data.
    names : sequence of str
        Variables of the data.
    suffix : str
        Of the results.
    days : ndarray of datetime64[D]
        Days of the reference period.
    window, min_years : int
        Window of days of year and the fewest years in it.
    """
    years = int(years_around(np.zeros((1, len(days))), around(days, window)).max())
    rule = "Days of year with fewer than <min_years={}> years in their window are missing."
    if years < min_years:
        some = ", ".join(f"'{n}{suffix}'" for n in names)
        period = f"The reference period {days[0]} to {days[-1]} has {years} year{'s' if years > 1 else ''} around a day"
        tell(
            f"{some} {'have' if len(names) > 1 else 'has'} no value. {period} of year, fewer than {min_years}: "
            f"{render_hint(f'give a longer record, or lower <min_years={min_years}>.')}"
        )
        return
    why = render_hint(rule.format(min_years))
    tell_emptied(out, {f"{n}{suffix}": valid_share(ds[n]) for n in names}, why, [f"{n}{suffix}" for n in names])
