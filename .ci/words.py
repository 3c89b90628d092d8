"""Names that say how a value came about and not what it is; `make lint` allows none of them.

    python .ci/words.py FOLDER...

A name is a variable, a parameter, a field, a function or a class; its parts count too (``own_x``), but in tests the
functions named ``test_...`` are sentences.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

BANNED = {"told", "made", "found", "held", "own", "given", "asked", "chosen", "seen", "used"}


def names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every name that a module binds, with its line."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.arg(arg=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.alias(asname=str(name)):
                yield node.lineno, name
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield node.lineno, name


def main(folders: list[str]) -> int:
    """Print each banned name and return how many there are, at most 1 as an exit code."""
    files = sorted(path for folder in folders for path in Path(folder).rglob("*.py"))
    lines = [
        f"{path}:{line}: '{name}' says how the value came about; name what it is"
        for path in files
        for line, name in names(ast.parse(path.read_text(encoding="utf-8")))
        if not name.startswith("test_") and not BANNED.isdisjoint(name.lower().split("_"))
    ]
    print(*lines, sep="\n", end="\n" if lines else "")
    return min(len(lines), 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
