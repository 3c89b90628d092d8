"""What the benchmark of fusion compares: fusion, its inputs, their usual merges, the scenarios of the article."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

import xsm
from benchmarks.fuse_worlds import Case
from xsm.learning.fusing import inputs_of, surface_parts
from xsm.validation.metrics import triple_collocation

DEPTHS = (5, 25)
SMALL = {"model": "convlstm", "preset": "small", "epochs": 4}
"""Training of the article's scenarios: a tenth of the default number of epochs, minutes for the four of a world."""
SCENARIOS = ((5, 1), (5, 2), (25, 1), (25, 2))


@dataclass
class Products:
    """Estimates and their standard deviations on all days by depth (cm) and name, (time, y, x)."""

    values: dict[int, dict[str, xr.DataArray]] = field(default_factory=lambda: {depth: {} for depth in DEPTHS})
    spreads: dict[int, dict[str, xr.DataArray]] = field(default_factory=lambda: {depth: {} for depth in DEPTHS})


def products(case: Case, scenarios: str) -> Products:
    """Everything that is compared in a world; ``scenarios`` is "trained", "shipped" or "none"."""
    out, cube = Products(), case.cube
    bundles = {
        "fuse": fit(case),
        "fuse with stations": fit(case, stations=case.known_stations),
        "fuse filter": fit(case, mode="filter"),
    }
    for name, bundle in bundles.items():
        maps = xsm.fuse(cube, model=bundle)
        for depth in DEPTHS:
            out.values[depth][name], out.spreads[depth][name] = maps[f"sm_{depth}cm"], maps[f"sm_{depth}cm_std"]
    swapped = elsewhere(case)
    for depth in DEPTHS:
        name = f"sm_{depth}cm"
        out.values[depth]["fuse elsewhere"], out.spreads[depth]["fuse elsewhere"] = swapped[name], swapped[f"{name}_std"]
    third = surface_parts(inputs_of(cube), bundles["fuse"])["prediction"]
    out.values[5] |= {
        "triple collocation weights": collocated(case, third),
        "mean of inputs": (cube["sm_dca"] + cube["sm_noah_0_10"]) / 2,
        "retrieval": cube["sm_dca"],
        "model_surface": cube["sm_noah_0_10"],
    }
    out.values[25]["model_root"] = cube["sm_noah_10_40"]
    for (depth, number), maps in article(case, scenarios).items():
        out.values[depth][f"scenario {number}"] = maps[f"sm_{depth}cm"]
    return out


def elsewhere(case: Case) -> xr.Dataset:
    """Each half of a world (216 km x 432 km of 48 cells) fused by a bundle that learnt from the other half alone."""
    columns = xr.DataArray(np.arange(case.cube.sizes["x"]) < case.cube.sizes["x"] // 2, dims="x")
    names = ["sm_5cm", "sm_5cm_std", "sm_25cm", "sm_25cm_std"]
    halves = []
    for half in (columns, ~columns):
        observed = case.cube["sm_dca_observed"].astype(bool) & half
        cube = case.cube.assign(sm_dca=case.cube["sm_dca"].where(observed), sm_dca_observed=observed)
        bundle = xsm.fit(case.before(cube), task="fuse", seed=case.seed, **case.split)
        halves.append(xsm.fuse(case.cube, model=bundle)[names])
    return halves[1].where(columns, halves[0])


def fit(case: Case, mode: str = "smoother", stations: xr.Dataset | None = None) -> xsm.Bundle:
    """Train a fusion on the days before the test days."""
    return xsm.fit(case.before(case.cube), task="fuse", mode=mode, stations=stations, seed=case.seed, **case.split)


def article(case: Case, how: str) -> dict[tuple[int, int], xr.Dataset]:
    """Estimates of the four scenarios by trained or shipped models."""
    out, surface = {}, None
    for depth, number in SCENARIOS if how != "none" else ():
        bundle = None
        if how == "trained":
            feeds = {"surface": surface} if (depth, number) == (25, 2) else {}
            what: dict[str, Any] = {"depth": depth, "scenario": number, "seed": case.seed, **feeds, **case.split}
            bundle = xsm.fit(case.before(case.cube), stations=case.known_stations, **what, **SMALL)
            surface = bundle if (depth, number) == (5, 2) else surface
        out[depth, number] = xsm.estimate(case.cube, depth=depth, scenario=number, model=bundle)
    return out


def collocated(case: Case, third: xr.DataArray) -> xr.DataArray:
    """Weight retrieval, land model and a third product by their error variances (Yilmaz and Crow, 2012).

    By triple collocation of the observed, thawed training days of each cell, all in the units of the retrieval; equal
    weights where it has no solution. The mean of a cell is that of the three.
    """
    dims = ("y", "x", "time")
    inputs = case.cube["sm_dca"], case.cube["sm_noah_0_10"], third
    three = np.stack([v.transpose(*dims).values for v in inputs])
    learn = (case.cube["sm_dca_observed"] & ~case.cube["frozen"]).transpose(*dims).values & case.training
    known = np.where(learn & np.isfinite(three).all(0), three, np.nan)
    errors = triple_collocation(*known)
    solved = np.isfinite(errors["error_std_scaled"]).all(0)
    weight = np.where(solved, errors["error_std_scaled"] ** -2.0, 1.0)
    weight = weight / weight.sum(0) * np.where(solved, errors["scale"], 1.0)
    counts = np.maximum(learn.sum(-1), 1)
    mean = np.nansum(known, -1) / counts
    merged = mean.mean(0)[..., None] + (weight[..., None] * (three - mean[..., None])).sum(0)
    return xr.DataArray(merged, dims=dims, coords=case.cube["sm_dca"].transpose(*dims).coords)
