"""The granules against the product: names, types, attributes and the codes off the swath."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import xarray as xr
from xsm import DataError
from xsm_smap.write import write

AM, PM = "Soil_Moisture_Retrieval_Data_AM", "Soil_Moisture_Retrieval_Data_PM"
DAP = "{http://xml.opendap.org/ns/DAP/4.0#}"
TYPES = {"Float32": "f4", "Float64": "f8", "UInt16": "u2", "Byte": "u1", "String": "S24"}


def test_files(granules: list[Path], world: SimpleNamespace) -> None:
    """A day without observations gets no file, and no unfinished file is left."""
    assert [p.name[15:23] for p in granules] == ["20220601", "20220602", "20220604"]
    assert sorted(granules[0].parent.iterdir()) == granules
    assert all(re.fullmatch(r"SMAP_L3_SM_P_E_\d{8}_R19240_001\.h5", p.name) for p in granules)


def test_schema_is_that_of_the_true_product(both: list[Path], real: Path) -> None:
    """Every dataset, type, fill, unit, range and flag attribute of the 36 km product's own schema."""
    root = ET.parse(real / "smap_schema" / "SC_SPL3SMP_008.dmr").getroot()
    with h5py.File(both[0]) as file:
        for group in (g for g in root.findall(f"{DAP}Group") if g.get("name") in (AM, PM)):
            mine = file[group.get("name")]
            wanted = {v.get("name"): v for v in group if v.tag.removeprefix(DAP) in TYPES}
            assert set(mine) == set(wanted)
            assert len(wanted) == 53
            for name, node in wanted.items():
                assert mine[name].dtype == TYPES[node.tag.removeprefix(DAP)], name
                attributes = {a.get("name"): a.find(f"{DAP}Value").text for a in node.findall(f"{DAP}Attribute")}
                for key in (
                    "_FillValue",
                    "units",
                    "valid_min",
                    "valid_max",
                    "flag_masks",
                    "flag_meanings",
                    "coordinates",
                ):
                    got = mine[name].attrs.get(key)
                    got = got.decode() if isinstance(got, bytes) else got
                    want = attributes.get(key)
                    if name.startswith("EASE_") and key == "valid_max":
                        want = {"EASE_row": 1623, "EASE_col": 3855}[name[:8]]
                    if want is None or got is None or isinstance(got, str):
                        assert got == (want if want is None else str(want).replace("36_km", "9_km")), (name, key)
                    else:
                        assert float(got) == pytest.approx(float(want), rel=1e-6), (name, key)


def test_layout_and_hard_links(both: list[Path]) -> None:
    with h5py.File(both[0]) as file:
        for group, suffix in ((AM, ""), (PM, "_pm")):
            for name in (
                "soil_moisture",
                "albedo",
                "roughness_coefficient",
                "vegetation_opacity",
                "retrieval_qual_flag",
            ):
                assert file[group][name + suffix] == file[group][f"{name}_dca{suffix}"]
            for dataset in file[group].values():
                assert dataset.shape[:2] == (1624, 3856)
                assert dataset.chunks[:2] == (1, 3856)
                assert (dataset.compression, dataset.compression_opts) == ("gzip", 2)
        assert file["Metadata/DatasetIdentification"].attrs["fileName"].decode() == both[0].name
        assert file["Metadata/Extent"].attrs["rangeBeginningDateTime"] == b"2022-06-01T00:00:00.000Z"
        assert {"Soil_Moisture_Retrieval_Data_Polar_AM", "Soil_Moisture_Retrieval_Data_Polar_PM"} < set(file)


def test_codes_off_the_swath(granules: list[Path], world: SimpleNamespace) -> None:
    codes = {
        "retrieval_qual_flag_dca": 7, "surface_flag": 2047, "tb_qual_flag_h": 65535, "tb_qual_flag_3": 30719,
        "EASE_row_index": 65534, "grid_surface_status": 65534, "latitude": -9999, "tb_h_corrected": -9999,
        "tb_time_seconds": -9999, "tb_time_utc": b"N/A",
    }  # fmt: skip
    off = np.isnat(world.smap["obs_time"].values[0])
    assert off.any()
    with h5py.File(granules[0]) as file:
        for name, code in codes.items():
            inside = file[AM][name][300:306, 920:929][off]
            for values in (inside, file[AM][name][:2], file[AM][name][300:306, :920]):
                values = np.char.strip(values) if values.dtype.kind == "S" else values
                assert (values == code).all(), name


def test_time_as_text(granules: list[Path], world: SimpleNamespace) -> None:
    with h5py.File(granules[0]) as file:
        text = file[AM]["tb_time_utc"][300:306, 920:929].astype(str)
    truth = world.smap["obs_time"].values[0]
    observed = ~np.isnat(truth)
    assert all(t.endswith("Z") for t in text[observed])
    np.testing.assert_array_equal(np.char.rstrip(text[observed], "Z").astype("M8[ns]"), truth[observed])


def test_the_netcdf_library_reads_it(both: list[Path]) -> None:
    """Once, a fill value of text made netCDF-C free memory that was not its own when the file was closed."""
    read = f"import netCDF4; file = netCDF4.Dataset({str(both[0])!r}); print(len(file[{AM!r}].variables)); file.close()"
    done = subprocess.run([sys.executable, "-c", read], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "53")


def test_plain_xarray_reads_it(granules: list[Path], world: SimpleNamespace) -> None:
    """The compressed rows are ordinary HDF5 chunks to another reader."""
    with xr.open_dataset(granules[0], group=AM, engine="h5netcdf", phony_dims="sort", decode_cf=False) as ds:
        got = ds["tb_h_corrected"][300:306, 920:929].values
    np.testing.assert_array_equal(np.where(got == -9999, np.nan, got), world.smap["tb_h"][0])


def test_world_on_another_grid(world: SimpleNamespace, tmp_path: Path) -> None:
    from xsm import EASE2_M36

    with pytest.raises(DataError, match="EASE2_M36, expected EASE2_M09"):
        write(SimpleNamespace(**{**vars(world), "grid": EASE2_M36}), tmp_path)
