"""The accessor ``ds.sm``: bound wrappers of the operations, no state."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import xarray as xr

from xsm.describe import Operation, builtin, operations


def _bound(op: Operation) -> Callable[..., Any]:
    @functools.wraps(op.function)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self._run(op, *args, **kwargs)

    return method


class DatasetAccessor:
    """Operations of xsm as methods of a dataset; the same functions as ``xsm.<name>(ds, ...)``."""

    def __init__(self, obj: xr.Dataset) -> None:
        self._obj = obj

    def _run(self, op: Operation, *args: Any, **kwargs: Any) -> Any:
        return op.function(self._obj, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        op = None if name.startswith("_") else operations().get(name)
        if op is None or not op.accessor:
            raise AttributeError(f"'sm' has no operation '{name}'; it has: {', '.join(dir(self))}")
        return _bound(op).__get__(self)

    def __dir__(self) -> list[str]:
        return sorted(op.id for op in operations().values() if op.accessor)


class DataArrayAccessor(DatasetAccessor):
    """The same for one variable; where the result holds that variable, it is returned as a DataArray."""

    _obj: Any

    def _run(self, op: Operation, *args: Any, **kwargs: Any) -> Any:
        name = self._obj.name if self._obj.name is not None else "variable"
        result = op.function(self._obj.to_dataset(name=name), *args, **kwargs)
        return result[name].rename(self._obj.name) if isinstance(result, xr.Dataset) and name in result else result


for _op in builtin().values():
    if _op.accessor:
        setattr(DatasetAccessor, _op.id, _bound(_op))

xr.register_dataset_accessor("sm")(DatasetAccessor)
xr.register_dataarray_accessor("sm")(DataArrayAccessor)
