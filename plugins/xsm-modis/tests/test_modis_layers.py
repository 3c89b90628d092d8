"""Which files are land cover by IGBP, and what happens to the others."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
from land_cover_maps import NAME, classes, make
from xsm import DataError
from xsm.testing import open_files
from xsm_modis.source import LandCoverSource

SOURCE = LandCoverSource()
open_ = functools.partial(open_files, SOURCE)

PERCENT = "MCD12C1.061_Land_Cover_Type_1_Percent_Class_10_doy2020001_aid0001.tif"
MAJORITY = "MCD12C1.061_Majority_Land_Cover_Type_1_doy2020001_aid0001.tif"
OTHERS = [
    PERCENT,
    "MCD12C1.061_Land_Cover_Type_1_Percent_doy2020001_aid0001.tif",
    "MCD12C1.061_Majority_Land_Cover_Type_1_Assessment_doy2020001_aid0001.tif",
    "MCD12C1.061_Majority_Land_Cover_Type_2_doy2020001_aid0001.tif",
    "MCD12Q1.061_LC_Type1_Assessment_doy2020001_aid0001.tif",
    "MCD12Q1.061_LC_Type10_doy2020001_aid0001.tif",
    "MCD12Q1.061_LC_Prop1_doy2020001_aid0001.tif",
    "MCD12Q1.061_LW_doy2020001000000_aid0001.tif",
    "MCD12Q1.A2020001.h08v05.061.2022171160153.LC_Type2.tif",
    "MCD12Q1.A2020001.h08v05.061.2022171160153_MCD12Q1_QC.tif",
]


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("first", [True, False])
def test_another_layer_never_gets_among_the_classes(tmp_path, name, first):
    good = MAJORITY if "C1" in name else NAME
    values = classes(low=1, high=17)
    paths = [make(tmp_path / good, values), make(tmp_path / name, np.full((40, 50), 12, "u1"))]
    assert not SOURCE.identify(Path(name)) and SOURCE.identify(Path(good))
    with pytest.warns(UserWarning, match=f"other layers than IGBP classes are left out, the first: '{name}'"):
        assert np.array_equal(open_(paths if first else paths[::-1])["land_cover"], values)
    with pytest.raises(DataError, match="another layer than IGBP, expected LC_Type1"):
        open_([tmp_path / name])


def test_percentages_under_a_wrong_name_stop(tmp_path):
    path = make(tmp_path / NAME, np.arange(2000, dtype="u1").reshape(40, 50) % 101)
    with pytest.raises(DataError, match=f"{NAME}' contains 100, which is not an IGBP class"):
        open_([path]).load()


@pytest.mark.parametrize(("legend", "wrong"), [("MCD12Q1", 0), ("MCD12C1", 17)])
def test_water_of_the_other_legend_is_told(tmp_path, legend, wrong):
    path = make(tmp_path / "map.tif", np.full((40, 50), wrong, "u1"))
    with pytest.warns(UserWarning, match=f"contains {wrong}, which is not a class of {legend}"):
        assert (open_([path], legend=legend)["land_cover"].values == 255).all()


def test_areas_are_where_their_files_say(tmp_path):
    """Two orders call their area aid0001; the older version counts where the newer one is not."""
    old = make(tmp_path / NAME.replace("061", "006"), classes(low=1, high=17), left=-100 + 50 / 240)
    new = make(tmp_path / NAME, classes(low=1, high=17, seed=2))
    got = open_([old, new])["land_cover"].values
    assert np.array_equal(got, np.hstack([classes(low=1, high=17, seed=2), classes(low=1, high=17)]))


def test_two_maps_that_contradict_are_told(tmp_path):
    (tmp_path / "b").mkdir()
    paths = [make(f / NAME, classes(low=1, high=17, seed=i)) for i, f in enumerate((tmp_path, tmp_path / "b"))]
    with pytest.warns(UserWarning, match=r"pixels have other classes in another file; those of the file given first"):
        assert np.array_equal(open_(paths)["land_cover"], classes(low=1, high=17, seed=0))


@pytest.mark.parametrize("name", ["MCD12Q1.061_500m_aid0001.nc", "MCD12Q1.006_500m_aid0002.nc"])
def test_netcdf_of_appeears_is_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"CDF")
    with pytest.raises(
        DataError, match=r"is NetCDF of AppEEARS, expected GeoTIFF or HDF4\. Order GeoTIFF, layer LC_Type1"
    ):
        open_([tmp_path / name])
    with pytest.warns(UserWarning, match=f"left out, the first: '{name}'"):
        open_([tmp_path / name, make(tmp_path / NAME, classes(low=1))])


@pytest.mark.parametrize(
    ("name", "reason"),
    [("SPL3SMP_E.006_Soil_Moisture_Retrieval_Data_AM_soil_moisture_doy2021092000000_aid0001.tif", "of SPL3SMP_E"),
     ("results.csv", "ends with '.csv'"), ("SPL3SMP_E.006_9km_aid0001.nc", "of SPL3SMP_E"), ("map.nc", "ends with")],
)  # fmt: skip
def test_what_is_no_land_cover_is_named_and_asked_for_no_legend(name, reason, tmp_path, recwarn):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DataError, match=f"{reason}.*Order GeoTIFF"):
        open_files(LandCoverSource(), [tmp_path / name])
    assert not len(recwarn)
