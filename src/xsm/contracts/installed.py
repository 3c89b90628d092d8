"""Versions of xsm, its plugins and the libraries below them."""

from __future__ import annotations

import platform


class Versions(dict[str, str]):
    """Versions by name; prints as a table."""

    def __repr__(self) -> str:
        width = max(map(len, self))
        return "\n".join(f"{name:{width}}  {version}" for name, version in self.items())


def show_versions() -> Versions:
    """Return the versions of xsm, its plugins and the libraries below them; ``print`` shows them as a table.

    Returns
    -------
    Versions
        A dict of str to str.

    Examples
    --------
    >>> import xsm
    >>> print(xsm.show_versions())
    python ...
    platform ...
    xsm ...
    """
    from importlib.metadata import PackageNotFoundError, version

    from xsm.contracts.registry import plugins

    names = ["xsm", "numpy", "pandas", "xarray", "dask", "zarr", "netCDF4", "h5py", "rasterio", "rioxarray", "pyproj",
             "numba", "scipy", "torch", "pluggy", "click", "safetensors", "matplotlib"]  # fmt: skip
    by_name = Versions(python=platform.python_version(), platform=platform.platform())
    for name in names:
        try:
            by_name[name] = version(name)
        except PackageNotFoundError:
            by_name[name] = "not installed"
    for plugin in plugins().values():
        if plugin.distribution != "xsm":
            by_name[plugin.distribution] = f"{plugin.version} ({plugin.status})"
    return by_name
