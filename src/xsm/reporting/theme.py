"""One look for all figures: sizes and fonts of a journal, colours that colour-blind readers can tell apart."""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SINGLE, DOUBLE = 90 / 25.4, 190 / 25.4
"""Width of a figure over one and over two columns of a journal, in inches."""
DPI = 200
BLUE, ORANGE, GREEN, PINK, SKY, RED = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"
"""Colours of Okabe and Ito (2008)."""
INDIGO, BLACK, SOFT = "#332288", "#1b1f24", "#6b7480"
MISSING = "#c8c8c8"
"""Colour of cells without a value, which no ramp contains."""
FONTS = ("Arial", "Helvetica", "Liberation Sans", "DejaVu Sans")
"""Fonts that journals ask for, the first installed one first; the last comes with matplotlib."""
SMALL = 7
"""Size of ticks and notes in points; no journal wants less."""
SETTINGS = {
    "font.size": 8, "axes.titlesize": 8.5, "axes.labelsize": 8, "legend.fontsize": 7.5, "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL, "axes.linewidth": 0.6, "xtick.major.width": 0.6, "ytick.major.width": 0.6,
    "xtick.major.size": 2.5, "ytick.major.size": 2.5, "axes.titlelocation": "left", "lines.linewidth": 1.2,
    "svg.hashsalt": "xsm", "pdf.fonttype": 42, "hatch.linewidth": 0.4,
}  # fmt: skip
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the look of all figures."""
    import matplotlib as mpl
    from matplotlib import font_manager

    installed = set(font_manager.get_font_names())
    settings: dict[Any, Any] = {**SETTINGS, "font.family": [name for name in FONTS if name in installed]}
    with mpl.rc_context(settings):
        yield


def drawn(draw: Callable[[], Figure]) -> Figure:
    """Draw a figure in the look of all, which it keeps when it is saved; a notebook shows it like every result."""
    with styled():
        figure = draw()
        figure.draw_without_rendering()
    figure.savefig = styled()(figure.savefig)  # type: ignore[method-assign]
    figure._repr_png_ = functools.partial(_png, figure)  # type: ignore[attr-defined]
    return figure


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor="white")
    return buffer.getvalue()


def unit_text(units: str) -> str:
    """A unit as print shows it.

    Examples
    --------
    >>> unit_text("m3 m-3"), unit_text("mm d-1"), unit_text("K"), unit_text("1")
    ('m³ m⁻³', 'mm d⁻¹', 'K', '')
    """
    return "" if units == "1" else re.sub(r"(?<=[A-Za-z])-?\d+", lambda m: m[0].translate(RAISED), units)


def with_unit(words: str, units: str) -> str:
    """A quantity with its unit in brackets."""
    return f"{words} ({units})" if units else words


def signed(value: float, form: str) -> str:
    """A number with a true minus sign."""
    return format(value, form).replace("-", "\u2212")


def open_axes(row: Any) -> None:
    """Draw axes without their top and right side."""
    for axes in row:
        axes.spines[["top", "right"]].set_visible(False)


def dates(axes: Any) -> None:
    """Dates on the horizontal axis of drawn series, as short as they can be."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, num2date

    locator = AutoDateLocator(minticks=3, maxticks=9)
    formatter = ConciseDateFormatter(locator)
    if len({(day.year, day.month) for day in num2date(axes.get_xlim())}) > 1:
        formatter.offset_formats[2] = "%Y"  # the ticks name the months
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(formatter)
