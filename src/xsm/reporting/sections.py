"""The sections of a report but those about scores: each takes a `Scene` and writes onto a `Page`.

What is absent is replaced by one line with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
import xarray as xr

from xsm.contracts.installed import show_versions
from xsm.data.grids import grid_of
from xsm.data.roles import role_of
from xsm.data.variation import WORDS, tell_flat
from xsm.errors import unknown
from xsm.reporting import series_figures
from xsm.reporting.frames import Frame, degrees, frame_of
from xsm.reporting.html_page import Drawing, Page, frame_by, plain_table, show
from xsm.reporting.labels import label
from xsm.reporting.map_figures import texture_map, value_maps
from xsm.reporting.scene import GAP_NAMES, LEAST_SHARE, MODELS, Scene, attributes, foremost, gap_day, soil_maps
from xsm.reporting.score_sections import Scores, lower
from xsm.reporting.score_tables import Table
from xsm.reporting.single_maps import bar_of, title_of
from xsm.reporting.verdict import executive

MAPS_MOST = 8


def summary(page: Page, scene: Scene, over: xr.Dataset, parts: Sequence[xr.Dataset | None], scores: Scores) -> None:
    """Three numbers and the verdict; what, where, when, from which models; synthetic data say so first."""
    page.section("summary", "Summary")
    attrs = attributes(parts)
    synthetic = {
        "Synthetic data": attrs.get("synthetic"),
        "Models trained on synthetic data": attrs.get("model_synthetic"),
    }
    for text in dict.fromkeys(filter(None, synthetic.values())):
        page.banner(f"{'. '.join(what for what, of in synthetic.items() if of == text)}.", text)
    names = (*scene.moisture, *scene.others)
    labels = {n: label(n, scene.ds) for n in names}
    noted = {n: {k: scene.ds[n].attrs.get(f"std_ratio_{k}", 1.0) for k in WORDS} for n in names}
    flat = [tell_flat(labels[n], ratios, "its reference in training") for n, ratios in noted.items()]
    page.banner("Hardly any variation.", *filter(None, flat))
    executive(page, scene, scores.skill, scores.inside, lower(scores.no_skill.rstrip(".")))
    facts = {"Maps": "; ".join(f"{text} ({n})" if text != n else n for n, text in labels.items())}
    grid = grid_of(scene.ds)
    if grid is not None:
        west, south, east, north = grid.bbox
        lon = " to ".join(degrees(v, "E", "W", 2) for v in (west, east))
        lat = " to ".join(degrees(v, "N", "S", 2) for v in (south, north))
        size = f"{grid.rows} by {grid.cols} cells of {grid.cell / 1000:.1f} km"
        facts["Where"] = f"{lon}, {lat}; {grid.name}, {size}"
    else:
        facts["Where"] = ", ".join(f"{scene.ds.sizes[d]} {d}" for d in scene.space)
    facts["When"] = f"{scene.days[0]} to {scene.days[-1]}, {len(scene.days)} UTC days"
    shown = over[f"mean_{scene.best}"].notnull()
    facts["Cells with values"] = f"{int(shown.sum()):,} of {shown.size:,}"
    if scene.watched:
        share = float(over["share"].mean()) * 100
        facts["Observed"] = f"{share:.0f} % of the cell-days of {label(scene.watched, scene.ds)}"
    hashes = {labels[n]: str(scene.ds[n].attrs["model_hash"]) for n in names if "model_hash" in scene.ds[n].attrs}
    if hashes or "model_hash" in attrs:
        facts["Models"] = "; ".join(f"{n}: {h}" for n, h in hashes.items()) or attrs["model_hash"]
    methods = {str(scene.ds[n].attrs["fill_method"]) for n in names if "fill_method" in scene.ds[n].attrs}
    if methods:
        facts["Gap filling"] = "; ".join(sorted(methods))
    if "model_training" in attrs:
        facts["Trained on"] = attrs["model_training"]
    if scores.skill is not None:
        facts["Stations"] = f"{scores.skill.sizes['station']} scored"
    page.pairs(facts)


def maps(page: Page, scene: Scene, over: xr.Dataset) -> None:
    """Means of the period with their standard deviation, and the day with most gaps."""
    page.section("maps", "Maps")
    frame = frame_of(scene.ds)
    if frame is None or len(scene.space) != 2:
        page.absent(f"the data are not maps (dims {', '.join(scene.space)}).")
        return
    if scene.moisture:
        _means(page, scene, over, frame)
    if scene.others:
        shown = scene.others[:MAPS_MOST]
        more = f" {len(scene.others) - MAPS_MOST} more are not shown." if len(scene.others) > MAPS_MOST else ""
        page.panels(
            {f"mean_{n}": Drawing(value_maps(frame, {title_of(n, scene.ds): over[f"mean_{n}"]},
                                             bar=bar_of(scene.ds, n, ""))[0],
                                  f"Map of the mean of {n}", over[f"mean_{n}"]) for n in shown},
            f"Means of the other gap-filled variables.{more}", columns="three",
        )  # fmt: skip
    _day(page, scene, over, frame)


def _means(page: Page, scene: Scene, over: xr.Dataset, frame: Frame) -> None:
    period = f"{scene.days[0]} to {scene.days[-1]}"
    panels = []
    for part, file, ramp, words in (
        ("mean", "mean", "soil_moisture", "mean"),
        ("spread", "std", "uncertainty", "mean standard deviation"),
    ):
        names = [n for n in scene.moisture if f"{part}_{n}" in over]
        labels = [label(n, scene.ds) for n in names]
        shown = {f"{text}: {words}": over[f"{part}_{n}"] for n, text in zip(names, labels, strict=True)}
        figures = value_maps(frame, shown, ramp)
        alts = [f"Map of the {words} of soil moisture, {text}" for text in labels]
        panels.append({
            f"{file}_{n}": Drawing(figure, alt, over[f"{part}_{n}"])
            for n, figure, alt in zip(names, figures, alts, strict=True)
        })  # fmt: skip
    means, spreads = panels
    grey = "Grey: no value (water, or a predictor that is never there)."
    spread = "mean over the days of the standard deviation"
    if len(means) == len(spreads) == 1:
        page.panels(means | spreads, f"Mean soil moisture, {period}; {spread}. {grey}")
        return
    page.panels(means, f"Mean soil moisture, {period}; one colour scale for all panels. {grey}")
    if spreads:
        page.panels(spreads, f"The {spread}, {period}; one colour scale for all panels.")
    else:
        page.absent(f"standard deviations; {scene.no_spread}.")


def _day(page: Page, scene: Scene, over: xr.Dataset, frame: Frame) -> None:
    if not scene.watched or (position := gap_day(over)) is None:
        page.absent("a day with gaps; no day is observed in part.")
        return
    name, day = scene.best, scene.days[position]
    parts = {"observed": scene.ds[scene.watched].where(scene.ds["observed"]), "map": scene.ds[name]}
    if f"{name}_std" in scene.ds:
        parts["std"] = scene.ds[f"{name}_std"]
    one = xr.Dataset(parts).isel(time=position).compute()
    observed, shown = f"{label(scene.watched, scene.ds)}, observed", label(name, scene.ds)
    ramp = "soil_moisture" if name in scene.moisture else ""
    bar = bar_of(scene.ds, name, ramp)
    both = {observed: one["observed"], shown: one["map"]}
    first, second = value_maps(frame, both, ramp, bar)
    figures = {"day_observed": Drawing(first, f"Map of {observed}, {day}", one["observed"]),
               "day_map": Drawing(second, f"Map of {shown}, {day}", one["map"])}  # fmt: skip
    if "std" in one:
        panels = {f"{shown}: standard deviation": one["std"]}
        ramp = "uncertainty" if ramp else ""
        (third,) = value_maps(frame, panels, ramp, bar_of(scene.ds, f"{name}_std", ramp))
        figures["day_std"] = Drawing(third, f"Map of the standard deviation of {shown}, {day}", one["std"])
    share = float(over["share"][position]) * 100
    least = f"{LEAST_SHARE * 100:.0f} %"
    empty = int((over["share"] < LEAST_SHARE).sum())
    page.panels(
        figures,
        f"{day}, the day with the fewest observations ({share:.0f} % of the cells) among those with at least {least}; "
        f"{empty} of {len(scene.days)} days have fewer. Grey: not observed, or no value.",
        columns="three",
    )


def soil(page: Page, scene: Scene, sites: xr.Dataset | None) -> None:
    """Texture classes with the stations."""
    page.section("soil", "Soil texture")
    frame, classes = frame_of(scene.ds), soil_maps(scene.ds)
    if frame is None or classes is None:
        page.absent("there are no soil maps (sand, silt and clay).")
        return
    where = " and the stations" if sites is not None else ""
    classes = classes.compute()
    alt = f"Map of USDA soil texture classes{where}"
    page.panels(
        {"texture": Drawing(texture_map(frame, classes, sites), alt, classes.where(classes > 0))},
        f"USDA texture classes of the upper soil{where} (as Figure 2 of Rabiei et al., 2024).",
    )


def gaps(page: Page, scene: Scene, over: xr.Dataset) -> None:
    """When and for how long observations are missing."""
    page.section("gaps", "Data availability")
    if not scene.watched:
        page.absent("no variable shows what was observed.")
        return
    name = label(scene.watched, scene.ds)
    share = over["share"].values
    figure = series_figures.availability(scene.days, share, name)
    data = frame_by("day", scene.days, share_observed=share, cells_with_a_map=over["cells"].values)
    page.wide(
        "availability", Drawing(figure, f"Share of observed cells of {name} per day", data),
        f"Share of the cells with {name}, of all cells that were ever observed; mean {share.mean() * 100:.0f} %.",
    )  # fmt: skip
    if not int(over["gaps"].sum()):
        page.absent("gap lengths; there is no gap.")
        return
    counts = over["gaps"].values, over["missing"].values
    data = frame_by("days", np.array(GAP_NAMES), gaps=counts[0], missing_cell_days=counts[1])
    page.wide(
        "gap_lengths", Drawing(series_figures.gap_lengths(*counts), "Histogram of gap lengths", data),
        "Gaps in the series of the cells by length. Gaps at the first or last day are cut by the period.",
    )  # fmt: skip


def series(page: Page, scene: Scene, at_sites: xr.Dataset, scores: Scores, names: Sequence[str]) -> None:
    """Series of the stations of these names; without names of up to three stations or cells."""
    page.section("series", "Time series")
    if not at_sites.sizes.get("site"):
        page.absent("no cell has a value.")
        return
    sites = _named(at_sites, names) or _typical(at_sites, scores.skill)
    for number, (position, why) in enumerate(sites, start=1):
        site = at_sites.isel(site=position)
        network = f", {site['network'].values}" if "network" in site.coords and str(site["network"].values) else ""
        name = f"{site['station'].values}{network}"
        figure = series_figures.series(scene, site, name)
        data = site.drop_vars([n for n in site.coords if n != "time"]).to_dataframe().reset_index()
        page.wide(f"series_{number}", Drawing(figure, f"Soil moisture series at {name}", data), f"{name}: {why}.")


def _named(at_sites: xr.Dataset, names: Sequence[str]) -> list[tuple[int, str]]:
    known = [str(s) for s in at_sites["station"].values]
    for name in names:
        if name not in known:
            raise unknown("station", name, known)
    return [(known.index(name), "as requested") for name in names]


def _typical(at_sites: xr.Dataset, skill: xr.Dataset | None) -> list[tuple[int, str]]:
    """Sites of the highest, the median and the lowest R at the surface; the first three without scores."""
    names = [str(s) for s in at_sites["station"].values]
    if skill is None:
        if "network" in at_sites.coords:
            return [(i, "station without a score") for i in range(min(3, len(names)))]
        return [(i, "a cell with many observations") for i in range(len(names))]
    surface = skill["product"].values[skill["layer"].values == "surface"]
    maps = [str(p) for p in surface if role_of(skill, str(p)) not in MODELS.values()]
    maps = maps or [str(p) for p in skill["product"].values]
    shown = next((p for p in maps if p.endswith(", all days")), foremost(maps))
    r = skill["r"].sel(product=shown)
    both = skill["r"].notnull().all("product")
    use = np.flatnonzero((r.notnull() & both).values) if bool(both.any()) else np.flatnonzero(r.notnull().values)
    order = use[np.argsort(-r.values[use], kind="stable")]
    if not len(order):
        return [(0, "station without a score")]
    what = label(shown, skill)
    ranks = {0: "highest", (len(order) - 1) // 2: "median", len(order) - 1: "lowest"}
    picks = [(order[rank], word) for rank, word in ranks.items()]
    days = skill["n"].sel(product=shown).values
    reasons = [
        f"the station with the {word} R of {what} ({show(float(r.values[i]), '.2f')}, {days[i]} days)"
        for i, word in picks
    ]
    return [(names.index(str(r["station"].values[i])), text) for (i, _), text in zip(picks, reasons, strict=True)]


def provenance(page: Page, parts: Sequence[xr.Dataset | None]) -> None:
    """Where everything came from."""
    page.section("provenance", "Provenance")
    lines: dict[str, None] = {}
    for part in parts:
        lines |= dict.fromkeys(str(part.attrs.get("history", "")).split("\n") if part is not None else [])
    lines.pop("", None)
    if lines:
        page.add(f"<pre>{escape(chr(10).join(lines))}</pre>")
    else:
        page.absent("a history; the data have none.")
    for what, pairs in (("Attributes", attributes(parts)), ("Versions", dict(show_versions()))):
        rows = [[k, v] for k, v in pairs.items()]
        page.fold(what, plain_table(Table([("Name", "", ""), ("Value", "", "")], rows, "")))
