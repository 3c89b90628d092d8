"""Rows of station files: those that cannot be read, those that are there twice, and values in another unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from xsm import DataError
from xsm.plugin_api import convert, tell, unit_of

SHARE = 0.1
"""Share of lines that may be unreadable; a file with more is damaged."""
PERCENT = "If they are percent, say so with <units=soil_moisture=percent>; else leave the file out."


class EmptyFile(DataError):
    """A file that is sound and has no values: it is left out, whatever ``on_error`` says."""


def leave_out(path: object, bad: Sequence[int], total: int, what: str = "line") -> None:
    """Tell of lines that are left out; more than `SHARE` of them refuse the file.

    Parameters
    ----------
    path : object
        File.
    bad : sequence of int
        Numbers of the lines, counted from 1.
    total : int
        Lines with values that the file has.
    what : str
        What is counted.
    """
    if not len(bad):
        return
    if len(bad) > SHARE * total:
        raise DataError(
            f"{len(bad)} of {total} {what}s of '{path}' cannot be read, the first is {what} {bad[0]}.",
            hint="The file is damaged or of another format: download it again.",
        )
    tell(f"'{path}': {len(bad)} of {total} {what}s cannot be read and are left out, the first is {what} {bad[0]}.")


def settle(path: object, when: np.ndarray, columns: Mapping[str, np.ndarray], headers: int = 1) -> np.ndarray:
    """Indices of the rows in the order of time, each time once.

    Rows that are repeated with equal values are left out and told; the remaining ones must rise, or all fall, or start
    anew once for each further header of files that were put together.

    Parameters
    ----------
    path : object
        File, for errors.
    when : ndarray of datetime64
        Times.
    columns : mapping of str to ndarray
        What must be equal in rows of one time, by names for errors.
    headers : int
        Headers that the file has.

    Returns
    -------
    ndarray of int
    """
    if np.isnat(when).any():
        raise DataError(f"'{path}' has a row whose time cannot be read.", hint="Download the file again.")
    steps = np.diff(when)
    if (steps > np.timedelta64(0)).all():
        return np.arange(len(when))
    _, first, back = np.unique(when, return_index=True, return_inverse=True)
    twin = first[back]
    again = np.flatnonzero(twin != np.arange(len(when)))
    for name, values in columns.items():
        a, b = values[twin[again]], values[again]
        differ = a != b
        if values.dtype.kind == "f":
            differ &= ~(np.isnan(a) & np.isnan(b))
        if differ.any():
            row = again[int(differ.argmax())]
            raise DataError(
                f"'{path}' has the time {_text(when[row])} twice, with the {name} {values[twin[row]]} in row "
                f"{twin[row] + 1} and {values[row]} in row {row + 1}.",
                hint="Keep the right row; daylight saving time repeats an hour: request standard time or UTC.",
            )
    if len(again):
        tell(
            f"'{path}' repeats {len(again)} rows with equal values, the first at {_text(when[again[0]])}; one of each "
            "is kept."
        )
    kept = np.sort(first)
    falls = int((np.diff(when[kept]) < np.timedelta64(0)).sum())
    if falls and falls < len(kept) - 1 and falls >= headers:
        at = kept[1 + int((np.diff(when[kept]) < np.timedelta64(0)).argmax())]
        raise DataError(
            f"'{path}' has times that do not rise ({_text(when[at])} in row {at + 1}).",
            hint="Sort its rows by time if they are right, or download the file again.",
        )
    return kept[np.argsort(when[kept], kind="stable")]


def in_unit(
    path: object, values: np.ndarray, name: str, stated: Mapping[str, str], unit: str = "", *, usual: str = ""
) -> np.ndarray:
    """Values in m3 m-3 (``soil_moisture``; -9 and less, which are missing, stay) or K (``soil_temperature``).

    Parameters
    ----------
    path : object
        File, for errors.
    values : ndarray of float
        As in the file.
    name : {"soil_moisture", "soil_temperature"}
        What they are.
    stated : mapping of str to str
        Units that the user states.
    unit : str
        What the file says, empty where it says nothing.
    usual : str
        What the format defines where the file and the user say nothing.

    Returns
    -------
    ndarray
        The same one where the unit is the wanted one.
    """
    moist = name == "soil_moisture"
    unit = unit or ("" if stated.get(name) else usual)
    unit = unit_of(unit, name, path, stated, example="percent" if moist else "degC")
    try:
        converted = convert(values, unit, "m3 m-3" if moist else "K")
    except DataError:
        expected = "m3 m-3 or percent" if moist else "K, degC or degF"
        raise DataError(
            f"'{path}' has {name} in '{unit}', expected {expected}.", hint="Convert it, or leave the file out."
        ) from None
    return np.where(values <= -9, values, converted) if moist and converted is not values else converted


def check_fractions(path: object, values: np.ndarray, hint: str = PERCENT) -> None:
    """Refuse soil moisture that is percent where m3 m-3 is expected: most values are above 1.

    Parameters
    ----------
    path : object
        File, for errors.
    values : ndarray of float
        All values of the file that are good; NaN and -9 or less are missing.
    hint : str
        What to do.
    """
    there = values[np.isfinite(values) & (values > -9)]
    if len(there) and 1 < (middle := float(np.median(there))) <= 100:
        raise DataError(
            f"'{path}' has soil moisture with a median of {middle:g}, expected 0 to 1 m3 m-3.",
            hint=hint,
        )


def check_percent(path: object, values: np.ndarray) -> None:
    """Tell of soil moisture in percent that looks as if it were m3 m-3: no value is above 1."""
    there = values[np.isfinite(values) & (values > 0)]
    if len(there) and there.max() <= 1:
        tell(
            f"'{path}' has soil moisture in percent of at most {there.max():g}, which is {there.max() / 100:g} m3 m-3: "
            "if its values are fractions, write 'm3 m-3' as their unit into it."
        )


def _text(time: np.datetime64) -> str:
    return str(time.astype("M8[m]")).replace("T", " ")
