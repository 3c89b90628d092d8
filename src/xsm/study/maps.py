"""The results of a study: its estimates side by side or its filled variables, their GeoTIFFs, and the report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from xsm.data.skipped import LEFT_OUT
from xsm.errors import DataError
from xsm.io import files, geotiff
from xsm.learning.estimating import trim
from xsm.study.config import FUSED, Study, depth_and_scenario
from xsm.study.inputs import about_input

PROVENANCE = (
    "method", "mode", "scenario", "model_hash", "model_training", "model_validation", "training_stations",
    "lead_in_days", "warm_up_days",
)  # fmt: skip
"""Attributes of an estimate that its map keeps beside other maps."""
OF_ONE = (*PROVENANCE, "depth", "model", "training_data")
"""Attributes that a dataset has only where all of its estimates have them."""

EXPLORER = "maps.html"


def combine(estimates: Mapping[str, Path], cube: xr.Dataset) -> xr.Dataset:
    """Put estimates side by side, cut to the region that was opened.

    Those of a scenario are called ``sm_5cm_s1``, ``sm_5cm_s1_std`` and so on, those of the fusion ``sm_5cm``.
    """
    parts: list[xr.Dataset] = []
    history = dict.fromkeys(str(cube.attrs.get("history", "")).splitlines())
    for stage, path in estimates.items():
        ds = files.read(path)
        history |= dict.fromkeys(str(ds.attrs.get("history", "")).splitlines())
        part = _named(ds, stage.removeprefix("estimate "))
        parts.append(part if not parts else part.drop_vars(["texture", "land_cover", "frozen"], errors="ignore"))
    merged = xr.merge(parts, join="exact", compat="override", combine_attrs="drop_conflicts")
    of_one = {k for k in OF_ONE if not all(k in part.attrs for part in parts)}
    merged.attrs = {k: v for k, v in merged.attrs.items() if k not in of_one}
    if LEFT_OUT in cube:
        merged = merged.assign({LEFT_OUT: cube[LEFT_OUT]})
    merged = trim(merged, cube.attrs.get("xsm_region"))
    return merged.assign_attrs(title="Soil moisture estimates", history="\n".join(history))


def _named(ds: xr.Dataset, result: str) -> xr.Dataset:
    """An estimate under the names that it has beside others; its maps say where they come from."""
    provenance = {k: ds.attrs[k] for k in PROVENANCE if k in ds.attrs}
    ds = ds.assign({n: ds[n].assign_attrs(provenance) for n in FUSED if n in ds})
    if result == "fuse":
        return ds
    depth, number = depth_and_scenario(result)
    name = f"sm_{depth}cm"
    spread = next(s for s in ("_std", "_reference_std") if f"{name}{s}" in ds)
    names = {name: f"{name}_s{number}", f"{name}{spread}": f"{name}_s{number}{spread}"}
    names["mask_reason"] = f"mask_reason_{result.replace('-', '_')}"
    return ds[[*names, *(["frozen"] if "frozen" in ds else [])]].rename(names)


def write_estimates(estimates: Mapping[str, Path], cube: Path, part: Path) -> None:
    """Write the maps of a study that estimates or fuses, by the names of their stages."""
    files.write(combine(estimates, files.read(cube)), part)


def filled_names(cube: Path) -> list[str]:
    """Maps of a study without estimates: the variables that were filled, with what belongs to them."""
    ds = files.read(cube)
    names = [f"{n}{s}" for n in map(str, ds) if f"{n}_std" in ds for s in ("", "_std", "_obs_std", "_observed")]
    return names + [LEFT_OUT] * (LEFT_OUT in ds)


def write_filled(cube: Path, part: Path) -> None:
    """Write the maps of a study without estimates."""
    filled = files.read(cube)
    files.write(trim(filled[filled_names(cube)], filled.attrs.get("xsm_region")), part)


def write_geotiffs(names: Iterable[str], maps: Path, part: Path) -> None:
    """Write variables as GeoTIFFs, one for each day, into a folder."""
    ds = files.read(maps)
    part.mkdir()
    for name in names:
        if name not in ds:
            raise DataError(f"'{name}' is not among the maps.", hint=f"There are {', '.join(map(str, ds.data_vars))}.")
        geotiff.write(ds[[name]], part / f"{name}.tif", daily=True)


def about_report(study: Study) -> Any:
    """What the report depends on besides the maps and the cube: its title and the files of the stations."""
    return [study.title, {name: about_input(study, name, source)[0] for name, source in study.stations.items()}]


def write_report(study: Study, maps: Path, cube: Path, stations: Path | None, part: Path) -> None:
    """Write the report and its figures into a folder, and beside it the explorer's page of maps that are small."""
    from xsm.explorer.saved import small_page
    from xsm.reporting import report

    ds, links = files.read(maps), {}
    part.mkdir()
    if page := small_page(study.title, ds):
        (part / EXPLORER).write_text(page, encoding="utf-8")
        links = {"Explore the maps": EXPLORER}
    report.write_report(
        ds, part / "report.html", cube=files.read(cube), title=study.title, links=links,
        stations=None if stations is None else files.read(stations),
    )  # fmt: skip
