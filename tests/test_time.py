"""Time axes that enter an operation: in UTC days afterwards, or refused in a sentence, whatever type they come in."""

from __future__ import annotations

import datetime

import cftime
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import xsm
from xsm import DataError
from xsm.data.time import utc_times
from xsm.errors import hear

DAYS = pd.date_range("2021-03-30", periods=6)


def maps(time: object, attrs: dict[str, str] | None = None) -> xr.Dataset:
    ds = xr.Dataset({"sm_dca": (("time", "y"), np.zeros((len(time), 2)))})
    return ds.assign_coords(time=("time", time, attrs or {}))


def days_of(ds: xr.Dataset) -> list[str]:
    assert ds["time"].dtype.kind == "M"
    return ds["time"].values.astype("M8[D]").astype(str).tolist()


WANTED = [str(d.date()) for d in DAYS]
SAME = {
    "datetime64": DAYS,
    "seconds": DAYS.values.astype("M8[s]"),
    "UTC": DAYS.tz_localize("UTC"),
    "noon in Denver": (DAYS + pd.Timedelta(hours=12)).tz_localize("America/Denver"),
    "objects with a time zone": np.array(list(DAYS.tz_localize("UTC")), object),
    "datetime": np.array([d.to_pydatetime() for d in DAYS], object),
    "date": np.array([d.date() for d in DAYS], object),
    "aware datetime": np.array([d.to_pydatetime().replace(tzinfo=datetime.UTC) for d in DAYS], object),
    "texts": np.array(WANTED),
    "texts as objects": np.array(WANTED, object),
    "compact texts": np.array([d.strftime("%Y%m%d") for d in DAYS]),
    "texts of noon": np.array([f"{d}T12:00Z" for d in WANTED]),
    "texts with a zone": np.array([f"{d} 05:00-06:00" for d in WANTED]),
    "cftime": np.array([cftime.DatetimeGregorian(d.year, d.month, d.day, 12) for d in DAYS]),
    "proleptic": np.array([cftime.DatetimeProlepticGregorian(d.year, d.month, d.day) for d in DAYS]),
    "periods": pd.PeriodIndex(DAYS, freq="D"),
    "half hours": DAYS + pd.Timedelta(hours=23, minutes=30),
    "last second": DAYS + pd.Timedelta(hours=23, minutes=59, seconds=59),
    "noon": DAYS + pd.Timedelta(hours=12),
}  # fmt: skip


@pytest.mark.parametrize("kind", SAME)
def test_every_kind_of_time_becomes_the_same_days(kind: str) -> None:
    assert days_of(utc_times(maps(SAME[kind]))) == WANTED


@given(st.integers(-14 * 4, 14 * 4), st.sampled_from([0, 1, 3600]) | st.integers(0, 86399))
def test_time_zones_become_utc_and_midnights_stay_their_day(quarters: int, second: int) -> None:
    zone = datetime.timezone(datetime.timedelta(minutes=15 * quarters))
    local = [d + pd.Timedelta(seconds=second) for d in DAYS.tz_localize(zone)]
    wanted = [d.tz_convert("UTC").tz_localize(None) for d in local] if second else list(DAYS)
    for time in (pd.DatetimeIndex(local), np.array(local, object), np.array([d.isoformat() for d in local])):
        got = utc_times(maps(time))["time"].values
        np.testing.assert_array_equal(got, np.array(wanted, "M8[ns]"))


@given(st.integers(0, 86399))
def test_no_stamp_leaves_its_day(second: int) -> None:
    assert days_of(utc_times(maps(DAYS + pd.Timedelta(seconds=second)))) == WANTED


def test_numbers_with_a_unit_are_decoded() -> None:
    assert days_of(utc_times(maps(np.arange(6), {"units": "days since 2021-03-30"}))) == WANTED
    assert days_of(utc_times(maps(np.arange(6) * 24.0, {"units": "hours since 2021-03-30 12:00"}))) == WANTED


def test_ends_of_intervals_are_moved_to_their_day() -> None:
    ds = maps(DAYS + pd.Timedelta(days=1), {"bounds": "time_bnds"})
    ds["time_bnds"] = ("time", "nv"), np.stack([DAYS, DAYS + pd.Timedelta(days=1)], 1)
    with pytest.warns(UserWarning, match="6 times are the ends of their intervals"):
        assert days_of(utc_times(ds)) == WANTED


MONTHS = pd.date_range("2018-01-01", periods=40, freq="MS")
REFUSED = {
    "numbers (0 first) without a unit": np.arange(6),
    "numbers (20210330 first) without a unit": np.arange(20210330, 20210336),
    "numbers (0.5 first) without a unit": np.arange(6) + 0.5,
    "values of the type bool": np.array([True] * 6),
    "values of the type timedelta64": np.arange(6).astype("m8[D]").astype("m8[ns]"),
    "calendar 'noleap'": xr.date_range("2021-03-30", periods=6, calendar="noleap", use_cftime=True),
    "calendar '360_day'": xr.date_range("2021-02-28", periods=6, calendar="360_day", use_cftime=True),
    "calendar 'julian'": xr.date_range("2021-03-30", periods=6, calendar="julian", use_cftime=True),
    "the time '30/03/2021'": np.array([d.strftime("%d/%m/%Y") for d in DAYS]),
    "the time '03-30-2021'": np.array([d.strftime("%m-%d-%Y") for d in DAYS]),
    "the time 'spring'": np.array(["spring"] * 6),
    "1 missing times": np.array([*WANTED[:5], "NaT"], "M8[ns]"),
    "monthly times ('2021-01')": np.array([f"2021-{m:02d}" for m in range(1, 7)]),
    "times that are periods of M": pd.period_range("2021-01", periods=6, freq="M"),
    "times every 31 days (2021-01-01,": pd.date_range("2021-01-01", periods=6, freq="MS"),
    "times every 30 days (2021-01-31,": pd.date_range("2021-01-01", periods=5, freq="ME"),
    "times every 30 days (2021-01-16,": pd.to_datetime([f"2021-{m:02d}-{15 + m % 2}" for m in range(1, 7)]),
    "times every 30 days (2018-01-01,": pd.date_range("2018-01-01", periods=40, freq=pd.Timedelta(days=30.4375)),
    "times every 31 days (2018-02-01,": MONTHS[[i for i in range(40) if i % 4]],
    "times every 61 days (2018-02-01,": MONTHS[1::2],
    "times every 91 days (2018-01-01,": MONTHS[::3],
    "times every 50 days (2018-01-01,": pd.date_range("2018-01-01", periods=9, freq="50D"),
}  # fmt: skip


@pytest.mark.parametrize("reason", REFUSED)
def test_what_is_no_day_is_refused_by_name(reason: str) -> None:
    with pytest.raises(DataError) as error:
        utc_times(maps(REFUSED[reason]), "The input")
    assert reason in error.value.message and error.value.message.startswith("The input has") and error.value.hint


def test_a_dim_without_coordinate_is_refused() -> None:
    with pytest.raises(DataError, match="dim time without a coordinate"):
        utc_times(xr.Dataset({"a": ("time", [1.0])}))
    assert "time" not in utc_times(xr.Dataset({"a": ("time", [1.0])}), daily=False).coords
    assert utc_times(xr.Dataset({"a": ("x", [1.0])})).sizes == {"x": 1}


def test_months_may_be_regridded_and_few_days_are_no_months() -> None:
    months = maps(pd.date_range("2021-01-01", periods=6, freq="MS"))
    assert utc_times(months, daily=False) is months
    with pytest.warns(UserWarning, match="two times, 2021-01-01 and 2021-02-01, and takes each as one day: means of"):
        assert utc_times(months.isel(time=slice(2))).sizes["time"] == 2


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5, 7, 8, 10, 16, 27, 365])
def test_composites_are_told_and_days_are_not(step: int) -> None:
    """Weeks may be one day of each, or means; years are what trends are computed from."""
    time = pd.date_range("2021-01-01", periods=30, freq=f"{step}D").delete([7, 8, 20])
    with hear() as heard:
        assert utc_times(maps(time)).sizes["time"] == 27
    assert [f"times every {step} days and takes each as one day" in str(w) for w in heard] == [True] * (step > 4)


@pytest.mark.parametrize("days", [
    ["2021-01-03", "2021-02-14", "2021-04-29", "2021-06-02"], ["2021-01-05", "2021-01-18"], ["2021-01-05"],
    [*DAYS.astype(str), "2021-05-01", "2021-06-01"], ["2021-04-01", "2021-04-08", "2021-04-19", "2021-04-30"],
])  # fmt: skip
def test_days_of_samples_are_days(days: list[str]) -> None:
    """Somebody who goes out with an auger has no regular step."""
    with hear() as heard:
        assert utc_times(maps(pd.to_datetime(days))).sizes["time"] == len(days)
    assert not heard


@given(st.integers(1, 999_999), st.integers(0, 23), st.sampled_from(["days", "hours", "minutes", "seconds"]))
def test_what_a_decoder_leaves_short_of_an_hour_is_that_hour(micro: int, hour: int, unit: str) -> None:
    times = (DAYS + pd.Timedelta(hours=hour)).as_unit("ns")
    np.testing.assert_array_equal(utc_times(maps(times - pd.Timedelta(microseconds=micro)))["time"].values, times)
    number = (times - pd.Timestamp("1900-01-01")) / pd.Timedelta(**{unit: 1})
    decoded = utc_times(maps(np.nextafter(number, 0) - 1e-9, {"units": f"{unit} since 1900-01-01"}))
    np.testing.assert_array_equal(decoded["time"].values, times)


@pytest.mark.parametrize("kind", ["UTC", "texts", "cftime", "half hours"])
def test_operations_take_every_time_and_refuse_what_is_none(kind: str) -> None:
    smap, nldas = xsm.example("smap", size=8, days=20), xsm.example("nldas", size=8, days=20)
    days = pd.DatetimeIndex(smap["time"].values)
    time = {
        "UTC": days.tz_localize("UTC"), "texts": days.strftime("%Y-%m-%d").to_numpy(),
        "cftime": np.array([cftime.DatetimeGregorian(d.year, d.month, d.day) for d in days]),
        "half hours": days + pd.Timedelta(minutes=30),
    }[kind]  # fmt: skip
    other = smap.assign_coords(time=("time", time))
    got = other.sm.gapfill("linear", variables=["tb_h"])
    np.testing.assert_array_equal(got["tb_h"], smap.sm.gapfill("linear", variables=["tb_h"])["tb_h"])
    regridded = nldas.assign_coords(time=("time", time)).sm.regrid_ease9km()
    assert regridded["time"].dtype.kind == "M"
    for wrong in (np.arange(20), pd.date_range("2021-01-01", periods=20, freq="MS")):
        with pytest.raises(DataError, match=r"without a unit|times every 31 days"):
            smap.assign_coords(time=("time", wrong)).sm.gapfill("linear", variables=["tb_h"])
        with pytest.raises(DataError, match=r"without a unit|times every 31 days"):
            xsm.cube(smap, smap.assign_coords(time=("time", wrong)))


@pytest.mark.parametrize(
    "days", [["53218-01-01", "53218-01-02"], ["0001-01-01", "2021-04-01"], ["2021-04-01", "9999-12-31"]]
)
@pytest.mark.parametrize("unit", ["s", "ms"])
def test_times_that_no_data_have_are_refused(days: list[str], unit: str) -> None:
    """Seconds that are milliseconds: in nanoseconds their year would be another one, in silence."""
    da = xr.DataArray([0.2, 0.2], {"time": np.array(days, f"M8[{unit}]")}, "time")
    with pytest.raises(DataError, match="expected days of 1800-01-01 to 2200-12-31"):
        utc_times(da)


def test_cftime_of_the_far_future_is_refused() -> None:
    """What xarray makes of milliseconds that are called seconds."""
    ds = xr.Dataset({"v": ("time", [1.0, 2.0])}, {"time": [cftime.DatetimeGregorian(53218, 2, d) for d in (1, 2)]})
    with pytest.raises(DataError, match="has the time 53218-02-01, expected days of"):
        utc_times(ds)
