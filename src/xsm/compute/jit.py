"""Numba, loaded on the first call of a kernel and cached where that is possible."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any


class Kernel:
    """A function that numba compiles when it is first called, so that its module stays light to import.

    Kernels that it calls are named in its module: there the compiled functions take their places, since numba knows
    no other objects.
    """

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        functools.update_wrapper(self, function)
        self.function, self.options = function, options

    @functools.cached_property
    def compiled(self) -> Any:
        """The function as numba has it, cached on disk where a cache folder can be written."""
        import numba

        namespace = self.function.__globals__
        try:
            compiled = numba.njit(nogil=True, cache=True, **self.options)(self.function)
        except RuntimeError:  # no folder to cache in
            compiled = numba.njit(nogil=True, **self.options)(self.function)
        self.__dict__["compiled"] = compiled
        for name, other in list(namespace.items()):
            if isinstance(other, Kernel):
                namespace[name] = other.compiled
        return compiled

    def __call__(self, *args: Any) -> Any:
        """Run the kernel."""
        return self.compiled(*args)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        return _by_name, (self.function.__module__, self.function.__qualname__)


def _by_name(module: str, name: str) -> Any:
    __import__(module)
    return getattr(sys.modules[module], name)


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
    >>> double(3)
    6
    """
    return lambda function: Kernel(function, options)
