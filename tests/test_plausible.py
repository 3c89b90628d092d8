"""Values whose bulk cannot be their quantity are refused with the likely reason, whatever source they come from."""

from __future__ import annotations

from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import xsm
from xsm import DataError
from xsm.data.cf import drop_impossible
from xsm.data.plausible import doubt, watched

QUANTITIES = {
    "m3 m-3": st.floats(0.04, 0.5), "K": st.floats(240, 320), "percent": st.floats(3, 90),
    "g cm-3": st.floats(0.8, 1.8), "brightness": st.floats(90, 300), "precipitation": st.floats(0.5, 60),
}  # fmt: skip
FAULTS = {
    ("m3 m-3", "divided by 100 again"): lambda v: v / 100,
    ("m3 m-3", "percent"): lambda v: v * 100,
    ("m3 m-3", "kg m-2 of a layer of 300 mm"): lambda v: v * 300,
    ("K", "Celsius"): lambda v: v - 273.15,
    ("K", "hundredths"): lambda v: v / 100,
    ("K", "twice Celsius to kelvin"): lambda v: v + 273.15,
    ("percent", "g kg-1"): lambda v: v * 10 + 100,
    ("percent", "fractions"): lambda v: v / 100,
    ("g cm-3", "kg m-3"): lambda v: v * 1000,
    ("g cm-3", "hundredths twice"): lambda v: v / 100,
    ("brightness", "hundredths"): lambda v: v / 100,
    ("precipitation", "thousands"): lambda v: (v + 1) * 1000,
    ("precipitation", "kg m-2 s-1"): lambda v: v / 86400,
}


def spread(level: float) -> np.ndarray:
    return level * np.random.default_rng(int(level * 1e6)).uniform(0.9, 1.1, 200)


@pytest.mark.parametrize("quantity", QUANTITIES)
@given(data=st.data())
def test_true_values_are_not_doubted(quantity: str, data: st.DataObject) -> None:
    assert doubt(spread(data.draw(QUANTITIES[quantity])), quantity) == ("", False)


@pytest.mark.parametrize("quantity, fault", FAULTS)
@given(data=st.data())
def test_another_unit_or_scale_is_seen(quantity: str, fault: str, data: st.DataObject) -> None:
    why, _ = doubt(FAULTS[quantity, fault](spread(data.draw(QUANTITIES[quantity]))), quantity)
    assert why


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("name, units, level, reason", [
    ("soil_moisture", "m3 m-3", 0.002, "scaled once more"), ("soil_moisture", "m3 m-3", 23.0, "percent"),
    ("air_temperature", "K", 20.0, "degrees Celsius"), ("bulk_density", "g cm-3", 0.013, "scale"),
    ("sand", "percent", 0.4, "fractions"), ("tb_h", "K", 2.4, "nothing on Earth"),
])  # fmt: skip
def test_certain_faults_stop_now_or_when_read(lazy: bool, name: str, units: str, level: float, reason: str) -> None:
    values = spread(level).reshape(10, 20).astype("f4")
    if lazy:
        variable = watched(xr.Variable(("y", "x"), da.from_array(values, 10)), name, units, "source 'a'")
        with pytest.raises(DataError, match=f"'{name}' of source 'a' cannot be in {units}.*{reason}"):
            variable.compute()
    else:
        with pytest.raises(DataError, match=f"'{name}' of source 'a' cannot be in {units}.*{reason}"):
            watched(xr.Variable(("y", "x"), values), name, units, "source 'a'")
    with pytest.warns(UserWarning, match=reason):
        skipped = watched(xr.Variable(("y", "x"), values), name, units, "source 'a'", skip=True)
    assert skipped.isnull().all()


def test_a_doubt_is_told_once_for_all_blocks() -> None:
    values = da.from_array(np.full((10, 40), 0.02, "f4"), (10, 10))
    variable = watched(xr.Variable(("y", "x"), values), "sm_dca", "m3 m-3", "source 'a'")
    with pytest.warns(UserWarning, match="may not be in m3 m-3") as doubts:
        got = variable.compute(scheduler="synchronous")
    assert len(doubts) == 1 and (got == np.float32(0.02)).all()


def test_few_values_are_no_distribution() -> None:
    assert doubt(np.full(3, 0.002), "m3 m-3")[1] is False and doubt(np.full(9, np.nan), "K") == ("", False)


def test_files_whose_values_are_mostly_impossible_stop() -> None:
    with pytest.raises(DataError, match=r"'soil_temperature_0_10' of a\.nc cannot be in K.*degrees Celsius"):
        drop_impossible(spread(20.0), "soil_temperature_0_10", "a.nc")
    some = np.r_[spread(280.0), [-9999.0]]
    with pytest.warns(UserWarning, match="1 of 201 values"):
        assert np.isnan(drop_impossible(some, "soil_temperature_0_10", "a.nc")).sum() == 1


@pytest.mark.parametrize("level, reason", [(0.002, "scaled once more"), (23.0, "percent")])
def test_every_source_is_checked_when_it_is_opened(tmp_path: Path, level: float, reason: str) -> None:
    rows = "\n".join(f"2021-06-{day:02d},-98,36,{value}" for day, value in enumerate(spread(level)[:28], 1))
    path = tmp_path / "points.csv"
    path.write_text(f"date,lon,lat,soil_moisture\n{rows}")
    with pytest.raises(DataError, match=f"'soil_moisture' of source 'tiny' cannot be in m3 m-3.*{reason}"):
        xsm.open("tiny", path)
    if reason == "percent":
        assert float(xsm.open("tiny", path, units={"soil_moisture": "percent"})["soil_moisture"].median()) < 0.3


@pytest.mark.parametrize("count", [10, 81, 1000])
def test_a_rate_under_an_amount_is_seen_in_small_windows_too(count: int) -> None:
    rain = np.random.default_rng(count).gamma(0.6, 8, count)
    assert "kg m-2 s-1" in doubt(rain / 3600, "precipitation")[0]
    assert doubt(rain, "precipitation") == ("", False)
    assert doubt(np.r_[np.zeros(count), 0.003], "precipitation") == ("", False)
