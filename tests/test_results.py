"""What operations return says only what is true of it, and survives being written."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import xsm

POINTERS = ("ancillary_variables", "coordinates", "bounds", "grid_mapping")


@functools.cache
def example(name: str) -> xr.Dataset:
    """An example as a careless file would leave it: packed, with foreign units of masks and names of nothing."""
    ds = xsm.example(name, size=16, days=20)
    for variable in ds.data_vars.values():
        if variable.dtype.kind == "f":
            variable.encoding |= {"dtype": "int16", "scale_factor": 0.01, "_FillValue": -9999, "zlib": True}
            variable.attrs |= {
                "ancillary_variables": "nothing",
                "valid_range": np.array([0, 1]),
                "cell_methods": "time: mean",
            }
    return ds


def regridded() -> xr.Dataset:
    return xsm.regrid_ease9km(example("nldas"))


def merged() -> xr.Dataset:
    return xsm.cube(example("smap"), regridded(), xsm.regrid_ease9km(example("landcover")))


def estimated() -> xr.Dataset:
    bundle = example("cube").sm.fit(model="ridge", depth=5, scenario=1)
    return example("cube").sm.estimate(depth=5, scenario=1, model=bundle)


RESULTS: dict[str, Callable[[], xr.Dataset]] = {
    "example": lambda: xsm.example("cube", size=16, days=20),
    "regrid": regridded,
    "cube": merged,
    "cube, lazy": lambda: xsm.cube(example("smap").chunk(), regridded().chunk()),
    "gapfill": lambda: example("smap").sm.gapfill("linear", variables=["tb_h", "sm_dca"]),
    "estimate": estimated,
    "texture": lambda: example("cube").sm.texture(),  # noqa: PLW0108
    "validate": lambda: example("cube").sm.validate(example("stations"), variables=["sm_noah_0_10"], min_days=10),
    "triple": lambda: example("gappy_cube").sm.triple_collocation(example("stations"), min_days=10),
}


@pytest.mark.parametrize("name", RESULTS)
def test_attributes_are_true_and_missing_values_survive_writing(name: str, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds = RESULTS[name]()
    variables = {str(n) for n in ds.variables}
    for key, variable in ds.variables.items():
        about = {**variable.encoding, **variable.attrs}
        for pointer in POINTERS:
            assert {w.rstrip(":") for w in str(about.get(pointer, "")).split()} <= variables, (key, pointer)
        if variable.dtype.kind == "b" or "flag_values" in variable.attrs:
            assert variable.attrs.get("units", "1") == "1" and "valid_range" not in variable.attrs, key
            assert "temperature" not in str(variable.attrs.get("standard_name", ""))
    ds = ds.compute()
    ds.to_netcdf(tmp_path / "a.nc")
    with xr.open_dataset(tmp_path / "a.nc") as back:
        for key, variable in ds.data_vars.items():
            if variable.dtype.kind == "f":
                np.testing.assert_allclose(back[key].values, variable.values, rtol=1e-6, err_msg=str(key))
            elif variable.dtype.kind in "iub":
                read = back[key].values
                assert ((read == variable.values) | (read != read)).all(), key


def test_history_keeps_long_lists_whole() -> None:
    names = [f"a_long_name_of_a_variable_{i}" for i in range(30)]
    ds = xsm.data.cf.add_history(xr.Dataset(), "do", variables=names, text="x\ny")
    assert all(n in ds.attrs["history"] for n in names) and ds.attrs["history"].endswith("text=x y)")
    ds = xsm.data.cf.add_history(xr.Dataset(), "do", variables=list(range(100)))
    assert "49 and 50 more]" in ds.attrs["history"]
