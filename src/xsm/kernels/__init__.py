"""Compiled kernels of the regridding: serial, ``nogil``, run side by side by the block threads (DESIGN.md section 10).

`weights` makes the 1-D weights (numpy); `separable`, `projected` and `gather` hold the numba loops. `plan` chooses
between the plans of a pair of grids: two 1-D passes, `reduced` (many pixels a cell, placed by `tiles`), `located`
(positions in the source) and points (`scattered`). `jobs` tells how each variable is resampled, `apply` does it. Import
these modules only where they are used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def jit(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile with numba on first call; cached on disk where a cache folder can be written.

    Parameters
    ----------
    **options
        Those of ``numba.njit``; ``nogil=True`` is set.

    Returns
    -------
    callable
        Decorator.

    Examples
    --------
    >>> @jit()
    ... def double(x):
    ...     return 2 * x
    """
    import numba

    def decorate(function: Callable[..., Any]) -> Any:
        try:
            return numba.njit(nogil=True, cache=True, **options)(function)
        except RuntimeError:  # no folder to cache in
            return numba.njit(nogil=True, **options)(function)

    return decorate
