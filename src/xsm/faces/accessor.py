"""The accessors ``ds.sm`` and ``ds.xsm``: bound wrappers of the operations, without state.

Files of ESA CCI and C3S call their variable ``sm``. Where a dataset or a DataArray has a variable or a coordinate of
that name, its accessor ``sm`` is that DataArray, with the operations as further methods. ``xsm`` is never one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from html import escape
from typing import Any

import xarray as xr

from xsm.contracts.operation import Operation
from xsm.contracts.registry import builtin, operations
from xsm.errors import unknown
from xsm.faces import summary
from xsm.faces.plots import Plots, SharedPlots

NAME = "sm"


def _bound(op: Operation) -> Callable[..., Any]:
    @functools.wraps(op.function)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self._run(op, *args, **kwargs)

    return method


def _of_plugins(name: str) -> Operation | None:
    op = None if name.startswith("_") else operations().get(name)
    return op if op is not None and op.accessor else None


class DatasetAccessor:
    """Operations of xsm as methods of a dataset; the same functions as ``xsm.<name>(ds, ...)``.

    Printed or shown in a notebook it says what the dataset contains, what each scenario lacks, and the next command.

    ``ds.xsm`` is the same under another name. Where a dataset has a variable called ``sm``, as files of ESA CCI and C3S
    do, ``ds.sm`` is that variable with the operations of the dataset as further methods: ``ds.sm.mean("time")`` and
    ``ds.sm * 2`` are those of ``ds["sm"]``, ``ds.sm.regrid()`` is that of the dataset. ``ds["sm"]`` is the variable
    alone, ``ds.xsm`` the operations alone: give ``ds["sm"]`` to `xarray.testing`, which refuses a subclass.

    Examples
    --------
    >>> import xsm
    >>> xsm.example("nldas", size=16, days=20)[["precipitation"]].sm
    <ds.sm: 2021-04-01 to 2021-04-20, 14 lat x 15 lon, on no EASE-Grid>
      also  precipitation
      next  ds.sm.regrid_ease9km()
    >>> days = xr.Dataset({"sm": ("time", [0.1, 0.3])})
    >>> float(days.sm.mean()), float(days["sm"].mean())
    (0.2, 0.2)
    """

    def __init__(self, obj: xr.Dataset) -> None:
        self._obj = obj

    def _run(self, op: Operation, *args: Any, **kwargs: Any) -> Any:
        return op.function(self._obj, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        op = _of_plugins(name)
        if op is None:
            raise AttributeError(str(unknown("operation of ds.sm", name, dir(self))), name=name)
        return _bound(op).__get__(self)

    @property
    def plot(self) -> Plots:
        """Plots under their short names: ``ds.sm.plot.map()`` is ``ds.sm.plot_map()``."""
        return Plots(self)

    def to_frame(self) -> Any:
        """Scores or pairs as a tidy table of pandas; see `xsm.to_frame`."""
        from xsm.validation.scoring import to_frame

        return to_frame(self._dataset())

    def view(self, stations: xr.Dataset | None = None, *, port: int = 0) -> Any:
        """Explore the maps in a browser or a notebook, with the `stations` beside them; see `xsm.view`."""
        from xsm.explorer.view import view

        return view(self._dataset(), stations=stations, port=port)

    def __repr__(self) -> str:
        return summary.text(self._dataset())

    def _repr_html_(self) -> str:
        return summary.html(self._dataset())

    def _dataset(self) -> xr.Dataset:
        return self._obj

    def __dir__(self) -> list[str]:
        return sorted(["plot", *(op.id for op in operations().values() if op.accessor)])


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


class SharedName(xr.DataArray):
    """The variable ``sm`` of a dataset with the operations of the dataset: ``ds.sm`` where there is such a variable.

    All that is made from it (``ds.sm * 2``, ``ds.sm[0]``, ``ds.sm.mean()``) is a plain DataArray. Functions that
    compare types, as those of `xarray.testing` do, take it for another one than ``ds["sm"]``, since it is a subclass.
    """

    __slots__ = ("_accessor",)
    _accessor: DatasetAccessor

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Make a plain DataArray: xarray calls the type of an array to make another one from it."""
        return xr.DataArray(*args, **kwargs)

    @classmethod
    def of(cls, accessor: DatasetAccessor) -> SharedName:
        """The variable of the accessor's data, which shares values and attributes with it."""
        array = accessor._obj[NAME]
        shared = object.__new__(cls)
        xr.DataArray.__init__(shared, array.variable, array._coords, name=NAME, indexes=array._indexes, fastpath=True)
        shared._accessor = accessor
        return shared

    def _run(self, op: Operation, *args: Any, **kwargs: Any) -> Any:
        return self._accessor._run(op, *args, **kwargs)

    @property
    def plot(self) -> Any:  # type: ignore[override]
        """Plots of the variable as xarray draws them; where xarray has none of a name, those of the dataset."""
        return SharedPlots(self, self._accessor)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            op = _of_plugins(name)
        if op is None:
            what = f"ds.sm has no '{name}': it is no operation, and no attribute of the variable '{NAME}'."
            raise AttributeError(what, name=name, obj=self)
        return _bound(op).__get__(self)

    def __reduce__(self) -> Any:
        return getattr, (self._accessor._obj, NAME)

    def __repr__(self) -> str:
        return f"{self._accessor!r}\n{self._note()}\n\n{self.copy(deep=False)!r}"

    def _repr_html_(self) -> str:
        return f"{self._accessor._repr_html_()}<p>{escape(self._note())}</p>{self.copy(deep=False)._repr_html_()}"

    def _note(self) -> str:
        kind = "variable" if isinstance(self._accessor._obj, xr.Dataset) and NAME not in self.coords else "coordinate"
        return f'"sm" is also a {kind}, shown below: ds["sm"] is it alone, ds.xsm the operations alone.'

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *dir(self._accessor)})


class _Room:
    """The attribute ``sm``, made anew at each access: an object may get a variable ``sm`` at any time."""

    def __init__(self, accessor: type[DatasetAccessor]) -> None:
        self._accessor = accessor

    def __get__(self, obj: Any, owner: type) -> Any:
        if obj is None:
            return self._accessor
        accessor = self._accessor(obj)
        there = obj.variables if isinstance(obj, xr.Dataset) else obj.coords
        return SharedName.of(accessor) if NAME in there else accessor


for _op in builtin().values():
    if _op.accessor:
        for _type in (DatasetAccessor, SharedName):
            setattr(_type, _op.id, _bound(_op))

for _data, _type in ((xr.Dataset, DatasetAccessor), (xr.DataArray, DataArrayAccessor)):
    setattr(_data, NAME, _Room(_type))
xr.register_dataset_accessor("xsm")(DatasetAccessor)
xr.register_dataarray_accessor("xsm")(DataArrayAccessor)
