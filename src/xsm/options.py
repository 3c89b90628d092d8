"""Options for the whole process or inside a ``with`` block; cores, device and memory that they come to."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from xsm.errors import UsageError, unknown

log = logging.getLogger("xsm")

_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d{1,3})?")


def _bytes(text: str) -> int:
    from dask.utils import parse_bytes

    return int(parse_bytes(text))


def _positive(value: Any) -> bool:
    return value is None or (isinstance(value, int) and value > 0)


_KNOWN: dict[str, tuple[Callable[[str], Any], Callable[[Any], bool], str]] = {
    "threads": (int, _positive, "a whole number from 1 up"),
    "device": (str, lambda v: v is None or bool(_DEVICE.fullmatch(str(v))), "auto, cpu, cuda, cuda:1 or mps"),
    "memory_limit": (_bytes, _positive, "bytes from 1 up (in the environment also such as 4GB)"),
    "cache": (str, lambda v: v is None or isinstance(v, str | os.PathLike), "a folder"),
    "workers": (int, _positive, "a whole number from 1 up"),
    "retries": (int, lambda v: v == 0 or _positive(v), "a whole number from 0 up"),
    "timeout": (float, lambda v: v is None or (isinstance(v, int | float) and v > 0), "seconds, more than 0"),
    "scheduler": (str, lambda v: v is None or "://" in str(v), "an address such as tcp://10.0.0.1:8786"),
}
"""How an option is read from a text, a check of its value, and the same in words."""
_OPTIONS: dict[str, Any] = dict.fromkeys(_KNOWN)


def get_option(name: str) -> Any:
    """Value of an option; the environment variable ``XSM_<NAME>`` takes precedence over the default."""
    value, variable = _OPTIONS[name], f"XSM_{name.upper()}"
    if value is not None or not (text := os.environ.get(variable)):
        return value
    read, check, expected = _KNOWN[name]
    try:
        value = read(text)
    except ValueError:
        value = text
    if not check(value):
        raise UsageError(
            f"The environment variable {variable} is '{text}', expected {expected}.",
            hint=f"See xsm.set_options for '{name}'.",
        )
    return value


class set_options:
    """Set options, for the rest of the process or inside a ``with`` block.

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
        How often a download is tried again after a failure that may be temporary; None means 5.
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
            _, check, expected = _KNOWN[name]
            if not check(value):
                raise UsageError(
                    f"The option '{name}' is {value!r}, expected {expected}.",
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
    """Cores that this process may use: in a cluster job or a container, fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def device() -> str:
    """Device that the option ``device`` means on this machine, by default the fastest available.

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
    name = get_option("device")
    if name not in (None, "auto"):
        check_device()
        return str(name)
    import importlib.util

    if importlib.util.find_spec("torch") is None:
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def check_device() -> None:
    """Stop where the option ``device`` names one that this machine does not have: before work, not in the middle."""
    name = get_option("device")
    if name in (None, "auto", "cpu"):
        return
    import importlib.util

    if importlib.util.find_spec("torch") is None:
        raise UsageError(f"The device '{name}' needs torch, which is not installed.", hint="Install torch, or use cpu.")
    import torch

    if name == "mps":
        there = ["mps"] if torch.backends.mps.is_available() else []
    else:
        there = [f"cuda:{i}" for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    if not there or (":" in name and name not in there):
        raise UsageError(
            f"The device '{name}' is not there: torch {torch.__version__} has {', '.join(['cpu', *there])} on this "
            "machine.",
            hint="Choose one of them, or auto; `xsm doctor` shows what torch can use.",
        )


def memory_limit() -> int:
    """Bytes that a run may use: the option ``memory_limit``, else a quarter of what this process may use."""
    return int(get_option("memory_limit") or memory() // 4)


UNKNOWN = 16 << 30
"""Bytes where the system reports none."""
LIMITS = {"": ("", "memory.max"), "memory": ("memory", "memory.limit_in_bytes")}
"""Folder in the tree and file of the limit, by the controller in a line of /proc/self/cgroup: v2, and v1."""


def memory(root: Path = Path("/")) -> int:
    """Bytes that this process may use: the smallest limit of its cgroup and those above, at most all of the machine."""
    pages = "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {})
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if pages else UNKNOWN
    return min([machine, *_limits(root)])


def _limits(root: Path) -> Iterator[int]:
    """Limits that are set; a container sees no groups above its own, whose files are then at the top."""
    lines: list[str] = []
    with suppress(OSError):
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    for line in lines:
        _, controllers, group = line.split(":", 2)
        for folder, file in (LIMITS[c] for c in controllers.split(",") if c in LIMITS):
            names = group.strip("/").split("/")
            for depth in range(len(names), -1, -1):
                with suppress(OSError, ValueError):  # no such group here, or "max"
                    yield int((root / "sys/fs/cgroup" / folder).joinpath(*names[:depth], file).read_text())
