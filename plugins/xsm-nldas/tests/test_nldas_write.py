"""What the source writes is what netCDF4 writes."""

from __future__ import annotations

import types

import netCDF4
import numpy as np
import pytest
import xarray as xr
from nldas_files import LAT, LON, SOURCE, UNITS, open_, values
from xsm.testing import check_source


@pytest.fixture
def world():
    def hours(day):
        stamps = np.datetime64(day, "h") + np.arange(24)
        maps = {
            n: (("time", "lat", "lon"), np.stack([np.where((v := values(n, int(h.astype(int)))) < -999, np.nan, v)
                                                  for h in stamps]), {"units": UNITS[n]})
            for n in UNITS
        }  # fmt: skip
        return xr.Dataset(maps, coords={"time": stamps.astype("M8[ns]"), "lat": LAT, "lon": LON})

    return types.SimpleNamespace(days=np.arange("2018-03-01", "2018-03-03", dtype="M8[D]"), seed=7, nldas_hours=hours)


def test_written_world_equals_files_by_netcdf4(world, two_days, tmp_path):
    paths = SOURCE.write(world, tmp_path / "new" / "NLDAS")
    whole = paths[0].read_bytes()
    assert len(whole) == int.from_bytes(whole[28:36], "little")  # nothing behind the end that HDF5 knows
    assert [p.name for p in paths] == [p.name for p in two_days]
    assert sorted(p.name for p in (tmp_path / "new" / "NLDAS").iterdir()) == [p.name for p in paths]
    for ours, theirs in zip(paths[::7], two_days[::7], strict=True):
        with netCDF4.Dataset(ours) as a, netCDF4.Dataset(theirs) as b:
            assert {k: len(d) for k, d in a.dimensions.items()} == {k: len(d) for k, d in b.dimensions.items()}
            assert a["time"].units == b["time"].units and a["time"][:] == b["time"][:]
            for n in UNITS:
                a[n].set_auto_maskandscale(False)
                b[n].set_auto_maskandscale(False)
                assert np.array_equal(a[n][:], b[n][:])
                assert a[n].dimensions == b[n].dimensions and a[n].dtype == b[n].dtype
                for attribute in ("_FillValue", "missing_value", "scale_factor", "add_offset", "units"):
                    assert a[n].getncattr(attribute) == b[n].getncattr(attribute)
                    assert type(a[n].getncattr(attribute)) is type(b[n].getncattr(attribute))


def test_round_trip_says_that_it_is_synthetic(world, two_days, tmp_path):
    ds = open_(SOURCE.write(world, tmp_path))
    assert "twin" in ds.attrs.pop("synthetic")
    xr.testing.assert_equal(ds.compute(), open_(two_days).compute())


def test_contract_with_the_synthetic_twin(tmp_path):
    from xsm.twin import make_world

    check_source("nldas", world=make_world((-97.3, 35.9, -97.0, 36.2), days=2), tmp=tmp_path)
