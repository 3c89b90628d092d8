"""What the spread is of: the stations on validation days, otherwise the reference; never the twin's truth."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import xsm
from xsm.learning.calibration import Place, factor_beside, station_error, to_stations
from xsm.twin import default_grid, make_world
from xsm.validation.pairing import pair


@pytest.fixture(scope="module")
def cube():
    return xsm.example("cube", size=24, days=150)


@pytest.fixture(scope="module")
def stations():
    return xsm.example("stations", size=24, days=150)


def test_interval_contains_95_percent_of_the_stations_of_the_validation_days(cube, stations):
    bundle = cube.sm.fit(depth=5, scenario=2, model="ridge", stations=stations)
    spread = bundle.card["spread"]
    assert spread["of"] == "truth"
    assert spread["stations"] >= 3
    maps = cube.sm.estimate(depth=5, scenario=2, model=bundle)
    assert "sm_5cm_reference_std" not in maps
    maps["sm_5cm_std"].attrs["depth"] = "5 cm"
    days = maps.sel(time=slice(*spread["days"]))
    layer = pair(days, stations, {"surface": ["sm_5cm", "sm_5cm_std"]}, {"surface": "5"}).layers["surface"]
    valid = layer.valid.all(0)
    valid &= (valid.sum(-1) >= 30)[:, None]
    assert int(valid.sum()) == spread["pairs"]
    total = np.hypot(layer.x[1], spread["station_error"] or 0.0)
    inside = np.abs(layer.x[0] - layer.y[0])[valid] <= 1.959964 * total[valid]
    assert inside.mean() == pytest.approx(0.95, abs=2 / valid.sum())  # a quantile of the very same values


def test_error_of_the_stations_is_estimated_without_the_truth():
    """Points of a twin with a known error: bias, noise and drift together, estimated from DCA and Noah.

    28 stations give the variance of 28 biases to a fourth, so that a seed is as far off as 25 %.
    """
    world = make_world(default_grid(48), 120, seed=7)
    cube = xsm.cube(world.smap[["sm_dca", "tb_h"]], xsm.regrid_ease9km(world.nldas_daily, region=world.grid))
    place = Place(cube, world.stations, np.ones(120, bool))
    error, days = station_error([place], 5)
    layer = pair(world.truth[["sm_5cm"]], world.stations, {"surface": ["sm_5cm"]}, {"surface": "5"}).layers["surface"]
    expected = np.std((layer.y[0] - layer.x[0])[layer.valid[0]])
    assert days > 1000
    assert error == pytest.approx(expected, rel=0.25)
    assert station_error([place, place], 5) == (pytest.approx(error, rel=1e-3), 2 * days)  # of n - 1
    assert np.isnan(station_error([place], 25)[0])
    assert np.isnan(station_error([place._replace(cube=cube.drop_vars("sm_dca"))], 5)[0])


@settings(deadline=None)
@given(spread=st.floats(0.01, 0.1), other=st.floats(0, 0.1), factor=st.floats(0.7, 3))
def test_factor_beside_another_error(spread, other, factor):
    misses = np.abs(np.random.default_rng(0).normal(0, np.hypot(factor * spread, other), 20_000))
    estimate = factor_beside(misses, np.full(misses.size, spread), other)
    if other**2 > 0.9 * np.mean(misses**2):
        assert np.isnan(estimate)
    else:
        # the quantile of 20,000 draws is off by 1 %, which the difference of squares enlarges
        assert estimate == pytest.approx(factor, rel=0.02 * (1 + (other / factor / spread) ** 2))


def test_stations_of_several_regions_count_together(cube, stations):
    """A region that was not learnt from shows errors that the stations of the training region cannot show."""
    bundle = cube.sm.fit(depth=5, scenario=2, model="ridge")
    places = [
        Place(xsm.example("cube", size=24, days=150, seed=k), xsm.example("stations", size=24, days=150, seed=k), days)
        for k, days in ((0, np.arange(150) > 110), (1, np.ones(150, bool)))
    ]
    one, two, both = (to_stations(bundle, p).card["spread"] for p in (places[:1], places[1:], places))
    assert both["pairs"] == one["pairs"] + two["pairs"]
    assert both["stations"] == one["stations"] + two["stations"]
    assert min(one["factor"], two["factor"]) <= both["factor"] <= max(one["factor"], two["factor"])
    with pytest.warns(UserWarning, match="no validation day"):
        assert to_stations(bundle, []).card["spread"]["of"] == "sm_noah_0_10"
    away = places[1].stations.assign_coords(lon=places[1].stations["lon"] + 40)
    assert to_stations(bundle, [places[0], places[1]._replace(stations=away)]).card["spread"]["pairs"] == one["pairs"]
    bad = places[1].cube.assign(tb_h=places[1].cube["tb_h"] * np.inf)
    with pytest.raises(xsm.DataError, match="there are infinite values in tb_h"):
        to_stations(bundle, [places[0], places[1]._replace(cube=bad)])


def test_spread_at_25_cm_is_an_upper_bound_and_says_so(cube, stations):
    bundle = cube.sm.fit(depth=25, scenario=1, model="ridge", stations=stations)
    assert bundle.card["spread"]["of"] == "truth" and bundle.card["spread"]["station_error"] is None
    assert bundle.card["limits"].endswith("it is an upper bound.")
    assert np.isnan(factor_beside(np.ones(9), np.ones(9), np.nan))


@pytest.mark.parametrize("test_days", [slice(120, None), slice(0, 50)], ids=["last", "first"])
def test_other_days_of_the_stations_do_not_matter(cube, stations, test_days):
    """Wherever the days lie that neither train nor validate."""
    days = cube["time"].values.astype("M8[D]")
    known = np.setdiff1d(np.arange(len(days)), np.arange(len(days))[test_days])
    splits = {"train": np.isin(days, days[known[:60]]), "validation": np.isin(days, days[known[60:]])}
    one = cube.sm.fit(depth=5, scenario=2, model="ridge", stations=stations, **splits)
    spoiled = stations.copy(deep=True)
    test = np.isin(spoiled["time"].values.astype("M8[D]"), days[test_days])
    spoiled["soil_moisture"] = spoiled["soil_moisture"].where(~xr.DataArray(test, dims="time"), 0.4)
    two = cube.sm.fit(depth=5, scenario=2, model="ridge", stations=spoiled, **splits)
    assert test.any()
    assert one.card["spread"] == two.card["spread"]


def test_without_stations_it_is_the_references(cube, stations):
    bundle = cube.sm.fit(depth=25, scenario=1, model="ridge")
    assert bundle.card["spread"] == {"of": "sm_noah_10_40", "factor": 1.0}
    maps = cube.sm.estimate(depth=25, scenario=1, model=bundle)
    assert "sm_25cm_std" not in maps
    assert "reference" in maps["sm_25cm_reference_std"].attrs["long_name"]
    with pytest.warns(UserWarning, match="not calibrated to the stations"):
        few = cube.sm.fit(depth=25, scenario=1, model="ridge", stations=stations.isel(sensor=slice(0, 1)))
    assert few.card["spread"] == bundle.card["spread"]


def test_a_lazy_cube_is_streamed_and_gives_the_same_bundle(cube, tmp_path, monkeypatch):
    """Nothing larger than 64 days is ever computed of a cube on disk."""
    import dask

    monkeypatch.setattr("xsm.learning.cube_samples.LOADED", 0)

    path = tmp_path / "cube.zarr"
    keep = [n for n in cube.data_vars if cube[n].dtype.kind in "fb"]
    clean = cube[keep].drop_vars(["mask_reason"], errors="ignore")
    for name in clean.variables:
        clean[name].encoding = {}
    clean.chunk(time=30, y=12, x=12).to_zarr(path)
    lazy = xr.open_zarr(path)
    lazy.attrs = dict(clean.attrs)
    options = {"model": "convlstm", "filters": "4", "attention": "1", "patch": 12, "stride": 12, "epochs": 1}
    options |= {"steps_per_epoch": 2, "validation_steps": 2}
    eager = clean.sm.fit(depth=5, scenario=2, **options)
    largest = []

    class Watch(dask.callbacks.Callback):
        def _posttask(self, key, result, dsk, state, worker_id):
            largest.append(getattr(result, "nbytes", 0))

    with Watch():
        streamed = lazy.sm.fit(depth=5, scenario=2, **options)
    assert max(largest) <= 64 * 24 * 24 * 8
    for name, values in eager.weights.items():
        np.testing.assert_array_equal(streamed.weights[name], values)


def test_the_card_is_readable_and_has_a_curve(cube, stations, tmp_path, capsys):
    from xsm.faces.cli import main

    options = {"filters": "4", "attention": "1", "patch": 12, "stride": 12, "epochs": 2, "steps_per_epoch": 1}
    bundle = cube.sm.fit(depth=5, scenario=1, stations=stations, **options)
    path, figure = bundle.save(tmp_path / "model"), tmp_path / "curve.png"
    with pytest.raises(SystemExit, match="0"):
        main(["inspect", str(path), "--text", "--figure", str(figure)])
    text = capsys.readouterr().out
    assert "sm_5cm at 5 cm, scenario 1" in text
    assert "tb_h (K)" in text
    assert "of the true value" in text
    assert figure.stat().st_size > 1000
    lines = bundle.plot().axes[0].lines
    np.testing.assert_array_equal(lines[0].get_ydata(), [h["train"] for h in bundle.card["history"]])
    with pytest.raises(xsm.DataError, match="no learning curve"):
        cube.sm.fit(depth=5, scenario=1, model="ridge").plot()


def test_dropout_is_refused_by_a_model_without(cube):
    bundle = cube.sm.fit(depth=5, scenario=1, model="ridge")
    with pytest.raises(xsm.UsageError, match="'ridge' has no dropout"):
        cube.sm.estimate(depth=5, scenario=1, model=bundle, dropout_passes=5)
