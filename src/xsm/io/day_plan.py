"""Which steps of which files make which UTC day of a variable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from xsm.data.cf import canonical_attrs
from xsm.errors import DataError, tell
from xsm.series.daily import step_of

HOUR = np.timedelta64(3_600_000_000_000, "ns")
SAMPLED = 6
"""Hours between instants above which their mean is warned of."""
Steps = Literal["instant", "mean", "sum", "day so far"]


@dataclass(frozen=True)
class DailyMap:
    """A daily variable, and of what in the files it is made.

    Parameters
    ----------
    name : str
        Canonical name or one of the source's own.
    inputs : tuple of str
        Variables of the files that are summed; all of them lie in one part of a file.
    steps : {"instant", "mean", "sum", "day so far"}
        What a value is: the state at its time; the mean or the amount of the step that ends then; the amount of the UTC
        day until then. States and means are averaged over the day, amounts are those of the day.
    units : str
        Unit that the values of the files are converted to; a rate becomes the amount of a day.
    factor : float
        From ``units`` to the unit of the variable: 1 / 100 for kg m-2 in a layer of 100 mm.
    attrs : mapping of str to str
        Attributes of a name that is not canonical, ``units`` among them.
    like : str
        Canonical variable of which the values have the physical range; by default that of the name.
    above : float
        Values up to here mean that there is no soil; they become missing.

    Examples
    --------
    >>> top = DailyMap("sm_noah_0_10", ("SoilMoi0_10cm_inst",), units="kg m-2", factor=1 / 100)
    >>> top.metadata["units"], top.cell_methods
    ('m3 m-3', 'time: mean')
    """

    name: str
    inputs: tuple[str, ...]
    steps: Steps = "instant"
    units: str = "m3 m-3"
    factor: float = 1.0
    attrs: Mapping[str, str] = field(default_factory=dict, hash=False)
    like: str = ""
    above: float = -np.inf

    @property
    def metadata(self) -> dict[str, str]:
        """Attributes of the daily variable."""
        return canonical_attrs(self.like) | canonical_attrs(self.name) | dict(self.attrs)

    @property
    def cell_methods(self) -> str:
        """Whether the daily values are means or sums, as CF writes it."""
        rate = self.steps == "mean" and self.metadata["units"] == "kg m-2"
        return "time: sum" if rate or self.steps in ("sum", "day so far") else "time: mean"

    def days(self, times: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
        """UTC day of each time, and the hours of the day that its value stands for."""
        length = np.timedelta64(round(step * 3.6e12), "ns")
        back = {"instant": 0 * length, "day so far": np.timedelta64(1, "ns")}.get(self.steps, length // 2)
        day = (times - back).astype("M8[D]")
        return day, (times - day) / HOUR if self.steps == "day so far" else np.full(times.shape, step)


@dataclass(frozen=True)
class Part:
    """What was seen of a part of a file: its times, axes and maps."""

    path: Path
    number: int
    times: np.ndarray
    lat: np.ndarray
    lon: np.ndarray
    units: Mapping[str, str]
    synthetic: str = ""


class Step(NamedTuple):
    """A time, the hours of the day that its value stands for, and where it is: parts, and steps in them."""

    time: np.datetime64
    hours: float
    places: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Plan:
    """The steps of each day of a variable, and the hours between them."""

    days: Mapping[np.datetime64, list[Step]]
    hours: float

    def covered(self, day: np.datetime64) -> float:
        """Hours of a day that its steps stand for."""
        return sum(step.hours for step in self.days.get(day, []))


def plan_of(one: DailyMap, parts: Sequence[Part], step: float) -> Plan:
    """Plan the days of a variable from the parts that have its inputs.

    Parameters
    ----------
    one : DailyMap
    parts : sequence of Part
    step : float
        Hours between the times of the whole product; states may have been thinned out.

    Raises
    ------
    DataError
        For means and amounts of steps that do not follow each other.
    """
    places: dict[int, list[tuple[int, int]]] = {}
    for number, part in enumerate(parts):
        if all(n in part.units for n in one.inputs):
            for at, time in enumerate(part.times.astype("i8").tolist()):
                places.setdefault(time, []).append((number, at))
    times = np.array(sorted(places), "M8[ns]")
    spacing = step_of(times) if len(times) > 1 else step
    if one.steps in ("mean", "sum") and spacing > step:
        raise DataError(
            f"The files have '{one.inputs[0]}' every {spacing:g} hours, expected {step:g}: amounts and means of "
            f"{step:g} h do not make days then.",
            hint="Get all hours of the day.",
        )
    if one.steps == "instant" and spacing > SAMPLED:
        tell(f"The files have '{one.inputs[0]}' every {spacing:g} hours: means of days rest on so few values.")
    length = max(spacing, step) if one.steps == "instant" else step
    days: dict[np.datetime64, list[Step]] = {}
    for time, day, hours in zip(times, *one.days(times, length), strict=True):
        days.setdefault(day, []).append(Step(time, float(hours), tuple(places[int(time.astype("i8"))])))
    if one.steps == "day so far":
        days = {day: steps[-1:] for day, steps in days.items()}
    return Plan(days, length)


def days_of(plans: Sequence[Plan], time: slice | None) -> np.ndarray:
    """Every day from the first to the last one, or of a period.

    A day at an end of which a variable has nothing, or one step of several, is left out: 00 UTC after a day belongs to
    its amounts.
    """
    keys = [day for plan in plans for day in plan.days]
    first, last = min(keys), max(keys)
    for edge in (first, last):
        if first < last and not all(plan.covered(edge) > plan.hours % 24 for plan in plans):
            first, last = (first + (edge == first), last - (edge == last))
    if time is not None:
        first = first if time.start is None else np.datetime64(time.start, "D")
        last = last if time.stop is None else np.datetime64(time.stop, "D")
    days = np.arange(first, last + 1)
    if not any(day in plan.days for plan in plans for day in days):
        raise DataError(f"The files are of {min(keys)} to {max(keys)}, none of them of the period.",
                        hint="Check the period and the paths.")  # fmt: skip
    return days
