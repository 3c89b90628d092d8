"""Soil water and heat of three layers (0-10, 10-40, 40-100 cm), stepped four times a day over all cells at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from xsm.twin.soil import Hydraulics, vegetation
from xsm.twin.weather import Day, Weather

THICKNESS = (100.0, 300.0, 600.0)
STEPS = 4
ROOTS = (0.35, 0.45, 0.20)
FREEZING = 273.15


class Column(NamedTuple):
    """The land as the water balance takes it: three layers of hydraulics and the cover."""

    layers: tuple[Hydraulics, Hydraulics, Hydraulics]
    land_cover: np.ndarray
    evaporation: float = 1.0
    bypass: float = 1.0
    """Factor on the water that passes the first layer in cracks and root channels."""


class Run(NamedTuple):
    """Result, float32: daily means (time, y, x), the state at the morning overpass and the states of chosen cells."""

    moisture: np.ndarray
    """(layer, time, y, x), m3 m-3, liquid and ice."""
    temperature: np.ndarray
    """(2, time, y, x), K."""
    ice: np.ndarray
    """(time, y, x), frozen share of the water at 0-10 cm."""
    air_temperature: np.ndarray
    rain: np.ndarray
    snow_depth: np.ndarray
    """(time, y, x), kg m-2."""
    morning: np.ndarray
    """(4, time, y, x): liquid soil moisture and temperature of 0-10 cm, air temperature, frozen share."""
    probes: np.ndarray
    """(5, step, probe): moisture of the three layers, temperature of two, at the end of each step."""
    balance: np.ndarray
    """(y, x), mm: rain less what was stored, evaporated, run off and drained; zero in exact arithmetic."""


def frozen_share(temperature: np.ndarray) -> np.ndarray:
    """Share of soil water that is ice: bound water spreads freezing over 1.5 K and keeps a quarter liquid."""
    return np.clip((FREEZING - temperature) / 2, 0, 0.75)


def drained(saturation: np.ndarray, rate: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    """Saturation after gravity drainage by ``ds/dt = -rate s**exponent`` over one step, solved exactly."""
    return (saturation ** (1 - exponent) + (exponent - 1) * rate) ** (1 / (1 - exponent))


def run(
    column: Column,
    weather: Weather,
    days: int,
    spin_up: int,
    *,
    morning_step: int,
    probes: tuple[np.ndarray, np.ndarray] | None = None,
    change: Callable[[int, Day], Day] = lambda _, day: day,
) -> Run:
    """Step soil water and temperature through the days of a weather.

    Infiltration follows an exponential distribution of capacities within the cell, excess water runs off; soil
    evaporation and root uptake fall with dryness; layers drain by the Campbell conductivity (exact in time) and
    exchange water by capillarity; frozen ground takes up little and keeps its water, and while it freezes or thaws its
    temperature lags (latent heat); snow insulates and melts by degree-days.

    Parameters
    ----------
    column : Column
        Layers and land cover, (y, x).
    weather : Weather
        Starts ``spin_up`` days before the first day that is kept.
    days, spin_up : int
        Days kept and days before them.
    morning_step : int
        Quarter of the UTC day at whose end SMAP passes.
    probes : tuple of numpy.ndarray, optional
        Rows and columns of cells whose states are kept at every step.
    change : callable, optional
        Turns the weather of a day into the weather that this model gets.
    """
    shape = column.land_cover.shape
    porosity, capacity, wilting = (
        tuple(np.asarray(getattr(layer, name), "f4") for layer in column.layers)
        for name in ("porosity", "field_capacity", "wilting_point")
    )
    exponent = tuple(np.asarray(3 + 2 / layer.pore_index, "f4") for layer in column.layers)
    rate = tuple(
        np.asarray(layer.conductivity * 24 / STEPS / (thick * layer.porosity), "f4")
        for layer, thick in zip(column.layers, THICKNESS, strict=True)
    )
    dry = [0.5 * w for w in wilting]
    stress = [w + 0.55 * (c - w) for w, c in zip(wilting, capacity, strict=True)]
    intake = np.asarray(24 / STEPS * (0.6 * column.layers[0].conductivity + 2.5), "f4")

    theta = [w + f * (c - w) for w, c, f in zip(wilting, capacity, (0.6, 0.65, 0.7), strict=True)]
    snow = np.zeros(shape, "f4")
    start = weather.at(weather.first).temperature
    warmth = [start.copy(), start.copy()]
    cells = probes if probes is not None else (np.zeros(0, int), np.zeros(0, int))

    moisture, temperature = np.zeros((3, days, *shape), "f4"), np.zeros((2, days, *shape), "f4")
    ice_daily, air_daily, rain_daily, snow_daily = (np.zeros((days, *shape), "f4") for _ in range(4))
    morning, kept = np.zeros((4, days, *shape), "f4"), np.zeros((5, days * STEPS, len(cells[0])), "f4")
    balance = np.zeros(shape, "f8")
    hours = (np.arange(STEPS) + 0.5) * 24 / STEPS

    for number in range(-spin_up, days):
        day = weather.first + spin_up + number
        now = change(day, weather.at(day))
        _, green = vegetation(column.land_cover, (day + 0.5) % 365.25)
        course, light = weather.course(hours), weather.daylight(day, STEPS)
        for step in range(STEPS):
            air = now.temperature + now.swing * course[step]
            falls = now.rain[step]
            solid = np.clip((FREEZING + 1.5 - air) / 3, 0, 1) * falls
            melt = np.minimum(snow + solid, np.maximum(air - FREEZING, 0) * (3.5 / STEPS))
            before = sum(t * d for t, d in zip(theta, THICKNESS, strict=True)) + snow
            snow = snow + solid - melt
            covered = snow > 5
            curtain = np.where((warmth[0] < FREEZING) & (warmth[0] > FREEZING - 2), 0.35, 1)
            warmth[0] += (air - warmth[0]) * np.where(covered, 0.1, 0.36) * curtain
            warmth[1] += (warmth[0] - warmth[1]) * np.float32(0.03)
            ice = [frozen_share(w) for w in (*warmth, warmth[1])]

            supply = falls - solid + melt
            limit = intake * (1 - 0.9 * ice[0])
            enters = limit * -np.expm1(-supply / limit)
            bypass = 0.12 * column.bypass * enters
            room = [(p - t) * d for p, t, d in zip(porosity, theta, THICKNESS, strict=True)]
            bypass = np.minimum(bypass, room[1])
            top = np.minimum(enters - bypass, room[0])
            below = np.minimum(enters - bypass - top, room[1] - bypass) + bypass
            theta[0] = theta[0] + top / THICKNESS[0]
            theta[1] = theta[1] + below / THICKNESS[1]

            demand = now.evaporation * light[step] * np.where(covered, 0.1, column.evaporation)
            wet = np.clip((theta[0] - dry[0]) / (capacity[0] - dry[0]), 0, 1)
            taken = [(1 - green) * demand * wet**2]
            uptake = [
                share * green * demand * np.clip((t - w) / (s - w), 0, 1) * (1 - i)
                for share, t, w, s, i in zip(ROOTS, theta, wilting, stress, ice, strict=True)
            ]
            taken = [taken[0] * (1 - ice[0]) + uptake[0], uptake[1], uptake[2]]
            taken = [
                np.minimum(e, np.maximum(t - d, 0) * z) for e, t, d, z in zip(taken, theta, dry, THICKNESS, strict=True)
            ]
            theta = [t - e / z for t, e, z in zip(theta, taken, THICKNESS, strict=True)]

            lost = np.float32(0)
            for layer in (2, 1, 0):
                now_full = theta[layer] / porosity[layer]
                left = drained(now_full, rate[layer] * (1 - ice[layer]), exponent[layer])
                leaves = (now_full - left) * porosity[layer] * THICKNESS[layer]
                if layer < 2:
                    leaves = np.minimum(leaves, (porosity[layer + 1] - theta[layer + 1]) * THICKNESS[layer + 1])
                    theta[layer + 1] = theta[layer + 1] + leaves / THICKNESS[layer + 1]
                else:
                    lost = leaves
                theta[layer] = theta[layer] - leaves / THICKNESS[layer]
            full = [(t - w) / (c - w) for t, w, c in zip(theta[:2], wilting, capacity, strict=False)]
            rise = 0.5 * np.clip(full[1] - full[0], 0, 1) * (1 - ice[0])
            theta[0], theta[1] = theta[0] + rise / THICKNESS[0], theta[1] - rise / THICKNESS[1]

            after = sum(t * d for t, d in zip(theta, THICKNESS, strict=True)) + snow
            balance += before + falls - (supply - top - below) - sum(taken) - lost - after
            if number < 0:
                continue
            for layer in range(3):
                moisture[layer, number] += theta[layer] / STEPS
            temperature[0, number] += warmth[0] / STEPS
            temperature[1, number] += warmth[1] / STEPS
            ice_daily[number] += ice[0] / STEPS
            air_daily[number] += air / STEPS
            rain_daily[number] += falls
            snow_daily[number] = snow
            kept[:, number * STEPS + step] = [v[cells] for v in (*theta, *warmth)]
            if step == morning_step:
                morning[:, number] = theta[0] * (1 - ice[0]), warmth[0], air, ice[0]
    return Run(moisture, temperature, ice_daily, air_daily, rain_daily, snow_daily, morning, kept, balance.astype("f4"))
