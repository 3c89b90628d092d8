"""Climatology of each day of year: smoothed means or medians over the years, or harmonics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from xsm.compute.along_time import along_time
from xsm.compute.jit import jit
from xsm.compute.moving import mean_and_variance, moving_mean
from xsm.data.series import derived
from xsm.series.day_of_year import DIM, LENGTH, around, coordinate, day_of_year, years_around

CONDITION = 1e-10
"""Smallest ratio of the eigenvalues of normal equations that are solved."""


class How(NamedTuple):
    """Settings of a climatology; see `xsm.climatology`."""

    method: str = "window"
    window: int = 35
    smooth: int = 5
    statistic: str = "mean"
    harmonics: int = 2
    leap_days: bool = True
    min_obs: int = 1
    min_years: int = 1
    std: bool = False

    @property
    def words(self) -> str:
        """For long names."""
        kind = f"{self.harmonics} harmonics" if self.method == "harmonic" else f"{self.statistic}, {self.window} days"
        return f"Climatology, {kind}"


def climatology_of(
    ds: xr.Dataset, days: np.ndarray, within: np.ndarray, names: Sequence[str], how: How
) -> xr.Dataset:  # fmt: skip
    """Climatologies of some variables from the days that count; see `xsm.climatology`."""
    part, days = ds.isel(time=np.flatnonzero(within)), days[within]
    out = xr.Dataset()
    for name in names:
        dims = (DIM,)
        results = along_time(
            lambda rows: _rows(rows, days, how), part[name], outputs=[dims, dims], sizes={DIM: LENGTH}
        )  # fmt: skip
        order = [DIM if d == "time" else d for d in ds[name].dims]
        mean, std = (r.assign_coords({DIM: coordinate(how.leap_days)}).transpose(*order) for r in results)
        out[f"{name}_climatology"] = derived(mean, ds, name, how.words)
        if how.std:
            out[f"{name}_climatology_std"] = derived(std, ds, name, "Standard deviation over the years")
            out[f"{name}_climatology"].attrs["ancillary_variables"] = f"{name}_climatology_std"
    return out


def _rows(rows: np.ndarray, days: np.ndarray, how: How) -> tuple[np.ndarray, np.ndarray]:
    """Climatology and standard deviation ``(cell, 366)`` of rows ``(cell, time)``."""
    number = (days - days[0]).astype(int)
    smoothed = moving_mean(rows, number, how.smooth, how.min_obs) if how.method == "window" else rows
    same_day = around(days, 0, leap_days=how.leap_days)
    mean, std = (np.empty((len(rows), LENGTH)) for _ in range(2))
    _over_years(smoothed, *same_day[:3], how.statistic == "median", mean, std)
    if how.method == "window":
        climate = _around_the_year(mean, how.window)
    else:
        climate = harmonic_fit(rows, day_of_year(days, how.leap_days), how.harmonics, how.min_obs, how.leap_days)
    years = years_around(smoothed, around(days, how.window, leap_days=how.leap_days))
    return np.where(years >= how.min_years, climate, np.nan), std


def usual(rows: np.ndarray, days: np.ndarray) -> np.ndarray:
    """The climatology of rows ``(cell, time)``, on each of their days.

    Examples
    --------
    >>> days = np.arange("2019-01-01", "2021-01-01", dtype="M8[D]")
    >>> usual(np.full((1, len(days)), 0.25), days)[0, :2]
    array([0.25, 0.25])
    """
    return _rows(rows, days, How())[0][:, day_of_year(days, How().leap_days) - 1]


def _around_the_year(values: np.ndarray, window: int) -> np.ndarray:
    """Moving mean over days of year, from December on into January."""
    half = window // 2
    days = np.arange(-half, LENGTH + half)
    return moving_mean(values[:, days % LENGTH], days, window)[:, half : half + LENGTH]


def harmonic_fit(
    rows: np.ndarray, number: np.ndarray, harmonics: int, min_obs: int = 1, leap_days: bool = True
) -> np.ndarray:
    """Least-squares fit of a mean and harmonics of the year, at each day of year.

    Parameters
    ----------
    rows : ndarray
        ``(cell, time)``, NaN where missing.
    number : ndarray
        Day of year of each time, 1 to 366.
    harmonics : int
        Number of pairs of cosine and sine.
    min_obs : int
        Fewest values.
    leap_days : bool
        The year has 366 days where 29 February is counted in every one, else 365.25.

    Returns
    -------
    ndarray
        ``(cell, 366)``; NaN where the values do not determine the fit.

    Examples
    --------
    >>> number = np.arange(1, 367)
    >>> wave = 0.2 + 0.1 * np.cos(2 * np.pi * number / 366)
    >>> float(np.abs(harmonic_fit(wave[None], number, 1) - wave).max().round(9))
    0.0
    """
    period = LENGTH if leap_days else 365.25
    order = np.arange(1, harmonics + 1)

    def design(day: np.ndarray) -> np.ndarray:
        angle = 2 * np.pi * np.outer(day, order) / period
        return np.hstack([np.ones((len(day), 1)), np.cos(angle), np.sin(angle)])

    terms = 2 * harmonics + 1
    normal, right, count = np.zeros((len(rows), terms, terms)), np.zeros((len(rows), terms)), np.zeros(len(rows))
    _normal_equations(rows, design(number), normal, right, count)
    with np.errstate(invalid="ignore", divide="ignore"):
        size = np.linalg.eigvalsh(normal)
    solved = (count >= max(min_obs, terms)) & (size[:, 0] > CONDITION * size[:, -1])
    normal[~solved] = np.eye(terms)
    weights = np.linalg.solve(normal, right[..., None])
    fitted = np.einsum("ct,dt->cd", weights[..., 0], design(np.arange(1, LENGTH + 1)))
    return np.where(solved[:, None], fitted, np.nan)


@jit()
def _over_years(rows, index, begin, end, median, centre, std):  # type: ignore[no-untyped-def]
    some = np.empty(len(index))
    for c in range(len(rows)):
        for d in range(len(begin)):
            n = 0
            for k in index[begin[d] : end[d]]:
                if math.isfinite(rows[c, k]):
                    some[n] = rows[c, k]
                    n += 1
            mean, variance, _ = mean_and_variance(some[:n])
            centre[c, d] = np.median(some[:n]) if median and n else mean
            std[c, d] = math.sqrt(variance * n / (n - 1)) if n > 1 else math.nan


@jit()
def _normal_equations(rows, design, normal, right, count):  # type: ignore[no-untyped-def]
    cells, days = rows.shape
    terms = design.shape[1]
    for c in range(cells):
        for t in range(days):
            v = rows[c, t]
            if math.isfinite(v):
                count[c] += 1
                for i in range(terms):
                    right[c, i] += design[t, i] * v
                    for j in range(terms):
                        normal[c, i, j] += design[t, i] * design[t, j]
