"""Run the core in its own process and talk to it in JSON lines. Imports nothing of QGIS.

The request goes to the core's stdin, which stays open: when it is closed, the core knows that QGIS is gone. Events come
from its stdout, one JSON object a line; whatever else the core or its libraries print is passed on as console text.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import threading
import time

PROTOCOL = 2
LONGEST_LINE = 4 << 20
QUEUED_LINES = 10_000
GRACE_S = 2.5
"""Longer than the core needs to remove its unfinished files."""
NO_WORKER = "Unknown command 'worker'"
"""Answer of a core of protocol 1, which ran as another module."""
NEW_GROUP_NO_WINDOW = 0x08000200
DROPPED = {
    "GDAL_DATA", "GDAL_DRIVER_PATH", "GDAL_FILENAME_IS_UTF8", "PROJ_LIB", "PROJ_DATA", "GEOTIFF_CSV", "LD_LIBRARY_PATH",
    "LD_PRELOAD", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "DYLD_FRAMEWORK_PATH", "DYLD_INSERT_LIBRARIES",
    "QT_PLUGIN_PATH", "QT_QPA_PLATFORM_PLUGIN_PATH", "HDF5_PLUGIN_PATH", "VIRTUAL_ENV", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "GISBASE", "__PYVENV_LAUNCHER__",
}  # fmt: skip
DROPPED_PREFIXES = ("PYTHON", "CONDA", "GRASS_", "O4W_", "OSGEO4W", "QGIS")


class CoreError(Exception):
    """The core could not carry out the request; the text is for the analyst, the details are for the log."""

    def __init__(self, text, hint="", details=""):
        super().__init__(f"{text} {hint}".strip())
        self.details = details


class OtherVersion(CoreError):
    """Plugin and core do not understand each other; the text says which one to update."""


class Cancelled(Exception):
    """The analyst pressed Cancel."""


def clean_env(base=None):
    """Environment of the core: without what QGIS's launchers set for QGIS's own libraries.

    With QGIS's ``PROJ_LIB`` rasterio cannot resolve EPSG codes; with ``PYTHONEXECUTABLE`` Python ignores its virtual
    environment, even under ``python -I``. HDF5 locks no files: QGIS has open what it shows, and in a model each result.
    """
    base = os.environ if base is None else base
    env = {k: v for k, v in base.items() if k.upper() not in DROPPED and not k.upper().startswith(DROPPED_PREFIXES)}
    root = os.path.normcase(base.get("OSGEO4W_ROOT", ""))
    if root:
        entries = env.get("PATH", "").split(os.pathsep)
        env["PATH"] = os.pathsep.join(p for p in entries if not os.path.normcase(p).startswith(root))
    env.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")
    return env


def worker(python, verb):
    """Command line of the core's worker; ``-m xsm worker`` stays the same in every version of xsm."""
    return [python, "-I", "-X", "utf8", "-m", "xsm", "worker", verb]


def run(argv, request, on_event, is_cancelled, poll=0.1):
    """Start the core, send one request and pass on its events until it ends.

    Parameters
    ----------
    argv : list of str
        See `worker`.
    request : dict or None
        Operation and values.
    on_event : callable
        Called in this thread with each event (``hello``, ``progress``, ``log``, and ``stderr`` for console text).
    is_cancelled : callable
        Called every ``poll`` seconds; true stops the core.

    Returns
    -------
    dict
        The event ``result`` or ``describe``.

    Raises
    ------
    CoreError
        If the core cannot start, reports an error, crashes or ends without a result.
    OtherVersion
        If the core is older or newer than this plugin and they do not understand each other.
    Cancelled
        After all processes of the core have ended.
    """
    group = {"creationflags": NEW_GROUP_NO_WINDOW} if os.name == "nt" else {"start_new_session": True}
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, env=clean_env(), **group)
    except OSError as error:
        raise CoreError(f"Cannot start '{argv[0]}' ({error.strerror or error}).") from error
    stopped = threading.Event()
    try:
        _send(process, request)
        result, error, tail = _listen(process, stopped, on_event, is_cancelled, poll)
        code = process.wait()
    except BaseException:
        _kill(process)
        _sweep(request, process.pid)
        raise
    finally:
        stopped.set()
        with contextlib.suppress(OSError):
            process.stdin.close()
    if code:
        _kill(process)
        _sweep(request, process.pid)
    if error:
        raise CoreError(error.get("text", "The core failed."), error.get("hint", ""), error.get("traceback", ""))
    if code or result is None:
        if any(NO_WORKER in line for line in tail):
            same_protocol({"protocol": 1})
        last = f": {tail[-1]}" if tail else ""
        raise CoreError(f"The core {_ending(code)} without a result{last}", details="\n".join(tail))
    return result


def same_protocol(event):
    """Stop if the core speaks another protocol than this plugin."""
    core, protocol = f"xsm {event.get('version', '')}".strip(), event.get("protocol")
    if protocol == PROTOCOL:
        return
    if isinstance(protocol, int) and protocol > PROTOCOL:
        raise OtherVersion(
            f"This plugin is older than {core} in the Python environment.",
            "Run `xsm qgis install` there and restart QGIS.",
        )
    raise OtherVersion(
        f"This plugin is newer than {core} in the Python environment.",
        "Update xsm there, run `xsm qgis install` and restart QGIS.",
    )


def _send(process, request):
    with contextlib.suppress(OSError):  # if it has ended already, its exit code and last line say why
        process.stdin.write(json.dumps(request).encode("utf-8") + b"\n")
        process.stdin.flush()


def _listen(process, stopped, on_event, is_cancelled, poll):
    lines = queue.Queue(maxsize=QUEUED_LINES)
    for stream, name in ((process.stdout, "out"), (process.stderr, "err")):
        threading.Thread(target=_pump, args=(stream, name, lines, stopped), daemon=True).start()
    result = error = None
    tail = collections.deque(maxlen=40)
    streams = 2
    while streams:
        if is_cancelled():
            raise Cancelled("cancelled")
        try:
            name, line = lines.get(timeout=poll)
        except queue.Empty:
            if process.poll() is not None:  # a grandchild may keep the pipes open
                time.sleep(poll)
                streams = 0 if lines.empty() else streams
            continue
        if line is None:
            streams -= 1
            continue
        event = _event(line) if name == "out" else None
        if event is not None and event["event"] in ("hello", "describe"):
            same_protocol(event)
        if event is None:
            tail.append(line)
            on_event({"event": "stderr", "text": line})
        elif event["event"] in ("result", "describe"):
            result = event
        elif event["event"] == "error":
            error = event
        else:
            on_event(event)
    return result, error, tail


def _event(line):
    try:
        event = json.loads(line)
        return event if isinstance(event["event"], str) else None
    except (ValueError, TypeError, KeyError):
        return None


def _pump(stream, name, lines, stopped):
    for raw in iter(lambda: stream.readline(LONGEST_LINE), b""):
        _put(lines, (name, raw.decode("utf-8", "replace").rstrip("\r\n")), stopped)
    _put(lines, (name, None), stopped)
    stream.close()


def _put(lines, item, stopped):
    while not stopped.is_set():
        try:
            return lines.put(item, timeout=0.2)
        except queue.Full:
            continue


def _kill(process):
    """End the core and its children: closing its stdin lets it clean up; whatever still runs then is killed."""
    with contextlib.suppress(OSError):
        process.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_S)
    if os.name == "nt":  # untested
        subprocess.run(["taskkill", "/T", "/F", "/PID", str(process.pid)], capture_output=True, check=False)
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _sweep(request, pid):
    """Remove the unfinished files beside the output of a core that could not clean up (``fresh`` in xsm/atomic.py)."""
    folder = os.path.dirname((request or {}).get("output") or "")
    for name in os.listdir(folder) if os.path.isdir(folder) else []:
        if name.startswith(".") and f".{pid}." in name and name.endswith(".part"):
            shutil.rmtree(os.path.join(folder, name), ignore_errors=True)


def _ending(code):
    if code < 0 and os.name != "nt":
        name = signal.Signals(-code).name
        return f"was killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    return f"ended with exit code {code}"
