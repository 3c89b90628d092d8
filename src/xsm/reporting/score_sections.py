"""The sections of a report about scores: how good the maps are at stations, and whether their spread is right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import xarray as xr

from xsm.data.roles import RETRIEVAL, SURFACE
from xsm.errors import DataError
from xsm.reporting import breakdown, score_figures, score_tables, skill_maps, station_days
from xsm.reporting.baselines import best_input
from xsm.reporting.breakdown import compared, outcomes
from xsm.reporting.html_page import Drawing, Page, plain_table
from xsm.reporting.labels import label
from xsm.reporting.scene import Scene
from xsm.reporting.score_tables import Table
from xsm.reporting.verdict import gain_table

BOXES_NEED = 6
KINDS = {
    "observed": "observed days",
    "not observed": "days without observation",
    "outage": "a long outage of the satellite",
}
NEEDED = {
    "teachers": "an observed retrieval and the upper layer of a land model are not both there.",
    "skill": "there is no soil moisture map.",
}


@dataclass(frozen=True)
class Scores:
    """Results of `validate` for the teachers, for the maps and by kind of day, or why there are none.

    ``coverage`` has the station days inside the intervals of the maps, as a table and by map for growing intervals.
    """

    teachers: xr.Dataset | None = None
    skill: xr.Dataset | None = None
    by_days: Mapping[str, xr.Dataset] = field(default_factory=dict)
    coverage: tuple[Table, dict[str, np.ndarray]] | None = None
    no_teachers: str = "no stations were given."
    no_skill: str = "no stations were given."

    @property
    def inside(self) -> dict[str, tuple[float, float]]:
        """Percent of station days inside the 95 % interval, with and without the means of the stations, by map."""
        if self.coverage is None:
            return {}
        table, shares = self.coverage
        return {name: (float(row[1]), float(row[2])) for name, row in zip(shares, table.rows, strict=True)}  # type: ignore[arg-type]


def with_coverage(scene: Scene, series: xr.Dataset, scores: Scores) -> Scores:
    """Scores with the share of station days inside the intervals of the maps, from the series at the stations."""
    if scores.skill is None:
        return scores
    return replace(scores, coverage=station_days.coverage(scene, series, scores.skill))


def score(scene: Scene, stations: xr.Dataset) -> Scores:
    """Score teachers and maps; a sentence stands for what cannot be scored."""
    tables: dict[str, xr.Dataset | None] = {"teachers": None, "skill": None}
    reasons = {"no_teachers": "", "no_skill": ""}
    for name, function, needs in (
        ("teachers", score_tables.teachers, {RETRIEVAL, SURFACE} <= set(scene.holders)),
        ("skill", score_tables.skill, bool(scene.moisture)),
    ):
        if not needs:
            reasons[f"no_{name}"] = NEEDED[name]
            continue
        try:
            tables[name] = function(scene, stations)
        except DataError as error:
            reasons[f"no_{name}"] = error.message
    some = scene.estimates and tables["skill"] is not None
    by_days = score_tables.skill_by_days(scene, stations) if some else {}
    return Scores(tables["teachers"], tables["skill"], by_days, None, **reasons)


def validation(page: Page, scene: Scene, series: xr.Dataset, scores: Scores) -> None:
    """Tables 1 and 3 of the paper, Figures 3 to 6, rows by kind of day, excluded sensors."""
    page.section("scores", "Scores against stations")
    if scores.teachers is not None or scores.skill is not None:
        page.text(
            "R is Pearson's correlation, bias is map minus station, ubRMSE the RMSE after both means are removed. "
            "The SD ratio is the map's standard deviation over the station's, KGE the Kling-Gupta efficiency: a map "
            "that hardly varies may have a high R, but has a ratio near 0."
        )
    if scores.skill is not None:
        page.banner("Hardly any variation.", *scores.skill.attrs.get("hardly_varies", "").splitlines())
    if scores.teachers is None:
        page.absent(f"the table of the two references; {lower(scores.no_teachers)}")
    else:
        page.table(score_tables.teacher_table(scores.teachers))
    if scores.skill is None:
        page.absent(f"the scores of the maps; {lower(scores.no_skill)}")
    else:
        page.table(score_tables.skill_table(scores.skill, _what_is_scored(scene)))
        if (gained := gain_table(scores.skill, scene)).rows:
            page.table(gained)
        if scores.by_days:
            page.table(score_tables.days_table(scores.by_days))
        absent = [words for kind, words in KINDS.items() if not any(k.startswith(kind) for k in scores.by_days)]
        if scene.estimates and absent:
            page.absent(f"rows for {', '.join(absent)}; the scored days contain none, or too few for a station.")
        _boxes(page, scores.skill)
        _where(page, scene, scores.skill)
        _scatter(page, scene, series, scores.skill)
        _breakdown(page, scene, scores.skill)
    _left_out(page, [table for table in (scores.teachers, scores.skill) if table is not None])


def _left_out(page: Page, tables: Sequence[xr.Dataset]) -> None:
    by_reason = score_tables.left_out(tables)
    if by_reason:
        compared = np.any([table["excluded"].values == "" for table in tables], axis=0)
        page.text(
            f"{compared.sum()} of {len(compared)} sensors take part. Those that do not, wholly or in a table, and "
            "values that were left out or are doubtful, by reason:"
        )
    for reason, (count, table) in by_reason.items():
        page.fold(f"{count} sensor{'s' * (count > 1)}: {reason}", plain_table(table))


def _what_is_scored(scene: Scene) -> str:
    if not scene.estimates:
        return "Gap-filled soil moisture: means and medians over the stations; each row on its own days."
    after = score_tables.after_training(scene)
    days = "all days, those of training among them or not known"
    if after is not None:
        known = "model_validation" in scene.ds.attrs
        days = f"days after the training{' and validation' if known else ''} days only"
        days += "" if known else " (days that stopped the training may be among them)"
    what = "Means and medians over the stations (as Table 3 of Rabiei et al., 2024)"
    retrieval = scene.holders.get(RETRIEVAL)
    filled = f" {label(retrieval, scene.ds)} is gap-filled." if retrieval in score_tables.rivals(scene) else ""
    return f"{what}, same days and stations within a depth; {days}.{filled}"


BOXES = {
    "texture_group": ("texture", "soil maps", 3),
    "land_cover": ("land cover, open and closed shrublands as one", "land cover", 4),
}


def _boxes(page: Page, scored: xr.Dataset) -> None:
    count = scored.sizes["station"]
    for grouping, (words, needs, number) in BOXES.items():
        if grouping not in scored.coords:
            page.absent(f"boxplots by {words.split(',')[0]}; there is no {needs}.")
        elif count < BOXES_NEED:
            page.absent(f"boxplots by {words.split(',')[0]}; {count} stations are fewer than {BOXES_NEED}.")
        elif any("," in str(p) for p in scored["product"].values):
            page.absent(f"boxplots by {words.split(',')[0]}; there are no estimates.")
        else:
            data = outcomes(scored, [str(p) for p in scored["product"].values])
            drawing = Drawing(score_figures.boxes(scored, grouping), f"Boxplots of the scores by {words}", data)
            page.wide(
                f"boxes_{grouping}", drawing,
                f"Scores of the stations by {words} (as Figure {number} of Rabiei et al., 2024); line: median, box: "
                "quartiles, whiskers: up to 1.5 times the box. Groups of fewer than "
                f"{score_figures.BOX_NEEDS} stations are shown as points; in brackets the number of stations.",
            )  # fmt: skip


def _where(page: Page, scene: Scene, scored: xr.Dataset) -> None:
    best = score_figures.best(scored)
    figure = skill_maps.skill_maps(scored, best)
    names = " and ".join(label(n, scored) for n in best)
    alt = "Maps and histograms of R, ubRMSE and bias at the stations"
    page.wide(
        "skill_maps", Drawing(figure, alt, outcomes(scored, best)),
        f"R, ubRMSE and bias at the stations, {names} (as Figure 5 of Rabiei et al., 2024), each score on one scale "
        "for both depths; R below 0 is white, bias is map minus station. Line in the histograms: median of the "
        "stations.",
    )  # fmt: skip
    gained: dict[str, dict[str, np.ndarray]] = {}
    rivals = {}
    for layer, (name, *baselines) in compared(scored, scene).items():
        if best_input(scored, baselines):
            rivals[layer] = {s: best_input(scored, baselines, s) for s in ("r", "ubrmse")}
            signs = {"r": 1, "ubrmse": -1}
            gained[name] = {s: signs[s] * (scored[s].sel(product=name) - scored[s].sel(product=n)).values
                            for s, n in rivals[layer].items()}  # fmt: skip
    if gained:
        frames = [pd.DataFrame({"product": n, **g} | {c: scored[c].values for c in ("station", "lon", "lat")})
                  for n, g in gained.items()]  # fmt: skip
        against = " and ".join(dict.fromkeys(label(n, scored) for best in rivals.values() for n in best.values()))
        figure = skill_maps.gain_maps(scored, gained)
        page.wide(
            "gain_maps", Drawing(figure, "Maps of the gain over the best input", pd.concat(frames)),
            f"Gain over the best input of each depth and score ({against}) at the stations: blue is better.",
        )  # fmt: skip


def _scatter(page: Page, scene: Scene, series: xr.Dataset, scored: xr.Dataset) -> None:
    pairs = station_days.pairs(scene, series, scored)
    if pairs:
        data = pd.concat([pd.DataFrame({"product": n, "map": x, "station": y}) for n, (x, y) in pairs.items()])
        figure = score_figures.scatter(pairs, ds=scene.ds)
        page.wide(
            "scatter", Drawing(figure, "Density of station days, map against station", data),
            "Map against station, scores pooled over all station days that are scored (as Figure 6 of Rabiei et al., "
            "2024). Colour: density of the station days by a Gaussian kernel; dashed: equality; red: regression.",
        )  # fmt: skip


def _breakdown(page: Page, scene: Scene, scored: xr.Dataset) -> None:
    if not breakdown.compared(scored, scene):
        return
    if "r_by_season" in scored and (seasons := breakdown.season_table(scored, scene)).rows:
        page.table(seasons)
        data = breakdown.season_data(scored, scene)
        drawing = Drawing(breakdown.season_figure(data, scored), "Scores by season with their intervals", data)
        page.wide("seasons", drawing, "Means over the stations by season with their 95 % intervals.")
    if (groups := breakdown.group_table(scored, scene)).rows:
        page.table(groups)


def uncertainty(page: Page, scene: Scene, series: xr.Dataset, scores: Scores) -> None:
    """How often stations lie inside the interval, and how gap filling does by the length of the gap."""
    page.section("uncertainty", "Uncertainty and gap filling")
    if scores.skill is None:
        page.absent(f"the share inside the interval; {lower(scores.no_skill)}")
        return
    if scores.coverage is not None and scores.coverage[0].rows:
        table, shares = scores.coverage
        page.table(table)
        data = pd.DataFrame({"nominal": score_figures.LEVELS} | shares)
        figure = score_figures.reliability(shares, scene.ds)
        page.panels(
            {"reliability": Drawing(figure, "Share of station days inside intervals of growing width", data)},
            "Share of station days inside the interval of a map, against the nominal share: below the dashed line the "
            "standard deviation is too small, above it too large. Pooled as in the table.",
        )
    else:
        page.absent(f"the share of station days inside the standard deviation's interval; {scene.no_spread}.")
    by_gap = station_days.gap_skill(scene, series)
    if by_gap is None or not by_gap.rows:
        page.absent("gap filling by the length of the gap; no station has filled days, or the cube has none.")
    else:
        page.table(by_gap)


def lower(sentence: str) -> str:
    """A sentence that follows a semicolon."""
    return sentence[:1].lower() + sentence[1:]
