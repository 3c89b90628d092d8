"""Units: every spelling of a unit is read, converted and compared alike; what is no unit of the quantity is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from xsm import DataError, UsageError
from xsm.contracts.param import Kind, Param
from xsm.data.cf import check_units
from xsm.data.units import Stated, affine, convert, same_units, unit_of

VOLUMES = [
    "m3 m-3", "m3.m-3", "m3/m3", "m^3 m^-3", "m^3/m^3", "m³ m⁻³", "m³/m³", "m**3 m**-3", "m**3/m**3", "m3m-3",
    "cm3 cm-3", "cm3/cm3", "cm^3 cm^-3", "cm**3/cm**3", "m3*m-3", "m3·m-3", "(m3)/(m3)", "mm/mm", "M3/M3",
    "m$^3$ m$^{-3}$", "m3 / m3", "vol/vol",
]  # fmt: skip
SPELLINGS = {
    "m3 m-3": VOLUMES,
    "percent": ["percent", "%", "pct", " % ", "Percent"],
    "kg m-2": ["kg m-2", "kg/m2", "kg/m^2", "kg m**-2", "kg.m-2", "kg m⁻²", "mm", "MM", "mm/day", "mm d-1",
               "kg m-2 day-1", "kg m-2 d-1", "mm day-1", "kg/m2/day", "l m-2"],
    "kg m-2 s-1": ["kg m-2 s-1", "kg/m2/s", "kg/(m2 s)", "kg.m-2.s-1", "mm/s", "mm s⁻¹", "kg m^-2 s^-1"],
    "K": ["K", "k", "kelvin", "Kelvin", "degK", "deg K"],
    "degC": ["degC", "Celsius", "celsius", "degrees_C", "degree_Celsius", "degrees Celsius", "°C", "C", "deg C"],
    "g cm-3": ["g cm-3", "g/cm3", "g cm^-3", "g/cm**3", "g cm⁻³", "g/cc", "Mg m-3", "t/m3", "kg dm-3"],
    "g kg-1": ["g kg-1", "g/kg", "g.kg-1", "g kg⁻¹"],
    "1": ["1", "", "-", "fraction", "dimensionless", "none"],
}  # fmt: skip
FACTORS = [
    ("%", "m3 m-3", 0.01, 0), ("1", "m3 m-3", 1, 0), ("m3 m-3", "percent", 100, 0), ("kg m-2 s-1", "kg m-2", 86400, 0),
    ("mm/h", "kg m-2", 24, 0), ("cm", "kg m-2", 10, 0), ("m", "mm", 1000, 0), ("degrees_C", "K", 1, 273.15),
    ("K", "degC", 1, -273.15), ("kg m-3", "g cm-3", 0.001, 0), ("cg/cm3", "g cm-3", 0.01, 0),
    ("g/kg", "percent", 0.1, 0), ("kg kg-1", "percent", 100, 0), ("degF", "K", 5 / 9, 459.67 * 5 / 9),
]  # fmt: skip
pairs = [(unit, text) for unit, texts in SPELLINGS.items() for text in texts]


@pytest.mark.parametrize("unit, text", pairs)
def test_spellings_are_one_unit(unit: str, text: str) -> None:
    assert same_units(text, unit) and same_units(unit, text) and convert(7.5, text, unit) == 7.5


@given(st.sampled_from(pairs), st.sampled_from(pairs))
def test_spellings_do_not_change_what_is_compared_or_converted(a: tuple[str, str], b: tuple[str, str]) -> None:
    assert same_units(a[1], b[1]) == same_units(a[0], b[0])
    try:
        wanted = affine(a[0], b[0])
    except DataError:
        with pytest.raises(DataError, match="cannot become"):
            affine(a[1], b[1])
    else:
        assert affine(a[1], b[1]) == wanted


@given(st.sampled_from(FACTORS), st.floats(-1e6, 1e6))
def test_values_are_converted_and_back(case: tuple[str, str, float, float], value: float) -> None:
    unit, to, factor, offset = case
    np.testing.assert_allclose(convert(value, unit, to), value * factor + offset, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(convert(convert(value, unit, to), to, unit), value, rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize(
    "unit, to",
    [("kg kg-1", "m3 m-3"), ("g/g", "m3 m-3"), ("wt%", "m3 m-3"), ("K", "m3 m-3"), ("m3 m-3", "K"),
     ("m3 m-3 s-1", "m3 m-3"), ("kg m-2", "m3 m-3"), ("degC", "kg m-2"), ("K", "percent")],
)  # fmt: skip
def test_other_quantities_are_refused(unit: str, to: str) -> None:
    with pytest.raises(DataError, match="cannot become") as error:
        convert(1.0, unit, to)
    assert error.value.hint and not same_units(unit, to)


@pytest.mark.parametrize(
    "text", ["xyz", "m^^3", "(((", "kg/", "1/0", "9**9**9**9", "hours since 1970-01-01", "a" * 999]
)
def test_what_is_no_unit_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(DataError, match="is not known") as error:
        convert(1.0, text, "K")
    assert len(str(error.value)) < 300


@given(st.text(max_size=40))
def test_any_text_is_a_unit_or_an_error(text: str) -> None:
    try:
        affine(text, "m3 m-3")
    except DataError:
        assert not same_units(text, "m3 m-3")


@given(st.integers(0, 100_000), st.sampled_from([("percent", "m3 m-3", 100), ("mm", "m", 1000), ("cm", "m", 100)]))
def test_parts_of_a_whole_are_divided(number: int, case: tuple[str, str, int]) -> None:
    unit, to, parts = case
    assert convert(number / 10, unit, to) == number / 10 / parts
    assert convert(np.float32(number / 10), unit, to) == np.float32(number / 10) / np.float32(parts)


def test_lazy_values_stay_lazy_and_float32() -> None:
    import dask.array as da

    values = xr.DataArray(da.ones(4, dtype="f4", chunks=2), dims="x", attrs={"units": "percent"})
    got = convert(values, "percent", "m3 m-3")
    assert got.chunks is not None and got.dtype == np.float32 and float(got[0]) == np.float32(0.01)


def test_a_unit_is_that_of_the_file_or_of_the_user() -> None:
    assert unit_of("m3 m-3", "sm", "a.nc", {"sm": "m^3/m^3"}) == "m3 m-3"
    assert unit_of("", "SoilM", "a.nc", {"soil_moisture": "%"}, known="soil_moisture") == "%"
    with pytest.raises(DataError, match=r"'sm' has no unit.*units=\{\"sm\": \"m3 m-3\"\}"):
        unit_of(None, "sm", "a.nc", {})
    with pytest.raises(DataError, match="has the unit 'percent', but units= says 'm3 m-3'"):
        unit_of("percent", "sm", "a.nc", {"sm": "m3 m-3"})
    with pytest.raises(DataError, match="'kgg' is not known"):
        Stated({"sm": "kgg"})


@pytest.mark.parametrize("unit", [*VOLUMES, "1"])
def test_the_cube_takes_every_spelling(unit: str) -> None:
    check_units(xr.Dataset({"sm_dca": ("x", [0.2], {"units": unit})}), ["sm_dca"])


def test_the_cube_names_the_factor_of_another_unit() -> None:
    with pytest.raises(DataError, match=r"has the unit '%', expected 'm3 m-3'\. Multiply it by 0\.01"):
        check_units(xr.Dataset({"sm_dca": ("x", [20.0], {"units": "%"})}), ["sm_dca"])
    with pytest.raises(DataError, match=r"add 273\.15"):
        check_units(xr.Dataset({"air_temperature": ("x", [20.0], {"units": "degC"})}), ["air_temperature"])


@pytest.mark.parametrize(
    "value", [{"a": "m3 m-3", "b": "%"}, "a=m3 m-3; b=%", ("a=m3 m-3", "b=%"), ["a = m3 m-3;b = %"], "a=m3 m-3\n;b=%;"]
)
def test_every_face_writes_the_same_pairs(value: object) -> None:
    assert Param(name="units", kind=Kind.MAPPING).check(value) == {"a": "m3 m-3", "b": "%"}


@pytest.mark.parametrize("value", ["a", "=m", "a=", "a=m; a=K", 3])
def test_pairs_that_are_none_are_refused(value: object) -> None:
    with pytest.raises(UsageError, match="'units'"):
        Param(name="units", kind=Kind.MAPPING).check(value)


def test_pint_is_imported_on_first_use() -> None:
    code = "import sys, xsm, xsm.ops.open, xsm.data.cf; assert 'pint' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_units_reach_the_source_from_command_and_study(tmp_path: Path) -> None:
    from xsm.study.config import parse

    rows = "\n".join(f"2021-06-{day:02d},-98,36,0.2" for day in range(1, 29))
    path = tmp_path / "points.csv"
    path.write_text(f"date,lon,lat,soil_moisture\n{rows}")
    command = [sys.executable, "-m", "xsm", "open", "tiny", str(path), str(tmp_path / "out.nc")]
    run = subprocess.run(
        [*command, "--units", "a=percent", "--units", "b=K"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 2 and "Unknown variable in units= 'a'" in run.stderr
    run = subprocess.run([*command, "--units", "percent"], capture_output=True, text=True, check=False)
    assert run.returncode == 2 and "expected name=value" in run.stderr and "Traceback" not in run.stderr
    study = {"inputs": {"nldas": {"paths": "a.nc", "units": {"SoilM_0_10cm": "kg m-2"}}}}
    assert parse(study, tmp_path).inputs["nldas"].units == {"SoilM_0_10cm": "kg m-2"}
    study["inputs"]["nldas"]["units"] = {"SoilM_0_10cm": 3}
    with pytest.raises(UsageError, match=r"'SoilM_0_10cm' of \[nldas\.units\] is 3"):
        parse(study, tmp_path)


def test_threads_that_convert_first_share_one_registry():
    """In a process of its own, in which nothing was converted before."""
    code = """
from concurrent.futures import ThreadPoolExecutor
from xsm.data.units import convert
pairs = [("cg cm-3", "g cm-3"), ("g kg-1", "percent"), ("kg m-3", "g cm-3"), ("mm/day", "kg m-2")] * 4
with ThreadPoolExecutor(16) as pool:
    print(sum(pool.map(lambda pair: convert(1.0, *pair), pairs)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) == pytest.approx(4 * (0.01 + 0.1 + 0.001 + 1))
