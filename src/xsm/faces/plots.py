"""``ds.sm.plot``: the operations ``plot_map``, ``plot_series``, ... under their short names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import xarray as xr
from xarray.plot.accessor import DataArrayPlotAccessor

from xsm.contracts.registry import operations
from xsm.errors import unknown

PREFIX = "plot_"


def plot_names() -> list[str]:
    """Short names of all plots, those of plugins included."""
    return sorted(op.id.removeprefix(PREFIX) for op in operations().values() if op.accessor and _is_plot(op.id))


def _is_plot(name: str) -> bool:
    return name.startswith(PREFIX)


class Plots:
    """Plots of a dataset: ``ds.sm.plot.map()`` is ``ds.sm.plot_map()``, and ``ds.sm.plot()`` too.

    Examples
    --------
    >>> import xsm
    >>> cube = xsm.example("cube", size=16, days=3)
    >>> cube.sm.plot
    <ds.sm.plot: animation, availability, boxes, calibration, map, scatter, series, skill, texture>
    >>> cube.sm.plot.map(variable="sm_noah_0_10").axes[0].get_title(loc="left")
    'Noah 0-10 cm: mean, 2021-04-01 to 2021-04-03'
    """

    def __init__(self, accessor: Any) -> None:
        self._accessor = accessor

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Draw a map, as `xsm.plot_map` does."""
        return self.map(*args, **kwargs)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in plot_names():
            raise AttributeError(str(unknown("plot", name, plot_names())), name=name)
        plot: Callable[..., Any] = getattr(self._accessor, f"{PREFIX}{name}")
        return plot

    def __dir__(self) -> list[str]:
        return plot_names()

    def __repr__(self) -> str:
        return f"<ds.sm.plot: {', '.join(plot_names())}>"


class SharedPlots(DataArrayPlotAccessor):
    """Plots of xarray of a variable ``sm``, and those of the dataset whose names xarray does not have."""

    __slots__ = ("_accessor",)

    def __init__(self, array: xr.DataArray, accessor: Any) -> None:
        super().__init__(array)
        self._accessor = accessor

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return getattr(Plots(self._accessor), name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *plot_names()})
