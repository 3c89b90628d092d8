"""Find the Python of the xsm environment and check it by a handshake. Imports nothing of QGIS.

``folder`` is the plugin's own folder in the QGIS profile: ``python.json`` there is written by `xsm qgis install`,
``check.json`` by it and by the last handshake.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import tempfile
import time

from .runner import Cancelled, CoreError, OtherVersion, run, worker

LIMIT_S = 60.0
PARTS = ("pyvenv.cfg", os.path.join("lib", "python3*", "*-packages"), os.path.join("Lib", "site-packages"))
"""Parts of an environment that change when it is created again or a package is installed."""
INSIDE = (("bin", "python"), ("Scripts", "python.exe"), ("python.exe",))
HELP = (
    "Install the package xsm into a Python environment (3.11 or newer) and run `xsm qgis install` there, or enter its "
    "Python in Settings, Options, Processing, Providers, XSM; then run 'Check the xsm installation'."
)
SANDBOX = " This QGIS runs in a Flatpak sandbox, which cannot start a Python outside: install another build of QGIS."


def find(folder, setting="", environ=None):
    """Return the interpreter named by XSM_PYTHON, the setting or `xsm qgis install`, in this order.

    Each may name the interpreter or the folder of its environment. The first one that is set counts: a wrong one is an
    error, never skipped.
    """
    environ = os.environ if environ is None else environ
    for where, place in (
        ("the environment variable XSM_PYTHON", environ.get("XSM_PYTHON")),
        ("the setting 'Python of the xsm environment'", setting),
        ("`xsm qgis install`", _read(os.path.join(folder, "python.json")).get("python")),
    ):
        if not place:
            continue
        for path in (place, *(os.path.join(place, *parts) for parts in INSIDE)):
            if os.path.isfile(path):
                return path
        raise CoreError(f"There is no Python at '{place}', which {where} names.", _help())
    raise CoreError("xsm is not set up: no Python of an xsm environment is known.", _help())


def check(python, folder, is_cancelled=lambda: False, again=False):
    """Return the description of the core behind an interpreter: the remembered one, else that of a new handshake."""
    known = None if again else remembered(python, folder, unchanged=True)
    if known is not None:
        return known
    end = time.monotonic() + LIMIT_S

    def is_over():
        return is_cancelled() or time.monotonic() > end

    try:
        core = run(worker(python, "describe"), None, lambda event: None, is_over)
    except OtherVersion:
        raise
    except Cancelled:
        if is_cancelled():
            raise
        raise CoreError(f"'{python}' did not answer within {LIMIT_S:g} s.", "Try again.") from None
    except CoreError as error:
        raise CoreError(f"'{python}' cannot run xsm. {error}", _help(), error.details) from error
    if core.get("problems"):
        problems = "; ".join(core["problems"])
        raise CoreError(f"The environment of '{python}' is broken: {problems}.", "Install xsm into a new environment.")
    remember(python, folder, core)
    return core


def remember(python, folder, core):
    """Keep the description of a core that works; `xsm qgis install` does so too, for the first start of QGIS."""
    with contextlib.suppress(OSError):  # a read-only folder only costs another handshake
        _write(os.path.join(folder, "check.json"), {"python": python, "stamp": _stamp(python), "description": core})


def remembered(python, folder, unchanged=False):
    """Return the description of the last good handshake with this interpreter, or None.

    With ``unchanged`` also None if the interpreter, its environment or a package in it has changed since.
    """
    known = _read(os.path.join(folder, "check.json"))
    same = known.get("python") == python and not (unchanged and known.get("stamp") != _stamp(python))
    return known.get("description") if same else None


def _stamp(python):
    """Modification times of the parts of an environment; its Python is often only a link to that of the system."""
    places = [python, os.path.realpath(python)]
    for root in (os.path.dirname(python), os.path.dirname(os.path.dirname(python))):
        places += [p for part in PARTS for p in sorted(glob.glob(os.path.join(glob.escape(root), part)))]
    return [[place, os.lstat(place).st_mtime_ns] for place in places if os.path.lexists(place)]


def _help():
    return HELP + (SANDBOX if os.path.exists("/.flatpak-info") else "")


def _read(path):
    try:
        with open(path, encoding="utf-8") as file:
            record = json.load(file)
        return record if isinstance(record, dict) else {}
    except (OSError, ValueError):
        return {}


def _write(path, value):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    handle, part = tempfile.mkstemp(dir=os.path.dirname(path), suffix=".part")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(value, file)
    os.replace(part, path)
