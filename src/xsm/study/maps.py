"""The maps that a study gives: its estimates side by side, or what it filled, and their GeoTIFFs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import xarray as xr

from xsm.data.skipped import LEFT_OUT
from xsm.errors import DataError
from xsm.io import files, geotiff
from xsm.learning.estimating import trim
from xsm.study.config import depth_and_scenario


def combine(made: Mapping[str, Path], cube: xr.Dataset) -> xr.Dataset:
    """Put estimates side by side as ``sm_5cm_s1``, ``sm_5cm_s1_std`` and so on, cut to the region that was opened."""
    parts: list[xr.Dataset] = []
    history = dict.fromkeys(str(cube.attrs.get("history", "")).splitlines())
    for pair, path in made.items():
        depth, number = depth_and_scenario(pair)
        ds = files.read(path)
        name = f"sm_{depth}cm"
        spread = next(s for s in ("_std", "_reference_std") if f"{name}{s}" in ds)
        names = {name: f"{name}_s{number}", f"{name}{spread}": f"{name}_s{number}{spread}"}
        names["mask_reason"] = f"mask_reason_{pair.replace('-', '_')}"
        keep = ds[[*names, *(["frozen"] if "frozen" in ds and not parts else [])]].rename(names)
        history |= dict.fromkeys(str(ds.attrs.get("history", "")).splitlines())
        told = ("scenario", "model_hash", "model_training", "model_validation", "lead_in_days", "warm_up_days")
        keep[names[name]].attrs |= {k: ds.attrs[k] for k in told}
        parts.append(keep if not parts else keep.drop_vars(["texture", "land_cover"], errors="ignore"))
    merged = xr.merge(parts, join="exact", compat="override", combine_attrs="drop_conflicts")
    if LEFT_OUT in cube:
        merged = merged.assign({LEFT_OUT: cube[LEFT_OUT]})
    merged = trim(merged, cube.attrs.get("xsm_region"))
    return merged.assign_attrs(title="Soil moisture estimates", history="\n".join(history))


def filled_names(cube: xr.Dataset) -> list[str]:
    """What a study without estimates gives: variables that were filled, with what belongs to them."""
    names = [f"{n}{s}" for n in cube if f"{n}_std" in cube for s in ("", "_std", "_obs_std", "_observed")]
    return names + [LEFT_OUT] * (LEFT_OUT in cube)


def write_filled(cube: Path, part: Path) -> None:
    """Write the maps of a study that estimates nothing."""
    filled = files.read(cube)
    files.write(trim(filled[filled_names(filled)], filled.attrs.get("xsm_region")), part)


def write_geotiffs(names: Iterable[str], estimates: Path, part: Path) -> None:
    """Write variables as GeoTIFFs, one a day, into a folder."""
    ds = files.read(estimates)
    part.mkdir()
    for name in names:
        if name not in ds:
            raise DataError(f"'{name}' is not among the maps.", hint=f"There are {', '.join(map(str, ds.data_vars))}.")
        geotiff.write(ds[[name]], part / f"{name}.tif", daily=True)
