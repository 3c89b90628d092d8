"""xsm: daily, gap-free maps of surface and subsurface soil moisture from SMAP, NLDAS-2 and SOLUS100.

``import xsm`` registers the accessor ``ds.sm``; everything else loads on first use.
"""

from __future__ import annotations

import importlib
import logging
from typing import Any

__version__ = "0.1.0"

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
    "texture": "xsm.ops.texture",
    "validate": "xsm.ops.validate",
    "triple_collocation": "xsm.ops.triple_collocation",
    "report": "xsm.ops.report",
    "plot_map": "xsm.ops.plot_map",
    "plot_texture": "xsm.ops.plot_map",
    "plot_boxes": "xsm.ops.plot_skill",
    "plot_skill": "xsm.ops.plot_skill",
    "plot_scatter": "xsm.ops.plot_skill",
    "plot_calibration": "xsm.ops.plot_skill",
    "plot_series": "xsm.ops.plot_map",
    "plot_availability": "xsm.ops.plot_map",
    "Grid": "xsm.grids",
    "EASE2_M03": "xsm.grids",
    "EASE2_M09": "xsm.grids",
    "EASE2_M36": "xsm.grids",
    "Kind": "xsm.param",
    "Param": "xsm.param",
    "Operation": "xsm.describe",
    "operation": "xsm.describe",
    "operations": "xsm.describe",
    "hookimpl": "xsm.hookspecs",
    "PLUGIN_API": "xsm.hookspecs",
    "Area": "xsm.source",
    "DataSource": "xsm.source",
    "SourceInfo": "xsm.source",
    "sources": "xsm.source",
    "fetch": "xsm.ops.fetch",
    "closed_period": "xsm.ops.fetch",
    "download": "xsm.transfer",
    "Manifest": "xsm.manifest",
    "Remote": "xsm.manifest",
    "read_url": "xsm.web",
    "search_earthdata": "xsm.earthdata",
    "EARTHDATA": "xsm.keys",
    "Login": "xsm.keys",
    "Block": "xsm.model",
    "Model": "xsm.model",
    "ModelInfo": "xsm.model",
    "Samples": "xsm.model",
    "Spec": "xsm.model",
    "Progress": "xsm.model",
    "make_card": "xsm.model",
    "clip_moisture": "xsm.model",
    "CENTRE_AND_SCALE": "xsm.departures",
    "series_settings": "xsm.departures",
    "centre_and_scale": "xsm.departures",
    "conformal_factor": "xsm.calibrate",
    "models": "xsm.model",
    "Bundle": "xsm.bundle",
    "BUNDLE_FORMAT": "xsm.bundle",
    "versions": "xsm.bundle",
    "jit": "xsm.kernels",
    "DataError": "xsm.errors",
    "FetchError": "xsm.errors",
    "MissingPlugin": "xsm.errors",
    "QualityError": "xsm.errors",
    "SkippedFile": "xsm.errors",
    "UsageError": "xsm.errors",
    "XsmError": "xsm.errors",
    "tell": "xsm.errors",
    "unknown": "xsm.errors",
    "set_options": "xsm.options",
    "show_versions": "xsm.options",
    "threads": "xsm.options",
    "device": "xsm.options",
    "open_raster": "xsm.raster",
    "raster_window": "xsm.raster",
    "plugins": "xsm.plugin",
    "take": "xsm.grids",
    "grid_of": "xsm.grids",
    "add_history": "xsm.cf",
    "canonical_attrs": "xsm.cf",
    "drop_impossible": "xsm.cf",
    "NO_FLAG": "xsm.cf",
}
__all__ = [*_PUBLIC, "__version__"]

logging.getLogger("xsm").addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        import difflib

        near = difflib.get_close_matches(name, _PUBLIC, n=1)
        guess = f" Did you mean '{near[0]}'?" if near else ""
        raise AttributeError(f"module 'xsm' has no attribute '{name}'.{guess}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)


from xsm import accessor as _accessor  # noqa: E402, F401
