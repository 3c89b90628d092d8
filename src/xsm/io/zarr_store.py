"""Zarr stores of unknown origin, before anything in them is read: links that leave them, codecs that run code."""

from __future__ import annotations

import os
from pathlib import Path

from xsm.errors import DataError

METADATA = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")
MOST_FILES, MOST_BYTES = 15_000, 10_000_000
"""Files of metadata in a store, and the size of one."""


def check_zarr(path: Path) -> None:
    """Refuse a store with links that lead out of it, with pickled values, or with an absurd amount of metadata.

    The folder itself may be a link; the error names the file that is meant.
    """
    root = os.path.realpath(path)
    folders, count = [root], 0
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_symlink():
                    if os.path.commonpath([root, os.path.realpath(entry.path)]) != root:
                        name = os.path.relpath(entry.path, root)
                        raise DataError(
                            f"'{path}' has a link '{name}' that leads out of the store.",
                            hint="If you trust it, put a copy of what it leads to in its place.",
                        )
                elif entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif entry.name in METADATA:
                    count += 1
                    _check_metadata(path, Path(entry.path), count)


def _check_metadata(store: Path, file: Path, count: int) -> None:
    if count > MOST_FILES or file.stat().st_size > MOST_BYTES:
        raise DataError(
            f"'{store}' has more than {MOST_FILES} files of metadata, or one of more than {MOST_BYTES:.0e} bytes.",
            hint="It is damaged, or not a store for xsm.",
        )
    if file.name != ".zattrs" and b'pickle"' in file.read_bytes():
        raise DataError(
            f"'{store}' keeps values of '{file.parent.name}' as pickles, which can run code.",
            hint="Ask for a store without objects.",
        )
