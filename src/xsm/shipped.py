"""The bundles that come with xsm; trained on the synthetic twin, for trying things out."""

from __future__ import annotations

import warnings
from importlib.resources import files
from pathlib import Path

from xsm.bundle import Bundle
from xsm.errors import DataError
from xsm.faces import spoken


def shipped(name: str) -> Bundle:
    """Load a shipped bundle (``"5-1"``, ``"5-2"``, ``"25-1"``, ``"25-2"``, ``"gapfill"``) and warn what it is."""
    folder = Path(str(files("xsm"))) / "_bundles" / name
    if not folder.is_dir():
        raise DataError(f"No bundle '{name}' comes with this xsm.", hint="Train one with <fit()>.")
    warnings.warn(
        f"The shipped bundle '{name}' was trained on synthetic data (the twin) and is for trying things out; "
        + spoken("train your own with <fit()> before you use estimates."),
        stacklevel=5,
    )
    return Bundle.load(folder)
