"""On what a variable rests: the family of its product, which decides whether errors are independent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from xsm.data import article
from xsm.data.cf import same_units
from xsm.data.derived_text import behind
from xsm.data.roles import ESTIMATE, LAND_MODELS, RETRIEVAL, SOURCE, part_by_name, role_of

MOIST = LAND_MODELS | {RETRIEVAL, ESTIMATE}
"""Roles of series of soil moisture."""
EQUAL, SAME, FEWEST = 1e-3, 0.99999, 30
"""Of two series that are the same: largest difference in standard deviations, correlation, number of values."""
COMMON = {
    "lsm", "land", "surface", "model", "models", "brightness", "temperature", "temperatures", "soil", "moisture",
    "product", "data", "version", "reanalysis", "the", *article.COLLECTIONS,
}  # fmt: skip
"""Words of a family that do not tell which one it is."""
ABOUT_ANOTHER = re.compile(
    r"\b(uncertaint(y|ies)|uncert|unc|errors?|err|rmse|std|stdev|stddev|stderr|deviation|variance|spread|noise|flags?|"
    r"quality|confidence|mask|counts?|nobs|(number|num)(?! ?\d))\b"
    r"(?! (controlled|checked|assured|screened|filtered|corrected|masked|flagged|free)\b)"
)
"""Words of what tells of the values of another variable."""
PHRASE = re.compile(r"[,;(]| (with|from|by|after|where)\b")
"""Ends of the first phrase of a long name."""


def origin(ds: xr.Dataset, name: str) -> str:
    """The variable that a variable is derived from in the end, by the attribute ``source_variable``; else itself."""
    chain = [name]
    while name in ds and (source := str(ds[name].attrs.get(SOURCE, ""))) and source not in chain:
        chain.append(name := source)
    return name


def families_of(ds: xr.Dataset, name: str) -> frozenset[str]:
    """Families that a variable rests on: its attribute ``family``, else those of its canonical name; empty if unknown.

    What is derived has the families of the variable that it is derived from.

    Examples
    --------
    >>> sorted(families_of(xr.Dataset(), "sm_surface"))
    ['Catchment', 'SMAP brightness temperatures']
    """
    text = str(ds[name].attrs.get("family", "")) if name in ds else ""
    known = frozenset(part.strip() for part in (text or part_by_name(name).family).split(";") if part.strip())
    source = origin(ds, name)
    return known or (families_of(ds, source) if source != name else known)


def shared(one: Iterable[str], other: Iterable[str]) -> frozenset[str]:
    """Families of the first that are among the others, however they are written.

    Examples
    --------
    >>> sorted(shared(["Noah", "VIC"], ["NOAH LSM v3.6"])), sorted(shared(["ESA CCI active"], ["ESA CCI passive"]))
    (['Noah'], [])
    """
    cores = [(_core(text), text.casefold()) for text in other]
    mine = [(text, _core(text)) for text in one]
    return frozenset(
        text for text, core in mine for his, whole in cores
        if whole == text.casefold() or (core and his and (core <= his or his <= core))
    )  # fmt: skip


def _core(text: str) -> frozenset[str]:
    """The words of a family that tell which one it is, without versions."""
    words = [w for w in re.findall(r"[^\W\d_]{2,}", text.casefold()) if w not in COMMON]
    return frozenset(next((k for start, k in article.ALIASES.items() if w.startswith(start)), w) for w in words)


def families_behind(ds: xr.Dataset, names: Iterable[str]) -> list[str]:
    """All families of some variables or what they are derived from, sorted; moisture of an unknown one is its own."""
    known = [families_of(ds, n) or ({n} if is_moisture(ds, n) else set()) for n in map(behind, names)]
    return sorted(set().union(*known)) if known else []


def is_moisture(ds: xr.Dataset, name: str) -> bool:
    """Whether a variable is a series of soil moisture, by its role, standard name or unit."""
    if part_by_name(name).role in MOIST:
        return True
    attrs = ds[name].attrs if name in ds else {}
    if is_about_another(name, attrs):
        return False
    moist = "soil" in str(attrs.get("standard_name", "")) and "water" in str(attrs.get("standard_name", ""))
    volume = bool(attrs.get("units")) and same_units(str(attrs["units"]), "m3 m-3")
    return name in ds and "time" in ds[name].dims and (moist or volume or role_of(ds, name) in MOIST)


def is_about_another(name: str, attrs: Mapping[str, Any]) -> bool:
    """Whether a variable tells of the values of another one: its spread, error, quality or number of values.

    Parameters
    ----------
    name : str
        Its name.
    attrs : mapping
        Its attributes, of which the standard name and the first phrase of the long name count.

    Examples
    --------
    >>> [is_about_another(n, {}) for n in ("sm_uncertainty", "smError", "sm_5cm", "number_3")]
    [True, True, False, False]
    >>> is_about_another("a", {"long_name": "Number of values"}), is_about_another("a", {"long_name": "SM, no error"})
    (True, False)
    """
    phrase = PHRASE.split(str(attrs.get("long_name", "")), maxsplit=1)[0]
    return any(ABOUT_ANOTHER.search(spaced(t)) for t in (name, str(attrs.get("standard_name", "")), phrase))


def spaced(text: str) -> str:
    """Words of a name apart by spaces, in small letters."""
    return re.sub(r"[\W_]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)).casefold()


def same_series(one: np.ndarray, other: np.ndarray, *, scaled: bool = False) -> bool:
    """Whether two arrays hold the same series: equal values, with ``scaled`` also in another unit or with an offset.

    Examples
    --------
    >>> one = np.arange(40.0)
    >>> same_series(one, one * 2 + 1), same_series(one, one * 2 + 1, scaled=True)
    (False, True)
    """
    both = np.isfinite(one) & np.isfinite(other)
    if both.sum() < FEWEST:
        return False
    a, b = one[both].astype("f8"), other[both].astype("f8")
    spread = max(a.std(), b.std())
    if not scaled or not min(a.std(), b.std()) > 0:
        return bool(np.abs(a - b).max() <= EQUAL * max(spread, 1e-6))
    return bool(np.mean((a - a.mean()) * (b - b.mean())) / (a.std() * b.std()) > SAME)
