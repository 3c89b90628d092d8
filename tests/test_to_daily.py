"""Daily means and sums beside pandas, xarray's resample and the rule of daily NLDAS-2, also on real files."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import xsm
from tests.test_faces import cli_run
from xsm.errors import hear
from xsm.faces.hints import speaking
from xsm.io import files


def steps(hours=1.0, days=6, shape=(2, 3), seed=0, start="2021-04-01", share=0.1):
    """Steps of some hours on a few cells, with gaps; the last cell is empty."""
    rng = np.random.default_rng(seed)
    times = pd.date_range(start, periods=round(days * 24 / hours), freq=pd.Timedelta(hours=hours), name="time")
    values = rng.random((len(times), *shape))
    values[rng.random(values.shape) < share] = np.nan
    values[:, -1, -1] = np.nan
    attrs = {"units": "m3 m-3", "long_name": "Soil moisture"}
    coords = {"time": times, "lat": 40.0 - np.arange(shape[0]), "lon": -100.0 + np.arange(shape[1])}
    return xr.Dataset({"sm_a": (("time", "lat", "lon"), values, attrs)}, coords)


def resampled(array, least, offset=0.0):
    """Anchor: xarray's resample, on the clock of an offset."""
    local = array.assign_coords(time=array["time"] + pd.Timedelta(hours=offset))
    days = local.resample(time="1D", origin="start_day")
    return days.mean().where(days.count() >= least).transpose(*array.dims)


@pytest.mark.parametrize(("hours", "least"), [(1, 20), (3, 7), (6, 4), (0.5, 40), (1 / 12, 240), (24, 1)])
def test_means_equal_resample(hours, least):
    ds = steps(hours, share=0.02 if hours == 6 else 0.1)
    got = xsm.to_daily(ds)["sm_a"]
    np.testing.assert_allclose(got, resampled(ds["sm_a"], least), rtol=1e-12)
    np.testing.assert_array_equal(got["time"], resampled(ds["sm_a"], least)["time"])
    assert got.attrs["cell_methods"] == "time: mean"
    assert np.isnan(got[:, -1, -1]).all()


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([0.5, 1, 3]), st.floats(0, 24), st.integers(-12, 12), st.integers(0, 23), st.integers(0, 2**31),
    st.sampled_from([None, 1, 7, 50]),
)  # fmt: skip
def test_means_equal_resample_for_any_clock_and_chunks(hours, min_hours, offset, first, seed, chunk):
    ds = steps(hours, 4, (1, 2), seed, f"2021-04-01T{first:02}:00", 0.3).isel(lon=slice(0, 1))
    keep = np.random.default_rng(seed).random(ds.sizes["time"]) < 0.8
    keep[:2] = True
    expected = resampled(ds["sm_a"].isel(time=keep), max(int(np.ceil(min_hours / hours - 1e-6)), 1), offset)
    data = ds.isel(time=keep) if chunk is None else ds.isel(time=keep).chunk({"time": chunk})
    got = xsm.to_daily(data, min_hours=min_hours, utc_offset=offset)["sm_a"]
    assert (got.chunks is None) == (chunk is None)
    np.testing.assert_allclose(got, expected, rtol=1e-12)
    np.testing.assert_array_equal(got["time"], expected["time"])


@pytest.mark.parametrize("dims", [("time", "lat", "lon"), ("lat", "lon", "time")])
def test_order_of_dims_and_of_times_does_not_matter(dims):
    ds = steps()
    order = np.random.default_rng(1).permutation(ds.sizes["time"])
    for data in (ds, ds.chunk({"time": 10, "lat": 1})):
        got = xsm.to_daily(data.transpose(*dims).isel(time=order))
        assert got["sm_a"].dims == dims
        xr.testing.assert_allclose(got.transpose(*ds["sm_a"].dims).compute(), xsm.to_daily(ds))


def test_absent_days_are_there_and_missing():
    ds = steps()
    ds = ds.isel(time=ds["time"].dt.day != 3)
    with pytest.warns(
        UserWarning, match=r"1 of 6 days have fewer than 20 steps of 1 hours and are missing: 2021-04-03"
    ):
        got = xsm.to_daily(ds)
    assert got.sizes["time"] == 6
    assert np.isnan(got["sm_a"].sel(time="2021-04-03")).all()
    for chunks in (7, 24, 25, 200):
        xr.testing.assert_equal(xsm.to_daily(ds.chunk({"time": chunks})).compute(), got)


def stamped(times, kind, **coords):
    """Numbers of their own time, at instants or over the step before, with bounds that say so."""
    methods = {"point": "time: point", "mean": "time: mean"}[kind]
    ds = xr.Dataset({"sm_a": ("time", np.arange(float(len(times))), {"cell_methods": methods, "units": "1"})},
                    {"time": times, **coords})  # fmt: skip
    ds["time"].attrs["bounds"] = "time_bnds"
    ds["time_bnds"] = (("time", "nv"), np.stack([times - pd.Timedelta("3h"), times], 1))
    return ds


def test_ends_of_intervals_lie_in_their_own_day_and_instants_in_theirs():
    times = pd.date_range("2021-04-01T03:00", periods=16, freq="3h")  # 03:00 to 00:00 two days later
    mean = xsm.to_daily(stamped(times, "mean"), min_hours=24)
    assert mean["sm_a"].values.tolist() == [np.arange(8).mean(), np.arange(8, 16).mean()]
    assert "time_bnds" not in mean.variables
    point = xsm.to_daily(stamped(times, "point"), min_hours=21)
    assert point["sm_a"].values[:2].tolist() == [np.arange(7).mean(), np.arange(7, 15).mean()]
    assert point["time"].values.astype("M8[D]").astype(str).tolist() == ["2021-04-01", "2021-04-02", "2021-04-03"]


def test_stamps_without_bounds():
    times = pd.date_range("2021-04-01T01:00", periods=48, freq="h")
    ends = pd.Series(np.arange(48.0), times, name="sm_a")
    assert xsm.to_daily(ends, stamps="end", min_hours=24).tolist() == [11.5, 35.5]
    middles = pd.Series(np.arange(48.0), times - pd.Timedelta("30min"), name="sm_a")
    assert xsm.to_daily(middles, min_hours=24).tolist() == [11.5, 35.5]
    starts = pd.Series(np.arange(48.0), times - pd.Timedelta("1h"), name="sm_a")
    assert xsm.to_daily(starts, min_hours=24).tolist() == [11.5, 35.5]


def test_the_step_is_the_commonest_one():
    hours = pd.Series(np.arange(480.0), pd.date_range("2021-04-01", periods=480, freq="h"))
    some = hours[np.random.default_rng(1).random(480) < 0.4]
    with pytest.warns(UserWarning, match="fewer than 20 steps of 1 hours"):
        got = xsm.to_daily(some)
    assert np.isnan(got).all()


def test_zones_of_times_are_converted():
    local = pd.Series(np.arange(48.0), pd.date_range("2021-04-01", periods=48, freq="h", tz="Etc/GMT+6"), name="sm_a")
    assert xsm.to_daily(local, utc_offset=-6).tolist() == [11.5, 35.5]


@pytest.mark.parametrize(
    "attrs",
    [{"cell_methods": "area: mean time: sum"}, {"GRIB_stepType": "accum"}, {"standard_name": "precipitation_amount"},
     {"standard_name": "surface_runoff_amount"}, "stated"],
)  # fmt: skip
def test_amounts_are_summed(attrs):
    rain = pd.Series(np.arange(48.0), pd.date_range("2021-04-01", periods=48, freq="h"))
    rain.iloc[3] = np.nan
    ds = xr.Dataset({"rain": ("time", rain, {"units": "kg m-2", **({} if attrs == "stated" else attrs)})},
                    {"time": rain.index})  # fmt: skip
    got = xsm.to_daily(ds, sums=["rain"] if attrs == "stated" else ())["rain"]
    assert got.attrs["cell_methods"] == "time: sum"
    np.testing.assert_allclose(got, rain.resample("1D").mean() * 24)
    assert got.values[1] == rain.resample("1D").sum().iloc[1]


@pytest.mark.parametrize(
    "attrs", [{"units": "kg m-2 s-1"}, {"standard_name": "surface_snow_amount", "units": "kg m-2"}]
)
def test_rates_and_states_are_averaged(attrs):
    ds = steps(shape=(1, 2)).rename(sm_a="v")
    ds["v"].attrs = attrs
    np.testing.assert_allclose(xsm.to_daily(ds)["v"], resampled(ds["v"], 20))


def layer(units="kg m-2", **attrs):
    ds = steps(3, shape=(1, 2)) * 30
    ds["sm_a"].attrs = {"units": units, "standard_name": "soil_moisture_content", **attrs}
    return ds


@pytest.mark.parametrize("thickness", ["100 mm", "10 cm", "0.1 m", " 4 in "])
def test_a_layer_becomes_volumetric(thickness):
    ds = layer()
    got = xsm.to_daily(ds, thickness={"sm_a": thickness})["sm_a"]
    np.testing.assert_allclose(got, resampled(ds["sm_a"], 7) / (101.6 if "in" in thickness else 100))
    assert got.attrs["units"] == "m3 m-3"
    assert got.attrs["standard_name"] == "volume_fraction_of_condensed_water_in_soil"


@pytest.mark.parametrize("units", ["m", "cm"])
def test_bounds_of_depths_are_thicknesses(units):
    scale = {"m": 1, "cm": 100}[units]
    ds = layer().expand_dims(depth=[0.05 * scale, 0.25 * scale])
    ds["depth"].attrs = {"units": units, "bounds": "depth_bnds", "positive": "down"}
    ds["depth_bnds"] = (("depth", "nv"), np.array([[0, 0.1], [0.1, 0.4]]) * scale)
    got = xsm.to_daily(ds.transpose("time", "depth", ...))
    expected = resampled(ds["sm_a"].isel(depth=0), 7)
    np.testing.assert_allclose(got["sm_a"].sel(depth=0.05 * scale), expected / 100)
    np.testing.assert_allclose(got["sm_a"].sel(depth=0.25 * scale), expected / 300)
    assert got["sm_a"].attrs["units"] == "m3 m-3"


def test_a_thickness_is_never_guessed():
    with pytest.warns(UserWarning, match=r"'sm_a' stays in kg m-2\. .* thickness=\{\"sm_a\": \"NUMBER mm\"\}"):
        got = xsm.to_daily(layer())
    assert got["sm_a"].attrs["units"] == "kg m-2"
    np.testing.assert_allclose(got["sm_a"], resampled(layer()["sm_a"], 7))


@pytest.mark.parametrize(
    ("name", "attrs", "thickness"),
    [
        ("SoilMoi10_40cm_inst", {}, 300), ("SoilM_0_10cm", {}, 100), ("SOILM0-100cm", {}, 1000),
        ("a", {"long_name": "Soil moisture content, 0.1 to 0.4 m"}, 300), ("a", {"depth": "0-7 cm"}, 70),
        ("a", {"long_name": "Soil moisture, 2 layers"}, None), ("soil_water_2010_2019", {}, None),
    ],
)  # fmt: skip
def test_the_hint_has_the_layer_that_name_or_attributes_state(name, attrs, thickness):
    ds = layer(**attrs).rename(sm_a=name)
    with pytest.warns(UserWarning, match="stays in kg m-2") as heard:
        xsm.to_daily(ds)
    text = next(str(w.message) for w in heard if "stays in" in str(w.message))
    assert (f'"{name}": "{thickness} mm"' if thickness else f'"{name}": "NUMBER mm"') in text
    if thickness:
        with hear() as quiet:
            xsm.to_daily(ds, thickness={name: f"{thickness} mm"})
        assert not [w for w in quiet if "but its layer is" in str(w)]
        with pytest.warns(
            UserWarning, match=f"thickness of '{name}' is stated as {2 * thickness} mm, but its layer is"
        ):
            xsm.to_daily(ds, thickness={name: f"{2 * thickness} mm"})


def test_what_has_no_time_stays_and_what_is_no_number_is_left_out():
    ds = steps()
    ds["sand"] = (("lat", "lon"), np.ones((2, 3)))
    ds["frozen"] = (("time", "lat", "lon"), np.zeros(ds["sm_a"].shape, bool))
    ds = ds.assign_coords(version=("time", ["1"] * ds.sizes["time"]))
    with pytest.warns(UserWarning, match="frozen are no numbers that can be averaged"):
        got = xsm.to_daily(ds)
    assert set(got.variables) == {"sm_a", "sand", "time", "lat", "lon"}
    assert set(xsm.to_daily(ds, variables=["sm_a"]).data_vars) == {"sm_a"}


@pytest.mark.parametrize(
    ("change", "arguments", "sentence"),
    [
        (lambda ds: xr.concat([ds, ds.isel(time=[3])], "time"), {}, "have the time 2021-04-01T03:00 twice"),
        (lambda ds: ds.isel(time=slice(None, None, 48)), {}, "steps of 2 days, expected hours"),
        (lambda ds: ds.isel(time=0, drop=True), {}, "have no times"),
        (lambda ds: ds.drop_vars("time"), {}, "have no times"),
        (lambda ds: ds[["time"]], {}, "no numbers in time"),
        (lambda ds: ds, {"variables": ["sm_b"]}, "Unknown variable 'sm_b'. Did you mean 'sm_a'"),
        (lambda ds: ds, {"sums": ["rain"]}, "Unknown variable 'rain'"),
        (lambda ds: ds, {"min_hours": 30}, "expected at least 0 and at most 24"),
        (lambda ds: ds, {"stamps": "middle"}, "Unknown stamps 'middle'"),
        (lambda ds: ds, {"thickness": {"sm_a": "100 mm"}}, "has the unit 'm3 m-3', expected kg m-2"),
        (lambda ds: layer(), {"thickness": {"sm_a": 100}}, "is '100', expected a number and a unit"),
        (lambda ds: layer(), {"thickness": {"sm_a": "thick mm"}}, "expected a number and a unit"),
        (lambda ds: layer(), {"thickness": {"sm_a": "10 K"}}, "is '10 K', expected a number and a unit"),
        (lambda ds: layer(), {"thickness": {"sm_b": "10 cm"}}, "Unknown variable 'sm_b'"),
        (lambda ds: layer(), {"thickness": {"sm_a": "10 mm"}}, r"has a median of 1\.\d+ m3 m-3"),
    ],
)
def test_a_wrong_call_ends_in_one_sentence(change, arguments, sentence):
    with pytest.raises(xsm.XsmError, match=sentence):
        xsm.to_daily(change(steps()), **arguments)


def test_an_empty_result_is_told():
    with pytest.warns(UserWarning, match="No day has enough: see min_hours="):
        xsm.to_daily(steps(share=0.5), min_hours=23)


def test_hours_go_on_to_the_other_verbs():
    with pytest.raises(xsm.DataError, match=r"ds\.sm\.to_daily\(\)"):
        steps().sm.swi(5)
    assert "sm_a_swi" in steps().sm.to_daily().sm.swi(5)


@pytest.mark.parametrize(("face", "words"), [("python", "ds.sm.to_daily(); min_hours=0"),
                                             ("shell", "xsm to-daily; --min-hours 0"),
                                             ("form", "'Daily means'; 'Min hours' = 0")])  # fmt: skip
def test_the_hint_for_hours_names_what_each_face_has_and_works(face, words):
    hours = pd.Series(0.2, pd.DatetimeIndex(["2021-04-01T06", "2021-04-01T18", "2021-04-02T06"]), name="sm")
    with speaking(face), pytest.raises(xsm.DataError, match="several times on 2021-04-01") as error:
        xsm.swi(hours, 5)
    with speaking(face):
        assert words in error.value.hint
    assert len(xsm.swi(xsm.to_daily(hours, min_hours=0), 5)) == 2
    twice = pd.Series(0.2, pd.DatetimeIndex(["2021-04-01", "2021-04-01", "2021-04-02"]), name="sm")
    with pytest.raises(xsm.DataError, match=r"one time twice, on 2021-04-01.*Leave one of them out"):
        xsm.swi(twice, 5)


def test_stations_whose_times_end_their_hours_need_no_word():
    times = np.datetime64("2021-04-01T01", "h") + np.arange(48)
    values = np.arange(48.0)
    ds = xr.Dataset({"v": ("time", values)}, {"time": ("time", times.astype("M8[ns]"), {"stamps": "end of hour"})})
    assert xsm.to_daily(ds, min_hours=24)["v"].values.tolist() == [11.5, 35.5]


def test_in_the_shell(tmp_path):
    files.write(layer(), tmp_path / "hours.nc")
    command = ("to-daily", tmp_path / "hours.nc", tmp_path / "days.nc")
    assert cli_run(*command, "--thickness", "sm_a=100 mm", "--min-hours", "18") == 0
    np.testing.assert_allclose(files.read(tmp_path / "days.nc")["sm_a"], resampled(layer()["sm_a"], 6) / 100)


def test_real_era5(real_data):
    ds = xr.open_dataset(real_data / "era5/ERA5_Texas_2024_09_01_03.nc")
    got = xsm.to_daily(ds, variables=["swvl1"])["swvl1"]
    expected = ds["swvl1"].rename(valid_time="time").resample(time="1D").mean()
    assert got.shape == (3, 14, 31)
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    assert got.dtype == np.float32
    lazy = xsm.to_daily(ds.chunk({"valid_time": 17}), variables=["swvl1"])["swvl1"]
    np.testing.assert_array_equal(lazy, got)


def test_real_gldas_series(real_data):
    ds = xr.open_dataset(real_data / "gldas_noah/hawaii_0165.nc")
    name = "SoilMoi0_10cm_inst"
    got = xsm.to_daily(ds, variables=[name], thickness={name: "10 cm"})[name]
    frame = ds[name].transpose("time", "locations").to_pandas()
    days = frame.resample("1D")
    expected = (days.mean() / 100).where(days.count() >= 7)
    np.testing.assert_allclose(got.transpose("time", "locations"), expected)
    assert float(got.median()) < 0.6
    assert got.attrs["units"] == "m3 m-3"


def test_real_gldas_maps(real_data):
    paths = sorted((real_data / "gldas_noah").glob("GLDAS_NOAH025_3H.A20160101.*.nc4"))
    ds = xr.concat([xr.open_dataset(p).isel(lat=slice(350, 360), lon=slice(300, 320)).load() for p in paths], "time")
    got = xsm.to_daily(ds, thickness={"SoilMoi0_10cm_inst": "100 mm", "SoilMoi10_40cm_inst": "300 mm"})
    for name, thickness in (("SoilMoi0_10cm_inst", 100), ("SoilMoi10_40cm_inst", 300)):
        np.testing.assert_allclose(got[name].isel(time=0), ds[name].values.mean(0, dtype="f8") / thickness, rtol=1e-5)
    assert got.sizes["time"] == 1


def test_the_rule_is_that_of_daily_nldas():
    from xsm.plugin_api import daily_mean

    ds = steps(share=0.15)
    expected = daily_mean(ds["sm_a"].values[:24], 20)
    np.testing.assert_allclose(xsm.to_daily(ds)["sm_a"].values[0], expected)
