"""What ``ds.sm`` shows: holdings, what scenarios lack, a next command that is true; nothing lazy is computed."""

from __future__ import annotations

import subprocess
import sys

import pytest
import xarray as xr

import xsm
from xsm.data.scenarios import SCENARIOS, SOIL
from xsm.errors import DataError
from xsm.faces.summary import rows_of
from xsm.learning.predictors import require
from xsm.testing import raise_if_computes


@pytest.fixture(scope="module")
def examples():
    return {n: xsm.example(n, size=16, days=20) for n in ("cube", "gappy_cube", "smap", "nldas", "stations")}


def rows_by_name(ds):
    return dict(rows_of(ds)[1:])


def test_complete_cube_is_ready_and_its_next_command_runs(examples):
    rows = rows_by_name(examples["cube"])
    assert {rows[f"{s.depth} cm scenario {s.number}"] for s in SCENARIOS.values()} == {"ready to estimate"}
    assert rows["fusion"] == "ready at 5 and 25 cm"
    assert rows["next"] == "ds.sm.fuse(), or ds.sm.estimate(depth=25, scenario=2) for a scenario"


def test_gaps_are_counted_in_cells_that_have_values(examples):
    ds = examples["gappy_cube"]
    share = 1 - ds["tb_h"].notnull().mean("time")
    expected = float(share.where(share < 1).mean())
    assert f"tb_h ({expected:.0%} missing)" in rows_by_name(ds)["predictors"]
    assert rows_by_name(ds)["next"] == "ds.sm.fuse(), or ds.sm.gapfill_cru() for a scenario"


def test_what_a_fusion_lacks_is_what_fuse_refuses(examples):
    cube = examples["cube"]
    for name, also in (("sm_dca", ["sm_scav", "sm_scah"]), ("sm_noah_0_10", [])):
        without = cube.drop_vars([name, *also])
        assert rows_by_name(without)["fusion"] == f"lacks {name}" and "fuse" not in rows_by_name(without)["next"]
        with pytest.raises(DataError, match=name):
            without.sm.fuse(depth=5)
    shallow = cube.drop_vars("sm_noah_10_40")
    assert rows_by_name(shallow)["fusion"] == "ready at 5 cm; lacks sm_noah_10_40 for 25 cm"
    with pytest.raises(DataError, match="sm_noah_10_40"):
        shallow.sm.fuse(depth=25)


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=lambda s: f"{s.depth}-{s.number}")
def test_what_a_scenario_lacks_is_what_estimate_refuses(examples, scenario):
    ds = examples["smap"]
    row = rows_by_name(ds)[f"{scenario.depth} cm scenario {scenario.number}"]
    if scenario.statics:
        assert row == f"lacks {', '.join(SOIL)}"
        with pytest.raises(DataError, match=r"sand, silt, clay, bulk_density"):
            require(ds, scenario)
    else:
        assert row == "has its predictors, with gaps to fill"


def test_soil_depth_and_short_periods_are_seen(examples):
    cube = examples["cube"]
    assert rows_by_name(cube.isel(soil_depth=[0]))["25 cm scenario 1"].startswith("lacks sand at 30 cm")
    assert rows_by_name(cube.isel(time=slice(2)))["5 cm scenario 1"] == "needs more than 2 days"


def test_lazy_data_are_not_computed(examples):
    lazy = examples["gappy_cube"].chunk(time=5)
    with raise_if_computes():
        rows = rows_by_name(lazy)
    assert "not counted" in rows["5 cm scenario 2"]
    assert rows["next"].startswith("ds.sm.fuse(), or ds.sm.gapfill_cru() if there are gaps")


def test_other_kinds_of_data_name_their_next_step(examples):
    assert rows_by_name(examples["nldas"])["next"] == "ds.sm.regrid_ease9km()"
    assert rows_by_name(examples["smap"][["sm_dca"]])["next"] == "ds.sm.gapfill_cru()"
    assert rows_by_name(examples["stations"])["next"] == "maps.sm.validate(ds)"
    assert rows_by_name(examples["nldas"].sm.regrid_ease9km())["next"].startswith('xsm.cube(xsm.open("smap"')
    scores = examples["cube"].sm.validate(examples["stations"], min_days=5)
    assert rows_by_name(scores)["next"] == "ds.sm.plot_skill()"
    assert "gapfill" in rows_by_name(xr.Dataset())["next"]


def test_text_and_html_hold_the_same_rows(examples):
    cube = examples["cube"].rename(obs_time="<script>")
    text, page = repr(cube.sm), cube.sm._repr_html_()
    assert "<script>" in text
    assert "<script>" not in page
    for name, row in rows_of(cube)[1:]:
        assert row in text
        assert name in page
    assert repr(cube["tb_h"].sm).startswith("<ds.sm: 2021-04-01 to 2021-04-20, 16 x 16 cells")


@pytest.mark.parametrize("expression", ["cube.sm.estimat", "xsm.estimat", "xsm.plugin_api.downloads"])
def test_misspelt_name_is_suggested_once(expression):
    program = f"import xarray as xr, xsm\ncube = xr.Dataset()\n{expression}"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "AttributeError" in run.stderr
    assert run.stderr.count("Did you mean") == 1
