"""The first page of a report: three numbers, and a verdict against the inputs of the maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from xsm.reporting.baselines import COMPARED, MEAN, best_input, gain_over, of_layer
from xsm.reporting.html_page import Page, show
from xsm.reporting.labels import label, short
from xsm.reporting.map_figures import UNIT
from xsm.reporting.scene import ESTIMATE, Scene, foremost
from xsm.reporting.score_tables import DEPTHS, METRICS, SCORED, Cell, Table
from xsm.validation.contrasts import Gain, mean_and_half

FORMS = {score: form for score, (_, _, form) in zip(SCORED, METRICS, strict=True)}
Inside = dict[str, tuple[float, float]]
"""Percent of station days inside the 95 % interval by map, with and without the mean differences of the stations."""
NAMES = {"r": "R", "ubrmse": "ubRMSE", "rmse": "RMSE"}
JUDGED = ("r", "ubrmse")
"""Scores of the verdict."""
AGAINST = {
    "better": "better than", "worse": "worse than", "no clear difference": "not clearly different from",
    "too few stations": "compared at too few stations for a verdict with",
}  # fmt: skip
SHORT = {"no clear difference": "not clearly different", "too few stations": "without a verdict"}


def estimates_of(table: xr.Dataset) -> list[str]:
    """The foremost estimate of each depth that has a scored station."""
    layers = dict.fromkeys(str(la) for la in table["layer"].values)
    names = {la: [str(p) for p in table["product"].values[table["layer"].values == la]] for la in layers}
    estimates = {la: [n for n in some if ESTIMATE.fullmatch(n)] for la, some in names.items()}
    best = [foremost(some) for some in estimates.values() if some]
    return [n for n in best if bool((table["n"].sel(product=n) > 0).any())]


def executive(page: Page, scene: Scene, table: xr.Dataset | None, inside: Inside, why: str) -> None:
    """Add the numbers and the verdict; without scores the reason why there are none."""
    if not scene.estimates:
        page.verdict("There is no estimate to judge.", "Scores of the gap-filled maps, where there are any, are below.")
        return
    shown = [] if table is None else estimates_of(table)
    if table is None or not shown:
        page.verdict("The skill of these maps is not known:", f"{why or 'no estimate has a score'}.")
        return
    page.cards(_cards(table, shown[0], of_layer(table, scene.inputs, _layer(table, shown[0])), inside))
    for name in shown:
        page.verdict(*verdict_on(table, name, of_layer(table, scene.inputs, _layer(table, name))))
    if covered := [
        f"{label(n, table)}: {inside[n][0]:.0f} %, {inside[n][1]:.0f} % without the mean difference of each station"
        for n in shown if n in inside
    ]:  # fmt: skip
        page.verdict(
            "Station days inside the 95 % interval of the maps.",
            f"{'; '.join(covered)}. A point differs from its cell, so that fewer than 95 % are expected.",
        )
    page.text(
        "± is half the 95 % interval of the mean over the stations, which count as independent; better and worse are "
        "said only where the interval of the difference excludes 0.", "note",
    )  # fmt: skip


def _layer(table: xr.Dataset, name: str) -> str:
    return str(table["layer"].sel(product=name).values)


def _cards(table: xr.Dataset, name: str, baselines: Sequence[str], inside: Inside) -> list[tuple[str, str, str]]:
    cards = []
    for score, unit in (("r", ""), ("ubrmse", f" {UNIT}")):
        rivals = dict.fromkeys([best_input(table, baselines, score), *([MEAN] if MEAN in baselines else [])])
        beside = "; ".join(
            f"{short(n, table)} {show(_mean(table, n, score)[0], FORMS[score])}" for n in rivals if n
        )  # fmt: skip
        what = f"{NAMES[score]} against stations, {label(name, table)}"
        cards.append((f"{show(_mean(table, name, score), FORMS[score])}{unit}", what, beside or "no input to compare"))
    share, _ = inside.get(name, (np.nan, np.nan))
    number = f"{share:.0f} %" if np.isfinite(share) else "none"
    return [*cards, (number, "of station days inside the 95 % interval", "95 % is the aim" if number != "none" else
                     "the maps have no standard deviation")]  # fmt: skip


def _mean(table: xr.Dataset, name: str, score: str) -> tuple[float, float]:
    return mean_and_half(table[score].sel(product=name).values)


def verdict_on(table: xr.Dataset, name: str, baselines: Sequence[str]) -> tuple[str, str]:
    """The verdict on one estimate in a few words, and its numbers: against the best input, then against the mean."""
    count = int((table["n"].sel(product=name) > 0).sum())
    where = f"{DEPTHS.get(_layer(table, name), '')}, {count} station{'s' * (count != 1)}"
    what = short(name, table)
    best = {score: best_input(table, baselines, score) for score in JUDGED}
    if not all(best.values()):
        return f"{what} has no input to be compared with ({where}).", ""
    rivals = {f"its best input ({' and '.join(dict.fromkeys(short(n, table) for n in best.values()))})": best}
    if MEAN in baselines:
        rivals["the mean of its inputs"] = dict.fromkeys(JUDGED, MEAN)
    all_gains = {words: {s: gain_over(table, name, n, s) for s, n in by.items()} for words, by in rivals.items()}
    against = " and ".join(rivals)
    words = f"{what} is {_overall(list(all_gains.values()))} {against} ({where})."
    return words, " ".join(map(_numbers, all_gains, all_gains.values()))


def _overall(by_rival: Sequence[dict[str, Gain]]) -> str:
    """The verdicts against all rivals in one: the same for all, by score where each score has one, else in part."""
    by_score = {score: {one[score].verdict for one in by_rival} for score in JUDGED}
    verdicts = set.union(*by_score.values())
    if len(verdicts) == 1:
        return AGAINST[verdicts.pop()]
    if all(len(some) == 1 for some in by_score.values()):
        order = sorted(by_score.items(), key=lambda item: item[1] != {"better"})
        parts = [f"{SHORT.get(*some, *some)} in {NAMES[score]}" for score, some in order]
        return f"{' and '.join(parts)}, against"
    better, worse = "better" in verdicts, "worse" in verdicts
    if better and worse:
        return "better in one respect and worse in another than"
    return f"{'better' if better else 'worse' if worse else 'not clearly different'} in part, against"


def _numbers(rival: str, by_score: dict[str, Gain]) -> str:
    r = by_score["r"]
    parts = [f"{NAMES[s]} {_gain_text(g, s)}, {g.verdict}" for s, g in by_score.items()]
    return f"Against {rival}: {'; '.join(parts)}; higher R at {r.gaining} of {r.stations} stations."


def _gain_text(gain: Gain, score: str) -> str:
    """Difference of a score with its interval; errors get smaller."""
    sign = 1 if score == "r" else -1
    return show((sign * gain.mean, gain.half), f"+{FORMS[score].lstrip('+')}")


def gain_table(table: xr.Dataset, scene: Scene) -> Table:
    """What each estimate gains over every input and over their mean, at the same stations and days."""
    rows: list[list[Cell]] = []
    for name in (str(p) for p in table["product"].values if ESTIMATE.fullmatch(str(p))):
        layer = _layer(table, name)
        for rival in of_layer(table, scene.inputs, layer):
            by_score = {score: gain_over(table, name, rival, score) for score in COMPARED}
            if not (r := by_score["r"]).stations:
                continue
            differences = [(g.mean * (1 if s == "r" else -1), g.half) for s, g in by_score.items()]
            words = DEPTHS[layer], short(name, table), short(rival, table)
            verdicts = [by_score[s].verdict for s in JUDGED]
            rows.append([*words, *differences, r.gaining, r.stations, *verdicts])
    columns = [
        ("Depth", "", ""), ("Product", "", ""), ("Against", "", ""), ("R", "", "+.2f"), ("ubRMSE", UNIT, "+.3f"),
        ("RMSE", UNIT, "+.3f"), ("Higher R", "n", "d"), ("Stations", "n", "d"), ("In R", "", ""), ("In ubRMSE", "", ""),
    ]  # fmt: skip
    caption = (
        "Differences between each product and its inputs and their mean, station by station on the same days: mean "
        "over the stations ± half the 95 % interval (Student's t). Better or worse only where the interval excludes 0."
    )
    return Table(columns, rows, caption)
