"""Maps for notebooks and the shell: one day, a summary of all days, or a film of them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from xsm import atomic
from xsm.data.cf import same_units
from xsm.data.families import is_about_another
from xsm.data.period import day_of
from xsm.errors import DataError, UsageError, tell, unknown
from xsm.io.styles import OF_SERIES, classes_of, style_of
from xsm.progress import quiet
from xsm.reporting import map_figures, theme
from xsm.reporting.frames import Frame, frame_of, oriented
from xsm.reporting.labels import label
from xsm.reporting.scene import make_scene

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BAR_LETTERS, TITLE_LETTERS = 48, 48
"""Letters of a name below a colour bar, and of a title in one line."""
HOW = {
    "mean": "mean", "median": "median", "min": "minimum", "max": "maximum", "std": "standard deviation over the days",
    "count": "days with a value",
}  # fmt: skip
"""What a map shows of many days, in words."""
ENDS = {
    "_reference_std": "standard deviation of the reference", "_obs_std": "standard deviation of an observation",
    "_std": "standard deviation", "_observed": "whether observed", "_anomaly": "anomaly", "_percentile": "percentile",
    "_drought": "drought class", "_swi": "soil water index", "_trend": "trend", "_uncertainty": "uncertainty",
}  # fmt: skip
"""Ends of names in words."""
SAMPLE = 24
"""Days that set the scale of a film."""
BLOCK_BYTES = 2e8
"""Days of a film that are read at a time, in bytes."""
FILMS = (".gif", ".mp4")


def title_of(name: str, ds: xr.Dataset) -> str:
    """A variable in words: of a known product its name for people, else its long name.

    Examples
    --------
    >>> title_of("sm_25cm_s2_std", xr.Dataset())
    '25 cm, scenario 2: standard deviation'
    """
    for end, words in ENDS.items():
        if name.endswith(end) and (base := name.removesuffix(end)):
            return f"{title_of(base, ds)}: {words}"
    known = label(name, ds)
    long_name = str(ds[name].attrs.get("long_name", "")).partition(" (")[0] if name in ds else ""
    return known if known != name else long_name or name.replace("_", " ")


def ramp_of(ds: xr.Dataset, name: str) -> str:
    """Ramp of a variable, the same for every product: by its name, else by what it is."""
    volume = same_units(str(ds[name].attrs.get("units", "")), "m3 m-3")
    if volume and is_about_another(name, ds[name].attrs):
        return "uncertainty"
    if ramp := style_of(name):
        return ramp
    return "soil_moisture" if volume and not OF_SERIES.search(name) else ""


def one_map(
    ds: xr.Dataset, variable: str | None, day: str | None, how: str, title: str | None, vmin: float | None,
    vmax: float | None, robust: bool,
) -> Figure:  # fmt: skip
    """Map of a variable (the best soil moisture where None) on a day, or of what many days have in common."""
    frame, name, what = _subject(ds, variable)
    values, ramp = _upper(ds[name]), ramp_of(ds, name)
    bar = bar_of(ds, name, ramp)
    classes = classes_of(name, ds[name].attrs)
    if day is not None:
        values, when = _of_day(values, name, day), day
    elif "time" in values.dims:
        if classes:
            raise UsageError(f"'{name}' contains classes, which have no mean.", hint="Give a day.")
        what = f"{what}: {HOW[how]}"
        days = values["time"].values.astype("M8[D]")
        when = f"{days[0]} to {days[-1]}"
        values = values.count("time") if how == "count" else getattr(values, how)("time")
        if how in ("std", "count"):
            ramp = "uncertainty" if how == "std" and ramp in map_figures.BARS else ""
            unit = "" if how == "count" else theme.unit_text(str(ds[name].attrs.get("units", "")))
            bar = theme.with_unit(HOW[how].capitalize(), unit)
    else:
        when = ""
    values, title = values.compute(), title or _lines(what, when)
    if classes:
        return theme.drawn(lambda: map_figures.class_map(frame, values, title, classes))
    if not bool(values.notnull().any()):
        tell(f"'{name}' has no value in any cell; the map is empty.")
    scale = map_figures.limits([values], ramp, vmin, vmax, robust=robust)
    return theme.drawn(lambda: map_figures.value_maps(frame, {title: values}, ramp, bar, scale)[0])


def film(
    ds: xr.Dataset, output: Path, variable: str | None, every: int, fps: float, vmin: float | None, vmax: float | None,
    robust: bool, overwrite: bool,
) -> Path:  # fmt: skip
    """Write the maps of the days one after another, with one scale."""
    from matplotlib import animation

    writers: dict[str, Any] = {".gif": animation.PillowWriter, ".mp4": animation.FFMpegWriter}
    output = Path(output)
    if output.suffix not in FILMS:
        raise UsageError(f"'{output.name}' ends with '{output.suffix}', expected .gif or .mp4.")
    if not writers[output.suffix].isAvailable():
        raise UsageError("MP4 needs ffmpeg, which was not found on PATH.", hint="Install ffmpeg, or write a .gif.")
    atomic.check_output(output, overwrite)
    frame, name, title = _subject(ds, variable)
    values = _upper(ds[name])
    if "time" not in values.dims:
        raise DataError(f"'{name}' has no days (dims {', '.join(map(str, values.dims))}).", hint="Draw one map of it.")
    if classes_of(name, ds[name].attrs):
        raise UsageError(f"'{name}' contains classes.", hint="Draw single days of it, or a film of the percentile.")
    values, ramp = values.isel(time=slice(None, None, every)), ramp_of(ds, name)
    some = np.unique(np.linspace(0, values.sizes["time"] - 1, SAMPLE).astype(int))
    scale = map_figures.limits([values.isel(time=some).values], ramp, vmin, vmax, robust=robust)
    days, bar = values["time"].values.astype("M8[D]"), bar_of(ds, name, ramp)
    with theme.styled(), atomic.fresh(output, overwrite) as part:
        first = values.isel(time=0).compute()
        (figure,) = map_figures.value_maps(frame, {_lines(title, str(days[0])): first}, ramp, bar, scale)
        figure.set_dpi(theme.DPI)
        writer = writers[output.suffix](fps=fps)
        with writer.saving(figure, str(part), theme.DPI), quiet() as advance:
            for number, picture in enumerate(_pictures(values, frame)):
                axes = figure.axes[0]
                axes.images[0].set_data(picture)
                axes.set_title(_lines(title, str(days[number])))
                writer.grab_frame(facecolor="white")
                advance((number + 1) / len(days), f"day {number + 1} of {len(days)}")
    return output


def _pictures(values: xr.DataArray, frame: Frame) -> Iterator[np.ndarray]:
    """The maps of the days, read some days at a time."""
    block = int(max(1, BLOCK_BYTES // max(values.nbytes // values.sizes["time"], 1)))
    for start in range(0, values.sizes["time"], block):
        some = values.isel(time=slice(start, start + block)).compute()
        for number in range(some.sizes["time"]):
            yield oriented(frame, some.isel(time=number))


def bar_of(ds: xr.Dataset, name: str, ramp: str) -> str:
    """What the colours of a variable stand for, with the unit."""
    if ramp in map_figures.BARS:
        return map_figures.BARS[ramp]
    words, units = (str(ds[name].attrs.get(key, "")) for key in ("long_name", "units"))
    short = textwrap.shorten(words.partition(" (")[0] or name, BAR_LETTERS, placeholder="...")
    return theme.with_unit(short, theme.unit_text(units))


def _subject(ds: xr.Dataset, variable: str | None) -> tuple[Frame, str, str]:
    """Frame, name and title of the variable that is drawn."""
    drawable = [str(n) for n, v in ds.variables.items() if v.ndim > 1]
    (only,) = drawable if len(drawable) == 1 else ("",)
    name = variable or only or make_scene(ds, None).best
    frame = frame_of(ds)
    if frame is None:
        raise DataError(f"The data are not maps (dims {dict(ds.sizes)}).", hint="Give dims (time, y, x).")
    if name not in drawable:
        raise unknown("variable", name, drawable)
    title = title_of(name, ds)
    if "soil_depth" in ds[name].dims:
        title = f"{title}, {ds['soil_depth'].values[0]:g} cm"
    return frame, name, title


def _upper(values: xr.DataArray) -> xr.DataArray:
    return values.isel(soil_depth=0) if "soil_depth" in values.dims else values


def _of_day(values: xr.DataArray, name: str, day: str) -> xr.DataArray:
    if "time" not in values.dims:
        raise UsageError(f"'{name}' has no days, but day is {day}.", hint="Leave day out.")
    moment, days = day_of(day), values["time"].values.astype("M8[D]")
    if moment not in days:
        raise UsageError(f"The maps ({days[0]} to {days[-1]}) have no day {day}.", hint="Choose another day.")
    one = values.isel(time=int(np.flatnonzero(days == moment)[0]))
    if not bool(one.notnull().any()):
        raise DataError(
            f"'{name}' has no value on {day}.",
            hint="The first days of an estimate are its look-back; choose another day.",
        )
    return one


def _lines(title: str, when: str) -> str:
    """Title and day or period, on two lines where they are long."""
    return title if not when else f"{title}{', ' if len(title) + len(when) < TITLE_LETTERS else chr(10)}{when}"
