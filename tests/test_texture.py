from __future__ import annotations

from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from xsm import DataError
from xsm.data import soil_texture
from xsm.data.soil_texture import CLASSES, GROUPS, classify
from xsm.ops.texture import texture


def rules(s: float, i: float, c: float) -> list[str]:
    """docs/design/formats/soil_texture.md, word by word; every rule that fires."""
    fires = {
        "sand": i + 1.5 * c < 15,
        "loamy sand": i + 1.5 * c >= 15 and i + 2 * c < 30,
        "sandy loam": (7 <= c < 20 and s > 52 and i + 2 * c >= 30) or (c < 7 and i < 50 and i + 2 * c >= 30),
        "loam": 7 <= c < 27 and 28 <= i < 50 and s <= 52,
        "silt loam": (i >= 50 and 12 <= c < 27) or (50 <= i < 80 and c < 12),
        "silt": i >= 80 and c < 12,
        "sandy clay loam": 20 <= c < 35 and i < 28 and s > 45,
        "clay loam": 27 <= c < 40 and 20 < s <= 45,
        "silty clay loam": 27 <= c < 40 and s <= 20,
        "sandy clay": c >= 35 and s > 45,
        "silty clay": c >= 40 and i >= 40,
        "clay": c >= 40 and s <= 45 and i < 40,
    }
    return [name for name, fired in fires.items() if fired]


def test_every_quarter_percent_composition_has_one_class() -> None:
    quarters = np.arange(401)
    s4, c4 = (v.ravel() for v in np.meshgrid(quarters, quarters, indexing="ij"))
    keep = s4 + c4 <= 400
    s, c = s4[keep] / 4, c4[keep] / 4
    i = 100 - s - c
    assert len(s) == 80_601
    got = classify(s, i, c)
    for n in range(len(s)):  # quarters are exact in binary: no rounding in the reference
        assert rules(s[n], i[n], c[n]) == [CLASSES[got[n] - 1]], (s[n], i[n], c[n])
    assert set(np.unique(got)) == set(range(1, 13))


BORDERS = {"silt + 1.5 clay": (15,), "silt + 2 clay": (30,), "clay": (7, 12, 20, 27, 35, 40),
           "sand": (20, 45, 52), "silt": (28, 40, 50, 80)}  # fmt: skip


@pytest.mark.parametrize(("package", "on_borders"), [("pedotri", 276), ("soiltexture", 1262)])
def test_equal_to_other_classifiers_but_on_borders(package: str, on_borders: int) -> None:
    """Every quarter percent: others draw polygons and give a composition on an edge to either side, or to no class."""
    theirs = pytest.importorskip(package, reason=f"{package} is not installed")
    quarters = np.arange(401)
    s4, c4 = (v.ravel() for v in np.meshgrid(quarters, quarters, indexing="ij"))
    keep = s4 + c4 <= 400
    s, c = s4[keep] / 4, c4[keep] / 4
    i = 100 - s - c
    if package == "pedotri":
        names = theirs.classify(s.tolist(), c.tolist(), "USDA")
    else:
        names = [theirs.getTexture(a, b, "USDA") for a, b in zip(s, c, strict=True)]
    other = np.array([str(name).lower().replace("_", " ") for name in names])
    differ = np.array(CLASSES)[classify(s, i, c) - 1] != other
    values = {"silt + 1.5 clay": i + 1.5 * c, "silt + 2 clay": i + 2 * c, "clay": c, "sand": s, "silt": i}
    border = np.any([np.isin(values[name], at) for name, at in BORDERS.items()], axis=0)
    assert not (differ & ~border & (c > 0)).any()
    assert set(other[differ & ~border]) <= {"none"}  # soiltexture knows no class without clay
    assert differ.sum() == on_borders


@pytest.mark.parametrize(
    ("sand", "silt", "clay", "name"),
    [
        (45, 15, 40, "clay"),  # S = 45 belongs to the clays, not to sandy clay
        (45, 25, 30, "clay loam"),
        (45.1, 14.9, 40, "sandy clay"),
        (52, 41, 7, "loam"),
        (52.1, 40.9, 7, "sandy loam"),
        (20, 50, 30, "silty clay loam"),
        (20.1, 49.9, 30, "clay loam"),
        (85, 15, 0, "loamy sand"),  # silt + 1.5 clay = 15
        (88.8, 3.6, 7.6, "loamy sand"),  # 3.6 + 1.5 * 7.6 = 15, which float arithmetic may miss
        (70, 30, 0, "sandy loam"),  # silt + 2 clay = 30
        (8, 80, 12, "silt loam"),
        (8.1, 80, 11.9, "silt"),
        (20, 40, 40, "silty clay"),
        (20.1, 39.9, 40, "clay"),
        (100, 0, 0, "sand"),
        (0, 100, 0, "silt"),
        (0, 0, 100, "clay"),
    ],
)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_borders(sand: float, silt: float, clay: float, name: str, dtype: str) -> None:
    assert CLASSES[int(classify(*(np.array(v, dtype) for v in (sand, silt, clay)))) - 1] == name


@given(st.integers(0, 1000), st.integers(0, 1000), st.floats(0.001, 50))
def test_unit_does_not_matter(a: int, b: int, factor: float) -> None:
    sand, silt = min(a, b) / 10, abs(a - b) / 10
    clay = (1000 - max(a, b)) / 10
    assert classify(sand, silt, clay) == classify(factor * sand, factor * silt, factor * clay)


def test_missing_and_negative_fractions_have_no_class() -> None:
    sand = np.array([np.nan, 50, 50, -1, 0, np.inf])
    silt = np.array([30, np.nan, 30, 60, 0, 10])
    clay = np.array([20, 20, np.nan, 41, 0, 10])
    assert (classify(sand, silt, clay) == 255).all()


def soil(chunks: tuple[int, ...] | None = None) -> xr.Dataset:
    rng = np.random.default_rng(0)
    parts = (rng.dirichlet([1, 1, 1], (2, 12, 9)) * 100).astype("f4")
    parts[0, 3, 4] = np.nan
    fields = [parts[..., k] if chunks is None else da.from_array(parts[..., k], chunks=chunks) for k in range(3)]
    dims = ("soil_depth", "y", "x")
    ds = xr.Dataset(
        {n: (dims, f, {"units": "percent"}) for n, f in zip(("sand", "silt", "clay"), fields, strict=True)},
        {"soil_depth": [5, 30], "spatial_ref": 0},
    )
    ds["sand"].encoding["grid_mapping"] = "spatial_ref"
    return ds


def test_lazy_and_equal_under_every_chunking(tmp_path: Path) -> None:
    expected = texture(soil())
    lazy = texture(soil((1, 5, 4)))
    assert lazy["texture"].chunks is not None and lazy["texture"].dtype == np.uint8
    xr.testing.assert_identical(lazy["texture"].compute(), expected["texture"])
    assert expected["texture"].dims == ("soil_depth", "y", "x")
    assert expected["texture"].encoding["grid_mapping"] == "spatial_ref"
    assert expected["texture"].attrs["flag_meanings"].split()[6] == "sandy_clay_loam"
    assert "_FillValue" not in expected["texture"].attrs

    expected.to_netcdf(tmp_path / "t.nc")
    raw = xr.open_dataset(tmp_path / "t.nc", mask_and_scale=False)["texture"]
    assert raw.dtype == np.uint8 and raw[0, 3, 4] == 255
    assert np.isnan(xr.open_dataset(tmp_path / "t.nc")["texture"][0, 3, 4])


def test_groups_contain_every_class_once() -> None:
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(CLASSES)
    assert soil_texture.group_of("sandy clay") == "fine" and soil_texture.group_of("peat") == ""


def test_bad_input_is_refused() -> None:
    with pytest.raises(DataError, match="clay is not in the dataset"):
        texture(soil().drop_vars("clay"))
    mixed = soil()
    mixed["clay"].attrs["units"] = "g kg-1"
    with pytest.raises(DataError, match="different units"):
        texture(mixed)
