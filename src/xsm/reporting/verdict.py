"""The first page of a report: three numbers, and a verdict against the inputs of the maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from xsm.reporting.baselines import COMPARED, MEAN, best_input, gain_over, of_layer
from xsm.reporting.html_page import Page, show
from xsm.reporting.map_figures import UNIT
from xsm.reporting.scene import ESTIMATE, Scene, foremost
from xsm.reporting.score_tables import DEPTHS, METRICS, SCORED, Cell, Table, label, short
from xsm.validation.contrasts import Gain, mean_and_half

FORMS = {score: form for score, (_, _, form) in zip(SCORED, METRICS, strict=True)}
NAMES = {"r": "R", "ubrmse": "ubRMSE", "rmse": "RMSE"}
JUDGED = ("r", "ubrmse")
"""Scores of the verdict."""
VERDICTS = {
    "better": "better than", "worse": "worse than", "no clear difference": "not clearly different from",
    "too few stations": "compared at too few stations for a verdict with",
}  # fmt: skip
COVERED = (90.0, 98.0)
"""Percent of station days inside the 95 % interval from and to which a spread counts as right."""


def estimates_of(table: xr.Dataset) -> list[str]:
    """The foremost estimate of each depth that has a scored station."""
    layers = dict.fromkeys(str(la) for la in table["layer"].values)
    names = {la: [str(p) for p in table["product"].values[table["layer"].values == la]] for la in layers}
    estimates = {la: [n for n in some if ESTIMATE.fullmatch(n)] for la, some in names.items()}
    best = [foremost(some) for some in estimates.values() if some]
    return [n for n in best if bool((table["n"].sel(product=n) > 0).any())]


def executive(page: Page, scene: Scene, table: xr.Dataset | None, inside: dict[str, float], why: str) -> None:
    """Add the numbers and the verdict; without scores the reason why there are none."""
    shown = [] if table is None else estimates_of(table)
    if table is None or not shown:
        page.text(f"Verdict: the skill of these maps is not known; {why or 'no estimate has a score'}.", "verdict")
        return
    page.cards(_cards(table, shown[0], of_layer(table, scene.inputs, _layer(table, shown[0])), inside))
    for name in shown:
        page.text(sentence(table, name, of_layer(table, scene.inputs, _layer(table, name))), "verdict")
    covered = {n: inside[n] for n in shown if n in inside}
    if covered:
        page.text(_calibration({label(n, table): share for n, share in covered.items()}), "verdict")
    page.text("The intervals are those of the mean over the stations; stations count as independent.", "note")


def _layer(table: xr.Dataset, name: str) -> str:
    return str(table["layer"].sel(product=name).values)


def _cards(
    table: xr.Dataset, name: str, baselines: Sequence[str], inside: dict[str, float]
) -> list[tuple[str, str, str]]:
    cards = []
    for score, unit in (("r", ""), ("ubrmse", f" {UNIT}")):
        rivals = dict.fromkeys([best_input(table, baselines, score), *([MEAN] if MEAN in baselines else [])])
        beside = "; ".join(
            f"{short(n, table)} {show(_mean(table, n, score)[0], FORMS[score])}" for n in rivals if n
        )  # fmt: skip
        what = f"{NAMES[score]} against stations, {label(name, table)}"
        cards.append((f"{show(_mean(table, name, score), FORMS[score])}{unit}", what, beside or "no input to compare"))
    share = inside.get(name, np.nan)
    number = f"{share:.0f} %" if np.isfinite(share) else "none"
    return [*cards, (number, "of station days inside the 95 % interval", "95 % is the aim" if number != "none" else
                     "the maps have no standard deviation")]  # fmt: skip


def _mean(table: xr.Dataset, name: str, score: str) -> tuple[float, float]:
    return mean_and_half(table[score].sel(product=name).values)


def sentence(table: xr.Dataset, name: str, baselines: Sequence[str]) -> str:
    """The verdict on one estimate: against its best input, then against the mean of the inputs."""
    count = int((table["n"].sel(product=name) > 0).sum())
    head = f"At {DEPTHS.get(_layer(table, name), '')}, {count} station{'s' * (count != 1)}: {short(name, table)}"
    if not baselines:
        return f"{head} has no input in the cube to be compared with."
    best = {score: best_input(table, baselines, score) for score in JUDGED}
    named = " and ".join(dict.fromkeys(short(n, table) for n in best.values()))
    parts = [f"{_against(table, name, best)} its best input ({named})"]
    if MEAN in baselines:
        parts.append(f"{_against(table, name, dict.fromkeys(JUDGED, MEAN))} the mean of its inputs")
    return f"{head} is {'; it is '.join(parts)}."


def _against(table: xr.Dataset, name: str, rivals: dict[str, str]) -> str:
    """Verdict and numbers before the name of a rival, which may be another one for each score."""
    by_score = {score: gain_over(table, name, rival, score) for score, rival in rivals.items()}
    numbers = ", ".join(f"{NAMES[s]} {_gain_text(g, s)}" for s, g in by_score.items())
    verdicts = list(dict.fromkeys(g.verdict for g in by_score.values()))
    text = VERDICTS[verdicts[0]] if len(verdicts) == 1 else " and ".join(
        f"{'not clearly different' if g.verdict == 'no clear difference' else g.verdict} in {NAMES[s]}"
        for s, g in by_score.items()
    ) + ", against"  # fmt: skip
    r = by_score["r"]
    return f"{text} [{numbers}; higher R at {r.gaining} of {r.stations}]"


def _gain_text(gain: Gain, score: str) -> str:
    """Difference of a score with its interval; errors get smaller."""
    sign = 1 if score == "r" else -1
    return show((sign * gain.mean, gain.half), f"+{FORMS[score].lstrip('+')}")


def _calibration(shares: dict[str, float]) -> str:
    low, high = COVERED
    words = {
        name: "about right" if low <= s <= high else "too small" if s < low else "too large" for name, s in shares.items()
    }  # fmt: skip
    parts = [f"{name} is {words[name]} ({s:.0f} % inside)" for name, s in shares.items()]
    return f"The standard deviation of {'; that of '.join(parts)}."


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
        ("Depth", "", ""), ("Product", "", ""), ("Against", "", ""), ("R", "difference", "+.2f"),
        ("ubRMSE", f"difference, {UNIT}", "+.3f"), ("RMSE", f"difference, {UNIT}", "+.3f"), ("Higher R at", "n", "d"),
        ("Stations", "n", "d"), ("Verdict on R", "", ""), ("Verdict on ubRMSE", "", ""),
    ]  # fmt: skip
    caption = (
        "Differences between each product and its inputs and their mean, station by station on the same days: mean over "
        "the stations ± half the 95 % interval (Student's t). Better or worse is said only where the interval excludes 0."
    )
    return Table(columns, rows, caption)
