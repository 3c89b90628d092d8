"""Synthetic SPL3SMP_E granules of full size: swaths, land, rows as chunks, noise that compresses as in the product."""

from __future__ import annotations

import zlib
from pathlib import Path

import h5py
import numpy as np
from xsm_smap.layout import L3_GROUPS
from xsm_smap.schema import DATASETS, HARD_LINKS
from xsm_smap.write import template

import xsm
from xsm.twin.fields import rough
from xsm.twin.smap import passes

GRID = xsm.EASE2_M09
CONUS = GRID.region("conus")
ROWS, COLS = slice(CONUS.row0, CONUS.row0 + CONUS.rows), slice(CONUS.col0, CONUS.col0 + CONUS.cols)
FLOATS = {
    "tb_h": "tb_h_corrected",
    "tb_v": "tb_v_corrected",
    "albedo": "albedo_dca",
    "roughness": "roughness_coefficient_dca",
    "vegetation_opacity": "vegetation_opacity_dca",
    "vegetation_water_content": "vegetation_water_content",
    "surface_temperature": "surface_temperature",
    "sm_dca": "soil_moisture_dca",
    "sm_scav": "soil_moisture_scav",
}
TEN = (*FLOATS, "retrieval_flag")
CENTRE = {
    "Kelvin": (250, 20),
    "Kelvins": (290, 8),
    "degrees_north": (0, 50),
    "degrees_east": (0, 90),
    "seconds": (7e8, 3e4),
}


def write_granule(path: Path, number: int) -> None:
    """Write one granule of full size; the evening group has the bytes of the morning."""
    g = np.random.default_rng(number)
    whole = GRID.window(0, GRID.shape_global[0], 0, GRID.shape_global[1])
    observed = np.isfinite(passes(whole.lon, whole.lat)[number % 8])
    land = rough(number, "land", 2e6).on(whole.x, whole.y)(0.0) > 0.4
    land[ROWS, COLS] = True
    path.write_bytes(template(("AM", "PM"), 2, "synthetic, of benchmarks.ingest_granules, not observed"))
    everywhere = {n for n in DATASETS if n.startswith(("tb_", "EASE", "latitude", "longitude", "grid", "surface_flag"))}
    with h5py.File(path, "r+") as file:
        for name, spec in DATASETS.items():
            if name in HARD_LINKS:
                continue
            where = observed if name in everywhere else observed & land
            targets = [file[L3_GROUPS[o]][name + s].id for o, s in (("AM", ""), ("PM", "_pm"))]
            depth = (3,) * (len(targets[0].shape) == 3)
            for row in range(GRID.shape_global[0]):
                here = where[row]
                line = np.full((GRID.shape_global[1], *depth), spec.off, spec.type)
                line[here] = _values(g, name, (int(here.sum()), *depth), row, np.flatnonzero(here))
                packed = zlib.compress(line, 2)
                for target in targets:
                    target.write_direct_chunk((row, 0, *(0 for _ in depth)), packed)


def _values(g: np.random.Generator, name: str, shape: tuple[int, ...], row: int, col: np.ndarray) -> np.ndarray:
    spec = DATASETS[name]
    kind = np.dtype(spec.type).kind
    if name == "EASE_row_index":
        return np.full(shape, row)
    if name == "EASE_column_index":
        return col
    if name.startswith("retrieval_qual_flag"):
        return g.choice([0, 1, 5, 7, 8], shape)
    if kind == "S":
        return np.char.add(b"2021-06-01T", np.char.add(g.integers(100000, 999999, shape).astype("S6"), b".000Z"))
    if kind == "u":
        return g.integers(0, 2, shape)
    middle, spread = CENTRE.get(spec.units, (0.3, 0.05))
    if name.startswith(("albedo", "roughness")):  # fixed maps, as in the product
        return middle + spread * np.sin(0.2 * row + 0.3 * col)
    return middle + spread * g.standard_normal(shape)
