"""Parameters: what a signature tells of them, their limits, and the check of a value."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import xarray as xr

from xsm.errors import UsageError, unknown


class Kind(StrEnum):
    """What a parameter or a result is; every front door can draw each of them.

    Examples
    --------
    >>> Kind("dataset") is Kind.DATASET
    True
    """

    DATASET = "dataset"
    DATASETS = "datasets"
    MODEL = "model"
    CHOICE = "choice"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    STRING = "string"
    STRINGS = "strings"
    PATH = "path"
    PATHS = "paths"
    PERIOD = "period"
    REGION = "region"
    OPTIONS = "options"
    TABLE = "table"
    FIGURE = "figure"
    STATIONS = "stations"
    FOLDER = "folder"


@dataclass(frozen=True)
class Param:
    """One parameter of an operation, a source or a model.

    Inside ``Annotated`` only the help and the limits are given; the rest comes from the signature.

    Parameters
    ----------
    help : str
        One sentence for forms and ``--help``.
    name, label : str
        Name in code, and in forms where that differs.
    kind : Kind
        Type of the value.
    default, required
        Value where none is given, and whether one must be.
    choices : tuple
        Of a ``Kind.CHOICE``.
    minimum, maximum : float, optional
        Limits, both allowed.
    unit : str
        Unit of a number.
    advanced : bool
        Whether forms hide it at first.

    Examples
    --------
    >>> Param("Days of the mean.", name="window", kind=Kind.INTEGER, default=31, minimum=1).check("7")
    7
    """

    help: str = ""
    name: str = ""
    label: str = ""
    kind: Kind | None = None
    default: Any = None
    required: bool = False
    choices: tuple[Any, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""
    advanced: bool = False

    @property
    def title(self) -> str:
        """Name in forms."""
        return self.label or ("Input" if self.name == "ds" else self.name.replace("_", " ").capitalize())

    def to_json(self) -> dict[str, Any]:
        """Describe the parameter with JSON types only."""
        default = self.default
        if isinstance(default, tuple):
            default = list(default)
        return {
            "name": self.name,
            "label": self.title,
            "kind": str(self.kind),
            "help": self.help,
            "required": self.required,
            "default": default,
            "choices": list(self.choices),
            "minimum": self.minimum,
            "maximum": self.maximum,
            "unit": self.unit,
            "advanced": self.advanced,
        }

    def check(self, value: Any) -> Any:
        """Return the value as the parameter's type or stop with a sentence."""
        if value is None:
            if self.required:
                raise UsageError(f"'{self.name}' is missing.", hint=self.help)
            return None
        match self.kind:
            case Kind.CHOICE:
                by_text = {str(c): c for c in self.choices}
                if str(value) not in by_text:
                    raise unknown(self.name.replace("_", " "), value, by_text)
                return by_text[str(value)]
            case Kind.INTEGER | Kind.NUMBER:
                return self._number(value)
            case Kind.BOOLEAN:
                return self._boolean(value)
            case Kind.STRINGS:
                if isinstance(value, str):
                    return tuple(v.strip() for v in value.split(",") if v.strip())
                return tuple(value) if isinstance(value, Iterable) else (value,)
        return value

    def _number(self, value: Any) -> float | int:
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise UsageError(f"'{self.name}' is {value!r}, wanted a number.", hint=self.help) from None
        low, high = self.minimum, self.maximum
        if (low is not None and number < low) or (high is not None and number > high) or number != number:
            raise UsageError(
                f"'{self.name}' is {value}, wanted {'' if low is None else f'at least {low:g}'}"
                f"{' and ' if low is not None and high is not None else ''}"
                f"{'' if high is None else f'at most {high:g}'}.",
                hint=self.help,
            )
        if self.kind is Kind.INTEGER:
            if number != int(number):
                raise UsageError(f"'{self.name}' is {value}, wanted a whole number.", hint=self.help)
            return int(number)
        return number

    def _boolean(self, value: Any) -> bool:
        words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if str(value).lower() not in words:
            raise UsageError(f"'{self.name}' is {value!r}, wanted true or false.", hint=self.help)
        return words[str(value).lower()]


_BY_TYPE = {
    xr.Dataset: Kind.DATASET,
    bool: Kind.BOOLEAN,
    int: Kind.INTEGER,
    float: Kind.NUMBER,
    str: Kind.STRING,
    Path: Kind.PATH,
}


def params_of(function: Callable[..., Any]) -> list[Param]:
    """Read the parameters of a function from its signature and its ``Annotated[..., Param(...)]``."""
    hints = typing.get_type_hints(function, include_extras=True)
    params = []
    for name, parameter in inspect.signature(function).parameters.items():
        hint = hints.get(name, str)
        given = next((m for m in getattr(hint, "__metadata__", ()) if isinstance(m, Param)), Param())
        bare = typing.get_args(hint)[0] if given is not Param and hasattr(hint, "__metadata__") else hint
        kind, choices = _kind(bare)
        if parameter.kind is parameter.VAR_POSITIONAL:
            kind = Kind.DATASETS
        elif parameter.kind is parameter.VAR_KEYWORD:
            kind, given = Kind.OPTIONS, replace(given, help=given.help or "Options of the source or the model.")
        required = parameter.default is parameter.empty and parameter.kind not in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        )
        params.append(
            replace(
                given,
                name=name,
                kind=given.kind or kind,
                choices=given.choices or choices,
                required=required,
                default=None if parameter.default is parameter.empty else parameter.default,
            )
        )
    return params


def _kind(hint: Any) -> tuple[Kind, tuple[Any, ...]]:
    if typing.get_origin(hint) is typing.Literal:
        return Kind.CHOICE, typing.get_args(hint)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        kinds = [_kind(a) for a in typing.get_args(hint) if a is not type(None)]
        return kinds[0]
    if typing.get_origin(hint) in (tuple, list):
        return Kind.STRINGS, ()
    return _BY_TYPE.get(hint, Kind.STRING), ()
