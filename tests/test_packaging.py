"""The distributions agree with each other, the Makefile and constraints.txt, and work outside the repository."""

from __future__ import annotations

import ast
import functools
import importlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import xsm

ROOT = Path(__file__).parents[1]
PLUGINS = sorted(p.parent for p in ROOT.glob("plugins/xsm-*/pyproject.toml"))
PUBLIC_MODULES = {"plugin_api", "testing", "twin"}
"""What a plugin may import besides the names of ``xsm`` itself."""
OPTIONAL = {"torch"}
"""What the core uses only where a plugin has brought it."""

pytestmark = pytest.mark.skipif(not (ROOT / "plugins/ruff.toml").exists(), reason="needs a checkout of the repository")
per_plugin = pytest.mark.parametrize("plugin", PLUGINS, ids=lambda p: p.name)


@functools.cache
def project(folder: Path) -> dict:
    return tomllib.loads((folder / "pyproject.toml").read_text())["project"]


def requirements(folder: Path, *, extras: bool = True) -> list[Requirement]:
    table = project(folder)
    texts = [*table["dependencies"]]
    if extras:
        texts += [text for group in table.get("optional-dependencies", {}).values() for text in group]
    return [Requirement(text) for text in texts]


def names(folder: Path, *, extras: bool = True) -> set[str]:
    return {canonicalize_name(r.name) for r in requirements(folder, extras=extras)}


def imported(folder: Path) -> set[str]:
    """Top-level modules that the sources below a folder import, at any depth of the code."""
    modules = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                modules.add(node.module.split(".")[0])
    return modules - set(sys.stdlib_module_names)


def run(*command: object, **kwargs: object) -> str:
    done = subprocess.run([str(c) for c in command], check=False, capture_output=True, text=True, **kwargs)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@per_plugin
def test_plugin_matches_core(plugin: Path) -> None:
    core, name = project(ROOT), plugin.name
    version = core["version"]
    assert project(plugin)["name"] == name
    assert project(plugin)["version"] == version
    assert f"xsm=={version}" in project(plugin)["dependencies"]
    extra = name.removeprefix("xsm-")
    group = [Requirement(text) for text in core["optional-dependencies"][extra]]
    assert [(r.name, str(r.specifier)) for r in group] == [(name, f"=={version}")]
    assert extra in Requirement(core["optional-dependencies"]["all"][0]).extras
    module = name.replace("-", "_")
    assert set(project(plugin)["entry-points"]["xsm"].values()) == {module}
    assert (plugin / "src" / module / "py.typed").exists()
    assert (plugin / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_core_version_and_typing() -> None:
    source = (ROOT / "src/xsm/_version.py").read_text()
    assert re.search(r'^__version__ = "(.+)"$', source, re.M)[1] == project(ROOT)["version"]
    assert f"version: {project(ROOT)['version']}" in (ROOT / "CITATION.cff").read_text()
    assert (ROOT / "src/xsm/py.typed").exists()


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_makefile_installs_and_builds_every_plugin() -> None:
    env = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}  # `make test VENV=...` passes on its VENV
    shown = run("make", "-n", "-B", ".venv/.installed", "wheels", cwd=ROOT, env=env)
    for plugin in PLUGINS:
        assert f"-e ./plugins/{plugin.name}" in shown
        assert f" ./plugins/{plugin.name}" in shown.split("pip wheel")[1]


def test_constraints_pin_every_direct_dependency() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    pins = {canonicalize_name(r.name): r for r in map(Requirement, lines)}
    for requirement in pins.values():
        assert re.fullmatch(r"==[^+*]+", str(requirement.specifier)), f"{requirement} is not an exact, portable pin"
    for folder in (ROOT, *PLUGINS):
        for wanted in requirements(folder):
            if wanted.name.startswith("xsm"):
                continue
            pin = pins.get(canonicalize_name(wanted.name))
            assert pin is not None, f"constraints.txt lacks {wanted.name} of {folder.name}"
            version = str(pin.specifier).removeprefix("==")
            assert wanted.specifier.contains(version), f"{wanted} of {folder.name} excludes {version}"


@pytest.mark.parametrize("folder", [ROOT, *PLUGINS], ids=lambda p: p.name)
def test_every_import_is_declared(folder: Path) -> None:
    dists = packages_distributions()
    optional = OPTIONAL if folder == ROOT else set()
    declared = names(folder) | names(ROOT, extras=folder == ROOT) | {canonicalize_name(project(folder)["name"])}
    for module in imported(folder / "src") - optional:
        origin = {canonicalize_name(d) for d in dists.get(module, [module])}
        assert origin & declared, f"{folder.name} imports {module} but does not declare {' or '.join(origin)}"


def names_of_xsm(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Names of xsm that a module imports, or reaches by their dots, with their lines."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=aliases):
                yield from ((node.lineno, alias.name) for alias in aliases if alias.name.startswith("xsm."))
            case ast.ImportFrom(module=str(home), level=0) if f"{home}.".startswith("xsm."):
                yield from ((node.lineno, f"{home}.{alias.name}") for alias in node.names)
            case ast.Attribute(value=ast.Name("xsm"), attr=name):
                yield node.lineno, f"xsm.{name}"
            case ast.Attribute(value=ast.Attribute(value=ast.Name("xsm"), attr=home), attr=name):
                if home in PUBLIC_MODULES:
                    yield node.lineno, f"xsm.{home}.{name}"


OUTSIDERS = [*PLUGINS, ROOT / "plugins/_template", ROOT / "docs/examples/xsm-cgls-swi"]


@pytest.mark.parametrize("plugin", OUTSIDERS, ids=lambda p: p.name)
def test_plugin_uses_public_names_only(plugin: Path) -> None:
    """Names that are exported; which modules may be imported from is checked by `lint-imports` too."""
    public = {f"xsm.{name}" for name in (*xsm.__all__, *PUBLIC_MODULES)}
    for module in PUBLIC_MODULES:
        public |= {f"xsm.{module}.{name}" for name in importlib.import_module(f"xsm.{module}").__all__}
    names = [
        (path.name, *name)
        for path in (plugin / "src").rglob("*.py")
        for name in names_of_xsm(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert any(name == "xsm.plugin_api.hookimpl" for _, _, name in names)
    assert [entry for entry in names if entry[2] not in public] == []


@pytest.mark.timeout(120)
def test_wheels_work_outside_the_repository(tmp_path: Path) -> None:
    wheels, target = tmp_path / "dist", tmp_path / "site"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    projects = [ROOT / "plugins" / name for name in ("xsm-smap", "xsm-insitu")]
    run(
        *pip,
        "wheel",
        "-q",
        "--no-cache-dir",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-w",
        wheels,
        ROOT,
        *projects,
    )
    offline = ("--no-deps", "--no-index", "--find-links", wheels)
    run(*pip, "install", "-q", *offline, "--target", target, "xsm", *(c.name for c in projects))

    env = {**os.environ, "PYTHONPATH": str(target)}
    where = run(sys.executable, "-c", "import xsm; print(xsm.__file__)", cwd=tmp_path, env=env)
    package = Path(where.strip()).parent
    assert package == target / "xsm"
    for inside in ("py.typed", "_data/plugin_template", "_data/xsm_qgis/metadata.txt"):
        assert (package / inside).exists(), f"the wheel of xsm lacks {inside}"
    for plugin in projects:
        assert (target / plugin.name.replace("-", "_") / "py.typed").is_file()
    run(sys.executable, "-m", "xsm", "init", "plugin", "acme", cwd=tmp_path, env=env)
    assert (tmp_path / "xsm-acme" / "src" / "xsm_acme" / "source.py").is_file()
    show = "from importlib.metadata import entry_points as e; print(sorted(p.name for p in e(group='xsm')))"
    listed = run(sys.executable, "-S", "-c", show, cwd=tmp_path, env=env)
    assert listed.strip() == "['insitu', 'smap']"


def test_oldest_constraints_are_the_lower_bounds() -> None:
    """`make test-oldest` installs the oldest versions that the distributions claim to support."""
    lines = (ROOT / "constraints-oldest.txt").read_text().splitlines()
    pinned = {r.name: str(r.specifier) for r in map(Requirement, (li for li in lines if not li.startswith("#")))}
    wanted: dict[str, set[str]] = {}
    for folder in (ROOT, *PLUGINS):
        groups = project(folder).get("optional-dependencies", {})
        texts = [
            *project(folder)["dependencies"],
            *(r for name in ("fetch", "distributed", "stac") for r in groups.get(name, ())),
        ]
        for requirement in map(Requirement, texts):
            if not requirement.name.startswith("xsm"):
                wanted.setdefault(requirement.name, set()).update(s.version for s in requirement.specifier)
    assert {name: f"=={version}" for name, (version,) in wanted.items()} == pinned


CONDA = {"dask": "dask-core", "matplotlib": "matplotlib-base", "torch": "pytorch"}
"""Names that conda-forge gives to what else has its own."""


def test_the_conda_recipe_requires_what_the_distributions_require():
    recipe = yaml.safe_load((ROOT / "conda/recipe.yaml").read_text().replace("${{ version }}", xsm.__version__))
    extras = project(ROOT)["optional-dependencies"]
    wanted = [r for folder in (ROOT, *PLUGINS) for r in requirements(folder, extras=False)]
    wanted += [Requirement(text) for text in (*extras["fetch"], *extras["distributed"])]
    by_name = {canonicalize_name(r.name): str(r.specifier) for r in wanted if not r.name.startswith("xsm")}
    expected = {f"{CONDA.get(name, name)} {version}" for name, version in by_name.items()}
    assert set(recipe["requirements"]["run"]) == {f"python {project(ROOT)['requires-python']}", *expected}
    assert recipe["context"]["version"] == xsm.__version__
    modules = {
        p.name for folder in (ROOT, *PLUGINS) for p in (folder / "src").iterdir() if (p / "__init__.py").exists()
    }
    assert set(recipe["tests"][0]["python"]["imports"]) == modules


def test_the_dockerfile_copies_and_installs_what_is_there():
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    copied = [line.split()[1] for line in lines if line.startswith("COPY") and "--from" not in line]
    assert all((ROOT / name).exists() for name in copied)
    extras = re.search(r'"xsm\[(.+)\]"', "\n".join(lines))
    assert extras is not None and set(extras[1].split(",")) <= set(project(ROOT)["optional-dependencies"])
    assert [line for line in lines if line.startswith("USER")] == ["USER xsm"]
