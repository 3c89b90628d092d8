"""The contract tests of xsm on two small files."""

import numpy as np
import pandas as pd
import xarray as xr
from xsm.testing import check_source


def test_contract(tmp_path):
    paths = []
    for day in ("2021-06-01", "2021-06-03"):
        ds = xr.Dataset(
            {"soil_moisture": (("time", "lat", "lon"), np.full((1, 4, 5), 0.2, "f4"), {"units": "m3 m-3"})},
            {"time": pd.to_datetime([day]), "lat": np.arange(35.0, 37.0, 0.5), "lon": np.arange(-99.0, -96.5, 0.5)},
        )
        paths.append(tmp_path / f"mysensor_{day}.nc")
        ds.to_netcdf(paths[-1])
    check_source("mysensor", files=paths, tmp=tmp_path)
