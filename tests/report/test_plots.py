"""One-liners for notebooks: the figures of the report, from the accessor and from the shell."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import xarray as xr

import xsm
from xsm import DataError, UsageError
from xsm.data.grids import grid_of
from xsm.faces.cli import main
from xsm.io import files
from xsm.ops.validate import validate


@pytest.fixture(scope="module")
def world() -> tuple[xr.Dataset, xr.Dataset, xr.Dataset]:
    """Estimates with a known error, cube and stations of the twin."""
    cube, stations = xsm.example("cube", size=24, days=90), xsm.example("stations", size=24, days=90)
    truth = xsm.example("truth", size=24, days=90)
    rng = np.random.default_rng(0)
    out = xr.Dataset(attrs={"synthetic": cube.attrs["synthetic"]})
    for name, noise in (("sm_5cm_s1", 0.05), ("sm_5cm_s2", 0.03), ("sm_25cm_s2", 0.03)):
        values = truth[name[:-3]] + rng.normal(0, noise, truth["sm_5cm"].shape)
        out[name] = values.clip(0.02, 0.6).astype("f4").assign_attrs(units="m3 m-3")
        out[f"{name}_std"] = xr.full_like(out[name], noise)
    grid = grid_of(cube)
    assert grid is not None
    return grid.assign(out.assign(frozen=cube["frozen"])), cube, stations


@pytest.fixture(scope="module")
def table(world: tuple[xr.Dataset, xr.Dataset, xr.Dataset]) -> xr.Dataset:
    estimates, cube, stations = world
    ds = estimates.assign({n: cube[n] for n in ("sm_noah_0_10", "sm_noah_10_40", "sand", "silt", "clay", "land_cover")})
    return validate(ds, stations, by=("texture_group", "land_cover"), min_days=30)


def test_every_plot_is_an_operation_that_the_accessor_has() -> None:
    plots = {n for n, op in xsm.operations().items() if op.result == "figure"}
    assert len(plots) == 8 and all(n.startswith("plot_") for n in plots)
    assert plots <= set(dir(xr.Dataset().sm))


def test_maps_of_a_day_and_of_the_mean(world: tuple[xr.Dataset, xr.Dataset, xr.Dataset]) -> None:
    estimates, _, _ = world
    figure = estimates.sm.plot_map()
    image = figure.axes[0].images[0]
    np.testing.assert_allclose(image.get_array(), estimates["sm_5cm_s2"].mean("time"), rtol=1e-6)
    day = estimates.chunk({"time": 7}).sm.plot_map(variable="sm_25cm_s2_std", day="2021-05-02")
    assert day.axes[0].get_title(loc="left") == "25 cm, scenario 2: standard deviation, 2021-05-02"
    np.testing.assert_allclose(day.axes[0].images[0].get_array(), estimates["sm_25cm_s2_std"].sel(time="2021-05-02"))
    titled = estimates.sm.plot_map(day="2021-05-02", title="Before the rain")
    assert titled.axes[0].get_title(loc="left") == "Before the rain"
    with pytest.raises(UsageError, match="have no day 2031-01-01"):
        estimates.sm.plot_map(day="2031-01-01")
    with pytest.raises(UsageError, match="Unknown variable"):
        estimates.sm.plot_map(variable="sm")


def test_texture_shows_the_stations_of_the_window(world: tuple[xr.Dataset, xr.Dataset, xr.Dataset]) -> None:
    _, cube, stations = world
    marks = cube.sm.plot_texture(stations=stations).axes[0].lines
    names = {str(s) for s in validate(cube, stations, variables=("sm_noah_0_10",), min_days=10)["station"].values}
    assert sum(len(line.get_xdata()) for line in marks) >= len(names) > 0
    assert not cube.sm.plot_texture().axes[0].lines
    with pytest.raises(DataError, match="no soil maps"):
        cube[["sm_noah_0_10"]].sm.plot_texture()


def test_figures_of_scores_show_the_numbers_of_the_table(table: xr.Dataset) -> None:
    boxed = table.sm.plot_boxes(by="land_cover")
    assert [a.get_ylabel().split(" ")[0] for a in boxed.axes[::2]] == ["R", "RMSE", "Bias", "ubRMSE"]
    assert {t.get_text() for t in boxed.legends[0].get_texts()} == {"Scenario 1", "Scenario 2", "Noah"}
    where = table.sm.plot_skill()
    dots = [
        c
        for a in where.axes
        for c in a.collections
        if len(c.get_offsets()) == int(table["count"].sel(product="sm_5cm_s2"))
    ]
    r = table["r"].sel(product="sm_5cm_s2").dropna("station").values
    np.testing.assert_allclose(dots[0].get_array(), r)
    median = next(a for a in where.axes if "median" in a.get_title(loc="right"))
    assert median.get_title(loc="right") == f"median {np.median(r):.2f}"
    assert median.lines[0].get_xdata()[0] == pytest.approx(np.median(r))
    with pytest.raises(UsageError, match="not grouped by 'network_'"):
        table.sm.plot_boxes(by="network_")
    with pytest.raises(UsageError, match="not a result of validate"):
        table.drop_vars("r").sm.plot_skill()


def test_scales_of_scores_are_the_same_for_both_depths(table: xr.Dataset) -> None:
    low = table.copy(deep=True)
    low["r"][:, 0] = -0.4
    low["bias"].loc[{"product": "sm_25cm_s2"}] = 0.17
    dots = [c for a in low.sm.plot_skill().axes for c in a.collections if len(c.get_offsets()) == low.sizes["station"]]
    r, ubrmse, bias = ([d.get_clim() for d in dots[k::3]] for k in range(3))
    assert r == [(0, 1)] * 2 and bias == [(-0.2, 0.2)] * 2  # the 99th percentile, rounded up to 0.05
    assert len(set(ubrmse)) == 1
    values = low["ubrmse"].sel(product=["sm_5cm_s2", "sm_25cm_s2"]).values
    assert ubrmse[0][0] <= np.nanpercentile(values, 1) <= np.nanpercentile(values, 99) <= ubrmse[0][1]
    assert dots[0].to_rgba(-0.4) == (1, 1, 1, 1) != dots[0].to_rgba(0.0)


def test_pooled_figures(world: tuple[xr.Dataset, xr.Dataset, xr.Dataset]) -> None:
    estimates, cube, stations = world
    axes = estimates.sm.plot_scatter(stations, cube=cube).axes
    assert "R 0." in axes[0].texts[0].get_text() and axes[0].get_ylabel().startswith("5 cm, scenario 2")
    lines = estimates.sm.plot_calibration(stations, cube=cube).axes[0].lines
    assert len(lines) == 4 and all((np.diff(line.get_ydata()) >= 0).all() for line in lines)
    bare = estimates.drop_vars([n for n in estimates if str(n).endswith("_std")])
    with pytest.raises(DataError, match="no standard deviation"):
        bare.sm.plot_calibration(stations, cube=cube)


def test_series_and_availability(world: tuple[xr.Dataset, xr.Dataset, xr.Dataset]) -> None:
    estimates, cube, stations = world
    figure = estimates.sm.plot_series(stations, cube=cube)
    entries = {t.get_text() for t in figure.legends[0].get_texts()}
    assert {"Scenario 1", "Scenario 2", "Noah", "Station", "Precipitation"} <= entries
    assert figure.axes[1].get_title() == "CDF"
    (rain,) = (a for a in figure.axes if a.get_ylabel().startswith("Rain"))
    assert len(rain.get_yticks()) >= 2 and max(rain.get_yticks()) <= rain.get_ylim()[0] / 3
    with pytest.raises(UsageError, match="Unknown station"):
        estimates.sm.plot_series(stations, "nowhere")
    name = str(stations["station"].values[-1])
    assert estimates.sm.plot_series(stations, name, cube=cube).axes[0].get_title(loc="left") == name
    with pytest.raises(UsageError, match=r"'stations' is 'USCRN', expected an xarray\.Dataset"):
        estimates.sm.plot_series("USCRN")
    shown = cube[["sm_dca"]].sm.plot_availability().axes[0]
    assert "SMAP DCA" in shown.get_title(loc="left")


def test_a_fusion_is_drawn_first_and_by_its_name(world: tuple[xr.Dataset, xr.Dataset, xr.Dataset]) -> None:
    estimates, cube, stations = world
    fused = estimates.rename({f"sm_{d}cm_s2{end}": f"sm_{d}cm{end}" for d in (5, 25) for end in ("", "_std")})
    fused = fused.assign_attrs(method="fuse")
    assert fused.sm.plot_map().axes[0].get_title(loc="left") == "5 cm, fusion: mean, 2021-04-01 to 2021-06-29"
    assert (
        fused.sm.plot_map(variable="sm_25cm", day="2021-05-02").axes[0].get_title(loc="left").startswith("25 cm, fus")
    )
    figure = fused.sm.plot_series(stations, cube=cube)
    assert {"Scenario 1", "Fusion", "95 % interval (Fusion)"} <= {t.get_text() for t in figure.legends[0].get_texts()}
    assert fused.sm.plot_scatter(stations, cube=cube).axes[0].get_ylabel().startswith("5 cm, fusion")
    legend = fused.sm.plot_calibration(stations, cube=cube).legends[0]
    assert {"5 cm, scenario 1", "5 cm, fusion", "25 cm, fusion"} <= {t.get_text() for t in legend.get_texts()}


def test_the_shell_writes_the_same_figure(
    table: xr.Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = tmp_path / "scores.nc"
    files.write(table, scores)
    for suffix in ("png", "svg"):
        with pytest.raises(SystemExit) as stop:
            main(["plot-boxes", str(scores), str(tmp_path / f"boxes.{suffix}"), "--by", "texture_group"])
        assert not stop.value.code, capsys.readouterr().err
    assert (tmp_path / "boxes.png").read_bytes().startswith(b"\x89PNG")
    assert ElementTree.parse(tmp_path / "boxes.svg").getroot().tag.endswith("svg")
    with pytest.raises(SystemExit) as stop:
        main(["plot-boxes", str(scores), str(tmp_path / "boxes.nc")])
    assert stop.value.code == 2 and "expected .png, .svg or .pdf" in capsys.readouterr().err


def test_a_notebook_shows_the_figure() -> None:
    pytest.importorskip("IPython")
    code = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
import xsm
figure = xsm.example("cube", size=16, days=8).sm.plot_map(variable="sm_noah_0_10")
shown, _ = shell.display_formatter.format(figure)
print(sorted(shown))
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "image/png" in done.stdout, done.stdout


def test_plot_map_of_soil_and_of_wrong_days():
    cube = xsm.example("cube", size=16, days=10)
    assert "5 cm" in cube.sm.plot_map(variable="sand").axes[0].get_title(loc="left")
    with pytest.raises(UsageError, match="is not a date"):
        cube.sm.plot_map(variable="tb_h", day="10.05.2021")
    with pytest.raises(UsageError, match="Unknown variable 'spatial_ref'"):
        cube.sm.plot_map(variable="spatial_ref")
