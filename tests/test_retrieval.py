"""The retrieval as a function: what went in comes out, against scipy for noisy data, and what it says to nonsense."""

from __future__ import annotations

import dask.array as da
import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares

from xsm.errors import UsageError
from xsm.twin import brightness, default_grid, make_world, retrieve

LAND = {"clay": 20.0, "roughness": 0.3, "vegetation_opacity": 0.25, "albedo": 0.06, "surface_temperature": 290.0}


def within(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False)


@settings(max_examples=100, deadline=None)
@given(
    moisture=within(0.02, 0.6),
    clay=within(0, 80),
    roughness=within(0, 1),
    tau=within(0, 3),
    albedo=within(0, 0.12),
    temperature=within(274, 320),
)
def test_noise_free_retrieval_returns_the_soil_moisture(moisture, clay, roughness, tau, albedo, temperature):
    h, v = brightness(moisture, clay, roughness, tau, albedo, temperature)
    land = dict(zip(LAND, (clay, roughness, tau, albedo, temperature), strict=True))
    for algorithm in ("scav", "dca"):
        result = retrieve(h, v, algorithm=algorithm, **land)
        assert result["retrieval_flag"] == 0
        assert abs(float(result[f"sm_{algorithm}"]) - moisture) < 1e-6  # required: 1e-4
    assert abs(float(result["vegetation_opacity"]) - tau) < 1e-6


def test_dual_channel_finds_opacity_too():
    """Without a pull towards the given opacity, two brightness temperatures give both unknowns."""
    g = np.random.default_rng(2)
    moisture, tau = g.uniform(0.05, 0.45, 500), g.uniform(0.05, 0.6, 500)
    tb = brightness(moisture, 20, 0.3, tau, 0.06, 290)
    result = retrieve(*tb, **LAND | {"vegetation_opacity": 0.7 * tau}, weight=0)
    np.testing.assert_allclose(result["sm_dca"], moisture, atol=1e-4)
    np.testing.assert_allclose(result["vegetation_opacity"], tau, atol=1e-3)


def test_noisy_retrieval_is_the_minimum_that_scipy_finds():
    g = np.random.default_rng(3)
    for moisture, tau in ((0.1, 0.1), (0.25, 0.4), (0.35, 0.2)):
        tb = np.array(brightness(moisture, 20, 0.3, tau, 0.06, 290)) + g.normal(0, 1.3, 2)

        def miss(p, tb=tb):
            pull = 20 * np.cos(np.radians(40)) * (p[1] - 0.25)
            return np.append(tb - brightness(p[0], 20, 0.3, p[1], 0.06, 290), pull)

        best = least_squares(miss, (0.2, 0.25), xtol=1e-12, ftol=1e-12, gtol=1e-12).x
        result = retrieve(*tb, **LAND)
        # Gauss-Newton with differences over 0.004 m3 m-3 stops where these, not the derivatives, are balanced
        assert float(result["sm_dca"]) == pytest.approx(best[0], abs=2e-3)
        assert float(result["vegetation_opacity"]) == pytest.approx(best[1], abs=5e-3)
        assert (
            np.sum(miss((float(result["sm_dca"]), float(result["vegetation_opacity"]))) ** 2)
            < np.sum(miss(best) ** 2) + 0.01
        )


def test_a_cube_of_maps_lazily_as_in_memory():
    world = make_world(default_grid(12), 8, seed=1)
    smap, clay = world.smap, world.truth["clay"].sel(soil_depth=5)
    maps = {n: smap[n] for n in ("tb_h", "tb_v", "roughness", "vegetation_opacity", "albedo", "surface_temperature")}
    result = retrieve(**maps, clay=clay)
    lazy = retrieve(**{n: v.chunk(time=2, y=5) for n, v in maps.items()}, clay=clay)
    assert isinstance(lazy["sm_dca"].data, da.Array)
    xr.testing.assert_identical(lazy.compute(), result)
    assert result["sm_dca"].dtype == np.float32 and result["sm_dca"].attrs["units"] == "m3 m-3"
    flag = result["retrieval_flag"]
    assert flag.dtype == np.uint16 and ((flag == 65534) == smap["tb_h"].isnull()).all()
    assert (result["sm_dca"].notnull() == (flag == 0)).all() and float((flag == 0).mean()) > 0.3
    both = np.isfinite(result["sm_dca"].values) & np.isfinite(smap["sm_dca"].values)
    # the mission knows another clay and starts from another opacity: near, not equal
    assert np.corrcoef(result["sm_dca"].values[both], smap["sm_dca"].values[both])[0, 1] > 0.8


@pytest.mark.parametrize("algorithm", ["dca", "scav"])
def test_what_cannot_be_is_flagged(algorithm):
    h = np.array([120.0, 305.0, np.nan, 230.0, 260.0])
    v = np.array([130.0, 310.0, 250.0, np.nan, 275.0])
    result = retrieve(h, v, algorithm=algorithm, **LAND | {"albedo": np.array([0.06, 0.06, 0.06, 0.06, np.nan])})
    assert result["retrieval_flag"].values.tolist() == [5, 5, 65534, 65534, 7]
    assert np.isnan(result[f"sm_{algorithm}"]).all()
    wet = brightness(0.5, 20, 0.3, 0.25, 0.06, 290)
    assert retrieve(*wet, **LAND, algorithm=algorithm, porosity=0.45)["retrieval_flag"] == 5
    assert retrieve(*wet, **LAND, algorithm=algorithm, porosity=0.55)["retrieval_flag"] == 0


def test_swapped_polarizations_are_flagged_by_the_dual_channel():
    h, v = brightness(0.3, 20, 0.3, 0.1, 0.06, 290)
    assert retrieve(v, h, **LAND)["retrieval_flag"] == 5


def test_another_algorithm_is_refused():
    with pytest.raises(UsageError, match="Unknown algorithm 'mtdca'"):
        retrieve(240.0, 260.0, **LAND, algorithm="mtdca")


def test_arrays_without_dims_beside_maps_are_refused():
    maps = xr.DataArray(np.full((4, 6), 250.0), dims=("y", "x"))
    with pytest.raises(UsageError, match="Some inputs are DataArrays"):
        retrieve(maps, maps + 10, **LAND | {"clay": np.full((4, 6), 20.0)})


def test_single_channel_agrees_with_the_mission_on_a_real_orbit(real_data):
    """SCA-V with the ancillary data of SPL2SMP: 0.004 off at each cell, from constants that the file does not hold."""
    path = real_data / "smap_l2" / "SMAP_L2_SM_P_02801_A_20150811T013002_R18290_001.h5"
    with h5py.File(path) as file:
        group = file["Soil_Moisture_Retrieval_Data"]
        good = group["retrieval_qual_flag_option2"][:] & 6 == 0
        wanted = (
            "tb_h_corrected", "tb_v_corrected", "clay_fraction", "roughness_coefficient", "vegetation_opacity_option2",
            "albedo", "surface_temperature", "bulk_density", "soil_moisture_option2", "vegetation_water_content",
        )  # fmt: skip
        cells = [np.where(group[n][:] == -9999, np.nan, group[n][:])[good] for n in wanted]
        cover, share = (group[n][:, 0][good] for n in ("landcover_class", "landcover_class_fraction"))
    tb_h, tb_v, clay, *land, density, theirs, water = cells
    named = dict(zip(("roughness", "vegetation_opacity", "albedo", "surface_temperature"), land, strict=True))
    result = retrieve(tb_h, tb_v, clay=100 * clay, **named, porosity=1 - density / 2.65, algorithm="scav")
    miss = (result["sm_scav"].values - theirs)[theirs > 0.021]
    miss = miss[np.isfinite(miss)]
    assert miss.size > 1000 and np.sqrt(np.mean(miss**2)) < 0.006
    shrubs = (cover == 7) & (share > 0.99) & (water > 0.2)  # b = 0.11 for open shrubland
    np.testing.assert_allclose(land[1][shrubs] / water[shrubs], 0.11 / np.cos(np.radians(40)), rtol=0.01)
