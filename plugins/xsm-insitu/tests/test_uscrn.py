from __future__ import annotations

import functools
import os
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from xsm import EASE2_M09, DataError, UsageError
from xsm.plugin_api import Area
from xsm.testing import open_files
from xsm_insitu.uscrn import UscrnSource

DEPTHS = (5.0, 10.0, 20.0, 50.0, 100.0)
SOURCE = UscrnSource()
open_ = functools.partial(open_files, SOURCE)


@pytest.fixture(scope="module")
def real() -> Path:
    root = os.environ.get("XSM_TEST_DATA")
    if not root:
        pytest.skip("XSM_TEST_DATA is not set (real files of the agencies)")
    return Path(root) / "insitu" / "uscrn"


def area(west: float, south: float, east: float, north: float) -> Area:
    return Area((west, south, east, north), EASE2_M09.region((west, south, east, north)))


@pytest.fixture(scope="module")
def stations() -> xr.Dataset:
    rng = np.random.default_rng(0)
    time = np.arange("2018-12-20", "2019-01-12", dtype="M8[h]").astype("M8[ns]")
    shape = (2 * len(DEPTHS), len(time))
    moisture = rng.uniform(0, 0.5, shape).astype("f4")
    moisture[rng.random(shape) < 0.1] = np.nan
    flag = np.zeros(shape, "u1")
    flag[3, 10:20] = 2
    flag[3, 30:40] = 1
    return xr.Dataset(
        {
            "soil_moisture": (("sensor", "time"), moisture),
            "soil_temperature": (("sensor", "time"), rng.uniform(250, 310, shape).astype("f4")),
            "air_temperature": (("sensor", "time"), rng.uniform(250, 310, shape).astype("f4")),
            "flag": (("sensor", "time"), flag, {"flag_values": [0, 1, 2, 3], "flag_meanings": "G D01 D06 M"}),
        },
        {
            "time": time,
            "station": ("sensor", np.repeat(["Twin 01", "Twin 02"], 5)),
            "wban": ("sensor", np.repeat(["03001", "03002"], 5)),
            "lat": ("sensor", np.repeat([35.25, 44.5], 5)),
            "lon": ("sensor", np.repeat([-97.75, -103.1], 5)),
            "depth": ("sensor", np.tile(DEPTHS, 2)),
        },
    )


@pytest.fixture(scope="module")
def written(stations: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return SOURCE.write(SimpleNamespace(stations=stations), tmp_path_factory.mktemp("uscrn"))  # type: ignore[arg-type]


def test_written_files_have_the_layout_of_hourly02(written: list[Path], stations: xr.Dataset) -> None:
    assert [p.name for p in written] == [
        f"CRNH0203-{year}-ZZ_Twin_{n}.txt" for n in ("01", "02") for year in (2018, 2019)
    ]
    lines = written[1].read_text().splitlines()
    assert {len(line) for line in lines} == {243} and {len(line.split()) for line in lines} == {38}
    # the readme's character columns: WBAN 1-5, longitude 42-48, soil moisture at 5 cm 165-171, soil temperature 205-211
    first = lines[0]
    at = int(np.flatnonzero(stations["time"].values == np.datetime64("2019-01-01T01"))[0])
    assert first[:34] == "03001 20190101 0100 20181231 1800 "
    assert (first[41:48], first[49:56]) == (" -97.75", "  35.25")
    moisture = float(stations["soil_moisture"][0, at])
    assert first[164:171] == (f"{moisture:7.3f}" if np.isfinite(moisture) else "-99.000")
    assert first[204:211] == f"{float(stations['soil_temperature'][0, at]) - 273.15:7.1f}"
    # an hour ends at midnight: the last row of a year's file is stamped 0000 of the next
    assert written[0].read_text().splitlines()[-1].split()[1:3] == ["20190101", "0000"]


def test_written_files_are_read_back(written: list[Path], stations: xr.Dataset) -> None:
    ds = open_(written)
    assert ds.sizes == {"sensor": 10, "time": stations.sizes["time"]}
    assert (ds["time"].values == stations["time"].values).all() and ds["time"].attrs["stamps"] == "end of hour"
    for name in ("station", "wban", "lat", "lon", "depth"):
        assert (ds[name].values == stations[name].values).all(), name
    assert len(set(ds["sensor_id"].values)) == 10 and ds["sensor_id"].attrs["cf_role"] == "timeseries_id"
    assert ds["wban"].attrs["long_name"] == "WBAN number of the station"
    expected = stations["soil_moisture"].values.copy()
    expected[3, 10:20] = np.nan  # a spike is missing in the product; frozen soil is not
    np.testing.assert_allclose(ds["soil_moisture"], expected, atol=0.00051)  # three decimals in the file
    np.testing.assert_allclose(ds["soil_temperature"], stations["soil_temperature"], atol=0.051)
    assert ((ds["flag"] == 1) == np.isfinite(expected)).all()
    assert ds["soil_moisture"].dtype == np.float32 and ds["soil_moisture"].attrs["units"] == "m3 m-3"
    assert "synthetic" in ds.attrs


def test_region_time_and_variables(written: list[Path]) -> None:
    ds = open_(
        written, region=area(-100, 30, -90, 40), time=slice("2019-01-02", "2019-01-03"), variables=["soil_moisture"]
    )
    assert set(ds["station"].values) == {"Twin 01"} and "soil_temperature" not in ds
    # stamps end hours: the two days are 01 of the second to 00 of the fourth
    assert ds.sizes["time"] == 48
    assert ds["time"].values[0] == np.datetime64("2019-01-02T01") and ds["time"].values[-1] == np.datetime64(
        "2019-01-04"
    )
    with pytest.raises(DataError, match="contain no soil moisture in longitude 0"):
        open_(written, region=area(0, 30, 10, 40))
    with pytest.raises(DataError, match="from 2021-01-01 to 2021-02-01"):
        open_(written, time=slice("2021-01-01", "2021-02-01"))
    with pytest.raises(UsageError, match="no variable 'rain'"):
        open_(written, variables=["rain"])


def test_identify() -> None:
    for name in ("CRNH0203-2019-AZ_Tucson_11_W.txt", "CRND0103-2019-AZ_Tucson_11_W.txt", "crn_daily_2020.csv.gz"):
        assert SOURCE.identify(Path(name)), name
    for name in ("stations.tsv", "readme.txt", "AdamsRanch.stm", "uscrn-station-soils.csv"):
        assert not SOURCE.identify(Path(name)), name


def test_damaged_files_are_reported(written: list[Path], tmp_path: Path) -> None:
    lines = written[1].read_text().splitlines()
    damaged = {
        "glued": [lines[0], lines[1] + lines[2]],
        "cut": [lines[0], lines[1][:120], lines[2]],
        "date": [lines[0].replace("20190101", "2019O101")],
        "number": [lines[0].replace(lines[0][164:171], "  0.1x3")],
        "last": [lines[0].rstrip()[:-1] + "J"],
    }
    for name, text in damaged.items():
        path = tmp_path / f"CRNH0203-2019-ZZ_{name}.txt"
        path.write_text("\n".join(text) + "\n")
        with pytest.raises(DataError, match=f"{name}.txt' cannot be read as USCRN hourly02"):
            open_([path])
    page = tmp_path / "CRNH0203-2019-ZZ_page.txt"
    page.write_text("<html>\n<body>Not found</body>")
    with pytest.raises(DataError, match="1 columns, expected 38"):
        open_([page])
    ds = open_([*written, page, tmp_path / "CRNH0203-2019-ZZ_cut.txt"], on_error="skip")
    assert len(ds.attrs["skipped"]) == 2 and ds.sizes["sensor"] == 10
    with pytest.raises(DataError, match="expected 38"):
        open_([page], on_error="skip")


def test_missing_values_of_daily_files(tmp_path: Path) -> None:
    head = "03047 {} 2.622 -102.81 31.62 14.0 0.4 7.2 8.0 0.0 15.39 C 27.7 -3.5 10.3 90.0 40.1 63.4 "
    path = tmp_path / "CRND0103-2020-TX_Monahans_6_ENE.txt"
    path.write_text(
        f"{head.format(20200101)} 0.318 -99.000 -9.000 0.200 1.400 2.1 -9999.0 0.0 0.1 0.3\n"
        f"{head.format(20200103)} 0.300   0.100  0.100 0.200 0.100 2.1     0.9 0.0 0.1 0.3\n"
    )
    with pytest.warns(UserWarning, match="local standard days"):
        ds = open_([path])
    assert ds["station"].values[0] == "Monahans 6 ENE" and ds["wban"].values[0] == "03047"
    assert ds.sizes["time"] == 3 and ds["time"].attrs["stamps"] == "local day"
    np.testing.assert_allclose(ds["soil_moisture"][:, 0], [0.318, np.nan, np.nan, 0.2, np.nan], rtol=1e-6)
    assert list(ds["flag"][:, 0].values) == [1, 0, 0, 1, 3] and (ds["flag"][:, 1] == 0).all()
    np.testing.assert_allclose(ds["soil_temperature"][:2, 0], [275.25, np.nan])
    hourly = tmp_path / "CRNH0203-2020-TX_Monahans_6_ENE.txt"
    hourly.write_text(" ".join(["1"] * 38))
    with pytest.raises(DataError, match="several USCRN products"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hourly.write_text(("03047 20200101 0100 20191231 1900 3 -102.81 31.62 " + "0 " * 30).strip())
        open_([path, hourly])


def test_real_daily_table(real: Path) -> None:
    path = real / "crn_daily_2020_half.csv.gz"
    with pytest.warns(UserWarning, match="local standard days"):
        ds = open_([path])
    assert ds.sizes == {"sensor": 78 * 5, "time": 366}
    table = pd.read_csv(path, dtype={"wban": str})
    for depth in DEPTHS:
        mine = ds.isel(sensor=np.flatnonzero(ds["depth"] == depth))
        theirs = table.pivot(index="wban", columns="lst_date", values=f"soil_moisture_{depth:.0f}_daily")
        np.testing.assert_allclose(mine["soil_moisture"], theirs.loc[mine["wban"].values], rtol=1e-6)
    assert "03047" in ds["wban"].values


def test_real_odd_text_files(real: Path) -> None:
    """A file without a last newline, and one with a row of 1754 characters: both are whole."""
    ds = open_([real / "CRNS0101-05-2019-AZ_Tucson_11_W.txt"])
    assert ds["station"].values[0] == "Tucson 11 W" and ds.sizes == {"sensor": 1, "time": 4}
    assert np.diff(ds["time"].values).max() == np.timedelta64(5, "m") and np.isnan(ds["soil_moisture"]).all()
    ds = open_([real / "CRN_with_problems.txt"])
    assert ds.sizes == {"sensor": 1, "time": 15} and ds["wban"].values[0] == "92821"
    assert ds["lon"].values[0] == -80.69
