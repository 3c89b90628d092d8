"""The core goes by the roles that sources declare and never by the names of products."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import xsm
from xsm import DataError, UsageError
from xsm.contracts.canonical_test import check_info
from xsm.contracts.loading import load, name_regions
from xsm.contracts.registry import manager
from xsm.contracts.source import SourceInfo
from xsm.data import roles
from xsm.data.canonical import Part
from xsm.data.region import REGIONS
from xsm.data.roles import ROOT, SURFACE, bounds_of, holders, role_of, soil_slice, with_roles
from xsm.io import files
from xsm.learning.fused_products import in_common
from xsm.reporting import score_tables
from xsm.reporting.scene import make_scene
from xsm.study.config import parse
from xsm.study.forecast import plan
from xsm.study.pipeline import run_study

CORE = Path(__file__).parents[1] / "src" / "xsm"
PRODUCTS = re.compile(
    r"(?i)(?<![a-z])(sm_dca|sm_sca[vh]|sm_noah|sm_surface|sm_rootzone|noah|nldas|smap|solus|modis|mcd12|uscrn|conus|"
    r"dca|era5|gldas|ascat)(?![a-z])|\bSCAN\b|\"scan\""
)
EXCEPTIONS = {
    "data/article.py": "the article's products and scenarios",
    "contracts/loading.py": "which of our distributions brings which source",
    "study/template.py": "the article's study, which `xsm init` writes",
    "study/anywhere.py": "the study of products of the whole Earth, which `xsm init` writes",
    "study/example.py": "the files of the synthetic world",
    "ops/example.py": "the products of the synthetic world",
    "faces/demo.py": "the demonstration on the synthetic world",
    "learning/shipped.py": "the names of the shipped bundles",
    "ops/estimate.py": "the name of a shipped bundle",
}
"""Files that may name products; examples in docstrings run on the synthetic world and may, too."""


def prose_and_code(text: str) -> list[tuple[int, str]]:
    """Lines of a module without the examples of its docstrings."""
    lines, example = [], False
    for number, line in enumerate(text.splitlines(), 1):
        plain = line.strip()
        example = plain.startswith(">>>") or (example and plain not in ("", '"""'))
        if not example:
            lines.append((number, line))
    return lines


def test_no_product_is_named_in_the_core():
    modules = [p for p in CORE.rglob("*.py") if p.relative_to(CORE).parts[0] != "twin"]
    assert len(modules) > 200
    named = [
        f"{p.relative_to(CORE)}:{number}: {line.strip()}"
        for p in modules if str(p.relative_to(CORE)) not in EXCEPTIONS
        for number, line in prose_and_code(p.read_text(encoding="utf-8")) if PRODUCTS.search(line)
    ]  # fmt: skip
    assert not named, "\n".join(named)
    assert all((CORE / name).is_file() for name in EXCEPTIONS)


# the same world under other names, from sources that only this file knows

NEW = {
    "sm_dca": "radar_sm", "surface_temperature": "radar_skin", "sm_noah_0_10": "wet_0_7", "sm_noah_10_40": "wet_7_28",
    "soil_temperature_0_10": "warm_0_7",
}  # fmt: skip
WEATHER = ("precipitation", "air_temperature")
GROUND = ("sand", "silt", "clay", "bulk_density", "land_cover")
FAMILY = {"radar_sm": "Radar", "obs_time": "Radar", "wet_0_7": "HTESSEL", "wet_7_28": "HTESSEL"}
LONG = {"wet_0_7": "Soil moisture, HTESSEL, 0-7 cm", "wet_7_28": "Soil moisture, HTESSEL, 7-28 cm"}


@dataclass
class FromFile:
    """A source that reads what `xsm` wrote."""

    info: SourceInfo

    def identify(self, path: Path) -> bool:
        return path.stem == self.info.name

    def open(self, request) -> xr.Dataset:
        return files.read(request.paths[0])


def source(name: str, variables: tuple[str, ...], **declared) -> SourceInfo:
    return SourceInfo(name, name, f"{__name__}:make_{name}", variables=variables, **declared)


INFOS = [
    source("old_satellite", ("sm_dca", "surface_temperature", "obs_time")),
    source("old_model", ("sm_noah_0_10", "sm_noah_10_40", "soil_temperature_0_10", *WEATHER),
           roles={"sm_noah_0_10": SURFACE, "sm_noah_10_40": ROOT}),
    source("radar", ("radar_sm", "radar_skin", "obs_time"), roles={"radar_sm": "retrieval", "radar_skin": "predictor"},
           families=FAMILY, depths={"radar_sm": "0-2"}),
    source("tessel", ("wet_0_7", "wet_7_28", "warm_0_7", *WEATHER), families=FAMILY,
           roles={"wet_0_7": SURFACE, "wet_7_28": ROOT, "warm_0_7": "soil_temperature"},
           depths={"wet_0_7": "0-7", "wet_7_28": "7-28"}),
    source("ground", GROUND, roles=dict.fromkeys(GROUND, "soil") | {"land_cover": "land_cover"}),
    source("points", ("soil_moisture",), stations=True),
]  # fmt: skip
globals().update({f"make_{info.name}": partial(FromFile, info) for info in INFOS})


@pytest.fixture(scope="module", autouse=True)
def registered():
    with pytest.MonkeyPatch.context() as patch:
        for info in INFOS:
            patch.setitem(manager().sources, info.name, info)
        yield


@pytest.fixture(scope="module")
def world() -> xr.Dataset:
    cube = xsm.example("gappy_cube", size=16, days=60)
    return cube.drop_vars(["frozen", "land", "sm_scav", "sm_scah"])


@pytest.fixture(scope="module")
def folder(world: xr.Dataset, tmp_path_factory) -> Path:
    """Files of all sources; the new names carry no attribute but a unit and a long name."""
    out = tmp_path_factory.mktemp("sources")
    plain = world.rename(NEW)
    for name in NEW.values():
        kept = {k: v for k, v in plain[name].attrs.items() if k in ("units", "standard_name")}
        plain[name].attrs = kept | ({"long_name": LONG[name]} if name in LONG else {})
    for info in INFOS[:-1]:
        ds = world if info.name.startswith("old") else plain
        files.write(ds[list(info.variables)], out / f"{info.name}.nc")
    files.write(xsm.example("stations", size=16, days=60), out / "points.nc")
    return out


def study_of(folder: Path, out: str, satellite: str, model: str, **more):
    inputs = {name: {"paths": str(folder / f"{name}.nc")} for name in (model, satellite, "ground")}
    stations = {"points": {"paths": str(folder / "points.nc")}}
    tables = {"inputs": inputs, "stations": stations, "fuse": {"options": {"trees": 40}}, **more}
    return parse({"out": out, **tables}, folder)


@pytest.fixture(scope="module")
def outputs(folder: Path) -> Mapping[str, Path]:
    names = {"old": ("old_satellite", "old_model"), "new": ("radar", "tessel")}
    with warnings.catch_warnings(action="ignore"):
        return {out: run_study(study_of(folder, out, *sources)) for out, sources in names.items()}


def test_a_study_with_other_names_and_layers_reaches_the_same_numbers(outputs):
    old, new = (files.read(outputs[name] / "estimates.nc") for name in ("old", "new"))
    for name in ("sm_5cm", "sm_25cm", "sm_5cm_std", "sm_25cm_std", "mask_reason", "frozen", "weights_5cm"):
        np.testing.assert_array_equal(old[name].values, new[name].values, err_msg=name)
    assert float(old["sm_25cm"].notnull().mean()) > 0.5
    assert new["sm_5cm"].attrs["family"] == "HTESSEL; Radar" and old["sm_5cm"].attrs["family"].startswith("Noah")
    card = xsm.Bundle.load(outputs["new"] / "models" / "fuse").card
    assert card["sources"]["roles"]["model_root"] == {
        "name": "wet_7_28", "families": ["HTESSEL"], "layer": [7, 28]
    }  # fmt: skip
    cube = files.read(outputs["new"] / "data" / "cube.zarr")
    assert (role_of(cube, "wet_0_7"), bounds_of(cube, "wet_7_28")) == (SURFACE, (7, 28))


def test_scores_report_and_collocation_are_the_same_under_other_names(outputs, folder):
    stations = files.read(folder / "points.nc")
    cubes = [files.read(outputs[name] / "data" / "cube.zarr").compute() for name in ("old", "new")]
    for verb in (xsm.validate, xsm.triple_collocation):
        with warnings.catch_warnings(action="ignore"):
            old, new = (verb(cube, stations, min_days=10) for cube in cubes)
        assert [NEW.get(p, p) for p in old["product"].values] == new["product"].values.tolist()
        for name in (n for n, v in old.data_vars.items() if v.dtype.kind == "f"):
            np.testing.assert_array_equal(old[name].values, new[name].values, err_msg=str(name))
    with warnings.catch_warnings(action="ignore"):
        scenes = [make_scene(files.read(outputs[n] / "estimates.nc"), c) for n, c in zip(outputs, cubes, strict=True)]
        old, new = (score_tables.skill(scene, stations) for scene in scenes)
    np.testing.assert_array_equal(old["r"].values, new["r"].values)
    page = (outputs["new"] / "report" / "report.html").read_text(encoding="utf-8")
    assert "HTESSEL 0-7 cm" in page and not re.search(r"SMAP|Noah", re.sub(r'"data:[^"]*"', "", page))
    shown = [{p.name for p in (outputs[n] / "report" / "figures").iterdir()} for n in ("old", "new")]
    assert shown[0] == shown[1]


def test_scenarios_learn_from_the_holders_of_their_references(outputs):
    cards, maps = [], []
    for name in ("old", "new"):
        cube = files.read(outputs[name] / "data" / "cube.zarr").compute()
        with warnings.catch_warnings(action="ignore"):
            bundle = cube.sm.fit(depth=25, scenario=1, model="ridge", predictors=["precipitation", "sand"])
            maps.append(cube.sm.estimate(depth=25, scenario=1, model=bundle)["sm_25cm"])
            cards.append(bundle.card["references"])
            five = cube.sm.fit(depth=5, scenario=1, model="ridge", predictors=["precipitation"], memory=(5,))
            cards.append(five.card["references"])
    assert cards == [["sm_noah_10_40"], ["sm_noah_0_10", "sm_dca"], ["wet_7_28"], ["wet_0_7", "radar_sm"]]
    np.testing.assert_array_equal(*maps)


# which variable holds a role


def two_models(**attrs) -> xr.Dataset:
    cube = xsm.example("gappy_cube", size=16, days=60).drop_vars(["sm_scav", "sm_scah"])
    other = {"role": SURFACE, "family": "HTESSEL", "depth": "0-7 cm", **attrs}
    return cube.assign(wet=(cube["sm_noah_0_10"] + 0.01).drop_attrs().assign_attrs(units="m3 m-3", **other))


def test_the_user_names_one_of_several_and_the_choice_travels(tmp_path):
    cube = two_models()
    with pytest.warns(UserWarning, match="sm_noah_0_10 and wet can each be the model surface; sm_noah_0_10 is taken"):
        assert holders(with_roles(cube))[SURFACE] == "sm_noah_0_10"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        named = with_roles(cube, {SURFACE: "wet", "retrieval": "sm_dca"})
    files.write(named, tmp_path / "cube.nc")
    assert holders(files.read(tmp_path / "cube.nc"))[SURFACE] == "wet"
    assert holders(xsm.cube(cube, roles={SURFACE: "wet"}))[SURFACE] == "wet"
    bare = cube.assign(wet=cube["wet"].drop_attrs().assign_attrs(units="m3 m-3"))
    assert role_of(bare, "wet") == "" and role_of(with_roles(bare, {SURFACE: "wet"}), "wet") == SURFACE


def test_wrong_roles_are_refused_in_one_sentence():
    cube = two_models()
    for named, what in (
        ({"satellite": "sm_dca"}, "Unknown role 'satellite'"),
        ({SURFACE: "swvl9"}, "Unknown variable 'swvl9'"),
        ({SURFACE: "wet", ROOT: "wet"}, "'wet' is named for both"),
    ):
        with pytest.raises(UsageError, match=what):
            cube.sm.fuse(roles=named)
    with pytest.warns(UserWarning, match="'wet' is the layer of 28 to 100 cm, and 5 cm are asked of it"):
        with_roles(two_models(depth="28-100 cm"), {SURFACE: "wet"})
    percent = cube.assign(wet=(cube["wet"] * 100).assign_attrs(cube["wet"].attrs, units="percent"))
    with pytest.raises(DataError, match=r"'wet' has .*percent"):
        percent.sm.fuse(roles={SURFACE: "wet"}, depth=5)


def test_a_bundle_of_other_products_warns_and_of_other_layers_is_refused():
    cube = two_models()
    with pytest.warns(UserWarning, match=r"other products .*model surface wet \(HTESSEL\) for Noah"):
        cube.sm.fuse(roles={SURFACE: "wet"}, depth=5, model="pretrained")
    deep = two_models(depth="4-28 cm")
    with pytest.raises(DataError, match=r"'wet' .model surface. is the layer of 4 to 28 cm, .* one of 0 to 10 cm"):
        deep.sm.fuse(roles={SURFACE: "wet"}, depth=5, model="pretrained")
    with pytest.warns(UserWarning) as caught:
        cube.drop_vars("wet").sm.fuse(depth=5, model="pretrained")
    assert not any("other products" in str(w.message) for w in caught)


def test_what_is_derived_holds_no_role():
    cube = two_models().drop_vars(["wet", "sm_dca"])
    satellite = two_models()[["sm_dca"]]
    derived = satellite.sm.swi(5, variables=["sm_dca"])["sm_dca_swi"]
    assert "retrieval" not in holders(cube.assign(a=derived.assign_attrs(role="retrieval")))
    assert holders(cube.assign(a=satellite["sm_dca"].assign_attrs(role="retrieval")))["retrieval"] == "a"


def test_names_that_one_source_alone_declares_need_no_attribute(monkeypatch):
    monkeypatch.setattr(roles, "DECLARED", {})
    land, rain = Part(SURFACE, "HTESSEL", "0-7"), Part("forcing")
    sources = [{"swvl1": land, "precipitation": rain, "sm": land}, {"sm": Part("retrieval")}]
    roles.declare(iter(sources), ["precipitation"])
    ds = xr.Dataset({n: ("time", [0.2]) for n in ("swvl1", "precipitation", "sm")})
    assert [role_of(ds, n) for n in ds] == [SURFACE, "", ""] and bounds_of(ds, "swvl1") == (0, 7)
    assert role_of(ds.assign(swvl1=ds["swvl1"].assign_attrs(role="retrieval")), "swvl1") == "retrieval"


@pytest.mark.parametrize(
    ("declared", "what"),
    [
        ({"roles": {"sm": "land_model"}}, "role 'land_model'"),
        ({"roles": {"wetness": SURFACE}}, "wetness has a role, family or depth, but is not among its variables"),
        ({"depths": {"sm": "0 to 7"}}, "depth '0 to 7'"),
        ({"roles": {"sm": ROOT}, "depths": {"sm": "0-7"}}, "contains 25 cm as model_root"),
    ],
)
def test_a_wrong_declaration_is_named_by_the_check_of_sources(declared, what):
    with pytest.raises(AssertionError, match=what):
        check_info(SourceInfo("acme", "ACME", "acme:Acme", variables=("sm",), **declared))


def test_a_source_names_regions():
    info = SourceInfo("acme", "ACME", "acme:Acme", regions={"Atlantis": (-30, 30, -20, 35)})
    loaded = load([])
    loaded.sources["acme"] = info
    name_regions(loaded)
    try:
        assert xsm.EASE2_M09.region("atlantis").shape == xsm.EASE2_M09.region((-30, 30, -20, 35)).shape
    finally:
        REGIONS.pop("atlantis")


layers = st.tuples(st.floats(0, 100), st.floats(0.1, 100)).map(lambda v: (v[0], v[0] + v[1]))


@given(layers, layers)
def test_layers_in_common_are_a_symmetric_share(one, other):
    share = in_common(one, other)
    assert 0 <= share <= 1 and share == in_common(other, one) and in_common(one, one) == 1
    assert (share > 0) == (min(one[1], other[1]) > max(one[0], other[0]))


@given(st.lists(st.floats(0.5, 60), min_size=1, max_size=6, unique=True).map(sorted), st.floats(0.1, 60))
def test_a_soil_map_with_bounds_gives_the_layer_that_contains_a_depth(bottoms, depth):
    ends = np.column_stack([[0, *bottoms[:-1]], bottoms])
    coords = {"soil_depth": ("soil_depth", ends.mean(1), {"bounds": "ends"}), "ends": (("soil_depth", "end"), ends)}
    ds = xr.Dataset({"sand": ("soil_depth", np.arange(len(ends)))}, coords)
    inside = [i for i, (top, bottom) in enumerate(ends) if top < depth <= bottom]
    assert soil_slice(ds, "sand", depth).item() == (inside[0] if inside else len(ends) - 1)


# what a study lacks is said before anything is opened


@pytest.mark.parametrize(
    ("satellite", "model", "more", "what"),
    [
        ("old_satellite", "radar", {}, "The study fuses, which needs a model surface; none of its inputs has it"),
        ("ground", "tessel", {}, "needs a retrieval"),
        ("radar", "tessel", {"fit": {"estimates": ["5-1"]}}, "trains for 5 cm scenario 1, which needs tb_h, tb_v"),
        ("radar", "tessel", {"gapfill": {"variables": ["sm_dca"]}}, "The study fills gaps, which needs sm_dca"),
        ("radar", "tessel", {"roles": {"model_top": "wet_0_7"}}, r"Unknown role in \[roles\] 'model_top'"),
        ("radar", "tessel", {"roles": {SURFACE: "swvl1"}}, r"Unknown variable in \[roles\] 'swvl1'"),
    ],
)  # fmt: skip
def test_what_no_input_has_stops_a_study_before_it_opens_anything(folder, satellite, model, more, what):
    study = study_of(folder, "never", satellite, model, **more)
    for begin in (plan, run_study):
        with pytest.raises(UsageError, match=what):
            begin(study)
    assert not (folder / "never" / "data").exists()
    fit = {"estimates": ["5-1"], "model": "ridge", "options": {"predictors": ["memory(precipitation, 5)"]}}
    assert "train and estimate: ridge" in plan(study_of(folder, "never", "radar", "tessel", fit=fit))
    assert "fuse: train trees" in plan(study_of(folder, "never", "radar", "tessel", roles={SURFACE: "wet_0_7"}))
