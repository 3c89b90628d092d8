"""Independence of products is judged by what they rest on, not by their names."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import xsm
from tests.station_world import DAYS, make_maps, make_stations
from xsm import DataError, UsageError
from xsm.contracts.registry import sources
from xsm.data.article import PARTS
from xsm.data.families import families_behind, same_series, shared
from xsm.ops.regrid import regrid_ease9km
from xsm.ops.triple_collocation import triple_collocation


@pytest.fixture(scope="module")
def cube() -> xr.Dataset:
    ds = xsm.example("cube", size=16, days=60)
    foreign = ds["sm_noah_0_10"].drop_attrs() + np.random.default_rng(0).normal(0, 0.01, ds["sm_noah_0_10"].shape)
    return ds.assign(sm_vic=foreign.astype("f4").assign_attrs(units="m3 m-3", depth=5))


def collocated(ds: xr.Dataset, stations: xr.Dataset, *names: str) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        triple_collocation(ds, stations, variables=names, min_days=10)
    return [str(w.message) for w in caught]


@pytest.mark.parametrize("attrs", [{}, {"family": "VIC"}])
@pytest.mark.parametrize("name", ["sm_5cm", "mine"])
def test_an_estimate_is_refused_beside_the_land_model_that_taught_it(
    cube: xr.Dataset, attrs: dict[str, str], name: str, tmp_path: Path
) -> None:
    taught = cube.assign(sm_vic=cube["sm_vic"].assign_attrs(attrs))
    bundle = taught.sm.fit(model="ridge", predictors=["precipitation", "surface_temperature"], target="sm_vic")
    maps = taught.sm.estimate(model=xsm.Bundle.load(bundle.save(tmp_path / "b")))
    beside = taught[["sm_vic", "sm_dca"]].assign({name: maps["sm_5cm"].assign_attrs(depth=5)})
    stations = xsm.example("stations", size=16, days=60)
    with pytest.raises(UsageError, match=f"'{name}' was trained on {attrs.get('family', 'sm_vic')}"):
        triple_collocation(beside, stations, variables=(name, "sm_vic"), min_days=10)
    with pytest.raises(UsageError, match="was trained on"):
        triple_collocation(beside.assign(b=beside[name]), stations, variables=("b", name), min_days=10)


@pytest.mark.parametrize("change", [lambda v: v, lambda v: v * 0.5 + 0.1, lambda v: v + np.float32(1e-7)])
def test_two_names_of_one_series_are_refused(change) -> None:
    maps = make_maps(names=("sm_dca",))
    maps["other"] = change(maps["sm_dca"]).assign_attrs(depth=5, family="Radar")
    with pytest.raises(UsageError, match="one series under two names"):
        triple_collocation(maps, make_stations(), variables=("sm_dca", "other"))


def test_an_unknown_product_warns_and_a_shared_family_is_refused() -> None:
    maps = make_maps(names=("sm_dca", "other"))
    maps["other"].attrs["depth"] = 5
    assert any(
        "What other rests on is not known" in text for text in collocated(maps, make_stations(), "sm_dca", "other")
    )
    maps["other"].attrs["family"] = "Radar"
    assert not any("rests on" in text for text in collocated(maps, make_stations(), "sm_dca", "other"))
    maps["other"].attrs["family"] = "Radar; SMAP brightness temperatures"
    with pytest.raises(UsageError, match="both rest on SMAP"):
        triple_collocation(maps, make_stations(), variables=("sm_dca", "other"))


def test_sources_declare_what_the_canonical_names_say() -> None:
    for info in sources().values():
        assert set(info.parts) <= set(info.variables)
        for name in (n for n in info.variables if n in PARTS and PARTS[n].role):
            assert info.parts[name] == replace(PARTS[name], label="")
    assert families_behind(xr.Dataset(), ["sm_dca", "sm_noah_0_10"]) == ["Noah", "SMAP brightness temperatures"]


def test_land_model_moisture_as_covariate_is_noticed_under_any_name() -> None:
    ds = xsm.example("gappy_cube", size=16, days=60)
    model = ds["sm_noah_0_10"].rename("wetness")
    for attrs, error in (({"role": "land model", "units": "m3 m-3"}, "leaks the reference"), ({"units": "m3 m-3"}, "")):
        named = ds[["tb_h", "precipitation"]].assign(wetness=model.drop_attrs().assign_attrs(attrs))
        if error:
            with pytest.raises(UsageError, match=error):
                named.sm.gapfill("linear", variables=["tb_h"], covariates=["wetness"])
        else:
            with pytest.warns(UserWarning, match="soil moisture of an unknown role"):
                named.sm.gapfill("linear", variables=["tb_h"], covariates=["wetness"])
    copy = ds[["tb_h"]].assign(again=ds["tb_h"])
    with pytest.raises(DataError, match="'again' is the series 'tb_h' under another name"):
        copy.sm.gapfill("linear", variables=["tb_h"], covariates=["again"])


def test_a_renamed_reference_is_no_predictor(cube: xr.Dataset) -> None:
    with pytest.raises(DataError, match="'copy' is the reference 'sm_vic' under another name"):
        cube.assign(copy=cube["sm_vic"].fillna(0.2)).sm.fit(
            model="ridge", predictors=["tb_h", "copy"], target="sm_vic", depth=5
        )
    assert not same_series(np.arange(10.0), np.arange(10.0))


@pytest.mark.parametrize("chunks", [None, {}])
@pytest.mark.parametrize("method", ["auto", "bilinear", "average"])
def test_clipping_of_impossible_values_is_told(chunks: dict | None, method: str) -> None:
    lat, lon = np.arange(35, 37, 0.1), np.arange(-99, -97, 0.1)
    values = np.full((2, 20, 20), 0.2, "f4")
    ds = xr.Dataset({"sm_dca": (("time", "lat", "lon"), values, {"units": "m3 m-3"})},
                    {"time": DAYS[:2].astype("M8[ns]"), "lat": lat, "lon": lon})  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        regrid_ease9km(ds if chunks is None else ds.chunk(chunks), method=method).compute()
    ds["sm_dca"][:, 5:7, 5:7] = 20.0
    with pytest.warns(UserWarning, match=r"\(20 to 20\) of 'sm_dca' are outside 0 to 1, its physical range"):
        regrid_ease9km(ds if chunks is None else ds.chunk(chunks), method=method).compute()


@pytest.mark.parametrize("family", ["Noah", "noah", "NOAH", "Noah LSM", "NoahLSM v3.6", "NLDAS_NOAH0125_H", "Noah-MP"])
def test_families_are_the_same_however_they_are_written(family: str) -> None:
    maps = make_maps(names=("sm_noah_0_10", "other"))
    maps["other"].attrs |= {"depth": 5, "family": family}
    with pytest.raises(UsageError, match="both rest on Noah"):
        triple_collocation(maps, make_stations(), variables=("sm_noah_0_10", "other"))


@pytest.mark.parametrize("one, other", [("VIC", "Noah"), ("ESA CCI active", "ESA CCI passive"), ("SMAP", "SMOS L2"),
                                        ("SMAP brightness temperatures", "SMOS brightness temperatures")])  # fmt: skip
def test_other_families_are_not(one: str, other: str) -> None:
    assert not shared([one], [other])


@pytest.mark.parametrize("family", ["", "VIC"])
@pytest.mark.parametrize("name", ["sm_dca", "sm_vic"])
def test_what_is_derived_rests_on_what_its_source_rests_on(name: str, family: str) -> None:
    maps = make_maps(names=(name,))
    maps[name].attrs |= {"depth": 5} | ({"family": family} if family else {})
    index = xsm.swi(maps, 5, variables=[name])
    if family or name == "sm_dca":
        index = xsm.swi(index, 3, variables=[f"{name}_swi"])
    maps["w"] = index[[*index.data_vars][-1]].assign_attrs(depth=5)
    with pytest.raises(UsageError, match="both rest on"):
        triple_collocation(maps, make_stations(), variables=(name, "w"))
