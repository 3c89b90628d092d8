"""Small sound files of every format that xsm reads, how they are read, and damage that knows their structure."""

from __future__ import annotations

import json
import random
import shutil
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from xsm.grids import EASE2_M09
from xsm.source import Area, get_source
from xsm.twin import make_world

Damage = Callable[[Path, random.Random], None]


@dataclass(frozen=True)
class Format:
    """A format under test.

    ``make`` writes sound files and returns them; one of ``targets`` of them (indices) is damaged. ``checked`` says that
    a checksum covers the values, so that none of them may change unnoticed.
    """

    source: str
    make: Callable[[Path], list[Path]]
    damage: Mapping[str, Damage]
    targets: tuple[int, ...] = (0,)
    options: Mapping[str, Any] = field(default_factory=dict)
    window: bool = False
    checked: bool = False


def small_world() -> Any:
    grid = EASE2_M09.window(330, 338, 880, 889)
    return make_world(grid, days=slice("2021-05-01", "2021-05-01"), seed=4)


def area() -> Area:
    world = small_world()
    return Area(world.bbox, world.grid)


# HDF5 and netCDF-4


def _datasets(file: Any) -> list[str]:
    names: list[str] = []
    file.visititems(lambda name, node: names.append(name) if hasattr(node, "dtype") else None)
    return sorted(names)


def _replace(path: Path, rng: random.Random, new: Callable[[Any], tuple[tuple[int, ...], Any]]) -> None:
    import h5py

    with h5py.File(path, "r+") as file:
        name = rng.choice(_datasets(file))
        shape, dtype = new(file[name])
        attrs = dict(file[name].attrs)
        del file[name]
        chunks = tuple(min(s, 64) for s in shape) or None
        made = file.create_dataset(name, shape, dtype, chunks=chunks, compression="gzip" if chunks else None)
        for key, value in attrs.items():
            if key not in ("DIMENSION_LIST", "REFERENCE_LIST", "CLASS", "NAME"):
                made.attrs[key] = value


def _other_shape(node: Any) -> tuple[tuple[int, ...], Any]:
    return tuple(max(s - 1, 1) for s in node.shape) or (3,), node.dtype


def _other_rank(node: Any) -> tuple[tuple[int, ...], Any]:
    return (*node.shape, 2), node.dtype


def _bomb(node: Any) -> tuple[tuple[int, ...], Any]:
    return (10**6,) * max(node.ndim, 2), node.dtype


def _other_type(node: Any) -> tuple[tuple[int, ...], Any]:
    return node.shape, "S8" if node.dtype.kind in "fu" else "f4"


def _group_gone(path: Path, rng: random.Random) -> None:
    import h5py

    with h5py.File(path, "r+") as file:
        del file[rng.choice(sorted(file))]


def _renamed(path: Path, rng: random.Random) -> None:
    import h5py

    with h5py.File(path, "r+") as file:
        name = rng.choice(sorted(file) + _datasets(file))
        file.move(name, name + "_x")


def _group_for_dataset(path: Path, rng: random.Random) -> None:
    import h5py

    with h5py.File(path, "r+") as file:
        name = rng.choice(_datasets(file))
        del file[name]
        file.create_group(name)


HDF5: dict[str, Damage] = {
    "group gone": _group_gone,
    "name": _renamed,
    "shape": lambda p, r: _replace(p, r, _other_shape),
    "rank": lambda p, r: _replace(p, r, _other_rank),
    "type": lambda p, r: _replace(p, r, _other_type),
    "bomb": lambda p, r: _replace(p, r, _bomb),
    "group for dataset": _group_for_dataset,
}


def smap_l3(folder: Path) -> list[Path]:
    """The first day on which the window was observed."""
    grid = small_world().grid
    world = make_world(grid, days=slice("2021-05-01", "2021-05-04"), seed=4)
    return get_source("smap").write(world, folder)[:1]  # type: ignore[attr-defined]


def smap_l2(folder: Path) -> list[Path]:
    """A half orbit over the window's neighbourhood, every dataset that is read, as in the product."""
    import h5py
    from xsm_smap.layout import FIELDS, L2_GROUP, needs, resolve

    rng = np.random.default_rng(5)
    rows, cols = (a.ravel() for a in np.mgrid[80:92, 215:230])
    path = folder / "SMAP_L2_SM_P_33333_D_20210501T120000_R18290_001.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group(L2_GROUP)
        file.create_group("Metadata/DatasetIdentification").attrs["shortName"] = np.bytes_(b"SPL2SMP")
        names = {d for v in FIELDS for d in needs(v, quality="successful")}
        every: Any = type("Every", (), {"__contains__": lambda self, name: True})()
        values = {
            resolve(n, every, level="L2", suffix="", crid="R18290"): rng.uniform(0.05, 0.4, rows.size).astype("f4")
            for n in names
        }
        for name in values:
            if "flag" in name:
                values[name] = np.zeros(rows.size, "u2")
            elif (name.startswith("tb_") and name.endswith("corrected")) or name == "surface_temperature":
                values[name] = rng.uniform(230, 290, rows.size).astype("f4")
        values["tb_time_seconds"] = 673228800.0 + np.arange(rows.size, dtype="f8")  # 12 UTC of 2021-05-01 and on
        values |= {"EASE_row_index": rows.astype("u2"), "EASE_column_index": cols.astype("u2")}
        values["grid_surface_status"] = np.zeros(rows.size, "u2")
        for name, array in values.items():
            group.create_dataset(name, data=array, chunks=True, compression="gzip")
    return [path]


def smap_l4(folder: Path) -> list[Path]:
    return get_source("smap_l4").write(small_world(), folder)  # type: ignore[attr-defined]


def nldas(folder: Path) -> list[Path]:
    return get_source("nldas").write(small_world(), folder)  # type: ignore[attr-defined]


def nldas_deflated(folder: Path) -> list[Path]:
    """The same hours by the netCDF library, deflated."""
    import xarray as xr

    made = folder / "plain"
    made.mkdir()
    paths = []
    for path in nldas(made):
        with xr.open_dataset(path, decode_cf=False) as ds:
            # "add_offset" and the like are attributes here, as nothing is decoded
            encoding = {n: {"zlib": True, "complevel": 1} for n, v in ds.data_vars.items() if v.ndim == 3}
            ds.to_netcdf(folder / path.name, engine="netcdf4", encoding=encoding)
        paths.append(folder / path.name)
    shutil.rmtree(made)
    return paths


# GRIB


def grib(folder: Path) -> list[Path]:
    from xsm_nldas.write_grib import write

    return write(small_world(), folder)


def _grib_bomb(path: Path, rng: random.Random) -> None:
    raw = bytearray(path.read_bytes())
    raw[8 + 28 + 6 : 8 + 28 + 10] = b"\xff\xff\xff\xff"
    path.write_bytes(raw)


def _grib_message_gone(path: Path, rng: random.Random) -> None:
    raw = path.read_bytes()
    at = raw.index(b"GRIB", 4)
    path.write_bytes(raw[at:] if rng.random() < 0.5 else raw[:at])


GRIB: dict[str, Damage] = {"bomb": _grib_bomb, "message gone": _grib_message_gone}


# GeoTIFF and HDF4


def solus(folder: Path) -> list[Path]:
    return get_source("solus100").write(small_world(), folder)  # type: ignore[attr-defined]


def land_cover(folder: Path) -> list[Path]:
    return get_source("modis_landcover").write(small_world(), folder)  # type: ignore[attr-defined]


def tiles(folder: Path) -> list[Path]:
    from xsm_modis.write_hdf4 import write_tiles

    return write_tiles(small_world(), folder)


def whole_globe(folder: Path) -> list[Path]:
    from xsm_modis.write_hdf4 import write_global

    return write_global(small_world(), folder)


def _rewritten(**changes: Any) -> Damage:
    def damage(path: Path, rng: random.Random) -> None:
        import rasterio

        with rasterio.open(path) as file:
            profile, values = dict(file.profile), file.read()
        profile |= changes
        if "dtype" in changes:
            values = values.astype(changes["dtype"])
        if "count" in changes:
            values = np.repeat(values, changes["count"], 0)
        if "crop" in changes:
            profile.pop("crop")
            values = values[:, :-40, :-40]
            profile |= {"height": values.shape[1], "width": values.shape[2]}
        with rasterio.open(path, "w", **profile) as file:
            file.write(values)

    return damage


def _tiff_bomb(path: Path, rng: random.Random) -> None:
    """Width and height of the header become two thousand millions."""
    raw = bytearray(path.read_bytes())
    start = int.from_bytes(raw[4:8], "little")
    for i in range(int.from_bytes(raw[start : start + 2], "little")):
        entry = start + 2 + 12 * i
        if int.from_bytes(raw[entry : entry + 2], "little") in (256, 257):
            raw[entry + 2 : entry + 12] = b"\x04\0\x01\0\0\0" + (2_000_000_000).to_bytes(4, "little")
    path.write_bytes(raw)


TIFF: dict[str, Damage] = {
    "type": _rewritten(dtype="complex64", nodata=None),
    "bands": _rewritten(count=2),
    "no crs": _rewritten(crs=None),
    "shape": _rewritten(crop=True),
    "bomb": _tiff_bomb,
}


def _hdf4_rewritten(**changes: Any) -> Damage:
    def damage(path: Path, rng: random.Random) -> None:
        from xsm_modis.hdf4 import structure
        from xsm_modis.write_hdf4 import _write

        told = {"name": "LC_Type1", "shape": (2400, 2400), "type": "u1", "h": 10, "v": 5, **changes}
        _write(path, told["name"], np.full(told["shape"], 3, told["type"]), structure(told["h"], told["v"]))

    return damage


HDF4: dict[str, Damage] = {
    "name": _hdf4_rewritten(name="LC_Type3"),
    "shape": _hdf4_rewritten(shape=(1200, 1200)),
    "tile": _hdf4_rewritten(h=25, v=3),
}


# Text


def uscrn(folder: Path) -> list[Path]:
    return get_source("uscrn").write(small_world(), folder)[:2]  # type: ignore[attr-defined]


def uscrn_daily(folder: Path) -> list[Path]:
    """Two stations of daily01, 28 columns, 60 days."""
    rng, paths = np.random.default_rng(1), []
    for wban, name in ((3047, "Monahans_6_ENE"), (3048, "Socorro_20_N")):
        path = folder / f"CRND0103-2021-ZZ_{name}.txt"
        rows = []
        for day in np.arange("2021-05-01", "2021-06-30", dtype="M8[D]"):
            moisture = " ".join(f"{v:7.3f}" for v in rng.uniform(0.05, 0.4, 5))
            warmth = " ".join(f"{v:7.1f}" for v in rng.uniform(5, 30, 5))
            rows.append(
                f"{wban:05d} {str(day).replace('-', '')}  2.622 -102.81   31.62    20.1     2.2    11.1    10.9 "
                f"    0.0    12.11 C    30.1     0.1    12.0    80.1    20.2    50.3 {moisture} {warmth}\n"
            )
        path.write_text("".join(rows))
        paths.append(path)
    return paths


def scan(folder: Path) -> list[Path]:
    return get_source("scan").write(small_world(), folder)  # type: ignore[attr-defined]


def scan_csv(folder: Path) -> list[Path]:
    """A report of one station, three depths, 100 hours."""
    rng = np.random.default_rng(2)
    station = {"stationTriplet": "2057:AL:SCAN", "name": "AAMU-JTG", "latitude": 34.785, "longitude": -86.559,
               "dataTimeZone": -6}  # fmt: skip
    (folder / "stations.json").write_text(json.dumps([station]))
    names = [f"Soil Moisture Percent -{d}in (pct)" for d in (2, 4, 8)] + ["Soil Temperature Observed -2in (degC)"]
    hours = np.arange("2021-05-01T00", "2021-05-05T04", dtype="M8[h]")
    lines = ["#---- WARNING ----", "#", "#    SCAN 2057: AAMU-JTG, AL", "#", ",".join(["Date", *names])]
    lines += [f"{str(h)[:10]} {str(h)[11:]}:00," + ",".join(f"{v:.1f}" for v in rng.uniform(5, 40, 4)) for h in hours]
    path = folder / "report.csv"
    path.write_text("\n".join(lines) + "\n")
    return [path, folder / "stations.json"]


def ismn(folder: Path) -> list[Path]:
    return get_source("ismn").write(small_world(), folder)[:3]  # type: ignore[attr-defined]


def ismn_ceop(folder: Path) -> list[Path]:
    from xsm_insitu.write_ismn import write_stm

    return write_stm(small_world().stations, folder, form="ceop")[:3]


def ismn_zip(folder: Path) -> list[Path]:
    (folder / "plain").mkdir()
    path = folder / "Data_separate_files_20210501_20210501.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in ismn(folder / "plain"):
            archive.write(file, "/".join(file.parts[-3:]))
    shutil.rmtree(folder / "plain")
    return [path]


def _lines(change: Callable[[list[bytes], random.Random], list[bytes]]) -> Damage:
    def damage(path: Path, rng: random.Random) -> None:
        path.write_bytes(b"\n".join(change(path.read_bytes().split(b"\n"), rng)))

    return damage


def _swapped(lines: list[bytes], rng: random.Random) -> list[bytes]:
    first = rng.randrange(len(lines) // 2)
    second = rng.randrange(first + 1, len(lines) - 1)
    lines[first], lines[second] = lines[second], lines[first]
    return lines


def _field_gone(lines: list[bytes], rng: random.Random) -> list[bytes]:
    at = rng.randrange(len(lines) - 1)
    comma = b"," if b"," in lines[at] else b" "
    parts = [p for p in lines[at].split(comma) if p]
    parts.pop(rng.randrange(len(parts)))
    lines[at] = comma.join(parts)
    return lines


def _column_gone(lines: list[bytes], rng: random.Random) -> list[bytes]:
    comma = b"," if b"," in lines[-2] else b" "
    which = rng.randrange(1, len([p for p in lines[-2].split(comma) if p]))
    cut = [[p for p in line.split(comma) if p or comma == b","] for line in lines]
    return [comma.join(p[:which] + p[which + 1 :]) for p in cut]


def _word(lines: list[bytes], rng: random.Random) -> list[bytes]:
    at = rng.randrange(len(lines) - 1)
    middle = len(lines[at]) // 2
    lines[at] = lines[at][:middle] + b"oops" + lines[at][middle:]
    return lines


TEXT: dict[str, Damage] = {
    "lines swapped": _lines(_swapped),
    "line twice": _lines(lambda lines, rng: lines[: (k := rng.randrange(1, len(lines)))] + lines[k - 1 :]),
    "field gone": _lines(_field_gone),
    "column gone": _lines(_column_gone),
    "word": _lines(_word),
}


def _json_changed(path: Path, rng: random.Random) -> None:
    """Some node of the tree goes, or becomes something else."""
    tree = json.loads(path.read_text())
    node, parent, key = tree, None, None
    while isinstance(node, dict | list) and node and (parent is None or rng.random() < 0.85):
        parent = node
        key = rng.choice(sorted(node)) if isinstance(node, dict) else rng.randrange(len(node))
        node = node[key]
    if parent is not None:
        new: Any = rng.choice([None, "oops", -1e9, [], {}, True, 10**12])
        if rng.random() < 0.4:
            del parent[key]
        else:
            parent[key] = new
    path.write_text(json.dumps(tree))


FORMATS: Mapping[str, Format] = {
    "SPL3SMP_E HDF5": Format("smap", smap_l3, HDF5, window=True, checked=True),
    "SPL2SMP HDF5": Format("smap", smap_l2, HDF5, checked=True),
    "SPL4SMGP HDF5": Format("smap_l4", smap_l4, HDF5, (0, 3), window=True, checked=True),
    "NLDAS netCDF-4": Format("nldas", nldas, HDF5, (0, 5)),
    "NLDAS netCDF-4 deflated": Format("nldas", nldas_deflated, HDF5, (0, 5), checked=True),
    "NLDAS GRIB1": Format("nldas", grib, GRIB, (0, 5)),
    "SOLUS100 GeoTIFF": Format("solus100", solus, TIFF, (0, 2, 6), checked=True),
    "MCD12Q1 HDF4": Format("modis_landcover", tiles, HDF4, window=True, checked=True),
    "MCD12C1 HDF4": Format("modis_landcover", whole_globe, HDF4, window=True, checked=True),
    "MCD12Q1 GeoTIFF": Format("modis_landcover", land_cover, TIFF, checked=True),
    "USCRN hourly02": Format("uscrn", uscrn, TEXT),
    "USCRN daily01": Format("uscrn", uscrn_daily, TEXT),
    "SCAN JSON": Format("scan", scan, {"tree": _json_changed}, (0, -1)),
    "SCAN CSV": Format("scan", scan_csv, TEXT),
    "ISMN header+values": Format("ismn", ismn, TEXT),
    "ISMN CEOP": Format("ismn", ismn_ceop, TEXT),
    "ISMN zip": Format("ismn", ismn_zip, {}, checked=True),
}
