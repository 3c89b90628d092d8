"""A window of some days as one HTML file that needs neither a server nor xsm, to send to somebody."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from xsm.errors import UsageError, XsmError
from xsm.explorer.blocks import Blocks, Packed
from xsm.explorer.page import whole
from xsm.explorer.places import stations_near
from xsm.explorer.products import Catalogue, Grid, Product, catalogue

MOST_BYTES = 48 << 20
"""Of the packed numbers before compression."""
SMALL_BYTES = 12 << 20
"""Of those of a page that is written beside other results."""
MOST_STATIONS = 200
TOUCH = 1e-6
"""Degrees that rounding may put an edge of a cell off."""


def page(
    table: Catalogue,
    blocks: Blocks,
    box: tuple[float, float, float, float],
    first: int,
    last: int,
    products: Sequence[str] = (),
    state: str = "",
    most: int | None = None,
) -> str:
    """The page with some days of some products in a box.

    Parameters
    ----------
    table, blocks : Catalogue, Blocks
        What there is, and who reads it.
    box : tuple of float
        West, south, east and north in degrees.
    first, last : int
        Days since 1970, both included.
    products : sequence of str
        Keys; by default all soil moisture. Each comes with its spread.
    state : str
        What the page shows at first, as in the fragment of its address.
    most : int, optional
        Most bytes of its packed numbers before compression.

    Raises
    ------
    UsageError
        Where that is nothing, or too much for one file.
    """
    shown = [p for p in table.products.values() if (p.key in products if any(products) else p.moisture)]
    about = table.describe()
    windows = {i: _window(grid, box) for i, grid in enumerate(table.grids)}
    days = {p.key: [int(d) for d in p.days.astype(int) if first <= d <= last] for p in shown}
    parts = [(p, kind) for p in shown for kind in ("value", *(["spread"] if p.spread else []))]
    size = sum(2 * len(days[p.key]) * _cells(windows[p.grid]) for p, _ in parts)
    most = most or MOST_BYTES
    if not 0 < size <= most:
        raise UsageError(
            f"The page would contain {size / 1e6:.0f} MB, expected more than 0 and at most {most / 1e6:.0f} MB.",
            hint="Choose fewer days or products, or zoom in.",
        )
    about["products"] = [
        d | {"days": days[d["key"]], "no_percentiles": "the saved page has not all years"}
        for d in about["products"] if days.get(d["key"])
    ]  # fmt: skip
    about["grids"] = [
        {"lat": g["lat"][slice(*windows[i][0])], "lon": g["lon"][slice(*windows[i][1])]}
        for i, g in enumerate(about["grids"])
    ]
    west, south, east, north = box
    about["stations"] = [
        s for s in about["stations"] if west <= s["lon"] <= east and south <= s["lat"] <= north
    ][:MOST_STATIONS]  # fmt: skip
    maps = {f"{p.key}\n{kind}": _stored(blocks, p, kind, days[p.key], windows[p.grid]) for p, kind in parts}
    near: dict[str, Any] = {}
    for station in about["stations"]:
        for row in stations_near(table, station["lon"], station["lat"]):
            near.setdefault(row["station"], row | {"series": _between(row.get("series", {}), first, last)})
    return whole(json.dumps({"about": about, "maps": maps, "stations": list(near.values()), "state": state}))


def small_page(title: str, ds: xr.Dataset) -> str:
    """The page with all days of maps, without stations; empty for maps that it cannot show or that are too large."""
    try:
        table = catalogue([(title, ds)])
        blocks = Blocks(table)
        days = np.concatenate([p.days for p in table.products.values()]).astype(int)
        try:
            return page(table, blocks, table.box, int(days.min()), int(days.max()), most=SMALL_BYTES)
        finally:
            blocks.close()
    except XsmError:
        return ""


def _between(series: dict[str, Any], first: int, last: int) -> dict[str, Any]:
    """Series of a station, by layer, on the days of the page."""
    out = {}
    for layer, one in series.items():
        use = [i for i, day in enumerate(one["days"]) if first <= day <= last]
        out[layer] = {name: [one[name][i] for i in use] for name in ("days", "values")}
    return out


Span = tuple[tuple[int, int], tuple[int, int]]


def _window(grid: Grid, box: tuple[float, float, float, float]) -> Span:
    """Rows and columns that a box touches: first, and one after the last."""
    west, south, east, north = box
    rows = np.flatnonzero((grid.lat.max(1) > south + TOUCH) & (grid.lat.min(1) < north - TOUCH))
    cols = np.flatnonzero((grid.lon.max(1) > west + TOUCH) & (grid.lon.min(1) < east - TOUCH))
    if not len(rows) or not len(cols):
        return (0, 0), (0, 0)
    return (int(rows[0]), int(rows[-1]) + 1), (int(cols[0]), int(cols[-1]) + 1)


def _cells(span: Span) -> int:
    (top, bottom), (left, right) = span
    return (bottom - top) * (right - left)


def _stored(blocks: Blocks, product: Product, kind: str, days: Sequence[int], span: Span) -> dict[str, Any]:
    """All days of a product in a window: scales and offsets of the days, and their numbers, compressed."""
    window = slice(*span[0]), slice(*span[1])
    maps = [m for d in days if isinstance(m := blocks.day(product, d, kind, window), Packed)]
    raw = np.stack([m.numbers for m in maps]).astype("<u2").tobytes()
    return {
        "scale": [m.scale for m in maps],
        "offset": [m.offset for m in maps],
        "numbers": base64.b64encode(gzip.compress(raw, 6, mtime=0)).decode(),
    }
