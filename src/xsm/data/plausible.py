"""Whether values can be what they are said to be, by their distribution: median and 5 and 95 % quantiles.

One value may be wrong in a sound file; where most are, the unit or the scale is, and the likely one is named.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from xsm.errors import DataError, tell

SAMPLE = 4096
"""Values of a block that are looked at."""
FEW = 10
"""Values below which nothing is refused, only warned of."""
DRIEST, DRY, WET = 0.01, 0.03, 0.65
"""Soil moisture, m3 m-3: what 95 % of the values cannot be below, should not be below, and their median not above."""
LIGHTEST, LIGHT, HEAVIEST = 0.05, 0.2, 2.65
"""Bulk density, g cm-3: the same."""
COLD, DARKEST, HOT = 200.0, 50.0, 340.0
"""Kelvin: what the median of a temperature, and of a brightness temperature, is not below, and neither is above."""
WETTEST_CANOPY = 30.0
"""Kilograms of water in the plants of a square metre that are no median."""
WETTEST_DAY = 300.0
"""Kilograms of rain on a square metre that cannot be the median of a day."""
LIGHTEST_RAIN = 0.01
"""Kilograms on a square metre and day that more than 5 % of many wet values exceed."""


def doubt(values: np.ndarray, quantity: str) -> tuple[str, bool]:
    """Why the bulk of some values cannot be a quantity, and whether that is certain; empty where it can.

    Parameters
    ----------
    values : ndarray of float
        Any shape, NaN where missing; a sample of them is looked at.
    quantity : str
        That of `quantity_of`; nothing is said of others.

    Examples
    --------
    >>> doubt(np.full(50, 0.002), "m3 m-3")
    ('95 % of the values are below 0.002: volumetric values were scaled once more, by their layer or as percent', True)
    >>> doubt(np.full(50, 20.0), "K")
    ('the median is 20: the values look like degrees Celsius', True)
    >>> doubt(np.full(50, 0.2), "m3 m-3")
    ('', False)
    """
    every = np.ravel(values)
    flat = every[:: max(every.size // SAMPLE, 1)]
    flat = flat[np.isfinite(flat)]
    if flat.size < FEW:
        flat = every[np.isfinite(every)][:SAMPLE]
    if not flat.size or quantity not in _RULES:
        return "", False
    low, middle, high = (float(v) for v in np.quantile(flat.astype("f8"), (0.05, 0.5, 0.95)))
    text, certain = _RULES[quantity](low, middle, high, flat)
    return text, bool(text) and certain and flat.size >= FEW


def _moisture(low: float, middle: float, high: float, values: np.ndarray) -> tuple[str, bool]:
    if high < 0 or not values.any():
        return f"95 % of the values are at most {high:.3g}: they are fill values or changes", high < 0
    if high < DRY:
        return (
            f"95 % of the values are below {high:.3g}: volumetric values were scaled once more, by their layer or as "
            "percent"
        ), high < DRIEST
    if middle > 1:
        return f"the median is {middle:.3g}: the values look like percent or kg m-2", True
    return f"the median is {middle:.3g}: the values look like a degree of saturation" if middle > WET else "", False


def _temperature(low: float, middle: float, high: float, values: np.ndarray) -> tuple[str, bool]:
    if COLD <= middle <= HOT:
        return "", False
    scale = "the values look like degrees Celsius" if -70 <= middle <= 60 else "no soil or air has this temperature"
    return f"the median is {middle:.3g}: {scale}", True


def _brightness(low: float, middle: float, high: float, values: np.ndarray) -> tuple[str, bool]:
    return (
        (f"the median is {middle:.3g}: nothing on Earth is that bright or dark", True)
        if not (DARKEST <= middle <= HOT)
        else ("", False)
    )


def _percent(low: float, middle: float, high: float, values: np.ndarray) -> tuple[str, bool]:
    if middle > 100:
        return f"the median is {middle:.3g}: the values look like g kg-1", True
    small = 0 < high <= 1
    why = f"95 % of the values are at most {high:.3g}: the values look like fractions of 1" if small else ""
    return why, small and bool((values % 1 != 0).mean() > 0.5)


def _density(low: float, middle: float, high: float, values: np.ndarray) -> tuple[str, bool]:
    if middle > HEAVIEST:
        return f"the median is {middle:.3g}: the values look like {'kg m-3' if middle > 400 else 'cg cm-3'}", True
    why = (
        f"95 % of the values are at most {high:.3g}: hardly any soil is so light, so that a scale may be applied twice"
    )
    return (why, high < LIGHTEST) if high < LIGHT else ("", False)


def _canopy(low: float, middle: float, high: float, values: np.ndarray) -> tuple[str, bool]:
    return (f"the median is {middle:.3g}: the values look like g m-2", True) if middle > WETTEST_CANOPY else ("", False)


def _water(low: float, middle: float, high: float, values: np.ndarray) -> tuple[str, bool]:
    wet = values[values > 0]
    if middle > WETTEST_DAY:
        return f"the median is {middle:.3g}: the values look like another unit than kg m-2", True
    light = float(np.quantile(wet, 0.95)) if wet.size >= max(values.size / 5, FEW) else np.inf
    rate = f"95 % of the wet values are below {light:.2g}: the values look like a rate, kg m-2 s-1"
    return rate if light < LIGHTEST_RAIN else "", False


_RULES = {
    "m3 m-3": _moisture, "K": _temperature, "percent": _percent, "g cm-3": _density, "precipitation": _water,
    "brightness": _brightness, "canopy": _canopy,
}  # fmt: skip


def quantity_of(name: str, units: str) -> str:
    """What a canonical variable is a quantity of, for `doubt`: its unit, or a word where that does not decide.

    Examples
    --------
    >>> quantity_of("tb_h", "K"), quantity_of("air_temperature", "K"), quantity_of("vegetation_water_content", "kg m-2")
    ('brightness', 'K', 'canopy')
    """
    if units == "kg m-2":
        return {"precipitation": "precipitation", "vegetation_water_content": "canopy"}.get(name, "")
    return "brightness" if name.startswith("tb_") else units


HINT = "Check unit, scale and fill values of the files; where a file has no unit, state it: <units=NAME=m3 m-3>."


def check_bulk(values: np.ndarray, name: str, units: str, where: object, *, stop: bool = True) -> str:
    """Stop where the bulk of some values certainly is not the quantity; otherwise return why it may not be.

    Parameters
    ----------
    values : ndarray of float
        In the canonical unit.
    name, units : str
        Canonical variable and unit.
    where : object
        What it is in, for the message.
    stop : bool
        Whether what is certain stops.

    Returns
    -------
    str
        The doubt, empty where there is none.

    Raises
    ------
    DataError
        Where the values certainly are something else.

    Examples
    --------
    >>> check_bulk(np.full(50, 0.7), "sm_dca", "m3 m-3", "a.h5")
    "'sm_dca' of a.h5 may not be in m3 m-3: the median is 0.7: the values look like a degree of saturation."
    """
    why, certain = doubt(values, quantity_of(name, units))
    if certain and stop:
        raise DataError(f"'{name}' of {where} cannot be in {units}: {why}.", hint=HINT)
    return f"'{name}' of {where} may not be in {units}: {why}." if why else ""


def speak_for(values: np.ndarray, name: str, units: str) -> bool:
    """Whether values can be in no other usual unit than a variable's, so that a file need not say it.

    Parameters
    ----------
    values : ndarray of float
        NaN where missing.
    name, units : str
        Canonical variable and unit.

    Returns
    -------
    bool
        True too where there is no value, false where there are few.

    Examples
    --------
    >>> speak_for(np.full(50, 0.2), "sm_dca", "m3 m-3"), speak_for(np.full(50, 20.0), "sm_dca", "m3 m-3")
    (True, False)
    """
    count, quantity = np.isfinite(values).sum(), quantity_of(name, units)
    return not count or (count >= FEW and quantity in _RULES and not doubt(values, quantity)[0])


class Once:
    """Tells the first doubts of a variable that is read block by block."""

    def __init__(self, *key: str) -> None:
        self.key, self.done = key, False

    def __dask_tokenize__(self) -> tuple[str, ...]:
        return self.key

    def tell(self, doubts: Sequence[Warning | str]) -> None:
        if doubts and not self.done:
            self.done = True
            for one in doubts:
                tell(one)


def watched(variable: xr.Variable, name: str, units: str, where: str, *, skip: bool = False) -> xr.Variable:
    """Check the bulk of a variable: now where its values are there, otherwise block by block when they are read.

    With ``skip`` a block that is certainly wrong becomes missing, with a warning.
    """
    once = Once(name, units, where)
    look = functools.partial(_look, name=name, units=units, where=where, skip=skip, once=once)
    if variable.chunks is None:
        if not variable._in_memory:
            return variable
        values = look(variable.values)
        return variable if values is variable.values else variable.copy(data=values)
    data: Any = variable.data
    return variable.copy(data=data.map_blocks(look, dtype=data.dtype, meta=data._meta))


def _look(values: np.ndarray, *, name: str, units: str, where: str, skip: bool, once: Once) -> np.ndarray:
    try:
        once.tell([*filter(None, [check_bulk(values, name, units, where)])])
    except DataError as error:
        if not skip:
            raise
        once.tell([f"{error.message.rstrip('.')}; these values are left out."])
        return np.full_like(values, np.nan)
    return values
