"""The synthetic world: a known truth, the instruments that observe it and the files that they would write.

Storms, soils, vegetation and a layered water balance give the truth; tau-omega brightness temperatures over the
36 km footprint, orbits and retrievals give SMAP, a land model with errors gives NLDAS, sensors with errors give the
stations. All error sizes are in `xsm.twin.errors_model`. Nothing here is an observation, and every dataset says so in
its attributes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xsm import _lazy

if TYPE_CHECKING:
    from xsm.data.netcdf_lock import NETCDF
    from xsm.twin.errors_model import Errors, Hard, HardErrors
    from xsm.twin.retrieval import brightness, retrieve
    from xsm.twin.world import World, default_grid, make_world
    from xsm.twin.write import write_world

_PUBLIC = {
    "NETCDF": "xsm.data.netcdf_lock",
    "Errors": "xsm.twin.errors_model",
    "Hard": "xsm.twin.errors_model",
    "HardErrors": "xsm.twin.errors_model",
    "World": "xsm.twin.world",
    "brightness": "xsm.twin.retrieval",
    "default_grid": "xsm.twin.world",
    "make_world": "xsm.twin.world",
    "retrieve": "xsm.twin.retrieval",
    "write_world": "xsm.twin.write",
}
__all__ = [
    "NETCDF",
    "Errors",
    "Hard",
    "HardErrors",
    "World",
    "brightness",
    "default_grid",
    "make_world",
    "retrieve",
    "write_world",
]


def __getattr__(name: str) -> Any:
    return _lazy.load(__name__, _PUBLIC, name)
