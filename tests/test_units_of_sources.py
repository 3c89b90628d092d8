"""Every source takes the unit that the user states, and no unit is guessed: a table over the sources."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
import xarray as xr

import xsm
from xsm import DataError, UsageError
from xsm.data.units import convert
from xsm.testing import write_layer

MOIST = 0.2 + 0.01 * np.arange(24)
WARM = 283.15 + 0.1 * np.arange(24)
HOURS = np.datetime64("2021-04-01T00") + np.arange(24)
STATION = {"stationTriplet": "2031:IA:SCAN", "name": "Ames", "latitude": 42.0, "longitude": -93.7, "dataTimeZone": -6}


def stm(folder: Path, values: np.ndarray, unit: str, name: str = "sm") -> Path:
    path = folder / f"NET_NET_ST_{name}_0.050000_0.050000_X_20210401_20210402.stm"
    days = [str(h)[:10].replace("-", "/") for h in HOURS]
    rows = [f"{d} {h:02}:00 {v:.6f} G M" for h, (d, v) in enumerate(zip(days, values, strict=True))]
    path.write_text("\n".join(["NET NET ST 42.0 -93.7 300.0 0.05 0.05 X", *rows]))
    return path


def uscrn(folder: Path, values: np.ndarray, unit: str) -> Path:
    path = folder / "CRND0103-2021-OK_Test_2_N.txt"
    days = np.datetime64("2021-04-01") + np.arange(24)
    path.write_text(
        "".join(
            f"53926 {str(d).replace('-', '')} 2.622 -93.70 42.00 20.0 5.0 12.5 12.6 0.0 20.00 C 30.0 4.0 15.0 90.0 "
            f"30.0 60.0 {v:.6f} -99 -99 -99 -99 14.0 14.1 14.2 14.3 14.4\n"
            for d, v in zip(days, values, strict=True)
        )
    )
    return path


def awdb(folder: Path, values: np.ndarray, unit: str, code: str = "SMS") -> Path:
    (folder / "stations.json").write_text(json.dumps([STATION]))
    rows = [{"date": str(h).replace("T", " ") + ":00", "value": float(v)} for h, v in zip(HOURS, values, strict=True)]
    element = {"elementCode": code, "ordinal": 1, "heightDepth": -2, "durationName": "HOURLY"}
    element |= {"storedUnitCode": unit} if unit else {}
    parts = [{"stationElement": element, "values": rows}]
    if code == "STO":
        moist = element | {"elementCode": "SMS", "storedUnitCode": "pct"}
        parts.append({"stationElement": moist, "values": [r | {"value": 20.0} for r in rows]})
    path = folder / "data.json"
    path.write_text(json.dumps([{"stationTriplet": STATION["stationTriplet"], "data": parts}]))
    return path


def old_scan(folder: Path, values: np.ndarray, unit: str) -> Path:
    (folder / "stations.json").write_text(json.dumps([STATION]))
    rows = [f"2031,{str(h)[:10]},{str(h)[11:13]}:00,{v:.6f}" for h, v in zip(HOURS, values, strict=True)]
    path = folder / "2031.csv"
    heading = f"SMS.I-1:-2 ({unit})" if unit else "SMS.I-1:-2"
    path.write_text("\n".join(["2031,Ames  (SCAN),Iowa", "", f"Site Id,Date,Time,{heading}", *rows]))
    return path


def tiny(folder: Path, values: np.ndarray, unit: str) -> Path:
    path = folder / "points.csv"
    days = np.datetime64("2021-04-01") + np.arange(24)
    path.write_text(
        "date,lon,lat,soil_moisture\n" + "".join(f"{d},-98,36,{v}\n" for d, v in zip(days, values, strict=True))
    )
    return path


def smap(folder: Path, values: np.ndarray, unit: str, name: str = "soil_moisture_dca") -> Path:
    path = folder / "SMAP_L3_SM_P_20210401_R19240_001.h5"
    shape = (24, 24)
    with h5py.File(path, "w") as file:
        group = file.create_group("Soil_Moisture_Retrieval_Data_AM")
        file.create_group("Metadata/DatasetIdentification").attrs["shortName"] = "SPL3SMP"
        flags = {"EASE_row_index": np.arange(24)[:, None] + 90, "EASE_column_index": np.arange(24) + 200}
        flags |= {"retrieval_qual_flag_dca": 0, "tb_qual_flag_h": 0, "grid_surface_status": 0, "surface_flag": 0}
        for flag, number in flags.items():
            group[flag] = np.broadcast_to(number, shape).astype("u2")
        group[name] = np.repeat(values[:, None], 24, 1).astype("f4")
        if unit:
            group[name].attrs["units"] = unit
    return path


def solus(folder: Path, values: np.ndarray, unit: str) -> Path:
    path = folder / "dbovendry_5_cm_p.tif"
    write_layer(path, values[:, None].astype("f4"), "EPSG:5070", (-200000, 1900000), 100, nodata=-9999)
    with rasterio.open(path, "r+") as file:
        file.units = [unit]
    return path


Maker = Callable[[Path, np.ndarray, str], Path]
CASES: dict[str, tuple[str, Maker, str, str, dict[str, object]]] = {
    "ismn": ("ismn", stm, "soil_moisture", "m3 m-3", {}),
    "uscrn": ("uscrn", uscrn, "soil_moisture", "m3 m-3", {}),
    "scan": ("scan", awdb, "soil_moisture", "m3 m-3", {}),
    "scan heat": ("scan", lambda f, v, u: awdb(f, v, u, "STO"), "soil_temperature", "K", {}),
    "scan csv": ("scan", old_scan, "soil_moisture", "m3 m-3", {}),
    "tiny": ("tiny", tiny, "soil_moisture", "m3 m-3", {}),
    "smap": ("smap", smap, "sm_dca", "m3 m-3", {"variables": ["sm_dca"]}),
    "smap tb": ("smap", lambda f, v, u: smap(f, v, u, "tb_h_corrected"), "tb_h", "K", {"variables": ["tb_h"]}),
    "solus100": ("solus100", solus, "bulk_density", "g cm-3", {"soil_depth": 5}),
}
OTHER = {
    "m3 m-3": ["percent", "%vol", "m3 m-3", "cm^3/cm^3"],
    "K": ["degC", "degF", "K"],
    "g cm-3": ["kg m-3", "g cm-3"],
}


def truth(unit: str) -> np.ndarray:
    return {"m3 m-3": MOIST, "K": WARM, "g cm-3": 1 + MOIST}[unit]


def first(ds: xr.Dataset, name: str) -> np.ndarray:
    """The 24 different values."""
    values = np.squeeze(ds[name].values)
    if values.ndim > 1:
        values = values[:, 0] if len(values) == 24 else values[0]
    return values[np.isfinite(values)]


@pytest.mark.parametrize("case", CASES)
def test_values_in_the_unit_that_is_stated(case: str, tmp_path: Path) -> None:
    source, make, name, unit, more = CASES[case]
    for number, said in enumerate(OTHER[unit]):
        (folder := tmp_path / str(number)).mkdir()
        path = make(folder, np.asarray(convert(truth(unit), unit, said)), "")
        ds = xsm.open(source, path, units={name: said}, **more)
        np.testing.assert_allclose(first(ds, name), truth(unit), rtol=2e-4)
        assert f"{name}={said}" in ds.attrs["history"]


@pytest.mark.parametrize("case", ["scan", "scan heat", "scan csv", "smap", "smap tb"])
def test_values_without_a_unit_are_asked_for(case: str, tmp_path: Path) -> None:
    source, make, _, unit, more = CASES[case]
    other = {"m3 m-3": "percent", "K": "degC"}[unit]
    path = make(tmp_path, np.asarray(convert(truth(unit), unit, other)), "")
    with pytest.raises(DataError, match=r"has no unit, expected the attribute 'units'.*units=\{") as error:
        xsm.open(source, path, **more).load()
    assert path.name in str(error.value)


@pytest.mark.parametrize("case", ["scan", "scan heat", "scan csv", "smap", "smap tb", "solus100"])
def test_a_unit_in_the_file_is_not_overruled(case: str, tmp_path: Path) -> None:
    source, make, name, unit, more = CASES[case]
    path = make(tmp_path, truth(unit), unit)
    with pytest.raises(DataError, match=f"has the unit '{unit}', but units= says"):
        xsm.open(source, path, units={name: OTHER[unit][0]}, **more).load()


@pytest.mark.parametrize("case", ["scan", "scan heat", "scan csv", "smap", "smap tb"])
def test_a_unit_in_the_file_is_converted(case: str, tmp_path: Path) -> None:
    source, make, name, unit, more = CASES[case]
    for number, said in enumerate(OTHER[unit]):
        (folder := tmp_path / str(number)).mkdir()
        path = make(folder, np.asarray(convert(truth(unit), unit, said)), said)
        np.testing.assert_allclose(first(xsm.open(source, path, **more), name), truth(unit), rtol=2e-4)


@pytest.mark.parametrize("case", ["smap", "smap tb"])
def test_a_copy_without_units_is_read_where_its_values_can_be_in_no_other(case: str, tmp_path: Path) -> None:
    source, make, name, unit, more = CASES[case]
    path = make(tmp_path, truth(unit), "")
    with pytest.warns(UserWarning, match="1 of 1 SMAP files give no units for .*by their values"):
        np.testing.assert_allclose(first(xsm.open(source, path, **more), name), truth(unit), rtol=1e-6)


def test_classes_have_no_unit(tmp_path: Path) -> None:
    path = tmp_path / "MCD12Q1.061_LC_Type1_doy2020001_aid0001.tif"
    write_layer(path, np.full((4, 4), 10, "u1"), "EPSG:4326", (-100, 40), 0.1, nodata=255)
    with pytest.raises(UsageError, match="classes, which have no unit"):
        xsm.open("modis_landcover", path, units={"land_cover": "1"})
