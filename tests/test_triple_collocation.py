from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import xsm
from xsm import DataError, UsageError
from xsm.data.grids import EASE2_M09
from xsm.ops.triple_collocation import triple_collocation
from xsm.validation import metrics

GRID = EASE2_M09.window(300, 306, 800, 808)
DAYS = np.arange("2020-01-01", "2022-01-01", dtype="M8[D]").astype("M8[ns]")
PLACES = [(1, 2), (4, 6)]
ERRORS = {"sm_dca": 0.035, "sm_noah_0_10": 0.02, "station": 0.015}


@pytest.fixture(scope="module")
def world() -> tuple[xr.Dataset, xr.Dataset]:
    """A truth with a memory, observed by two products and daily stations with known, independent errors."""
    rng = np.random.default_rng(0)
    truth = np.zeros((len(DAYS), *GRID.shape))
    for t in range(1, len(DAYS)):
        truth[t] = 0.9 * truth[t - 1] + rng.normal(0, 0.022, GRID.shape)
    truth += 0.25
    maps = xr.Dataset(coords={"time": DAYS})
    for name in ("sm_dca", "sm_noah_0_10"):
        factor = 0.7 if name == "sm_noah_0_10" else 1.0
        values = 0.25 + factor * (truth - 0.25) + rng.normal(0, ERRORS[name], truth.shape)
        maps[name] = ("time", "y", "x"), np.clip(values, 0.001, 0.9).astype("f4"), {"units": "m3 m-3"}
    maps["frozen"] = ("time", "y", "x"), np.zeros(truth.shape, bool)
    maps["frozen"][:30] = True
    values = np.stack([truth[:, r, c] for r, c in PLACES]) + rng.normal(0, ERRORS["station"], (2, len(DAYS)))
    stations = xr.Dataset(
        {"soil_moisture": (("sensor", "time"), values.clip(0.001, 0.9).astype("f4"), {"units": "m3 m-3"})},
        {"time": DAYS, "station": ("sensor", ["A", "B"]), "network": ("sensor", ["N", "N"]),
         "depth": ("sensor", [5, 5]), "lat": ("sensor", [float(GRID.lat[r]) for r, _ in PLACES]),
         "lon": ("sensor", [float(GRID.lon[c]) for _, c in PLACES])},
    )  # fmt: skip
    return GRID.assign(maps), stations


def test_known_errors_are_found_and_lie_in_their_intervals(world: tuple[xr.Dataset, xr.Dataset]) -> None:
    maps, stations = world
    table = triple_collocation(maps, stations)
    assert list(table["product"].values) == [*ERRORS] and list(table["n"].values) == [len(DAYS) - 30] * 2
    for name, error in ERRORS.items():
        one = table.sel(product=name)
        assert (one["error_std_low"] < error).all() and (error < one["error_std_high"]).all()
        # 700 days: about 5 percent
        np.testing.assert_allclose(one["error_std"], error, rtol=0.15)
        assert float(one["error_std_median"]) == pytest.approx(float(one["error_std"].median()))
    np.testing.assert_allclose(table["scale"].sel(product="sm_noah_0_10"), 1 / 0.7, rtol=0.1)
    assert not any(table["note"].values) and not any(table["excluded"].values)


def test_the_series_are_those_of_the_cells(world: tuple[xr.Dataset, xr.Dataset]) -> None:
    maps, stations = world
    table = triple_collocation(maps, stations, anomaly=True)
    row, col = PLACES[1]
    cold = maps["frozen"].values[:, row, col]
    series = [maps[n].values[:, row, col].astype("f8") for n in ("sm_dca", "sm_noah_0_10")]
    series.append(stations["soil_moisture"].values[1].astype("f8"))
    expected = metrics.triple_collocation(*(metrics.anomalies(np.where(cold, np.nan, v)) for v in series))
    for name in ("error_std", "snr", "r_truth", "scale"):
        np.testing.assert_allclose(table[name].values[:, 1], expected[name], rtol=1e-9, err_msg=name)
    # a memory of ten days: the moving mean takes some of the signal, none of the white errors
    assert (table["snr"] < triple_collocation(maps, stations)["snr"]).all()


def test_only_observed_days_count(world: tuple[xr.Dataset, xr.Dataset]) -> None:
    maps, stations = world
    observed = np.random.default_rng(1).random(maps["sm_dca"].shape) < 0.5
    filled = maps.assign(sm_dca_observed=(maps["sm_dca"].dims, observed))
    table = triple_collocation(filled, stations)
    hidden = triple_collocation(maps.assign(sm_dca=maps["sm_dca"].where(filled["sm_dca_observed"])), stations)
    xr.testing.assert_equal(table["error_std"], hidden["error_std"])
    assert (table["n"] < 400).all()
    marked = maps.copy()
    marked["sm_dca"] = marked["sm_dca"].assign_attrs(fill_method="cru smoother")
    with pytest.raises(DataError, match="'sm_dca_observed' the observed days are not known"):
        triple_collocation(marked, stations)


@pytest.mark.parametrize(
    ("pair", "sentence"),
    [
        (("sm_5cm_s2", "sm_noah_0_10"), "'sm_5cm_s2' was trained on SMAP and Noah, so its errors are not independent"),
        (("sm_dca", "sm_5cm"), "'sm_5cm' was trained on SMAP and Noah"),
        (("mine", "sm_dca"), "'mine' was trained on SMAP and Noah"),
        (("sm_5cm", "sm_5cm_s2"), "'sm_5cm' was trained on SMAP and Noah"),
        (("sm_dca", "sm_scav"), "both rest on SMAP brightness temperatures"),
        (("sm_surface", "sm_dca"), "both rest on SMAP brightness temperatures"),
        (("sm_dca", "sm_noah_10_40"), "of different depths"),
        (("sm_dca",), "expected two beside the stations"),
    ],
)
def test_products_that_are_not_independent_are_refused(
    world: tuple[xr.Dataset, xr.Dataset], pair: tuple[str, ...], sentence: str
) -> None:
    maps, stations = world
    names = {"sm_5cm", "sm_5cm_s2", "sm_scav", "sm_surface", "sm_noah_10_40", "mine"}
    more = maps.assign({n: maps["sm_dca"].drop_attrs() for n in names})
    more["mine"] = more["mine"].assign_attrs(depth=5, model_hash="abc")
    with pytest.raises(UsageError, match=sentence):
        triple_collocation(more, stations, variables=pair)


def test_an_estimate_may_meet_a_product_that_took_no_part(world: tuple[xr.Dataset, xr.Dataset]) -> None:
    maps, stations = world
    more = maps.assign(sm_5cm=maps["sm_dca"], radar=maps["sm_noah_0_10"].assign_attrs(depth=5))
    table = triple_collocation(more, stations, variables=("sm_5cm", "radar"))
    assert float(table["error_std"].sel(product="sm_5cm").mean()) == pytest.approx(0.035, rel=0.15)


def test_stations_without_a_result_are_named(world: tuple[xr.Dataset, xr.Dataset]) -> None:
    maps, stations = world
    wrong = stations.copy(deep=True)
    wrong["soil_moisture"][0] = 0.5 - wrong["soil_moisture"][0]
    wrong["soil_moisture"][1, 100:] = np.nan
    table = triple_collocation(maps, wrong)
    assert list(table["station"].values) == ["A"] and "do not all vary together" in str(table["note"].values[0])
    assert "fewer than 100 days (70 left" in str(table["excluded"].values[1])
    with pytest.raises(
        DataError,
        match=r"fewer than 900 days \(2\)\. The best .* 701 days: .* min_days=701",
    ):
        triple_collocation(maps, stations, min_days=900)


def test_the_example_works_and_few_days_warn() -> None:
    cube, stations = xsm.example("cube", size=24), xsm.example("stations", size=24)
    with pytest.warns(UserWarning, match="has 90 days, so stations need 30 days .* where 100 are usual"):
        table = cube.sm.triple_collocation(stations)
    assert table.attrs["min_days"] == 30 <= int(table["n"].min()) < 100
    wide = table["error_std_high"] - table["error_std_low"]
    assert float((wide / table["error_std"]).median()) > 0.2  # 40 days give an error to some tens of percent
    assert table.sizes["station"] >= 3 and table.attrs["matching"] == "hour of obs_time"
    assert float(table["r_truth_median"].max()) <= 1
