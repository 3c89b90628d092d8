"""The house stands: no file imports itself through others, every module has a room, and no file is long.

Which room may import which is checked by `lint-imports` (pyproject.toml, [tool.importlinter]).
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = [ROOT / "src/xsm", *sorted(ROOT.glob("plugins/xsm-*/src/xsm_*"))]
ROOMS = {
    "faces", "study", "explorer", "ops", "reporting", "learning", "io", "validation", "kernels", "series", "compute",
    "twin", "contracts", "web", "data",
}  # fmt: skip
GROUND = {"atomic", "errors", "options", "progress", "_lazy", "_version"}
TOP = {"__init__", "__main__", "testing", "plugin_api", "worker"}
LONGEST = 350

pytestmark = pytest.mark.skipif(not (ROOT / "plugins").is_dir(), reason="needs a checkout of the repository")


def modules(package: Path) -> dict[str, Path]:
    """Files of a package by the name under which they are imported."""
    names = ((".".join(p.relative_to(package.parent).with_suffix("").parts), p) for p in package.rglob("*.py"))
    return {name.removesuffix(".__init__"): path for name, path in names}


def graph(package: Path) -> dict[str, set[str]]:
    """Modules of a package that each of its modules imports; a name of a module counts as that module."""
    files = modules(package)
    edges: dict[str, set[str]] = {}
    for name, path in files.items():
        targets = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            targets |= set(_targets(node, name, path, files))
        edges[name] = targets - {name}
    return edges


def _targets(node: ast.AST, name: str, path: Path, files: Mapping[str, Path]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name in files)
    elif isinstance(node, ast.ImportFrom):
        package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
        base = package[: len(package) - node.level + 1] if node.level else []
        home = ".".join([*base, *filter(None, [node.module])])
        for alias in node.names:
            target = f"{home}.{alias.name}" if f"{home}.{alias.name}" in files else home
            if target in files:
                yield target


def loop(edges: Mapping[str, set[str]]) -> list[str]:
    """Modules of a loop in the order in which they import each other, or nothing."""
    done: set[str] = set()

    def walk(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        rings = (ring for target in sorted(edges[name]) if (ring := walk(target, [*path, name])))
        ring = next(rings, [])
        done.add(name)
        return ring

    return next((ring for name in sorted(edges) if (ring := walk(name, []))), [])


@pytest.mark.parametrize("package", PACKAGES, ids=lambda p: p.name)
def test_no_file_imports_itself_through_others(package: Path) -> None:
    """Imports in functions and under TYPE_CHECKING count."""
    edges = graph(package)
    assert len(edges) > 1
    assert loop(edges) == []


def test_loops_are_recognised() -> None:
    assert loop({"a": {"b"}, "b": {"c"}, "c": set(), "d": {"a"}}) == []
    assert loop({"a": {"b"}, "b": {"c", "d"}, "c": set(), "d": {"b"}}) == ["b", "d", "b"]


def test_every_module_is_in_a_room() -> None:
    inside = {p.relative_to(ROOT / "src/xsm").parts for p in (ROOT / "src/xsm").rglob("*.py")}
    assert {parts[0] for parts in inside if len(parts) > 1} == ROOMS
    assert {Path(parts[0]).stem for parts in inside if len(parts) == 1} == GROUND | TOP


def test_no_file_is_long() -> None:
    folders = ("src", "plugins", "qgis_provider")
    sizes = {p: len(p.read_text(encoding="utf-8").splitlines()) for f in folders for p in (ROOT / f).rglob("*.py")}
    assert {str(p.relative_to(ROOT)): n for p, n in sizes.items() if n > LONGEST} == {}


def test_import_linter_knows_every_package() -> None:
    """Also that its floors are the rooms of this test."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    names = {p.name for p in PACKAGES}
    assert set(config["root_packages"]) == names
    floors, public, plugins = config["contracts"]
    assert {m for layer in floors["layers"] for m in layer.replace("|", ":").replace(" ", "").split(":")} == (
        ROOMS | GROUND | TOP - {"__init__"}
    )
    assert {f"xsm.{m}" for m in ROOMS | GROUND} - {"xsm.twin"} == set(public["forbidden_modules"])
    assert set(public["source_modules"]) == set(plugins["layers"][0].split(" | ")) == names - {"xsm"}
