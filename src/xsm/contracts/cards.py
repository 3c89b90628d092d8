"""A bundle for people: its card as text and its learning curve as a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from xsm.errors import DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Card = Mapping[str, Any]


def text(chain: Sequence[tuple[Card, str]]) -> str:
    """Cards in Markdown: what a bundle is for, what it needs, how it was trained and what it cannot do.

    ``chain`` has card and hash of the bundle, then those of the surface bundle that feeds it.
    """
    (card, digest), *surface = chain
    depth = f" at {card['depth']} cm, scenario {card['scenario']}" if card.get("depth") else ""
    lines = [
        f"# {card['model']}: {', '.join(card['targets'])}{depth}",
        "",
        f"Bundle {digest}, task {card['task']}.",
    ]
    units = card["units"]
    for title, names in (
        ("Predictors", card["inputs"]),
        ("Maps", card.get("statics", [])),
        ("Learnt from", card.get("references", [])),
    ):
        if names:
            lines.append(f"- {title}: " + ", ".join(f"{n} ({units[n]})" if units.get(n) else n for n in names))
    for title, key in (("Trained on", "training"), ("Stopped by", "validation")):
        if days := (card.get(key) or {}).get("days"):
            lines.append(f"- {title}: {' to '.join(days)}")
    if metrics := card.get("metrics"):
        lines.append("- Metrics: " + ", ".join(f"{k} {_number(v)}" for k, v in metrics.items()))
    if spread := card.get("spread"):
        of = "the true value" if spread["of"] == "truth" else spread["of"]
        by = f" by {spread['pairs']} values of {spread['stations']} stations" if "stations" in spread else ""
        lines.append(f"- Spread: of {of}{by}")
    lines += [f"- {k.capitalize()}: {card[k]}" for k in ("limits", "synthetic", "licence", "seed") if card.get(k)]
    if versions := card.get("versions"):
        lines.append("- Made with: " + ", ".join(f"{k} {v}" for k, v in versions.items()))
    if surface:
        lines += ["", "Fed by:", "", text(surface).replace("# ", "## ", 1)]
    return "\n".join(lines)


def learning_curve(card: Card) -> Figure:
    """Draw the loss on training and validation samples over the epochs, and mark the epoch that was kept."""
    from matplotlib.figure import Figure

    history = card.get("history") or []
    if not history:
        raise DataError("The bundle has no learning curve: its model does not learn in epochs.")
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    epochs = [entry["epoch"] for entry in history]
    for name in ("train", "validation"):
        if name in history[0]:
            axes.plot(epochs, [entry[name] for entry in history], marker=".", label=name)
    if kept := card.get("metrics", {}).get("epoch"):
        axes.axvline(kept, color="0.6", linewidth=1, label="kept")
    axes.set(xlabel="epoch", ylabel="loss", title=f"{card['model']}, {', '.join(card['targets'])}")
    axes.legend()
    return figure


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
