"""Numba, loaded on the first call of a kernel and cached where that is possible."""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable
from typing import Any

_LOCK = threading.RLock()


class Kernel:
    """A function that numba compiles when it is first called, so that its module stays light to import.

    Kernels that it calls are named in its module: there the compiled functions take their places, since numba knows
    no other objects.
    """

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        functools.update_wrapper(self, function)
        self.function, self.options = function, options
        self._begun = self._ready = None

    @property
    def compiled(self) -> Any:
        """The function as numba has it, cached on disk where a cache folder can be written.

        Other threads get it when the kernels that it calls have taken their places, for numba remembers a failure.
        """
        if self._ready is None:
            with _LOCK:
                if self._begun is not None:  # by a kernel of this module that is being prepared
                    return self._begun
                self._begun = self._compile()
                namespace = self.function.__globals__
                namespace |= {name: k.compiled for name, k in list(namespace.items()) if isinstance(k, Kernel)}
                self._ready = self._begun
        return self._ready

    def _compile(self) -> Any:
        import numba

        try:
            return numba.njit(nogil=True, cache=True, **self.options)(self.function)
        except RuntimeError:  # no folder to cache in
            return numba.njit(nogil=True, **self.options)(self.function)

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
