"""The page of the explorer: its HTML, style and scripts, as they are served or all in one file."""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Mapping
from importlib.resources import files

from xsm.errors import UsageError

NONCE = "NONCE"
MODULES = ("colours", "source", "map", "chart", "panel", "save", "main")
"""Scripts by the names under which they import each other."""
SCRIPTS = {f"xsm/{name}": f"./{name}.js" for name in MODULES}
SELF_CONTAINED = (
    "default-src 'none'; script-src 'unsafe-inline' data:; style-src 'unsafe-inline'; img-src blob: data:; "
    "connect-src data:; base-uri 'none'; form-action 'none'"
)


@functools.cache
def part(name: str) -> str:
    """Text of a file of the page."""
    if name not in {"index.html", "style.css", *(f"{m}.js" for m in MODULES)}:
        raise UsageError(f"The page has no part '{name}'.", hint="Reload the page.")
    return (files("xsm") / "explorer" / "page" / name).read_text(encoding="utf-8")


def html(scripts: Mapping[str, str], *, nonce: str = "", style: str = "", head: str = "") -> str:
    """The page with the addresses of its scripts; its style is in the text or else in a file beside it."""
    look = f"<style>{style}</style>" if style else '<link rel="stylesheet" href="style.css">'
    imports = _in_script(json.dumps({"imports": dict(scripts)}))
    quoted = f' nonce="{nonce}"' if nonce else ""
    head = f'{look}{head}<script type="importmap"{quoted}>{imports}</script>'
    head += f'<script type="module"{quoted}>import "xsm/main";</script>'
    return part("index.html").replace("<!-- head -->", head)


def whole(data: str) -> str:
    """The page in one file, with data as JSON that its scripts read instead of asking a server."""
    scripts = {f"xsm/{m}": f"data:text/javascript;base64,{base64.b64encode(part(f'{m}.js').encode()).decode()}"
               for m in MODULES}  # fmt: skip
    policy = f'<meta http-equiv="Content-Security-Policy" content="{SELF_CONTAINED}">'
    embedded = f'<script type="application/json" id="data">{_in_script(data)}</script>'
    return html(scripts, style=part("style.css"), head=policy + embedded)


def _in_script(text: str) -> str:
    """JSON that ends no element of HTML."""
    return text.replace("<", "\\u003c")
