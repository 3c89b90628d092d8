"""The accessor ``ds.sm``: bound wrappers of the operations, without state."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import xarray as xr

from xsm.contracts.operation import Operation
from xsm.contracts.registry import builtin, operations
from xsm.errors import unknown
from xsm.faces import summary


def _bound(op: Operation) -> Callable[..., Any]:
    @functools.wraps(op.function)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self._run(op, *args, **kwargs)

    return method


class DatasetAccessor:
    """Operations of xsm as methods of a dataset; the same functions as ``xsm.<name>(ds, ...)``.

    Printed or shown in a notebook it says what the dataset contains, what each scenario lacks, and the next command.

    Examples
    --------
    >>> import xsm
    >>> xsm.example("nldas", size=16, days=20)[["precipitation"]].sm
    <ds.sm: 2021-04-01 to 2021-04-20, 14 lat x 15 lon, on no EASE-Grid>
      also  precipitation
      next  ds.sm.regrid_ease9km()
    """

    def __init__(self, obj: xr.Dataset) -> None:
        self._obj = obj

    def _run(self, op: Operation, *args: Any, **kwargs: Any) -> Any:
        return op.function(self._obj, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        op = operations().get(name)
        if op is None or not op.accessor:
            raise AttributeError(str(unknown("operation of ds.sm", name, dir(self))), name=name)
        return _bound(op).__get__(self)

    def to_frame(self) -> Any:
        """Scores or pairs as a tidy table of pandas; see `xsm.to_frame`."""
        from xsm.validation.scoring import to_frame

        return to_frame(self._dataset())

    def __repr__(self) -> str:
        return summary.text(self._dataset())

    def _repr_html_(self) -> str:
        return summary.html(self._dataset())

    def _dataset(self) -> xr.Dataset:
        return self._obj

    def __dir__(self) -> list[str]:
        return sorted(op.id for op in operations().values() if op.accessor)


class DataArrayAccessor(DatasetAccessor):
    """The same for one variable; if the result has that variable, it is returned as a DataArray."""

    _obj: Any

    def _run(self, op: Operation, *args: Any, **kwargs: Any) -> Any:
        if op.keeps_type:
            return op.function(self._obj, *args, **kwargs)
        ds = self._dataset()
        (name,) = ds.data_vars
        result = op.function(ds, *args, **kwargs)
        return result[name].rename(self._obj.name) if isinstance(result, xr.Dataset) and name in result else result

    def _dataset(self) -> xr.Dataset:
        return self._obj.to_dataset(name="variable" if self._obj.name is None else self._obj.name)


for _op in builtin().values():
    if _op.accessor:
        setattr(DatasetAccessor, _op.id, _bound(_op))

xr.register_dataset_accessor("sm")(DatasetAccessor)
xr.register_dataarray_accessor("sm")(DataArrayAccessor)
