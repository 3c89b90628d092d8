"""Model bundles: ``weights.safetensors`` and ``card.json`` in a folder, read without torch.

The entries of a card and the rules for bundles: "Bundles" among the decisions of the documentation.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xsm.atomic import fresh
from xsm.contracts import cards
from xsm.errors import DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BUNDLE_FORMAT = 1
MAX_BYTES = 2 * 1024**3
WRITTEN = "hash"
"""Entry of a written card beside `CARD_KEYS`: `Bundle.hash` when it was written."""
CARD_KEYS = {
    "format", "task", "model", "depth", "scenario", "inputs", "statics", "targets", "references", "units",
    "options", "normalisation", "block", "grid", "training", "validation", "history", "metrics", "sources", "synthetic",
    "seed", "versions", "licence", "limits", "surface", "spread", "fallback",
}  # fmt: skip
REQUIRED = {"format", "task", "model", "inputs", "targets", "units"}
OF_ESTIMATES = {"depth", "scenario", "statics", "options"}
"""Further entries that cards of the task ``estimate`` need."""
NAMES, MAPPINGS = ("inputs", "statics", "targets", "references"), ("units", "options", "normalisation", "block", "grid",
           "training", "validation", "metrics", "spread", "versions", "fallback")  # fmt: skip
"""Entries of a card that list names, and those that are mappings (``grid`` may also be None)."""

NUMBERS, POSITIVE = ("spread", "normalisation", "block", "fallback"), ("factor", "spread_scale")
"""Entries whose numbers an estimate is made with, and names of factors in them."""
LARGEST, FEWEST_BYTES = 1e12, 64
"""Largest weight; fewest bytes of a weight that is not an array of floats."""


@dataclass(frozen=True)
class Bundle:
    """A trained model: its description (card), its weights, and for 25 cm scenario 2 the surface bundle that feeds it.

    Parameters
    ----------
    card : mapping
        JSON types only; see `CARD_KEYS`.
    weights : mapping of str to ndarray
        Plain arrays by name.
    surface : Bundle, optional
        The 5 cm bundle whose estimates are a predictor of this one.

    Examples
    --------
    >>> card = {"format": 1, "task": "gapfill", "model": "mine", "inputs": ["tb_h"], "targets": ["tb_h"],
    ...         "units": {"tb_h": "K"}}
    >>> bundle = Bundle(card, {"mean": np.array([240.0])})
    >>> Bundle.load(bundle.save("mine.xsm")).hash == bundle.hash
    True
    """

    card: Mapping[str, Any]
    weights: Mapping[str, np.ndarray]
    surface: Bundle | None = field(default=None)

    def __post_init__(self) -> None:
        if not isinstance(self.card, Mapping):
            raise DataError(
                f"The model card is of the type {type(self.card).__name__}, expected named entries.",
                hint="xsm did not write this card.",
            )
        expected = REQUIRED | (OF_ESTIMATES if self.card.get("task") == "estimate" else set())
        unknown_keys, missing = set(self.card) - CARD_KEYS, expected - set(self.card)
        if unknown_keys or missing:
            raise DataError(
                f"The model card has unknown keys {sorted(unknown_keys)} and lacks {sorted(missing)}.",
                hint="Train the bundle again with this version of xsm.",
            )
        if self.card["format"] != BUNDLE_FORMAT:
            raise DataError(
                f"The model bundle has format {self.card['format']}, this xsm reads format {BUNDLE_FORMAT}.",
                hint="Install the xsm version named in its card, or train it again.",
            )
        wrong = [k for k in NAMES if k in self.card and not _are_names(self.card[k])]
        mappings = {k: self.card[k] for k in MAPPINGS if k in self.card}
        wrong += [k for k, v in mappings.items() if not isinstance(v, Mapping) and (k, v) != ("grid", None)]
        wrong += ["targets"] if not self.card["targets"] else []
        if wrong:
            raise DataError(
                f"The model card has no usable {', '.join(dict.fromkeys(wrong))}.",
                hint="Get or train the bundle again.",
            )
        if infinite := [n for n, w in self.weights.items() if w.dtype.kind == "f" and not np.isfinite(w).all()]:
            raise DataError(
                f"The weights {', '.join(infinite[:3])} of the model bundle are NaN or infinite, expected numbers.",
                hint="Get or train it again.",
            )
        if strange := [n for n, w in self.weights.items() if not _is_usable(w)]:
            raise DataError(
                f"The weights {', '.join(strange[:3])} of the model bundle are not floats or exceed {LARGEST:.0e}.",
                hint="Get or train it again.",
            )
        if wrong := [f"{key}: {text}" for key in NUMBERS for text in _wrong_numbers(self.card.get(key))]:
            raise DataError(
                f"The model card has unusable numbers ({', '.join(wrong[:3])}).", hint="Get or train it again."
            )

    def __repr__(self) -> str:
        about = [str(self.card[k]) for k in ("model", "task")] + [f"for {', '.join(self.card['targets'])}"]
        if days := self.card.get("training", {}).get("days"):
            about.append(f"trained on {' to '.join(days)}")
        return f"<xsm.Bundle {self.hash}: {', '.join(about)}>"

    @property
    def hash(self) -> str:
        """Hash of weights and card (but the times in histories), also of the surface bundle; names the model."""
        card = re.sub(r'"\d{4}-\d\d-\d\dT[\d:]+Z ', '"', json.dumps(self.card, sort_keys=True))
        digest = hashlib.sha256(card.encode())
        for name in sorted(self.weights):
            digest.update(name.encode() + np.ascontiguousarray(self.weights[name]).tobytes())
        if self.surface is not None:
            digest.update(self.surface.hash.encode())
        return digest.hexdigest()[:16]

    @property
    def trained_on(self) -> str:
        """Periods of the training days, such as ``"2018-01-01 to 2020-12-31"``; empty if the card does not say."""
        training = self.card.get("training") or {}
        return ", ".join(training.get("periods") or [" to ".join(training.get("days") or ())])

    def describe(self) -> str:
        """Return the card as text for people (Markdown)."""
        return cards.text(self._chain())

    def _chain(self) -> list[tuple[Mapping[str, Any], str]]:
        return [(self.card, self.hash), *(self.surface._chain() if self.surface else ())]

    def plot(self) -> Figure:
        """Draw the learning curve."""
        return cards.learning_curve(self.card)

    def save(self, path: str | Path) -> Path:
        """Write the bundle as a folder; an existing one is refused, and nothing is left half written.

        Parameters
        ----------
        path : str or Path
            The new folder.

        Returns
        -------
        Path
            The folder.
        """
        path = Path(path)
        if path.exists():
            raise DataError(f"'{path}' exists already.", hint="Choose another name or remove it first.")
        with fresh(path) as part:
            part.mkdir()
            self._write(part)
        return path

    def _write(self, folder: Path) -> None:
        from safetensors.numpy import save_file

        save_file({k: np.ascontiguousarray(v) for k, v in self.weights.items()}, folder / "weights.safetensors")
        card = {**self.card, WRITTEN: self.hash}
        (folder / "card.json").write_text(json.dumps(card, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        if self.surface is not None:
            (folder / "surface").mkdir()
            self.surface._write(folder / "surface")

    @classmethod
    def load(cls, path: str | Path) -> Bundle:
        """Read a bundle folder, after a check of its size.

        Parameters
        ----------
        path : str or Path
            The folder.

        Returns
        -------
        Bundle

        Raises
        ------
        DataError
            For what is not a bundle, damaged, changed after it was written, or of another format.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        path = Path(path)
        card, weights = path / "card.json", path / "weights.safetensors"
        if not (card.is_file() and weights.is_file()):
            raise DataError(
                f"'{path}' is not a model bundle.", hint="Expected a folder with card.json and weights.safetensors."
            )
        if weights.stat().st_size > MAX_BYTES or card.stat().st_size > 10_000_000:
            raise DataError(f"The model bundle '{path}' is larger than 2 GiB.", hint="xsm did not write this bundle.")
        try:
            content = json.loads(card.read_text(encoding="utf-8"))
            arrays = load_file(weights)
        except (ValueError, SafetensorError, OSError) as error:
            raise DataError(f"The model bundle '{path}' is damaged ({error}).", hint="Get or train it again.") from None
        fed = cls.load(path / "surface") if (path / "surface").is_dir() else None
        written = content.pop(WRITTEN, None) if isinstance(content, dict) else None
        bundle = cls(content, arrays, fed)
        if written not in (None, bundle.hash):
            raise DataError(
                f"The model bundle '{path}' was changed: its hash was {written}, now it is {bundle.hash}.",
                hint="Get or train it again.",
            )
        return bundle


def _is_usable(weight: np.ndarray) -> bool:
    """Whether a weight is of floats, a counter, or the bytes of a model in a format of its own (trees)."""
    if weight.dtype.kind in "iu" and weight.size == 1:
        return abs(int(weight.item())) <= LARGEST
    if weight.dtype == np.uint8 and weight.ndim == 1:
        return weight.size >= FEWEST_BYTES
    return weight.dtype.kind == "f" and (not weight.size or float(np.abs(weight).max()) <= LARGEST)


def _wrong_numbers(value: Any, name: str = "") -> Iterator[str]:
    """Numbers of an entry that are not finite or too large, and factors and spreads that cannot be."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _wrong_numbers(item, str(key))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _wrong_numbers(item, name)
    elif name in POSITIVE and (isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1000):
        yield f"{name} is {value!r}, expected more than 0 and at most 1000"
    elif isinstance(value, int | float) and not abs(value) <= LARGEST:
        yield f"{name} is {value!r}, expected at most {LARGEST:.0e}"
    elif name == "std" and isinstance(value, int | float) and value < 0:
        yield f"{name} is {value!r}, expected no less than 0"


def _are_names(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(v, str) for v in value)


def versions(*modules: str) -> dict[str, str]:
    """Versions of the distributions that a bundle was trained with.

    Parameters
    ----------
    *modules : str
        Distributions beside xsm and numpy.

    Returns
    -------
    dict of str to str

    Examples
    --------
    >>> sorted(versions("scipy"))
    ['numpy', 'scipy', 'xsm']
    """
    from importlib.metadata import version

    return {m: version(m) for m in ("xsm", "numpy", *modules)}


def spread_name(bundle: Bundle) -> str:
    """Name of the spread beside the estimate: ``..._std`` of the true value, ``..._reference_std`` of the reference.

    By the contract of models ``_std`` is that of the true value, so that holds where a card says nothing.
    """
    target = bundle.card["targets"][0]
    return f"{target}_std" if bundle.card.get("spread", {}).get("of", "truth") == "truth" else f"{target}_reference_std"
