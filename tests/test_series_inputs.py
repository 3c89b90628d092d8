"""What users bring to the verbs of series by mistake, or in a form of their own: over the kind, for every verb."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import xsm
from tests.test_verbs import DAYS, REFERENCE, VERBS, call, first, series
from xsm.errors import hear

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
    ("sm", "Soil moisture, quality controlled"), ("a", "Quality-controlled soil moisture"), ("w1", "Layer number 1"),
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
        (["Snow Lake", "SD_Buffalo", "Number 3", "air_temperature"], ["Snow Lake", "SD_Buffalo", "Number 3"]),
    ]:  # fmt: skip
        table = pd.DataFrame(np.tile(values, len(columns)), DAYS, columns)
        assert list(xsm.swi(table, 10)) == ([f"{c}_swi" for c in taken])
    with pytest.raises(xsm.UsageError, match="is soil moisture in time"):
        xsm.swi(pd.DataFrame({"rain": 1.0, "temp": 2.0}, DAYS), 10)
    assert xsm.swi(pd.Series(1.0, DAYS, name="rain"), 10).name == "rain_swi"


ZONES = ["Europe/Berlin", "America/Sao_Paulo", "America/Chicago", "Asia/Tokyo", "UTC"]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("verb", VERBS)
def test_local_midnights_stay_their_day_and_come_back_with_their_zone(verb, zone):
    plain = series().isel(lat=0, lon=1, drop=True).to_series()
    local = plain.set_axis(plain.index.tz_localize(zone, nonexistent="shift_forward").rename("date"))
    expected, got = call(verb, plain), call(verb, local)
    values, other = (np.asarray(r, "f8") for r in (got, expected))
    np.testing.assert_array_equal(values, other)
    if isinstance(expected, pd.Series | pd.DataFrame) and expected.index.equals(plain.index):
        assert got.index.equals(local.index)
        assert got.index.name == "date"


@pytest.mark.parametrize("zone", ZONES)
def test_times_within_days_are_those_of_utc_and_come_back_with_their_zone(zone):
    passes = pd.date_range("2020-01-01T06:00", periods=40, tz="UTC").tz_convert(zone)
    data = pd.Series(np.linspace(0.1, 0.3, 40), passes, name="sm")
    assert xsm.swi(data, 5).index.equals(passes)
    assert xsm.swi(data[::-1], 5).index.equals(passes)


@pytest.mark.parametrize("offset", [0, -6, 1])
def test_days_of_hours_with_a_zone_have_that_of_their_clock(offset):
    hours = pd.date_range("2020-01-01", periods=96, freq="h", tz="America/Chicago")
    days = xsm.to_daily(pd.Series(0.2, hours, name="sm"), utc_offset=offset, min_hours=24).dropna().index
    assert (days[0].hour, days[0].utcoffset().total_seconds()) == (0, 3600 * offset)
    assert xsm.swi(pd.Series(0.2, days, name="sm"), 5).index.equals(days)


def test_a_table_of_a_zone_is_beside_another():
    plain = series().isel(lat=0, lon=0, drop=True).to_series()
    local = plain.tz_localize("Europe/Berlin")
    assert xsm.validate(local, plain)["r"].item() == pytest.approx(1)
    periods = plain.set_axis(plain.index.to_period("D"))
    assert xsm.swi(periods, 5).index.equals(periods.index)


def test_numbers_of_a_table_have_a_row_for_each_column():
    table = series((1, 3)).isel(lat=0, drop=True).to_pandas().set_axis(["a", "b_c", "d"], axis=1)
    trends = xsm.trend(table, min_years=3)
    assert trends.index.tolist() == ["a", "b_c", "d"]
    assert trends.columns.tolist() == [f"trend{s}" for s in ("", "_low", "_high", "_p", "_intercept", "_n")]
    assert trends.loc["a", "trend"] == xsm.trend(table["a"], min_years=3)["a_trend"]
    assert xsm.trend(table[["a"]], min_years=3).shape == (1, 6)
    assert isinstance(xsm.swi(table[["a"]], 5), pd.DataFrame)


@pytest.mark.parametrize("verb", VERBS)
def test_the_remedies_of_times_that_come_twice_are_true(verb):
    one = series().isel(lat=0, lon=1, drop=True).to_series()
    with pytest.raises(xsm.DataError, match=r"twice.*\[~series.index.duplicated\(\)\]"):
        call(verb, pd.concat([one, one[:3]]))
    again = pd.concat([one, one[:3]])
    call(verb, again[~again.index.duplicated()])
    call(verb, again.to_xarray().drop_duplicates("time"))
    long = pd.concat([pd.DataFrame({"station": k, "sm": one}) for k in "ab"])
    with pytest.raises(xsm.UsageError, match=r"pivot\(columns='station', values='sm'\)"):
        call(verb, long)
    call(verb, long.pivot(columns="station", values="sm"))
    levels = long.set_index("station", append=True)
    with pytest.raises(xsm.UsageError, match=r"several levels.*unstack\(\)"):
        call(verb, levels["sm"])
    call(verb, levels["sm"].unstack())


EMPTY = {"lat": "sel(lat=slice(40, 37))", "lon": "Select values", "time": "Select values"}
"""Dims and the hints where nothing is left along them."""
OTHERS = {
    "at": {"lat": 38, "lon": -97}, "zonal": {"regions": {"a": (-98, 38, -97, 39)}}, "plot_map": {"variable": "sm_dca"},
    "regrid": {}, "validate": {"stations": REFERENCE.to_series()},
}  # fmt: skip


@pytest.mark.parametrize("dim", EMPTY)
@pytest.mark.parametrize("verb", [*VERBS, *OTHERS])
def test_an_empty_selection_ends_in_one_sentence_with_its_cause(verb, dim):
    nothing = series().to_dataset().isel({dim: slice(0)})
    with pytest.raises(xsm.DataError, match=f"empty: it has no value along '{dim}'") as error:
        getattr(xsm, verb)(nothing, **(VERBS | OTHERS)[verb])
    assert EMPTY[dim] in error.value.hint


@pytest.mark.parametrize(("number", "units", "outcome"), [
    (1000, None, "refused"), (30, None, "refused"), (10, None, "doubted"), (1000, "percent", "doubted"),
])  # fmt: skip
def test_shares_of_one_are_no_percentiles(number, units, outcome):
    ranks = pd.Series(np.random.default_rng(0).random(number), DAYS[:number], name="sm_percentile").rank(pct=True)
    ranks.attrs = {} if units is None else {"units": units}
    if outcome == "refused":
        with pytest.raises(xsm.DataError, match=r"expected percentiles from 0 to 100.*by 100"):
            xsm.drought(ranks)
    else:
        with pytest.warns(UserWarning, match="taken as percentiles"):
            xsm.drought(ranks)
    with hear() as heard:
        xsm.drought((100 * ranks).rename("sm_percentile"))
        xsm.drought(pd.Series(np.linspace(0.2, 1.1, number), DAYS[:number], name="sm_percentile"))
    assert not heard


@pytest.mark.parametrize("verb", VERBS)
def test_none_for_a_number_ends_in_one_sentence(verb):
    for param in xsm.operations()[verb].params:
        if param.default is not None and str(param.kind) in ("integer", "number", "boolean", "choice"):
            with pytest.raises(xsm.UsageError, match=f"'{param.name}' is None, expected a value such as"):
                getattr(xsm, verb)(series(), **(VERBS[verb] | {param.name: None}))


def test_what_has_no_scores_is_no_table_of_scores():
    for ds in (series().to_dataset(), xr.Dataset(), xsm.climatology(series().to_dataset())):
        with pytest.raises(xsm.UsageError, match="expected scores"):
            xsm.to_frame(ds)
