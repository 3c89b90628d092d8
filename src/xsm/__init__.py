"""xsm: daily, gap-free maps of surface and subsurface soil moisture from satellites, land models and soil maps.

``import xsm`` registers the accessor ``ds.sm``; everything else loads on first use. Names for authors of plugins
are in `xsm.plugin_api`.
"""

from __future__ import annotations

import importlib
import logging
from typing import Any

from xsm import _lazy
from xsm._version import __version__

_PUBLIC = _lazy.by_name(
    {
        "xsm.ops.open": "open",
        "xsm.ops.example": "example example_files",
        "xsm.ops.regrid": "regrid regrid_ease9km",
        "xsm.ops.gapfill": "gapfill gapfill_cru",
        "xsm.ops.cube": "cube",
        "xsm.ops.fit": "fit",
        "xsm.ops.estimate": "estimate",
        "xsm.ops.fuse": "fuse",
        "xsm.ops.swi": "swi",
        "xsm.ops.climatology": "climatology",
        "xsm.ops.anomaly": "anomaly",
        "xsm.ops.percentile": "percentile",
        "xsm.ops.drought": "drought",
        "xsm.ops.at": "at",
        "xsm.ops.zonal": "zonal",
        "xsm.ops.to_daily": "to_daily",
        "xsm.ops.rescale": "rescale",
        "xsm.ops.trend": "trend",
        "xsm.ops.lag": "lag",
        "xsm.ops.drydown": "drydown",
        "xsm.ops.texture": "texture",
        "xsm.ops.validate": "validate",
        "xsm.ops.matchup": "matchup",
        "xsm.validation.scoring": "to_frame",
        "xsm.ops.triple_collocation": "triple_collocation",
        "xsm.ops.report": "report",
        "xsm.ops.fetch": "fetch",
        "xsm.ops.read": "read",
        "xsm.ops.to_geotiff": "to_geotiff",
        "xsm.explorer.view": "view",
        "xsm.ops.plot_map": "plot_map plot_animation plot_texture plot_series plot_availability",
        "xsm.ops.plot_skill": "plot_boxes plot_skill plot_scatter plot_calibration",
        "xsm.data.grids": "Grid EASE2_M03 EASE2_M09 EASE2_M36 grid_of",
        "xsm.data.windows": "take",
        "xsm.contracts.bundle": "Bundle",
        "xsm.contracts.registry": "operations sources models plugins",
        "xsm.options": "set_options",
        "xsm.contracts.installed": "show_versions",
        "xsm.errors": "DataError FetchError MissingPlugin QualityError SkippedFile UsageError XsmError",
    }
)
_MOVED = (
    "Kind", "Param", "Operation", "operation", "hookimpl", "PLUGIN_API", "Area", "DataSource", "SourceInfo",
    "closed_period", "download", "Manifest", "Remote", "read_url", "search_earthdata", "EARTHDATA", "Login",
    "Block", "Model", "ModelInfo", "Samples", "Spec", "Progress", "make_card", "clip_moisture",
    "CENTRE_AND_SCALE", "series_settings", "centre_and_scale", "conformal_factor", "BUNDLE_FORMAT",
    "versions", "jit", "unknown", "threads", "device", "open_raster", "raster_window", "add_history",
    "canonical_attrs", "drop_impossible", "NO_FLAG",
)  # fmt: skip
"""Names that `xsm.plugin_api` has now; their aliases here warn until the next minor release."""
__all__ = [*_PUBLIC, "__version__"]

logging.getLogger("xsm").addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    if name in _MOVED:
        return _lazy.moved("xsm.plugin_api", name)
    if name == "tell":
        return _lazy.moved("xsm.plugin_api", name, "xsm.contracts.api1")
    if name in ("plugin_api", "testing", "twin"):
        return importlib.import_module(f"xsm.{name}")
    return _lazy.load(__name__, _PUBLIC, name)


def __dir__() -> list[str]:
    return sorted(__all__)


from xsm.faces import accessor as _accessor  # noqa: E402, F401  # registers ``ds.sm``
from xsm.faces import hints as _hints  # noqa: E402, F401  # writes hints as Python does
