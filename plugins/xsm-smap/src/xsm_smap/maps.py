"""2-D maps as the product has them, whoever saved the file again: order of axes, fills, scale, types, units."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from xsm import DataError, Grid
from xsm.plugin_api import affine, canonical_attrs, speak_for, unit_of

from xsm_smap.hdf5 import Frame, dims, plane, swapped, text
from xsm_smap.layout import FIELDS, FILL, NO_FLAG, OBSERVED, resolve, type_class
from xsm_smap.placing import Place
from xsm_smap.read import is_plain

STEPS_OF_TIME = {
    "s": 1.0, "second": 1.0, "seconds": 1.0, "milliseconds": 1e-3, "microseconds": 1e-6, "nanoseconds": 1e-9,
}  # fmt: skip
FILLS = ("_FillValue", "missing_value")


class Unit(NamedTuple):
    """Factor and offset to the unit of the variable; ``silent`` is the name of a dataset that gives no unit."""

    factor: float
    offset: float
    silent: str

    def convert(self, values: np.ndarray) -> np.ndarray:
        """Floats in the unit of the variable, in their own type; fills stay."""
        if (self.factor, self.offset) == (1, 0):
            return values
        kind = values.dtype.type
        return np.where(values == FILL, kind(FILL), values * kind(self.factor) + kind(self.offset))


def saved_again(dataset: Any) -> bool:
    """Whether a netCDF library wrote the dataset: the product itself has no named dimensions."""
    return dims(dataset) is not None or "scale_factor" in dataset.attrs


def has_numbers(dataset: Any) -> bool:
    """Whether a dataset is of the integers or IEEE floats that netCDF knows, bit for bit."""
    from h5py import h5t

    names = [f"IEEE_F{b}{e}" for b in (32, 64) for e in ("LE", "BE")]
    names += [f"STD_{s}{b}{e}" for s in "IU" for b in (8, 16, 32, 64) for e in ("LE", "BE")]
    return hasattr(dataset, "dtype") and any(dataset.id.get_type().equal(getattr(h5t, n)) for n in names)


def upright(dataset: Any, frame: Frame) -> np.ndarray:
    """Read a map whole, its axes in the order of the frame."""
    values = np.asarray(dataset[...]).reshape([dataset.shape[i] for i in plane(dataset)])
    return values.T if swapped(dataset, frame) else values


def is_turned(dataset: Any, axes: Frame) -> bool:
    """Whether a map has other axes than two in the order of a frame."""
    return dataset.ndim != 2 or bool(swapped(dataset, axes))


def cut(values: np.ndarray, placed: Place | None, window: Grid) -> np.ndarray:
    """Take the window from a whole map: as it is placed, or with the rows and columns of the grid."""
    if placed is not None:
        return placed.put(values, window)
    return values[window.row0 : window.row0 + window.rows, window.col0 : window.col0 + window.cols]


def standard(dataset: Any, values: np.ndarray, kind: str) -> np.ndarray:
    """Values with the product's own fill and type: floats with -9999 ("f"), uint16 with 65534 ("u")."""
    attrs = {
        n: np.asarray(dataset.attrs[n]).flat[0] for n in (*FILLS, "scale_factor", "add_offset") if n in dataset.attrs
    }
    packed = "scale_factor" in attrs or "add_offset" in attrs
    usual = FILL if kind == "f" else float(NO_FLAG)
    fills = [attrs[n] for n in FILLS if n in attrs and not (attrs[n] == usual or attrs[n] != attrs[n])]
    if values.dtype.kind == kind and not packed and not fills and (kind == "f" or values.dtype.itemsize == 2):
        return values
    missing = np.isin(values, np.array(fills, values.dtype)) if fills else np.zeros(values.shape, bool)
    if values.dtype.kind == "f":
        missing |= ~np.isfinite(values)
    elif kind == "f":
        missing |= values == np.iinfo(values.dtype).min if values.dtype.kind == "i" else False
    missing |= values == usual
    out = np.where(missing, 0, values).astype("f8")
    out = out * float(attrs.get("scale_factor", 1)) + float(attrs.get("add_offset", 0))
    if kind == "f":
        return np.where(missing, FILL, out).astype("f8" if values.dtype.itemsize == 8 else "f4")
    if (out != np.rint(out)).any() or out.min(initial=0) < 0 or out.max(initial=0) > np.iinfo("u2").max:
        raise DataError(
            f"{dataset.name} contains values that are not flags.", hint="Take the file as it was downloaded."
        )
    return np.where(missing, NO_FLAG, out).astype("u2")


def release(*names: str) -> str:
    """The oldest of the release identifiers that a file gives: an old file under a new name stays old."""
    return min((n for n in names if n), default="")


def dataset_of(group: Any, dataset: str, level: str, suffix: str, crid: str, path: str | Path) -> Any:
    """Find a dataset of `layout.needs` in a group, by its exact name, and check its type."""
    suffixes = (suffix, "") if "Polar" in group.name else (suffix,)  # documentation disagrees on the polar PM group
    names = [n for s in dict.fromkeys(suffixes) if (n := resolve(dataset, group, level=level, suffix=s, crid=crid))]
    if not names and dataset == OBSERVED and "latitude" + suffix in group:
        names = ["latitude" + suffix]
    if not names:
        why = (
            f"; its release {crid or '(unknown)'} may mean another algorithm by the generic name"
            if dataset.endswith("_dca") and dataset.removesuffix("_dca") + suffix in group
            else ""
        )
        raise DataError(
            f"'{path}' has no dataset {group.name}/{dataset}{suffix}{why}.",
            hint="Use release R18 or newer, or ask for other variables."
            if why
            else "Take it into the subset, or ask for other variables.",
        )
    if len(names) > 1:
        raise DataError(
            f"'{path}' has {names[0]} and {names[1]} in {group.name}; nothing says which is right.",
            hint="Use the file as it was downloaded.",
        )
    node, kind = group[names[0]], "f" if names[0].startswith("latitude") else type_class(dataset)
    if not (is_plain(node, kind) or (has_numbers(node) and saved_again(node))):
        raise DataError(
            f"'{path}': {group.name}/{names[0]} has the type {getattr(node, 'dtype', 'of a group')}, expected "
            f"{'unsigned integers' if kind == 'u' else 'floats'}.",
            hint="Use the file as it was downloaded.",
        )
    return node


def is_empty(dataset: Any) -> bool:
    """Whether a map of floats contains fills alone; flags do not count."""
    values = np.asarray(dataset[...])
    if values.dtype.kind != "f":
        return True
    values = standard(dataset, values, "f")
    return not (np.isfinite(values) & (values != FILL)).any()


def in_units(dataset: Any, values: np.ndarray, name: str) -> np.ndarray:
    """Values of a dataset of `layout.needs` in its own type: times in seconds, latitude as observed (0) or not."""
    kind = "f" if values.dtype.kind == "f" and name == OBSERVED else type_class(name)
    out = standard(dataset, values, kind)
    if name == OBSERVED and kind == "f":
        return np.where(np.isfinite(out) & (out != FILL), np.uint16(0), NO_FLAG)
    factor = STEPS_OF_TIME.get(text(dataset, "units").strip(), 1.0) if name == "tb_time_seconds" else 1.0
    return out if factor == 1 else np.where(out == FILL, FILL, out * factor)


def unit_in(dataset: Any, variable: str, path: Path | str, stated: Mapping[str, str]) -> Unit:
    """The unit of a dataset as factor and offset to the variable's own, and whether the file gives none.

    A file that was saved again without units is read where its values can be in no other than the product's; otherwise
    the user has to state it.

    Parameters
    ----------
    dataset : h5py.Dataset
        The dataset that a canonical variable is made from.
    variable : str
        Its name.
    path : Path or str
        Of the file.
    stated : mapping
        Units that the user states, by the name of the dataset or the canonical one.
    """
    kind = FIELDS[variable].kind if variable in FIELDS else "float"
    unit, name = text(dataset, "units").strip(), dataset.name.rsplit("/", 1)[-1]
    expected = canonical_attrs(variable).get("units", "1")
    if kind == "time" and unit and unit not in STEPS_OF_TIME:
        raise DataError(
            f"'{path}': {dataset.name} is in '{unit}', expected seconds.", hint="Save it as the product has it."
        )
    silent = not unit and stated.get(name) is None and stated.get(variable) is None
    if kind in ("time", "flag") or (silent and expected == "1"):
        return Unit(1.0, 0.0, "")
    if silent:
        values = standard(dataset, np.asarray(dataset[...]), "f")
        if speak_for(np.where(np.isfinite(values) & (values != FILL), values, np.nan), variable, expected):
            return Unit(1.0, 0.0, name)
    unit = unit_of(unit, name, path, stated, known=variable, example=expected)
    try:
        factor, offset = affine(unit, expected)
    except DataError:
        raise DataError(
            f"'{path}': {dataset.name} is in '{unit}', expected {expected}.",
            hint="Convert it, or take the file as it was downloaded.",
        ) from None
    return Unit(factor, offset, "")
