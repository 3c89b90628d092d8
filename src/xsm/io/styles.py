"""Colours of variables by name, and QGIS style files (``.qml``) beside GeoTIFFs."""

from __future__ import annotations

import colorsys
import hashlib
import re
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np

PLAIN = "#f7f7f7"


def _steps(*parts: tuple[float, str]) -> list[tuple[float, str]]:
    """Stops of a ramp from 0 in steps: each part is the last value of a colour."""
    stops = [(0.0, parts[0][1])]
    for k, (last, colour) in enumerate(parts):
        stops += [(stops[-1][0] + 0.001, colour)] * (k > 0) + [(last, colour)]
    return stops


RAMPS: dict[str, list[tuple[float, str]]] = {
    "soil_moisture": [
        (0, "#fde725"),
        (0.05, "#bddf26"),
        (0.1, "#7ad151"),
        (0.15, "#44bf70"),
        (0.2, "#22a884"),
        (0.25, "#21908d"),
        (0.3, "#2a788e"),
        (0.35, "#355f8d"),
        (0.4, "#414487"),
        (0.45, "#482475"),
        (0.5, "#440154"),
    ],
    "uncertainty": [
        (0, "#fcf4b6"),
        (0.02, "#feaa74"),
        (0.04, "#f2625d"),
        (0.06, "#bc3978"),
        (0.08, "#7b2382"),
        (0.1, "#3b0f70"),
    ],
    "bias": [(-0.1, "#b2182b"), (-0.05, "#ef8a62"), (0, "#f7f7f7"), (0.05, "#67a9cf"), (0.1, "#2166ac")],
    "percentile": _steps(
        (2, "#730000"), (5, "#e60000"), (10, "#ffaa00"), (20, "#fcd37f"), (30, "#ffff00"), (70, PLAIN),
        (80, "#d1e5f0"), (90, "#92c5de"), (95, "#4393c3"), (98, "#2166ac"), (100, "#053061"),
    ),
}  # fmt: skip
"""Values and colours: viridis (dry is light), magma without its black end, and a diverging ramp, safe for
colour-blind readers; percentiles in the classes of the US Drought Monitor, with blues for as wet ones."""
DROUGHT = (PLAIN, "#ffff00", "#fcd37f", "#ffaa00", "#e60000", "#730000")
"""Colours of no drought and of the classes D0 to D4 of the US Drought Monitor."""
TEXTURE = ("#fde725", "#f6c945", "#e8a33d", "#8fd2c5", "#5ab4ac", "#2f8f87",
           "#b8a9d9", "#8e7cc3", "#6650a4", "#d98fb0", "#b3477f", "#6d1f4f")  # fmt: skip
"""Colours of the USDA texture classes 1 to 12."""
DEPARTURES = ("_anomaly", "_trend", "_trend_low", "_trend_high", "_lag", "_bias")
"""Ends of names of values around zero."""
OF_SERIES = re.compile(r"_(drought(_area)?|swi_\w+|trend_\w+|lag_\w+|drydown\w*)$")
"""Ends of names of what verbs tell of a series and is no soil moisture."""
FIXED = ("percentile",)
"""Ramps whose colours always stand for the same values."""
MARK = "<!-- xsm "


def colours(ramp: str) -> Any:
    """Return a ramp as a colour map of matplotlib."""
    from matplotlib.colors import LinearSegmentedColormap

    stops = RAMPS[ramp]
    first, last = stops[0][0], stops[-1][0]
    parts = [((v - first) / (last - first), c) for v, c in stops]
    return LinearSegmentedColormap.from_list(ramp, parts, N=1000 if ramp in FIXED else 256)


def style_of(name: str) -> str:
    """Name of the ramp for a variable; empty if there is none."""
    if name.endswith("_percentile"):
        return "percentile"
    if name.endswith(DEPARTURES):
        return "bias"
    if not name.startswith(("sm_", "soil_moisture")) or OF_SERIES.search(name):
        return ""
    return "uncertainty" if name.endswith("_std") else "soil_moisture"


def classes_of(name: str, attrs: Mapping[str, Any]) -> list[tuple[int, str, str]]:
    """Value, colour and meaning of a variable of classes (``flag_values``, ``flag_meanings``); empty for others."""
    words, values = str(attrs.get("flag_meanings", "")).split(), np.atleast_1d(attrs.get("flag_values", []))
    if not words or len(words) != len(values):
        return []
    fixed = TEXTURE if name == "texture" else DROUGHT if name.endswith("_drought") else ()
    hues = fixed if len(fixed) == len(words) else [_hue(i / len(words)) for i in range(len(words))]
    return [(int(v), c, w.replace("_", " ")) for v, c, w in zip(values, hues, words, strict=True)]


def stretched(low: float, high: float, style: str = "soil_moisture") -> list[tuple[float, str]]:
    """A ramp between two values; that of soil moisture is viridis from light to dark."""
    stops = RAMPS[style]
    first, last = stops[0][0], stops[-1][0]
    return [(low + (high - low) * (v - first) / (last - first), c) for v, c in stops]


def ramp_between(name: str, low: float, high: float) -> list[tuple[float, str]]:
    """The ramp of a variable between two values; spread starts at zero, and a bias has zero in its middle."""
    style = style_of(name) or "soil_moisture"
    if style == "uncertainty":
        low = 0.0
    elif style == "bias":
        low, high = -max(abs(low), abs(high)), max(abs(low), abs(high))
    return stretched(low, high, style)


def qml(name: str, attrs: Mapping[str, Any], low: float, high: float) -> str:
    """Style of a GeoTIFF for QGIS: classes, the ramp of the variable, or a ramp between its extremes."""
    classes = classes_of(name, attrs)
    if classes:
        entries = "".join(f'<paletteEntry value="{v}" color="{c}" label={quoteattr(w)} alpha="255"/>'
                          for v, c, w in classes)  # fmt: skip
        renderer = (
            '<rasterrenderer type="paletted" band="1" opacity="1" alphaBand="-1">\n'
            f"<colorPalette>{entries}</colorPalette>\n</rasterrenderer>"
        )
    else:
        ramp = RAMPS.get(style_of(name)) or stretched(low, high if high > low else low + 1)
        low, high = ramp[0][0], ramp[-1][0]
        items = "".join(f'<item alpha="255" value="{v}" color="{c}" label="{v:.4g}"/>' for v, c in ramp)
        renderer = (
            f'<rasterrenderer type="singlebandpseudocolor" band="1" opacity="1" classificationMin="{low}" '
            f'classificationMax="{high}" alphaBand="-1">\n<rastershader><colorrampshader colorRampType="INTERPOLATED" '
            f'classificationMode="1" clip="0" minimumValue="{low}" maximumValue="{high}">{items}</colorrampshader>'
            "</rastershader>\n</rasterrenderer>"
        )
    return f'<!DOCTYPE qgis>\n<qgis version="3.22" styleCategories="Symbology">\n<pipe>\n{renderer}\n</pipe>\n</qgis>\n'


def signed(style: str) -> str:
    """A style with a last line by which `is_of_xsm` recognizes it."""
    return f"{style}{MARK}{hashlib.sha256(style.encode()).hexdigest()[:16]} -->\n"


def is_of_xsm(style: str) -> bool:
    """Whether a style is as `signed` made it; one that QGIS or a person has saved is not."""
    return signed(style.rpartition(MARK)[0]) == style


def _hue(share: float) -> str:
    return "#" + "".join(f"{round(255 * c):02x}" for c in colorsys.hls_to_rgb(share, 0.6, 0.5))
