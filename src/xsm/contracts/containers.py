"""Convert DataArrays, Series and DataFrames to a dataset for an operation, and its result back.

A DataArray stays a DataArray where the result is a single variable, a Series a Series, a DataFrame a DataFrame.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
        return _of_pandas(name, value), _pandas
    return value, unchanged


def unchanged(result: Any) -> Any:
    """The result as it is."""
    return result


def _array(result: Any) -> Any:
    variables = list(getattr(result, "data_vars", ()))
    return result[variables[0]] if len(variables) == 1 else result


def _of_pandas(name: str, data: Any) -> Any:
    """Columns of numbers as variables of ``time``."""
    import pandas as pd
    import xarray as xr

    if not isinstance(data.index, pd.DatetimeIndex | pd.PeriodIndex):
        raise UsageError(
            f"'{name}' is a {type(data).__name__} with an index of the type {data.index.dtype}, expected times.",
            hint="Set the times as its index, such as series.index = pd.to_datetime(series.index).",
        )
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
    variables = {str(c): ("time", numbers[c].to_numpy("f8"), dict(data.attrs)) for c in numbers}
    return xr.Dataset(variables, {"time": xr.DataArray(data.index, dims="time")})


def _pandas(result: Any) -> Any:
    """A Series of a single variable along one dim, a DataFrame of several, a number of none."""
    if not hasattr(result, "data_vars"):
        return result
    if not result.dims:
        values = {str(n): v.item() for n, v in result.data_vars.items()}
        return next(iter(values.values())) if len(values) == 1 else _named(values)
    kept = result.drop_vars([n for n in result.coords if n not in result.dims])
    frame = kept.to_dataframe()
    return frame[frame.columns[0]] if len(kept.data_vars) == 1 else frame


def _named(values: dict[str, Any]) -> Any:
    import pandas as pd

    return pd.Series(values)
