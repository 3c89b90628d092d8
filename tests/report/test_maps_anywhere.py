"""Maps in any CRS with their coast, scales by choice, empty maps, films, and ``ds.sm.plot``."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pyproj import CRS, Transformer

import xsm
from xsm import UsageError
from xsm.data.lines import lines
from xsm.reporting import frames, map_figures, score_figures, single_maps, theme

PROJECTED = {
    "lambert conformal": ("EPSG:5070", (-600e3, 600e3), (1200e3, 2300e3)),
    "utm": ("EPSG:32633", (300e3, 700e3), (5.0e6, 5.4e6)),
    "equal area of Europe": ("EPSG:3035", (3.0e6, 5.5e6), (1.8e6, 4.2e6)),
    "polar stereographic": ("EPSG:3413", (-2.5e6, 2.0e6), (-3.5e6, -0.5e6)),
}


def _maps(crs: str, x: tuple[float, float], y: tuple[float, float], shape: tuple[int, int] = (30, 40)) -> xr.Dataset:
    rng = np.random.default_rng(0)
    ds = xr.Dataset(
        {"sm_5cm": (("y", "x"), rng.uniform(0.1, 0.4, shape), {"units": "m3 m-3", "grid_mapping": "spatial_ref"})},
        {"x": np.linspace(*x, shape[1]), "y": np.linspace(*y[::-1], shape[0])},
    )
    return ds.assign_coords(spatial_ref=((), 0, {"crs_wkt": CRS(crs).to_wkt()}))


def _degrees(text: str) -> float:
    return float(text.strip("°WENS")) * (-1 if text[-1] in "WS" else 1)


@pytest.mark.parametrize("name", PROJECTED)
def test_ticks_of_a_projected_map_are_where_proj_puts_the_degrees(name: str) -> None:
    crs, x, y = PROJECTED[name]
    frame = frames.frame_of(_maps(crs, x, y))
    assert frame is not None and frame.x_ticks and frame.y_ticks
    left, right, bottom, top = frame.extent
    inverse = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    for at, text in frame.x_ticks:
        lon, _ = inverse.transform(at, bottom)
        assert left <= at <= right and abs((lon - _degrees(text) + 180) % 360 - 180) < 0.05
    for at, text in frame.y_ticks:
        _, lat = inverse.transform(left, at)
        assert bottom <= at <= top and lat == pytest.approx(_degrees(text), abs=0.05)


@settings(deadline=None, max_examples=20)
@given(st.floats(-179, 179), st.floats(-70, 70), st.floats(0.2, 3))
def test_every_tick_of_a_lambert_map_is_true(lon: float, lat: float, half: float) -> None:
    crs = f"+proj=laea +lon_0={lon} +lat_0={lat}"
    x, y = (-half * 1e5, half * 1e5), (-half * 1e5, half * 1e5)
    frame = frames.frame_of(_maps(crs, x, y, (5, 5)))
    assert frame is not None
    inverse = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    for at, text in frame.x_ticks:
        if "°" in text:
            east, _ = inverse.transform(at, frame.extent[2])
            assert abs((east - _degrees(text) + 180) % 360 - 180) < 0.05


def test_degrees_beyond_180_are_western() -> None:
    lon, lat = np.arange(180, 300, 2.0), np.arange(-20, 20, 2.0)
    ds = xr.Dataset({"a": (("lat", "lon"), np.zeros((len(lat), len(lon))))}, {"lat": lat, "lon": lon})
    frame = frames.frame_of(ds)
    assert frame is not None
    assert all(text.endswith(("W", "°")) for _, text in frame.x_ticks)
    figure = map_figures.value_maps(frame, {"": ds["a"]}, bar="a")[0]
    coast = next(c for c in figure.axes[0].collections if c.get_linewidth()[0] == frames.LOOKS["coast"]["linewidth"])
    points = np.concatenate([p.vertices for p in coast.get_paths()])
    assert ((points[:, 0] > 270) & (points[:, 0] < 290)).any()  # South America lies east of 180


def test_cells_at_two_dimensional_degrees_are_drawn_where_they_are() -> None:
    row, col = np.mgrid[0:30, 0:40]
    lat, lon = 40 + 0.2 * row + 0.03 * col, -100 + 0.25 * col - 0.04 * row
    ds = xr.Dataset({"sm_5cm": (("j", "i"), lat)}, {"lat": (("j", "i"), lat), "lon": (("j", "i"), lon)})
    frame = frames.frame_of(ds)
    assert frame is not None
    shown = frames.oriented(frame, ds["sm_5cm"])
    west, east, south, north = frame.extent
    y = north - (np.arange(len(shown)) + 0.5) * (north - south) / len(shown)
    known = np.isfinite(shown)
    assert 0.5 < known.mean() < 1
    assert np.nanmax(np.abs(shown - y[:, None])) < 0.5
    assert west < lon.min() < lon.max() < east


@pytest.mark.parametrize("kind", list(frames.LOOKS))
def test_lines_of_a_map_are_those_of_the_world(kind: str) -> None:
    frame = frames.frame_of(_maps(*PROJECTED["lambert conformal"]))
    assert frame is not None and frame.box is not None
    drawn = list(frames._lines(frame, kind))
    inverse = Transformer.from_crs("EPSG:5070", "EPSG:4326", always_xy=True)
    known = lines(kind, frame.box)
    assert len(drawn) == len(known)
    for (x, y), line in zip(drawn, known, strict=True):
        np.testing.assert_allclose(np.stack(inverse.transform(x, y), 1), line, atol=1e-4)


@pytest.fixture(scope="module")
def days() -> xr.Dataset:
    return xsm.example("cube", size=16, days=8)[["sm_noah_0_10", "sm_dca"]]


@pytest.mark.parametrize("how", list(single_maps.HOW))
def test_many_days_are_shown_as_they_are_asked_for(days: xr.Dataset, how: str) -> None:
    figure = days.chunk({"time": 3}).sm.plot_map(variable="sm_dca", how=how)
    expected = days["sm_dca"].count("time") if how == "count" else getattr(days["sm_dca"], how)("time")
    np.testing.assert_allclose(figure.axes[0].images[0].get_array().filled(np.nan), expected, rtol=1e-5)
    assert single_maps.HOW[how] in figure.axes[0].get_title(loc="left")


def test_scales_by_choice(days: xr.Dataset) -> None:
    mean = days["sm_noah_0_10"].mean("time")

    def clim(**how: float | bool) -> tuple[float, float]:
        return days.sm.plot_map(variable="sm_noah_0_10", **how).axes[0].images[0].get_clim()

    assert clim(vmin=0.1, vmax=0.3) == (0.1, 0.3)
    assert clim(vmin=0.02)[0] == 0.02
    low, high = clim(robust=False)
    assert low <= float(mean.min()) and high >= float(mean.max())
    assert map_figures.limits([mean], "bias", vmax=0.2) == (-0.2, 0.2)


@given(st.floats(-1, 1), st.floats(-1, 1), st.booleans())
def test_limits_are_in_order(one: float, other: float, robust: bool) -> None:
    for ramp in ("soil_moisture", "uncertainty", "bias", ""):
        low, high = map_figures.limits([np.array([one, other])], ramp, robust=robust)
        assert low < high
        assert map_figures.limits([np.array([one])], ramp, vmin=2.0)[1] > 2.0 or ramp == "bias"


def test_an_empty_map_says_so(days: xr.Dataset) -> None:
    empty = days.assign(sm_dca=days["sm_dca"] * np.nan)
    with pytest.warns(UserWarning, match="no value in any cell"):
        figure = empty.sm.plot_map(variable="sm_dca")
    assert "No cell has a value" in [t.get_text() for t in figure.axes[0].texts]
    full = days.sm.plot_map(variable="sm_noah_0_10")
    assert not full.axes[0].texts


def test_missing_cells_have_a_colour_of_their_own_in_every_ramp() -> None:
    from matplotlib.colors import to_rgb

    from xsm.io.styles import RAMPS, colours

    grey = np.array(to_rgb(theme.MISSING))
    for ramp in RAMPS:
        shades = colours(ramp)(np.linspace(0, 1, 256))[:, :3]
        assert np.abs(shades - grey).max(1).min() > 0.08, ramp


def test_one_look_for_all_products(days: xr.Dataset) -> None:
    names = {"sm_noah_0_10": "sm", "sm_dca": "swvl1"}
    other = days.rename(names).assign(sm=days["sm_noah_0_10"].assign_attrs(units="m3 m-3"))
    ramps = {single_maps.ramp_of(days, n) for n in names} | {single_maps.ramp_of(other, n) for n in names.values()}
    assert ramps == {"soil_moisture"}
    spread = other.assign(sm_uncertainty=other["sm"].assign_attrs(units="m3 m-3", long_name="uncertainty"))
    assert single_maps.ramp_of(spread, "sm_uncertainty") == "uncertainty"


@pytest.mark.parametrize("suffix", [".gif", ".mp4"])
def test_a_film_has_a_picture_for_each_day(days: xr.Dataset, tmp_path: Path, suffix: str) -> None:
    if suffix == ".mp4" and shutil.which("ffmpeg") is None:
        with pytest.raises(UsageError, match="needs ffmpeg"):
            days.sm.plot_animation(tmp_path / "a.mp4", variable="sm_noah_0_10")
        return
    path = days.chunk({"time": 3}).sm.plot_animation(tmp_path / f"a{suffix}", variable="sm_noah_0_10", every=2)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    if suffix == ".gif":
        with Image.open(path) as film:
            assert film.n_frames == 4
    else:
        assert b"ftyp" in path.read_bytes()[:16]
    with pytest.raises(UsageError, match="exists already"):
        days.sm.plot_animation(path, variable="sm_noah_0_10")
    with pytest.raises(UsageError, match=r"expected \.gif or \.mp4"):
        days.sm.plot_animation(tmp_path / "a.avi")


def test_plots_have_short_names(days: xr.Dataset) -> None:
    plots = {n.removeprefix("plot_") for n in xsm.operations() if n.startswith("plot_")}
    assert plots == set(dir(days.sm.plot)) and "map" in plots
    short, long = days.sm.plot.map(variable="sm_dca"), days.sm.plot_map(variable="sm_dca")
    assert short.axes[0].get_title(loc="left") == long.axes[0].get_title(loc="left")
    assert days.sm.plot(variable="sm_dca").axes[0].get_title(loc="left") == long.axes[0].get_title(loc="left")
    with pytest.raises(AttributeError, match=r"Did you mean 'map'\?"):
        days.sm.plot.mop()


def test_a_variable_sm_keeps_the_plots_of_xarray(days: xr.Dataset) -> None:
    ds = days[["sm_noah_0_10"]].rename(sm_noah_0_10="sm")
    pytest.importorskip("matplotlib").use("Agg")
    assert ds.sm.plot.imshow.__doc__ == ds["sm"].plot.imshow.__doc__
    assert {"map", "imshow", "series"} <= set(dir(ds.sm.plot))
    assert ds.sm.plot.map().axes[0].get_title(loc="left") == ds.xsm.plot.map().axes[0].get_title(loc="left")


def test_boxes_of_three_stations_show_each_and_no_empty_group() -> None:
    n = 3
    rng = np.random.default_rng(0)
    table = xr.Dataset(
        {s: (("product", "station"), rng.uniform(0, 1, (2, n + 1))) for s in ("r", "rmse", "bias", "ubrmse")}
        | {"n": (("product", "station"), np.array([[50] * n + [0]] * 2))},
        {"product": ["sm_5cm", "sm_noah_0_10"], "layer": ("product", ["surface"] * 2),
         "station": list("abcd"), "network": ("station", ["N", "N", "M", "EMPTY"])},
    )  # fmt: skip
    table = table.where(table["n"] > 0).assign(n=table["n"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = score_figures.boxes(table, "network")
    ticks = [t.get_text() for t in figure.axes[-1].get_xticklabels()]
    assert ticks == ["N\n(2)", "M\n(1)"]
    points = sum(len(line.get_xdata()) for line in figure.axes[0].lines)
    assert points == 2 * n
    assert any("One station" in t.get_text() for t in figure.legends[0].get_texts())
    assert figure.get_figwidth() < theme.DOUBLE


def test_the_density_is_that_of_a_gaussian_kernel() -> None:
    from scipy.stats import gaussian_kde

    rng = np.random.default_rng(3)
    y = rng.normal(0.3, 0.06, 3000)
    x = y + rng.normal(0, 0.06, 3000)
    ours = score_figures.density(x, y, 0.6)
    theirs = gaussian_kde(np.stack([x, y]))(np.stack([x, y])) * 1e-4 * 100
    assert np.corrcoef(ours, theirs)[0, 1] > 0.97
    assert 0.85 < ours.mean() / theirs.mean() < 1.25


@pytest.mark.parametrize("name", ["sm_25cm_s2_std", "sm_dca", "sm_5cm_percentile", "tb_h", "sm_noah_0_10_anomaly"])
def test_titles_are_words(name: str) -> None:
    ds = xr.Dataset({"tb_h": ((), 1.0, {"long_name": "Brightness temperature, horizontal (corrected)"})})
    title = single_maps.title_of(name, ds)
    assert "_" not in title and title != name


def test_numbers_of_an_unknown_plane_are_named() -> None:
    ds = xr.Dataset({"a": (("y", "x"), np.zeros((4, 5)))}, {"y": np.arange(4) * 9e3, "x": np.arange(5) * 9e3})
    frame = frames.frame_of(ds)
    assert frame is not None and frame.names == ("x (km)", "y (km)") and not frame.graticule
    figure = map_figures.value_maps(frame, {"": ds["a"]}, bar="a")[0]
    assert figure.axes[0].get_xlabel() == "x (km)"


def test_the_look_is_that_of_a_journal(days: xr.Dataset, tmp_path: Path) -> None:
    figure = days.sm.plot_map(variable="sm_dca")
    assert figure.get_figwidth() * 25.4 == pytest.approx(90)
    sizes = [t.get_fontsize() for t in figure.findobj(match=lambda a: hasattr(a, "get_fontsize")) if t.get_text()]
    assert min(sizes) >= 7
    figure.savefig(tmp_path / "a.pdf")
    assert b"/Type3" not in (tmp_path / "a.pdf").read_bytes()  # fonts that journals do not take
    assert pd.notna(figure.dpi) and figure.dpi > 0
