"""Numba, loaded on the first call of a kernel and cached where that is possible."""

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
