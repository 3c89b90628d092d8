"""The bundles that are shipped with xsm: most trained on the synthetic twin, one on real stations."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from xsm.contracts.bundle import Bundle
from xsm.errors import DataError, render_hint, tell

STATIONS = "uscrn-depth"
"""The bundle that was trained on real stations (`tools/train_uscrn.py`)."""
NAMES = {
    "gapfill": {"pretrained": "gapfill"},
    "fuse": {"pretrained": "fuse"},
    "estimate": {n: n for n in ("5-1", "5-2", "25-1", "25-2", STATIONS)},
}
"""The shipped bundles of each task, by the name that users write."""


def shipped(name: str) -> Bundle:
    """Load a shipped bundle by the name of its folder, such as ``"5-1"``, ``"gapfill"`` or ``"fuse"``."""
    folder = Path(str(files("xsm"))) / "_bundles" / name
    if not folder.is_dir():
        raise DataError(f"This xsm has no shipped bundle '{name}'.", hint="Train one with <fit()>.")
    return Bundle.load(folder)


def shipped_name(model: Any, task: str) -> str:
    """Name of the shipped bundle that a ``model`` argument stands for; empty for other models."""
    return NAMES[task].get(model, "") if isinstance(model, str) else ""


def load_bundle(model: Any, task: str) -> Bundle:
    """The bundle that a ``model`` argument stands for: itself, a shipped one or a folder; one of another task stops."""
    name = shipped_name(model, task)
    bundle = model if isinstance(model, Bundle) else shipped(name) if name else Bundle.load(Path(model))
    if bundle.card["task"] != task:
        raise DataError(f"The bundle is for '{bundle.card['task']}', expected '{task}'.", hint="See `xsm inspect`.")
    return bundle


def warn_of_shipped(model: Any, task: str) -> None:
    """Warn that a bundle is a shipped one; called after it was used, so that errors come without the warning."""
    name = shipped_name(model, task)
    if name == STATIONS:
        tell(
            f"The shipped model '{name}' was trained at stations of USCRN in CONUS (points, 5 cm measured); for "
            "cells, for an estimate of 5 cm and elsewhere its skill is not known: see its card."
        )
    elif name:
        tell(
            f"The shipped model '{name}' was trained on synthetic data and is for trying things out; "
            + render_hint("train your own with <fit()> before you use estimates.")
        )
