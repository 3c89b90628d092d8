"""Triple collocation of products alone: series, cells and maps, three products or more, equal to pytesmo."""

from __future__ import annotations

import warnings
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from pytesmo.metrics import tcol_metrics

import xsm
from xsm.validation import metrics

DAYS = pd.date_range("2019-01-01", "2020-12-31", name="time")
ERRORS = {"sm_dca": 0.03, "sm_noah_0_10": 0.02, "radar": 0.015, "gauge": 0.025, "drone": 0.02}
GAIN = {"sm_dca": 1.0, "sm_noah_0_10": 0.7, "radar": 1.3, "gauge": 0.9, "drone": 1.1}
pytestmark = pytest.mark.filterwarnings("ignore:What .* rests on is not known")


def products(count=3, shape=(2, 3), days=731, seed=0):
    rng = np.random.default_rng(seed)
    truth = np.zeros((days, *shape))
    for t in range(1, days):
        truth[t] = 0.9 * truth[t - 1] + rng.normal(0, 0.02, shape)
    ds = xr.Dataset(coords={"time": DAYS[:days], "lat": 40.0 - np.arange(shape[0]), "lon": np.arange(shape[1]) - 100.0})
    for name in list(ERRORS)[:count]:
        values = 0.3 + GAIN[name] * truth + rng.normal(0, ERRORS[name], truth.shape)
        values[rng.random(values.shape) < 0.1] = np.nan
        ds[name] = ("time", "lat", "lon"), values, {"units": "m3 m-3"}
    return ds


def same_as_pytesmo(table, ds):
    series = np.stack([ds[n].values for n in table["product"].values])
    series = series[:, np.isfinite(series).all(0)]
    snr, error, scale = tcol_metrics(*series)
    np.testing.assert_allclose(table["snr"].values, snr, atol=1e-6)
    np.testing.assert_allclose(table["error_std"].values * table["scale"].values, error, atol=1e-6)
    np.testing.assert_allclose(table["scale"].values, scale, atol=1e-6)
    assert int(table["n"]) == series.shape[1]


def test_a_table_of_series_is_that_of_pytesmo():
    ds = products().isel(lat=0, lon=0)
    for data in (ds, ds.reset_coords(drop=True), ds.reset_coords(drop=True).to_dataframe()):
        table = xsm.triple_collocation(data)
        same_as_pytesmo(table, ds)
        for name, error in ERRORS.items():
            if name in table["product"]:
                one = table.sel(product=name)
                assert float(one["error_std_low"]) < error < float(one["error_std_high"])


def test_every_cell_of_maps_is_that_of_pytesmo_lazy_or_not():
    ds = products(shape=(3, 4))
    ds["sm_dca"][:, 0, 0] = np.nan
    table = xsm.triple_collocation(ds)
    assert table["error_std"].dims == ("product", "lat", "lon")
    assert table["lat"].equals(ds["lat"])
    for i, j in ((1, 1), (2, 3)):
        same_as_pytesmo(table.isel(lat=i, lon=j), ds.isel(lat=i, lon=j))
    assert np.isnan(table["error_std"].isel(lat=0, lon=0)).all()
    lazy = xsm.triple_collocation(ds.chunk(time=50, lat=2, lon=3))
    assert lazy["error_std"].chunks is not None
    xr.testing.assert_allclose(lazy["snr"].compute(), table["snr"])
    cells = xr.Dataset({n: (("time", "cell"), ds[n].values[:, 1]) for n in ds.data_vars}, {"time": DAYS})
    np.testing.assert_allclose(xsm.triple_collocation(cells)["snr"], table["snr"].isel(lat=1))


def test_intervals_are_left_out_of_large_maps_and_on_request():
    ds = products(shape=(4, 5), days=150)
    assert "snr_low" in xsm.triple_collocation(ds, min_days=50)
    assert "snr_low" not in xsm.triple_collocation(ds, min_days=50, intervals=False)
    wide = ds.isel(lat=np.arange(52) % 4, lon=np.arange(20) % 5)
    wide = wide.assign_coords(lat=np.arange(52.0), lon=np.arange(20.0))
    table = xsm.triple_collocation(wide, min_days=50)
    assert "snr_low" not in table
    assert table.sizes["lat"] * table.sizes["lon"] > 1000


@pytest.mark.parametrize("count", [4, 5])
def test_more_products_use_all_covariances(count):
    """Least squares of the logarithms of the covariances, written down with a design matrix."""
    ds = products(count, (1, 1)).isel(lat=0, lon=0, drop=True)
    table = xsm.triple_collocation(ds)
    series = np.stack([ds[n].values for n in ds.data_vars])
    cov = np.cov(series[:, np.isfinite(series).all(0)])
    pairs = list(combinations(range(count), 2))
    design = np.zeros((len(pairs), count))
    for row, couple in enumerate(pairs):
        design[row, list(couple)] = 1
    gains = np.exp(np.linalg.lstsq(design, np.log([cov[c] for c in pairs]), rcond=None)[0])
    expected = np.sqrt(np.diag(cov) - gains**2)
    np.testing.assert_allclose(table["error_std"], expected, rtol=1e-6)
    np.testing.assert_allclose(table["scale"], gains[0] / gains, rtol=1e-6)
    np.testing.assert_allclose(table["error_std"], list(ERRORS.values())[:count], rtol=0.15)


def test_more_products_are_more_certain_than_three():
    spread = {3: [], 5: []}
    for seed in range(40):
        ds = products(5, (1, 1), 300, seed).isel(lat=0, lon=0)
        series = [ds[n].values for n in ds.data_vars]
        for count, values in spread.items():
            values.append(metrics.triple_collocation(*series[:count])["error_std"][0])
    assert np.std(spread[5]) < np.std(spread[3])


def test_more_products_stand_beside_stations():
    ds = products(4, (1, 1)).isel(lat=0, lon=0, drop=True)
    alone = xsm.triple_collocation(ds)
    beside = xsm.triple_collocation(ds[["sm_dca", "sm_noah_0_10", "radar"]], ds["gauge"],
                                    variables=["sm_dca", "sm_noah_0_10", "radar"])  # fmt: skip
    np.testing.assert_allclose(beside["error_std"].values[:, 0], alone["error_std"], atol=1e-6)
    assert beside["product"].values.tolist() == ["sm_dca", "sm_noah_0_10", "radar", "station"]


def test_anomalies_and_frozen_days():
    ds = products()
    ds["frozen"] = xr.zeros_like(ds["sm_dca"], bool)
    ds["frozen"][:40] = True
    table = xsm.triple_collocation(ds, anomaly=True, intervals=False)
    series = [np.where(ds["frozen"].values[:, 1, 1], np.nan, ds[n].values[:, 1, 1]) for n in list(ERRORS)[:3]]
    both = np.isfinite(series).all(0)
    expected = metrics.triple_collocation(*(metrics.anomalies(np.where(both, v, np.nan)) for v in series))
    np.testing.assert_allclose(table["snr"].values[:, 1, 1], expected["snr"], rtol=1e-9)
    assert table.attrs["days"] == "frozen days left out"


@pytest.mark.parametrize(
    ("change", "arguments", "sentence"),
    [
        (lambda d: d[["sm_dca", "radar"]], {}, "got sm_dca, radar, expected three or more, as there are no stations"),
        (lambda d: d, {"variables": ["sm_dca", "sm_dca", "radar"]}, "expected three or more"),
        (lambda d: d, {"variables": ["sm_dca", "rada", "sm_noah_0_10"]}, "Unknown variable 'rada'"),
        (lambda d: d.rename(radar="sm_scav"), {}, "both rest on SMAP brightness temperatures"),
        (lambda d: d.assign(radar=d["sm_dca"] * 2), {}, "are one series under two names"),
        (lambda d: d.isel(time=slice(0, 60)), {"min_days": 100}, "at most, fewer than 100.*min_days="),
        (lambda d: d.rename(radar="sm_rootzone").drop_vars("sm_dca").assign(a=d["sm_dca"]), {}, "different depths"),
        (lambda d: d.rename(time="step"), {}, "time"),
    ],
)
def test_natural_mistakes_end_in_one_sentence(change, arguments, sentence):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(xsm.XsmError, match=sentence) as error:
            xsm.triple_collocation(change(products()), **arguments)
    assert error.value.hint


def test_products_that_do_not_vary_together_are_told():
    ds = products(shape=(1, 2))
    ds["radar"] = 0.6 - ds["radar"]
    with pytest.warns(UserWarning, match="no value in the result. In every cell the products do not all vary together"):
        table = xsm.triple_collocation(ds)
    assert np.isnan(table["snr"]).all()


def test_sensors_of_uscrn_are_those_of_pytesmo(real_data: Path):
    with xr.open_dataset(real_data / "insitu/uscrn/uscrn_conus_daily_2015_2021.nc") as ds:
        ds = ds[[f"soil_moisture_{d}cm" for d in (5, 10, 20)]].isel(station=slice(0, 8)).load()
    table = xsm.triple_collocation(ds, intervals=False)
    done = 0
    for i in range(8):
        one = table.isel(station=i)
        if np.isfinite(one["snr"]).all():
            done += 1
            series = np.stack([ds[n].values[:, i].astype("f8") for n in ds.data_vars])
            snr, error, _ = tcol_metrics(*series[:, np.isfinite(series).all(0)])
            np.testing.assert_allclose(one["snr"], snr, rtol=1e-5)  # the product's float32
            np.testing.assert_allclose(one["error_std"] * one["scale"], error, atol=1e-6)
    assert done >= 3


def with_common_error(**sizes):
    """Products of which the second has the error of the first, so that the error variance of one is negative."""
    ds = products(**sizes)
    rng = np.random.default_rng(5)
    common = rng.normal(0, 0.08, ds["sm_dca"].shape)
    first, second, _ = ds.data_vars
    ds[first], ds[second] = ds[first] + common, ds[second] + 0.35 * common
    return ds


def test_a_negative_error_variance_is_told_and_has_no_interval_but_a_scale():
    one = with_common_error(shape=(1, 1)).isel(lat=0, lon=0, drop=True).to_dataframe()[list(ERRORS)[:3]]
    with pytest.warns(UserWarning, match="Not every product has an error: the error variance of sm_noah_0_10 is neg"):
        table = xsm.triple_collocation(one)
    values = one.dropna().to_numpy().T
    with np.errstate(invalid="ignore"):
        _, error, scale = tcol_metrics(*values)
    np.testing.assert_allclose(table["scale"].values, scale, rtol=1e-6)
    np.testing.assert_allclose((table["error_std"] * table["scale"]).values, error, rtol=1e-6)
    assert "sm_noah_0_10" in table["note"].item()
    for name in ("error_std", "snr", "r_truth", "scale"):
        for end in ("_low", "_high"):
            assert (np.isfinite(table[name]) == np.isfinite(table[name + end])).all(), name
    assert np.isfinite(table["error_std_low"]).sum() == 2


def test_cells_have_a_flag_that_says_why():
    ds = with_common_error(shape=(2, 3))
    ds["sm_dca"][:, 0, 0] = np.nan
    ds["sm_dca"][:, 0, 1] = 0.6 - ds["sm_dca"][:, 0, 1]
    for data in (ds, ds.chunk(lat=1, lon=2)):
        note = xsm.triple_collocation(data)["note"].compute()
        meanings = note.attrs["flag_meanings"].split()
        assert [meanings[i] for i in note.values[0, :2]] == ["too_few_days", "no_common_variation"]
        assert {meanings[i] for i in note.values.ravel()[2:]} == {"negative_error_variance"}
    assert (xsm.triple_collocation(products(shape=(2, 3)))["note"] == 0).all()


@pytest.mark.parametrize("shape", [(), (2,), (2, 3)])
def test_results_of_products_alone_are_shown_and_become_a_table(shape):
    ds = products(shape=(2, 3)).isel(dict.fromkeys(("lat", "lon")[len(shape) :], 0))
    table = xsm.triple_collocation(ds)
    frame = xsm.to_frame(table)
    assert len(frame) == 3 * int(np.prod(shape))
    np.testing.assert_array_equal(frame["error_std"].to_numpy(), table["error_std"].values.ravel())
    assert repr(table.sm).startswith("<ds.sm: errors of 3 products")
    assert "gapfill" not in repr(table.sm)
    with pytest.raises(xsm.UsageError, match="expected scores"):
        xsm.to_frame(ds)


@pytest.mark.parametrize("verb", [xsm.triple_collocation, xsm.anomaly, xsm.swi, lambda t: xsm.validate(t, t)])
def test_columns_of_one_name_are_refused(verb):
    one = products(shape=(1, 1)).isel(lat=0, lon=0, drop=True).to_dataframe()["sm_dca"]
    with pytest.raises(xsm.UsageError, match="has 3 columns called 'sm_dca'"):
        verb(pd.concat([one, one, one], axis=1))
