"""One description for every function of xsm: accessor, command line, QGIS and documentation are generated from it.

A function becomes an operation by `operation`: its signature gives names, kinds, choices and defaults, its
``Annotated[..., Param(...)]`` the help and limits. Nothing heavy is imported to read a description.
"""

from __future__ import annotations

import functools
import inspect
import os
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from xsm.contracts import containers, inputs
from xsm.contracts.param import Kind, Param, params_of
from xsm.errors import UsageError, unknown


@dataclass(frozen=True)
class Operation:
    """A function and its description.

    Parameters
    ----------
    id, title, group, summary : str
        Name in code, name for people, menu, and the first sentence of the docstring.
    function : callable
        The function, with its arguments checked.
    params : tuple of Param
        In the order of the function's signature.
    result : Kind
        What the function returns.
    accessor : bool
        Whether ``ds.sm`` offers it.
    analyst : bool
        Whether it appears in QGIS.
    owner : str
        Distribution that it comes from.
    keeps_type : bool
        Whether a DataArray, a Series or a DataFrame may be given, and comes back.

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
    keeps_type: bool = False

    def to_json(self) -> dict[str, Any]:
        """Describe the operation with JSON types only."""
        names = ["id", "title", "group", "summary", "params", "result", "accessor", "analyst", "owner"]
        plain = {"params": [p.to_json() for p in self.params], "result": str(self.result)}
        return {n: getattr(self, n) for n in names} | plain

    def param(self, name: str) -> Param:
        """Return one parameter by name; an unknown name suggests the nearest one."""
        for p in self.params:
            if p.name == name:
                return p
        raise unknown(f"parameter of {self.id}", name, [p.name for p in self.params])


def operation(
    *, title: str, group: str, result: Kind = Kind.DATASET, accessor: bool = True, analyst: bool = True,
    keeps_type: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:  # fmt: skip
    """Describe a function as an operation named after it.

    The function is returned wrapped in a check of its simple arguments, so that every face refuses the same values with
    the same sentence. Its signature shows plain types, without ``Annotated``; its attribute ``operation`` is the
    description.

    Parameters
    ----------
    title, group : str
        Name for people, and the menu that shows it.
    result : Kind
        What the function returns.
    accessor : bool
        Whether ``ds.sm`` offers it; its first parameter is then the dataset.
    analyst : bool
        Whether it appears in QGIS.
    keeps_type : bool
        Whether its first parameter may be a DataArray, a pandas Series or a DataFrame, and the result is then one.

    Returns
    -------
    callable
        Decorator.

    Examples
    --------
    >>> import xarray as xr
    >>> @operation(title="Halve", group="Analysis")
    ... def halve(ds: xr.Dataset) -> xr.Dataset:
    ...     'Divide every value by two.'
    ...     return ds / 2
    >>> halve.operation.id, halve.operation.summary
    ('halve', 'Divide every value by two.')
    """

    def describe(function: Callable[..., Any]) -> Callable[..., Any]:
        summary = (inspect.getdoc(function) or "").split("\n")[0]
        params = tuple(params_of(function))
        simple = {p.name: p for p in params if p.kind not in _OBJECTS}
        others = {p.name: p for p in params if p.kind in (Kind.DATASET, Kind.STATIONS, Kind.DATASETS, Kind.PATHS)}
        signature, types = _plain_types(function)
        free = {n for n, p in others.items() if p.kind in (Kind.DATASET, Kind.STATIONS) and types.get(n) is Any}

        @functools.wraps(function)
        def checked(*args: Any, **kwargs: Any) -> Any:
            bound = _bind(function.__name__, signature, args, kwargs)
            first = next(iter(bound.arguments), "")
            back: Callable[[Any], Any] = containers.unchanged
            if keeps_type and first:
                bound.arguments[first], back = containers.as_dataset(first, bound.arguments[first])
            for name, value in bound.arguments.items():
                if name in simple:
                    bound.arguments[name] = simple[name].check(value)
                elif name in others and (name not in free or isinstance(value, str | os.PathLike)):
                    bound.arguments[name] = inputs.checked(name, value, others[name])
            return back(_tidied(function(*bound.args, **bound.kwargs), result))

        checked.__signature__, checked.__annotations__ = signature, types  # type: ignore[attr-defined]
        op = Operation(function.__name__, title, group, summary, checked, params, result, accessor, analyst,
                       keeps_type=keeps_type)  # fmt: skip
        checked.operation = op  # type: ignore[attr-defined]
        return checked

    return describe


def _tidied(value: Any, kind: Kind) -> Any:
    """The result without attributes and encodings of its inputs that are not true of it."""
    if kind not in (Kind.DATASET, Kind.STATIONS) or not hasattr(value, "coords"):
        return value
    from xsm.data.results import tidy, tidy_array

    return tidy(value) if hasattr(value, "data_vars") else tidy_array(value)


def share_sections(source: Callable[..., Any], target: Callable[..., Any]) -> None:
    """Copy the sections between summary and examples of a docstring into another one, before its examples.

    Of the parameters only those are copied that the target has.
    """
    examples = "\nExamples\n--------\n"
    head, mark, tail = (inspect.getdoc(target) or "").partition(examples)
    sections = (inspect.getdoc(source) or "").partition(examples)[0].partition("\nParameters\n----------\n")[2]
    parameters, returns, others = sections.partition("\nReturns\n-------\n")
    names = set(inspect.signature(target).parameters)
    shared = [text for entry_names, text in _entries(parameters) if names & entry_names]
    target.__doc__ = "\n".join([head, "Parameters", "----------", *shared, f"{returns}{others}{mark}{tail}"])


def _entries(section: str) -> list[tuple[set[str], str]]:
    """Names and text of the entries of a numpydoc section: each begins at the margin, its description is indented."""
    entries: list[list[str]] = []
    for line in section.splitlines():
        if line.startswith(" ") and entries:
            entries[-1].append(line)
        else:
            entries.append([line])
    heads = (lines[0].partition(" : ")[0].split(",") for lines in entries)
    return [({n.strip(" *") for n in head}, "\n".join(lines)) for head, lines in zip(heads, entries, strict=True)]


_OBJECTS = {
    Kind.DATASET, Kind.DATASETS, Kind.STATIONS, Kind.FOLDER, Kind.MODEL, Kind.REGION, Kind.PERIOD, Kind.PATH,
    Kind.PATHS, Kind.OPTIONS,
}  # fmt: skip


def _plain_types(function: Callable[..., Any]) -> tuple[inspect.Signature, dict[str, Any]]:
    """Signature and annotations of a function without ``Annotated``, as its readers know them from other libraries."""
    types = typing.get_type_hints(function)
    signature = inspect.signature(function)
    parameters = [p.replace(annotation=types.get(p.name, p.empty)) for p in signature.parameters.values()]
    return signature.replace(parameters=parameters, return_annotation=types.get("return", signature.empty)), types


def _bind(
    name: str, signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> inspect.BoundArguments:
    try:
        return signature.bind(*args, **kwargs)
    except TypeError as error:
        for keyword in kwargs:
            if keyword not in signature.parameters:
                raise unknown(f"argument of {name}()", keyword, signature.parameters) from None
        bare = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
        raise UsageError(f"{name}(): {error}.", hint=f"Call it as {name}{inspect.Signature(bare)}.") from None
