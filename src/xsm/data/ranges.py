"""Values that cannot be the quantity that a variable says to be, by its name, standard name, unit and valid range.

The bulk of the values is judged by `plausible`; here single values count, such as -9999 among soil moisture.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from xsm.data.cf import VARIABLES, kind
from xsm.data.plausible import Once, doubt, quantity_of
from xsm.data.roles import SOURCE
from xsm.data.units import affine, same_units
from xsm.errors import Counted, DataError

SLACK, FAR, OFTEN = 1e-6, 1.0, 1e-3
"""In shares of a range: what rounding adds to it, and the distance from it at which a single value is told of; share of
the values at which nearer ones are."""
CHANGES = {
    "anomaly", "anomalies", "anom", "bias", "biases", "trend", "increment", "increments", "innovation", "difference",
    "diff", "change", "changes", "delta", "departure", "residual", "residuals", "error", "tendency", "slope", "offset",
    "lasting",
}  # fmt: skip
"""Words of names of quantities that may have either sign."""
BY_STANDARD_NAME = (
    (re.compile(r"(volume_fraction_of|moisture_content|soil_moisture).*"), "soil_moisture"),
    (re.compile(r"(?!.*brightness).*temperature(_at_.*|_in_.*|_of_.*)?"), "air_temperature"),
    (re.compile(r".*brightness_temperature.*"), "tb_h"),
    (re.compile(r"(precipitation|rainfall|snowfall)_amount|thickness_of_(precipitation|rainfall|snowfall)_amount"),
     "precipitation"),
)  # fmt: skip
"""The canonical variable that has the range of a standard name."""
BY_UNIT = (("m3 m-3", 0.0, 1.0), ("K", -400.0, 400.0), ("percent", -200.0, 200.0), ("g cm-3", -25.0, 25.0))
"""What no quantity of a unit is outside of; values, changes and spreads of temperature and shares are in it."""


@dataclass(frozen=True)
class Range:
    """What the values of a variable may be: physically, and by the attributes ``valid_range``, ``valid_min/max``."""

    name: str
    units: str
    low: float = -math.inf
    high: float = math.inf
    valid: tuple[float, float] = (-math.inf, math.inf)
    canonical: str = ""
    """The variable whose bulk it should be, where name or standard name say so."""
    advice: str = "they count as values: set them to NaN, or correct unit and fill value"

    def __bool__(self) -> bool:
        return math.isfinite(self.low) or math.isfinite(self.high) or any(map(math.isfinite, self.valid))


def range_of(variable: xr.Variable | xr.DataArray, name: str) -> Range:
    """The range of a variable; false where nothing is known of it, or where it is not decoded.

    Examples
    --------
    >>> moist = xr.Variable("x", [0.2], {"units": "m3 m-3"})
    >>> (r := range_of(moist, "wetness")).low, r.high
    (0.0, 1.0)
    >>> range_of(moist, "wetness_anomaly").low
    -1.0
    """
    attrs = variable.attrs
    unit = str(attrs.get("units", ""))
    packed = {"scale_factor", "add_offset"} & set(attrs)
    if variable.dtype.kind not in "fiu" or packed or kind(variable, name) != "continuous":
        return Range(name, unit)
    standard = str(attrs.get("standard_name", ""))
    low, high, canonical = _limits(name, unit, standard)
    words = {w for text in (name, standard) for w in re.split(r"[^a-z]+", text.lower())}
    if SOURCE in attrs or words & CHANGES:
        reach = max(abs(low), abs(high))
        low, high, canonical = -reach, reach, ""
    return Range(name, unit, low, high, _valid(variable), canonical)


def _limits(name: str, unit: str, standard: str) -> tuple[float, float, str]:
    like = name if name in VARIABLES else next((c for p, c in BY_STANDARD_NAME if p.fullmatch(standard)), "")
    if not unit:
        return -math.inf, math.inf, ""
    if like and VARIABLES[like].units:
        try:
            slope, offset = affine(VARIABLES[like].units, unit)
        except DataError:
            slope, offset = 0.0, 0.0
        if slope > 0:
            low, high = (v * slope + offset for v in (VARIABLES[like].low, VARIABLES[like].high))
            return low, high, like if (slope, offset) == (1, 0) else ""
    for known, low, high in BY_UNIT:
        if same_units(unit, known):
            return low, high, ""
    return -math.inf, math.inf, ""


def _valid(variable: xr.Variable | xr.DataArray) -> tuple[float, float]:
    """The valid range in values: whole numbers are those of the file, which has a scale."""
    attrs = variable.attrs
    ends = [*np.ravel(attrs.get("valid_range", ()))] or [
        attrs.get("valid_min", -np.inf),
        attrs.get("valid_max", np.inf),
    ]
    try:
        low, high = (float(np.ravel(v)[0]) for v in ends)
    except (TypeError, ValueError, IndexError):
        return -math.inf, math.inf
    scale, offset = (variable.encoding.get(k, d) for k, d in (("scale_factor", 1.0), ("add_offset", 0.0)))
    stored = np.asarray(ends).dtype.kind in "iu" or np.dtype(variable.encoding.get("dtype", "f4")).kind in "iu"
    low, high = sorted(v * scale + offset for v in (low, high)) if stored else (low, high)
    return (low, high) if low < high else (-math.inf, math.inf)


def impossible(values: np.ndarray, within: Range, missing: Iterable[Any] = ()) -> list[Counted]:
    """Counts of values that cannot be: outside the physical range, and outside the valid one.

    A valid range that leaves out most values is in another unit than they are, and says nothing.

    Raises
    ------
    DataError
        Where most values are outside, and name or standard name say what they should be.

    Examples
    --------
    >>> moist = Range("sm", "m3 m-3", 0.0, 1.0, advice="look at them")
    >>> print(impossible(np.array([0.2, 0.3, -9999]), moist)[0])
    1 of 3 values (-9999 to -9999) of 'sm' are outside 0 to 1, its physical range (m3 m-3): look at them.
    """
    if not within or not values.size:
        return []
    first, last = np.fmin.reduce(values, None), np.fmax.reduce(values, None)
    out = []
    for low, high, physical in ((within.low, within.high, True), (*within.valid, False)):
        slack = SLACK * (high - low) if math.isfinite(high - low) else 0.0
        if not (first < low - slack or last > high + slack):
            continue
        real = values[np.isfinite(values)] if values.dtype.kind == "f" else values.ravel()
        real = real[~np.isin(real, list(missing))] if (missing := list(missing)) else real
        wrong = real[(real < low - slack) | (real > high + slack)]
        if not wrong.size or (not physical and 2 * wrong.size > real.size):
            continue
        if physical and 2 * wrong.size > real.size:
            bulk(real, within)
        far = FAR * (high - low) if math.isfinite(high - low) else 0.0
        if wrong.size > OFTEN * real.size or wrong.min() < low - far or wrong.max() > high + far:
            of = f"its physical range ({within.units})" if physical else "the valid range in its attributes"
            what = f"'{within.name}' are outside {low:.6g} to {high:.6g}, {of}: {within.advice}."
            out.append(Counted(what, wrong.size, real.size, float(wrong.min()), float(wrong.max())))
    return out


def bulk(values: np.ndarray, within: Range) -> str:
    """Why most values may not be in the unit of what name or standard name say; stop where it is certain."""
    why, certain = doubt(values, quantity_of(within.canonical, within.units)) if within.canonical else ("", False)
    if certain:
        raise DataError(
            f"'{within.name}' cannot be in {within.units}: {why}.",
            hint="Correct its unit, its scale or its fill values.",
        )
    return f"'{within.name}' may not be in {within.units}: {why}." if why else ""


def checked(ds: xr.Dataset, names: Iterable[str]) -> xr.Dataset:
    """The dataset, of which some variables are checked: now where they are in memory, else when they are computed.

    Examples
    --------
    >>> checked(xr.Dataset({"sm_dca": ("x", np.full(50, 25.0), {"units": "m3 m-3"})}), ["sm_dca"])
    Traceback (most recent call last):
    ...
    xsm.errors.DataError: 'sm_dca' cannot be in m3 m-3: the median is 25: the values look like percent or kg m-2. ...
    """
    lazy: dict[str, Any] = {}
    for name in names:
        variable = ds[name].variable
        within = range_of(variable, name)
        if not within:
            continue
        missing = [v for k in ("_FillValue", "missing_value") for v in np.ravel(variable.attrs.get(k, ()))]
        look = functools.partial(_look, within=within, missing=missing, once=Once(name, within.units, "checked"))
        if variable.chunks is None:
            look(variable.values)
        else:
            data: Any = variable.data
            lazy[name] = ds[name].copy(data=data.map_blocks(look, dtype=data.dtype, meta=data._meta))
    return ds.assign(lazy)


def _look(values: np.ndarray, *, within: Range, missing: list[Any], once: Once) -> np.ndarray:
    once.tell(
        [
            *impossible(values, within, missing),
            *filter(None, [bulk(values, within) if values.dtype.kind == "f" else ""]),
        ]
    )
    return values
