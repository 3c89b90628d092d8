"""For authors of plugins, beside the names of `xsm`: contracts, descriptions, helpers for files and downloads.

Every name loads on first use. A plugin imports from `xsm`, `xsm.plugin_api`, `xsm.testing` and `xsm.twin` alone; all
other modules of the core are private.
"""

from __future__ import annotations

from typing import Any

from xsm import _lazy

_PUBLIC = _lazy.by_name(
    {
        "xsm.contracts.param": "Kind Param",
        "xsm.contracts.operation": "Operation operation",
        "xsm.contracts.hookspecs": "hookimpl PLUGIN_API",
        "xsm.contracts.source": "Area DataSource Request make_request SourceInfo Fetcher Writer MIN_HOURS",
        "xsm.ops.fetch": "closed_period",
        "xsm.web.download": "download",
        "xsm.web.manifest": "Manifest Remote",
        "xsm.web.http": "read_url",
        "xsm.web.catalogue": "search_earthdata",
        "xsm.web.login": "EARTHDATA Login",
        "xsm.contracts.model": "Block Model ModelInfo Samples Spec Progress make_card clip_moisture",
        "xsm.learning.departures": "CENTRE_AND_SCALE series_settings centre_and_scale",
        "xsm.learning.calibration": "conformal_factor",
        "xsm.contracts.bundle": "BUNDLE_FORMAT versions",
        "xsm.compute.jit": "jit",
        "xsm.errors": "tell unknown",
        "xsm.options": "threads device",
        "xsm.io.day_fields": "DailyField Stored text_of",
        "xsm.io.day_files": "open_day_files",
        "xsm.io.hdf5": "check_hdf5",
        "xsm.io.raster": "open_raster raster_window",
        "xsm.io.soil_layers": "SoilProduct open_soil soil_depths soil_names",
        "xsm.io.daily_maps": "DailyMap maps_of open_daily",
        "xsm.series.daily": "daily_mean",
        "xsm.data.cf": "add_history canonical_attrs drop_impossible same_units NO_FLAG",
        "xsm.data.units": "unit_of affine convert convert_in",
        "xsm.data.plausible": "check_bulk speak_for",
        "xsm.data.stamps": "read_stamps",
        "xsm.data.time": "SHORT whole_hours",
    }
)
__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    return _lazy.load(__name__, _PUBLIC, name)


def __dir__() -> list[str]:
    return sorted(__all__)
