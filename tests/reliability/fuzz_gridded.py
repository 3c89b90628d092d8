"""Small sound files of every gridded format that xsm reads, and damage that knows their structure."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests.reliability import fuzz_lies as lies
from tests.reliability.fuzz_format import Damage, Format, small_world
from xsm.contracts.registry import get_source
from xsm.data.cf import canonical_attrs
from xsm.data.grids import EASE2_M36
from xsm.twin import make_world

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
        node = file.create_dataset(name, shape, dtype, chunks=chunks, compression="gzip" if chunks else None)
        for key, value in attrs.items():
            if key not in ("DIMENSION_LIST", "REFERENCE_LIST", "CLASS", "NAME"):
                node.attrs[key] = value


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
    """A half orbit around the window, with every dataset that is read, as in the product."""
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
            for n in sorted(names)
        }
        for name in values:
            if "flag" in name:
                values[name] = np.zeros(rows.size, "u2")
            elif (name.startswith("tb_") and name.endswith("corrected")) or name == "surface_temperature":
                values[name] = rng.uniform(230, 290, rows.size).astype("f4")
        values["tb_time_seconds"] = 673228800.0 + np.arange(rows.size, dtype="f8")  # 12 UTC of 2021-05-01 and on
        values |= {"EASE_row_index": rows.astype("u2"), "EASE_column_index": cols.astype("u2")}
        values["grid_surface_status"] = np.zeros(rows.size, "u2")
        values |= {"latitude": EASE2_M36.lat[rows].astype("f4"), "longitude": EASE2_M36.lon[cols].astype("f4")}
        units = {
            resolve(f.dataset, every, level="L2", suffix="", crid="R18290"): canonical_attrs(n).get("units", "1")
            for n, f in FIELDS.items()
            if f.kind not in ("flag", "time")
        }
        for name, array in values.items():
            node = group.create_dataset(name, data=array, chunks=True, compression="gzip")
            if name in units:
                node.attrs["units"] = units[name]
    return [path]


def smap_l4(folder: Path) -> list[Path]:
    return get_source("smap_l4").write(small_world(), folder)  # type: ignore[attr-defined]


def nldas(folder: Path) -> list[Path]:
    return get_source("nldas").write(small_world(), folder)  # type: ignore[attr-defined]


def nldas_deflated(folder: Path) -> list[Path]:
    """The same hours, deflated by the netCDF library."""
    import xarray as xr

    plain = folder / "plain"
    plain.mkdir()
    paths = []
    for path in nldas(plain):
        with xr.open_dataset(path, decode_cf=False) as ds:
            # nothing is decoded, so "add_offset" and the like are attributes here
            encoding = {n: {"zlib": True, "complevel": 1} for n, v in ds.data_vars.items() if v.ndim == 3}
            ds.to_netcdf(folder / path.name, engine="netcdf4", encoding=encoding)
        paths.append(folder / path.name)
    shutil.rmtree(plain)
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


def soilgrids(folder: Path) -> list[Path]:
    return get_source("soilgrids").write(small_world(), folder)  # type: ignore[attr-defined]


def _three_days() -> Any:
    return make_world(small_world().grid, days=slice("2021-05-01", "2021-05-03"), seed=4)


def esa_cci(folder: Path) -> list[Path]:
    return get_source("esa_cci_sm").write(_three_days(), folder)  # type: ignore[attr-defined]


def ascat(folder: Path) -> list[Path]:
    return get_source("ascat").write(_three_days(), folder)  # type: ignore[attr-defined]


def ascat_index(folder: Path) -> list[Path]:
    from xsm_ascat.write import write_index

    return write_index(_three_days(), folder)


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
    """Set width and height in the header to two thousand million."""
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
        from xsm_modis.write_hdf4 import write_dataset

        tile = {"name": "LC_Type1", "shape": (2400, 2400), "type": "u1", "h": 10, "v": 5, **changes}
        write_dataset(path, tile["name"], np.full(tile["shape"], 3, tile["type"]), structure(tile["h"], tile["v"]))

    return damage


HDF4: dict[str, Damage] = {
    "name": _hdf4_rewritten(name="LC_Type3"),
    "shape": _hdf4_rewritten(shape=(1200, 1200)),
    "tile": _hdf4_rewritten(h=25, v=3),
}


GRIDDED: Mapping[str, Format] = {
    "SPL3SMP_E HDF5": Format("smap", smap_l3, HDF5, window=True, checked=True, lies=lies.SMAP),
    "SPL2SMP HDF5": Format("smap", smap_l2, HDF5, checked=True, lies=lies.SMAP),
    "SPL4SMGP HDF5": Format("smap_l4", smap_l4, HDF5, (0, 3), window=True, checked=True, lies=lies.SMAP_L4),
    "NLDAS netCDF-4": Format("nldas", nldas, HDF5, (0, 5), lies=lies.NLDAS),
    "NLDAS netCDF-4 deflated": Format("nldas", nldas_deflated, HDF5, (0, 5), checked=True, lies=lies.NLDAS),
    "NLDAS GRIB1": Format("nldas", grib, GRIB, (0, 5)),
    "SOLUS100 GeoTIFF": Format("solus100", solus, TIFF, (0, 2, 6), checked=True, lies=lies.LAYERS),
    "SoilGrids VRT": Format("soilgrids", soilgrids, {}, (0, 2, 6), window=True, lies=lies.MOSAIC),
    "ESA CCI netCDF-4": Format("esa_cci_sm", esa_cci, HDF5, window=True, checked=True, lies=lies.ESA_CCI),
    "ASCAT swath netCDF-4": Format("ascat", ascat, HDF5, window=True, lies=lies.ASCAT),
    "ASCAT index netCDF-4": Format("ascat", ascat_index, HDF5, lies=lies.INDEX),
    "MCD12Q1 HDF4": Format("modis_landcover", tiles, HDF4, window=True, checked=True),
    "MCD12C1 HDF4": Format("modis_landcover", whole_globe, HDF4, window=True, checked=True),
    "MCD12Q1 GeoTIFF": Format("modis_landcover", land_cover, TIFF, checked=True),
}
