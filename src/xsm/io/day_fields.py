"""Variables made of the datasets of a file of one day, and those datasets as they are stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Stored:
    """A window of a dataset as it is stored.

    Parameters
    ----------
    values : ndarray
        ``(lat, lon)``.
    attrs : mapping
        Attributes of the dataset.
    path : Path
        The file.

    Examples
    --------
    >>> Stored(np.array([[7, 255]], "u1"), {"_FillValue": 255, "scale_factor": 0.5}, Path("a.nc")).numbers()
    array([[3.5, nan]], dtype=float32)
    """

    values: np.ndarray
    attrs: Mapping[str, Any]
    path: Path

    def numbers(self) -> np.ndarray:
        """float32 with the packing of CF applied; NaN for fill values and outside the valid range."""
        values = self.values.astype("f4")
        for name in ("_FillValue", "missing_value"):
            for fill in np.ravel(self.attrs.get(name, [])):
                values[self.values == fill] = np.nan
        low, high = np.ravel(self.attrs.get("valid_range", [-np.inf, np.inf]))[:2]
        values[(self.values < low) | (self.values > high)] = np.nan
        scale, offset = (float(np.ravel(self.attrs.get(n, d))[0]) for n, d in (("scale_factor", 1), ("add_offset", 0)))
        if not scale or not np.isfinite([scale, offset]).all():
            raise ValueError(f"scale_factor {scale}, add_offset {offset}")
        if scale != 1:
            parts = 1 / scale
            values = (
                values / np.float32(round(parts)) if abs(parts - round(parts)) < 1e-6 else values * np.float32(scale)
            )
        return values + np.float32(offset) if offset else values


@dataclass(frozen=True)
class DailyField:
    """A variable made of some datasets of a file.

    Parameters
    ----------
    needs : tuple of str
        Datasets ``(time, lat, lon)`` of the file.
    make : callable
        Makes the values of a window from the `Stored` datasets by name.
    attrs : mapping
        Attributes of the variable.
    dtype : str
        Of the values.
    empty : object
        Value where a day has no file.

    Examples
    --------
    >>> DailyField(("sm",), lambda stored: stored["sm"].numbers(), {"units": "m3 m-3"}).dtype
    'f4'
    """

    needs: tuple[str, ...]
    make: Callable[[Mapping[str, Stored]], np.ndarray]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    dtype: str = "f4"
    empty: Any = np.nan


def text_of(value: Any) -> str:
    """First element of an attribute of HDF5 as text.

    Parameters
    ----------
    value : object
        Bytes, text, or an array of them.

    Returns
    -------
    str

    Examples
    --------
    >>> text_of(np.bytes_(b"m3 m-3"))
    'm3 m-3'
    """
    value = np.ravel(value)[0]
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
