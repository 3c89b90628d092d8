"""JSON-lines worker for QGIS: ``python -I -X utf8 -m xsm worker describe``, ``check``, ``run`` or ``ask``.

One request line comes on stdin, which stays open; when it is closed, the caller is gone. Answers go to stdout, one JSON
object a line: ``hello``, ``progress``, ``log``, ``result``, ``describe``, ``error``. Whatever else is printed goes to
stderr. A run that is terminated or whose caller is gone removes its unfinished files before it ends.
"""

from __future__ import annotations

import _thread
import json
import logging
import os
import platform
import select
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from xsm.contracts.operation import Operation

Emit = Callable[[dict[str, Any]], None]
PROTOCOL = 2
CANCELLED = 130
LONGEST_REQUEST = 1 << 26
LONGEST_TEXT = 16_000
POLL_S = 0.1
GRACE_S = 1.5
"""Time that an interrupted run has to unwind; long native code does not notice the interruption."""


def main(argv: list[str] | None = None) -> int:
    """Answer ``describe``, ``check`` or the questions of ``ask``, or carry out ``run``; returns the exit code."""
    verb = (sys.argv[1:] if argv is None else argv)[:1]
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    lock = threading.Lock()

    def emit(event: dict[str, Any]) -> None:
        line = json.dumps({name: _sized(value) for name, value in event.items()})
        with lock:
            channel.write(line + "\n")
            channel.flush()

    if verb == ["describe"]:
        emit({"event": "describe", **description()})
        return 0
    if verb == ["ask"]:
        from xsm.faces.questions import answer_all

        _hello(emit)
        return answer_all(emit)
    if verb not in (["run"], ["check"]):
        text = f"Got the verb '{' '.join(verb)}', expected 'describe', 'check', 'run' or 'ask'."
        emit({"event": "error", "type": "UsageError", "text": text, "hint": "Run `xsm qgis install`."})
        return 2
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        line = _first_line()
        threading.Thread(target=_end_with_caller, daemon=True).start()
        return run(line, emit) if verb == ["run"] else check(emit)
    except KeyboardInterrupt:
        _leave()


def description() -> dict[str, Any]:
    """Everything that a form needs: protocol, version, operations with their digest, sources, models, and problems."""
    from xsm._version import __version__
    from xsm.contracts.registry import describe, models, operations, sources
    from xsm.faces.doctor import checks

    return {
        "protocol": PROTOCOL,
        "version": __version__,
        "python": platform.python_version(),
        **describe(operations()),
        "sources": {
            n: {
                "title": info.title,
                "options": [p.to_json() for p in info.options],
                "fetch_options": [p.to_json() for p in info.fetch_options],
            }
            for n, info in sources().items()
        },
        "models": {
            n: {"title": info.title, "task": info.task, "options": [p.to_json() for p in info.options]}
            for n, info in models().items()
        },
        "problems": [f"{name}: {detail}" for name, ok, detail in checks(quick=True) if not ok],
    }


def check(emit: Emit) -> int:
    """Report the checks of the installation; the result names those that failed."""
    from xsm.faces.doctor import checks

    _hello(emit)
    rows = checks()
    for name, ok, detail in rows:
        level, mark = ("info", "ok") if ok else ("error", "FAILED")
        emit({"event": "log", "level": level, "text": f"{mark}  {name}: {detail}"})
    table = [{"name": name, "ok": bool(ok), "detail": detail} for name, ok, detail in rows]
    emit({"event": "result", "outputs": [], "failed": [n for n, ok, _ in rows if not ok], "checks": table})
    return 0


def run(line: str, emit: Emit) -> int:
    """Carry out one request ``{"operation", "values", "output", "overwrite", "version", "digest"}``."""
    from xsm.faces.hints import speaking

    with speaking("form"):
        return _run(line, emit)


def _run(line: str, emit: Emit) -> int:
    from xsm.contracts.param import Kind
    from xsm.errors import UsageError, XsmError
    from xsm.faces.execute import execute
    from xsm.faces.layers import layers_of
    from xsm.faces.points import points_of
    from xsm.faces.progress_bar import show

    try:
        digest = _hello(emit)
        request = _request(line)
        if not isinstance(request, dict) or not {"operation", "values"} <= set(request):
            raise UsageError("The request has no 'operation' and 'values'.", hint="Run `xsm qgis install`.")
        op = _operation(request, digest)
        with _forwarded(emit), show("json", op.title, emit):
            outcome = execute(op, request["values"], request.get("output"), overwrite=bool(request.get("overwrite")))
            points = points_of(request["values"], outcome) if request.get("points") else {}
        if op.result is Kind.FOLDER:
            emit({"event": "log", "level": "info", "text": outcome.text})
        layers = layers_of(outcome)
        emit({"event": "result", "outputs": [str(p) for p in outcome.written], "layers": layers, "points": points})
    except XsmError as error:
        emit({"event": "error", "type": type(error).__name__, "text": error.message, "hint": error.hint})
        return error.exit_code
    except Exception as error:
        from xsm.contracts.registry import plugin_error

        name, blamed = type(error).__name__, plugin_error(error)
        text, hint = f"{name}: {error}".split("\n")[0], "This is a bug in xsm: please report it with the traceback."
        if blamed:
            text, hint = blamed.message, blamed.hint
        emit({"event": "error", "type": name, "text": text, "hint": hint, "traceback": traceback.format_exc()})
        return 1
    return 0


def _request(line: str) -> Any:
    from xsm.errors import UsageError

    if len(line) > LONGEST_REQUEST:
        raise UsageError(f"The request is longer than {LONGEST_REQUEST} bytes.", hint="Name folders or patterns.")
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"The request is not JSON ({error}).", hint="Run `xsm qgis install`.") from None


def _hello(emit: Emit) -> str:
    from xsm._version import __version__
    from xsm.contracts.registry import describe, operations

    digest: str = describe(operations())["digest"]
    emit({"event": "hello", "protocol": PROTOCOL, "version": __version__, "digest": digest})
    return digest


def _operation(request: dict[str, Any], digest: str) -> Operation:
    """Return the operation of a request; the form of another version may still fit."""
    from xsm._version import __version__
    from xsm.contracts.registry import get_operation, operations
    from xsm.errors import UsageError

    name = request["operation"]
    op = operations().get(name)
    strange = [name] if op is None else sorted(set(request["values"]) - {p.name for p in op.params})
    if strange and request.get("digest") not in (None, digest):
        raise UsageError(
            f"The form of '{name}' is for xsm {request.get('version', '(unknown version)')}; this environment has xsm "
            f"{__version__}, which does not know {', '.join(strange)}.",
            hint="Run 'Check the xsm installation' and try again, or `xsm qgis install` to update the plugin.",
        )
    return get_operation(name)


def _sized(value: Any) -> Any:
    if not isinstance(value, str) or len(value) <= LONGEST_TEXT:
        return value
    half = LONGEST_TEXT // 2
    return f"{value[:half]}\n... {len(value) - 2 * half} characters omitted ...\n{value[-half:]}"


def _first_line() -> str:
    """Read the request; what follows its line is of no interest, and one that is too long is left to be refused."""
    parts: list[bytes] = []
    length = 0
    while length <= LONGEST_REQUEST and (part := os.read(0, 1 << 16)):
        before, newline, _ = part.partition(b"\n")
        parts.append(before)
        length += len(before)
        if newline:
            break
    return b"".join(parts).decode("utf-8", errors="replace")


def _end_with_caller() -> None:
    """End when stdin is closed; polls, since a blocking read would hold up DLLs that look at stdin on Windows."""
    while _caller_is_there():
        pass
    main_thread = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and main_thread is not None:
        signal.pthread_kill(main_thread, signal.SIGTERM)
    else:
        _thread.interrupt_main(signal.SIGTERM)
    time.sleep(GRACE_S)
    _leave()


def _caller_is_there() -> bool:
    """Wait for a moment, or until stdin has bytes or is closed; returns whether it is still open."""
    if sys.platform == "win32":
        import ctypes
        import msvcrt

        time.sleep(POLL_S)
        waiting = ctypes.c_ulong()
        pipe = ctypes.c_void_p(msvcrt.get_osfhandle(0))
        peeked = ctypes.windll.kernel32.PeekNamedPipe(pipe, None, 0, None, ctypes.byref(waiting), None)
        return bool(peeked) and (not waiting.value or bool(os.read(0, waiting.value)))
    ready, _, _ = select.select([0], [], [], POLL_S)
    return not ready or bool(os.read(0, 4096))


def _interrupt(*_: object) -> None:
    """Unwind the main thread once; a second signal must not interrupt the clean-up."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _leave() -> NoReturn:
    """End at once, without waiting for block threads; no unfinished file stays."""
    from xsm.atomic import abandon

    abandon()
    os._exit(CANCELLED)


@contextmanager
def _forwarded(emit: Emit) -> Iterator[None]:
    """Send log records and warnings of the body as events."""

    class Handler(logging.Handler):
        """Sends log records as events."""

        def emit(self, record: logging.LogRecord) -> None:
            emit({"event": "log", "level": record.levelname.lower(), "text": record.getMessage()})

    def warn(message: Any, category: type[Warning], *_: object) -> None:
        if issubclass(category, UserWarning):
            emit({"event": "log", "level": "warning", "text": str(message)})

    logger, handler = logging.getLogger("xsm"), Handler()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = warn  # type: ignore[assignment]
            yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


if __name__ == "__main__":
    sys.exit(main())
