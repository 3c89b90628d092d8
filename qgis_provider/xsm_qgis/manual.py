"""A page of help for each algorithm, from its description: shipped with the plugin, complete without a network."""

from __future__ import annotations

import os
import pathlib
from html import escape

from . import parameters

STYLE = (
    "body{font-family:sans-serif;max-width:60em;margin:2em auto;line-height:1.4}td,th{text-align:left;"
    "vertical-align:top;padding:.3em .8em .3em 0}code{background:#eee;padding:.1em .3em}"
)


def url(operation, algorithm_id, folder):
    """Write the page of an operation into a folder; returns its address."""
    path = os.path.join(folder, f"{operation['id']}.html")
    os.makedirs(folder, exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(page(operation, algorithm_id))
    return pathlib.Path(path).as_uri()


def page(operation, algorithm_id):
    """The page: what the algorithm does, each parameter with its limits, and its call from a shell."""
    rows = "".join(
        f"<tr><td><b>{escape(param['label'])}</b><br><code>{escape(', '.join(parameters.names(param)))}</code></td>"
        f"<td>{escape(parameters.help_of(param))} {escape(limits(param))}</td></tr>"
        for param in operation["params"]
    )
    needed = " ".join(f"{param['name'].upper()}=..." for param in operation["params"] if param["required"])
    return (
        f'<!DOCTYPE html><html><head><meta charset="utf-8"><title>{escape(operation["title"])}</title><style>{STYLE}'
        f"</style></head><body><h1>{escape(operation['title'])}</h1><p>{escape(operation['summary'])}</p><table>{rows}"
        f"</table><h2>From a shell</h2><p><code>qgis_process run {escape(algorithm_id)} -- {escape(needed)} OUTPUT=..."
        "</code></p></body></html>"
    )


def limits(param):
    """Default, choices and range of a parameter as a sentence."""
    unit = f" {param['unit']}" if param.get("unit") else ""
    low, high, default = param.get("minimum"), param.get("maximum"), param.get("default")
    parts = ["Required."] if param["required"] else []
    if param.get("choices"):
        parts.append(f"One of {', '.join(str(choice) for choice in param['choices'])}.")
    if low is not None or high is not None:
        ends = [f"at {word} {end:g}" for word, end in (("least", low), ("most", high)) if end is not None]
        parts.append(f"{' and '.join(ends).capitalize()}{unit}.")
    if default not in (None, "", [], False):
        text = ", ".join(str(v) for v in default) if isinstance(default, (list, tuple)) else str(default)
        parts.append(f"Default: {text}.")
    return " ".join(parts)
