"""How much memory this process may use: the machine's, or less in a job of a cluster or a container (cgroups)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

UNKNOWN = 16 << 30
"""Bytes where the system tells nothing."""
LIMITS = {"": ("", "memory.max"), "memory": ("memory", "memory.limit_in_bytes")}
"""Folder of the tree and file of the limit, by the controller that a line of /proc/self/cgroup names: v2, and v1."""


def memory(root: Path = Path("/")) -> int:
    """Bytes that this process may use: the smallest limit of its own cgroup and those above, at most the machine's."""
    pages = "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {})
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if pages else UNKNOWN
    return min([machine, *_limits(root)])


def _limits(root: Path) -> Iterator[int]:
    """Limits that are set; a container does not see the groups above its own, whose files lie at the top then."""
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
