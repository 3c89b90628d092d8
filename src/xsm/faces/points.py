"""Stations and their scores as points of a GIS, with the series behind each score."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from xsm.contracts.registry import get_operation
from xsm.data.json_numbers import json_numbers
from xsm.faces.execute import Outcome, bind
from xsm.io.tables import as_reference
from xsm.reporting.score_tables import DEPTHS, label
from xsm.reporting.series_figures import look
from xsm.validation.products import layer_of

MOST_POINTS, MOST_DAYS = 300, 120
"""Series that are drawn, and values of each: longer ones are averaged."""
STEPS = {
    "r": (-1, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1),
    "ubrmse": (0, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 1),
    "bias": (-1, -0.08, -0.04, -0.02, 0.02, 0.04, 0.08, 1),
}
"""Limits of the classes of each score; 0.04 m3 m-3 is what satellite missions aim at."""
GOOD = ("#440154", "#443a83", "#31688e", "#21908d", "#35b779", "#8fd744", "#fde725")
SIGNED = ("#b2182b", "#ef8a62", "#fddbc7", "#f7f7f7", "#d1e5f0", "#67a9cf", "#2166ac")
COLOURS = {"r": GOOD, "ubrmse": GOOD[::-1], "bias": SIGNED}
TITLES = {"r": "R", "ubrmse": "ubRMSE [m³ m⁻³]", "bias": "Bias [m³ m⁻³]"}


def points_of(values: Mapping[str, Any], outcome: Outcome) -> dict[str, Any]:
    """Points that a result has: stations as they were opened, or those of a table of scores.

    Returns
    -------
    dict
        Empty, or ``rows`` (``station``, ``network``, ``lat``, ``lon`` and what is known of it), ``groups`` (names of
        products), ``scores`` (``field``, ``title`` and ``classes`` of low, high and colour) and ``series``, a list
        beside ``rows`` of the series as `xsm.faces.cells.cells` gives them.
    """
    ds = outcome.value
    if not isinstance(ds, xr.Dataset) or not outcome.written:
        return {}
    if {"product", "station"} <= set(ds.dims) and {"lat", "lon", *STEPS} <= set(ds.variables):
        return _scores(ds, values)
    if "soil_moisture" in ds and "sensor" in ds["soil_moisture"].dims:
        return _stations(as_reference(ds))
    return {}


def _stations(ds: xr.Dataset) -> dict[str, Any]:
    network = ds["network"].values if "network" in ds.variables else [""] * ds.sizes["sensor"]
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    columns = (ds[n].values.tolist() for n in ("station", "lat", "lon", "depth"))
    for (station, lat, lon, depth), name in zip(zip(*columns, strict=True), network, strict=True):
        row = rows.setdefault((str(name), str(station)), {
            "station": str(station), "network": str(name), "lat": lat, "lon": lon, "depths": ""})  # fmt: skip
        row["depths"] += f"{', ' if row['depths'] else ''}{depth:g}"
    return {"rows": list(rows.values()), "groups": [], "scores": [], "series": []}


def _scores(ds: xr.Dataset, values: Mapping[str, Any]) -> dict[str, Any]:
    pairs = _pairs(values)
    network = ds["network"].values if "network" in ds.variables else np.full(ds.sizes["station"], "")
    rows: list[dict[str, Any]] = []
    series: list[list[dict[str, Any]]] = []
    products = [str(p) for p in ds["product"].values]
    for i, product in enumerate(products):
        for j, station in enumerate(map(str, ds["station"].values)):
            scores = {n: float(ds[n].values[i, j]) for n in (*STEPS, "rmse", "n") if n in ds}
            if not all(math.isfinite(scores[n]) for n in STEPS):
                continue
            place = {n: float(ds[n].values[j]) for n in ("lat", "lon")}
            known = {"product": label(product, ds), "station": station, "network": str(network[j])}
            rows.append({**known, **place, **scores})
            series.append(_drawn(ds, product, pairs.get((product, station))) if len(series) < MOST_POINTS else [])
    classes = {
        n: [[*limits, c] for *limits, c in zip(s[:-1], s[1:], COLOURS[n], strict=True)] for n, s in STEPS.items()
    }
    described = [{"field": n, "title": TITLES[n], "classes": classes[n]} for n in STEPS]
    return {"rows": rows, "groups": [label(p, ds) for p in products], "scores": described, "series": series}


def _pairs(values: Mapping[str, Any]) -> dict[tuple[str, str], Any]:
    """Tables of time, value and reference of each product and station."""
    from xsm.validation.scoring import to_frame

    matchup = get_operation("matchup")
    names = {p.name for p in matchup.params}
    args, kwargs = bind(matchup, {n: v for n, v in values.items() if n in names})
    frame = to_frame(matchup.function(*args, **kwargs))
    return {(str(p), str(s)): rows for (p, s), rows in frame.groupby(["product", "station"])}


def _drawn(ds: xr.Dataset, product: str, pairs: Any) -> list[dict[str, Any]]:
    """The product and its reference as two series of at most `MOST_DAYS` values."""
    if pairs is None or not len(pairs):
        return []
    days = pairs.set_index("time")[["value", "reference"]].sort_index()
    step = math.ceil(((days.index[-1] - days.index[0]).days + 1) / MOST_DAYS)
    days = days.resample(f"{step}D").mean() if step > 1 else days
    style = look(product, ds)
    common = {"depth": DEPTHS.get(layer_of(ds, product) or "", "5 cm"), "half": None, "drought": None,
              "shown": True, "days": days.index.strftime("%Y-%m-%d").tolist()}  # fmt: skip
    return [
        {**common, "name": name, "kind": kind, "colour": colour, "dashed": False,
         "values": json_numbers(days[column].to_numpy(), 4)}
        for name, kind, column, colour in (
            ("Station", "station", "reference", "#000000"), (label(product), "map", "value", style["color"]))
    ]  # fmt: skip
