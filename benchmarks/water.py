"""What weather does to the water in the soil, for the studies of real data: snow, evaporation, storage.

Arrays are ``(time, cell)`` with one step per day. Constants are textbook values and were not fitted.
"""

from __future__ import annotations

import numpy as np

ZERO = 273.15
MELT = 3.0
"""Snow that melts in a day, kg m-2 for each kelvin above freezing."""
CAPACITIES = (10, 25, 50, 100, 200, 400)
"""Water that the soil can store, kg m-2."""


def rain_and_melt(precipitation: np.ndarray, air_temperature: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Water that reaches the soil and the snow that lies, kg m-2 (degree-day method).

    Precipitation is snow below 0 degrees Celsius, rain above 2, and a mixture between.

    Examples
    --------
    >>> water, snow = rain_and_melt(np.array([[10.0], [0.0]]), np.array([[270.0], [275.15]]))
    >>> water.ravel(), snow.ravel()
    (array([0., 6.]), array([10.,  4.]))
    """
    warmth = air_temperature - ZERO
    frozen = precipitation * np.clip((2 - warmth) / 2, 0, 1)
    water, snow = precipitation - frozen, np.empty_like(frozen)
    lying = np.zeros(frozen.shape[1])
    for t, possible in enumerate(MELT * np.maximum(warmth, 0)):
        melt = np.minimum(lying + frozen[t], possible)
        lying = lying + frozen[t] - melt
        water[t] += melt
        snow[t] = lying
    return water, snow


def evaporation(air_temperature: np.ndarray, shortwave: np.ndarray) -> np.ndarray:
    """Potential evaporation in kg m-2 (Priestley and Taylor 1972), net radiation taken as 0.65 of shortwave.

    Parameters
    ----------
    air_temperature : ndarray
        K.
    shortwave : ndarray
        MJ m-2 for each day.
    """
    warmth = air_temperature - ZERO
    slope = 4098 * saturation(air_temperature) / (warmth + 237.3) ** 2
    return np.maximum(1.26 * slope / (slope + 0.066) * 0.65 * shortwave / 2.45, 0.05)


def saturation(air_temperature: np.ndarray) -> np.ndarray:
    """Saturation vapour pressure in kPa (Allen et al. 1998)."""
    warmth = air_temperature - ZERO
    return 0.6108 * np.exp(17.27 * warmth / (warmth + 237.3))


def storage(water: np.ndarray, demand: np.ndarray, capacity: float, spin_up: int = 365) -> np.ndarray:
    """Share of a store that is filled: rain and melt go in, evaporation and drainage go out, the rest runs off.

    Evaporation is the demand above 70 % and falls linearly below; drainage is 15 % of the capacity where the store is
    full and falls with the sixth power. The first year is run twice, the first time from a half-full store.
    """
    spin_up = min(spin_up, len(water))
    filled, shares = np.full(water.shape[1], 0.5 * capacity), np.empty_like(water)
    for t in (*range(spin_up), *range(len(water))):
        filled = filled + water[t]
        wet = np.clip(filled / capacity, 0, 1)
        filled = np.minimum(np.maximum(filled - demand[t] * np.minimum(wet / 0.7, 1), 0), capacity)
        filled = np.maximum(filled - 0.15 * capacity * wet**6, 0)
        shares[t] = filled / capacity
    return shares
