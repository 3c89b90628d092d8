"""What may stand for a dataset or for paths: one check for every operation, without loading xarray for it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from xsm.contracts.param import Kind, Param
from xsm.errors import DataError, UsageError


def checked(name: str, value: Any, param: Param) -> Any:
    """The argument as datasets or paths; anything else stops with one sentence and what to do.

    Examples
    --------
    >>> checked("paths", (f"{day}.nc" for day in (1, 2)), Param("Files.", name="paths", kind=Kind.PATHS))
    ['1.nc', '2.nc']
    """
    if param.kind is Kind.PATHS:
        return _paths(name, value)
    if param.kind is Kind.DATASETS:
        return tuple(_dataset(f"{name}[{i}]", one, f"Give each on its own, or unpack them with *{name}.")
                     for i, one in enumerate(value))  # fmt: skip
    if value is None and not param.required:
        return None
    return _dataset(name, value, "Give one dataset; <cube()> merges several.")


def _dataset(name: str, value: Any, of_several: str) -> Any:
    import xarray as xr

    tree: Any = getattr(xr, "DataTree", ())
    if isinstance(value, tree):
        if not value.data_vars:
            below = ", ".join(map(str, value.children)) or "nothing"
            raise UsageError(
                f"'{name}' is a DataTree node without variables, expected an xarray.Dataset.",
                hint=f"Choose one of its nodes ({below}) and turn it into a dataset.",
            )
        value = value.to_dataset()
    if isinstance(value, xr.DataArray):
        if value.name is None:
            raise UsageError(
                f"'{name}' is a DataArray without a name, expected an xarray.Dataset.",
                hint="Turn it into a dataset, with a name for its variable.",
            )
        value = value.to_dataset()
    if isinstance(value, xr.Dataset):
        _refuse_radians(name, value)
        _refuse_empty(name, value)
        return _with_time(_unpacked(value))
    what, hint = f"a {type(value).__name__}", of_several
    if isinstance(value, str | os.PathLike):
        what, hint = f"'{value}'", "Read the file first, with <read()>, or files of a product with <open()>."
    elif isinstance(value, list | tuple) and value and all(isinstance(v, str | os.PathLike) for v in value):
        what = f"a list of {len(value)} files"
        hint = "Open files of a product with <open()>, or read each with <read()> and join them with xarray.concat."
    elif value is None:
        what, hint = "None", "Check that the previous step returned a dataset."
    elif hasattr(value, "to_xarray"):
        hint = "Set its index to time and place and give to_xarray(), or open its file with <open()>."
    elif not isinstance(value, Iterable) or isinstance(value, Mapping) or hasattr(value, "dtype"):
        hint = "Make one with xarray, with named dimensions and coordinates."
    raise UsageError(f"'{name}' is {what}, expected an xarray.Dataset.", hint=hint)


FILLS = ("_FillValue", "missing_value")


def _unpacked(ds: Any) -> Any:
    """The dataset with variables decoded that still are as they lie in a file: packed, or floats with a fill number."""
    some = {n: v for n, v in ds.variables.items() if n not in ds.dims and _is_raw(v)}
    if not some:
        return ds
    known = {n: _decoded(n, v) for n, v in some.items()}
    return ds.assign_coords({n: v for n, v in known.items() if n in ds.coords}).assign(
        {n: v for n, v in known.items() if n not in ds.coords}
    )


def _is_raw(variable: Any) -> bool:
    packed = bool({"scale_factor", "add_offset"} & set(variable.attrs))
    return variable.dtype.kind in "fiu" and (packed or (variable.dtype.kind == "f" and bool(_fills(variable))))


def _fills(variable: Any) -> list[Any]:
    """Numbers that the attributes call missing, in the type of the variable."""
    import numpy as np

    every = [f for n in FILLS if n in variable.attrs for f in np.ravel(variable.attrs[n]).tolist()]
    numbers = [f for f in every if isinstance(f, int | float) and np.isfinite(f)]
    if variable.dtype.kind == "f":
        return [variable.dtype.type(f) for f in numbers]
    limits = np.iinfo(variable.dtype)
    return [variable.dtype.type(f) for f in numbers if limits.min <= f <= limits.max]


def _decoded(name: Any, variable: Any) -> Any:
    """Fill numbers as NaN, scale and offset applied; lazy where it was."""
    import functools

    import xarray as xr

    missing = [variable == fill for fill in _fills(variable)]
    known = variable.where(~functools.reduce(lambda a, b: a | b, missing)) if missing else variable.copy(deep=False)
    known.attrs = {k: v for k, v in variable.attrs.items() if k not in FILLS}
    return xr.conventions.decode_cf_variable(name, known, decode_times=False)


def _refuse_radians(name: str, ds: Any) -> None:
    for coord in ds.coords.values():
        if str(coord.attrs.get("units", "")).strip().lower() in ("radian", "radians", "rad"):
            raise DataError(
                f"'{coord.name}' of '{name}' is in radians, expected degrees.",
                hint="Convert it with numpy.rad2deg and set its attribute units to degrees_north or degrees_east.",
            )


def _refuse_empty(name: str, ds: Any) -> None:
    """Stop where a selection left nothing of a dim that has a coordinate."""
    for dim, size in ds.sizes.items():
        if size or dim not in ds.coords:
            continue
        hint = "Select values that the data have."
        if str(dim).lower() in ("lat", "latitude", "y", "northing"):
            hint = f"Axes that fall, as from north to south, are sliced so too: sel({dim}=slice(40, 37))."
        raise DataError(f"'{name}' is empty: it has no value along '{dim}'.", hint=hint)


def _with_time(ds: Any) -> Any:
    """The dataset with its dim ``valid_time`` as ``time``; a scalar time of the forecast beside it is left out."""
    if "valid_time" not in ds.dims or "time" in ds.dims or "valid_time" not in ds.coords:
        return ds
    return ds.drop_vars("time", errors="ignore").rename(valid_time="time")


def _paths(name: str, value: Any) -> Any:
    """Paths as they are, or a list of what an iterable yields."""
    if isinstance(value, str | os.PathLike):
        return value
    if isinstance(value, Mapping | bytes) or not isinstance(value, Iterable):
        raise UsageError(
            f"'{name}' is {value if value is None else f'a {type(value).__name__}'}, expected files or folders.",
            hint="Give a path, or a list of paths.",
        )
    if hasattr(value, "data_vars"):
        raise UsageError(f"'{name}' is a Dataset, expected files.", hint="It is already open: use it as it is.")
    items = list(value)
    if wrong := [v for v in items if not isinstance(v, str | os.PathLike)]:
        raise UsageError(
            f"'{name}' holds a {type(wrong[0]).__name__}, expected files, folders or patterns.",
            hint="Give a path, or a list of paths.",
        )
    if not items:
        raise UsageError(
            f"'{name}' is empty, expected at least one file.", hint="Check the pattern: no file matches it."
        )
    return items
