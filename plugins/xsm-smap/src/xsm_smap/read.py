"""Windows of the files: whole rows are inflated, columns sliced, every dataset read once.

Documentation: Formats, SMAP, Storage.
"""

from __future__ import annotations

import contextlib
import itertools
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from xsm import DataError, Grid, XsmError
from xsm.plugin_api import check_hdf5, drop_impossible, tell

from xsm_smap.layout import BAD_BITS, EPOCH, FIELDS, FILL, FLAGS, LAND, MAGIC, NO_FLAG, OBSERVED

Raw = Callable[[str], np.ndarray]
Owners = dict[int, int]
"""Place in a file, and the address of the dataset whose values lie there."""
DAMAGE = (
    OSError,
    RuntimeError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
    zlib.error,
)
"""What h5py and zlib raise where a file is damaged."""
OTHER_FORMATS = {
    b"II*\0": "a TIFF file",
    b"MM\0*": "a TIFF file",
    b"CDF\x01": "a netCDF-3 file",
    b"CDF\x02": "a netCDF-3 file",
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "a gzip archive",
    b"GRIB": "a GRIB file",
}
"""First bytes of files that are whole and of another format."""
SUPERBLOCK = 48
"""Bytes at the start of a file in which no values can lie."""
COMPACT = 0
"""HDF5 layout of values inside the object header."""
NEAR = np.timedelta64(36, "h")
"""A granule's cells are observed within this time of its noon."""


def check_magic(path: Path) -> None:
    """Stop with a sentence where a file does not start as HDF5 does."""
    try:
        with open(path, "rb") as file:
            head = file.read(512)
    except OSError as error:
        raise DataError(f"{path} cannot be opened ({error.strerror}).", hint="Check the path.") from None
    if head.startswith(MAGIC):
        return
    if not head:
        raise DataError(f"'{path}' is empty, expected a SMAP HDF5 file.", hint="Download it again.")
    if head.lstrip()[:1] == b"<":
        raise DataError(
            f"'{path}' is a web page, most likely the Earthdata login page, expected a SMAP HDF5 file.",
            hint="Log in to Earthdata and download it again.",
        )
    other = next((name for start, name in OTHER_FORMATS.items() if head.startswith(start)), "")
    if other:
        raise DataError(f"'{path}' is {other}, expected a SMAP HDF5 file.", hint="Request the granules as HDF5 (.h5).")
    raise DataError(
        f"'{path}' is not an HDF5 file (it starts with {head[:8]!r}).",
        hint="Download it again." if path.suffix in (".h5", ".nc", ".nc4") else "Request the granules as HDF5 (.h5).",
    )


@contextlib.contextmanager
def opened(path: str | Path) -> Iterator[Any]:
    """Open an HDF5 file; whatever the HDF5 library dislikes becomes a `DataError` that names the file."""
    import h5py

    check_hdf5(path)
    try:
        with h5py.File(path, "r", locking="best-effort") as file:
            yield file
    except XsmError:
        raise
    except FileNotFoundError:
        raise DataError(f"'{path}' does not exist.", hint="Check the path.") from None
    except DAMAGE as error:
        reason = str(error).strip("'\"").split("\n")[0]
        raise DataError(
            f"'{path}' cannot be read as HDF5 ({reason}).", hint="It may be cut short: download it again."
        ) from error


def window(dataset: Any, grid: Grid, beside: Any = None) -> np.ndarray:
    """Read the window of a global ``(row, col)`` dataset in the file's own type and fill.

    Rows that were never written hold the fill; where ``beside``, another dataset of the same layout, has them, the
    file is damaged.

    Chunks of one row under plain gzip, as the product has them, are inflated outside the HDF5 library: its global lock
    is then held for the copy of the compressed bytes only, so threads inflate side by side. A row is inflated to its
    end, where its checksum is.
    """
    first, last = grid.row0, grid.row0 + grid.rows
    cols = slice(grid.col0, grid.col0 + grid.cols)
    if not _plain(dataset):
        return dataset[first:last][:, cols]
    raw, dtype, width = dataset.id, dataset.dtype, dataset.shape[1]
    absent = np.full(width, dataset.fillvalue, dtype).tobytes()
    whole = raw.get_num_chunks() == dataset.shape[0]
    lines = []
    for row in range(first, last):
        if not whole and raw.get_chunk_info_by_coord((row, 0)).byte_offset is None:
            if beside is not None and beside.id.get_chunk_info_by_coord((row, 0)).byte_offset is not None:
                raise OSError(f"row {row} of {dataset.name} is lost")
            lines.append(absent)
            continue
        mask, packed = raw.read_direct_chunk((row, 0))
        if mask:
            return dataset[first:last][:, cols]
        lines.append(inflate(packed, len(absent)))
    return np.frombuffer(b"".join(lines), dtype).reshape(grid.rows, width)[:, cols]


def check_complete(datasets: Iterable[Any]) -> None:
    """Refuse datasets of which a part is lost (it would read as zeros), or that share bytes of the file."""
    owners: Owners = {}
    for dataset in datasets:
        if dataset.chunks is None:
            places = [dataset.id.get_offset()]
        else:
            corners = itertools.product(*(range(0, s, c) for s, c in zip(dataset.shape, dataset.chunks, strict=True)))
            places = [dataset.id.get_chunk_info_by_coord(corner).byte_offset for corner in corners]
        places = [p if p is None or p >= SUPERBLOCK else None for p in places]
        if None in places and dataset.id.get_create_plist().get_layout() != COMPACT:
            raise OSError(f"a part of {dataset.name} is lost")
        _claim(owners, dataset, places)


def check_rows(owners: Owners, dataset: Any, rows: Iterable[int]) -> None:
    """Refuse a dataset in chunks of one row if one of these rows lies where another dataset of ``owners`` lies."""
    if dataset.chunks == (1, dataset.shape[1]):
        _claim(owners, dataset, [dataset.id.get_chunk_info_by_coord((row, 0)).byte_offset for row in rows])


def _claim(owners: Owners, dataset: Any, places: Iterable[int | None]) -> None:
    node = _address(dataset)
    if any(owners.setdefault(place, node) != node for place in places if place is not None):
        raise OSError(f"{dataset.name} contains the values of another dataset")


def is_plain(dataset: Any, kind: str) -> bool:
    """Whether a dataset is of IEEE floats (``kind`` "f") or of unsigned integers of 16 bits ("u"), bit for bit."""
    from h5py import h5t

    floats = (h5t.IEEE_F32LE, h5t.IEEE_F64LE, h5t.IEEE_F32BE, h5t.IEEE_F64BE)
    known = floats if kind == "f" else (h5t.STD_U16LE, h5t.STD_U16BE)
    return hasattr(dataset, "dtype") and any(dataset.id.get_type().equal(t) for t in known)


def _address(dataset: Any) -> int:
    """Where the object lies in its file: hard links have one."""
    from h5py import h5o

    return h5o.get_info(dataset.id).addr


def inflate(packed: bytes, size: int) -> bytes:
    """Inflate a chunk that must contain ``size`` bytes; never more is allocated, whatever the stream says."""
    stream = zlib.decompressobj()
    data = stream.decompress(packed, size)
    if len(data) != size or stream.decompress(stream.unconsumed_tail, 1) or not stream.eof:
        raise zlib.error(f"a chunk does not contain {size} bytes")
    return data


def _plain(dataset: Any) -> bool:
    return (
        dataset.chunks == (1, dataset.shape[1])
        and dataset.compression == "gzip"
        and dataset.id.get_create_plist().get_nfilters() == 1
    )


def decode(raw: Raw, variable: str, quality: str, *, where: str, day: np.datetime64) -> np.ndarray:
    """Turn raw datasets into one canonical variable.

    Fills and flags mask; ``valid_min`` and ``valid_max`` of the files are wrong and never looked at
    (documentation: Formats, SMAP, Pitfalls). What is physically impossible, a flag with bits that the product does not
    have and a time far from the day are missing too, with a warning.

    Parameters
    ----------
    raw : callable
        Gives the raw array of a dataset by its name without pass suffix.
    variable : str
        Canonical name.
    quality : str
        A key of `layout.BAD_BITS`.
    where : str
        Name of the file.
    day : datetime64
        UTC day of the file.
    """
    field = FIELDS[variable]
    values = raw(field.dataset)
    if field.kind == "flag":
        off = raw(OBSERVED) == NO_FLAG
        known = (1 << len(FLAGS[variable])) - 1
        odd = ~off & (values & ~np.uint16(known) != 0) & (values != NO_FLAG)
        _tell(odd, f"flags of '{variable}' have bits that the product does not have", where)
        return np.where(off | odd, NO_FLAG, values).astype("u2")
    missing = ~np.isfinite(values) | (values == FILL)
    if field.kind == "time":
        noon = (day + np.timedelta64(12, "h") - EPOCH) / np.timedelta64(1, "s")
        far = ~missing & (np.abs(np.where(missing, noon, values) - noon) > NEAR / np.timedelta64(1, "s"))
        _tell(far, f"times are more than {NEAR} from noon of {day}", where)
        milliseconds = np.rint(np.where(missing | far, 0, values) * 1e3).astype("i8").astype("m8[ms]")
        return np.where(missing | far, np.datetime64("NaT"), EPOCH + milliseconds).astype("M8[ns]")
    if quality != "none" and field.kind == "tb":
        missing |= (raw(field.flag) & 1 != 0) | (raw(LAND) != 0)
    elif quality != "none" and field.kind == "retrieval":
        missing |= raw(field.flag) & BAD_BITS[quality] != 0
    with np.errstate(over="ignore"):
        return drop_impossible(np.where(missing, np.nan, values).astype("f4"), variable, where)


def _tell(odd: np.ndarray, what: str, where: str) -> None:
    if odd.any():
        tell(f"{where}: {int(odd.sum())} of {odd.size} {what}; they are missing.")
