"""Every operation takes what stands for a dataset or a path, or says in one sentence what it wants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import xsm
from tests.station_world import GRID, make_maps, make_stations
from xsm import UsageError, XsmError
from xsm.contracts.param import Kind
from xsm.reporting.frames import frame_of, oriented

WRONG = {
    "list": [xr.Dataset()],
    "generator": (xr.Dataset() for _ in range(2)),
    "dict": {"a": 1},
    "array": np.zeros((2, 2)),
    "frame": pd.DataFrame({"a": [1]}),
    "path": Path("a.nc"),
    "text": "a.nc",
    "number": 3,
    "nameless": xr.DataArray(np.zeros(3), dims="time"),
    "empty tree": xr.DataTree(children={"x": xr.DataTree(xr.Dataset({"v": 1}))}),
}
OPERATIONS = {n: op for n, op in xsm.operations().items() if op.params and op.params[0].kind is Kind.DATASET}


@pytest.mark.parametrize("kind", [*WRONG, "none"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_what_is_no_dataset_gets_a_sentence(name: str, kind: str, tmp_path: Path) -> None:
    operation, more = OPERATIONS[name], {}
    for p in operation.params[1:]:
        if p.required and p.kind not in (Kind.OPTIONS, Kind.DATASETS):
            more[p.name] = make_stations() if p.kind is Kind.STATIONS else tmp_path / "out.html"
    sentence = "" if kind == "nameless" and operation.keeps_type else r"expected (an xarray\.Dataset|times|days)"
    with pytest.raises(XsmError, match=sentence) as error:
        operation.function(WRONG.get(kind), **more)
    assert error.value.hint


def test_arrays_and_nodes_with_a_name_are_datasets() -> None:
    nldas = xsm.example("nldas", size=16, days=10)
    expected = xsm.regrid_ease9km(nldas[["precipitation"]])
    node = xr.DataTree(children={"day": xr.DataTree(nldas[["precipitation"]])})["day"]
    for same in (nldas["precipitation"], node):
        xr.testing.assert_identical(xsm.regrid_ease9km(same)["precipitation"], expected["precipitation"])


def test_valid_time_is_time() -> None:
    maps, stations = make_maps(names=("sm_5cm",)), make_stations(depths=(5,))
    expected = xsm.validate(maps, stations)["r"]
    renamed = maps.rename(time="valid_time")
    for ds in (renamed, renamed.assign_coords(time=maps["time"].values[0], step=0)):
        xr.testing.assert_equal(xsm.validate(ds, stations)["r"], expected)


@pytest.mark.parametrize(
    "make", [list, tuple, iter, lambda p: (q for q in p), lambda p: p[0].parent.glob("*.csv"), np.array, pd.Series]
)
def test_paths_of_every_kind(make: Any, tmp_path: Path) -> None:
    for day in (1, 2):
        (tmp_path / f"{day}.csv").write_text(f"date,lon,lat,soil_moisture\n2021-06-0{day},-98,36,0.{day}\n")
    paths = sorted(tmp_path.glob("*.csv"))
    assert xsm.open("tiny", make(paths)).sizes["time"] == 2


@pytest.mark.parametrize("wrong", [None, 3, [3], [None], {"a": 1}, b"a", [], iter(()), xr.Dataset()])
def test_what_is_no_path_gets_a_sentence(wrong: Any) -> None:
    with pytest.raises(UsageError) as error:
        xsm.open("tiny", wrong)
    assert error.value.hint and "'paths'" in error.value.message


@pytest.mark.parametrize("change", ["none", "rows", "columns", "both", "dropped"])
@pytest.mark.parametrize("kind", ["ease", "degrees", "metres", "bare"])
def test_every_plot_has_north_up_and_true_axes(kind: str, change: str) -> None:
    values = np.arange(12 * 16.0).reshape(12, 16)
    ds = GRID.assign(xr.Dataset({"v": (("y", "x"), values)}))
    if kind == "degrees":
        ds = xr.Dataset(
            {"v": (("lat", "lon"), values)}, {"lat": np.arange(40, 34, -0.5), "lon": np.arange(-100, -92, 0.5)}
        )
    elif kind != "ease":
        step, start = (30.0, 5e5) if kind == "metres" else (1.0, 3.0)
        ds = xr.Dataset(
            {"v": (("y", "x"), values)}, {"y": start - step * np.arange(12), "x": start + step * np.arange(16)}
        )
    y, x = ds["v"].dims
    plain = frame_of(ds)
    cut = {"rows": {y: slice(None, None, -1)}, "columns": {x: slice(None, None, -1)},
           "both": {y: slice(None, None, -1), x: slice(None, None, -1)},
           "dropped": {y: [0, 1, 2, 5, 8, 9, 10, 11]}}  # fmt: skip
    part = ds.isel(cut.get(change, {}))
    frame = frame_of(part)
    assert plain is not None and frame is not None
    np.testing.assert_allclose(frame.extent, plain.extent)
    assert (frame.x_ticks, frame.y_ticks) == (plain.x_ticks, plain.y_ticks)
    in_degrees = [("°" in text) for _, text in frame.x_ticks]
    assert all(in_degrees) if kind in ("ease", "degrees") else not any(in_degrees)
    drawn = oriented(frame, part["v"])
    expected = (
        values if change != "dropped" else np.where(np.isin(np.arange(12), cut["dropped"][y])[:, None], values, np.nan)
    )
    np.testing.assert_array_equal(drawn, expected)


PACKINGS = {
    "scale": ({"scale_factor": 1e-4, "_FillValue": -9999}, "i2", lambda v: np.rint(v * 1e4), -9999),
    "scale and offset": (
        {"scale_factor": 1e-3, "add_offset": 0.1, "_FillValue": 0},
        "u2",
        lambda v: (v - 0.1) * 1e3,
        0,
    ),
    "a fill number in floats": ({"_FillValue": -9999.0}, "f4", lambda v: v, -9999),
    "a missing value in floats": ({"missing_value": 1e20}, "f8", lambda v: v, 1e20),
}


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("packing", PACKINGS)
def test_what_was_not_decoded_is_decoded_once(packing: str, lazy: bool) -> None:
    """As `xarray.open_dataset` gives it with ``mask_and_scale=False``."""
    attrs, dtype, pack, fill = PACKINGS[packing]
    truth = np.full((20, 20), 0.2)
    truth[:, 5:9] = np.nan
    stored = np.where(np.isnan(truth), fill, pack(np.nan_to_num(truth, nan=0.2))).astype(dtype)
    axes = {"lat": 40 - 0.1 * np.arange(20), "lon": -98 + 0.1 * np.arange(20)}
    raw = xr.Dataset({"sm_dca": (("lat", "lon"), stored, {"units": "m3 m-3"} | attrs)}, axes)
    sound = xr.Dataset({"sm_dca": (("lat", "lon"), truth, {"units": "m3 m-3"})}, axes)
    got = xsm.regrid_ease9km(raw.chunk() if lazy else raw)["sm_dca"]
    np.testing.assert_allclose(got, xsm.regrid_ease9km(sound)["sm_dca"], atol=1e-6)


def test_radians_are_refused() -> None:
    axes = {
        n: (n, np.deg2rad(v), {"units": "radians"})
        for n, v in (("lat", 40 - 0.1 * np.arange(9)), ("lon", np.arange(9)))
    }
    with pytest.raises(xsm.DataError, match="'lat' of 'ds' is in radians, expected degrees"):
        xsm.regrid_ease9km(xr.Dataset({"sm_dca": (("lat", "lon"), np.full((9, 9), 0.2))}, axes))
