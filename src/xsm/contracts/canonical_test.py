"""What the contract test of sources says of descriptions and datasets: declarations, names, units, axes, values."""

from __future__ import annotations

import numpy as np
import xarray as xr

from xsm.contracts.source import SourceInfo
from xsm.data import roles
from xsm.data.cf import VARIABLES
from xsm.data.grids import grid_of
from xsm.data.plausible import doubt, quantity_of
from xsm.data.roles import DEPTHS, LAND_MODELS, ROLES, bounds_of_text, part_by_name

UNITS = dict.fromkeys((roles.RETRIEVAL, *LAND_MODELS), "m3 m-3") | {roles.SOIL_TEMPERATURE: "K"}
"""Units that the holders of roles have."""


def check_info(info: SourceInfo) -> None:
    """Check what a source declares: names, roles, layers of soil, regions, options."""
    assert info.name.isidentifier() and info.name == info.name.lower(), f"{info.name}: names are lower case identifiers"
    assert ":" in info.factory, f"{info.name}: factory is 'module:Class'"
    assert info.variables, f"{info.name}: lists no variables"
    for key, part in info.parts.items():
        where = f"{info.name}: {key}"
        assert key in info.variables, f"{where} has a role, family or depth, but is not among its variables"
        assert part.role in ("", *ROLES), f"{where} has the role '{part.role}', expected one of {', '.join(ROLES)}"
        text = part.depth or part_by_name(key).depth
        layer, depth = bounds_of_text(text), DEPTHS.get(part.role)
        assert layer or not text, f"{where} has the depth '{text}', expected top and bottom such as '7-28'"
        if part.role in (roles.SURFACE, roles.ROOT):
            assert layer, f"{where} is declared {part.role} without a depth, expected its layer in depths, as '7-28'"
            assert depth is not None and layer[0] <= depth <= layer[1], (
                f"{where} is of {text} cm, expected a layer that contains {depth} cm as {part.role}"
            )
    for region, (west, south, east, north) in info.regions.items():
        assert -180 <= west < east <= 180 and -90 <= south < north <= 90, (
            f"{info.name}: region '{region}' is {(west, south, east, north)}, expected west, south, east, north"
        )
    for option in (*info.options, *info.fetch_options):
        assert option.name and option.kind and option.help, (
            f"{info.name}: option {option.name} lacks name, kind or help"
        )


def check_canonical(ds: xr.Dataset, info: SourceInfo) -> None:
    """Check names, units, dims, day axis and coordinates of a dataset from a source.

    Examples
    --------
    >>> import xsm
    >>> check_canonical(xsm.example("nldas", size=8, days=8), xsm.sources()["nldas"])
    """
    name = info.name
    assert len(ds.data_vars), f"{name}: no variable"
    for key, variable in ds.data_vars.items():
        spec = VARIABLES.get(str(key))
        assert spec is not None or key in info.variables or key in ("flag", "soil_temperature"), (
            f"{name}: unknown name {key}"
        )
        unit, role = variable.attrs.get("units"), info.roles.get(str(key), "")
        if spec is not None and spec.units:
            assert unit == spec.units, f"{name}: {key} has units {unit}, expected {spec.units}"
        if spec is not None and spec.kind == "continuous" and key != "obs_time":
            assert variable.dtype == np.float32, f"{name}: {key} is {variable.dtype}, expected float32"
        if spec is None and variable.dtype.kind == "f":
            assert unit, f"{name}: {key} has no units"
        assert role not in UNITS or unit == UNITS[role], (
            f"{name}: {key} is declared {role} and has units {unit}, expected {UNITS[role]}"
        )
    if info.stations:
        assert {"sensor", "time"} <= set(ds.dims), f"{name}: stations have dims sensor, time"
        assert {"station", "network", "lat", "lon", "depth"} <= set(ds.coords), f"{name}: station coordinates missing"
        return
    axes = ("lat", "lon") if {"lat", "lon"} <= set(ds.dims) else ("y", "x")
    assert set(axes) <= set(ds.dims), f"{name}: no horizontal dims"
    for key, variable in ds.data_vars.items():
        order = tuple(d for d in variable.dims if d in axes)
        assert order in ((), axes), f"{name}: {key} has dims {variable.dims}, expected {axes} in this order"
    if "time" in ds.dims:
        day = ds["time"].values
        assert (day == day.astype("M8[D]")).all(), f"{name}: time is {day[0]}, expected the UTC day at 00:00"
        assert np.all(np.diff(day) == np.timedelta64(1, "D")), f"{name}: days are missing or repeated"
    grid = grid_of(ds)
    if grid is not None:
        assert "spatial_ref" in ds.coords, f"{name}: no spatial_ref"


def check_values(ds: xr.Dataset, first: str, name: str) -> None:
    """Check that the values of loaded maps or series can be what they are said to be, and that the first has some."""
    assert ds[first].dtype.kind != "f" or bool(ds[first].notnull().any()), f"{name}: {first} has no value at all"
    for key, variable in ds.data_vars.items():
        spec = VARIABLES.get(str(key))
        if spec is None or spec.kind != "continuous" or variable.dtype.kind != "f" or key == "obs_time":
            continue
        values = variable.values[np.isfinite(variable.values)]
        wrong = (values < spec.low) | (values > spec.high)
        assert not wrong.any(), (
            f"{name}: {key} has values such as {values[wrong][0]:g}, "
            f"expected {spec.low:g} to {spec.high:g} {spec.units}: fill values or another unit"
        )
        reason, certain = doubt(values, quantity_of(str(key), spec.units))
        assert not certain, f"{name}: {key} is in another unit than {spec.units}: {reason}"
