"""For authors of plugins, beside the names of `xsm`: contracts, descriptions, helpers for files and downloads.

Every name loads on first use. A plugin imports from `xsm`, `xsm.plugin_api`, `xsm.testing` and `xsm.twin` alone; all
other modules of the core are private.
"""

from __future__ import annotations

from typing import Any

from xsm import _lazy

_PUBLIC = {
    "Kind": "xsm.contracts.param",
    "Param": "xsm.contracts.param",
    "Operation": "xsm.contracts.operation",
    "operation": "xsm.contracts.operation",
    "hookimpl": "xsm.contracts.hookspecs",
    "PLUGIN_API": "xsm.contracts.hookspecs",
    "Area": "xsm.contracts.source",
    "DataSource": "xsm.contracts.source",
    "Request": "xsm.contracts.source",
    "make_request": "xsm.contracts.source",
    "SourceInfo": "xsm.contracts.source",
    "Fetcher": "xsm.contracts.source",
    "Writer": "xsm.contracts.source",
    "closed_period": "xsm.ops.fetch",
    "download": "xsm.web.download",
    "Manifest": "xsm.web.manifest",
    "Remote": "xsm.web.manifest",
    "read_url": "xsm.web.http",
    "search_earthdata": "xsm.web.catalogue",
    "EARTHDATA": "xsm.web.login",
    "Login": "xsm.web.login",
    "Block": "xsm.contracts.model",
    "Model": "xsm.contracts.model",
    "ModelInfo": "xsm.contracts.model",
    "Samples": "xsm.contracts.model",
    "Spec": "xsm.contracts.model",
    "Progress": "xsm.contracts.model",
    "make_card": "xsm.contracts.model",
    "clip_moisture": "xsm.contracts.model",
    "CENTRE_AND_SCALE": "xsm.learning.departures",
    "series_settings": "xsm.learning.departures",
    "centre_and_scale": "xsm.learning.departures",
    "conformal_factor": "xsm.learning.calibration",
    "BUNDLE_FORMAT": "xsm.contracts.bundle",
    "versions": "xsm.contracts.bundle",
    "jit": "xsm.compute.jit",
    "tell": "xsm.errors",
    "unknown": "xsm.errors",
    "threads": "xsm.options",
    "device": "xsm.options",
    "check_hdf5": "xsm.io.hdf5",
    "open_raster": "xsm.io.raster",
    "raster_window": "xsm.io.raster",
    "add_history": "xsm.data.cf",
    "canonical_attrs": "xsm.data.cf",
    "drop_impossible": "xsm.data.cf",
    "same_units": "xsm.data.cf",
    "NO_FLAG": "xsm.data.cf",
    "unit_of": "xsm.data.units",
    "affine": "xsm.data.units",
    "check_bulk": "xsm.data.plausible",
    "speak_for": "xsm.data.plausible",
    "convert": "xsm.data.units",
    "read_stamps": "xsm.data.stamps",
}
__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    return _lazy.load(__name__, _PUBLIC, name)


def __dir__() -> list[str]:
    return sorted(__all__)
