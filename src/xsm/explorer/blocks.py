"""Days of maps as compact whole numbers: blocks of days are read when a day is asked for, and some are kept."""

from __future__ import annotations

import math
import struct
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from xsm.errors import UsageError
from xsm.explorer.products import Catalogue, Product
from xsm.series.day_of_year import around, day_of_year
from xsm.series.percentile import How

MISSING = 65535
KEPT_BYTES, BLOCK_BYTES = 256 << 20, 48 << 20
"""Bytes of all blocks that are kept, and of one."""
MOST_DAYS = 64
LEAST_SCALE = float(np.finfo("f4").tiny)
Window = tuple[slice, slice]


@dataclass(frozen=True)
class Packed:
    """Maps as ``offset + scale * number`` in the last two axes; `MISSING` where there is no value."""

    numbers: np.ndarray
    scale: float
    offset: float

    def values(self) -> np.ndarray:
        """The maps as float32, NaN where missing."""
        values = self.numbers.astype("f4") * np.float32(self.scale) + np.float32(self.offset)
        values[self.numbers == MISSING] = np.nan
        return values

    def to_bytes(self) -> bytes:
        """Scale, offset, rows and columns, then the numbers of one map, little-endian."""
        rows, cols = self.numbers.shape
        return struct.pack("<ddII", self.scale, self.offset, rows, cols) + self.numbers.astype("<u2").tobytes()


def pack(values: np.ndarray) -> Packed:
    """Pack maps between their extremes; whole numbers of few values stay exact.

    Examples
    --------
    >>> packed = pack(np.array([[0.1, np.nan], [0.5, 0.3]]))
    >>> packed.numbers.tolist(), np.nanmax(packed.values()).round(6)
    ([[0, 65535], [65534, 32767]], np.float32(0.5))
    """
    whole = values.dtype.kind in "iub"
    low, high = (float(end.reduce(values, axis=None)) for end in (np.fmin, np.fmax))
    if not np.isfinite(high - low):
        values = np.where(np.isfinite(values), values, np.nan)
        low, high = (float(end.reduce(values, axis=None)) for end in (np.fmin, np.fmax))
    if np.isnan(low):
        return Packed(np.full(values.shape, MISSING, "u2"), 1.0, 0.0)
    scale = 1.0 if whole and high - low < MISSING else max((high - low) / (MISSING - 1), LEAST_SCALE)
    numbers = np.subtract(values, low, dtype="f8" if values.dtype.itemsize > 4 or whole else "f4")
    numbers *= 1 / scale
    numbers += 0.5
    np.copyto(numbers, MISSING, where=np.isnan(numbers))
    return Packed(numbers.astype("u2"), scale, low)


class Blocks:
    """Reads days of products block by block, in two threads, and keeps the blocks that were needed last."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._kept: OrderedDict[tuple[str, str, int], Future[Packed]] = OrderedDict()
        self._last = "", -1
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(2, "xsm-view")

    def day(self, product: Product, day: int, kind: str = "value", window: Window | None = None) -> Packed | None:
        """One day of a product, days since 1970: its value, spread or percentile; None where it has no such day."""
        position = int(np.searchsorted(product.days.astype(int), day))
        if position == len(product.days) or product.days[position].astype(int) != day:
            return None
        if kind not in _NAMES and kind != "percentile":
            raise UsageError(f"The kind is '{kind}', expected value, spread or percentile.", hint="Reload the page.")
        if kind == "percentile":
            packed = pack(self._percentiles(product, position))
        else:
            name = _NAMES[kind](product)
            if not name:
                raise UsageError(f"'{product.key}' has no standard deviation.", hint="Choose another product.")
            number, within = divmod(position, self._step(product))
            block = self._block(product, name, number)
            packed = Packed(block.numbers[within], block.scale, block.offset)
            if self._last == (product.key, position - 1):
                self._ahead(product, name, number + 1)
            self._last = product.key, position
        return packed if window is None else Packed(packed.numbers[window], packed.scale, packed.offset)

    def _step(self, product: Product) -> int:
        """Days of a block: the chunk of the data, or as many as fit."""
        array = product.ds[product.name]
        chunk = array.chunksizes["time"][0] if array.chunks is not None else MOST_DAYS
        fit = max(1, BLOCK_BYTES * len(product.days) // (2 * array.size))
        return min(chunk, MOST_DAYS, 1 << int(math.log2(fit)))

    def _block(self, product: Product, name: str, number: int) -> Packed:
        key = product.key, name, number
        with self._lock:
            future = self._kept.get(key)
            if future is None:
                future = self._kept[key] = self._pool.submit(self._read, product, name, number)
            self._kept.move_to_end(key)
        try:
            block = future.result()
        except Exception:
            with self._lock:
                self._kept.pop(key, None)
            raise
        self._forget()
        return block

    def _ahead(self, product: Product, name: str, number: int) -> None:
        """Begin to read the next block, which is needed soon when days play."""
        key = product.key, name, number
        if number * self._step(product) < len(product.days):
            with self._lock:
                if key not in self._kept:
                    self._kept[key] = self._pool.submit(self._read, product, name, number)

    def _read(self, product: Product, name: str, number: int) -> Packed:
        step, grid = self._step(product), self.catalogue.grids[product.grid]
        part = product.ds[name].isel(time=slice(number * step, (number + 1) * step)).transpose("time", *grid.dims)
        values = part.values
        if values.dtype == np.uint8 and product.name == name and "flag_values" in part.attrs:
            values = np.where(values == 255, np.float32(np.nan), values)
        return pack(values[:, ::-1] if grid.flipped else values)

    def _forget(self) -> None:
        with self._lock:
            done = [k for k, f in self._kept.items() if f.done() and not f.exception()]
            size = sum(self._kept[k].result().numbers.nbytes for k in done)
            for key in done[:-1]:
                if size <= KEPT_BYTES:
                    break
                size -= self._kept.pop(key).result().numbers.nbytes

    def _percentiles(self, product: Product, position: int) -> np.ndarray:
        """Percentile of a day among the values of all years around its day of year, as `xsm.percentile` has it."""
        near, how = around(product.days, How().window), How()
        number = int(day_of_year(product.days[position : position + 1])[0]) - 1
        those = np.sort(near.order[near.begin[number] : near.end[number]])
        year = product.days.astype("M8[Y]").astype(int)
        step = self._step(product)
        block = self._block(product, product.name, position // step)
        value = Packed(block.numbers[position % step], block.scale, block.offset).values()
        below, above, count = (np.zeros(value.shape, "i4") for _ in range(3))
        years = np.zeros(value.shape, "i4")
        for some in np.split(those, np.flatnonzero(np.diff(year[those])) + 1):
            present = np.zeros(value.shape, bool)
            for part in np.split(some, np.flatnonzero(np.diff(some // step)) + 1):
                block = self._block(product, product.name, int(part[0]) // step)
                for i in part % step:
                    values = Packed(block.numbers[i], block.scale, block.offset).values()
                    below += values < value
                    above += values > value
                    valid = np.isfinite(values)
                    count += valid
                    present |= valid
            years += present
        enough = (years >= how.min_years) & np.isfinite(value)
        return np.where(enough, 50.0 * (count + below - above) / np.maximum(count, 1), np.nan).astype("f4")

    def close(self) -> None:
        """Read nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)


_NAMES: dict[str, Callable[[Product], str]] = {"value": lambda p: p.name, "spread": lambda p: p.spread}
