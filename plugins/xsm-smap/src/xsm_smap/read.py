"""Windows of the files: whole rows are inflated, columns sliced, every dataset read once (FORMATS.md section 1.4)."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from xsm import DataError, Grid

from xsm_smap.layout import BAD_BITS, EPOCH, FIELDS, FILL, LAND, NO_FLAG, OBSERVED

Raw = Callable[[str], np.ndarray]


@contextlib.contextmanager
def opened(path: str | Path) -> Iterator[Any]:
    """Open an HDF5 file; whatever the HDF5 library dislikes becomes a `DataError` that names the file."""
    import h5py

    try:
        with h5py.File(path, "r", locking="best-effort") as file:
            yield file
    except FileNotFoundError:
        raise DataError(f"{path} does not exist.", hint="Check the path.") from None
    except (OSError, RuntimeError, KeyError, zlib.error) as error:
        reason = str(error).strip("'\"").split("\n")[0]
        raise DataError(
            f"{Path(path).name} cannot be read as HDF5 ({reason}).", hint="It may be cut short: download it again."
        ) from error


def window(dataset: Any, grid: Grid) -> np.ndarray:
    """Read the window of a global ``(row, col)`` dataset in the file's own type and fill.

    Chunks of one row under plain gzip, as the product has them, are inflated outside the HDF5 library and no farther
    than the window's last column: the library's global lock is held for the copy of compressed bytes only, so threads
    inflate side by side, and what lies east of the window is never unpacked (nor is the row's checksum then reached).
    """
    first, last = grid.row0, grid.row0 + grid.rows
    left, right = grid.col0, grid.col0 + grid.cols
    if not _plain(dataset):
        return dataset[first:last, left:right]
    raw, dtype = dataset.id, dataset.dtype
    size = right * dtype.itemsize
    absent = np.full(right, dataset.fillvalue, dtype).tobytes()
    whole = raw.get_num_chunks() == dataset.shape[0]
    lines = []
    for row in range(first, last):
        if not whole and raw.get_chunk_info_by_coord((row, 0)).byte_offset is None:
            lines.append(absent)
            continue
        mask, packed = raw.read_direct_chunk((row, 0))
        if mask:
            return dataset[first:last, left:right]
        lines.append(zlib.decompressobj().decompress(packed, size))
        if len(lines[-1]) < size:
            raise zlib.error(f"row {row} of {dataset.name} ends after {len(lines[-1])} of {size} bytes")
    return np.frombuffer(b"".join(lines), dtype).reshape(grid.rows, right)[:, left:]


def _plain(dataset: Any) -> bool:
    return (
        dataset.chunks == (1, dataset.shape[1])
        and dataset.compression == "gzip"
        and dataset.id.get_create_plist().get_nfilters() == 1
    )


def decode(raw: Raw, variable: str, quality: str) -> np.ndarray:
    """Turn raw datasets into one canonical variable.

    Only fills and flags mask; ``valid_min`` and ``valid_max`` of the files are wrong and never looked at
    (FORMATS.md section 1.8).

    Parameters
    ----------
    raw : callable
        Gives the raw array of a dataset by its name without pass suffix.
    variable : str
        Canonical name.
    quality : str
        A key of `layout.BAD_BITS`.
    """
    field = FIELDS[variable]
    values = raw(field.dataset)
    if field.kind == "flag":
        return np.where(raw(OBSERVED) == NO_FLAG, NO_FLAG, values).astype("u2")
    missing = ~np.isfinite(values) | (values == FILL)
    if field.kind == "time":
        milliseconds = np.rint(np.where(missing, 0, values) * 1e3).astype("i8").astype("m8[ms]")
        return np.where(missing, np.datetime64("NaT"), EPOCH + milliseconds).astype("M8[ns]")
    if quality != "none" and field.kind == "tb":
        missing |= (raw(field.flag) & 1 != 0) | (raw(LAND) != 0)
    elif quality != "none" and field.kind == "retrieval":
        missing |= raw(field.flag) & BAD_BITS[quality] != 0
    return np.where(missing, np.nan, values).astype("f4")
