"""The spacing of the times of a series, and years and months that it covers."""

from __future__ import annotations

import numpy as np

from xsm.errors import DataError

MONTH = 27
"""Median spacing in days from which steps stand for whole months."""


def step_days(days: np.ndarray) -> float:
    """Days that a step stands for: 1 for daily series with gaps, about 30.4 for monthly means.

    Examples
    --------
    >>> step_days(np.array(["2021-01-01", "2021-01-04", "2021-01-05"], "M8[D]"))
    1.0
    >>> step_days(np.array(["2021-01-15", "2021-02-15", "2021-03-15", "2021-04-15"], "M8[D]"))
    30.4375
    """
    spacing = float(np.median(np.diff(days).astype(int))) if len(days) > 1 else 1.0
    if spacing < MONTH:
        return 1.0
    return 365.25 / 12 * max(round(spacing / 30.44), 1)


def refuse_months(days: np.ndarray, verb: str) -> None:
    """Stop where the steps are months or years: the verb counts in days.

    Raises
    ------
    DataError
        For a median spacing of 27 days or more.

    Examples
    --------
    >>> refuse_months(np.arange("2021-01", "2021-12", dtype="M8[M]").astype("M8[D]"), "lag")
    Traceback (most recent call last):
    xsm.errors.DataError: Most times are 31 days apart, expected days for lag. Give daily values.
    """
    if step_days(days) > 1:
        apart = int(np.median(np.diff(days).astype(int)))
        raise DataError(f"Most times are {apart} days apart, expected days for {verb}.", hint="Give daily values.")


def covered(days: np.ndarray, unit: str, least: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Years (unit "Y") or months ("M") from the first to the last day.

    Parameters
    ----------
    days : ndarray of datetime64[D]
        In order.
    unit : str
        ``"Y"`` or ``"M"``.
    least : float
        Share of its days that must lie between the first and the last of ``days``.

    Returns
    -------
    group : ndarray of int
        For each day the position of its year or month.
    lengths : ndarray of float
        Days of each year or month.
    whole : ndarray of bool
        Whether the record covers it.

    Examples
    --------
    >>> covered(np.arange("2020-11-20", "2021-02-28", dtype="M8[D]"), "M", 0.9)[2]
    array([False,  True,  True,  True])
    """
    period = days.astype(f"M8[{unit}]")
    group = (period - period[0]).astype(int)
    starts = period[0] + np.arange(group[-1] + 2)
    bounds = starts.astype("M8[D]")
    lengths = np.diff(bounds).astype("f8")
    first, last = days[0], days[-1] + 1
    months = round(step_days(days) * 12 / 365.25)
    if months:
        first, last = (m.astype("M8[D]") for m in (days[0].astype("M8[M]"), days[-1].astype("M8[M]") + months))
    inside = (np.minimum(bounds[1:], last) - np.maximum(bounds[:-1], first)).astype("f8")
    return group, lengths, inside >= least * lengths
