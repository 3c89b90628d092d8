"""xsm: daily, gap-free maps of surface and subsurface soil moisture from SMAP, NLDAS-2 and SOLUS100.

``import xsm`` registers the accessor ``ds.sm``; everything else loads on first use.
"""

from __future__ import annotations

import importlib
import logging
from typing import Any

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
    "Grid": "xsm.data.grids",
    "EASE2_M03": "xsm.data.grids",
    "EASE2_M09": "xsm.data.grids",
    "EASE2_M36": "xsm.data.grids",
    "Kind": "xsm.contracts.param",
    "Param": "xsm.contracts.param",
    "Operation": "xsm.contracts.operation",
    "operation": "xsm.contracts.operation",
    "operations": "xsm.contracts.operation",
    "hookimpl": "xsm.contracts.hookspecs",
    "PLUGIN_API": "xsm.contracts.hookspecs",
    "Area": "xsm.contracts.source",
    "DataSource": "xsm.contracts.source",
    "SourceInfo": "xsm.contracts.source",
    "sources": "xsm.contracts.source",
    "fetch": "xsm.ops.fetch",
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
    "models": "xsm.contracts.model",
    "Bundle": "xsm.contracts.bundle",
    "BUNDLE_FORMAT": "xsm.contracts.bundle",
    "versions": "xsm.contracts.bundle",
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
    "open_raster": "xsm.io.raster",
    "raster_window": "xsm.io.raster",
    "plugins": "xsm.contracts.registry",
    "take": "xsm.data.grids",
    "grid_of": "xsm.data.grids",
    "add_history": "xsm.data.cf",
    "canonical_attrs": "xsm.data.cf",
    "drop_impossible": "xsm.data.cf",
    "NO_FLAG": "xsm.data.cf",
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


from xsm.faces import accessor as _accessor  # noqa: E402, F401
