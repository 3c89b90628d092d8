"""Write a report: maps, gaps, series and scores as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import xarray as xr

from xsm import atomic
from xsm._version import __version__
from xsm.contracts.operation import Kind, Param, operation

if TYPE_CHECKING:
    from xsm.reporting.gather import Scene
    from xsm.reporting.page import Page

PAPER = "doi:10.20944/preprints202412.1356.v1"


@operation(title="Write a report", group="Validation", result=Kind.PATH)
def report(
    ds: Annotated[xr.Dataset, Param("Estimates, or gap-filled maps.")],
    output: Annotated[Path, Param("HTML file to write.")],
    *,
    cube: Annotated[xr.Dataset | None, Param("Cube behind the maps: DCA, Noah, rain, soil, land cover.")] = None,
    stations: Annotated[xr.Dataset | None, Param("Stations to score the maps against.", kind=Kind.STATIONS)] = None,
    sites: Annotated[tuple[str, ...], Param("Stations whose series are shown; three typical ones otherwise.")] = (),
    title: Annotated[str, Param("Title of the report.")] = "Soil moisture",
    overwrite: Annotated[bool, Param("Replace an existing report.", advanced=True)] = False,
) -> Path:
    """Write one self-contained HTML report of soil moisture maps.

    It shows the maps and their uncertainty, where and when observations are missing, series at stations or cells, the
    scores of Tables 1 and 3 and Figures 2 to 7 of Rabiei et al. (2024), also by kind of day, how honest the uncertainty
    is, how gap filling does by the length of the gap, and where everything came from.
    What the data do not allow is left out with the reason. Means and counts are computed block by block.

    Parameters
    ----------
    ds : xarray.Dataset
        Daily maps with dims ``(time, y, x)``: estimates (``sm_5cm``, ``sm_25cm_s2``, ...; m3 m-3) with ``_std``, or
        gap-filled variables with ``_std`` and ``_observed``.
    output : Path
        File to write. The figures are also written as PNG and SVG files into ``figures`` beside it.
    cube : xarray.Dataset, optional
        Adds ``sm_dca``, ``sm_noah_*``, SMAP Level 4 (``sm_surface``, ``sm_rootzone``), ``precipitation``, ``frozen``,
        soil maps and land cover, on the same grid.
    stations : xarray.Dataset, optional
        ``soil_moisture(sensor, time)`` (docs/design/decisions.md, "Stations").
    sites : sequence of str
        Names of the stations whose series are shown; otherwise those of the highest, median and lowest R.
    title : str
        Title of the page.
    overwrite : bool
        Replace an existing file; otherwise it is refused.

    Returns
    -------
    Path
        The HTML file.

    Raises
    ------
    DataError
        Where the maps hold neither estimates nor gap-filled variables.
    UsageError
        Where the output exists.

    Examples
    --------
    >>> import xsm
    >>> filled = xsm.example("smap").sm.gapfill_cru()  # doctest: +SKIP
    >>> filled.sm.report("report.html")  # doctest: +SKIP
    """
    import matplotlib as mpl

    from xsm.reporting.charts import LOOK
    from xsm.reporting.gather import scene as make_scene
    from xsm.reporting.page import Page

    output = Path(output)
    atomic.check_output(output, overwrite)
    scene = make_scene(ds, cube)
    page = Page(title, f"{scene.days[0]} to {scene.days[-1]}, daily")
    with mpl.rc_context(LOOK):  # type: ignore[arg-type]
        _compose(page, scene, [ds, cube, stations], sites)
    for name, image in page.images.items():
        with atomic.fresh(output.parent / "figures" / f"{output.stem}_{name}", overwrite=True) as part:
            part.write_bytes(image)
    text = page.html(f"Written by xsm {__version__}. Method: Rabiei et al. (2024), {PAPER}")
    with atomic.fresh(output, overwrite) as part:
        part.write_text(text, encoding="utf-8")
    return output


def _compose(page: Page, scene: Scene, parts: list[xr.Dataset | None], sites: tuple[str, ...]) -> None:
    from xsm.reporting import sections, validation
    from xsm.reporting.gather import cell_series, overview, station_series

    stations = parts[-1]
    over = overview(scene)
    scores = validation.Scores() if stations is None else validation.score(scene, stations)
    scored = stations is not None and (scores.skill is not None or scores.teachers is not None)
    series = station_series(scene, stations) if scored and stations is not None else cell_series(scene, over)
    sections.summary(page, scene, over, parts, scores)
    sections.maps(page, scene, over)
    sections.soil(page, scene, series if scored else None)
    sections.gaps(page, scene, over)
    sections.series(page, scene, series, scores, sites)
    validation.validation(page, scene, series, scores)
    validation.uncertainty(page, scene, series, scores)
    sections.provenance(page, parts)
