"""The worker that QGIS starts: requests it takes and refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest

import xsm
from xsm import __version__
from xsm.contracts.registry import describe, operations
from xsm.faces import worker
from xsm.io import files
from xsm.io.styles import TEXTURE

OLD_FORM = {"operation": "texture", "values": {}, "output": "out.nc", "version": "0.0.1", "digest": "another"}


def ask(request) -> list[dict]:
    """Events of the worker for one request, in this process."""
    events: list[dict] = []
    worker.run(json.dumps(request), events.append)
    return events


def test_worker_takes_the_form_of_another_version_where_it_fits(soil, tmp_path):
    events = ask(OLD_FORM | {"values": {"ds": str(soil)}, "output": str(tmp_path / "out.nc")})
    digest = describe(operations())["digest"]
    assert events[0] == {"event": "hello", "protocol": worker.PROTOCOL, "version": __version__, "digest": digest}
    assert events[-1]["outputs"] == [str(tmp_path / "out.nc")]
    (layer,) = events[-1]["layers"]
    assert (layer["path"], layer["variable"], layer["ramp"]) == (str(tmp_path / "out.nc"), "texture", [])
    assert layer["classes"][3] == (4, TEXTURE[3], "loam")
    assert layer["days"] == []


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"values": {"ds": "a.nc", "colour": 1}}, "does not know colour"),
        ({"operation": "texturise"}, "does not know texturise"),
    ],
)
def test_worker_reports_a_form_of_another_version(changed, sentence):
    error = ask(OLD_FORM | changed)[-1]
    assert (error["event"], error["type"]) == ("error", "UsageError")
    assert "is for xsm 0.0.1" in error["text"]
    assert sentence in error["text"]
    assert "Check the xsm installation" in error["hint"]
    same = ask(OLD_FORM | changed | {"digest": describe(operations())["digest"]})[-1]
    assert same["event"] == "error"
    assert "Unknown" in same["text"]


@pytest.mark.parametrize("line", ["", "[]", "not json", '{"operation": "texture"}'])
def test_worker_refuses_an_invalid_request(line):
    events: list[dict] = []
    assert worker.run(line, events.append) != 0
    assert events[-1]["event"] == "error"


@pytest.fixture(scope="module")
def delivered(tmp_path_factory):
    """One file of each product that xsm itself cannot read as maps, as their providers deliver them."""
    folder = tmp_path_factory.mktemp("delivered") / "files"
    xsm.example_files(folder, size=12, days=8)
    return {name: next(folder.rglob(pattern)) for name, pattern in (("smap", "SMAP_*.h5"), ("uscrn", "CRNH*.txt"))}


@pytest.mark.parametrize("source", ["smap", "uscrn"])
def test_a_file_of_a_provider_names_the_operation_that_opens_it(delivered, tmp_path, source):
    values = {"ds": str(delivered[source])}
    error = ask({"operation": "texture", "values": values, "output": str(tmp_path / "out.nc")})[-1]
    assert error["text"].startswith(f"'{delivered[source]}' is a file as its provider delivers it (")
    assert error["hint"] == f"Run 'Open a product' with the source '{source}' first, and give its result."


def test_level_2_names_the_operation_too(tmp_path):
    """A granule of a half orbit; its swath is no grid."""
    import h5py

    path = tmp_path / "SMAP_L2_SM_P_E_33000_A_20210401T003015_R19240_001.h5"
    with h5py.File(path, "w") as file:
        file["Soil_Moisture_Retrieval_Data/soil_moisture"] = [0.2, 0.3]
    error = ask({"operation": "texture", "values": {"ds": str(path)}, "output": str(tmp_path / "out.nc")})[-1]
    assert "Level 2 half orbits" in error["text"]
    assert "source 'smap'" in error["hint"]


def test_a_grib_file_has_its_sentence(tmp_path):
    (tmp_path / "rain.grb").write_bytes(b"GRIB\0\0\0\2" + bytes(600))
    values = {"ds": str(tmp_path / "rain.grb")}
    error = ask({"operation": "texture", "values": values, "output": str(tmp_path / "out.nc")})[-1]
    assert "is a GRIB file, expected" in error["text"]
    assert "gdal_translate" in error["hint"]


@pytest.mark.parametrize("ending", ["nc", "tif"])
def test_layers_say_what_a_map_needs(tmp_path, ending):
    """Names, units, roles, colours between quantiles of all days, the first day that is not empty."""
    cube = tmp_path / "cube.nc"
    files.write(xsm.example("cube", size=12, days=12), cube)
    out = tmp_path / f"out.{ending}"
    layers = ask({"operation": "estimate", "values": {"ds": str(cube)}, "output": str(out)})[-1]["layers"]
    main = {layer["name"]: layer for layer in layers if layer["main"]}
    estimate, spread = main.values()
    assert next(iter(main)) == "Soil moisture at 5 cm"
    assert [estimate["role"], spread["role"], estimate["units"]] == ["map", "spread", "m³ m⁻³"]
    assert {layer["role"] for layer in layers if not layer["main"]} == {"flags"}
    values = files.read(out)["sm_5cm"].values
    limits = np.nanquantile(values, [0.02, 0.98])
    np.testing.assert_allclose([estimate["ramp"][0][0], estimate["ramp"][-1][0]], limits, atol=0.1 * np.ptp(limits))
    assert spread["ramp"][0][0] == 0
    assert estimate["first"] == estimate["days"][np.isfinite(values).any((1, 2)).argmax()]
