"""What is known of a place: the series of products with their spread, what is usual there, and stations with scores."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import xarray as xr

from xsm.data.cells import distance_km, spots_of
from xsm.data.json_numbers import json_numbers
from xsm.errors import XsmError
from xsm.explorer.products import Catalogue, Product
from xsm.series.climatology import How, climatology_of
from xsm.series.day_of_year import day_of_year
from xsm.validation import matching
from xsm.validation.depths import Depth
from xsm.validation.metrics import NORMAL_95
from xsm.validation.scoring import score_maps

REACH_KM = 25.0
"""How far a station may be from a place."""
DEPTHS = {"surface": 5.0, "subsurface": 20.0}
"""Depths in cm at which stations are compared."""
SCORES = ("r", "rmse", "bias", "ubrmse", "n")
USUAL_YEARS = 2


def series(product: Product, lon: float, lat: float) -> dict[str, Any]:
    """Values of a product in the cell of a place, the ends of their 95 percent interval, and what is usual.

    ``values`` has one number for each day of the product, ``low`` and ``high`` where it has a spread; ``usual`` and
    ``usual_std`` are the climatology and its standard deviation of every day, of two years or more.
    """
    cell = _cell(product, lon, lat)
    if cell is None:
        return {}
    names = [product.name, *filter(None, [product.spread])]
    part = product.ds[names].isel(cell).reset_coords(drop=True).compute()
    values = part[product.name].values.astype("f8")
    out: dict[str, Any] = {"values": json_numbers(values)}
    if product.spread:
        half = NORMAL_95 * part[product.spread].values.astype("f8")
        out |= {"low": json_numbers(values - half), "high": json_numbers(values + half)}
    return out


def usual(product: Product, lon: float, lat: float) -> dict[str, Any]:
    """Climatology of a product at a place on each of its days, and one standard deviation of the years around it."""
    cell = _cell(product, lon, lat)
    years = len(np.unique(product.days.astype("M8[Y]")))
    if cell is None or years < USUAL_YEARS or not product.moisture:
        return {}
    one = product.ds[[product.name]].isel(cell).reset_coords(drop=True).compute()
    climate = climatology_of(one, product.days, np.ones(len(product.days), bool), [product.name], How(std=True))
    day = day_of_year(product.days) - 1
    mean, std = (climate[f"{product.name}_climatology{end}"].values[day] for end in ("", "_std"))
    return {"low": json_numbers(mean - std), "high": json_numbers(mean + std), "mean": json_numbers(mean)}


def stations_near(catalogue: Catalogue, lon: float, lat: float) -> list[dict[str, Any]]:
    """Stations within `REACH_KM` of a place, nearest first, with their daily series and the scores of every product."""
    stations = catalogue.stations
    if stations is None:
        return []
    here = np.asarray(lat, "f8"), np.asarray(lon, "f8")
    away = distance_km(*here, *(stations[n].values.astype("f8") for n in ("lat", "lon")))
    near = np.flatnonzero(away <= REACH_KM)
    if not len(near):
        return []
    part = stations.isel(sensor=near).load()
    rows: dict[str, dict[str, Any]] = {}
    for ds in catalogue.sources:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            try:
                _add_series(rows, ds, part)
                _add_scores(rows, ds, part, [p for p in catalogue.products.values() if p.ds is ds and p.layer])
            except XsmError as error:
                for row in rows.values():
                    row.setdefault("remark", error.message)
    for row in rows.values():
        row["km"] = round(float(distance_km(*here, np.asarray(row["lat"]), np.asarray(row["lon"]))), 1)
    return sorted(rows.values(), key=lambda row: row["km"])


def _add_series(rows: dict[str, dict[str, Any]], ds: xr.Dataset, stations: xr.Dataset) -> None:
    """Daily means of stations, in layers, on the days of maps."""
    days = ds["time"].values.astype("M8[D]")
    sensors = matching.Sensors(stations, days)
    spots = spots_of(ds, stations["lon"].values, stations["lat"].values)
    sites = matching.choose(sensors, ds, spots, {layer: Depth((at,)) for layer, at in DEPTHS.items()})
    place = matching.site_coords(sites)
    means = {layer: sensors.day_means(sites, layer) for layer in DEPTHS}
    for i, name in enumerate(place["station"]):
        known = {layer: values[i] for layer, values in means.items() if np.isfinite(values[i]).any()}
        row = rows.setdefault(str(name), {"station": str(name), "scores": []})
        row |= {n: str(place[n][i]) if n == "network" else float(place[n][i]) for n in ("network", "lat", "lon")}
        for layer, values in known.items():
            row.setdefault("series", {}).setdefault(
                layer, {"days": days.astype(int).tolist(), "values": json_numbers(values)}
            )


def _add_scores(rows: dict[str, dict[str, Any]], ds: xr.Dataset, stations: xr.Dataset, products: list[Product]) -> None:
    if not products:
        return
    table = score_maps(ds, stations, variables=[p.name for p in products])
    labels = {p.name: p for p in products}
    for name in table["station"].values:
        for product in table["product"].values:
            one = table.sel(station=name, product=product)
            known = labels.get(str(product).partition(",")[0])
            if not int(one["n"]) or known is None or str(name) not in rows:
                continue
            scores = dict(zip(SCORES, json_numbers(np.array([float(one[n]) for n in SCORES])), strict=True))
            rows[str(name)]["scores"].append(
                {"product": known.key, "layer": str(one["layer"].item()), "depth": str(one["reference"].item())}
                | scores
            )


def _cell(product: Product, lon: float, lat: float) -> dict[str, int] | None:
    """Position of the cell of a place; None outside the maps."""
    spots = spots_of(product.ds, np.array([lon]), np.array([lat]))
    return {d: int(i[0]) for d, i in spots.index.items()} if spots.inside[0] else None
