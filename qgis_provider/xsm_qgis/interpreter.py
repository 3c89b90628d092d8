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

from .runner import Cancelled, CoreError, run, same_protocol, worker

LIMIT_S = 60.0
PARTS = ("pyvenv.cfg", os.path.join("lib", "python3*", "*-packages"), os.path.join("Lib", "site-packages"))
"""What of an environment changes when it is made anew or a package is installed."""
INSIDE = (("bin", "python"), ("Scripts", "python.exe"), ("python.exe",))
HELP = (
    "Install the package xsm into a Python environment (3.11 or newer) and run `xsm qgis install` there, or name its "
    "Python in Settings, Options, Processing, Providers, XSM; then run 'Check the xsm installation'."
)
SANDBOX = " This QGIS runs in a Flatpak sandbox, which cannot start a Python outside of it: use another build of QGIS."


def find(folder, setting="", environ=None):
    """Return the interpreter named by XSM_PYTHON, the setting or `xsm qgis install`, in this order.

    Each may name the interpreter or the folder of its environment. The first that is given counts: a wrong one is an
    error, never skipped.
    """
    environ = os.environ if environ is None else environ
    for where, given in (
        ("the environment variable XSM_PYTHON", environ.get("XSM_PYTHON")),
        ("the setting 'Python of the xsm environment'", setting),
        ("`xsm qgis install`", _read(os.path.join(folder, "python.json")).get("python")),
    ):
        if not given:
            continue
        for path in (given, *(os.path.join(given, *parts) for parts in INSIDE)):
            if os.path.isfile(path):
                return path
        raise CoreError(f"There is no Python at '{given}', which {where} names.", _help())
    raise CoreError("xsm is not set up: no Python of an xsm environment is known.", _help())


def check(python, folder, is_cancelled=lambda: False, again=False):
    """Return the description of the core behind an interpreter, by a handshake unless one is remembered."""
    known = None if again else remembered(python, folder, unchanged=True)
    if known is not None:
        return known
    end = time.monotonic() + LIMIT_S

    def given_up():
        return is_cancelled() or time.monotonic() > end

    try:
        found = run(worker(python, "describe"), None, lambda event: None, given_up)
    except Cancelled:
        if is_cancelled():
            raise
        raise CoreError(f"'{python}' gave no answer within {LIMIT_S:g} s.", "Try again.") from None
    except CoreError as error:
        raise CoreError(f"'{python}' cannot run xsm. {error}", _help(), error.details) from error
    same_protocol(found)
    if found.get("problems"):
        told = "; ".join(found["problems"])
        raise CoreError(f"The environment of '{python}' is broken: {told}.", "Reinstall xsm into a new environment.")
    remember(python, folder, found)
    return found


def remember(python, folder, found):
    """Keep the description of a core that works; `xsm qgis install` does so too, for the first start of QGIS."""
    with contextlib.suppress(OSError):  # a folder that cannot be written costs time, no more
        _write(os.path.join(folder, "check.json"), {"python": python, "stamp": _stamp(python), "description": found})


def remembered(python, folder, unchanged=False):
    """Return the description of the last good handshake with this interpreter, or None.

    With ``unchanged`` None also where the interpreter, its environment or a package in it was changed since.
    """
    known = _read(os.path.join(folder, "check.json"))
    same = known.get("python") == python and not (unchanged and known.get("stamp") != _stamp(python))
    return known.get("description") if same else None


def _stamp(python):
    """Times of what an environment consists of; its Python is often but a link to that of the system."""
    places = [python, os.path.realpath(python)]
    for root in (os.path.dirname(python), os.path.dirname(os.path.dirname(python))):
        places += [p for part in PARTS for p in sorted(glob.glob(os.path.join(glob.escape(root), part)))]
    return [[place, os.lstat(place).st_mtime_ns] for place in places if os.path.lexists(place)]


def _help():
    return HELP + (SANDBOX if os.path.exists("/.flatpak-info") else "")


def _read(path):
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
        return found if isinstance(found, dict) else {}
    except (OSError, ValueError):
        return {}


def _write(path, value):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    handle, part = tempfile.mkstemp(dir=os.path.dirname(path), suffix=".part")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(value, file)
    os.replace(part, path)
