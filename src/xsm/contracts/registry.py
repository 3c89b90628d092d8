"""Find, isolate and register plugins; every built-in source and model comes in by the same hooks.

A plugin that fails to import, asks for another API number or registers a taken name is recorded and skipped.
``XSM_PLUGINS`` (only these), ``XSM_DISABLE_PLUGINS`` (all but these) and ``XSM_PLUGINS_STRICT=1`` (raise) steer it.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import json
import logging
import os
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

import pluggy

from xsm.contracts import hookspecs
from xsm.contracts.model import Model, ModelInfo, Task
from xsm.contracts.operation import Operation
from xsm.contracts.source import DataSource, SourceInfo
from xsm.errors import LIBRARIES, MissingPlugin, UsageError, XsmError, unknown

log = logging.getLogger("xsm")
DEFAULTS = ("xsm.contracts.defaults.tiny", "xsm.contracts.defaults.baseline")
HOOKS = {"xsm_sources": "sources", "xsm_models": "models", "xsm_operations": "operations"}


@dataclass
class Plugin:
    """One plugin and what became of it."""

    name: str
    module: str
    distribution: str = "xsm"
    version: str = ""
    status: Literal["ok", "blocked", "failed", "incompatible"] = "ok"
    reason: str = ""
    trace: str = ""
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
    """Load all plugins once; ``manager.cache_clear()`` makes the next call load them anew."""
    return load(_entry_points())


def plugins() -> dict[str, Plugin]:
    """Return every plugin by name with its status, version and what it registers.

    Returns
    -------
    dict of str to Plugin

    Examples
    --------
    >>> import xsm
    >>> xsm.plugins()["tiny"].status
    'ok'
    """
    return dict(manager().plugins)


def load(points: Iterable[EntryPoint], *, strict: bool | None = None) -> Manager:
    """Load the default plugins and those of the entry points into a new manager.

    Parameters
    ----------
    points : iterable of EntryPoint
        Entry points of the group ``xsm``.
    strict : bool, optional
        Raise the first failure instead of recording it; default from ``XSM_PLUGINS_STRICT``.
    """
    strict = os.environ.get("XSM_PLUGINS_STRICT") == "1" if strict is None else strict
    pm = pluggy.PluginManager("xsm")
    pm.add_hookspecs(hookspecs)
    found = Manager()
    for module in DEFAULTS:
        _load_one(pm, found, Plugin(module.rsplit(".", 1)[1], module), strict)
    for point in points:
        dist = point.dist
        plugin = Plugin(point.name, point.value, dist.name if dist else "", dist.version if dist else "")
        if point.name in found.plugins:
            other = found.plugins[point.name]
            plugin.status, plugin.reason = "failed", f"the name is taken by {other.distribution} ({other.module})"
            found.plugins[f"{point.name} ({plugin.distribution})"] = plugin
        elif not _wanted(point.name):
            plugin.status, plugin.reason = "blocked", "by XSM_PLUGINS or XSM_DISABLE_PLUGINS"
            found.plugins[point.name] = plugin
        else:
            _load_one(pm, found, plugin, strict)
    return found


def load_factory(factory: str, what: str, requires: Iterable[str] = ()) -> Any:
    """Import ``"module:Class"`` and make it; a missing dependency becomes `MissingPlugin`."""
    absent = [m for m in requires if importlib.util.find_spec(m) is None]
    if absent:
        raise MissingPlugin(f"The {what} needs {', '.join(absent)}.", hint=f"pip install {' '.join(absent)}")
    module, _, name = factory.partition(":")
    try:
        return getattr(importlib.import_module(module), name)()
    except ImportError as error:
        raise MissingPlugin(f"The {what} cannot be loaded ({error}).", hint="Install its dependencies.") from error


def _load_one(pm: pluggy.PluginManager, found: Manager, plugin: Plugin, strict: bool) -> None:
    found.plugins[plugin.name] = plugin
    try:
        module = importlib.import_module(plugin.module)
        LIBRARIES.add(plugin.module)
        api = getattr(module, "XSM_PLUGIN_API", hookspecs.PLUGIN_API)
        if api != hookspecs.PLUGIN_API:
            plugin.status = "incompatible"
            plugin.reason = f"made for plugin API {api}, this xsm has {hookspecs.PLUGIN_API}: update one of them"
            return
        pm.register(module, plugin.name)
        pm.check_pending()
        for hook, kind in HOOKS.items():
            plugin.registers[kind] = []
            for impl in getattr(pm.hook, hook).get_hookimpls():
                if impl.plugin_name == plugin.name:
                    _call(impl, _registrar(found, plugin, kind))
    except Exception as error:
        if strict:
            raise
        plugin.status, plugin.reason, plugin.trace = "failed", _reason(error), traceback.format_exc()
        _withdraw(found, plugin)
        if pm.get_plugin(plugin.name) is not None:
            pm.unregister(name=plugin.name)
        log.warning("plugin '%s' (%s) failed and is left out: %s", plugin.name, plugin.distribution, plugin.reason)


def _call(impl: Any, register: Callable[[Any], None]) -> None:
    impl.function(*(register for _ in impl.argnames))


def _registrar(found: Manager, plugin: Plugin, kind: str) -> Callable[[Any], None]:
    registry: dict[str, Any] = getattr(found, kind)

    def register(item: Any) -> None:
        name = item.id if kind == "operations" else item.name
        owners = found.owners | ({("operations", n): "xsm" for n in builtin()} if kind == "operations" else {})
        owner = next((o for (k, n), o in owners.items() if k == kind and _plain(n) == _plain(name)), None)
        if owner is not None:
            raise XsmError(f"{kind[:-1]} '{name}' of plugin '{plugin.name}' is already registered by '{owner}'.")
        registry[name] = item
        found.owners[kind, name] = plugin.name
        plugin.registers[kind].append(name)

    return register


def _plain(name: str) -> str:
    """A name as in the ids of QGIS, which have no underscore."""
    return name.replace("_", "")


def _withdraw(found: Manager, plugin: Plugin) -> None:
    for kind, names in plugin.registers.items():
        for name in names:
            getattr(found, kind).pop(name, None)
            found.owners.pop((kind, name), None)
    plugin.registers = {}


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".split("\n")[0]


def _names(variable: str) -> set[str] | None:
    value = os.environ.get(variable)
    return None if value is None else {n.strip() for n in value.split(",") if n.strip()}


def _wanted(name: str) -> bool:
    only, without = _names("XSM_PLUGINS"), _names("XSM_DISABLE_PLUGINS") or set()
    return (only is None or name in only) and name not in without


def _entry_points() -> list[EntryPoint]:
    return sorted(entry_points(group="xsm"), key=lambda p: p.name)


KNOWN_PLUGINS = {
    "smap": "xsm-smap",
    "smap_l4": "xsm-smap",
    "nldas": "xsm-nldas",
    "solus100": "xsm-solus100",
    "uscrn": "xsm-insitu",
    "scan": "xsm-insitu",
    "ismn": "xsm-insitu",
    "modis_landcover": "xsm-modis",
    "cru": "xsm-cru",
    "convlstm": "xsm-convlstm",
    "lstm": "xsm-lstm",
    "boosting": "xsm-boosting",
}
"""Which distribution brings which source or model, for the message when it is not installed."""


def sources() -> Mapping[str, SourceInfo]:
    """Return the descriptions of all registered data sources by name.

    Returns
    -------
    mapping of str to SourceInfo

    Examples
    --------
    >>> import xsm
    >>> xsm.sources()["tiny"].variables
    ('soil_moisture',)
    """
    from xsm.contracts.registry import manager

    return manager().sources


def get_source(name: str) -> DataSource:
    """Make the data source of a name, or say which plugin brings it."""
    from xsm.contracts.registry import load_factory

    known = sources()
    if name not in known:
        raise missing_or_unknown("source", name, known)
    info = known[name]
    return load_factory(info.factory, f"source '{name}'", info.requires)


def missing_or_unknown(kind: str, name: str, known: Mapping[str, Any]) -> Exception:
    """Tell a plugin that is not installed from a misspelt name."""
    if name in KNOWN_PLUGINS:
        dist = KNOWN_PLUGINS[name]
        return MissingPlugin(
            f"The {kind} '{name}' needs the plugin {dist}, which is not installed or not enabled.",
            hint=f"Install {dist} (see `xsm plugins` for those that failed or are blocked).",
        )
    return unknown(kind, name, known)


def models() -> Mapping[str, ModelInfo]:
    """Return the descriptions of all registered models by name.

    Returns
    -------
    mapping of str to ModelInfo

    Examples
    --------
    >>> import xsm
    >>> xsm.models()["ridge"].task
    'estimate'
    """
    from xsm.contracts.registry import manager

    return manager().models


def model_info(name: str, task: Task | None = None) -> ModelInfo:
    """What a model says of itself, or an error that tells which plugin brings it; imports nothing of it."""
    known = {n: i for n, i in models().items() if task is None or i.task == task}
    if name not in known:
        if name in models():
            raise UsageError(
                f"The model '{name}' is for the task '{models()[name].task}', wanted one for '{task}'.",
                hint=f"Choose one of {', '.join(sorted(known))}.",
            )
        raise missing_or_unknown("model", name, known)
    return known[name]


def get_model(name: str, task: Task | None = None) -> Model:
    """Make the model of a name, or say which plugin brings it."""
    from xsm.contracts.registry import load_factory

    info = model_info(name, task)
    return load_factory(info.factory, f"model '{name}'", info.requires)


BUILTIN = (
    "open", "fetch", "example", "regrid", "gapfill", "cube", "fit", "estimate", "texture", "validate",
    "triple_collocation", "report", "plot_map", "plot_skill",
)  # fmt: skip
"""Modules of `xsm.ops`, each named after an operation of its own."""


def builtin() -> dict[str, Operation]:
    """Return the core's own operations by id."""
    found = {}
    for name in BUILTIN:
        module = importlib.import_module(f"xsm.ops.{name}")
        for value in vars(module).values():
            op = getattr(value, "operation", None)
            if isinstance(op, Operation) and value.__module__ == module.__name__:
                found[op.id] = op
    return found


def operations() -> dict[str, Operation]:
    """Return every operation by id, those of plugins included.

    Returns
    -------
    dict of str to Operation

    Examples
    --------
    >>> import xsm
    >>> xsm.operations()["estimate"].title
    'Estimate soil moisture'
    """
    from xsm.contracts.registry import manager

    return builtin() | {op.id: op for op in manager().operations.values()}


def get_operation(name: str) -> Operation:
    """Return an operation by id; dashes count as underscores."""
    known = operations()
    key = name.replace("-", "_")
    if key not in known:
        raise unknown("operation", name, known)
    return known[key]


def describe(ops: Mapping[str, Operation] | None = None) -> dict[str, Any]:
    """Describe operations as JSON types, with the digest that tells two descriptions apart."""
    described = [op.to_json() for op in (builtin() if ops is None else ops).values()]
    text = json.dumps(described, sort_keys=True)
    return {"operations": described, "digest": hashlib.sha256(text.encode()).hexdigest()}
