"""A synthetic world as SPL3SMP_E granules: full grid, true names, types, fills and chunks.

Documentation: Formats, SMAP, Synthetic granules.

The file without data is built once; each day copies it and stores the compressed rows of the world's window directly.
Rows outside the window or off the swath are never allocated, so they read as the off-swath codes of the product. Only
the times as text are written everywhere: closing a file whose texts have a fill value of their own crashes netCDF-C.
"""

from __future__ import annotations

import io
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from xsm import EASE2_M09, DataError, Grid

from xsm_smap.layout import EPOCH, FIELDS, L3_GROUPS, NO_FLAG, POLAR_GROUPS, SUFFIX
from xsm_smap.schema import DATASETS, HARD_LINKS
from xsm_smap.schema import Dataset as Spec

if TYPE_CHECKING:
    from xsm.twin import World

CRID = "R19240"
VERSION = "006"
SHAPE = EASE2_M09.shape_global
OCEAN_FLAG = 15
BATCH = 32


def write(world: World, dest: Path, *, pm: xr.Dataset | None = None, level: int = 2) -> list[Path]:
    """Write one granule for each UTC day on which the world's SMAP observed anything.

    Parameters
    ----------
    world : World
        Its ``grid`` (a window of EASE2_M09), ``days``, ``smap``, ``truth["land"]`` and ``attrs["synthetic"]`` are used.
    dest : Path
        Folder; created if it does not exist.
    pm : xarray.Dataset, optional
        The evening pass in the form of ``world.smap``; without it the PM group is left out, as in some true files.
    level : int, default 2
        Level of gzip, 0 to 9.

    Returns
    -------
    list of Path
        ``SMAP_L3_SM_P_E_<yyyymmdd>_R19240_001.h5``, by day.
    """
    grid: Grid = world.grid
    if grid.name != EASE2_M09.name:
        raise DataError(f"The world is on {grid.name}, expected EASE2_M09.", hint="Create it on the 9 km grid.")
    dest.mkdir(parents=True, exist_ok=True)
    passes = {"AM": world.smap} | ({} if pm is None else {"PM": pm})
    land = np.asarray(world.truth["land"].values, bool)
    blank = template(tuple(passes), level, _synthetic(world))
    rows = {overpass: _Rows(grid, overpass, level) for overpass in passes}
    paths = []
    for start in range(0, len(world.days), BATCH):
        batch = {o: ds[[*FIELDS]].isel(time=slice(start, start + BATCH)).load() for o, ds in passes.items()}
        for i, day in enumerate(world.days[start : start + BATCH]):
            fields = {o: _fields({n: v[i] for n, v in _arrays(ds).items()}, grid, land) for o, ds in batch.items()}
            if any((f["EASE_row_index"] != NO_FLAG).any() for f in fields.values()):
                paths.append(_write_day(dest, day, blank, {o: (rows[o], f) for o, f in fields.items()}))
    return paths


def _arrays(ds: xr.Dataset) -> dict[str, np.ndarray]:
    return {str(n): v.values for n, v in ds.data_vars.items()}


def _fields(day: dict[str, np.ndarray], grid: Grid, land: np.ndarray) -> dict[str, np.ndarray]:
    """Product datasets of one pass on the window, with the product's own codes where nothing was observed."""
    observed = ~np.isnat(day["obs_time"])
    out: dict[str, np.ndarray] = {}

    def put(name: str, values: Any, where: np.ndarray = observed) -> None:
        spec = DATASETS[name]
        out[name] = np.where(where, values, np.asarray(spec.off, spec.type)).astype(spec.type)

    for name, field in FIELDS.items():
        if field.kind in ("float", "tb", "retrieval"):
            put(field.dataset, day[name], observed & np.isfinite(day[name]))
    flag = np.where(day["retrieval_flag"] == NO_FLAG, OCEAN_FLAG, day["retrieval_flag"])
    put("retrieval_qual_flag_dca", flag)
    for algorithm in ("scav", "scah"):
        has = np.isfinite(day[f"sm_{algorithm}"])
        put(f"retrieval_qual_flag_{algorithm}", np.where(has, np.where(flag & 0b110, 1, flag), flag | 0b111))
    put("surface_flag", day["surface_flag"], observed & (day["surface_flag"] != NO_FLAG))
    for polarization in "hv":
        put(f"tb_qual_flag_{polarization}", ~np.isfinite(day[f"tb_{polarization}"]))
    put("grid_surface_status", ~land)
    put("EASE_row_index", grid.row[:, None])
    put("EASE_column_index", grid.col)
    put("latitude", grid.lat[:, None])
    put("longitude", grid.lon)
    time = day["obs_time"].astype("M8[ms]")
    put("tb_time_seconds", (time - EPOCH) / np.timedelta64(1, "s"))
    put("tb_time_utc", np.char.add(np.datetime_as_string(time, unit="ms"), "Z").astype("S24"))
    return out


class _Rows:
    """Full-width rows of the window's datasets, reused from day to day, and their compression."""

    def __init__(self, grid: Grid, overpass: str, level: int) -> None:
        self.grid, self.overpass, self.level = grid, overpass, level
        self.buffers: dict[str, np.ndarray] = {}

    def store(self, group: Any, fields: dict[str, np.ndarray]) -> None:
        """Put fields into the rows of a granule that they cover."""
        cols = slice(self.grid.col0, self.grid.col0 + self.grid.cols)
        lines = np.flatnonzero((fields["EASE_row_index"] != NO_FLAG).any(1))
        for name, values in fields.items():
            if name not in self.buffers:
                spec = DATASETS[name]
                self.buffers[name] = np.full((self.grid.rows, SHAPE[1]), spec.off, spec.type)
            buffer = self.buffers[name]
            buffer[:, cols] = values
            dataset = group[name + SUFFIX[self.overpass]].id
            for line in lines:
                dataset.write_direct_chunk((self.grid.row0 + int(line), 0), zlib.compress(buffer[line], self.level))


def _write_day(
    dest: Path, day: np.datetime64, template: bytes, passes: dict[str, tuple[_Rows, dict[str, np.ndarray]]]
) -> Path:
    import h5py

    path = dest / f"SMAP_L3_SM_P_E_{str(day).replace('-', '')}_{CRID}_001.h5"
    partial = path.with_suffix(".part")
    partial.write_bytes(template)
    with h5py.File(partial, "r+") as file:
        for overpass, (rows, fields) in passes.items():
            rows.store(file[L3_GROUPS[overpass]], fields)
        metadata = {
            "DatasetIdentification": {"fileName": path.name},
            "QADatasetIdentification": {"fileName": path.with_suffix(".qa").name},
            "Extent": {"rangeBeginningDateTime": f"{day}T00:00:00.000Z", "rangeEndingDateTime": f"{day}T23:59:59.999Z"},
        }
        for group, attrs in metadata.items():
            _set_attrs(file[f"Metadata/{group}"], attrs)
    os.replace(partial, path)
    return path


def template(passes: tuple[str, ...], level: int, synthetic: str) -> bytes:
    """The whole file without data."""
    import h5py

    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        for overpass in passes:
            _group(file.create_group(L3_GROUPS[overpass]), overpass, level)
        for name in POLAR_GROUPS.values():
            file.create_group(name)
        for name, attrs in _metadata().items():
            _set_attrs(file.require_group(f"Metadata/{name}"), attrs)
        _set_attrs(file, {"synthetic": synthetic})
    return memory.getvalue()


def _group(group: Any, overpass: str, level: int) -> None:
    am = f"/{L3_GROUPS['AM']}"
    for name, spec in DATASETS.items():
        if name in HARD_LINKS:
            continue
        depth = (3,) if name.startswith("landcover_class") else ()
        dataset = group.create_dataset(
            name + SUFFIX[overpass], (*SHAPE, *depth), spec.type, chunks=(1, SHAPE[1], *depth), compression="gzip",
            compression_opts=level, fillvalue=None if _is_text(spec) else np.asarray(spec.off, spec.type)[()],
        )  # fmt: skip
        if _is_text(spec):
            row = zlib.compress(np.full(SHAPE[1], spec.off, spec.type).tobytes(), 9)
            for line in range(SHAPE[0]):
                dataset.id.write_direct_chunk((line, 0), row)
        attrs: dict[str, Any] = {"long_name": spec.long_name, "units": spec.units}
        if not (overpass == "AM" and name in ("latitude", "longitude")):
            dtype = np.dtype(spec.type)
            attrs |= {k: dtype.type(v) for k, v in (("valid_min", spec.low), ("valid_max", spec.high)) if v is not None}
            attrs |= {} if spec.fill is None else {"_FillValue": spec.fill}
            attrs["coordinates"] = f"{am}/latitude {am}/longitude"
        if spec.flags:
            attrs["flag_masks"] = ", ".join(f"{m}s" for m in spec.masks)
            attrs["flag_meanings"] = " ".join(spec.flags)
            if overpass == "PM" and name == "surface_flag":
                attrs["flag_meanings"] = attrs["flag_meanings"].replace("radiometer_frozen", "radar_frozen")
        _set_attrs(dataset, attrs)
    for name in HARD_LINKS:
        group[name + SUFFIX[overpass]] = group[f"{name}_dca{SUFFIX[overpass]}"]


def _is_text(spec: Spec) -> bool:
    """Whether a dataset contains texts."""
    return np.dtype(spec.type).kind == "S"


def _set_attrs(node: Any, attrs: dict[str, Any]) -> None:
    """Write attributes; texts as strings of fixed length, as the product has them, empty ones not at all."""
    for name, value in attrs.items():
        if not isinstance(value, str):
            node.attrs[name] = value
        elif value:
            node.attrs[name] = np.bytes_(value.encode())


def _synthetic(world: World) -> str:
    attrs = getattr(world, "attrs", None) or world.smap.attrs
    return str(attrs.get("synthetic") or "made by xsm, not observed")


def _metadata() -> dict[str, dict[str, Any]]:
    """Attributes of ``/Metadata`` (documentation: Formats, SMAP, Groups)."""
    about = {"shortName": "SPL3SMP_E", "SMAPShortName": "L3_SM_P_E", "ECSVersionID": VERSION}
    row, col = ({"dimensionSize": np.uint32(n), "resolution": np.float32(9)} for n in SHAPE)
    return {
        "AcquisitionInformation": {},
        "AcquisitionInformation/platform": {"identifier": "SMAP"},
        "AcquisitionInformation/radiometer": {"identifier": "SMAP RAD", "type": "L-Band Radiometer"},
        "DataQuality": {"scope": "soil_moisture"},
        "DatasetIdentification": {**about, "CompositeReleaseID": CRID, "format": "HDF5", "formatVersion": "1.8.13"},
        "Extent": {
            "westBoundLongitude": np.float32(-180),
            "eastBoundLongitude": np.float32(180),
            "southBoundLatitude": np.float32(-85.04450226),
            "northBoundLatitude": np.float32(85.04450226),
        },
        "GridSpatialRepresentation": {"numberOfDimensions": np.int64(2)},
        "GridSpatialRepresentation/Row": row,
        "GridSpatialRepresentation/Column": col,
        "Lineage": {},
        "OrbitMeasuredLocation": {},
        "ProcessStep": {"timeVariableEpoch": "J2000", "epochUTCDateTime": "2000-01-01T11:58:55.816Z"},
        "ProductSpecificationDocument": {"SMAPShortName": "L3_SM_P_E"},
        "QADatasetIdentification": {},
        "SeriesIdentification": {**about, "CompositeReleaseID": CRID[:3], "mission": "SMAP"},
    }
