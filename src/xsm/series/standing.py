"""How wet days are beside the same days of a reference period: percentiles and anomalies of a few days of maps."""

from __future__ import annotations

import numpy as np

from xsm.series.day_of_year import LENGTH, day_of_year

WINDOW = 31
"""Width of the window of days of year."""


def around_day(days: np.ndarray, day: np.datetime64, window: int = WINDOW) -> np.ndarray:
    """Which days lie at most half a window of days of year from a day, over the year's end.

    Examples
    --------
    >>> around_day(np.array(["2019-12-31", "2020-01-20", "2020-06-01"], "M8[D]"), np.datetime64("2021-01-05"))
    array([ True,  True, False])
    """
    away = abs(day_of_year(days) - day_of_year(np.array([day]))[0])
    return np.minimum(away, LENGTH - away) <= window // 2


def standing(
    values: np.ndarray, days: np.ndarray, reference: np.ndarray, reference_days: np.ndarray, window: int = WINDOW
) -> tuple[np.ndarray, np.ndarray]:
    """Percentiles and anomalies of days among those of a reference period; see `xsm.percentile` (empirical).

    Parameters
    ----------
    values : ndarray
        ``(time, ...)``, NaN where missing.
    days : ndarray of datetime64[D]
        Their days.
    reference : ndarray
        ``(day, ...)``, with all days of the reference period that are near.
    reference_days : ndarray of datetime64[D]
        Their days.
    window : int
        Width in days of year.

    Returns
    -------
    ndarray, ndarray
        Float32: percentiles, 0 (driest) to 100, and differences from the mean.

    Examples
    --------
    >>> days = np.arange("2021-06-01", "2021-06-05", dtype="M8[D]")
    >>> [part.round(1).tolist() for part in standing(np.array([4.0]), days[3:], np.arange(1.0, 5.0), days)]
    [[87.5], [1.5]]
    """
    ranks, departures = np.empty((2, *values.shape), np.float32)
    for k, day in enumerate(days):
        near = reference[around_day(reference_days, day, window)]
        known = np.isfinite(near)
        count = np.where(known.any(0) & np.isfinite(values[k]), known.sum(0), np.nan)
        below, above = (near < values[k]).sum(0), (near > values[k]).sum(0)
        ranks[k] = 50.0 * (count + below - above) / count
        departures[k] = values[k] - np.where(known, near, 0.0).sum(0, dtype="f8") / count
    return ranks, departures
