"""xsm: daily, gap-free maps of surface and subsurface soil moisture from SMAP, NLDAS-2 and SOLUS100.

``import xsm`` registers the accessor ``ds.sm``; everything else loads on first use. Names for authors of plugins
are in `xsm.plugin_api`.
"""

from __future__ import annotations

import importlib
import logging
from typing import Any

from xsm import _lazy
from xsm._version import __version__

_PUBLIC = {
    "open": "xsm.ops.open",
    "example": "xsm.ops.example",
    "example_files": "xsm.ops.example",
    "regrid": "xsm.ops.regrid",
    "regrid_ease9km": "xsm.ops.regrid",
    "gapfill": "xsm.ops.gapfill",
    "gapfill_cru": "xsm.ops.gapfill",
    "cube": "xsm.ops.cube",
    "fit": "xsm.ops.fit",
    "estimate": "xsm.ops.estimate",
    "fuse": "xsm.ops.fuse",
    "texture": "xsm.ops.texture",
    "validate": "xsm.ops.validate",
    "to_frame": "xsm.validation.scoring",
    "triple_collocation": "xsm.ops.triple_collocation",
    "report": "xsm.ops.report",
    "fetch": "xsm.ops.fetch",
    "plot_map": "xsm.ops.plot_map",
    "plot_texture": "xsm.ops.plot_map",
    "plot_boxes": "xsm.ops.plot_skill",
    "plot_skill": "xsm.ops.plot_skill",
    "plot_scatter": "xsm.ops.plot_skill",
    "plot_calibration": "xsm.ops.plot_skill",
    "plot_series": "xsm.ops.plot_map",
    "plot_availability": "xsm.ops.plot_map",
    "Grid": "xsm.data.grids",
    "EASE2_M03": "xsm.data.grids",
    "EASE2_M09": "xsm.data.grids",
    "EASE2_M36": "xsm.data.grids",
    "grid_of": "xsm.data.grids",
    "take": "xsm.data.windows",
    "Bundle": "xsm.contracts.bundle",
    "operations": "xsm.contracts.registry",
    "sources": "xsm.contracts.registry",
    "models": "xsm.contracts.registry",
    "plugins": "xsm.contracts.registry",
    "set_options": "xsm.options",
    "show_versions": "xsm.contracts.installed",
    "DataError": "xsm.errors",
    "FetchError": "xsm.errors",
    "MissingPlugin": "xsm.errors",
    "QualityError": "xsm.errors",
    "SkippedFile": "xsm.errors",
    "UsageError": "xsm.errors",
    "XsmError": "xsm.errors",
}
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
