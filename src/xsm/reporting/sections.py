"""The sections of a report, each from a `Scene` onto a `Page`; what is absent is told in one line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import xarray as xr

from xsm.errors import DataError
from xsm.grids import grid_of
from xsm.reporting import charts, gather, tables
from xsm.reporting.gather import Scene
from xsm.reporting.maps import Frame, frame_of, limits, moisture_map, plain_map, texture_map
from xsm.reporting.page import Page, plain_table
from xsm.reporting.tables import label

TEXTURE_GROUPS = ("fine", "medium", "coarse")
BOXES_NEED = 6
NEEDED = {
    "teachers": "observed SMAP DCA and Noah of 0-10 cm are not both there.",
    "skill": "there is no soil moisture map.",
}
MAPS_MOST = 8


@dataclass(frozen=True)
class Scores:
    """Results of `validate` for the teachers and for the maps, or why there are none."""

    teachers: xr.Dataset | None = None
    skill: xr.Dataset | None = None
    no_teachers: str = "no stations were given."
    no_skill: str = "no stations were given."


def score(scene: Scene, stations: xr.Dataset) -> Scores:
    """Score teachers and maps; a sentence stands for what cannot be scored."""
    found: dict[str, xr.Dataset | None] = {"teachers": None, "skill": None}
    reasons = {"no_teachers": "", "no_skill": ""}
    for name, function, needs in (
        ("teachers", tables.teachers, {"sm_dca", "sm_noah_0_10"} <= set(scene.ds.data_vars)),
        ("skill", tables.skill, bool(scene.moisture)),
    ):
        if not needs:
            reasons[f"no_{name}"] = NEEDED[name]
            continue
        try:
            found[name] = function(scene, stations)
        except DataError as error:
            reasons[f"no_{name}"] = error.message
    return Scores(found["teachers"], found["skill"], **reasons)


def summary(page: Page, scene: Scene, over: xr.Dataset, parts: Sequence[xr.Dataset | None], scores: Scores) -> None:
    """What, where, when, from which models; synthetic data say so first."""
    page.section("summary", "Summary")
    attrs = gather.attributes(parts)
    if "synthetic" in attrs:
        page.banner("Synthetic data.", attrs["synthetic"])
    if "model_synthetic" in attrs:
        page.banner("Models trained on synthetic data.", attrs["model_synthetic"])
    names = (*scene.moisture, *scene.others)
    told = {"Maps": "; ".join(f"{label(n)} ({n})" if label(n) != n else n for n in names)}
    grid = grid_of(scene.ds)
    if grid is not None:
        west, south, east, north = grid.bbox
        told["Where"] = (
            f"longitude {west:.2f}° to {east:.2f}°, latitude {south:.2f}° to {north:.2f}°; {grid.name}, "
            f"{grid.rows} by {grid.cols} cells of {grid.cell / 1000:.1f} km"
        )
    else:
        told["Where"] = ", ".join(f"{scene.ds.sizes[d]} {d}" for d in scene.space)
    told["When"] = f"{scene.days[0]} to {scene.days[-1]}, {len(scene.days)} UTC days"
    shown = over[f"mean_{scene.best}"].notnull()
    told["Cells with values"] = f"{int(shown.sum()):,} of {shown.size:,}"
    if scene.watched:
        told["Observed"] = f"{float(over['share'].mean()) * 100:.0f} % of the cell-days of {label(scene.watched)}"
    hashes = {label(n): str(scene.ds[n].attrs["model_hash"]) for n in names if "model_hash" in scene.ds[n].attrs}
    if hashes or "model_hash" in attrs:
        told["Models"] = "; ".join(f"{n}: {h}" for n, h in hashes.items()) or attrs["model_hash"]
    methods = {str(scene.ds[n].attrs["fill_method"]) for n in names if "fill_method" in scene.ds[n].attrs}
    if methods:
        told["Gap filling"] = "; ".join(sorted(methods))
    if "model_training" in attrs:
        told["Trained on"] = attrs["model_training"]
    if scores.skill is not None:
        told["Stations"] = f"{scores.skill.sizes['station']} scored"
    page.pairs(told)


def maps(page: Page, scene: Scene, over: xr.Dataset) -> None:
    """Means of the period with their standard deviation, and the day with most gaps."""
    page.section("maps", "Maps")
    frame = frame_of(scene.ds)
    if frame is None or len(scene.space) != 2:
        page.absent(f"the data are no maps (dims {', '.join(scene.space)}).")
        return
    if scene.moisture:
        between = limits([over[f"mean_{n}"] for n in scene.moisture])
        means = {
            f"mean_{n}": (moisture_map(frame, over[f"mean_{n}"], f"{label(n)}: mean", "soil_moisture", between),
                          f"Map of the mean soil moisture, {label(n)}") for n in scene.moisture
        }  # fmt: skip
        spreads = {
            f"std_{n}": (moisture_map(frame, over[f"spread_{n}"], f"{label(n)}: standard deviation", "uncertainty"),
                         f"Map of the mean standard deviation, {label(n)}")
            for n in scene.moisture if f"spread_{n}" in over
        }  # fmt: skip
        period = f"{scene.days[0]} to {scene.days[-1]}"
        grey = "Grey: no value (water, or a predictor that is never there)."
        spread = "mean over the days of the standard deviation"
        if len(means) == len(spreads) == 1:
            page.panels(means | spreads, f"Mean soil moisture, {period}; {spread}. {grey}")
        else:
            page.panels(means, f"Mean soil moisture, {period}; one colour scale for all panels. {grey}")
            if spreads:
                page.panels(spreads, f"The {spread}, {period}.")
        if not spreads:
            page.absent("standard deviations; the maps have none.")
    if scene.others:
        shown = scene.others[:MAPS_MOST]
        more = f" {len(scene.others) - MAPS_MOST} more are not shown." if len(scene.others) > MAPS_MOST else ""
        page.panels(
            {f"mean_{n}": (plain_map(frame, over[f"mean_{n}"], n, _unit(scene.ds[n])), f"Map of the mean of {n}")
             for n in shown},
            f"Means of the other gap-filled variables.{more}", columns="three",
        )  # fmt: skip
    _day(page, scene, over, frame)


def _day(page: Page, scene: Scene, over: xr.Dataset, frame: Frame) -> None:
    if not scene.watched or (position := gather.gap_day(over)) is None:
        page.absent("a day with gaps; no day is observed in part.")
        return
    name, day = scene.best, scene.days[position]
    wanted = {"observed": scene.ds[scene.watched].where(scene.ds["seen"]), "map": scene.ds[name]}
    if f"{name}_std" in scene.ds:
        wanted["std"] = scene.ds[f"{name}_std"]
    one = xr.Dataset(wanted).isel(time=position).compute()
    observed, shown = f"{label(scene.watched)}, observed", label(name)
    if name in scene.moisture:
        between = limits([one["observed"], one["map"]])
        first = moisture_map(frame, one["observed"], observed, "soil_moisture", between)
        second = moisture_map(frame, one["map"], shown, "soil_moisture", between)
    else:
        first = plain_map(frame, one["observed"], observed, _unit(scene.ds[name]))
        second = plain_map(frame, one["map"], shown, _unit(scene.ds[name]))
    figures = {"day_observed": (first, f"Map of {observed}, {day}"), "day_map": (second, f"Map of {shown}, {day}")}
    if "std" in one:
        told = f"{shown}: standard deviation"
        third = (
            moisture_map(frame, one["std"], told, "uncertainty")
            if name in scene.moisture
            else plain_map(frame, one["std"], told, _unit(scene.ds[name]))
        )
        figures["day_std"] = (third, f"Map of the standard deviation of {shown}, {day}")
    share = float(over["share"][position]) * 100
    least = f"{gather.LEAST_SHARE * 100:.0f} %"
    empty = int((over["share"] < gather.LEAST_SHARE).sum())
    page.panels(
        figures,
        f"{day}, the day with the fewest observations ({share:.0f} % of the cells) among those with at least {least}; "
        f"{empty} of {len(scene.days)} days have fewer. Grey: not observed, or no value.",
        columns="three",
    )


def soil(page: Page, scene: Scene, sites: xr.Dataset | None) -> None:
    """Texture classes with the stations."""
    page.section("soil", "Soil texture")
    frame, classes = frame_of(scene.ds), gather.soil_maps(scene.ds)
    if frame is None or classes is None:
        page.absent("there are no soil maps (sand, silt and clay).")
        return
    where = " and the stations" if sites is not None else ""
    page.panels(
        {"texture": (texture_map(frame, classes.compute(), sites), f"Map of USDA soil texture classes{where}")},
        f"USDA texture classes of the upper soil{where} (as Figure 2 of Rabiei et al., 2024).",
    )


def gaps(page: Page, scene: Scene, over: xr.Dataset) -> None:
    """When and for how long observations are missing."""
    page.section("gaps", "Data availability")
    if not scene.watched:
        page.absent("no variable tells what was observed.")
        return
    name = label(scene.watched)
    share = over["share"].values
    page.wide(
        "availability", charts.availability(scene.days, share, name), f"Share of observed cells of {name} per day",
        f"Share of the cells with {name}, of all cells that were ever observed; mean {share.mean() * 100:.0f} %.",
    )  # fmt: skip
    if not int(over["gaps"].sum()):
        page.absent("gap lengths; there is no gap.")
        return
    page.wide(
        "gap_lengths", charts.gap_lengths(over["gaps"].values, over["missing"].values), "Histogram of gap lengths",
        "Gaps in the series of the cells by length. Gaps at the first or last day are cut by the period.",
    )  # fmt: skip


def series(page: Page, scene: Scene, found: xr.Dataset, scores: Scores) -> None:
    """Series of up to three stations or cells."""
    page.section("series", "Time series")
    if not found.sizes.get("site"):
        page.absent("no cell has a value.")
        return
    chosen = _typical(found, scores.skill)
    for number, (position, why) in enumerate(chosen, start=1):
        site = found.isel(site=position)
        network = f", {site['network'].values}" if "network" in found.coords and str(site["network"].values) else ""
        name = f"{site['station'].values}{network}"
        figure = charts.series(scene, site, name)
        page.wide(f"series_{number}", figure, f"Soil moisture series at {name}", f"{name}: {why}.")


def _typical(found: xr.Dataset, skill: xr.Dataset | None) -> list[tuple[int, str]]:
    """Sites of the highest, the median and the lowest R at the surface; the first three without scores."""
    names = [str(s) for s in found["station"].values]
    if skill is None:
        if "network" in found.coords:
            return [(i, "station without a score") for i in range(min(3, len(names)))]
        return [(i, "a cell with many observations") for i in range(len(names))]
    surface = skill["product"].values[skill["layer"].values == "surface"]
    own = [str(p) for p in surface if not str(p).startswith("sm_noah")] or [str(p) for p in skill["product"].values]
    shown = next((p for p in own if p.endswith(", all days")), max(own))
    r = skill["r"].sel(product=shown)
    both = skill["r"].notnull().all("product")
    use = np.flatnonzero((r.notnull() & both).values) if bool(both.any()) else np.flatnonzero(r.notnull().values)
    order = use[np.argsort(-r.values[use], kind="stable")]
    if not len(order):
        return [(0, "station without a score")]
    what = label(shown)
    ranks = {0: "highest", (len(order) - 1) // 2: "median", len(order) - 1: "lowest"}
    picks = [(order[rank], word) for rank, word in ranks.items()]
    days = skill["n"].sel(product=shown).values
    told = [f"the station with the {word} R of {what} ({r.values[i]:.2f}, {days[i]} days)" for i, word in picks]
    return [(names.index(str(r["station"].values[i])), text) for (i, _), text in zip(picks, told, strict=True)]


def validation(page: Page, scene: Scene, scores: Scores) -> None:
    """Tables 1 and 3 of the paper, boxplots by texture, excluded sensors."""
    page.section("scores", "Scores against stations")
    if scores.teachers is None:
        page.absent(f"the table of the two references; {_lower(scores.no_teachers)}")
    else:
        page.table(tables.teacher_table(scores.teachers))
    if scores.skill is None:
        page.absent(f"the scores of the maps; {_lower(scores.no_skill)}")
    else:
        page.table(tables.skill_table(scores.skill, _what_is_scored(scene)))
        _boxes(page, scores.skill)
    left_out = tables.excluded([scores.teachers, scores.skill])
    if left_out.rows:
        page.fold(f"{len(left_out.rows)} sensors take no part, wholly or in a table", plain_table(left_out))


def _what_is_scored(scene: Scene) -> str:
    if not scene.estimates:
        return "Gap-filled soil moisture: means and medians over the stations; each row on its own days."
    after = tables.after_training(scene)
    days = "all days, those of training among them or not known"
    if after is not None:
        known = "model_validation" in scene.ds.attrs
        days = f"days after the training{' and validation' if known else ''} days only"
        days += "" if known else " (days that stopped the training may be among them)"
    what = "Means and medians over the stations (as Table 3 of Rabiei et al., 2024)"
    return f"{what}, same days and stations within a depth; {days}."


def _boxes(page: Page, skill: xr.Dataset) -> None:
    count = skill.sizes["station"]
    if "texture_group" not in skill.coords:
        page.absent("boxplots by texture; there are no soil maps.")
    elif count < BOXES_NEED:
        page.absent(f"boxplots by texture; {count} stations are fewer than {BOXES_NEED}.")
    elif any("," in str(p) for p in skill["product"].values):
        page.absent("boxplots by texture; there are no estimates.")
    else:
        page.wide(
            "boxplots", charts.boxes(skill, "texture_group", TEXTURE_GROUPS), "Boxplots of R and ubRMSE by texture",
            "R and ubRMSE of the stations by texture group (as Figure 3 of Rabiei et al., 2024); line: median, box: "
            "quartiles, whiskers: up to 1.5 times the box. Groups of fewer than "
            f"{charts.BOX_NEEDS} stations are shown as points; in brackets the number of stations.",
        )  # fmt: skip


def uncertainty(page: Page, scene: Scene, found: xr.Dataset, scores: Scores) -> None:
    """How often stations lie inside the interval."""
    page.section("uncertainty", "Uncertainty")
    if scores.skill is None:
        page.absent(f"the share inside the interval; {_lower(scores.no_skill)}")
        return
    table = tables.coverage(scene, found, scores.skill)
    if not table.rows:
        page.absent("the share inside the interval; the maps have no standard deviation.")
        return
    page.table(table)


def provenance(page: Page, parts: Sequence[xr.Dataset | None]) -> None:
    """Where everything came from."""
    from xsm.options import show_versions

    page.section("provenance", "Provenance")
    lines: dict[str, None] = {}
    for part in parts:
        lines |= dict.fromkeys(str(part.attrs.get("history", "")).split("\n") if part is not None else [])
    lines.pop("", None)
    if lines:
        page.add(f"<pre>{escape(chr(10).join(lines))}</pre>")
    else:
        page.absent("a history; the data carry none.")
    for what, pairs in (("Attributes", gather.attributes(parts)), ("Versions", dict(show_versions()))):
        rows = [[k, v] for k, v in pairs.items()]
        page.fold(what, plain_table(tables.Table([("Name", "", ""), ("Value", "", "")], rows, "")))


def _unit(variable: xr.DataArray) -> str:
    return str(variable.attrs.get("units", "")) or "no unit told"


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
