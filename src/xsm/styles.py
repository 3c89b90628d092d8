"""Colour ramps by name, and QGIS style files (``.qml``) beside GeoTIFFs."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import quoteattr

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
        (0, "#fcfdbf"),
        (0.02, "#fe9f6d"),
        (0.04, "#de4968"),
        (0.06, "#8c2981"),
        (0.08, "#3b0f70"),
        (0.1, "#000004"),
    ],
    "bias": [(-0.1, "#b2182b"), (-0.05, "#ef8a62"), (0, "#f7f7f7"), (0.05, "#67a9cf"), (0.1, "#2166ac")],
}
"""Values and colours: viridis (dry is light), magma and a diverging ramp, safe for the colour-blind."""


def colours(ramp: str) -> Any:
    """Return a ramp as a colour map of matplotlib."""
    from matplotlib.colors import LinearSegmentedColormap

    stops = RAMPS[ramp]
    first, last = stops[0][0], stops[-1][0]
    return LinearSegmentedColormap.from_list(ramp, [((v - first) / (last - first), c) for v, c in stops])


def style_of(name: str) -> str:
    """Name of the ramp that suits a variable; empty where none does."""
    if name.endswith("_std"):
        return "uncertainty" if name.startswith("sm_") or name.startswith("soil_moisture") else ""
    return "soil_moisture" if name.startswith("sm_") or name == "soil_moisture" else ""


def qml(name: str, labels: list[str]) -> str:
    """Style of a GeoTIFF of soil moisture or its spread as QGIS reads it; empty for other variables."""
    ramp = RAMPS.get(style_of(name))
    if ramp is None:
        return ""
    items = "".join(f'<item alpha="255" value="{v}" color="{c}" label={quoteattr(f"{v:g}")}/>' for v, c in ramp)
    low, high = ramp[0][0], ramp[-1][0]
    return (
        '<!DOCTYPE qgis>\n<qgis version="3.22" styleCategories="Symbology">\n<pipe>\n'
        f'<rasterrenderer type="singlebandpseudocolor" band="1" opacity="1" classificationMin="{low}" '
        f'classificationMax="{high}" alphaBand="-1">\n<rastershader><colorrampshader colorRampType="INTERPOLATED" '
        f'classificationMode="1" clip="0" minimumValue="{low}" maximumValue="{high}">{items}</colorrampshader>'
        "</rastershader>\n</rasterrenderer>\n</pipe>\n</qgis>\n"
    )
