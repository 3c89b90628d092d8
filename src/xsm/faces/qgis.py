"""The QGIS plugin from the core's side: its description of the operations, installing it, packing it."""

from __future__ import annotations

import importlib
import json
import logging
import os
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any

from xsm import atomic
from xsm.errors import DataError, UsageError, unknown
from xsm.faces.new_plugin import data_folder

log = logging.getLogger("xsm")
NAME = "xsm_qgis"
LARGEST_ZIP = 1_000_000


def operations_json() -> str:
    """Describe the core's own operations as the plugin contains them: sorted keys, one final newline.

    Operations of plugins are left out, so that the text does not depend on what else is installed; QGIS gets them from
    the worker's ``describe``.
    """
    from xsm._version import __version__
    from xsm.contracts.registry import builtin, describe
    from xsm.faces.worker import PROTOCOL

    core = {"protocol": PROTOCOL, "version": __version__, **describe(builtin())}
    return json.dumps(core, indent=1, sort_keys=True) + "\n"


def plugin_folder() -> Path:
    """Folder of the plugin, from the wheel or the repository."""
    return data_folder(NAME, f"qgis_provider/{NAME}")


def install(profile: str = "default", version: str = "3") -> Path:
    """Copy the plugin into a QGIS profile, and record this Python, which does the work, with what is installed in it.

    Each major ``version`` of QGIS has its own profiles; ``"default"`` is created if QGIS was never started. Returns the
    plugin's folder in the profile.
    """
    from xsm.faces.worker import description

    profiles = profiles_folder(version)
    root = profiles / profile
    if profile != "default" and not root.is_dir():
        known = [p.name for p in profiles.iterdir() if p.is_dir()] if profiles.is_dir() else []
        raise unknown(f"QGIS {version} profile", profile, known)
    target = root / "python" / "plugins" / NAME
    _replace(plugin_folder(), target)
    record = root / "xsm" / "python.json"
    with atomic.fresh(record, overwrite=True) as part:
        part.write_text(json.dumps({"python": sys.executable}, indent=1) + "\n", encoding="utf-8")
    core = description()
    if not core["problems"]:
        _interpreter(target).remember(sys.executable, str(record.parent), core)
    log.info("QGIS will use %s. Restart it, enable 'xsm' in Plugins, run 'Check the xsm installation'.", sys.executable)
    return target


def profiles_folder(version: str) -> Path:
    """Folder of the profiles of QGIS 3 or 4 on this system; as in QGIS, ``QGIS_CUSTOM_CONFIG_PATH`` replaces it."""
    custom = os.environ.get("QGIS_CUSTOM_CONFIG_PATH")
    if custom:
        return Path(custom) / "profiles"
    if sys.platform == "win32":
        base = Path(os.environ.get("APPDATA", Path.home() / "AppData" / "Roaming"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "QGIS" / f"QGIS{version}" / "profiles"


def build_zip(folder: Path) -> Path:
    """Pack the plugin as ``xsm_qgis-<version>.zip`` for QGIS; the same input gives the same bytes."""
    from xsm._version import __version__

    source = plugin_folder()
    target = Path(folder) / f"{NAME}-{__version__}.zip"
    with atomic.fresh(target, overwrite=True) as part:
        with zipfile.ZipFile(part, "w") as archive:
            for path in sorted(p for p in source.rglob("*") if p.is_file() and not _left_out(p)):
                entry = zipfile.ZipInfo(f"{NAME}/{path.relative_to(source).as_posix()}", (1980, 1, 1, 0, 0, 0))
                entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                archive.writestr(entry, path.read_bytes())
        size = part.stat().st_size
        if size > LARGEST_ZIP:
            raise DataError(f"The zip of the plugin has {size} bytes, expected at most {LARGEST_ZIP}.")
    return target


def _interpreter(plugin: Path) -> Any:
    """The module ``interpreter`` of the plugin, which needs no QGIS."""
    sys.path.insert(0, str(plugin.parent))
    try:
        return importlib.import_module(f"{NAME}.interpreter")
    finally:
        sys.path.remove(str(plugin.parent))


def _left_out(path: Path) -> bool:
    return "__pycache__" in path.parts or path.suffix == ".pyc"


def _replace(source: Path, target: Path) -> None:
    if target.is_symlink():
        raise UsageError(f"'{target}' is a link, not a copy of the plugin.", hint="Remove the link and install again.")
    if target.is_dir() and not (target / "metadata.txt").is_file():
        raise UsageError(f"'{target}' is not a QGIS plugin and is left alone.", hint="Move it away and install again.")
    with atomic.fresh(target, overwrite=True) as part:
        shutil.copytree(source, part, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
