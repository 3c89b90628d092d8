"""What users bring to the verbs of series by mistake, or in a form of their own: over the kind, for every verb."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import xsm
from tests.test_verbs import DAYS, REFERENCE, VERBS, call, first, series

BESIDE = {n: {k: v for k, v in VERBS[n].items() if k != "reference"} for n in ("rescale", "lag")} | {"swi": {}}
"""Verbs that take a reference, and their other arguments."""


def on_another_grid(places):
    """A reference of other spatial dims than the data."""
    cells = {d: np.arange(2) for d in places}
    return REFERENCE.rename("probe").expand_dims(cells).transpose("time", ...)


@pytest.mark.parametrize("places", [("y", "x"), ("station",), ("lat", "depth")])
@pytest.mark.parametrize("verb", BESIDE)
def test_cells_of_a_reference_that_the_data_lack_are_refused(verb, places):
    reference = on_another_grid(places).assign_coords(lat=series().lat) if "lat" in places else on_another_grid(places)
    for data in (series(), series().isel(lat=0, lon=0, drop=True)):
        with pytest.raises(xsm.DataError, match=rf"dims .*{places[-1]}.*'sm_dca' has time.*one grid"):
            getattr(xsm, verb)(data, reference=reference, **BESIDE[verb])


@pytest.mark.parametrize("verb", BESIDE)
def test_a_reference_of_one_place_serves_all_cells(verb):
    one, same = (getattr(xsm, verb)(series(), reference=r, **BESIDE[verb])
                 for r in (REFERENCE, REFERENCE.rename("probe").expand_dims(station=["S"])))  # fmt: skip
    assert set(first(same).dims) <= {*series().dims}
    xr.testing.assert_equal(first(same), first(one))


def test_a_climatology_of_another_grid_is_refused():
    climatology = xsm.climatology(series().isel(lat=0, lon=0, drop=True)).expand_dims(y=[0, 1])
    with pytest.raises(xsm.DataError, match="'sm_dca' has time"):
        xsm.anomaly(series(), climatology=climatology)


ABOUT = [
    ("sm_uncertainty", "Volumetric Soil Moisture Uncertainty"), ("sm_err", ""), ("soil_moisture_error", ""),
    ("smStd", ""), ("ssm_noise", ""), ("b", "Standard deviation of soil moisture"), ("sm_quality_flag", ""),
    ("n", "Number of observations of soil moisture"), ("spread", "Ensemble spread"), ("nobs", ""),
]  # fmt: skip
"""Names and long names of what tells of soil moisture, in its unit."""
MOIST = [
    ("sm", "Soil moisture, quality controlled"), ("sm", "Quality-controlled soil moisture"), ("swvl1", "Layer number 1"),
    ("ssm", "Soil moisture (spread below 4 %)"), ("sm_corrected", "Error-corrected soil moisture"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "long_name"), ABOUT)
def test_what_tells_of_soil_moisture_is_not_taken_for_it(name, long_name):
    data = series().isel(lat=0, lon=0, drop=True)
    ds = data.to_dataset(name="sm").assign({name: 0.1 * data.assign_attrs(units="m3 m-3", long_name=long_name)})
    ds[name].attrs = {"units": "m3 m-3", "long_name": long_name}
    for verb in VERBS:
        if verb != "to_daily":
            assert {v.attrs["source_variable"] for v in call(verb, ds).data_vars.values()} == {"sm"}


@pytest.mark.parametrize(("name", "long_name"), MOIST)
def test_words_of_treatment_leave_soil_moisture_what_it_is(name, long_name):
    data = series().isel(lat=0, lon=0, drop=True)
    ds = xr.Dataset({name: data.assign_attrs(long_name=long_name), "rain": data.assign_attrs(units="mm")})
    assert list(xsm.swi(ds, 10)) == [f"{name}_swi"]


def test_of_a_table_only_what_may_be_soil_moisture_is_taken():
    values = np.full((len(DAYS), 1), 0.2)
    for columns, taken in [
        (["soil_moisture_5cm", "precipitation", "soil_temperature_5cm"], ["soil_moisture_5cm"]),
        (["sm", "sm_std", "rain mm"], ["sm"]),
        (["Snow Lake", "SD_Buffalo_13_ESE", "Number 3", "air_temperature"], ["Snow Lake", "SD_Buffalo_13_ESE", "Number 3"]),
    ]:  # fmt: skip
        table = pd.DataFrame(np.tile(values, len(columns)), DAYS, columns)
        assert list(xsm.swi(table, 10)) == ([f"{c}_swi" for c in taken])
    with pytest.raises(xsm.UsageError, match="is soil moisture in time"):
        xsm.swi(pd.DataFrame({"rain": 1.0, "temp": 2.0}, DAYS), 10)
    assert xsm.swi(pd.Series(1.0, DAYS, name="rain"), 10).name == "rain_swi"
