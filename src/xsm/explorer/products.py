"""What the explorer can show of datasets: products with their days, grids and colours, and the stations."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from xsm.data import cf
from xsm.data.areas import DEGREES, EASE, transformer
from xsm.data.cells import daily
from xsm.data.families import is_moisture
from xsm.data.lines import KINDS, lines
from xsm.data.positions import axes_of, edges
from xsm.data.roles import LAND_MODELS, role_of
from xsm.errors import DataError, UsageError
from xsm.io.styles import DROUGHT, RAMPS, classes_of, style_of
from xsm.reporting.labels import label
from xsm.reporting.scene import is_fused
from xsm.series.day_of_year import day_of_year
from xsm.series.drought import LIMITS
from xsm.series.percentile import How
from xsm.validation.products import is_estimate, layer_of

SHALLOW = 10.0
"""Depth in cm down to which soil moisture counts as that of the surface."""
UNEVEN = 0.05
"""Share of a step by which the columns of a map may differ."""
_LAYERS = ("surface", "subsurface", "")
GROUPS = {"surface": "Surface soil moisture", "subsurface": "Subsurface soil moisture", "": "Other maps"}


@dataclass(frozen=True)
class Grid:
    """Edges of the rows, from north to south, and of the columns of maps, in degrees: (row, 2) and (column, 2)."""

    lat: np.ndarray
    lon: np.ndarray
    dims: tuple[str, str]
    flipped: bool
    """Whether the rows of the data run from south to north."""


@dataclass(frozen=True)
class Product:
    """A variable of maps ``(time, y, x)`` that can be shown."""

    key: str
    label: str
    ds: xr.Dataset
    name: str
    days: np.ndarray
    grid: int
    layer: str
    moisture: bool

    @property
    def spread(self) -> str:
        """Name of its standard deviation; empty where it has none."""
        return f"{self.name}_std" if f"{self.name}_std" in self.ds else ""

    @property
    def years(self) -> int:
        """Most years that have the same day of the year."""
        return int(np.bincount(day_of_year(self.days)).max())


@dataclass(frozen=True)
class Catalogue:
    """Everything that the explorer can show."""

    title: str
    products: dict[str, Product]
    grids: list[Grid]
    stations: xr.Dataset | None = None
    sources: tuple[xr.Dataset, ...] = ()

    @functools.cached_property
    def box(self) -> tuple[float, float, float, float]:
        """West, south, east and north of all maps in degrees."""
        lon, lat = (np.concatenate([np.ravel(getattr(g, n)) for g in self.grids]) for n in ("lon", "lat"))
        return float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max())

    def describe(self) -> dict[str, Any]:
        """What the page needs to know, as JSON types."""
        return {
            "title": self.title,
            "products": [_described(p) for p in self.products.values()],
            "grids": [{"lat": g.lat.round(5).tolist(), "lon": g.lon.round(5).tolist()} for g in self.grids],
            "stations": _places(self.stations),
            "lines": {kind: [np.round(p, 2).ravel().tolist() for p in lines(kind, self.box)] for kind in KINDS},
            "ramps": RAMPS | {"drought": _drought_steps()},
            "drought": {"classes": list(LIMITS), "limits": list(LIMITS.values()), "colours": DROUGHT},
            "percentile": How()._asdict(),
        }


def catalogue(datasets: Sequence[tuple[str, xr.Dataset]], stations: xr.Dataset | None = None) -> Catalogue:
    """Products of named datasets, on one grid or several; one with the dim ``sensor`` gives the stations.

    Raises
    ------
    DataError
        For maps without days, on neither an EASE-Grid nor latitudes and longitudes, or without a variable to show.
    """
    products: dict[str, Product] = {}
    grids: list[Grid] = []
    sources = []
    for title, ds in datasets:
        if "sensor" in ds.dims and "soil_moisture" in ds.variables:
            if stations is not None:
                raise UsageError("Stations are given twice.", hint="Give one file of stations.")
            stations = ds
            continue
        ds, days = daily(ds.reset_coords([n for n in ds.coords if n not in ds.dims and ds[n].ndim == 2]), None)
        sources.append(ds)
        grid = _grid(ds)
        number = next((i for i, g in enumerate(grids) if _same(g, grid)), len(grids))
        grids += [grid] if number == len(grids) else []
        for name in _shown(ds, grid):
            key = name if name not in products else f"{name} ({title})"
            text = label(name, ds) if key == name else f"{label(name, ds)} ({title})"
            moist = is_moisture(ds, name) and style_of(name) in ("soil_moisture", "")
            layer = _layer(ds, name) if moist else ""
            products[key] = Product(key, text, ds, name, days, number, layer, moist)
    if not products:
        raise DataError("There is no map to show.", hint="Give maps with the dims (time, y, x), such as estimates.")
    names = ", ".join(title for title, ds in datasets if ds is not stations)
    return Catalogue(names, _with_long_names(products), grids, stations, tuple(sources))


def _shown(ds: xr.Dataset, grid: Grid) -> list[str]:
    """Maps of every day, the most useful first: what belongs to another variable comes with that."""
    names = [str(n) for n, v in ds.data_vars.items() if set(v.dims) == {"time", *grid.dims} and v.dtype.kind in "fiub"]
    apart = [n for n in names if not (n.endswith("_std") and n.removesuffix("_std") in ds)]
    return sorted(apart, key=lambda n: (not is_moisture(ds, n), _LAYERS.index(_layer(ds, n)), _rank(ds, n)))


def _rank(ds: xr.Dataset, name: str) -> int:
    """The fusion comes first, as in the report; maps that are complete come before those with gaps."""
    if is_estimate(ds, name) or f"{name}_std" in ds:
        return 0 if is_fused(ds, name) else 1
    return 2 if role_of(ds, name) in LAND_MODELS else 3


def _grid(ds: xr.Dataset) -> Grid:
    y, x, _ = axes_of(ds)
    rows, cols = edges(ds)
    lon = cols / transformer(DEGREES, EASE).transform(1.0, 0.0)[0]
    lat = transformer(EASE, DEGREES).transform(np.zeros_like(rows), rows)[1]
    steps = np.diff(lon.mean(1))
    if len(steps) and np.ptp(steps) > UNEVEN * abs(steps.mean()):
        raise DataError(f"The columns of the maps ('{x}') are not evenly spaced, from west to east.",
                        hint="Run <regrid_ease9km()> first, or sort them.")  # fmt: skip
    flipped = bool(lat[0].mean() < lat[-1].mean())
    return Grid(lat[::-1] if flipped else lat, lon, (str(ds[y].dims[0]), str(ds[x].dims[0])), flipped)


def _same(one: Grid, other: Grid) -> bool:
    return all(
        getattr(one, n).shape == getattr(other, n).shape and np.allclose(getattr(one, n), getattr(other, n), atol=1e-6)
        for n in ("lat", "lon")
    )


def _layer(ds: xr.Dataset, name: str) -> str:
    """``"surface"`` or ``"subsurface"`` by name, else by the attribute ``depth``; empty where neither says."""
    digits = "".join(c if c.isdigit() or c == "." else " " for c in str(ds[name].attrs.get("depth", ""))).split()
    if layer := layer_of(ds, name):
        return layer
    return "" if not digits else "surface" if float(digits[-1]) <= SHALLOW else "subsurface"


def _with_long_names(products: dict[str, Product]) -> dict[str, Product]:
    """Products whose labels are names in the code get the long names of the data, where those differ."""
    long = {k: str((cf.canonical_attrs(p.name) | p.ds[p.name].attrs).get("long_name", "")) for k, p in products.items()}
    clear = {k for k, text in long.items() if text and products[k].label == products[k].name}
    clear = {k for k in clear if list(long.values()).count(long[k]) == 1}
    return {k: replace(p, label=long[k]) if k in clear else p for k, p in products.items()}


def _described(product: Product) -> dict[str, Any]:
    attrs, years = product.ds[product.name].attrs, product.years
    least = How().min_years
    style = style_of(product.name) or ("soil_moisture" if product.moisture else "")
    return {
        "key": product.key,
        "label": product.label,
        "name": product.name,
        "group": GROUPS[product.layer] if product.moisture else GROUPS[""],
        "layer": product.layer,
        "moisture": product.moisture,
        "units": str(attrs.get("units", "") or cf.canonical_attrs(product.name).get("units", "")),
        "grid": product.grid,
        "days": product.days.astype(int).tolist(),
        "spread": bool(product.spread),
        "style": style,
        "classes": classes_of(product.name, attrs),
        "no_percentiles": "" if years >= least else f"needs {least} years of this product, which has {years}",
    }


def _places(stations: xr.Dataset | None) -> list[dict[str, Any]]:
    """Stations, one for each place."""
    if stations is None:
        return []
    network = stations["network"].values if "network" in stations.variables else [""] * stations.sizes["sensor"]
    rows = zip(stations["station"].values, network, stations["lat"].values, stations["lon"].values, strict=True)
    unique = dict.fromkeys((str(s), str(n), round(float(a), 5), round(float(o), 5)) for s, n, a, o in rows)
    return [dict(zip(("station", "network", "lat", "lon"), row, strict=True)) for row in unique]


def _drought_steps() -> list[tuple[float, str]]:
    """Stops of percentiles in the classes of drought alone."""
    ends = [*reversed(LIMITS.values()), 100.0]
    colours = [*reversed(DROUGHT[1:]), DROUGHT[0]]
    stops: list[tuple[float, str]] = []
    for last, colour in zip(ends, colours, strict=True):
        stops += [(stops[-1][0] + 0.001 if stops else 0.0, colour), (last, colour)]
    return stops
