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

    Chunks of whole rows under plain gzip, as the product has them, are inflated outside the HDF5 library: its global
    lock is then held for the copy of the compressed bytes only, so threads inflate side by side.
    """
    rows = slice(grid.row0, grid.row0 + grid.rows)
    cols = slice(grid.col0, grid.col0 + grid.cols)
    if not _plain(dataset):
        return dataset[rows][:, cols]
    (height, width), dtype, raw = dataset.chunks, dataset.dtype, dataset.id
    size = height * width * dtype.itemsize
    out = np.full(grid.shape, dataset.fillvalue, dtype)
    for start in range(rows.start // height * height, rows.stop, height):
        if raw.get_chunk_info_by_coord((start, 0)).byte_offset is None:
            continue
        mask, packed = raw.read_direct_chunk((start, 0))
        if mask:
            return dataset[rows][:, cols]
        block = np.frombuffer(zlib.decompress(packed, bufsize=size), dtype).reshape(height, width)
        first, last = max(start, rows.start), min(start + height, rows.stop)
        out[first - rows.start : last - rows.start] = block[first - start : last - start, cols]
    return out


def _plain(dataset: Any) -> bool:
    return (
        dataset.chunks is not None
        and dataset.chunks[1] == dataset.shape[1]
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
