"""What a file is, in which unit and order, at which time: read as it says, or refused in a sentence, never guessed."""

from __future__ import annotations

import itertools
import warnings
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xsm
from nldas_files import open_
from xsm import DataError

LAT, LON = 33.0625 + 0.125 * np.arange(5), -98.9375 + 0.125 * np.arange(7)
FIRST = int(np.datetime64("2021-04-01", "h").astype(int))
WATER = 10 + 30 * np.random.default_rng(1).random((48, 5, 7))
"""kg m-2 of the uppermost layer, 48 hours."""
DAILY = WATER.reshape(2, 24, 5, 7).mean(1) / 100


def write(
    path: Path, values: np.ndarray = WATER, *, units: str | None = "kg m-2", order=("time", "lat", "lon"), kind="f4",
    pack: tuple[float, float] | None = None, fill: float | None = -9999.0, times=None, since="hours since 1979-01-01",
    name: str = "SoilM_0_10cm", calendar: str = "standard", **attrs: str,
) -> Path:  # fmt: skip
    """Maps of some hours as netCDF4 writes them."""
    with netCDF4.Dataset(path, "w") as nc:
        sizes = {"time": len(values), "lat": 5, "lon": 7}
        for dim in order:
            nc.createDimension(dim, sizes[dim])
        time = nc.createVariable("time", "f8", ("time",))
        time.setncatts({"units": since, "calendar": calendar})
        time[:] = FIRST - 78888 + np.arange(len(values)) if times is None else times
        nc.createVariable("lat", "f4", ("lat",))[:] = LAT
        nc.createVariable("lon", "f4", ("lon",))[:] = LON
        v = nc.createVariable(name, kind, order, fill_value=fill)
        v.set_auto_maskandscale(False)
        if units is not None:
            v.units = units
        stored = values.transpose([("time", "lat", "lon").index(d) for d in order])
        if pack is not None:
            v.setncatts({"scale_factor": pack[0], "add_offset": pack[1]})
            stored = np.rint((stored - pack[1]) / pack[0])
        v[:] = stored.astype(kind)
        nc.setncatts(attrs)
    return path


@pytest.mark.parametrize("order", itertools.permutations(("time", "lat", "lon")))
def test_dims_in_any_order(tmp_path: Path, order: tuple[str, ...]) -> None:
    got = open_([write(tmp_path / "subset.nc", order=order)])
    np.testing.assert_allclose(got["sm_noah_0_10"], DAILY, rtol=1e-6)


def test_dims_of_one_length_are_told_apart_by_name(tmp_path: Path) -> None:
    """Seven hours on seven columns: only the names of the dims tell which is which."""
    path = write(tmp_path / "subset.nc", WATER[:7], order=("lon", "lat", "time"))
    with warnings.catch_warnings(action="ignore"):
        got = open_([path], min_hours=7)
    np.testing.assert_allclose(got["sm_noah_0_10"][0], WATER[:7].mean(0) / 100, rtol=1e-6)


@pytest.mark.parametrize("kind, pack, fill", [
    ("i2", (0.001, 20.0), -32768), ("i2", (0.01, 0.0), -9999), ("u1", (0.2, 5.0), 255), ("u2", (0.001, 0.0), 65535),
    ("i4", (1e-6, 0.0), -2147483647), ("f8", None, 1e20), ("i4", (0.001, 0.0), None), ("i1", (0.25, 30.0), -128),
])  # fmt: skip
def test_packed_numbers_are_unpacked(tmp_path: Path, kind: str, pack: tuple[float, float], fill: float) -> None:
    path = write(tmp_path / "subset.nc", kind=kind, pack=pack, fill=fill)
    with netCDF4.Dataset(path) as nc:
        wanted = np.ma.filled(nc["SoilM_0_10cm"][:].astype("f8"), np.nan).reshape(2, 24, 5, 7).mean(1) / 100
    np.testing.assert_allclose(open_([path])["sm_noah_0_10"], wanted, rtol=2e-6)
    np.testing.assert_allclose(wanted, DAILY, atol=0.002)


def test_missing_values_of_packed_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "subset.nc", kind="i2", pack=(0.001, 20.0), fill=-32768)
    with netCDF4.Dataset(path, "r+") as nc:
        nc["SoilM_0_10cm"].set_auto_maskandscale(False)
        nc["SoilM_0_10cm"][:, 2, 3] = -32768
        nc["SoilM_0_10cm"][:, 1, 1] = -9999  # 10.001 kg m-2, no fill value
    got = open_([path])["sm_noah_0_10"]
    assert np.isnan(got[:, 2, 3]).all() and np.isfinite(got).sum() == 68
    np.testing.assert_allclose(got[:, 1, 1], 0.10001, rtol=1e-5)


@pytest.mark.parametrize("unit, factor, stated", [
    ("kg m-2", 1, False), ("mm", 1, False), ("kg/m^2", 1, False), ("kg m⁻²", 1, False), ("cm", 0.1, False),
    ("m3 m-3", 0.01, True), ("m³/m³", 0.01, True), ("%", 1, True), ("1", 0.01, True),
])  # fmt: skip
@pytest.mark.parametrize("silent", [True, False])
def test_units_are_read_or_stated(tmp_path: Path, unit: str, factor: float, stated: bool, silent: bool) -> None:
    path = write(tmp_path / "subset_nldas_noah.nc", WATER * factor, units=None if silent else unit)
    if silent or stated:
        with pytest.raises(DataError, match="has no unit" if silent else f"has the unit '{unit}'".replace("^", r"\^")):
            xsm.open("nldas", path)
    for units in [{"SoilM_0_10cm": unit}, f"sm_noah_0_10={unit}", *([] if silent or stated else [None])]:
        np.testing.assert_allclose(xsm.open("nldas", path, units=units)["sm_noah_0_10"], DAILY, rtol=1e-6)


@pytest.mark.parametrize("truth, said", [(0.01, "kg m-2"), (100, "kg m-2"), (1, "m3 m-3"), (0.01, "%")])
def test_a_unit_that_values_contradict_stops(tmp_path: Path, truth: float, said: str) -> None:
    path = write(tmp_path / "subset.nc", WATER * truth, units=None)
    with pytest.raises(DataError, match="cannot be in m3 m-3"):
        xsm.open("nldas", path, units={"SoilM_0_10cm": said}).load()


@pytest.mark.parametrize("units, reason", [
    ({"SoilM_0_10cm": "percent"}, "has the unit 'kg m-2', but units= says 'percent'"),
    ({"Soil": "kg m-2"}, "Unknown variable in units= 'Soil'"), ({"SoilM_0_10cm": "kgg"}, "'kgg' is not known"),
    ("SoilM_0_10cm", "expected name=value"),
])  # fmt: skip
def test_units_that_contradict_or_name_nothing_stop(tmp_path: Path, units: object, reason: str) -> None:
    with pytest.raises(xsm.XsmError, match=reason):
        xsm.open("nldas", write(tmp_path / "subset.nc"), units=units)


@pytest.mark.parametrize("celsius", [True, False])
def test_temperatures_in_celsius(tmp_path: Path, celsius: bool) -> None:
    path = write(tmp_path / "subset.nc", WATER, units="degC" if celsius else "K", name="SoilT_0_10cm")
    if celsius:
        np.testing.assert_allclose(open_([path])["soil_temperature_0_10"], DAILY * 100 + 273.15, rtol=1e-6)
    else:
        with pytest.raises(DataError, match="look like degrees Celsius"):
            open_([path]).load()


@pytest.mark.parametrize("name, reason", [
    ("NLDAS_MOS0125_H.A20210401.0000.020.nc", "model Mosaic"), ("NLDAS_VIC0125_H.A20210401.0000.020.nc", "model VIC"),
    ("NLDAS_MOS0125_H.A20210401.0000.002.grb", "model Mosaic"), ("NLDAS_VIC0125_H.A20210401.0000.002.grb", "model VIC"),
    ("NLDAS_MOS0125_M.A202104.020.nc", "model Mosaic"), ("NLDAS_NOAH0125_M.A202104.020.nc", "monthly means"),
    ("NLDAS_NOAH0125_MC.A04.020.nc", "monthly climatology"), ("NLDAS_FORA0125_M.A202104.020.nc", "monthly means"),
    ("nldas_vic0125_h.a20210401.0000.020.nc.SUB.nc4", "model VIC"),
    ("NLDAS_NOAH0125_D.A20210401.020.nc", "daily means"),
])  # fmt: skip
def test_other_products_are_refused_by_their_name(tmp_path: Path, name: str, reason: str) -> None:
    path = write(tmp_path / name)
    with pytest.raises(DataError, match=f"'{path}' (is of the|contains).*{reason}"):
        xsm.open("nldas", path)
    with pytest.raises(DataError, match=reason):
        xsm.open("nldas", path, on_error="skip")


@pytest.mark.parametrize("attrs, reason", [
    ({"title": "NLDAS Mosaic Land Surface Model L4 Hourly 0.125 x 0.125 degree"}, "model Mosaic"),
    ({"ShortName": "NLDAS_VIC0125_H"}, "model VIC"), ({"source": "VIC model output"}, "model VIC"),
    ({"ShortName": "NLDAS_NOAH0125_M"}, "monthly means"), ({"title": "NLDAS Noah, monthly 0.125 degree"}, "monthly"),
])  # fmt: skip
def test_other_products_are_refused_by_their_attributes(tmp_path: Path, attrs: dict[str, str], reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        open_([write(tmp_path / "renamed.nc", **attrs)])


@pytest.mark.parametrize("title", ["NLDAS Noah Land Surface Model L4 Hourly", "NLDAS-2 Noah, not Mosaic or VIC", ""])
def test_titles_of_noah_are_read(tmp_path: Path, title: str) -> None:
    assert open_([write(tmp_path / "renamed.nc", title=title)]).sizes["time"] == 2


@pytest.mark.parametrize("shift", [0.0, 0.25, 0.5, 0.75, 1e-5, -1e-5, 0.999])
def test_stamps_within_the_hour_stay_in_their_day(tmp_path: Path, shift: float) -> None:
    path = write(tmp_path / "subset.nc", times=FIRST - 78888 + np.arange(48) + shift)
    got = open_([path])
    assert got["time"].values.astype("M8[D]").astype(str).tolist() == ["2021-04-01", "2021-04-02"]
    np.testing.assert_allclose(got["sm_noah_0_10"], DAILY, rtol=1e-6)


@pytest.mark.parametrize("since, factor, zone", [
    ("hours since 1979-01-01 00:00:00 -06:00", 1, -6), ("hours since 1979-01-01T00:00:00Z", 1, 0),
    ("hours since 1979-01-01 00:00:00 +05:00", 1, 5), ("minutes since 1979-01-01", 60, 0),
    ("days since 1979-01-01", 1 / 24, 0), ("seconds since 1979-01-01 00:00", 3600, 0),
])  # fmt: skip
def test_time_zones_become_utc(tmp_path: Path, since: str, factor: float, zone: int) -> None:
    times = (FIRST - 78888 + np.arange(48) + zone) * factor
    got = open_([write(tmp_path / "subset.nc", since=since, times=times)])
    np.testing.assert_allclose(got["sm_noah_0_10"], DAILY, rtol=1e-6)


@pytest.mark.parametrize("since, calendar", [
    ("1", "standard"), ("hours since 1979-01-01", "noleap"), ("hours since 1979-01-01", "360_day"),
    ("hours since yesterday", "standard"), ("parsecs since 1979-01-01", "standard"),
])  # fmt: skip
def test_times_that_cannot_be_read_are_named(tmp_path: Path, since: str, calendar: str) -> None:
    with pytest.raises(DataError, match=r"has times with .*expected 'hours since"):
        open_([write(tmp_path / "subset.nc", since=since, calendar=calendar)])


@pytest.mark.parametrize("step, reason", [(24, "daily or coarser"), (28 * 24, "monthly"), (31 * 24, "monthly")])
def test_coarser_steps_are_refused(tmp_path: Path, step: int, reason: str) -> None:
    path = write(tmp_path / "subset.nc", WATER[:4], times=FIRST - 78888 + step * np.arange(4))
    with pytest.raises(DataError, match=f"contains {reason} maps, expected hourly"):
        open_([path])


def test_files_of_other_packing_and_order_join(tmp_path: Path) -> None:
    a = write(tmp_path / "a.nc", WATER[:24], kind="i2", pack=(0.001, 20.0), fill=-32768)
    got = open_([a, write(tmp_path / "b.nc", WATER[24:], times=FIRST - 78864 + np.arange(24))])
    np.testing.assert_allclose(got["sm_noah_0_10"], DAILY, atol=1e-5)
    a = write(tmp_path / "a.nc", WATER[:7], order=("lat", "lon", "time"))
    b = write(tmp_path / "b.nc", WATER[24:31], times=FIRST - 78864 + np.arange(7))
    with warnings.catch_warnings(action="ignore"):
        got = open_([a, b], min_hours=7)
    wanted = np.stack([WATER[:7].mean(0), WATER[24:31].mean(0)]) / 100
    np.testing.assert_allclose(got["sm_noah_0_10"], wanted, rtol=1e-6)


@pytest.mark.parametrize("name", ["NLDAS_MOS0125_H.A20210401.0000.020.nc", "NLDAS_VIC0125_M.A202104.020.nc4"])
def test_folders_of_other_models_are_refused_by_name_and_left_out_beside_noah(name: str, tmp_path: Path) -> None:
    write(tmp_path / name)
    with pytest.raises(DataError, match=r"of the model (Mosaic|VIC), expected Noah"):
        xsm.open("nldas", tmp_path)
    write(tmp_path / "subset_nldas_noah.nc")
    with pytest.warns(UserWarning, match=f"1 files of other models or time steps are left out, the first: '{name}'"):
        xsm.open("nldas", [tmp_path / "subset_nldas_noah.nc", tmp_path / name])


@pytest.mark.parametrize(
    ("name", "head", "reason"),
    [("NLDAS_NOAH0125_H_2_0_SoilM_0_10cm.csv", b"prod_name,NLDAS\nTimestamp,Data\n", "a table, perhaps a time series"),
     ("x_aid0001.nc", b"CDF\x01", "output of AppEEARS"), ("x.tif", b"II*\0" + bytes(99), "a TIFF file")],
)  # fmt: skip
def test_output_of_other_services_is_named(name: str, head: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(head)
    with pytest.raises(DataError, match=f"{reason}.*NLDAS_NOAH0125_H"):
        xsm.open("nldas", tmp_path / name)


@pytest.mark.parametrize("order", [slice(None, None, -1), [*range(5), 4, *range(5, 48)], [0, 0, *range(1, 48)]])
def test_hours_in_descending_order_or_repeated_count_once(tmp_path: Path, order: slice | list[int]) -> None:
    hours = FIRST - 78888 + np.arange(48)
    with warnings.catch_warnings(action="ignore"):
        got = open_([write(tmp_path / "merged.nc", WATER[order], times=hours[order])])
    np.testing.assert_allclose(got["sm_noah_0_10"], DAILY, rtol=1e-6)


def test_hours_in_no_order_are_refused(tmp_path: Path) -> None:
    hours = FIRST - 78888 + np.random.default_rng(0).permutation(48)
    with pytest.raises(DataError, match="times that are in no order"):
        open_([write(tmp_path / "merged.nc", times=hours)])


@pytest.mark.parametrize("region", [None, (-98.9, 33.1, -98.5, 33.5)])
def test_longitudes_from_0_are_those_from_minus_180(tmp_path: Path, region: tuple[float, ...] | None) -> None:
    path = write(tmp_path / "subset.nc")
    usual = xsm.open("nldas", path, region=region).load()
    with netCDF4.Dataset(path, "r+") as nc:
        nc["lon"][:] = LON + 360
    np.testing.assert_allclose(xsm.open("nldas", path, region=region)["lon"], usual["lon"])
    np.testing.assert_array_equal(xsm.open("nldas", path, region=region)["sm_noah_0_10"], usual["sm_noah_0_10"])
