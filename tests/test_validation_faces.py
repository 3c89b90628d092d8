"""Validation in the shell and in notebooks."""

from __future__ import annotations

import pandas as pd
import pytest
import xarray as xr

import xsm
from tests.station_world import make_maps, make_stations
from xsm.faces.cli import main


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    maps = make_maps(names=("sm_dca", "sm_noah_0_10", "sm_mine"))
    maps["sm_mine"].attrs |= {"units": "m3 m-3", "depth": 5}
    maps.to_netcdf("maps.nc")
    stations = make_stations(depths=(5, 10, 20))
    daily = stations.resample(time="1D").mean()["soil_moisture"].to_dataframe().reset_index()
    daily[["station", "network", "time", "lat", "lon", "depth", "soil_moisture"]].to_csv("stations.csv", index=False)
    return tmp_path


def run(*words):
    with pytest.raises(SystemExit) as end:
        main([*words, "-q"])
    assert end.value.code == 0


def test_pairs_are_written_as_csv(folder):
    run("matchup", "maps.nc", "stations.csv", "pairs.csv", "--variables", "sm_dca", "--depth", "0-20")
    frame = pd.read_csv(folder / "pairs.csv")
    assert len(frame) == 300
    assert set(frame["depth"]) == {"0-20 cm"}
    run("matchup", "maps.nc", "stations.csv", "pairs.nc")
    with xr.open_dataset(folder / "pairs.nc") as back:
        assert set(back.dims) == {"pair"}


def test_depth_rescaling_and_seasons_in_the_shell(folder):
    run("validate", "maps.nc", "stations.csv", "scores.nc", "--depth", "10", "--rescale", "linreg", "--by", "season",
        "--variables", "sm_dca")  # fmt: skip
    with xr.open_dataset(folder / "scores.nc") as table:
        assert table["reference"].values.tolist() == ["10 cm"]
        assert table["r_by_season"].sizes["season"] == 4
    run("validate", "maps.nc", "stations.csv", "scores.csv", "--by", "season")


def test_stations_may_stand_before_the_output_or_not(folder):
    run("triple-collocation", "maps.nc", "stations.csv", "with.nc")
    run("triple-collocation", "maps.nc", "alone.nc", "--variables", "sm_dca,sm_noah_0_10,sm_mine", "--min-days", "30")
    run("triple-collocation", "maps.nc", "option.nc", "--stations", "stations.csv")
    with xr.open_dataset(folder / "with.nc") as table, xr.open_dataset(folder / "option.nc") as same:
        assert table["product"].values.tolist() == ["sm_dca", "sm_noah_0_10", "station"]
        xr.testing.assert_equal(table["snr"], same["snr"])
    with xr.open_dataset(folder / "alone.nc") as table:
        assert table["snr"].dims == ("product", "y", "x")


def test_scores_at_any_depth_are_drawn():
    maps = make_maps()
    maps["sand"], maps["silt"], maps["clay"] = (xr.full_like(maps["sm_5cm"][0], v) for v in (40.0, 40.0, 20.0))
    table = xsm.validate(maps, make_stations(), depth=["5", "20", "0-20"], by=["texture_group"])
    titles = [axes.get_title(loc="left") for axes in table.sm.plot_boxes().axes]
    assert {"5 cm", "20 cm", "0-20 cm"} <= set(titles)
    table.sm.plot_skill()


def test_scores_show_their_means():
    table = xsm.validate(make_maps(), make_stations())
    shown = repr(table.sm)
    assert "sm_25cm" in shown
    assert f"{float(table['ubrmse_mean'][0]):.3f}" in shown
    page = table.sm._repr_html_()
    assert page.count("<tr") >= 4
    assert "<td>20 cm</td>" in page
    pd.testing.assert_frame_equal(table.sm.to_frame(), xsm.to_frame(table))
    pairs = xsm.matchup(make_maps(), make_stations())
    assert "900 pairs of product and station" in repr(pairs.sm)
    assert len(pairs.sm.to_frame()) == 900
