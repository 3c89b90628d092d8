"""Results without values say so and why."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

import xsm
from tests.station_world import make_maps, make_stations


def empties(call: Callable[[], object]) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [str(w.message) for w in caught if "in the result" in str(w.message) or "of the result" in str(w.message)]


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
