"""Tables that commands print."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any


def table(rows: Iterable[Iterable[Any]], header: tuple[str, ...]) -> None:
    """Print rows of a table; 160 characters wide where nobody looks."""
    from rich.console import Console
    from rich.table import Table

    grid = Table(*header, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        grid.add_row(*(str(cell) for cell in row))
    width = None if sys.stdout.isatty() else 160
    Console(width=width, highlight=False, soft_wrap=False).print(grid)
