"""Attributes, axes and numbers of HDF5 datasets, with or without named dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np

Frame = tuple[tuple[int, ...], tuple[str, ...] | None]
"""Shape of a map and the names of its dimensions."""


def text(node: Any, name: str) -> str:
    """An attribute as text, empty where it is absent."""
    value = node.attrs.get(name, "")
    value = value[0] if isinstance(value, np.ndarray) and value.size == 1 else value
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def dims(dataset: Any) -> tuple[str, ...] | None:
    """Names of the dimensions, None where a dataset has none."""
    scales = [(d[0].name or "").rsplit("/", 1)[-1] if len(d) else "" for d in dataset.dims]
    return tuple(scales) if all(scales) else None


def plane(dataset: Any) -> tuple[int, ...]:
    """The two axes of a map: those of length 1 beside them, such as time, are left out."""
    sizes = dataset.shape
    axes = [i for i, n in enumerate(sizes) if len(sizes) == 2 or n > 1]
    if len(axes) < 2 <= len(sizes):
        axes = [len(sizes) - 2, len(sizes) - 1]
    return tuple(axes)


def frame(dataset: Any) -> Frame:
    """Shape and names of the dimensions of a map."""
    axes, names, sizes = plane(dataset), dims(dataset), dataset.shape
    return tuple(sizes[i] for i in axes), None if names is None else tuple(names[i] for i in axes)


def shape(dataset: Any) -> tuple[int, ...]:
    """Shape of a map without axes of length 1 beside the two."""
    return frame(dataset)[0]


def swapped(dataset: Any, other: Frame) -> bool | None:
    """Whether a map has the two axes of a frame in the other order; None where it has other axes."""
    (size, names), (other_size, other_names) = frame(dataset), other
    if names and other_names and names[0] != names[-1] and set(names) == set(other_names):
        return (names != other_names) if sorted(size) == sorted(other_size) else None
    if size == other_size:
        return False
    return True if size == other_size[::-1] else None


def number(value: Any) -> float:
    """An attribute as a number, NaN where it is none."""
    try:
        return float(np.asarray(value).flat[0])
    except (TypeError, ValueError, IndexError):
        return float("nan")


def cleaned(node: Any, values: np.ndarray) -> np.ndarray:
    """Floats with NaN for the fills that a dataset names."""
    for name in ("_FillValue", "missing_value"):
        if name in node.attrs:
            values = np.where(values == number(node.attrs[name]), np.nan, values)
    return values
