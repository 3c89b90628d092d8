"""Convert DataArrays, Series and DataFrames to a dataset for an operation, and its result back.

A DataArray stays a DataArray where the result is a single variable, a Series a Series, a DataFrame a DataFrame; what
has one number for each column of a DataFrame is a table with a row for each.
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from xsm.data.time import are_days, whole_hours, without_zone
from xsm.errors import UsageError

Back = Callable[[Any], Any]
UNNAMED = "value"
"""Name of the variable of an array or a series without a name."""


def as_dataset(name: str, value: Any) -> tuple[Any, Back]:
    """The data as a dataset, and a function that turns a result into the container that the data came in.

    Anything that is none of these containers comes back as it is.

    Parameters
    ----------
    name : str
        Argument, for errors.
    value : Any
        DataArray, pandas Series or DataFrame with days as its index, or something else.

    Returns
    -------
    data : Any
        A dataset for a container.
    back : callable
        From a dataset to the container.

    Examples
    --------
    >>> import pandas as pd
    >>> series = pd.Series([0.2, 0.3], pd.date_range("2021-04-01", periods=2), name="sm")
    >>> ds, back = as_dataset("ds", series)
    >>> list(ds.data_vars), back(ds * 2).tolist()
    (['sm'], [0.4, 0.6])
    """
    import xarray as xr

    if isinstance(value, xr.DataArray):
        return value.to_dataset(name=UNNAMED if value.name is None else value.name), _array
    if hasattr(value, "to_xarray") and hasattr(value, "index"):
        return _of_pandas(name, value)
    return value, unchanged


def unchanged(result: Any) -> Any:
    """The result as it is."""
    return result


def _array(result: Any) -> Any:
    variables = list(getattr(result, "data_vars", ()))
    return result[variables[0]] if len(variables) == 1 else result


def _of_pandas(name: str, data: Any) -> tuple[Any, Back]:
    """Columns of numbers as variables of ``time``, and a function that gives results the index of the data."""
    import pandas as pd
    import xarray as xr

    _check_index(name, data)
    frame = data.to_frame(UNNAMED if data.name is None else data.name) if data.ndim == 1 else data
    numbers = frame.select_dtypes("number")
    if not numbers.shape[1]:
        raise UsageError(f"'{name}' has no column of numbers.", hint="Convert its columns with astype(float).")
    names = [str(c) for c in numbers]
    if twice := sorted({n for n in names if names.count(n) > 1}):
        raise UsageError(
            f"'{name}' has {names.count(twice[0])} columns called '{twice[0]}', expected another name for each.",
            hint="Give each column a name of its own; pandas.concat takes them as keys.",
        )
    if isinstance(data.index, pd.DatetimeIndex) and data.index.tz is not None:
        times = xr.DataArray(without_zone(data.index), dims="time")
    else:
        times = xr.DataArray(data.index, dims="time")
    variables = {str(c): ("time", numbers[c].to_numpy("f8"), dict(data.attrs)) for c in numbers}
    back = functools.partial(_pandas, index=data.index, single=data.ndim == 1)
    return xr.Dataset(variables, {"time": times}), back


def _check_index(name: str, data: Any) -> None:
    """Stop where a table has no times as its index, or several rows for a time."""
    import pandas as pd

    what = f"'{name}' is a {type(data).__name__} with an index of"
    if isinstance(data.index, pd.MultiIndex):
        levels = ", ".join(str(n) for n in data.index.names)
        raise UsageError(f"{what} several levels ({levels}), expected times.",
                         hint="Give a column for each place, with unstack() of the levels of the places.")  # fmt: skip
    if not isinstance(data.index, pd.DatetimeIndex | pd.PeriodIndex):
        raise UsageError(
            f"{what} the type {data.index.dtype}, expected times.",
            hint="Set the times as its index, such as series.index = pd.to_datetime(series.index).",
        )
    texts = [] if data.ndim == 1 else [c for c in data if not pd.api.types.is_numeric_dtype(data[c])]
    if texts and data.index.has_duplicates and not data[texts].set_index(texts, append=True).index.has_duplicates:
        first = next((c for c in data if c not in texts), "sm")
        raise UsageError(
            f"'{name}' has several rows for a time, apart by {', '.join(map(repr, texts))}, expected one.",
            hint=f"Give a column for each, with pivot(columns={texts[0]!r}, values={str(first)!r}).",
        )


def _pandas(result: Any, index: Any, single: bool) -> Any:
    """A Series of a single variable of a Series, else a DataFrame, of numbers with a row for each column; or a number.

    Parameters
    ----------
    result : Dataset or Any
        Result of an operation.
    index : DatetimeIndex or PeriodIndex
        Times of the data, which results of the same times get.
    single : bool
        Whether the data were a Series.
    """
    if not hasattr(result, "data_vars"):
        return result
    if not result.dims:
        values = {str(n): v.item() for n, v in result.data_vars.items()}
        if single:
            return next(iter(values.values())) if len(values) == 1 else _named(values)
        return _rows(result, values)
    kept = result.drop_vars([n for n in result.coords if n not in result.dims])
    frame = kept.to_dataframe()
    if tuple(result.dims) == ("time",):
        frame.index = _index_like(frame.index, index, result["time"].attrs.get("hours_from_utc"))
    return frame[frame.columns[0]] if single and len(kept.data_vars) == 1 else frame


def _index_like(times: Any, index: Any, hours: float | None) -> Any:
    """The times of a result as the data have them; new days have the zone of their clock where the data have any."""
    import pandas as pd

    zone = getattr(index, "tz", None)
    if zone is not None and hours is not None and not are_days(index):
        return times.tz_localize(datetime.timezone(datetime.timedelta(hours=hours)) if hours else "UTC")
    plain = index.to_timestamp() if isinstance(index, pd.PeriodIndex) else index
    known = pd.Index(whole_hours(without_zone(plain)))
    at = known.get_indexer(times) if known.is_unique else np.full(len(times), -1)
    if (at < 0).any():
        return times.rename(index.name)
    return index if len(at) == len(index) and (np.diff(at) > 0).all() else index[at]


def _rows(result: Any, values: dict[str, Any]) -> Any:
    """Numbers as a table with a row for each variable that they are derived from, by ``source_variable``."""
    import pandas as pd

    rows: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        source = str(result[name].attrs.get("source_variable", name))
        rows.setdefault(source, {})[name.removeprefix(f"{source}_")] = value
    return pd.DataFrame.from_dict(rows, orient="index")


def _named(values: dict[str, Any]) -> Any:
    import pandas as pd

    return pd.Series(values)
