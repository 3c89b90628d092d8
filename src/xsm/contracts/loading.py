"""Load plugins one by one, isolated from each other, into a `Manager`; the core's sources and models come the same way.

A plugin that fails to import, is written for another API number or registers a name that is taken is recorded and left
out. ``XSM_PLUGINS`` (only these), ``XSM_DISABLE_PLUGINS`` (all but these) and ``XSM_PLUGINS_STRICT=1`` (raise) change
that.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib.metadata import Distribution, EntryPoint, entry_points
from typing import Any, Literal

import pluggy

from xsm._version import __version__
from xsm.contracts import api1, hookspecs
from xsm.contracts.model import ModelInfo, with_memory
from xsm.contracts.operation import Operation
from xsm.contracts.registering import HOOKS, check_description, check_hooks, remarks, unmet
from xsm.contracts.source import SourceInfo
from xsm.contracts.tracing import reason
from xsm.data.cf import VARIABLES
from xsm.data.region import REGIONS
from xsm.data.roles import declare
from xsm.errors import LIBRARIES, MissingPlugin, XsmError, tell, unknown

log = logging.getLogger("xsm")
DEFAULTS = ("xsm.contracts.defaults.tiny", "xsm.contracts.defaults.baseline")
BUILTIN = (
    "open", "fetch", "read", "example", "regrid", "gapfill", "cube", "fit", "estimate", "fuse", "swi", "climatology",
    "anomaly", "percentile", "drought", "rescale", "trend", "lag", "drydown", "at", "zonal", "to_daily", "texture",
    "validate", "triple_collocation", "matchup", "report", "plot_map", "plot_skill", "to_geotiff",
)  # fmt: skip
"""Modules of `xsm.ops`, each named after an operation of its own."""
KNOWN_PLUGINS = {
    "smap": "xsm-smap", "smap_l4": "xsm-smap", "nldas": "xsm-nldas", "solus100": "xsm-solus100",
    "era5_land": "xsm-era5", "era5": "xsm-era5", "gldas": "xsm-gldas",
    "uscrn": "xsm-insitu", "scan": "xsm-insitu", "ismn": "xsm-insitu", "modis_landcover": "xsm-modis",
    "soilgrids": "xsm-soilgrids", "esa_cci_sm": "xsm-esa-cci", "ascat": "xsm-ascat",
    "cru": "xsm-cru", "convlstm": "xsm-convlstm", "lstm": "xsm-lstm", "boosting": "xsm-boosting",
    "trees": "xsm-fuse",
}  # fmt: skip
"""Which distribution brings which source or model; no other may take these names."""


@dataclass
class Plugin:
    """A plugin, whether it was loaded, and if not, why."""

    name: str
    module: str
    distribution: str = "xsm"
    version: str = ""
    status: Literal["ok", "blocked", "failed", "incompatible"] = "ok"
    reason: str = ""
    trace: str = ""
    api: int = hookspecs.PLUGIN_API
    registers: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class Manager:
    """What all plugins registered, by name, and the status of each plugin."""

    plugins: dict[str, Plugin] = field(default_factory=dict)
    sources: dict[str, SourceInfo] = field(default_factory=dict)
    models: dict[str, ModelInfo] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    owners: dict[tuple[str, str], str] = field(default_factory=dict)


@functools.cache
def manager() -> Manager:
    """Load all plugins once; ``manager.cache_clear()`` makes the next call load them again."""
    return load(_entry_points())


def load(points: Iterable[EntryPoint], *, strict: bool | None = None) -> Manager:
    """Load the default plugins and those of the entry points into a new manager.

    ``strict`` raises the first failure instead of recording it; by default ``XSM_PLUGINS_STRICT`` decides.
    """
    strict = os.environ.get("XSM_PLUGINS_STRICT") == "1" if strict is None else strict
    pm = pluggy.PluginManager("xsm")
    pm.add_hookspecs(hookspecs)
    loaded = Manager()
    for module in DEFAULTS:
        _load_one(pm, loaded, Plugin(module.rsplit(".", 1)[1], module, version=__version__), None, strict)
    for point in sorted(points, key=lambda p: not _is_ours(p)):
        dist = point.dist
        plugin = Plugin(point.name, point.value, dist.name if dist else "", dist.version if dist else "")
        if point.name in loaded.plugins:
            other = loaded.plugins[point.name]
            plugin.status, plugin.reason = "failed", f"the name is taken by {other.distribution} ({other.module})"
            loaded.plugins[f"{point.name} ({plugin.distribution})"] = plugin
            tell(f"The plugin '{plugin.name}' of {plugin.distribution} is left out: {plugin.reason}.")
        elif not _enabled(point.name):
            plugin.status, plugin.reason = "blocked", "by XSM_PLUGINS or XSM_DISABLE_PLUGINS"
            loaded.plugins[point.name] = plugin
        else:
            _load_one(pm, loaded, plugin, dist, strict)
    _tell_unknown(loaded)
    declare([info.parts for info in loaded.sources.values()], VARIABLES)
    name_regions(loaded)
    return loaded


def name_regions(loaded: Manager) -> None:
    """Add the regions that sources name; a name that is taken stays what it is."""
    for info in loaded.sources.values():
        REGIONS.update({name.lower(): box for name, box in info.regions.items() if name.lower() not in REGIONS})


def _is_ours(point: EntryPoint) -> bool:
    return point.dist is not None and _plain(point.dist.name.lower()) in map(_plain, KNOWN_PLUGINS.values())


def _tell_unknown(loaded: Manager) -> None:
    """Warn of names in the environment variables that no plugin has."""
    for variable in ("XSM_PLUGINS", "XSM_DISABLE_PLUGINS"):
        for name in sorted((_names(variable) or set()) - {p.name for p in loaded.plugins.values()}):
            tell(f"{variable}: {unknown('plugin', name, {p.name for p in loaded.plugins.values()})}")


def load_factory(factory: str, what: str, requires: Iterable[str] = ()) -> Any:
    """Import ``"module:Class"`` and call it; a missing dependency becomes `MissingPlugin`."""
    absent = [m for m in requires if not _is_there(m)]
    if absent:
        raise MissingPlugin(f"The {what} needs {', '.join(absent)}.", hint=f"pip install {' '.join(absent)}")
    module, _, name = factory.partition(":")
    try:
        return getattr(importlib.import_module(module), name)()
    except XsmError:
        raise
    except ImportError as error:
        raise MissingPlugin(f"The {what} cannot be loaded ({error}).", hint="Install its dependencies.") from error
    except (Exception, SystemExit) as error:
        raise MissingPlugin(
            f"The {what} cannot be loaded ({reason(error, module)}).",
            hint="Update its plugin, or report it to its authors.",
        ) from error


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the package of a dotted name
        return False


def _load_one(
    pm: pluggy.PluginManager, loaded: Manager, plugin: Plugin, dist: Distribution | None, strict: bool
) -> None:
    loaded.plugins[plugin.name] = plugin
    try:
        known, start = set(sys.modules), time.thread_time()
        module = importlib.import_module(plugin.module)
        seconds = time.thread_time() - start
        LIBRARIES.add(module.__package__ or plugin.module)
        plugin.api = getattr(module, "XSM_PLUGIN_API", hookspecs.PLUGIN_API)
        if plugin.api not in (api1.API, hookspecs.PLUGIN_API):
            plugin.status = "incompatible"
            plugin.reason = (
                f"written for plugin API {plugin.api!r}, this xsm has {hookspecs.PLUGIN_API}: update one of them, or "
                f"correct XSM_PLUGIN_API in {module.__file__}"
            )
            return
        check_hooks(module)
        pm.register(module, plugin.name)
        pm.check_pending()
        for hook, kind in HOOKS.items():
            plugin.registers[kind] = []
            for impl in getattr(pm.hook, hook).get_hookimpls():
                if impl.plugin_name == plugin.name:
                    impl.function(*(_registrar(loaded, plugin, kind) for _ in impl.argnames))
        notes = [api1.REASON] if plugin.api == api1.API else []
        notes += remarks(module, seconds, set(sys.modules) - known, dist)
        plugin.reason = "; ".join(notes if any(plugin.registers.values()) else [*notes, "registers nothing"])
    except BaseException as error:  # an exit of a plugin must not be that of xsm
        if strict and isinstance(error, Exception):
            raise
        if strict:
            raise XsmError(f"The plugin '{plugin.name}' failed: {reason(error, plugin.module)}.") from error
        plugin.status, plugin.reason, plugin.trace = "failed", reason(error, plugin.module), traceback.format_exc()
        if missing := unmet(dist):
            plugin.reason += f"; needs {', '.join(missing)}"
        _withdraw(loaded, plugin)
        if pm.get_plugin(plugin.name) is not None:
            pm.unregister(name=plugin.name)
        log.warning("plugin '%s' (%s) failed and is left out: %s", plugin.name, plugin.distribution, plugin.reason)


def _registrar(loaded: Manager, plugin: Plugin, kind: str) -> Callable[[Any], None]:
    registry: dict[str, Any] = getattr(loaded, kind)

    def register(item: Any) -> None:
        name = check_description(item, kind)
        owners = loaded.owners | ({("operations", n): "xsm" for n in builtin()} if kind == "operations" else {})
        brings = KNOWN_PLUGINS.get(name) if kind != "operations" else None
        if brings and plugin.distribution and _plain(plugin.distribution.lower()) != _plain(brings):
            tell(f"The {kind[:-1]} '{name}' of {plugin.distribution} is left out: the name belongs to {brings}.")
            raise XsmError(f"the {kind[:-1]} '{name}' belongs to {brings}, and no other plugin may provide it.")
        owner = next((o for (k, n), o in owners.items() if k == kind and _plain(n) == _plain(name)), None)
        if owner is not None:
            raise XsmError(f"{kind[:-1]} '{name}' of plugin '{plugin.name}' is already registered by '{owner}'.")
        registry[name] = with_memory(item) if kind == "models" else item
        loaded.owners[kind, name] = plugin.name
        plugin.registers[kind].append(name)

    return register


def _plain(name: str) -> str:
    """A name as in the ids of QGIS, which have no underscore."""
    return name.replace("_", "").replace("-", "")


def _withdraw(loaded: Manager, plugin: Plugin) -> None:
    for kind, names in plugin.registers.items():
        for name in names:
            getattr(loaded, kind).pop(name, None)
            loaded.owners.pop((kind, name), None)
    plugin.registers = {}


def _names(variable: str) -> set[str] | None:
    value = os.environ.get(variable)
    return None if value is None else {n.strip() for n in value.split(",") if n.strip()}


def _enabled(name: str) -> bool:
    only, without = _names("XSM_PLUGINS"), _names("XSM_DISABLE_PLUGINS") or set()
    return (only is None or name in only) and name not in without


def _entry_points() -> list[EntryPoint]:
    return sorted(entry_points(group="xsm"), key=lambda p: p.name)


def builtin() -> dict[str, Operation]:
    """Return the core's own operations by id."""
    by_id = {}
    for name in BUILTIN:
        module = importlib.import_module(f"xsm.ops.{name}")
        for value in vars(module).values():
            op = getattr(value, "operation", None)
            if isinstance(op, Operation) and value.__module__ == module.__name__:
                by_id[op.id] = op
    return by_id
