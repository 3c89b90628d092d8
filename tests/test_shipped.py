"""What is shipped must be complete and work: bundles, the README's first lines, results without holes."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import xsm
from xsm.errors import DataError
from xsm.learning.shipped import shipped

ROOT = Path(__file__).parents[1]
SYNTHETIC = ("5-1", "5-2", "25-1", "25-2", "gapfill")


@pytest.mark.parametrize("name", (*SYNTHETIC, "uscrn-depth"))
def test_shipped_bundles_are_small_and_say_whether_they_are_synthetic(name):
    bundle = shipped(name)
    folder = Path(xsm.__file__).parent / "_bundles" / name
    assert sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) <= 1_000_000
    if name not in ("gapfill", "uscrn-depth"):
        assert "twin" in bundle.card["synthetic"]
        assert bundle.card["training"]["days"][1] < bundle.card["validation"]["days"][0]
    if name == "25-2":
        assert bundle.surface is not None
        assert bundle.surface.card["depth"] == 5


def test_shipped_filler_leaves_what_it_does_not_know_and_says_so(recwarn):
    smap = xsm.example("smap", size=8, days=24)
    filled = smap.sm.gapfill_cru(model="pretrained")
    assert "not sm_scav, sm_scah: these stay as they are" in str(recwarn[0].message)
    assert bool(filled["tb_h"].notnull().all())
    np.testing.assert_array_equal(filled["sm_scav"], smap["sm_scav"])
    warnings = [str(w.message) for w in recwarn]
    assert ["synthetic" in text for text in warnings] == [False, True]
    recwarn.clear()
    with pytest.raises(DataError, match=r"not sm_scav\. Leave them out of variables="):
        smap.sm.gapfill_cru(variables=["tb_h", "sm_scav"], model="pretrained")
    assert not recwarn.list


def stations_cube(days: int = 420) -> xr.Dataset:
    """Cells with a 5 cm series and weather in the middle of the training period."""
    rng = np.random.default_rng(0)
    rain = rng.gamma(0.2, 15.0, (days, 3)).astype("f4")
    wet = xr.DataArray(rain, dims=("time", "cell")).rolling(time=10, min_periods=1).mean()
    warmth = 288 - 10 * np.cos(2 * np.pi * np.arange(days) / 365)[:, None] + np.zeros((days, 3))
    return xr.Dataset(
        {
            "precipitation": (("time", "cell"), rain, {"units": "kg m-2"}),
            "air_temperature": (("time", "cell"), warmth.astype("f4"), {"units": "K"}),
            "sm_5cm": (0.1 + 0.02 * wet).astype("f4").assign_attrs(units="m3 m-3"),
        },
        {"time": np.datetime64("2019-01-01", "ns") + np.arange(days) * np.timedelta64(1, "D")},
    )


def test_the_bundle_of_real_stations_estimates_depth_from_the_surface():
    pytest.importorskip("lightgbm")
    cube = stations_cube()
    with pytest.warns(UserWarning, match="trained at stations of USCRN") as warnings:
        maps = cube.sm.estimate(depth=25, model="uscrn-depth")
    assert not any("synthetic" in str(w.message) for w in warnings)
    deep, surface = (v.isel(time=slice(60, None)) for v in (maps["sm_25cm"], cube["sm_5cm"]))
    assert bool(deep.notnull().all()) and bool((maps["sm_25cm_reference_std"] > 0.005).all())
    assert float(xr.corr(deep, surface, "time").min()) > 0.5
    assert float(deep.diff("time").std() / deep.std()) < float(surface.diff("time").std() / surface.std())
    assert not maps.attrs.get("model_synthetic")
    with pytest.raises(DataError, match="needs 'sm_5cm'"):
        cube.drop_vars("sm_5cm").sm.estimate(depth=25, model="uscrn-depth")


def test_the_card_of_real_stations_says_where_it_comes_from():
    card = shipped("uscrn-depth").card
    assert "public domain" in card["sources"]["data"]
    assert card["training"]["days"] == ["2015-01-01", "2019-12-31"]
    assert {"unseen_r", "unseen_ubrmse", "unseen_inside_95_unscaled", "unseen_filter_2_days_r"} <= set(card["metrics"])
    assert "CONUS" in card["limits"]
    assert not card["synthetic"]


def test_first_lines_of_the_readme_run():
    cube = xsm.example("cube", days=120)
    fused = cube.sm.fuse()
    assert float(fused["sm_25cm"].notnull().mean()) > 0.9
    fused.sm.plot_map(variable="sm_25cm", day="2021-07-01")
    table = fused.sm.validate(xsm.example("stations", days=120))
    assert int(table["count"].sum()) >= 5
    assert len(xsm.to_frame(table)) >= 5


def test_passes_with_dropout_are_recorded():
    cube = xsm.example("cube", size=8, days=20).isel(time=slice(-4, None))
    with pytest.warns(UserWarning, match="synthetic"):
        passes = cube.sm.estimate(dropout_passes=2)
        plain = cube.sm.estimate()
    assert passes.attrs["dropout_passes"] == 2
    assert "dropout_passes=2" in passes.attrs["history"]
    assert "dropout_passes" not in f"{plain.attrs}"
    assert not np.array_equal(passes["sm_5cm"], plain["sm_5cm"], equal_nan=True)


def test_share_of_clipped_values_is_that_of_the_domain():
    cube = xsm.example("cube", size=16, days=20).isel(time=slice(-4, None))
    cube["land"] = cube["land"] & (cube["x"] > cube["x"][3])
    dense = cube.assign(bulk_density=xr.full_like(cube["bulk_density"], 2.6))  # pores for 0.019
    for ds, share in ((dense, 1.0), (cube, 0.0)):
        with pytest.warns(UserWarning, match="synthetic"):
            assert ds.sm.estimate()["sm_5cm"].attrs["clipped_share"] == share


def test_a_shipped_surface_warns_when_it_was_used(recwarn):
    cube = xsm.example("cube", size=16, days=20)
    arguments = {"depth": 25, "scenario": 2, "model": "ridge", "surface": "5-2"}
    with pytest.raises(DataError, match="there are infinite values in tb_h"):
        cube.assign(tb_h=cube["tb_h"] * np.inf).sm.fit(**arguments)
    assert not recwarn.list
    cube.sm.fit(**arguments)
    warnings = [str(w.message) for w in recwarn]
    assert ["learnt from days other" in text for text in warnings] == [True, False]
    assert "synthetic" in warnings[1]


def test_results_have_no_hole():
    text = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    assert not re.findall(r"@[A-Z]+@", text)
