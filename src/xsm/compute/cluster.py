"""Connecting to a dask.distributed cluster, and the threads that blocks run on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from typing import Any

from xsm.errors import DataError, MissingPlugin, UsageError
from xsm.options import get_option, log, threads

CONNECT_S = 30
LOUD = ("distributed", "tornado", "asyncio")
"""Packages that log a lost cluster with tracebacks."""


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
            reason = " ".join(str(error).split())[:200]
            raise UsageError(
                f"No scheduler answers at '{address}' ({reason}).",
                hint="Start dask scheduler, or give the address that it prints; for tls://, configure dask's TLS.",
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
    """Keep the tracebacks that libraries log about a lost cluster off the log; ``-vv`` shows them.

    The levels of their loggers are restored after the body.
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
    """Wait for a first worker; all that are there must have this version of xsm."""
    from importlib.metadata import version

    try:
        client.wait_for_workers(1, timeout=CONNECT_S)
    except TimeoutError:
        raise UsageError(f"The scheduler at '{address}' has no worker.", hint="Start dask worker.") from None
    here, theirs = version("xsm"), client.run(_version_here)
    if other := {v for v in theirs.values() if v != here}:
        raise DataError(f"Workers have xsm {', '.join(other)}, expected {here}.", hint="Use one environment for all.")


def _within(seconds: float, work: Callable[[], Any]) -> Any:
    """Do work that may never end, such as connecting to a server that accepts and never answers."""
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
