"""Days of maps from files of hours, whatever the files look like, against pandas."""

from __future__ import annotations

import contextlib
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xsm import DataError, UsageError
from xsm.plugin_api import MIN_HOURS, Area, DailyMap, SourceInfo, make_request, maps_of, open_daily
from xsm.testing import raise_if_computes, window

INFO = SourceInfo("acme", "ACME", "acme:Acme", options=(MIN_HOURS,), variables=("sm_acme", "precipitation", "warmth"))
LAT, LON = 36 - 0.25 * np.arange(6), np.arange(-99.0, -97.0, 0.25)
FIRST = np.datetime64("2021-06-01T00", "h")


def open_parts(path: Path) -> list[xr.Dataset]:
    return [maps_of(xr.open_dataset(path, engine="netcdf4"), path)]


def hours(count: int, seed: int = 0, step: int = 1, gaps: float = 0.0) -> xr.Dataset:
    """Hours of moisture (kg m-2 in 100 mm), rain (m) and temperature (degrees Celsius)."""
    rng = np.random.default_rng(seed)
    shape = (count, LAT.size, LON.size)
    ds = xr.Dataset(
        {
            "soil": (("time", "lat", "lon"), rng.uniform(10, 40, shape).astype("f4"), {"units": "kg m-2"}),
            "rain": (("time", "lat", "lon"), rng.uniform(0, 0.002, shape).astype("f4"), {"units": "m"}),
            "air": (("time", "lat", "lon"), rng.uniform(10, 30, shape).astype("f4"), {"units": "degC"}),
        },
        {"time": (FIRST + step * np.arange(count)).astype("M8[ns]"), "lat": LAT, "lon": LON},
    )
    return ds.where(rng.random(shape) >= gaps)


def maps(rain: str = "sum") -> tuple[DailyMap, ...]:
    return (
        DailyMap("sm_acme", ("soil",), units="kg m-2", factor=1 / 100, like="soil_moisture"),
        DailyMap("precipitation", ("rain",), rain, "kg m-2"),
        DailyMap("warmth", ("air",), "mean", "K", attrs={"units": "K"}),
    )


def opened(paths, step=1, rain="sum", land="", **request) -> xr.Dataset:
    with warnings.catch_warnings(), raise_if_computes():
        warnings.simplefilter("ignore")
        ds = open_daily(make_request(INFO, paths, **request), INFO, maps(rain), open_parts, step=step, land=land)
    return ds.compute(scheduler="synchronous")


def columns(array: xr.DataArray) -> pd.DataFrame:
    """Cells as columns, south-west first."""
    array = array.transpose("time", "lat", "lon").sortby(["lat", "lon"])
    return pd.DataFrame(array.values.reshape(array.sizes["time"], -1), array.get_index("time"))


def by_pandas(array: xr.DataArray, shift: float, least: int, factor: float, *, offset=0.0, total=1) -> pd.DataFrame:
    """Days of a variable, cells as columns; ``shift`` hours back is the day of a value."""
    frame = columns(array).astype("f8")
    frame.index = frame.index - pd.Timedelta(hours=shift)
    days = frame.resample("1D")
    return (days.mean() * factor * total + offset).where(days.count() >= least)


def same(ds: xr.Dataset, name: str, expected: pd.DataFrame) -> None:
    ours = columns(ds[name])
    common = ours.index.intersection(expected.index)
    assert len(common) >= len(ours) - 1
    np.testing.assert_allclose(ours.loc[common], expected.loc[common].to_numpy(), rtol=2e-6, atol=1e-6)
    assert ours.loc[ours.index.difference(expected.index)].isna().to_numpy().all()


def packed(ds: xr.Dataset) -> dict:
    """Encoding in shorts, as the store packs them, and the values that are left."""
    encoding = {}
    for name, variable in ds.data_vars.items():
        low, high = float(variable.min()), float(variable.max())
        scale = (high - low) / 65000
        encoding[name] = {"dtype": "i2", "scale_factor": scale, "add_offset": (low + high) / 2, "_FillValue": -32767}
    return encoding


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_layout_of_files_gives_the_days_of_pandas(tmp_path_factory, data):
    draw = data.draw
    step = draw(st.sampled_from([1, 3]), "step")
    ds = hours(draw(st.integers(2, 4)) * 24 // step + draw(st.integers(0, 5)), draw(st.integers(0, 9)), step, 0.05)
    form = ds
    if draw(st.booleans(), "north last"):
        form = form.isel(lat=slice(None, None, -1))
    if draw(st.booleans(), "from 0 to 360"):
        form = form.assign_coords(lon=form["lon"] % 360)
    if draw(st.booleans(), "names of the store"):
        form = form.rename(time="valid_time", lat="latitude", lon="longitude")
    form = form.transpose(*draw(st.permutations(list(form.sizes))))
    time = next(d for d in form.dims if "time" in d)
    cuts = sorted(draw(st.sets(st.integers(1, form.sizes[time] - 1), max_size=3)))
    folder, kind = tmp_path_factory.mktemp("files"), draw(st.sampled_from(["NETCDF4", "NETCDF3_64BIT"]))
    paths = []
    for i, (a, b) in enumerate(zip([0, *cuts], [*cuts, form.sizes[time]], strict=True)):
        paths.append(folder / f"{i}.nc")
        form.isel({time: slice(a, b)}).to_netcdf(paths[-1], format=kind)
    least = draw(st.integers(1, 24), "min_hours")
    ours = opened(draw(st.permutations(paths)), step, min_hours=least)
    assert (np.diff(ours["time"].values) == np.timedelta64(1, "D")).all()
    assert ours["lon"].values.tolist() == LON.tolist()
    need = -(-least // step)
    same(ours, "sm_acme", by_pandas(ds["soil"], 0, need, 1 / 100))
    same(ours, "warmth", by_pandas(ds["air"], step / 2, need, 1, offset=273.15))
    same(ours, "precipitation", by_pandas(ds["rain"], step / 2, need, 1000, total=24 // step))


@pytest.mark.parametrize("kept", ["all", "no last", "midnights"])
def test_amounts_since_midnight_are_those_of_the_day(tmp_path, kept):
    """The value of 00 UTC is the whole day before; without it the last one counts in its share."""
    ds = hours(73, 3)
    hourly = ds["rain"].copy()
    hourly[0] = np.nan
    so_far = xr.concat([hourly[1 + 24 * d : 25 + 24 * d].cumsum("time") for d in range(3)], "time")
    so_far = so_far.assign_coords(time=ds["time"][1:]).assign_attrs(ds["rain"].attrs)
    file = ds.isel(time=slice(1, None)).assign(rain=so_far)
    days = by_pandas(hourly, 0.5, 24, 1000, total=24)
    if kept == "no last":
        file = file.isel(time=slice(0, -1))
        days.iloc[-1] = so_far[-2].sortby(["lat", "lon"]).values.ravel() * 1000 * 24 / 23
    if kept == "midnights":
        file = file.sel(time=file["time"].dt.hour == 0)[["rain"]]
    file.to_netcdf(tmp_path / "a.nc")
    same(opened([tmp_path / "a.nc"], rain="day so far", variables=["precipitation"]), "precipitation", days)


def test_the_first_of_two_files_counts_where_it_has_values(tmp_path):
    """Final and preliminary data of the same hours, in files that overlap."""
    ds = hours(48)
    first = ds.where(ds["time"] < ds["time"][30])
    (ds + 1).assign({n: (ds[n] + 1).assign_attrs(ds[n].attrs) for n in ds}).to_netcdf(tmp_path / "b.nc")
    first.assign({n: first[n].assign_attrs(ds[n].attrs) for n in ds}).to_netcdf(tmp_path / "a.nc")
    ours = opened([tmp_path / "a.nc", tmp_path / "b.nc"], variables=["sm_acme"])
    same(ours, "sm_acme", by_pandas(ds["soil"].where(ds["time"] < ds["time"][30], ds["soil"] + 1), 0, 20, 1 / 100))


def test_variables_of_several_files_are_put_together(tmp_path):
    ds = hours(72)
    for name in ds:
        ds[[name]].to_netcdf(tmp_path / f"{name}.nc")
    ours = opened(sorted(tmp_path.glob("*.nc")))
    assert list(ours) == ["sm_acme", "precipitation", "warmth"]
    same(ours, "sm_acme", by_pandas(ds["soil"], 0, 20, 1 / 100))


def test_packed_shorts(tmp_path):
    ds = hours(48, gaps=0.1)
    ds.to_netcdf(tmp_path / "a.nc", encoding=packed(ds), format="NETCDF3_64BIT")
    with xr.open_dataset(tmp_path / "a.nc") as read:
        same(opened([tmp_path / "a.nc"]), "sm_acme", by_pandas(read["soil"].load(), 0, 20, 1 / 100))


def test_region_and_period_are_windows(tmp_path):
    ds = hours(96)
    ds.to_netcdf(tmp_path / "a.nc")
    whole = opened([tmp_path / "a.nc"])
    area = Area((-98.4, 35.1, -98.2, 35.3), window())
    period = slice(np.datetime64("2021-06-02"), np.datetime64("2021-06-07"))
    part = opened([tmp_path / "a.nc"], region=area, time=period)
    assert part.sizes["lon"] == 8 - 1 and part.sizes["time"] == 6
    xr.testing.assert_equal(
        part["sm_acme"][:3], whole["sm_acme"].sel(time=part["time"][:3], lon=part["lon"], lat=part["lat"])
    )
    assert np.isnan(part["sm_acme"][3:]).all()


def test_the_sea_is_masked_by_the_share_of_land(tmp_path):
    ds = hours(24)
    ds["share"] = ("time", "lat", "lon"), np.broadcast_to(np.linspace(0, 1, LON.size), ds["soil"].shape).copy()
    ds.to_netcdf(tmp_path / "a.nc")
    ours = opened([tmp_path / "a.nc"], land="share")
    assert (np.isnan(ours["sm_acme"].values[0]) == (np.linspace(0, 1, LON.size) < 0.5)).all()


def spoiled(path: Path, how: str) -> None:
    ds = hours(24)
    match how:
        case "no hours":
            path.write_bytes(b"")
        case "a page":
            path.write_bytes(b"<html>log in</html>")
        case "another grid":
            ds.assign_coords(lat=ds["lat"] + 1).to_netcdf(path)
        case "no unit":
            ds["soil"].attrs = {}
            ds.to_netcdf(path)
        case "another unit":
            ds["soil"].attrs["units"] = "K"
            ds.to_netcdf(path)
        case "six hours":
            hours(16, step=6).to_netcdf(path)
        case "no map":
            ds[["soil"]].isel(lat=0, drop=True).to_netcdf(path)


@pytest.mark.parametrize(
    ("how", "words"),
    {
        "no hours": "cannot be read",
        "a page": "cannot be read",
        "another grid": "is on another grid than",
        "no unit": "has no unit",
        "another unit": "has the unit 'K', expected kg m-2",
        "six hours": "every 6 hours, expected 1",
        "no map": "has no axis lat",
    }.items(),
)  # fmt: skip
def test_files_that_cannot_be_used_are_named(tmp_path, how, words):
    good, bad = tmp_path / "a.nc", tmp_path / "b.nc"
    hours(24).to_netcdf(good)
    spoiled(bad, how)
    with pytest.raises(DataError, match=words) as error:
        opened([good, bad] if how == "another grid" else [bad])
    assert "b.nc" in str(error.value) or how == "six hours"
    if how in ("no hours", "a page", "another grid", "no map"):
        ds = opened([good, bad], on_error="skip")
        assert "b.nc" in ds.attrs["skipped"][0]
        assert np.isfinite(ds["sm_acme"]).all()


def test_a_file_that_changes_after_opening_is_refused_or_left_out(tmp_path):
    for skip in (False, True):
        hours(24).to_netcdf(tmp_path / "a.nc")
        ds = open_daily(make_request(INFO, [tmp_path / "a.nc"], on_error="skip" if skip else "raise"), INFO, maps(),
                        open_parts, step=1)  # fmt: skip
        later = hours(24)
        later.assign_coords(time=later["time"] + np.timedelta64(1, "h")).to_netcdf(tmp_path / "a.nc")
        with contextlib.nullcontext() if skip else pytest.raises(DataError, match=r"should be of .* and says"):
            assert np.isnan(ds["sm_acme"].values).all()


def test_states_every_day_are_warned_of(tmp_path):
    hours(5, step=24)[["soil"]].to_netcdf(tmp_path / "a.nc")
    with pytest.warns(UserWarning, match="every 24 hours"):
        ds = open_daily(make_request(INFO, [tmp_path / "a.nc"]), INFO, maps(), open_parts, step=1)
    assert ds.sizes["time"] == 5


def test_days_that_lack_hours_are_empty_and_listed(tmp_path):
    ds = hours(72)
    ds.isel(time=np.r_[0:30, 48:72]).to_netcdf(tmp_path / "a.nc")
    with pytest.warns(UserWarning, match=r"1 of 3 days have fewer than 20 hours .*2021-06-02 \(6 h\)"):
        ours = open_daily(
            make_request(INFO, [tmp_path / "a.nc"], variables=["sm_acme"]), INFO, maps(), open_parts, step=1
        )
    assert ours.attrs["incomplete_days"] == "2021-06-02 (6)"
    assert np.isnan(ours["sm_acme"]).any(("lat", "lon")).values.tolist() == [False, True, False]


def test_unknown_variables_and_absent_inputs_are_named(tmp_path):
    hours(24)[["soil"]].to_netcdf(tmp_path / "a.nc")
    with pytest.raises(UsageError, match="'sm'"):
        opened([tmp_path / "a.nc"], variables=["sm"])
    with pytest.raises(DataError, match="contain soil, nothing to make precipitation of"):
        opened([tmp_path / "a.nc"], variables=["precipitation"])
