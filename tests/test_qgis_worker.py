"""The worker that QGIS starts: requests it takes and refuses."""

from __future__ import annotations

import json

import pytest

from xsm import __version__
from xsm.contracts.registry import describe, operations
from xsm.faces import worker
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
