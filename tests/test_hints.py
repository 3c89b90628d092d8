"""Hints speak to who reads them: every name in a hint is one, and each face writes it as its reader does."""

from __future__ import annotations

import ast
import json
import pickle
import re
from pathlib import Path

import pytest

import xsm
from xsm.contracts.registry import models, operations, sources
from xsm.errors import DataError, render_hint
from xsm.faces import worker
from xsm.faces.cli import main
from xsm.faces.hints import FACES, NAME, speaking
from xsm.io import files

ROOT = Path(__file__).parents[1]
ONE_FACE = ("accessor.py", "cli.py", "command.py", "containers.py", "tools.py", "config.py", "demo.py", "example.py",
            "new_plugin.py", "options.py", "pipeline.py", "template.py")  # fmt: skip
"""Modules of the core whose readers are those of one face."""
SOURCES = [
    p
    for p in [*ROOT.glob("src/xsm/**/*.py"), *ROOT.glob("plugins/xsm-*/src/**/*.py")]
    if p.name not in ONE_FACE and p.parent.name != "twin"
]
TONGUES = re.compile(r"\b(ds|cube|maps|xsm)\.\w|\.sm\.|\b[a-z_]+=|--[a-z]|\w\(\)")
"""Python and shell."""


def hints(text: str) -> list[str]:
    """Texts of the hints in a module, what is put into them left out."""
    calls = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))
    values = [word.value for call in calls for word in call.keywords if word.arg == "hint"]
    return ["".join(str(n.value) for n in ast.walk(v) if isinstance(n, ast.Constant)) for v in values]


def test_no_hint_speaks_the_language_of_one_face():
    names = [(p.name, h) for p in SOURCES for h in hints(p.read_text(encoding="utf-8"))]
    assert [(name, h) for name, h in names if TONGUES.search(NAME.sub("", h))] == []


@pytest.mark.parametrize("hint", ["Run ds.sm.fit() first.", "Give model=.", "Give --model.", "See xsm.open.", "f()"])
def test_a_hint_in_one_language_is_seen(hint):
    assert TONGUES.search(NAME.sub("", hint))
    assert hints(f"raise DataError('x', hint={hint!r})") == [hint]


def test_names_in_hints_are_those_of_operations_and_parameters():
    plugins = [*sources().values(), *models().values()]
    options = [p.name for info in plugins for p in (*info.options, *getattr(info, "fetch_options", ()))]
    parameters = {p.name for op in operations().values() for p in op.params} | set(options)
    names = [m for path in SOURCES for h in hints(path.read_text(encoding="utf-8")) for m in NAME.finditer(h)]
    assert len(names) > 20
    for match in names:
        assert match[1] in (operations() if match[2] is None else parameters), match[0]


@pytest.mark.parametrize(
    ("face", "written"),
    [
        ("python", "Run ds.sm.gapfill(), xsm.open(); variables=, mode='filter', denoise=True, patch=64, by='texture'."),
        ("shell", "Run xsm gapfill, xsm open; --variables, --mode filter, --denoise, -o patch=64, --by texture."),
        ("form", "Run 'Fill gaps (choose a model)', 'Open a product'; 'Variables', 'Mode' = filter, 'Denoise' = yes, "
         "'Patch' = 64, 'Group by' = texture."),
    ],
)  # fmt: skip
def test_each_face_writes_names_as_its_readers_do(face, written):
    hint = "Run <gapfill()>, <open()>; <variables=>, <mode=filter>, <denoise=True>, <patch=64>, <by=texture>."
    with speaking(face):
        assert render_hint(hint) == written
        assert (
            render_hint("Give west < east, 5 > 3, <b> and <nothing()>.") == "Give west < east, 5 > 3, <b> and nothing."
        )


def test_error_of_a_process_speaks_where_it_is_shown():
    error = pickle.loads(pickle.dumps(DataError("Gaps.", hint="Run <gapfill()>.")))
    assert set(FACES) == {"python", "shell", "form"}
    assert error.hint == "Run ds.sm.gapfill()."
    with speaking("form"):
        assert str(error) == "Gaps. Run 'Fill gaps (choose a model)'."


def test_faces_of_a_real_failure(tmp_path, capsys):
    """The same failure in Python, in the shell and from the worker that QGIS starts."""
    path = tmp_path / "cube.nc"
    files.write(xsm.example("cube", size=8, days=12).drop_vars("sand"), path)
    with pytest.raises(DataError, match=r"Add them with xsm\.cube\(\) from .*solus100"):
        xsm.estimate(files.read(path))
    with pytest.raises(SystemExit):
        main(["estimate", str(path), str(tmp_path / "out.nc")])
    assert "Add them with xsm cube from " in capsys.readouterr().err
    events: list[dict] = []
    worker.run(json.dumps({"operation": "estimate", "values": {"ds": str(path)}, "output": "out.nc"}), events.append)
    assert events[-1]["hint"].startswith("Add them with 'Build a cube' from ")
