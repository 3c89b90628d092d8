"""Files whose values are read later: an error of a library that then reads them names the file and the variable."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Any

import xarray as xr
from xarray.backends import AbstractDataStore, BackendArray
from xarray.core.indexing import LazilyIndexedArray

from xsm.errors import DataError

DAMAGE = (OSError, RuntimeError, ValueError, LookupError, TypeError, EOFError, zlib.error)
"""What the libraries raise where a chunk cannot be decoded."""


class NamedStore(AbstractDataStore):
    """A store of xarray whose errors name its file.

    Parameters
    ----------
    store : AbstractDataStore
        The open file.
    path : Path
        Of the file.
    """

    __slots__ = ("path", "store")

    def __init__(self, store: Any, path: Path) -> None:
        self.store, self.path = store, path

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        state = os.stat(self.path)
        return str(self.path.resolve()), state.st_mtime_ns, state.st_size

    def get_variables(self) -> dict[str, xr.Variable]:
        """The variables, still to be read."""
        return {n: self._named(n, v) for n, v in self.store.get_variables().items()}

    def get_attrs(self) -> Any:
        """The attributes."""
        return self.store.get_attrs()

    def get_dimensions(self) -> Any:
        """The dimensions."""
        return self.store.get_dimensions()

    def get_encoding(self) -> Any:
        """The encoding, such as unlimited dimensions."""
        return self.store.get_encoding()

    def close(self) -> None:
        """Close the file."""
        self.store.close()

    def _named(self, name: Any, variable: xr.Variable) -> xr.Variable:
        data = variable._data
        if not isinstance(data, LazilyIndexedArray):
            return variable
        named = LazilyIndexedArray(_NamedArray(data.array, str(self.path), str(name)))
        return xr.Variable(variable.dims, named, variable.attrs, variable.encoding, fastpath=True)


class _NamedArray(BackendArray):
    __slots__ = ("inner", "name", "path")

    def __init__(self, inner: Any, path: str, name: str) -> None:
        self.inner, self.path, self.name = inner, path, name

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.inner.shape)

    @property
    def dtype(self) -> Any:
        return self.inner.dtype

    def __getitem__(self, key: Any) -> Any:
        try:
            return self.inner[key]
        except DAMAGE as error:
            reason = str(error).strip().split("\n")[0][:200]
            raise DataError(
                f"'{self.path}' cannot be read: values of '{self.name}' are damaged ({reason}).",
                hint="Get the file again.",
            ) from error
