"""Results without values say so and why."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import xarray as xr

import xsm
from tests.station_world import make_maps, make_stations
from xsm.io import files, written


def empties(call: Callable[[], object]) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [str(w.message) for w in caught if "in the result" in str(w.message) or "of the result" in str(w.message)]


BLOCKS = written._blocks


def field(step: float, size: int, share: float = 1.0) -> xr.Dataset:
    values = np.full((size, size), 0.2, "f4")
    values.ravel()[int(share * size**2) :] = np.nan
    axis = step * np.arange(size)
    return xr.Dataset(
        {"sm_dca": (("lat", "lon"), values, {"units": "m3 m-3"})}, {"lat": 36.0 + axis, "lon": -98.0 + axis}
    )


def dropped_apart() -> xr.Dataset:
    smap = xsm.example("smap", size=16, days=10)[["tb_h"]]
    other = smap.rename(tb_h="tb_v")
    return xsm.cube(smap, other.where(False))


def estimated_nowhere() -> xr.Dataset:
    cube = xsm.example("cube", size=16, days=20)
    bundle = cube.sm.fit(model="ridge", depth=5, scenario=1)
    return cube.assign(tb_h=cube["tb_h"].where(False)).sm.estimate(depth=5, scenario=1, model=bundle)


def constant(ds: xr.Dataset) -> xr.Dataset:
    return ds.assign(sm_5cm=xr.full_like(ds["sm_5cm"], 0.25))


CASES: dict[str, tuple[Callable[[], object], str]] = {
    "cells smaller than a target cell": (lambda: xsm.regrid_ease9km(field(0.005, 4)), "smaller than a target cell"),
    "a small field in a large region": (
        lambda: xsm.regrid_ease9km(field(0.1, 10), region="conus"),
        "values in 0.0[0-9]+ % of the result only, and had values in 100 %",
    ),
    "all missing before": (lambda: xsm.regrid_ease9km(field(0.1, 10, 0.0)), "no value in the result, as in the input"),
    "a product without values": (dropped_apart, "'tb_v' has no value in the result"),
    "a predictor without values": (estimated_nowhere, "a predictor has no value at all: 256"),
    "constant maps": (
        lambda: constant(make_maps(names=("sm_5cm",))).sm.validate(make_stations(depths=(5,))),
        "'r of sm_5cm' has no value",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_emptiness_is_told_with_its_reason(name: str) -> None:
    call, reason = CASES[name]
    sentences = empties(call)
    assert len(sentences) == 1
    assert re.search(reason, sentences[0]), sentences[0]


@pytest.mark.parametrize("share", [1.0, 0.5, 0.02])
def test_what_has_values_is_not_told(share: float) -> None:
    assert not empties(lambda: xsm.regrid_ease9km(field(0.1, 20, share)))
    assert not empties(lambda: xsm.regrid_ease9km(field(0.1, 20, share).chunk()))


LAZY: dict[str, tuple[Callable[[], xr.Dataset], str]] = {
    "cells smaller than a target cell": (
        lambda: xsm.regrid_ease9km(field(0.005, 4).chunk()),
        r"'sm_dca' has no value in 'out\.\w+', and had values in 100 % of the input.*smaller than a target cell",
    ),
    "a small field in a large region": (
        lambda: xsm.regrid_ease9km(field(0.1, 10).chunk(), region="conus"),
        r"values in 0.0[0-9]+ % of 'out\.\w+' only, and had values in 100 %",
    ),
    "all missing before": (
        lambda: xsm.regrid_ease9km(field(0.1, 10, 0.0).chunk()),
        r"no value in 'out\.\w+', as in the input",
    ),
    "two variables": (
        lambda: field(0.1, 10).chunk().where(False).assign(sm=lambda ds: ds["sm_dca"]),
        r"'sm_dca', 'sm' have no value in 'out\.\w+'\. Look at the region",
    ),
}


@pytest.mark.parametrize("ending", [".nc", ".zarr", ".tif", ".csv"])
@pytest.mark.parametrize("name", LAZY)
def test_lazy_emptiness_is_told_when_it_is_written(name: str, ending: str, tmp_path: Path) -> None:
    make, reason = LAZY[name]
    result = make()
    if ending == ".tif" and name == "two variables":
        pytest.skip("latitude and longitude are no EASE-Grid")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        files.write(result, tmp_path / f"out{ending}")
    assert len(caught) == 1 and re.search(reason, str(caught[0].message)), [str(w.message) for w in caught]


@pytest.mark.parametrize("ending", [".nc", ".zarr", ".tif", ".csv"])
@pytest.mark.parametrize("share", [1.0, 0.5, 0.02])
def test_written_values_are_not_told(share: float, ending: str, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        files.write(xsm.regrid_ease9km(field(0.1, 20, share).chunk()), tmp_path / f"out{ending}")


def test_of_a_large_file_a_few_blocks_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    days = xr.DataArray(da.full((640, 64, 64), 0.2, dtype="f4", chunks=(64, 64, 64)), dims=("time", "y", "x"))
    read = []
    monkeypatch.setattr(written, "_blocks", lambda file, name: (read.append(b) or b for b in BLOCKS(file, name)))
    files.write(days.to_dataset(name="sm"), tmp_path / "out.zarr")
    assert len(read) == 1


@pytest.mark.parametrize("ending", [".nc", ".zarr"])
def test_clipping_is_counted_over_all_blocks(ending: str, tmp_path: Path) -> None:
    wet = field(0.1, 80).chunk({"lat": 20, "lon": 20})
    some = xr.ones_like(wet["sm_dca"]).where(np.arange(wet.sizes["lat"]) % 5 > 1, 100.0)
    wet["sm_dca"] = (wet["sm_dca"] * some).assign_attrs(units="m3 m-3")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        files.write(xsm.regrid_ease9km(wet, output_chunks=16), tmp_path / f"out{ending}")
    (text,) = [str(w.message) for w in caught if "clipped" in str(w.message)]
    assert int(text.split()[0]) >= 2000 and "of 'sm_dca' are outside 0 to 1" in text
