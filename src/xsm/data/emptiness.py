"""Results that are empty although their input is not: said once, with the reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import xarray as xr

from xsm.errors import tell

FEW = 0.01
"""Share of valid values below which a result is as good as empty."""


def valid_share(variable: xr.DataArray | xr.Variable) -> float | None:
    """Share of finite values of a variable of floats in memory; None for others, which are not looked into."""
    if variable.chunks is not None or variable.dtype.kind != "f" or not variable.size:
        return None
    return float(np.isfinite(variable.values).mean())


def tell_emptied(result: xr.Dataset, before: Mapping[str, float | None], why: str, names: Iterable[str]) -> None:
    """Warn of variables that have no value, or hardly one where the input had more; ``before`` are the input's shares.

    Examples
    --------
    >>> from xsm.errors import hear
    >>> with hear() as heard:
    ...     tell_emptied(xr.Dataset({"v": ("x", [np.nan])}), {"v": 0.5}, "Its cells are too small.", ["v"])
    >>> str(heard[0])
    "'v' has no value in the result, and had values in 50 % of the input. Its cells are too small."
    """
    for name in names:
        share, first = valid_share(result[name]), before.get(name)
        if share is None or share >= FEW or (share > 0 and (first is None or first <= 2 * share)):
            continue
        left = "no value in the result" if not share else f"values in {100 * share:.2g} % of the result only"
        if first is None:
            tell(f"'{name}' has {left}. {why}")
        elif not first:
            tell(f"'{name}' has {left}, as in the input: look at the file, its region and its quality flags.")
        else:
            tell(f"'{name}' has {left}, and had values in {100 * first:.0f} % of the input. {why}")
