"""One lock for netCDF's library, which takes one thread at a time, whether it reads or writes."""

from __future__ import annotations

import threading

NETCDF = threading.RLock()
"""Held while files are read or written through netCDF4; xarray reads attributes without a lock of its own."""
