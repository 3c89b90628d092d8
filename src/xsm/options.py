"""Options that hold for the whole process or inside a ``with`` block; and the versions of everything."""

from __future__ import annotations

import logging
import os
import platform
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from typing import Any

from xsm import machine
from xsm.errors import DataError, MissingPlugin, UsageError, unknown

log = logging.getLogger("xsm")
CONNECT_S = 30
LOUD = ("distributed", "tornado", "asyncio")
"""Whose loggers tell of a lost cluster in tracebacks."""

_DEVICES = ("auto", "cpu", "cuda", "mps")
_OPTIONS: dict[str, Any] = {
    "threads": None,
    "device": None,
    "memory_limit": None,
    "cache": None,
    "workers": None,
    "retries": None,
    "timeout": None,
    "scheduler": None,
}


def _bytes(text: str) -> int:
    from dask.utils import parse_bytes

    return int(parse_bytes(text))


_FROM_TEXT: dict[str, Callable[[str], Any]] = {
    "threads": int,
    "device": str,
    "memory_limit": _bytes,
    "cache": str,
    "workers": int,
    "retries": int,
    "timeout": float,
    "scheduler": str,
}


def _positive(value: Any) -> bool:
    return value is None or (isinstance(value, int) and value > 0)


_VALID: dict[str, tuple[Callable[[Any], bool], str]] = {
    "threads": (_positive, "a whole number from 1 up"),
    "device": (lambda v: v is None or str(v).split(":")[0] in _DEVICES, "auto, cpu, cuda, cuda:1 or mps"),
    "memory_limit": (_positive, "bytes from 1 up (in the environment also such as 4GB)"),
    "cache": (lambda v: v is None or isinstance(v, str | os.PathLike), "a folder"),
    "workers": (_positive, "a whole number from 1 up"),
    "retries": (lambda v: v == 0 or _positive(v), "a whole number from 0 up"),
    "timeout": (lambda v: v is None or (isinstance(v, int | float) and v > 0), "seconds, more than 0"),
    "scheduler": (lambda v: v is None or (isinstance(v, str) and "://" in v), "an address such as tcp://10.0.0.1:8786"),
}
"""What the values may be: a check, and the same in words."""


def get_option(name: str) -> Any:
    """Value of an option; the environment variable ``XSM_<NAME>`` wins over the default."""
    value, variable = _OPTIONS[name], f"XSM_{name.upper()}"
    if value is not None or not (text := os.environ.get(variable)):
        return value
    try:
        value = _FROM_TEXT[name](text)
    except ValueError:
        value = text
    check, wanted = _VALID[name]
    if not check(value):
        raise UsageError(
            f"The environment variable {variable} is '{text}', wanted {wanted}.",
            hint=f"See xsm.set_options for '{name}'.",
        )
    return value


class set_options:
    """Set options, for good or inside a ``with`` block.

    Parameters
    ----------
    threads : int or None
        Block threads and torch threads; None means one for each core.
    device : str or None
        None or ``"auto"`` (cuda, mps, cpu in this order), ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
    memory_limit : int or None
        Bytes that a run may use; None means a quarter of what this process may use: of the machine, or of the limit of
        its job or container (cgroups). The environment variable also takes a unit, such as ``4GB``.
    cache : path or None
        Folder that keeps the weights of curvilinear and point grids from one process to the next; None keeps none.
    workers : int or None
        Files downloaded at the same time; None means 4.
    retries : int or None
        How often a download is tried again after a failure that may pass; None means 5.
    timeout : float or None
        Seconds without a byte from a server after which a transfer counts as stalled; None means 60.
    scheduler : str or None
        Address of a dask.distributed scheduler, such as ``"tcp://10.0.0.1:8786"``, that commands and studies compute
        on; None means this process (or the client that is active).

    Examples
    --------
    >>> import xsm
    >>> with xsm.set_options(threads=1):
    ...     pass
    """

    def __init__(self, **options: Any) -> None:
        for name, value in options.items():
            if name not in _OPTIONS:
                raise unknown("option", name, _OPTIONS)
            check, wanted = _VALID[name]
            if not check(value):
                raise UsageError(
                    f"The option '{name}' is {value!r}, wanted {wanted}.",
                    hint=f"See xsm.set_options for what '{name}' may be.",
                )
        self._before = {n: _OPTIONS[n] for n in options}
        _OPTIONS.update(options)

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        _OPTIONS.update(self._before)


def threads() -> int:
    """Number of workers: the option ``threads``, else one for each core that this process may use.

    Returns
    -------
    int
        At least 1.

    Examples
    --------
    >>> with set_options(threads=3):
    ...     threads()
    3
    """
    return get_option("threads") or cores()


def cores() -> int:
    """Cores that this process may use, which are fewer than the machine has in a job of a cluster or a container."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def device() -> str:
    """Device that the option ``device`` means on this machine, by default the fastest there is.

    Returns
    -------
    str
        A torch device: ``"cuda"``, ``"mps"`` or ``"cpu"``.

    Examples
    --------
    >>> with set_options(device="cpu"):
    ...     device()
    'cpu'
    """
    wanted = get_option("device")
    if wanted not in (None, "auto"):
        return str(wanted)
    import importlib.util

    if importlib.util.find_spec("torch") is None:
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def memory_limit() -> int:
    """Bytes that a run may use: the option ``memory_limit``, else a quarter of what this process may use."""
    return int(get_option("memory_limit") or machine.memory() // 4)


@contextmanager
def block_threads() -> Iterator[int]:
    """Run the body with dask's threads set to the option ``threads``, or on the cluster of the option ``scheduler``."""
    import dask

    count = threads()
    with dask.config.set(num_workers=count), _connected(get_option("scheduler")):
        yield count


@contextmanager
def _connected(address: str | None) -> Iterator[None]:
    """Be the client of a cluster; its workers must have this version of xsm."""
    if address is None:
        yield
        return
    try:
        from distributed import Client, KilledWorker
        from distributed.comm import CommClosedError
    except ImportError:
        raise MissingPlugin("A cluster needs the package distributed.", hint="pip install xsm[distributed]") from None
    with _hushed():
        try:
            client = _within(CONNECT_S + 5, lambda: Client(address, timeout=CONNECT_S))
        except Exception as error:  # also what another server answers, and a configuration without certificates
            told = " ".join(str(error).split())[:200]
            raise UsageError(
                f"No scheduler answers at '{address}' ({told}).",
                hint="Start dask scheduler, or give the address that it tells; tls:// needs dask's TLS set up.",
            ) from None
        with client:
            _check_workers(client, address)
            try:
                yield
            except (CancelledError, CommClosedError, KilledWorker) as error:
                raise DataError(
                    f"The cluster at '{address}' was lost ({type(error).__name__}).",
                    hint="Run again to continue, on a cluster that works or on this machine.",
                ) from error


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep tracebacks of libraries about a lost cluster off the log, which has one sentence of xsm; ``-vv`` shows them.

    Their loggers are as before after the body.
    """
    names = [n for n in list(logging.root.manager.loggerDict) if n.split(".")[0] in LOUD]
    before = {logging.getLogger(n): logging.getLogger(n).level for n in (*names, *LOUD)}
    try:
        for logger in () if log.isEnabledFor(logging.DEBUG) else before:
            logger.setLevel(logging.CRITICAL + 1)
        yield
    finally:
        for logger, level in before.items():
            logger.setLevel(level)


def _check_workers(client: Any, address: str) -> None:
    """Wait for a first worker; those that there are must have this version of xsm."""
    from importlib.metadata import version

    try:
        client.wait_for_workers(1, timeout=CONNECT_S)
    except TimeoutError:
        raise UsageError(f"The scheduler at '{address}' has no worker.", hint="Start dask worker.") from None
    own, theirs = version("xsm"), client.run(_version_here)
    if other := {v for v in theirs.values() if v != own}:
        raise DataError(f"Workers have xsm {', '.join(other)}, wanted {own}.", hint="Use one environment for all.")


def _within(seconds: float, work: Callable[[], Any]) -> Any:
    """Do a work that may never end, as a connection to what takes one and does not answer."""
    done: Future[Any] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        return done.result(seconds)
    except TimeoutError as error:
        raise TimeoutError(str(error) or f"no answer after {seconds:.0f} s") from None


def _version_here() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("xsm")
    except PackageNotFoundError:
        return "none"


class Versions(dict[str, str]):
    """Versions by name; prints as a table."""

    def __repr__(self) -> str:
        width = max(map(len, self))
        return "\n".join(f"{name:{width}}  {version}" for name, version in self.items())

    __str__ = __repr__


def show_versions() -> Versions:
    """Return the versions of xsm, its plugins and what they rest on; ``print`` shows them as a table.

    Returns
    -------
    Versions
        A dict of str to str.

    Examples
    --------
    >>> import xsm
    >>> print(xsm.show_versions())
    python ...
    platform ...
    xsm ...
    """
    from importlib.metadata import PackageNotFoundError, version

    from xsm.plugin import plugins

    names = ["xsm", "numpy", "pandas", "xarray", "dask", "zarr", "netCDF4", "h5py", "rasterio", "rioxarray", "pyproj",
             "numba", "scipy", "torch", "pluggy", "click", "safetensors", "matplotlib"]  # fmt: skip
    found = Versions(python=platform.python_version(), platform=platform.platform())
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    for plugin in plugins().values():
        if plugin.distribution != "xsm":
            found[plugin.distribution] = f"{plugin.version} ({plugin.status})"
    return found
