"""Maps, gaps and scales of the report."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from xsm.data.grids import EASE2_M09
from xsm.reporting import frames, map_figures
from xsm.reporting.html_page import Page
from xsm.reporting.scene import LEAST_SHARE, gap_counts, gap_day, make_scene, overview


def test_a_cube_of_a_larger_window_and_period_is_cut(cube: xr.Dataset, estimates: xr.Dataset) -> None:
    inner = estimates.isel(time=slice(10, 60), y=slice(4, 16), x=slice(3, 20))
    scene = make_scene(inner, cube)
    expected = cube["sm_dca"].isel(time=slice(10, 60), y=slice(4, 16), x=slice(3, 20))
    np.testing.assert_array_equal(scene.ds["sm_dca"].values, expected.values)
    assert scene.watched == "sm_dca" and scene.best == "sm_5cm_s2"
    longer = make_scene(estimates, cube.isel(time=slice(0, 50)))
    assert longer.ds["observed"].dtype == bool and not longer.ds["observed"][50:].any()


@given(st.lists(st.booleans(), min_size=1, max_size=120))
def test_gaps_are_counted_by_length(observed: list[bool]) -> None:
    lengths = [len(run) for run in "".join("x" if s else "." for s in observed).split("x") if run]
    bins = [(1, 1), (2, 2), (3, 3), (4, 7), (8, 14), (15, 30), (31, 90), (91, 999)]
    gaps = [sum(low <= n <= high for n in lengths) for low, high in bins]
    days = [sum(n for n in lengths if low <= n <= high) for low, high in bins]
    both = np.array([observed, [True] * len(observed)])
    counts = gap_counts(both)
    assert counts[0].tolist() == [gaps, days] and not counts[1].any()


def test_counts_are_the_same_under_every_chunking(cube: xr.Dataset, estimates: xr.Dataset) -> None:
    whole = overview(make_scene(estimates, cube))
    small = {"time": 17, "y": 10, "x": 24}
    parts = overview(make_scene(estimates.chunk(small), cube.chunk(small)))
    xr.testing.assert_allclose(whole, parts, rtol=1e-6)  # float32 means, summed in another order
    counts = ["gaps", "missing", "observed_days", "share"]
    xr.testing.assert_equal(whole[counts], parts[counts])
    observed = cube["sm_dca_observed"]
    assert int((whole["observed_days"] == 0).sum()) >= 9
    np.testing.assert_allclose(whole["share"], observed.sum(["y", "x"]) / observed.any("time").sum())
    assert int(whole["missing"].sum()) == int((~observed.where(observed.any("time"), True)).sum())
    day = gap_day(whole)
    share = whole["share"].values
    assert day is not None and day >= 2 and share[day] == share[2:][share[2:] > LEAST_SHARE].min()


def test_a_spread_that_is_not_shown_is_told(estimates: xr.Dataset) -> None:
    one = estimates[["sm_5cm_s2", "sm_5cm_s2_std"]]
    reason = make_scene(one.rename(sm_5cm_s2_std="sm_5cm_s2_reference_std"), None).no_spread
    assert reason == "the maps have only that of the reference (sm_5cm_s2_reference_std), not calibrated to stations"
    assert make_scene(one[["sm_5cm_s2"]], None).no_spread == "the maps have none"


def test_maps_have_north_up_and_true_aspect() -> None:
    lat, lon = np.array([40.0, 40.5, 41.0]), np.array([-100.0, -99.5])
    field = xr.DataArray(np.arange(6.0).reshape(3, 2), {"lat": lat, "lon": lon}, ("lat", "lon"))
    frame = frames.frame_of(field.to_dataset(name="a"))
    assert frame is not None and frame.extent == (-100.25, -99.25, 39.75, 41.25)
    assert frame.aspect == pytest.approx(1 / np.cos(np.radians(40.5)))
    image = map_figures.value_maps(frame, {"title": field}, bar="K")[0].axes[0].images[0]
    assert np.asarray(image.get_array()).tolist() == [[4, 5], [2, 3], [0, 1]]
    grid = EASE2_M09.window(300, 320, 800, 840)
    ease = frames.frame_of(grid.assign(xr.Dataset({"a": (("y", "x"), np.zeros(grid.shape))})))
    assert ease is not None and ease.tall == pytest.approx(0.5)
    x, y = ease.place(grid.lon[[3]], grid.lat[[7]])
    assert (x[0], y[0]) == pytest.approx((grid.x[3], grid.y[7]), abs=1e-3)
    for position, label in ease.x_ticks:
        wanted = float(label.strip("°WE")) * (-1 if label.endswith("W") else 1)
        # np.interp holds the outer half cells (0.047 degrees) at the border
        assert np.interp(position, grid.x, grid.lon) == pytest.approx(wanted, abs=0.05)


def test_maps_of_a_figure_share_a_scale_that_the_data_set() -> None:
    grid = EASE2_M09.window(300, 320, 800, 840)
    frame = frames.frame_of(grid.assign(xr.Dataset({"a": (("y", "x"), np.zeros(grid.shape))})))
    assert frame is not None
    rng = np.random.default_rng(0)
    one, two = (
        xr.DataArray(rng.uniform(*ends, grid.shape), dims=("y", "x")) for ends in ((0.061, 0.079), (0.05, 0.06))
    )
    two[0, 0] = 0.4  # an outlier does not set the scale
    figures = map_figures.value_maps(frame, {"one": one, "two": two}, "uncertainty")
    for figure in figures:
        image, bar = figure.axes[0].images[0], figure.axes[1]
        assert image.get_clim() == (0.05, 0.08) and bar.get_xlabel() == "Standard deviation (m³ m⁻³)"
    luminance = figures[0].axes[0].images[0].to_rgba(0.08)[:3] @ np.array([0.2126, 0.7152, 0.0722])
    assert luminance > 0.1  # lines on the darkest colour can be seen
    plain = map_figures.value_maps(frame, {"one": one * 1000, "two": two * 1000}, bar="K")
    assert len({f.axes[0].images[0].get_clim() for f in plain}) == 1
    assert map_figures.limits([np.full(3, np.nan)], "uncertainty") == (0, 0.1) and map_figures.limits(
        [np.ones(3)], ""
    ) == (1, 2)


def test_warnings_of_one_kind_are_folded_into_one() -> None:
    page = Page("Title", "lead")
    page.section("summary", "Summary")
    for texts in ([], ["A & B vary little."], ["A varies little.", "B varies little."]):
        page.banner("Hardly any variation.", *texts)
    html = page.html("")
    assert html.count("Hardly any variation.") == 2 and "A &amp; B vary little." in html
    assert "<b>Hardly any variation.</b> 2 maps</summary><ul><li>A varies little.</li>" in html
