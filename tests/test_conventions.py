"""What xsm writes keeps to the CF conventions that it names, by the checks of IOOS' compliance checker."""

from __future__ import annotations

import re

import numpy as np
import pytest
import xarray as xr
from compliance_checker.suite import CheckSuite

import xsm
from xsm.io import files
from xsm.twin import make_world, write_world

pytestmark = pytest.mark.slow
VERSION = "cf:1.10"
LETTERS = re.compile(r"^[a-z_] is a required attribute for grid mapping lambert_cylindrical_equal_area$")
"""The checker takes the one name that this projection requires for a list of letters."""
OF_TEXTS = {"check_coordinate_variables_strict_monotonicity"}
"""A check that fails on a dimension of names, as xarray has them (products, sources)."""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A result of every kind: what is opened, joined, filled, estimated, fused and scored."""
    folder, region = tmp_path_factory.mktemp("world"), [-98.3, 35.7, -97.9, 36.1]
    write_world(make_world("-98.4,35.6,-97.8,36.2", 8, 0), folder)
    opened = {
        name: xsm.open(source, folder / name, region=region, margin=0)
        for name, source in {"SMAP": "smap", "NLDAS": "nldas", "SOLUS100": "solus100",
                             "MODIS_LANDCOVER": "modis_landcover"}.items()
    }  # fmt: skip
    opened["USCRN"] = xsm.open("uscrn", folder / "USCRN")
    smap = opened["SMAP"]
    cube = xsm.cube(smap, *(opened[n].sm.regrid_ease9km(like=smap) for n in ("NLDAS", "SOLUS100", "MODIS_LANDCOVER")))
    example, stations = (xsm.example(name, size=12, days=50) for name in ("cube", "stations"))
    filled = example.sm.gapfill("linear")
    estimate = filled.sm.estimate(depth=5, scenario=1, model=filled.sm.fit(depth=5, scenario=1, model="ridge"))
    fused = example.sm.fuse()
    return opened | {
        "cube": cube, "filled": filled, "estimate": estimate, "fused": fused,
        "scores": fused.sm.validate(stations), "pairs": fused.sm.matchup(stations),
    }  # fmt: skip


def as_netcdf(store, path):
    """The metadata of a Zarr store as NetCDF; JSON has no types, so flags take that of their variable."""
    ds = xr.open_zarr(store, decode_cf=False)
    ds = ds.assign({name: v.astype("i1") for name, v in ds.variables.items() if v.dtype.kind == "b"})
    for variable in ds.variables.values():
        variable.encoding = {} if "_FillValue" in variable.attrs else {"_FillValue": None}
        for key in {"flag_values", "flag_masks"} & set(variable.attrs):
            variable.attrs[key] = np.asarray(variable.attrs[key], variable.dtype)
    ds.to_netcdf(path)
    return path


def faults(path):
    """What the checker finds, without what is its own fault."""
    CheckSuite.load_all_available_checkers()
    suite = CheckSuite()
    ds = suite.load_dataset(str(path))
    checks, failed = suite.run_all(ds, [VERSION])[VERSION]
    texts = any(v.dtype is str and v.dimensions == (name,) for name, v in ds.variables.items())
    assert set(failed) <= (OF_TEXTS if texts else set()), failed
    ds.close()
    short = [result for result in checks if isinstance(result.value, tuple) and result.value[0] < result.value[1]]
    return [f"{result.name}: {text}" for result in short for text in result.msgs if not LETTERS.match(text)]


NAMES = [
    "SMAP",
    "NLDAS",
    "SOLUS100",
    "MODIS_LANDCOVER",
    "USCRN",
    "cube",
    "filled",
    "estimate",
    "fused",
    "scores",
    "pairs",
]


@pytest.mark.parametrize("ending", ["nc", "zarr"])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_keeps_to_the_conventions(results, tmp_path, name, ending):
    path = tmp_path / f"a.{ending}"
    files.write(results[name], path)
    assert faults(path if ending == "nc" else as_netcdf(path, tmp_path / "b.nc")) == []


def test_the_projection_has_what_the_conventions_require(results):
    assert {"standard_parallel", "longitude_of_central_meridian", "false_easting", "false_northing"} <= set(
        results["cube"]["spatial_ref"].attrs
    )
