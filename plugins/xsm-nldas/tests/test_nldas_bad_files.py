"""Files that cannot be used, and files that differ from the others."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from nldas_files import LAT, UNITS, make, name, open_
from xsm import DataError

BAD = {
    "an HTML page": b"<!DOCTYPE html><html>Earthdata Login</html>",
    "not a complete NLDAS-2 GRIB1 file": b"GRIB" + bytes(80),
    "is empty": b"",
    "neither netCDF-4 nor HDF5": b"not found",
    "netCDF-3": b"CDF\x01" + bytes(80),
}


@pytest.mark.parametrize("kind", BAD)
def test_other_files_are_refused_by_name(two_days, tmp_path, kind):
    bad = tmp_path / name(int(np.datetime64("2018-03-03", "h").astype(int)))
    bad.write_bytes(BAD[kind])
    with pytest.raises(DataError, match=f"{bad.name}.*{kind}"):
        open_([*two_days, bad])


@pytest.mark.parametrize("end", [8, 12, 63, -1])
def test_truncated_files_are_seen_before_anything_is_read(two_days, tmp_path, end):
    bad = tmp_path / name(int(np.datetime64("2018-03-03", "h").astype(int)))
    bad.write_bytes(two_days[0].read_bytes()[:end])
    with pytest.raises(DataError, match="is truncated"):
        open_([*two_days, bad])
    with pytest.raises(DataError, match="No such file"):
        open_([tmp_path / "nothing.nc"])


def test_values_without_a_place_in_the_file_are_lost_and_not_missing(two_days, tmp_path):
    bad = tmp_path / two_days[3].name
    shutil.copy(two_days[3], bad)
    with h5py.File(bad, "r+") as file:
        attrs = {k: file["SoilM_0_10cm"].attrs[k] for k in ("units", "scale_factor", "add_offset")}
        del file["SoilM_0_10cm"]
        new = file.create_dataset(
            "SoilM_0_10cm", (1, 12, 16), "f4", chunks=(1, 6, 16), compression="gzip", fillvalue=-9999
        )
        new.attrs.update(attrs)
        new[:, :6] = 20
    with pytest.raises(DataError, match=f"{bad.name}': a part of SoilM_0_10cm is lost"):
        open_([*two_days[:3], bad, *two_days[4:24]], variables=["sm_noah_0_10"]).load()


@pytest.mark.parametrize("day", ["2018-02-27", "2018-03-04"])
def test_days_of_files_left_out_at_the_ends_are_incomplete(two_days, tmp_path, day):
    """They were added to the axis later, so that the attribute did not know them."""
    bad = tmp_path / name(int(np.datetime64(day, "h").astype(int)))
    bad.write_bytes(b"<html>")
    with pytest.warns(UserWarning, match="2 of 4 days have fewer than 24 hours"):
        ds = open_([*two_days, bad], on_error="skip")
    assert len(ds.attrs["skipped"]) == 1 and bad.name in ds.attrs["skipped"][0]
    days = ds["time"].values.astype("M8[D]").astype(str)
    empty = [d for d in days if not d.startswith(("2018-03-01", "2018-03-02"))]
    assert day in empty and ds.attrs["incomplete_days"] == ", ".join(f"{d} (0)" for d in empty)
    assert ds["sm_noah_0_10"].sel(time=empty).isnull().all()


def with_other(files: list[Path], at: int, folder: Path, **kwargs) -> list[Path]:
    """The files with one of them replaced."""
    hour = int(np.datetime64("2018-03-01", "h").astype(int)) + at
    return [*files[:at], make(folder / files[at].name, [hour], **kwargs), *files[at + 1 :]]


def test_another_grid_is_found_when_reading(two_days, tmp_path):
    files = with_other(two_days, 5, tmp_path, lat=LAT + 1)
    with pytest.raises(DataError, match=f"{files[5].name}' has another lat axis"):
        open_(files).compute()
    with pytest.warns(UserWarning, match=f"left out: .*{files[5].name}' has another lat axis"):
        got = open_(files, on_error="skip").compute()
    assert np.isfinite(got["sm_noah_0_10"].values[:, 5, 5]).all()


@pytest.mark.parametrize("at", [0, 47])
def test_the_grid_is_that_of_most_files(two_days, tmp_path, at):
    files = with_other(two_days, at, tmp_path, lat=LAT[:5])
    with pytest.raises(DataError, match=f"{files[at].name}' is on another grid"):
        open_(files)
    with pytest.warns(UserWarning, match="1 of 2 days have fewer than 24 hours"):
        got = open_(files, on_error="skip")
    assert re.findall(r"NLDAS_\S+nc", got.attrs["skipped"][0]) == [files[at].name]  # no sound file is named
    assert "(23)" in got.attrs["incomplete_days"]
    assert np.array_equal(got["lat"], LAT) and np.isfinite(got["sm_noah_0_10"].values[:, 5:, 5:]).all()


def test_where_all_headers_that_are_read_are_bad_others_are_read(two_days, tmp_path):
    files = list(two_days[:24])
    for at in np.linspace(0, 23, 5).astype(int):
        files = with_other(files, at, tmp_path)
        with h5py.File(files[at], "r+") as file:
            del file["lat"]
    with pytest.warns(UserWarning, match=r"2018-03-01 \(19 h\)"):
        got = open_(files, on_error="skip", min_hours=19)
    assert len(got.attrs["skipped"]) == 5 and np.isfinite(got["sm_noah_0_10"].values[0, 5, 5])


def test_each_file_has_its_own_packing_and_units(two_days, tmp_path):
    rates = UNITS | {"Rainf": "kg m-2 s-1"}
    files = with_other(with_other(two_days, 5, tmp_path, units=rates), 9, tmp_path)
    with h5py.File(files[9], "r+") as file:
        for name, unit in UNITS.items():  # halved, with another fill
            stored = file[name]
            raw = stored[:]
            stored[:] = np.where(raw == -9999, -1, raw / 2)
            stored.attrs.modify("scale_factor", np.float64(2))
            stored.attrs["_FillValue"] = stored.attrs["missing_value"] = np.float32(-1)
            stored.attrs["units"] = unit  # a text of variable length
    got, wanted = open_(files).compute(), open_(two_days).compute()
    for name in wanted:  # a rate in float32 and its mean: some roundings of 6e-8
        np.testing.assert_allclose(got[name], wanted[name], rtol=5e-7, equal_nan=True)


def test_a_unit_of_one_file_that_is_unknown_is_refused(two_days, tmp_path):
    files = with_other(two_days, 5, tmp_path, units=UNITS | {"SoilM_0_10cm": "m3 m-3"})
    with pytest.raises(DataError, match=f"{files[5].name}' 'SoilM_0_10cm' has the unit 'm3 m-3', expected one of"):
        open_(files).compute()
