"""`xsm init plugin NAME`: a working plugin to start from."""

from __future__ import annotations

import re
import shutil
from importlib.resources import files as package_files
from pathlib import Path

from xsm.errors import UsageError

PLACEHOLDER = "mysensor"


def data_folder(wheel: str, repository: str) -> Path:
    """Folder that the wheel contains under ``_data``; in an editable install, the one in the repository."""
    inside = Path(str(package_files("xsm"))) / "_data" / wheel
    return inside if inside.is_dir() else Path(__file__).resolve().parents[3] / repository


def render(name: str, folder: Path) -> Path:
    """Write the plugin ``xsm-<name>`` into a folder; returns its path. The name becomes that of the source."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UsageError(
            f"'{name}' is not a name for a plugin.", hint="Use lower-case letters, digits and underscores."
        )
    target = folder / f"xsm-{name}"
    if target.exists():
        raise UsageError(f"'{target}' exists already.", hint="Choose another name or folder.")
    source = data_folder("plugin_template", "plugins/_template")
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc", ".*_cache"))
    for path in sorted(target.rglob("*"), reverse=True):
        if path.is_file():
            path.write_text(path.read_text(encoding="utf-8").replace(PLACEHOLDER, name), encoding="utf-8")
        if PLACEHOLDER in path.name:
            path.rename(path.with_name(path.name.replace(PLACEHOLDER, name)))
    return target
