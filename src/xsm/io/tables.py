"""Data and stations in any container: datasets, arrays, and tables of pandas, long or wide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import xarray as xr

from xsm.contracts.containers import UNNAMED, as_dataset
from xsm.contracts.inputs import checked
from xsm.contracts.param import Kind, Param
from xsm.data.time import utc_times
from xsm.errors import tell, unknown
from xsm.io import station_table


def as_data(value: Any, name: str = "ds") -> xr.Dataset:
    """Maps or series as a dataset with times in UTC.

    Examples
    --------
    >>> import pandas as pd
    >>> as_data(pd.Series([0.2, 0.3], pd.date_range("2021-04-01", periods=2), name="sm")).sizes["time"]
    2
    """
    ds = checked(name, as_dataset(name, value)[0], Param(name=name, kind=Kind.DATASET, required=True))
    return utc_times(ds, "The stations" if name == "stations" else "The data")


def as_reference(value: Any, name: str = "stations") -> xr.Dataset:
    """Stations or series as a dataset: a table of pandas is long if it has no times as its index.

    Examples
    --------
    >>> import pandas as pd
    >>> days = pd.date_range("2021-04-01", periods=2)
    >>> as_reference(pd.DataFrame({"A": [0.2, 0.3], "B": [0.1, 0.2]}, days)).data_vars.keys() == {"A", "B"}
    True
    """
    if hasattr(value, "columns") and hasattr(value, "to_xarray") and not _is_wide(value):
        return station_table.of_frame(value)
    return as_data(value, name)


def as_pair(
    ds: Any, stations: Any, variables: Sequence[str] | None
) -> tuple[xr.Dataset, xr.Dataset, Sequence[str] | None]:
    """Data, stations and the variables to compare: columns of the same names in two wide tables are paired by name.

    Two tables with several common columns become ``(time, station)`` each; other data stay as they are.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"A": [0.2, 0.3], "B": [0.1, 0.2]}, pd.date_range("2021-04-01", periods=2))
    >>> as_pair(table, table + 0.1, None)[0]["value"].dims
    ('station', 'time')
    """
    data, reference = as_data(ds), as_reference(stations)
    common = [str(n) for n in data.data_vars if n in reference.data_vars]
    if len(common) < 2 or not all(hasattr(v, "columns") and _is_wide(v) for v in (ds, stations)):
        return data, reference, variables
    for name in variables or ():
        if name not in common:
            raise unknown("column of both tables", name, common)
    names = list(variables or common)
    if not variables and (apart := sorted({*map(str, data), *map(str, reference)} - {*common})):
        some = f"{', '.join(apart[:3])}{', ...' * (len(apart) > 3)}"
        tell(f"Columns of the same name are compared; {len(apart)} are in one of the tables only ({some}).")
    return _stacked(data, names), _stacked(reference, names), None


def _stacked(ds: xr.Dataset, names: list[str]) -> xr.Dataset:
    return ds[names].to_dataarray("station", name=UNNAMED).assign_attrs(ds[names[0]].attrs).to_dataset()


def _is_wide(frame: Any) -> bool:
    """Whether a table has times as its index and a column for each series."""
    import pandas as pd

    long = {str(c).lower() for c in frame.columns} & set(station_table.COLUMNS["station"])
    return isinstance(frame.index, pd.DatetimeIndex | pd.PeriodIndex) and not long
