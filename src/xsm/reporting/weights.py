"""What fused maps rest on: the weights of satellite, land model and prediction, by depth and kind of day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import xarray as xr

from xsm.reporting import theme
from xsm.reporting.html_page import Drawing, Page
from xsm.reporting.theme import BLUE, GREEN, ORANGE, PINK, RED, SKY

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOURCES = {
    "retrieval": ("Satellite: the retrieval of the day", RED),
    "model_surface": ("Land model: its first layer", GREEN),
    "prediction": ("Prediction from weather, land model and retrievals of other days", BLUE),
    "model_root": ("Land model: its second layer, corrected by the fused surface", GREEN),
    "taught": ("Learnt from filters of the fused surface", SKY),
    "operator": ("The land model's own step from its first to its second layer, fed with the fused surface", ORANGE),
}
"""Words and colour of each source of a fusion."""


def weights_of(ds: xr.Dataset, observed: float) -> pd.DataFrame:
    """Weights of fused maps: rows of depth, days, source and weight; ``observed`` is the share of retrieved cell-days.

    Empty for maps without weights.
    """
    rows: list[dict[str, Any]] = []
    if "weights_5cm" in ds:
        table = ds["weights_5cm"]
        without, with_one = (table.sel(retrieved=flag) for flag in (False, True))
        mean = observed * with_one + (1 - observed) * without
        for days, weights in (("with a retrieval", with_one), ("without a retrieval", without), ("all days", mean)):
            rows += [{"depth": "5 cm", "days": days, "source": str(s), "weight": float(w)}
                     for s, w in zip(table["source_5cm"].values, weights.values, strict=True)]  # fmt: skip
    if "weights_25cm" in ds:
        table = ds["weights_25cm"]
        rows += [{"depth": "25 cm", "days": "all days", "source": str(s), "weight": float(w)}
                 for s, w in zip(table["source_25cm"].values, table.values, strict=True)]  # fmt: skip
    return pd.DataFrame(rows)


def weights_figure(data: pd.DataFrame) -> Figure:
    """One bar of shares for each depth and kind of day."""
    from matplotlib.figure import Figure

    bars = list(dict.fromkeys(zip(data["depth"], data["days"], strict=True)))
    figure = Figure(figsize=(theme.DOUBLE, 0.9 + 0.33 * len(bars) + 0.18 * data["source"].nunique()), dpi=theme.DPI,
                    layout="constrained")  # fmt: skip
    axes = figure.subplots()
    entries: dict[str, Any] = {}
    for row, (depth, days) in enumerate(bars):
        left = 0.0
        for one in data[(data["depth"] == depth) & (data["days"] == days)].itertuples():
            words, colour = SOURCES.get(str(one.source), (str(one.source), PINK))
            share = float(one.weight) * 100
            if share <= 0:
                continue
            hatch = "///" if depth == "25 cm" and one.source == "model_root" else ""
            entries[words] = axes.barh(row, share, left=left, color=colour, edgecolor="white", hatch=hatch, height=0.7)
            axes.text(
                left + share / 2, row, f"{share:.0f} %", ha="center", va="center", fontsize=theme.SMALL, color="white"
            )
            left += share
    axes.set_yticks(range(len(bars)), [f"{depth}, {days}" for depth, days in bars])
    axes.invert_yaxis()
    axes.set(xlim=(0, 100), xlabel="Weight (%)")
    figure.legend(entries.values(), entries.keys(), loc="outside lower left", ncols=1, frameon=False)
    theme.open_axes([axes])
    return figure


def rests_on(page: Page, ds: xr.Dataset) -> None:
    """The section about what the maps rest on."""
    page.section("weights", "What the maps rest on")
    observed = float(ds["retrieval_observed"].mean()) if "retrieval_observed" in ds else 0.0
    data = weights_of(ds, observed)
    if data.empty:
        page.absent("weights; the maps are not fused, or were kept without their weights.")
        return
    page.wide(
        "weights", Drawing(weights_figure(data), "Weights of the sources of the fusion by depth and kind of day", data),
        f"Weights of the sources in the fused maps; the satellite retrieved {observed * 100:.0f} % of the cell-days. "
        "The prediction has no retrieval of its own day; how much of it comes from weather, land model and other days "
        "was learnt and differs from cell to cell.",
    )  # fmt: skip
