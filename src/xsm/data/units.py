"""Units: read in the spellings of CF and of the products, compared, converted.

A unit is taken apart here and its parts are looked up in pint, which is imported on first use. A millimetre of water is
1 kg m-2, and an amount of a time step is its rate times the step. A ratio of masses is never one of volumes.
"""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from xsm.errors import DataError

Values = TypeVar("Values")
_ALONE = threading.Lock()
LONGEST = 64  # letters that a unit may have
_EXAMPLES = "'m3 m-3', 'percent', 'kg m-2', 'mm/day', 'K', 'degC' or 'g cm-3'"
_WORDS = {
    "": "1", "-": "1", "none": "1", "unitless": "1", "dimensionless": "1", "nondimensional": "1", "fraction": "1",
    "ratio": "1", "proportion": "1", "vol/vol": "m3/m3", "v/v": "m3/m3", "volumetric": "m3/m3",
    "vol%": "%vol", "vol.%": "%vol", "vol-%": "%vol", "%vol": "%vol", "percentvol": "%vol", "volumepercent": "%vol",
    "%v/v": "%vol", "volumetricpercent": "%vol", "wt%": "%wt", "wt.%": "%wt", "mass%": "%wt", "weightpercent": "%wt",
    "percentbyweight": "%wt", "%bymass": "%wt", "gravimetricpercent": "%wt",
}  # fmt: skip
_PARTS = {
    "M": "m", "MM": "mm", "CM": "cm", "KG": "kg", "Kg": "kg", "G": "g", "gm": "g", "gr": "g", "%": "percent",
    "pct": "percent", "PCT": "percent",
    "Percent": "percent", "PERCENT": "percent", "DAY": "day", "H": "hour", "HR": "hour", "S": "s",
    "cc": "cm**3", "Mm": "mm", "d": "day", "h": "hour", "hr": "hour", "hrs": "hour", "sec": "s", "secs": "s",
}  # fmt: skip
"""What products write where pint reads another unit (a gauss, a molar) or none."""
_TEMPERATURE = re.compile(r"(?:degrees?|deg|[°º])?[ _]?(k|kelvins?|c|celsius|centigrade|f|fahrenheit)", re.I)
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d*)?(?:e[-+]?\d{1,2})?)(?:\^(?P<power>[-+]?\d{1,2}))?"
    r"|(?P<name>[A-Za-zµμ_%°]+)(?:\^?\s?(?P<exponent>[-+]\d{1,2}|(?<=\^)\d{1,2}|\d{1,2}))?|(?P<sign>[/*()]))"
)


@dataclass(frozen=True)
class _Unit:
    """A unit as a quantity of pint; ``kind`` is of what it is a ratio: "volume", "mass" or nothing that it tells."""

    quantity: Any
    kind: str = ""


def _registry() -> Any:
    with _ALONE:  # quantities of two registries, which threads would make, cannot be compared
        return _only_registry()


@functools.cache
def _only_registry() -> Any:
    import pint

    return pint.UnitRegistry(cache_folder=None)


def convert(values: Values, unit: str, to: str, *, step: str = "day") -> Values:
    """Convert values from a unit to another; those of the same unit come back as they are.

    Where the factor is one of a whole number, as of percent, values are divided by it, so that 7 % is 0.07 to the last
    bit.

    Parameters
    ----------
    values : float, ndarray or DataArray
        Lazy ones stay lazy, and float32 stays float32; attributes are not changed.
    unit, to : str
        Units in any spelling of CF or of a product.
    step : str
        Time step that an amount belongs to: ``kg m-2`` of a day is ``kg m-2 s-1`` times 86400 s.

    Returns
    -------
    float, ndarray or DataArray

    Raises
    ------
    DataError
        For a unit that is not known, or that cannot become the other.

    Examples
    --------
    >>> convert(7.0, "%", "m3 m-3"), convert(20.0, "degrees_C", "K"), convert(130.0, "cg/cm3", "g cm-3")
    (0.07, 293.15, 1.3)
    >>> convert(2.0, "mm/day", "kg m-2"), convert(0.001, "kg m-2 s-1", "kg m-2", step="hour")
    (2.0, 3.6)
    """
    slope, offset = affine(unit, to, step)
    result: Any = values
    if slope != 1:
        parts = _round(1 / slope)
        result = result / parts if parts > 1 and parts.is_integer() else result * slope
    return result + offset if offset else result


def convert_in(where: object, name: str, values: Values, unit: str, to: str) -> Values:
    """Convert values of a variable of a file; an error names both.

    Parameters
    ----------
    where, name, values, unit, to
        The file, its variable, and the rest as in `convert`.

    Returns
    -------
    float, ndarray or DataArray

    Raises
    ------
    DataError
        For a unit that is not known, or that cannot become the other.

    Examples
    --------
    >>> convert_in("a.nc", "sm", 7.0, "%", "m3 m-3")
    0.07
    """
    try:
        return convert(values, unit, to)
    except DataError:
        raise DataError(
            f"In '{where}' '{name}' has the unit '{unit}', expected {to} or one that becomes it.",
            hint="Get the file again, or correct its attribute 'units'.",
        ) from None


def same_units(a: str, b: str) -> bool:
    """Whether two unit strings mean the same unit, spellings of the products included.

    Parameters
    ----------
    a, b : str
        Units.

    Returns
    -------
    bool

    Examples
    --------
    >>> same_units("m3.m-3", "cm^3/cm^3"), same_units("mm", "kg m-2"), same_units("percent", "m3 m-3")
    (True, True, False)
    """
    if a.strip() == b.strip():
        return True
    try:
        return affine(a, b) == (1.0, 0.0) and _parse(a).kind == _parse(b).kind
    except DataError:
        return False


class Stated(dict[str, str]):
    """Units that the user states, by variable; remembers which variables were looked up."""

    def __init__(self, units: Mapping[str, str] | None = None) -> None:
        super().__init__(units or {})
        self.looked_up: set[str] = set()
        for unit in self.values():
            _parse(unit)

    def get(self, name: str, default: Any = None) -> Any:
        """Unit that is stated for a variable."""
        self.looked_up.add(name)
        return super().get(name, default)


def unit_of(
    unit: str | None, name: str, where: object, asserted: Mapping[str, str], *, known: str = "", example: str = "m3 m-3"
) -> str:
    """The unit of a variable in a file: its own, or the one that the user states where the file is silent.

    Parameters
    ----------
    unit : str or None
        What the file says; None or empty where it says nothing.
    name : str
        Variable in the file.
    where : object
        File, for errors.
    asserted : mapping of str to str
        ``units=`` of the user, by names in the file or canonical names.
    known : str
        Canonical name of the variable.
    example : str
        Unit that the hint shows.

    Returns
    -------
    str

    Raises
    ------
    DataError
        For a unit that is absent from both, or of which the user says another than the file.

    Examples
    --------
    >>> unit_of(None, "SoilM", "a.nc", {"SoilM": "percent"})
    'percent'
    """
    by_name, by_canonical = asserted.get(name), asserted.get(known) if known else None
    stated = by_canonical if by_name is None else by_name
    unit = (unit or "").strip()
    if stated is None and not unit:
        raise DataError(
            f"In '{where}' '{name}' has no unit, expected the attribute 'units'.",
            hint=f"State the one that its values really have, such as <units={name}={example}>.",
        )
    if stated is None:
        return unit
    if unit and not same_units(unit, stated):
        raise DataError(
            f"In '{where}' '{name}' has the unit '{unit}', but units= says '{stated}'.",
            hint=f"Leave '{name}' out of <units=>, or correct the attribute 'units' of the file.",
        )
    return unit or stated


@functools.lru_cache(maxsize=1024)
def affine(unit: str, to: str, step: str = "day") -> tuple[float, float]:
    """Factor and offset from a unit to another: ``to = factor * values + offset``.

    Parameters
    ----------
    unit, to : str
        Units in any spelling that products use.
    step : str
        Time that a rate is summed over, such as ``"day"``.

    Returns
    -------
    tuple of float
        Factor and offset.

    Examples
    --------
    >>> affine("percent", "m3 m-3")
    (0.01, 0.0)
    """
    if unit.strip() == to.strip():
        return 1.0, 0.0
    a, b = _parse(unit), _parse(to)
    if not (a.kind and b.kind and a.kind != b.kind):
        registry = _registry()
        offset_unit = [not q.quantity._is_multiplicative for q in (a, b)]
        if a.quantity.dimensionality == b.quantity.dimensionality:
            if any(offset_unit):
                zero, far = (registry.Quantity(v, a.quantity.units).to(b.quantity.units).magnitude for v in (0.0, 9e3))
                return _round((far - zero) / 9e3), _round(zero)
            return _round((a.quantity / b.quantity).to("").magnitude), 0.0
        if not any(offset_unit):
            water, time = registry.Quantity(1000.0, "kg/m**3"), registry.Quantity(1.0, step)
            bridges = [water, 1 / water]
            if any(q.quantity.dimensionality in _amounts() for q in (a, b)):
                bridges += [time, 1 / time, water * time, time / water, water / time, 1 / (water * time)]
            for bridge in bridges:
                ratio = a.quantity * bridge / b.quantity
                if ratio.dimensionless:
                    return _round(ratio.to("").magnitude), 0.0
    why = f", a ratio of {'masses' if a.kind == 'mass' else 'volumes'}," if a.kind and b.kind else ""
    raise DataError(
        f"The unit '{unit}'{why} cannot become '{to}'.", hint=f"State the unit of the values, such as {_EXAMPLES}."
    )


@functools.cache
def _amounts() -> list[Any]:
    """Dimensions of an amount of water: mass on an area, and depth."""
    return [_registry().Quantity(1.0, unit).dimensionality for unit in ("kg/m**2", "m")]


def _round(number: float) -> float:
    """Without the last digit, in which products of powers of ten differ."""
    return float(f"{number:.15g}")


@functools.lru_cache(maxsize=1024)
def _parse(text: str) -> _Unit:
    words = text.strip()
    words = _WORDS.get(words.lower().replace(" ", "").replace("_", ""), words)
    if words in ("%vol", "%wt"):
        return _Unit(_registry().Quantity(1.0, "percent"), "volume" if words == "%vol" else "mass")
    if temperature := _TEMPERATURE.fullmatch(words):
        name = {"k": "kelvin", "c": "degC", "f": "degF"}[temperature[1][0].lower()]
        return _Unit(_registry().Quantity(1.0, name))
    try:
        if len(words) > LONGEST:
            raise ValueError
        return _product(_plain(words))
    except Exception:  # pint raises what its parser raises: a unit is known or it is not
        raise DataError(
            f"The unit '{text[:LONGEST]}' is not known.", hint=f"State the unit of the values, such as {_EXAMPLES}."
        ) from None


def _plain(text: str) -> str:
    """One spelling of powers and products: ``^`` and ``*``."""
    text = re.sub(r"[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda m: "^" + m[0].translate(_SUPERSCRIPTS), text)
    text = text.replace("\u2212", "-").replace("**", "^").replace("{", "").replace("}", "").replace("$", "")
    text = re.sub(r"\bper\b", "/", text.replace("‰", "0.001"))
    return re.sub("[\u00b7\u22c5\u00d7]|" r"(?<=[\w)])\.(?=[A-Za-z(])", "*", text).strip()


def _product(text: str) -> _Unit:
    """Multiply what a plain text names; a slash divides by the next factor, or by the bracket that follows it."""
    registry = _registry()
    product, dims, at = registry.Quantity(1.0, ""), [], 0
    signs, sign = [1], 1
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise ValueError(text)
        at = token.end()
        if mark := token["sign"]:
            if mark == "(":
                signs.append(signs[-1] * sign)
                sign = 1
            elif mark == ")":
                signs.pop()
                sign = 1
            else:
                sign = -1 if mark == "/" else 1
            continue
        power = int(token["power"] or token["exponent"] or 1) * sign * signs[-1]
        sign = 1
        if token["number"]:
            product = product * float(token["number"]) ** power
            continue
        name = _PARTS.get(token["name"], token["name"])
        part = registry.Quantity(1.0, registry.Unit(name))
        if not part._is_multiplicative:  # of a rate or a gradient, never a temperature itself: that is a whole text
            part = registry.Quantity(1.0, "delta_" + name)
        product = product * part**power
        dims.append(part**power)
    if len(signs) != 1 or sign != 1 or at == 0:
        raise ValueError(text)
    kind = ""
    if product.dimensionless and dims and not dims[0].dimensionless:
        first = dims[0].dimensionality
        kind = (
            "mass" if first == registry.Quantity(1.0, "kg").dimensionality else "volume" if "[length]" in first else ""
        )
    return _Unit(product, kind)
