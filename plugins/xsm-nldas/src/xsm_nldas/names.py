"""Which model and time step a file is of, by its name and its attributes: Mosaic and VIC are not Noah."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from xsm import DataError

MODELS = {"MOS": "Mosaic", "MOSAIC": "Mosaic", "VIC": "VIC", "SAC": "SAC", "NOAHMP": "Noah-MP"}
"""Land models of NLDAS-2 that are not read, by what names and titles call them."""
STEPS = {"M": "monthly means", "MC": "a monthly climatology", "D": "daily means"}
_NAME = re.compile(r"NLDAS_([A-Z]+?)_?(\d{4})_(H|MC|M|D)\b", re.IGNORECASE)
_OTHER = re.compile(r"(?<![A-Za-z])(MOSAIC|MOS(?=_?0125)|VIC|SAC(?=_?0125|-SMA)|NOAHMP|NOAH-MP)", re.IGNORECASE)
_NOAH = re.compile(r"(?<![A-Za-z])(NOAH|FORA)(?!-?MP)", re.IGNORECASE)
_TITLES = ("title", "shortname", "short_name", "id", "model", "source", "product", "granuleid", "identifier_product")
_HINT = "Give NLDAS_NOAH0125_H, hourly files of the Noah model, or of its forcing."


def check_name(path: Path) -> None:
    """Stop where the name of a file is that of another model, or of a product that is not hourly."""
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
