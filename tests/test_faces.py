"""One description, several faces: nothing may differ (docs/design/decisions.md, "Principles")."""

from __future__ import annotations

import inspect
import json
import pydoc
import subprocess
import sys
import typing

import click
import numpy as np
import pytest
import xarray as xr

import xsm
from xsm.contracts.loading import BUILTIN, builtin
from xsm.contracts.operation import Kind, operation
from xsm.contracts.registry import describe, operations
from xsm.errors import UsageError
from xsm.faces.accessor import DatasetAccessor
from xsm.faces.cli import main
from xsm.faces.command import command
from xsm.faces.execute import WRITES_FILE, execute
from xsm.io import files

OPS = sorted(builtin().values(), key=lambda op: op.id)
IDS = [op.id for op in OPS]


def cli_run(*args):
    """Run the command line in this process; returns the exit code."""
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in args])
    return stop.value.code


def run_worker(request):
    """Send one request to a worker in a process of its own, with stdin left open as QGIS does; returns its events."""
    argv = [sys.executable, "-I", "-X", "utf8", "-m", "xsm", "worker", "run"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        events = [json.loads(line) for line in process.stdout]
    return events


def test_every_module_of_builtin_has_its_operation():
    assert set(BUILTIN) <= set(IDS)


@pytest.mark.parametrize("op", OPS, ids=IDS)
def test_every_parameter_is_described_and_drawable(op):
    for param in op.params:
        assert isinstance(param.kind, Kind), param.name
        assert param.help or param.kind is Kind.OPTIONS, f"{op.id}: {param.name} has no help"
    assert op.summary.endswith("."), op.summary
    assert op.title and op.group
    json.dumps(op.to_json())


@pytest.mark.parametrize("op", OPS, ids=IDS)
def test_parameters_are_those_of_the_function(op):
    names = [p.name for p in op.params]
    assert names == list(inspect.signature(op.function).parameters)


@pytest.mark.parametrize("op", OPS, ids=IDS)
def test_help_shows_the_types_of_a_plain_function(op):
    """Help, signatures and annotations, of the function and of its method, without what makes it an operation."""
    faces = [op.function, *([getattr(DatasetAccessor, op.id)] if op.accessor else [])]
    for function in faces:
        shown = f"{pydoc.render_doc(function)}{inspect.signature(function)}{function.__annotations__}"
        assert "Annotated" not in shown
        assert "Param(" not in shown
        assert set(typing.get_type_hints(function)) == {*inspect.signature(function).parameters, "return"}


def test_signature_reads_as_in_other_libraries():
    parameters = inspect.signature(xsm.validate).parameters
    assert str(parameters["method"]) == "method: Literal['nearest', 'bilinear'] = 'nearest'"
    assert str(parameters["min_days"]) == "min_days: int | None = None"
    assert next(iter(inspect.signature(xr.Dataset().sm.validate).parameters)) == "stations"


@pytest.mark.parametrize(
    ("args", "kwargs", "sentence"),
    [
        ((1,), {}, "validate(): missing a required argument: 'stations'."),
        ((1, 2, 3), {}, "validate(): too many positional arguments."),
        ((1, 2), {"stations": 3}, "validate(): multiple values for argument 'stations'."),
    ],
)
def test_a_wrong_call_shows_the_signature(args, kwargs, sentence):
    with pytest.raises(UsageError) as error:
        xsm.validate(*args, **kwargs)
    assert error.value.message == sentence
    assert error.value.hint.startswith("Call it as validate(ds, stations, *, variables=None, by=(), method='nearest', ")


def test_an_unknown_argument_suggests_the_nearest():
    with pytest.raises(UsageError, match=r"Unknown argument of validate\(\) 'methods'\. Did you mean 'method'\?"):
        xsm.validate(1, 2, methods="nearest")


@pytest.mark.parametrize("op", [o for o in OPS if o.accessor], ids=[o.id for o in OPS if o.accessor])
def test_accessor_method_has_the_same_parameters_and_text(op):
    method = getattr(DatasetAccessor, op.id)
    assert list(inspect.signature(method).parameters) == [p.name for p in op.params]
    assert inspect.getdoc(method) == inspect.getdoc(op.function)


@pytest.mark.parametrize("op", OPS, ids=IDS)
def test_command_has_the_same_parameters(op):
    by_name = {p.name: p for p in command(op).params}
    expected = {p.name for p in op.params} | ({"output", "overwrite"} if op.result in WRITES_FILE else set())
    assert expected <= set(by_name)
    for param in op.params:
        if param.kind is Kind.CHOICE:
            assert list(by_name[param.name].type.choices) == [str(c) for c in param.choices]


@pytest.mark.parametrize("op", OPS, ids=IDS)
def test_public_name_is_the_function(op):
    assert getattr(xsm, op.id) is op.function


def test_digest_follows_the_description():
    first = describe()["digest"]
    assert first == describe()["digest"]

    @operation(title="Changed", group="Test")
    def texture(ds: xr.Dataset) -> xr.Dataset:
        """Say nothing."""
        return ds

    assert describe(builtin() | {"texture": texture.operation})["digest"] != first


def test_four_faces_give_the_same_numbers(law_cube, tmp_path):
    """Function, accessor, command line and worker on the same soil maps."""
    soil = law_cube[["sand", "silt", "clay"]]
    source = tmp_path / "soil.nc"
    files.write(soil, source)
    by_function = xsm.texture(soil)["texture"].values
    by_accessor = soil.sm.texture()["texture"].values
    assert cli_run("texture", source, tmp_path / "cli.nc") == 0
    events = run_worker({"operation": "texture", "values": {"ds": str(source)}, "output": str(tmp_path / "worker.nc")})
    assert [e["event"] for e in events if e["event"] in ("hello", "result")] == ["hello", "result"]
    for face in (by_accessor, *(files.read(tmp_path / n)["texture"].values for n in ("cli.nc", "worker.nc"))):
        np.testing.assert_array_equal(face, by_function)


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({"depth": 10}, "Known: 25, 5"),
        ({"scenario": 3}, "Known: 1, 2"),
        ({"scenaro": 1}, "Did you mean 'scenario'?"),
    ],
)
def test_every_face_refuses_with_the_same_sentence(law_cube, kwargs, text):
    with pytest.raises(UsageError, match="Unknown") as by_function:
        xsm.estimate(law_cube, **kwargs)
    with pytest.raises(UsageError, match="Unknown") as by_accessor:
        law_cube.sm.estimate(**kwargs)
    assert text in str(by_function.value)
    assert str(by_function.value) == str(by_accessor.value)


def test_data_array_accessor_gives_a_data_array(gappy):
    filled = gappy["tb_h"].sm.gapfill(method="linear")
    assert isinstance(filled, xr.DataArray)
    assert filled.name == "tb_h"
    assert "time" in filled.dims


def test_accessor_has_no_state_and_names_what_there_is(law_cube):
    assert set(vars(law_cube.sm)) == {"_obj"}
    with pytest.raises(AttributeError, match="estimate"):
        law_cube.sm.nothing_like_it  # noqa: B018
    assert "estimate" in dir(law_cube.sm)


def test_execute_checks_the_output_before_the_work(law_cube, tmp_path):
    there = tmp_path / "there.nc"
    there.write_bytes(b"precious")
    with pytest.raises(UsageError, match="exists already"):
        execute(operations()["texture"], {"ds": law_cube}, there)
    with pytest.raises(UsageError, match=r"expected \.nc"):
        execute(operations()["texture"], {"ds": law_cube}, tmp_path / "a.xyz")
    assert there.read_bytes() == b"precious"


def test_group_lists_every_operation():
    from xsm.faces.cli import cli

    names = cli.list_commands(click.Context(cli))
    assert {i.replace("_", "-") for i in IDS} <= set(names)


def test_folder_of_somebody_else_is_never_replaced(law_cube, tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(UsageError, match="did not write"):
        execute(operations()["texture"], {"ds": law_cube}, tmp_path, overwrite=True)
    assert (tmp_path / "thesis.txt").exists()
