"""One form for each data source, with the source's own options, in addition to the general form of ``open``."""

from __future__ import annotations

import re

HINTS = {
    ("open", "source"): "sources",
    ("fetch", "source"): "sources",
    ("gapfill", "method"): "models",
    ("fit", "model"): "models",
}
"""Parameters that name a source or a model; the forms suggest those that the environment has."""
DEFAULTS = {("gapfill", "variables"): "retrieval", ("gapfill_cru", "variables"): "retrieval"}
"""Values that the forms begin with, so that a run ends soon: the satellite's soil moisture alone."""
FEATURES = {("zonal", "regions"): "polygons", ("at", "points"): "places"}
"""Files of features, which are layers in QGIS."""


def operations(description):
    """Operations of a description: those of the core, and ``open`` once more for each known source."""
    all_operations = [_hinted(operation, description) for operation in description["operations"]]
    general = [operation for operation in all_operations if operation["id"] == "open"]
    sources = description.get("sources", {})
    return all_operations + [_of_source(o, name, sources[name]) for o in general for name in sources]


def request(operation, values):
    """Name of the core's operation, and its values from those of a form."""
    source = operation.get("source")
    if source is None:
        return operation["id"], values
    options = {name: values[name] for name in source["options"] if name in values}
    others = {name: value for name, value in values.items() if name not in options}
    return "open", {**others, "source": source["name"], "options": options}


def _of_source(operation, name, source):
    title = re.split(r" \(|, |: ", source["title"])[0]
    taken = [p for p in operation["params"] if p["name"] not in ("source", "options")]
    return {
        **operation,
        "id": f"open_{name}",
        "title": f"Open {title}",
        "group": "Open a product",
        "summary": f"{source['title']}. {operation['summary']}",
        "params": [*taken, *source["options"]],
        "source": {"name": name, "title": title, "options": [p["name"] for p in source["options"]]},
    }


def _hinted(operation, description):
    params, option_help = [], ""
    options_of = "fetch_options" if operation["id"] == "fetch" else "options"
    for param in operation["params"]:
        known = description.get(HINTS.get((operation["id"], param["name"])), {})
        fitting = [n for n, info in known.items() if operation["id"] != "gapfill" or info["task"] == "gapfill"]
        kind = FEATURES.get((operation["id"], param["name"]), param["kind"])
        default = DEFAULTS.get((operation["id"], param["name"]), param["default"])
        params.append({**param, "kind": kind, "default": default, **({"choices": fitting} if fitting else {})})
        for name in fitting:
            options = ", ".join(option["name"] for option in known[name].get(options_of, ()))
            option_help += f" {name}: {options}." if options else ""
    return {**operation, "params": [_with_help(p, option_help) if p["kind"] == "options" else p for p in params]}


def _with_help(param, more):
    return {**param, "help": param["help"] + more}
