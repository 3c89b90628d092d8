"""One description for every function of xsm; accessor, command line, QGIS and documentation are made from it.

A function becomes an operation by `operation`: its signature gives names, kinds, choices and defaults, its
``Annotated[..., Param(...)]`` the help and limits. Nothing heavy is imported to read a description.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import inspect
import json
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
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


@dataclass(frozen=True)
class Operation:
    """A function and its description.

    Parameters
    ----------
    id, title, group, summary : str
        Name in code, name for people, its menu, and the first sentence of the docstring.
    function : callable
        What does the work.
    params : tuple of Param
        In the order of the function's signature.
    result : Kind
        What the function returns.
    accessor : bool
        Whether ``ds.sm`` offers it.
    analyst : bool
        Whether it appears in QGIS.
    owner : str
        Distribution that brings it.

    Examples
    --------
    >>> import xsm
    >>> operation = xsm.operations()["texture"]
    >>> operation.title, operation.params[0].name, str(operation.result)
    ('Soil texture class', 'ds', 'dataset')
    """

    id: str
    title: str
    group: str
    summary: str
    function: Callable[..., Any]
    params: tuple[Param, ...]
    result: Kind
    accessor: bool = True
    analyst: bool = True
    owner: str = "xsm"

    def to_json(self) -> dict[str, Any]:
        """Describe the operation with JSON types only."""
        return {
            "id": self.id,
            "title": self.title,
            "group": self.group,
            "summary": self.summary,
            "params": [p.to_json() for p in self.params],
            "result": str(self.result),
            "accessor": self.accessor,
            "analyst": self.analyst,
            "owner": self.owner,
        }

    def param(self, name: str) -> Param:
        """Return one parameter by name or stop with the nearest known name."""
        for p in self.params:
            if p.name == name:
                return p
        raise unknown(f"parameter of {self.id}", name, [p.name for p in self.params])


BUILTIN = (
    "open", "example", "regrid", "gapfill", "cube", "fit", "estimate", "texture", "validate", "triple_collocation",
    "report", "plot_map",
)  # fmt: skip
"""Modules of `xsm.ops`, each named after an operation of its own."""


def operation(
    *, title: str, group: str, result: Kind = Kind.DATASET, accessor: bool = True, analyst: bool = True
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Describe a function as an operation named after it.

    The function is returned wrapped in a check of its simple arguments, so that every front door refuses the same
    values with the same sentence; the description is its attribute ``operation``.

    Parameters
    ----------
    title, group : str
        Name for people, and the menu that it is shown in.
    result : Kind
        What the function returns.
    accessor : bool
        Whether ``ds.sm`` offers it; its first parameter is then the dataset.
    analyst : bool
        Whether it appears in QGIS.

    Returns
    -------
    callable
        Decorator.

    Examples
    --------
    >>> @operation(title="Halve", group="Analysis")
    ... def halve(ds: xr.Dataset) -> xr.Dataset:
    ...     'Give half of every value.'
    ...     return ds / 2
    >>> halve.operation.id, halve.operation.summary
    ('halve', 'Give half of every value.')
    """

    def describe(function: Callable[..., Any]) -> Callable[..., Any]:
        summary = (inspect.getdoc(function) or "").split("\n")[0]
        params = tuple(_params(function))
        simple = {p.name: p for p in params if p.kind not in _OBJECTS}

        @functools.wraps(function)
        def checked(*args: Any, **kwargs: Any) -> Any:
            bound = _bind(function, args, kwargs)
            for name, value in bound.arguments.items():
                if name in simple:
                    bound.arguments[name] = simple[name].check(value)
            return function(*bound.args, **bound.kwargs)

        op = Operation(function.__name__, title, group, summary, checked, params, result, accessor, analyst)
        checked.operation = op  # type: ignore[attr-defined]
        return checked

    return describe


def share_sections(source: Callable[..., Any], target: Callable[..., Any], *, without: Iterable[str] = ()) -> None:
    """Put parameters, results and errors of one docstring into another's, before its examples."""
    head, mark, examples = (inspect.getdoc(target) or "").partition("\nExamples\n")
    text = inspect.getdoc(source) or ""
    shared = text[text.index("\nParameters\n") :].partition("\nExamples\n")[0]
    for name in without:
        shared = re.sub(rf"\n{name} : .*(\n    .*)*", "", shared)
    target.__doc__ = f"{head}{shared}{mark}{examples}"


def builtin() -> dict[str, Operation]:
    """Return the core's own operations by id."""
    found = {}
    for name in BUILTIN:
        module = importlib.import_module(f"xsm.ops.{name}")
        for value in vars(module).values():
            op = getattr(value, "operation", None)
            if isinstance(op, Operation) and value.__module__ == module.__name__:
                found[op.id] = op
    return found


def operations() -> dict[str, Operation]:
    """Return every operation by id, those of plugins included.

    Returns
    -------
    dict of str to Operation

    Examples
    --------
    >>> import xsm
    >>> xsm.operations()["estimate"].title
    'Estimate soil moisture'
    """
    from xsm.plugin import manager

    return builtin() | {op.id: op for op in manager().operations.values()}


def get_operation(name: str) -> Operation:
    """Return an operation by id; dashes count as underscores."""
    known = operations()
    key = name.replace("-", "_")
    if key not in known:
        raise unknown("operation", name, known)
    return known[key]


def describe(ops: Mapping[str, Operation] | None = None) -> dict[str, Any]:
    """Describe operations as JSON types, with the digest that tells two descriptions apart."""
    described = [op.to_json() for op in (builtin() if ops is None else ops).values()]
    text = json.dumps(described, sort_keys=True)
    return {"operations": described, "digest": hashlib.sha256(text.encode()).hexdigest()}


_OBJECTS = {
    Kind.DATASET,
    Kind.DATASETS,
    Kind.STATIONS,
    Kind.FOLDER,
    Kind.MODEL,
    Kind.REGION,
    Kind.PERIOD,
    Kind.PATH,
    Kind.PATHS,
    Kind.OPTIONS,
}
_BY_TYPE = {
    xr.Dataset: Kind.DATASET,
    bool: Kind.BOOLEAN,
    int: Kind.INTEGER,
    float: Kind.NUMBER,
    str: Kind.STRING,
    Path: Kind.PATH,
}


def _bind(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> inspect.BoundArguments:
    signature = inspect.signature(function)
    try:
        return signature.bind(*args, **kwargs)
    except TypeError as error:
        for name in kwargs:
            if name not in signature.parameters:
                raise unknown(f"argument of {function.__name__}", name, signature.parameters) from None
        raise UsageError(f"{function.__name__}: {error}.", hint=f"Wanted {function.__name__}{signature}.") from None


def _params(function: Callable[..., Any]) -> list[Param]:
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
