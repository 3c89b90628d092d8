"""From raw files of the true formats to maps at both depths where neither NLDAS-2 nor SOLUS100 exists."""

from __future__ import annotations

import numpy as np
import pytest

import xsm
from xsm.twin import make_world, write_world

WINDOWS = {"Iberia": (-6.0, 38.4, -5.2, 39.2), "East Africa": (37.0, -0.6, 37.9, 0.3)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "model"), [("Iberia", "era5_land"), ("East Africa", "era5_land"), ("Iberia", "gldas")]
)
def test_retrieval_and_land_model_are_fused_on_any_continent(place, model, tmp_path):
    region = WINDOWS[place]
    world = make_world(region, days=40, seed=1)
    write_world(world, tmp_path, ["smap", model])
    smap = xsm.open("smap", tmp_path / "SMAP", region=region, margin=0)
    land = xsm.open(model, tmp_path / model.upper(), region=region, margin=0)
    maps = xsm.cube(smap, land.sm.regrid_ease9km()).sm.fuse()
    truth = world.truth.sel(time=maps["time"], y=maps["y"], x=maps["x"])
    for depth in ("sm_5cm", "sm_25cm"):
        assert np.isfinite(maps[depth]).all()
        assert float(abs(maps[depth] - truth[depth]).mean()) < 0.08
    assert "HTESSEL" in maps.attrs["training_data"] or model == "gldas"
