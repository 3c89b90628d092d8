"""Look up by name what plugins registered, and describe it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from xsm.contracts import api1
from xsm.contracts.loading import KNOWN_PLUGINS, Plugin, builtin, load_factory, manager
from xsm.contracts.model import Model, ModelInfo, Task
from xsm.contracts.operation import Operation
from xsm.contracts.source import DataSource, SourceInfo
from xsm.contracts.tracing import line_of, reason
from xsm.data.roles import part_by_name
from xsm.errors import MissingPlugin, UsageError, XsmError, unknown


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
    return manager().sources


def source_info(name: str) -> SourceInfo:
    """Return the description of a data source, or say which plugin brings it; the source itself is not imported."""
    known = sources()
    if name not in known:
        raise missing_or_unknown("source", name, known)
    return known[name]


def roles_of(name: str) -> dict[str, str]:
    """Roles of the variables of a data source, as it declares them or as their names say; empty where neither does."""
    info = source_info(name)
    return {n: info.roles.get(n, "") or part_by_name(n).role for n in info.variables}


def get_source(name: str) -> DataSource:
    """Return the data source of a name, or say which plugin brings it."""
    info = source_info(name)
    source = load_factory(info.factory, f"source '{name}'", info.requires)
    if not isinstance(source, DataSource):
        raise UsageError(
            f"The source '{name}' ({info.factory}) lacks info, identify or open.", hint="Report it to its authors."
        )
    return api1.adapt(source) if api1.is_written_for(source) else source


def missing_or_unknown(kind: str, name: str, known: Mapping[str, Any]) -> Exception:
    """Make the error for a name that is not registered: its plugin is not installed, or it is misspelt."""
    if name in KNOWN_PLUGINS:
        dist = KNOWN_PLUGINS[name]
        return MissingPlugin(
            f"The {kind} '{name}' needs the plugin {dist}, which is not installed or not enabled.",
            hint=f"Install {dist} (see `xsm plugins` for those that failed or are blocked).",
        )
    return unknown(kind, name, known)


def plugin_error(error: BaseException) -> XsmError | None:
    """The error of a plugin as a sentence that names the plugin, file and line; None for one of xsm itself."""
    for plugin in manager().plugins.values():
        if plugin.distribution != "xsm" and line_of(error, plugin.module):
            return XsmError(
                f"The plugin '{plugin.name}' failed: {reason(error, plugin.module)}.",
                hint=f"Report it to the authors of {plugin.distribution or plugin.module}, with the traceback.",
            )
    return None


def providers(names: Iterable[str]) -> list[str]:
    """Names of the sources that have one of some variables, sorted."""
    return sorted(info.name for info in sources().values() if set(names) & set(info.variables))


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
    return manager().models


def model_info(name: str, task: Task | None = None) -> ModelInfo:
    """Return the description of a model, or say which plugin brings it; the model itself is not imported."""
    known = {n: i for n, i in models().items() if task is None or i.task == task}
    if name not in known:
        if name in models():
            raise UsageError(
                f"The model '{name}' is for the task '{models()[name].task}', expected one for '{task}'.",
                hint=f"Choose one of {', '.join(sorted(known))}.",
            )
        raise missing_or_unknown("model", name, known)
    return known[name]


def get_model(name: str, task: Task | None = None) -> Model:
    """Return the model of a name, or say which plugin brings it."""
    info = model_info(name, task)
    return load_factory(info.factory, f"model '{name}'", info.requires)


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
