"""Weather: moving clustered storms, seasons, fronts, cloud, radiation and potential evaporation.

Storm systems are drawn for each day and square of 600 km from generators of their own, so that a date and a place have
the same weather in every window. A system is a band of stratiform rain with convective cells along it (a space-time
Neyman-Scott process, Cox and Isham 1988) that travels with the wind; nights and summers differ from days and winters.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from xsm.twin.climate import rain_factor
from xsm.twin.fields import Field, rng, smooth
from xsm.twin.projection import transformer

SQUARE = 600e3
REACH = 1.05e6, 0.85e6
"""Farthest that a system rains from the square it was drawn in, east and north, metres (speeds are limited)."""
TROPICS = 20.0
"""Latitude within which the year is equally warm and its seasons fade; those of the south are opposite."""
DEGREE = 17367530.4451615 / 180
Box = tuple[float, float, float, float]


class Rain(NamedTuple):
    """Rain as round patches that each last half an hour: place, radius, mm and half-hours since the epoch, sorted."""

    x: np.ndarray
    y: np.ndarray
    radius: np.ndarray
    amount: np.ndarray
    half_hour: np.ndarray


def warm(day_of_year: float | np.ndarray) -> float | np.ndarray:
    """Season between 0 (late January) and 1 (late July)."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * (day_of_year - 22) / 365.25)


def _system(g: np.random.Generator, day: int, corner: np.ndarray, summer: float) -> np.ndarray:
    """One storm system as rows x, y, radius, mm, half-hour."""
    convective = g.random() < 0.12 + 0.75 * summer
    start = 48 * day + (g.normal(44, 9) if convective else g.uniform(0, 48))
    steps = g.integers(14, 30) if convective else g.integers(32, 61)
    heading = np.radians(15 + np.clip(g.normal(0, 25), -35, 35))
    speed = 1800 * np.clip(g.normal(10 if convective else 12, 2.5), 4, 15)
    ahead = np.array([[np.cos(heading)], [np.sin(heading)]])
    along = np.array([-ahead[1], ahead[0]])
    place = corner[:, None] + g.uniform(0, SQUARE, (2, 1)) - ahead * speed * steps / 2

    length, width = g.uniform(150e3, 380e3), g.uniform(50e3, 90e3) if convective else g.uniform(80e3, 130e3)
    links = np.linspace(-length / 2, length / 2, max(int(length / width * 1.5), 3))
    strength = g.gamma(2.0, 0.5, links.size) * g.lognormal(np.log(4.5 if convective else 2.4), 0.7) / 2
    age = np.arange(steps)
    life = np.sin(np.pi * (age + 0.5) / steps)
    line = place + along * links + ahead * g.normal(0, 0.25) * links**2 / length
    band = line[:, None] + (ahead * speed * age)[..., None]
    rain = np.outer(life, strength).ravel()
    time = np.repeat(start + age, links.size)
    stratiform = np.stack([*band.reshape(2, -1), np.full(rain.size, width), rain, time])

    count = g.poisson(58 if convective else 6)
    born, lasts = g.uniform(0, steps, count), np.clip(g.gamma(3, 1.3, count), 1.5, 14)[:, None]
    peak = g.lognormal(np.log(26), 0.6, count) / 2 * np.sin(np.pi * np.clip(born / steps, 0.1, 0.9))
    first = place + ahead * speed * born + along * g.uniform(-0.5, 0.5, count) * length
    first += np.clip(g.normal(0, 15e3, (2, count)), -4e4, 4e4)
    age = np.arange(14)
    alive = age < lasts
    track = first[..., None] + 0.8 * ahead[..., None] * speed * age
    rain = (peak[:, None] * np.sin(np.pi * np.minimum((age + 0.5) / lasts, 1)))[alive]
    size, time = g.uniform(14e3, 30e3, count)[:, None] + 0 * age, (start + born)[:, None] + age
    return np.hstack([stratiform, np.stack([*track[:, alive], size[alive], rain, time[alive]])])


@functools.lru_cache(maxsize=4)
def storms(seed: int, first: int, last: int, box: Box) -> Rain:
    """Draw all rain of days ``first`` to ``last`` (since 2000-01-01) that can touch a box in EASE metres."""
    wetness = smooth(seed, "wetness", 900e3, days=9)
    left, bottom, right, top = box
    cols = np.arange(np.floor((left - REACH[0]) / SQUARE), np.ceil((right + REACH[0]) / SQUARE)).astype(int)
    rows = np.arange(np.floor((bottom - REACH[1]) / SQUARE), np.ceil((top + REACH[1]) / SQUARE)).astype(int)
    regime = wetness.on((cols + 0.5) * SQUARE, (rows + 0.5) * SQUARE)
    systems = [np.empty((5, 0))]
    for day in range(first - 2, last + 1):
        season = 2 * np.pi * ((day + 0.5) % 365.25 - 150) / 365.25
        rate = 0.62 * (1 + 0.4 * np.cos(season)) * np.exp(0.9 * regime(day) - 0.4)
        summer = float(warm(day % 365.25))
        for (r, c), mean in np.ndenumerate(rate):
            g = rng(seed, "storm", day, int(rows[r]), int(cols[c]))
            for _ in range(g.poisson(mean)):
                patches = _system(g, day, np.array([cols[c], rows[r]]) * SQUARE, summer)
                x, y, radius = patches[:3]
                near = (x > left - radius) & (x < right + radius) & (y > bottom - radius) & (y < top + radius)
                systems.append(patches[:, near])
    x, y, radius, amount, time = np.concatenate(systems, 1)
    order = np.argsort(time, kind="stable")
    lat = transformer("EPSG:6933", "EPSG:4326").transform(np.zeros_like(y), y)[1]
    climate = rain_factor(x / DEGREE, lat)
    half_hour = np.floor(time[order]).astype("i8")
    return Rain(x[order], y[order], radius[order], (amount * climate)[order], half_hour)


class Day(NamedTuple):
    """Weather of one UTC day: K, mm; ``swing`` is half the diurnal range, ``evaporation`` the potential one."""

    temperature: np.ndarray
    swing: np.ndarray
    evaporation: np.ndarray
    rain: np.ndarray


@dataclass(frozen=True)
class Weather:
    """Weather on the separable grid of 1-D EASE coordinates.

    Parameters
    ----------
    seed : int
    first, last : int
        Days since 2000-01-01.
    x, y : numpy.ndarray
        EASE-Grid 2.0 metres.
    lon, lat : numpy.ndarray
        The same in degrees.
    box : tuple of float
        Left, bottom, right, top in EASE metres of all grids that share this weather.
    """

    seed: int
    first: int
    last: int
    x: np.ndarray
    y: np.ndarray
    lon: np.ndarray
    lat: np.ndarray
    box: Box

    @functools.cached_property
    def storms(self) -> Rain:
        """All rain that touches the grid."""
        s = storms(self.seed, self.first, self.last, self.box)
        near = (s.x > self.x.min() - s.radius) & (s.x < self.x.max() + s.radius)
        near &= (s.y > self.y.min() - s.radius) & (s.y < self.y.max() + s.radius)
        return Rain(*(v[near] for v in s))

    @functools.cached_property
    def _front(self) -> Field:
        return smooth(self.seed, "front", 900e3, days=6, drift=(2.6e5, -0.9e5)).on(self.x, self.y)

    @functools.cached_property
    def _hills(self) -> np.ndarray:
        return smooth(self.seed, "hills", 90e3).on(self.x, self.y)(0.0)

    @functools.cached_property
    def _cloud(self) -> Field:
        return smooth(self.seed, "cloud", 500e3, days=2, drift=(4e5, 0)).on(self.x, self.y)

    def rain(self, day: int, start: int, stop: int) -> np.ndarray:
        """Rain in mm between two half-hours of a day, float32 (y, x)."""
        s = self.storms
        part = slice(*np.searchsorted(s.half_hour, [48 * day + start, 48 * day + stop]))
        radius = s.radius[part, None]
        across = np.maximum(1 - ((self.x - s.x[part, None]) / radius) ** 2, 0) ** 3
        down = np.maximum(1 - ((self.y - s.y[part, None]) / radius) ** 2, 0) ** 3
        return ((down * s.amount[part, None]).T @ across).astype("f4")

    def steps(self, day: int, count: int = 4) -> np.ndarray:
        """Rain of equal parts of a day, (count, y, x)."""
        size = 48 // count
        return np.stack([self.rain(day, size * i, size * (i + 1)) for i in range(count)])

    def at(self, day: int, rain: np.ndarray | None = None) -> Day:
        """Weather of a day; ``rain`` (parts, y, x) saves computing it where it is known."""
        rain = self.steps(day) if rain is None else rain
        doy, lat = (day + 0.5) % 365.25, self.lat[:, None]
        season = np.cos(2 * np.pi * (doy - 203) / 365.25) * np.clip(lat / TROPICS, -1, 1)
        wet = 1 - np.exp(-rain.sum(0) / 4)
        cloud = np.maximum(1 / (1 + np.exp(-1.4 * self._cloud(day + 0.5))), wet)
        away = np.maximum(abs(lat), TROPICS) - 36
        mean = 288.6 - 0.75 * away + (12.3 + 0.25 * away) * season
        temperature = (
            mean
            + 0.8 * self._hills
            + (3.7 - 1.5 * season) * self._front(day + 0.5)
            - (1.2 + 1.6 * season) * (cloud - 0.5)
        )
        top, clear = _radiation(np.radians(lat), doy)
        sun = top * (0.25 + 0.5 * (1 - cloud))
        evaporation = _priestley_taylor(temperature, sun, clear)
        swing = 2.8 + 4.2 * (1 - cloud)
        return Day(*(np.asarray(v, "f4") for v in (temperature, swing, evaporation, rain)))

    def daylight(self, day: int, count: int = 4) -> np.ndarray:
        """Share of the day's evaporation in each part of the UTC day, (count, 1, x)."""
        minute = (np.arange(count * 12) + 0.5) * 24 / (count * 12)
        solar = minute[:, None] + self.lon / 15 - 12.5
        sun = np.maximum(np.cos(2 * np.pi * solar / 24) + 0.1, 0).reshape(count, 12, -1).sum(1)
        return (sun / sun.sum(0))[:, None].astype("f4")

    def course(self, hour: np.ndarray) -> np.ndarray:
        """Diurnal course of air temperature in units of ``swing`` at UTC hours, (hour, 1, x); its daily mean is 0."""
        return np.cos(2 * np.pi * (hour[:, None] + self.lon / 15 - 15) / 24)[:, None].astype("f4")


def _radiation(lat: np.ndarray, doy: float) -> tuple[np.ndarray, np.ndarray]:
    """Extraterrestrial and clear-sky radiation, MJ m-2 d-1 (FAO-56, equations 21 and 37 at sea level)."""
    tilt = 0.409 * np.sin(2 * np.pi * doy / 365 - 1.39)
    sunset = np.arccos(np.clip(-np.tan(lat) * np.tan(tilt), -1, 1))
    distance = 1 + 0.033 * np.cos(2 * np.pi * doy / 365)
    geometry = sunset * np.sin(lat) * np.sin(tilt) + np.cos(lat) * np.cos(tilt) * np.sin(sunset)
    top = 24 * 60 / np.pi * 0.0820 * distance * geometry
    return top, 0.75 * top


def _priestley_taylor(temperature: np.ndarray, sun: np.ndarray, clear: np.ndarray) -> np.ndarray:
    """Potential evaporation, mm d-1 (Priestley and Taylor 1972; net radiation of FAO-56, equations 38 to 40)."""
    celsius = np.clip(temperature - 273.15, -30, 45)
    saturation = 0.6108 * np.exp(17.27 * celsius / (celsius + 237.3))
    slope = 4098 * saturation / (celsius + 237.3) ** 2
    vapour = 0.65 * saturation
    long_wave = 4.903e-9 * temperature**4 * (0.34 - 0.14 * np.sqrt(vapour)) * (1.35 * sun / clear - 0.35)
    return np.maximum(1.26 * slope / (slope + 0.066) * (0.77 * sun - long_wave) / 2.45, 0)
