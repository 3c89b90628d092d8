"""The report: sections in their order, written as one HTML file with the figures beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import xarray as xr

from xsm import atomic
from xsm._version import __version__
from xsm.reporting import score_sections, sections
from xsm.reporting.html_page import FOLDER, Page
from xsm.reporting.scene import Scene, cell_series, is_fused, make_scene, overview, station_series
from xsm.reporting.theme import styled
from xsm.reporting.weights import rests_on

PAPER = "doi:10.20944/preprints202412.1356.v1"


def write_report(
    ds: xr.Dataset,
    output: Path,
    *,
    cube: xr.Dataset | None = None,
    stations: xr.Dataset | None = None,
    sites: Sequence[str] = (),
    title: str = "Soil moisture",
    overwrite: bool = False,
    links: Mapping[str, str] | None = None,
) -> Path:
    """Write a report of maps, with links to files beside it by their words; see `xsm.report`."""
    output = Path(output)
    atomic.check_output(output, overwrite)
    scene = make_scene(ds, cube)
    page = Page(title, f"{scene.days[0]} to {scene.days[-1]}, daily", output.stem, links)
    with styled():
        _compose(page, scene, [ds, cube, stations], sites)
    for name, content in page.files.items():
        with atomic.fresh(output.parent / FOLDER / f"{output.stem}_{name}", overwrite=True) as part:
            part.write_bytes(content)
    text = page.html(f"Written by xsm {__version__}. Method: {_method(scene)}")
    with atomic.fresh(output, overwrite) as part:
        part.write_text(text, encoding="utf-8")
    return output


def _method(scene: Scene) -> str:
    """What the maps are made by: the scenarios of the article, xsm's own fusion, or both."""
    fused = [is_fused(scene.ds, n) for n in scene.estimates]
    article = f"Rabiei et al. (2024), {PAPER}"
    if not any(fused):
        return article
    fusion = "fusion of retrieval, land model and weather (xsm.fuse)"
    return fusion if all(fused) else f"{fusion}; scenarios: {article}"


def _compose(page: Page, scene: Scene, parts: list[xr.Dataset | None], sites: Sequence[str]) -> None:
    stations = parts[-1]
    over = overview(scene)
    scores = score_sections.Scores() if stations is None else score_sections.score(scene, stations)
    scored = stations is not None and (scores.skill is not None or scores.teachers is not None)
    series = station_series(scene, stations) if scored and stations is not None else cell_series(scene, over)
    scores = score_sections.with_coverage(scene, series, scores)
    sections.summary(page, scene, over, parts, scores)
    sections.maps(page, scene, over)
    score_sections.validation(page, scene, series, scores)
    score_sections.uncertainty(page, scene, series, scores)
    rests_on(page, scene.ds)
    sections.series(page, scene, series, scores, sites)
    sections.gaps(page, scene, over)
    sections.soil(page, scene, series if scored else None)
    sections.provenance(page, parts)
