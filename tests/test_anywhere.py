"""From raw files of the true formats to maps at both depths where neither NLDAS-2 nor SOLUS100 exists."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import xsm
from xsm.errors import UsageError
from xsm.faces.cli import main
from xsm.study import anywhere, config
from xsm.study.daily import granules
from xsm.twin import make_world, write_world

WINDOWS = {"Iberia": (-6.0, 38.4, -5.2, 39.2), "East Africa": (37.0, -0.6, 37.9, 0.3)}


def xsm_here(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main([*arguments])
    return int(stop.value.code or 0)


def test_the_study_for_a_users_own_files_names_sources_of_the_whole_world(tmp_path):
    path = anywhere.write_anywhere(tmp_path / "kenya.toml", "36.5,-1.5,38.5,0.5")
    study = config.load(path)
    assert study.region == [36.5, -1.5, 38.5, 0.5] and study.fuse and not study.gapfill
    assert {name: source.paths for name, source in study.inputs.items()} == {
        name: [str(tmp_path / folder)] for name, folder in anywhere.PRODUCTS.items()
    }
    with pytest.raises(UsageError, match="exists already"):
        anywhere.write_anywhere(path)


def test_what_is_commented_out_in_the_study_is_valid(tmp_path):
    text = anywhere.write_anywhere(tmp_path / "study.toml").read_text()
    table = text.index("# [inputs.gldas]")
    raw = tomllib.loads(text[:table] + text[table:].replace("\n# ", "\n").removeprefix("# ").replace("\n#\n", "\n"))
    assert {"gldas", "esa_cci_sm"} <= set(raw["inputs"]) and raw["fuse"]["train"]
    study = config.parse(raw, tmp_path)
    assert study.roles["model_root"] == "sm_era5_land_7_28" and "ismn" in study.stations


def test_a_region_is_for_the_study_anywhere_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert xsm_here("init", "rabiei2024", "--region", "-6,38,-5,39") == 2
    assert "--region" in capsys.readouterr().err and not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("names", "days"),
    [
        (["a_2021-05-01_2021-05-31.zip", "a_2021-06-01T00.zip"], None),
        (["a_20210501000000_20210501004500.nc", "a_20210502234000_20210503002000.nc"], ["2021-05-01", "2021-05-02"]),
    ],
)
def test_an_archive_of_weeks_is_no_granule_of_its_first_day(tmp_path, names, days):
    for name in names:
        (tmp_path / name).touch()
    study = config.Study(tmp_path, {"smap": config.Source([tmp_path / name for name in names])})
    by_day = granules(study, "smap")
    assert (by_day and [*by_day]) == days


@pytest.mark.slow
@pytest.mark.parametrize("place", WINDOWS)
def test_command_line_and_accessor_make_the_same_maps_anywhere(place, tmp_path, monkeypatch):
    """As the page says it: `xsm init anywhere --example`, `xsm run`, in a small form, beside the same in Python."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(anywhere, "DAYS", 30)
    region = WINDOWS[place]
    assert xsm_here("init", "anywhere", "--example", "--region", ",".join(map(str, region))) == 0
    assert xsm_here("run", "anywhere.toml") == 0
    data = Path("anywhere-data")
    smap, land, soil = (
        xsm.open(name, data / folder, region=region, margin=0) for name, folder in anywhere.PRODUCTS.items()
    )
    cube = xsm.cube(smap, *(ds.sm.regrid_ease9km(region=region) for ds in (land, soil)))
    fused = cube.sm.fuse()
    with xr.open_dataset("results/estimates.nc") as maps, xr.open_dataset(data / "truth.nc") as truth:
        assert "HTESSEL" in str(maps.attrs) and "synthetic" in str(maps.attrs).lower()
        for name in ("sm_5cm", "sm_25cm"):
            assert np.isfinite(maps[name]).all()
            np.testing.assert_allclose(maps[name], fused[name], atol=1e-5)
            assert float(abs(maps[name] - truth[name]).mean()) < 0.08
    assert {p.name[:4] for p in Path("results/geotiff").glob("*.tif")} == {"sm_5", "sm_2"}
    assert Path("results/report/report.html").stat().st_size > 10_000


@pytest.mark.slow
def test_other_retrievals_and_land_models_take_the_same_roles(tmp_path):
    region = WINDOWS["Iberia"]
    world = make_world(region, days=30, seed=1)
    write_world(world, tmp_path, ["esa_cci_sm", "gldas"])
    satellite, land = (
        xsm.open(name, tmp_path / name.upper(), region=region, margin=0).sm.regrid_ease9km(region=region)
        for name in ("esa_cci_sm", "gldas")
    )
    maps = xsm.cube(satellite, land).sm.fuse()
    assert "Noah" in str(maps.attrs["training_data"])
    for name in ("sm_5cm", "sm_25cm"):
        values = maps[name].sel(time=world.truth["time"])
        assert np.isfinite(values).mean() > 0.9
        assert float(abs(values - world.truth[name]).mean()) < 0.08
