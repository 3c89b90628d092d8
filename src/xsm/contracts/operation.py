"""One description for every function of xsm; accessor, command line, QGIS and documentation are made from it.

A function becomes an operation by `operation`: its signature gives names, kinds, choices and defaults, its
``Annotated[..., Param(...)]`` the help and limits. Nothing heavy is imported to read a description.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xsm.contracts.param import Kind, Param, params_of
from xsm.errors import UsageError, unknown


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
    >>> import xarray as xr
    >>> @operation(title="Halve", group="Analysis")
    ... def halve(ds: xr.Dataset) -> xr.Dataset:
    ...     'Give half of every value.'
    ...     return ds / 2
    >>> halve.operation.id, halve.operation.summary
    ('halve', 'Give half of every value.')
    """

    def describe(function: Callable[..., Any]) -> Callable[..., Any]:
        summary = (inspect.getdoc(function) or "").split("\n")[0]
        params = tuple(params_of(function))
        simple = {p.name: p for p in params if p.kind not in _OBJECTS}
        datasets = {p.name for p in params if p.kind in (Kind.DATASET, Kind.STATIONS)}

        @functools.wraps(function)
        def checked(*args: Any, **kwargs: Any) -> Any:
            bound = _bind(function, args, kwargs)
            for name, value in bound.arguments.items():
                if name in simple:
                    bound.arguments[name] = simple[name].check(value)
                elif name in datasets and isinstance(value, str | Path):
                    told = f"'{name}' is '{value}', wanted an xarray.Dataset."
                    raise UsageError(told, hint="Open files with <open()>.")
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


def _bind(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> inspect.BoundArguments:
    signature = inspect.signature(function)
    try:
        return signature.bind(*args, **kwargs)
    except TypeError as error:
        for name in kwargs:
            if name not in signature.parameters:
                raise unknown(f"argument of {function.__name__}", name, signature.parameters) from None
        raise UsageError(f"{function.__name__}: {error}.", hint=f"Wanted {function.__name__}{signature}.") from None
