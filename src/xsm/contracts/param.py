"""Parameters: read from a signature, with limits and a check of the value."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import xarray as xr

from xsm.errors import UsageError, unknown


class Kind(StrEnum):
    """Type of a parameter or a result; every face can show each of them.

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
    MAPPING = "mapping"
    TABLE = "table"
    FIGURE = "figure"
    STATIONS = "stations"
    FOLDER = "folder"


@dataclass(frozen=True)
class Param:
    """One parameter of an operation, a source or a model.

    Inside ``Annotated`` write only the help and the limits; the rest comes from the signature.

    Parameters
    ----------
    help : str
        One sentence for forms and ``--help``.
    name, label : str
        Name in code, and in forms where that differs.
    kind : Kind
        Type of the value.
    default, required
        Value that is used when the parameter is left out, and whether it must not be.
    choices : tuple
        Values of a ``Kind.CHOICE``.
    minimum, maximum : float, optional
        Limits; both are allowed values.
    unit : str
        Unit of a number.
    advanced : bool
        Whether forms show it only among the advanced parameters.

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
        about = {f.name: getattr(self, f.name) for f in fields(self)} | {"label": self.title, "kind": str(self.kind)}
        return {n: list(value) if isinstance(value, tuple) else value for n, value in about.items()}

    def check(self, value: Any) -> Any:
        """Return the value as the parameter's type or stop with a sentence."""
        if value is None:
            if self.required:
                raise UsageError(f"'{self.name}' is missing.", hint=self.help)
            if self.default is not None and self.kind in (Kind.INTEGER, Kind.NUMBER, Kind.BOOLEAN, Kind.CHOICE):
                raise UsageError(f"'{self.name}' is None, expected a value such as {self.default}.", hint=self.help)
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
                    return tuple(v.strip() for v in split_list(value) if v.strip())
                return tuple(value) if isinstance(value, Iterable) else (value,)
            case Kind.MAPPING:
                return self._mapping(value)
        return value

    def _mapping(self, value: Any) -> dict[str, str]:
        """Pairs of a mapping, of a text ``name=value; name=value``, or of several such texts."""
        if isinstance(value, Mapping):
            return {str(name): str(text) for name, text in value.items()}
        parts = [value] if isinstance(value, str) else list(value) if isinstance(value, Iterable) else [str(value)]
        pairs = [part.partition("=") for text in parts for part in str(text).split(";") if part.strip()]
        for name, sign, text in pairs:
            if not (name.strip() and sign and text.strip()):
                raise UsageError(
                    f"'{self.name}' has '{(name + sign + text).strip()}', expected name=value.", hint=self.help
                )
        names = [name.strip() for name, _, _ in pairs]
        for name in names:
            if names.count(name) > 1:
                raise UsageError(f"'{self.name}' names '{name}' twice.", hint="Give one value for each name.")
        return {name.strip(): text.strip() for name, _, text in pairs}

    def _number(self, value: Any) -> float | int:
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise UsageError(f"'{self.name}' is {value!r}, expected a number.", hint=self.help) from None
        low, high = self.minimum, self.maximum
        if (low is not None and number < low) or (high is not None and number > high) or number != number:
            raise UsageError(
                f"'{self.name}' is {value}, expected {'' if low is None else f'at least {low:g}'}"
                f"{' and ' if low is not None and high is not None else ''}"
                f"{'' if high is None else f'at most {high:g}'}.",
                hint=self.help,
            )
        if self.kind is Kind.INTEGER:
            if number != int(number):
                raise UsageError(f"'{self.name}' is {value}, expected a whole number.", hint=self.help)
            return int(number)
        return number

    def _boolean(self, value: Any) -> bool:
        words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if str(value).lower() not in words:
            raise UsageError(f"'{self.name}' is {value!r}, expected true or false.", hint=self.help)
        return words[str(value).lower()]


def split_list(text: str) -> list[str]:
    """Split a text at its commas, but not inside brackets or quotation marks.

    Examples
    --------
    >>> split_list("tb_h,memory(tb_h, 20)")
    ['tb_h', 'memory(tb_h, 20)']
    """
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif depth and letter in "'\"":
            quote = letter
        elif letter in "()":
            depth = depth + 1 if letter == "(" else max(depth - 1, 0)
        if letter == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += letter
    return text.split(",") if depth or quote else parts


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
    return [_param(p, hints.get(p.name, str)) for p in inspect.signature(function).parameters.values()]


def _param(parameter: inspect.Parameter, hint: Any) -> Param:
    annotated = typing.get_origin(hint) is typing.Annotated
    written = next((m for m in hint.__metadata__ if isinstance(m, Param)), Param()) if annotated else Param()
    kind, choices = _kind(typing.get_args(hint)[0] if annotated else hint)
    text = written.help
    if parameter.kind is parameter.VAR_POSITIONAL:
        kind = Kind.DATASETS
    elif parameter.kind is parameter.VAR_KEYWORD:
        kind, text = Kind.OPTIONS, text or "Options of the source or the model."
    required = parameter.default is parameter.empty
    return replace(
        written,
        name=parameter.name,
        help=text,
        kind=written.kind or kind,
        choices=written.choices or choices,
        required=required and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD),
        default=None if required else parameter.default,
    )


def _kind(hint: Any) -> tuple[Kind, tuple[Any, ...]]:
    if typing.get_origin(hint) is typing.Literal:
        return Kind.CHOICE, typing.get_args(hint)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        kinds = [_kind(a) for a in typing.get_args(hint) if a is not type(None)]
        return kinds[0]
    if typing.get_origin(hint) in (tuple, list):
        return Kind.STRINGS, ()
    return _BY_TYPE.get(hint, Kind.STRING), ()
