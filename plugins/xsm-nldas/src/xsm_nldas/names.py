"""Which model and time step a file is of, by its name and its attributes: Mosaic and VIC are not Noah."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from xsm import DataError
from xsm.plugin_api import tell

MODELS = {"MOS": "Mosaic", "MOSAIC": "Mosaic", "VIC": "VIC", "SAC": "SAC", "NOAHMP": "Noah-MP"}
"""Land models of NLDAS-2 that are not read, by what names and titles call them."""
STEPS = {"M": "monthly means", "MC": "a monthly climatology", "D": "daily means"}
_NAME = re.compile(r"NLDAS_([A-Z]+?)_?(\d{4})_(H|MC|M|D)\b", re.IGNORECASE)
_OTHER = re.compile(r"(?<![A-Za-z])(MOSAIC|MOS(?=_?0125)|VIC|SAC(?=_?0125|-SMA)|NOAHMP|NOAH-MP)", re.IGNORECASE)
_NOAH = re.compile(r"(?<![A-Za-z])(NOAH|FORA)(?!-?MP)", re.IGNORECASE)
_TITLES = ("title", "shortname", "short_name", "id", "model", "source", "product", "granuleid", "identifier_product")
_APPEEARS = re.compile(r"_aid\d{4}\.\w+$|-\d{3}-results\.csv$", re.IGNORECASE)
_HINT = "Give NLDAS_NOAH0125_H, hourly files of the Noah model, or of its forcing."


def is_named(path: Path) -> bool:
    """Whether a name is that of any product of NLDAS-2; others than hourly Noah and forcing are refused by name."""
    return path.suffix.lower() in (".nc", ".nc4", ".grb", ".h5") and bool(_NAME.search(path.name.replace(".", " ")))


def only_hourly(paths: Iterable[Path]) -> list[Path]:
    """Leave out files that are named as other products, with a warning, where others are not; else refuse them."""
    good, others, first = [], [], None
    for path in paths:
        try:
            check_name(path)
            good.append(path)
        except DataError as error:
            first = first or error
            others.append(path)
    if first is not None and not good:
        raise first
    if others:
        tell(f"{len(others)} files of other models or time steps are left out, the first: '{others[0].name}'.")
    return good


def check_name(path: Path) -> None:
    """Stop where the name of a file is that of another model, of a product that is not hourly, or of AppEEARS."""
    if _APPEEARS.search(path.name):
        raise DataError(f"'{path}' is output of AppEEARS, expected hourly maps of NLDAS-2.", hint=_HINT)
    if match := _NAME.search(path.name.replace(".", " ")):
        _check(path, match[1].upper(), match[3].upper())


def check_product(path: Path, attrs: Mapping[str, str]) -> None:
    """Stop where the attributes of a file name another model and not Noah, or a product that is not hourly."""
    for key, text in attrs.items():
        if key.lower() not in _TITLES:
            continue
        if match := _NAME.search(text):
            _check(path, match[1].upper(), match[3].upper())
        elif (other := _OTHER.search(text)) and not _NOAH.search(text):
            _check(path, other[1].upper().replace("-", ""), "H")
        elif re.search(r"\bmonthly\b", text, re.IGNORECASE) and not re.search(r"\bhourly\b", text, re.IGNORECASE):
            _check(path, "NOAH", "M")


def _check(path: Path, model: str, step: str) -> None:
    if model not in ("NOAH", "FORA"):
        raise DataError(f"'{path}' is of the model {MODELS.get(model, model)}, expected Noah.", hint=_HINT)
    if step != "H":
        raise DataError(f"'{path}' contains {STEPS[step]}, expected hourly maps.", hint=_HINT)
