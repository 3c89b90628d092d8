"""The trees: their contract, running means against pandas, series without a grid, bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import xsm
from xsm import testing
from xsm_boosting.features import features, running_mean

SHORT = {"trees": 30, "learning_rate": 0.2, "leaves": 15, "leaf_size": 5}
FREE = {"predictors": ("precipitation", "sand"), "target": "soil_moisture"}


@pytest.fixture(autouse=True)
def one_thread():
    """Tests run side by side; threads that wait for each other on busy cores are slow."""
    with xsm.set_options(threads=1):
        yield


def test_it_keeps_the_contract(tmp_path):
    testing.check_model("boosting", options=SHORT, tmp=tmp_path)


@pytest.mark.parametrize("days", [1.0, 9.0, 50.0])
def test_a_running_mean_is_that_of_pandas(days):
    values = np.random.default_rng(1).gamma(1.0, 5.0, (200, 3))
    start = values[: int(days)].mean(0)
    expected = (
        pd.DataFrame(np.vstack([start, values])).ewm(alpha=1 - np.exp(-1 / days), adjust=False).mean().to_numpy()[1:]
    )
    np.testing.assert_allclose(running_mean(values, days), expected, rtol=1e-12)


def test_features_are_lags_means_and_maps():
    rain = np.arange(12.0).reshape(6, 2)
    x = features({"rain": rain, "sand": np.array([30.0, 60.0])}, ["rain"], ["sand"], lags=2, memories=[3.0])
    assert x.shape == (6, 2, 5)
    np.testing.assert_array_equal(x[4, :, :3], np.stack([rain[4], rain[3], rain[2]], -1))
    np.testing.assert_array_equal(x[0, :, 2], rain[0])
    np.testing.assert_array_equal(x[..., 4], np.broadcast_to([30.0, 60.0], (6, 2)))


def test_memory_is_learnt_and_the_spread_is_right():
    ds = testing.leaky_series()
    bundle = ds.sm.fit(model="boosting", train=slice(None, "2020-06-30"), trees=200, learning_rate=0.1, **FREE)
    ridge = ds.sm.fit(model="ridge", train=slice(None, "2020-06-30"), **FREE)
    later = ds.sel(time=slice("2020-07-01", None))
    maps, plain = (ds.sm.estimate(model=b).sel(time=later["time"]) for b in (bundle, ridge))
    error, base = (m["sm_5cm"] - later["soil_moisture"] for m in (maps, plain))
    assert float(abs(error).mean()) < 0.7 * float(abs(base).mean())
    inside = (abs(error) < 1.96 * maps["sm_5cm_reference_std"]).where(np.isfinite(error)).mean()
    assert 0.88 < inside < 0.99


def test_the_spread_is_scaled_on_validation_days():
    ds = testing.leaky_series()
    split = {"train": slice(None, "2020-05-31"), "validation": slice("2020-06-01", "2020-07-31")}
    bundle = ds.sm.fit(model="boosting", **split, **SHORT, **FREE)
    maps = ds.sm.estimate(model=bundle).sel(time=slice("2020-06-01", "2020-07-31"))
    error = maps["sm_5cm"] - ds["soil_moisture"]
    inside = float((abs(error) < 1.959964 * maps["sm_5cm_reference_std"]).where(np.isfinite(error)).mean())
    assert inside == pytest.approx(0.95, abs=0.02)  # in the validation samples, running means start 60 days before


def test_centre_and_scale_are_undone():
    ds = testing.leaky_series()
    train = slice(None, "2020-06-30")
    ds["m"] = ds["soil_moisture"].sel(time=train).mean("time")
    ds["s"] = xr.full_like(ds["m"], 0.5)
    bundle = ds.sm.fit(
        model="boosting", predictors=(*FREE["predictors"], "m", "s"), target="soil_moisture", train=train,
        centre="m", scale="s", **SHORT,
    )  # fmt: skip
    maps = ds.sm.estimate(model=bundle)["sm_5cm"].mean("time")
    np.testing.assert_allclose(maps, ds["m"], atol=0.03)


def test_other_days_do_not_matter_to_training():
    ds = testing.leaky_series(12, 120)
    end = "2020-03-15"
    other = ds.assign(soil_moisture=ds["soil_moisture"].where(ds["time"] <= np.datetime64(end), 0.5))
    hashes = {d.sm.fit(model="boosting", train=slice(None, end), **SHORT, **FREE).hash for d in (ds, other)}
    assert len(hashes) == 1


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ({"memories": ("a week",)}, "expected numbers of days"),
        ({"scale": "std"}, "scale is 'std', expected one of the static"),
    ],
)
def test_wrong_options_are_refused(option, text):
    with pytest.raises(xsm.UsageError, match=text):
        testing.leaky_series(12, 60).sm.fit(model="boosting", **FREE, **SHORT, **option)


def places_series(seed: int = 0) -> xr.Dataset:
    """Cells whose mean and spread follow from a map; the wetness between them follows from rain."""
    rng = np.random.default_rng(seed)
    days, cells = 240, 32
    rain = rng.gamma(0.3, 8.0, (days, cells))
    wetness = running_mean(rain, 8.0)
    wetness = (wetness - wetness.mean(0)) / wetness.std(0)
    clay = np.linspace(5.0, 60.0, cells)[rng.permutation(cells)]
    moisture = 0.1 + 0.004 * clay + (0.01 + 0.001 * clay) * wetness + rng.normal(0, 0.004, (days, cells))
    return xr.Dataset(
        {
            "precipitation": (("time", "cell"), rain.astype("f4"), {"units": "kg m-2"}),
            "clay": ("cell", clay.astype("f4"), {"units": "percent"}),
            "soil_moisture": (("time", "cell"), moisture.astype("f4"), {"units": "m3 m-3"}),
        },
        {"time": np.datetime64("2020-01-01", "ns") + np.arange(days) * np.timedelta64(1, "D")},
    )


def test_places_without_values_get_their_mean_and_spread_from_maps():
    ds = places_series()
    unseen = np.arange(ds.sizes["cell"]) % 4 == 1
    known = ds.assign(soil_moisture=ds["soil_moisture"].where(xr.DataArray(~unseen, dims="cell")))
    bundle = known.sm.fit(
        model="boosting", predictors=("precipitation", "clay"), target="soil_moisture", train=slice(None, "2020-06-30"),
        places=True, **SHORT,
    )  # fmt: skip
    maps = known.sm.estimate(model=bundle).sel(time=slice("2020-07-01", None)).isel(cell=unseen)
    truth = ds["soil_moisture"].sel(time=maps["time"]).isel(cell=unseen)
    error = maps["sm_5cm"] - truth
    assert float(abs(error.mean("time")).max()) < 0.02
    ratio = maps["sm_5cm"].std("time") / truth.std("time")
    assert float(ratio.min()) > 0.6
    assert float(ratio.max()) < 1.4
    inside = float((abs(error) < 1.96 * maps["sm_5cm_reference_std"]).mean())
    assert 0.85 < inside <= 1.0
