"""Scores of gridded soil moisture against stations (Rabiei et al., 2024, sections 2.6 and 3)."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import xarray as xr

from xsm import cf, matching, metrics
from xsm.cells import Cells
from xsm.describe import Kind, Param, operation
from xsm.errors import DataError, UsageError, unknown
from xsm.faces import spoken
from xsm.ops import texture as soil
from xsm.ops.open import days as period
from xsm.pairs import pair

if TYPE_CHECKING:
    import pandas as pd

PRODUCTS: Mapping[str, str] = {
    "sm_5cm": "surface",
    "sm_noah_0_10": "surface",
    "sm_dca": "surface",
    "sm_scav": "surface",
    "sm_scah": "surface",
    "sm_surface": "surface",
    "sm_25cm": "subsurface",
    "sm_noah_10_40": "subsurface",
    "sm_rootzone": "subsurface",
}
"""What is compared, and with which layer of the stations; a scenario at the end of a name (``_s1``) does not matter.
``sm_surface`` and ``sm_rootzone`` are SMAP Level 4, 0-5 and 0-100 cm."""

SCORES: Mapping[str, tuple[str, str]] = {
    "r": ("Pearson correlation", "1"),
    "r_low": ("Lower end of the 95 percent interval of r, by n_eff", "1"),
    "r_high": ("Upper end of the 95 percent interval of r, by n_eff", "1"),
    "p_value": ("Two-sided p-value of r, by n_eff", "1"),
    "spearman": ("Spearman rank correlation", "1"),
    "rmse": ("Root mean squared error", "m3 m-3"),
    "bias": ("Mean of product minus station", "m3 m-3"),
    "ubrmse": ("Unbiased root mean squared error", "m3 m-3"),
    "kge": ("Kling-Gupta efficiency", "1"),
    "n": ("Number of days", "1"),
    "n_eff": ("Effective number of independent days", "1"),
}
OPTIONAL: Mapping[str, tuple[str, str]] = {
    "r_anomaly": ("Pearson correlation of the anomalies from the moving mean of 35 days", "1"),
    **{f"{score}_{end}": (f"{word} end of the 95 percent interval of {score}, by bootstrap", "m3 m-3")
       for score in ("rmse", "bias", "ubrmse") for end, word in (("low", "Lower"), ("high", "Upper"))},
}  # fmt: skip
"""Scores that are there when they were asked for."""
MIN_DAYS = 60
GROUPED = ("r", "rmse", "bias", "ubrmse")
GROUPINGS = ("network", "land_cover", "texture", "texture_group")

IGBP = (
    "evergreen needleleaf forests", "evergreen broadleaf forests", "deciduous needleleaf forests",
    "deciduous broadleaf forests", "mixed forests", "closed shrublands", "open shrublands", "woody savannas",
    "savannas", "grasslands", "permanent wetlands", "croplands", "urban and built up lands",
    "cropland natural vegetation mosaics", "permanent snow and ice", "barren", "water bodies",
)  # fmt: skip
"""Names of the land cover classes 1 to 17 where the map does not bring its own."""


@operation(title="Validate against stations", group="Validation", result=Kind.TABLE)
def validate(
    ds: Annotated[xr.Dataset, Param("Daily soil moisture maps.", label="Maps")],
    stations: Annotated[
        xr.Dataset,
        Param(
            "Stations as opened from USCRN, SCAN or ISMN, or a CSV with station, time, soil_moisture, lat, lon, depth.",
            kind=Kind.STATIONS,
        ),
    ],
    *,
    variables: Annotated[tuple[str, ...] | None, Param("Soil moisture to score; all that is known otherwise.")] = None,
    by: Annotated[tuple[str, ...], Param(f"Group means: {', '.join(GROUPINGS)}.", label="Group by")] = (),
    method: Annotated[
        Literal["nearest", "bilinear"], Param("How a station's value is taken from the cells.", advanced=True)
    ] = "nearest",
    subsurface: Annotated[
        Literal["20", "10-20"], Param("Depth of the subsurface reference.", unit="cm", advanced=True)
    ] = "20",
    surface: Annotated[Literal["5", "5-10"], Param("Depth of the surface reference.", unit="cm", advanced=True)] = "5",
    min_days: Annotated[
        int | None, Param("Fewest days that a station needs; 60, or a third of a shorter period, otherwise.", minimum=3)
    ] = None,
    interval: Annotated[
        Literal["fisher", "bootstrap"],
        Param("Confidence intervals: of R, or of all by a block bootstrap.", advanced=True),
    ] = "fisher",
    anomaly: Annotated[bool, Param("Also correlate the anomalies from a moving mean of 35 days.")] = False,
    common: Annotated[
        bool, Param("Score all products of a layer on the same days and stations.", advanced=True)
    ] = True,
    time: Annotated[slice | None, Param("Period, both days included.", kind=Kind.PERIOD)] = None,
) -> xr.Dataset:
    """Score gridded soil moisture against stations.

    Estimates and land model are compared with UTC-day means of the stations (at least 20 of 24 hours), SMAP retrievals
    with the station's hour nearest to ``obs_time``, or the day where either has no hours. Days that ``frozen`` marks in
    the cell, and hours below 273.15 K in the station's own soil, take no part.

    Parameters
    ----------
    ds : xarray.Dataset
        Dims ``(time, y, x)`` on an EASE-Grid 2.0 or ``(time, lat, lon)``, one step per UTC day, m3 m-3. Only the
        stations' cells are computed.
    stations : xarray.Dataset
        ``soil_moisture`` (m3 m-3) with dims ``(sensor, time)``, flagged values NaN (DESIGN.md section 4). Of several
        sensors at one depth of a station the one with the most values is used.
    variables : sequence of str, optional
        Names in `PRODUCTS`, or variables with an attribute ``depth`` of 5 or 25 (cm).
    by : sequence of str
        Groupings: ``network``, ``land_cover``, ``texture`` (USDA class of the upper layer), ``texture_group``.
    method : {"nearest", "bilinear"}
        The station's cell, or the four around it where that cell is valid.
    subsurface, surface : str
        Depths in cm; two depths are averaged where both are there.
    min_days : int, optional
        Fewest days for a score; 60 otherwise, or a third of a period of less than 180 days. The attribute ``min_days``
        of the result tells it.
    interval : {"fisher", "bootstrap"}
        95 percent intervals: Fisher's of R with the effective number of days, or of R, RMSE, bias and ubRMSE by a block
        bootstrap (30 days, 1000 draws), which takes about 50 ms per product and station.
    anomaly : bool
        Adds ``r_anomaly``, the correlation of the anomalies from a moving mean of 35 days.
    common : bool
        Whether all products of a layer share days and stations.
    time : slice, optional
        First and last day.

    Returns
    -------
    xarray.Dataset
        Scores (see `SCORES`, `OPTIONAL`) with dims ``(product, station)``; their ``<score>_mean`` and
        ``<score>_median`` over the stations and ``<score>_by_<grouping>`` with ``count_by_<grouping>``;
        ``excluded(sensor)``, which tells of every sensor why it takes no part, "" where it does, and
        ``remarks(sensor)``, which tells what of a sensor was left out or is doubtful: values outside 0 to 1, values
        above the porosity of the cell's soil. `to_frame` makes a tidy table of it.

    Raises
    ------
    DataError
        For wrong units, dates that do not overlap, or when no station is left.
    UsageError
        For unknown variables or groupings.

    Examples
    --------
    >>> import xsm
    >>> cube, stations = (xsm.example(n, size=16, days=20) for n in ("cube", "stations"))
    >>> scores = cube.sm.validate(stations, variables=["sm_noah_0_10"], min_days=10)
    >>> scores["r"].dims, bool(scores["rmse_median"][0] < 0.2)
    (('product', 'station'), True)
    """
    for name in by:
        if name not in GROUPINGS:
            raise unknown("grouping", name, GROUPINGS)
    layers = products_of(ds, variables)
    depths = {"surface": surface, "subsurface": subsurface}
    pairs = pair(ds, stations, layers, depths, maps=_class_maps(ds, by), method=method,
                 time=None if time is None else period(time))  # fmt: skip
    sensors, sites = pairs.sensors, pairs.sites
    products = [name for names in layers.values() for name in names]
    min_days = matching.fewest(min_days, MIN_DAYS, len(pairs.days))
    most: dict[str, int] = {}
    scored: dict[str, dict[str, np.ndarray]] = {}
    for layer, found in pairs.layers.items():
        valid = found.valid
        counts = dict(zip(found.names, valid.sum(-1), strict=True))
        if common:
            valid = np.broadcast_to(valid.all(0), valid.shape)
        left = valid.sum(-1)
        matching.tell_short(sensors, sites, layer, counts, left, min_days)
        most[layer] = int(left.max())
        for i, name in enumerate(found.names):
            x = np.where(valid[i] & (left[i] >= min_days)[:, None], found.x[i], np.nan)
            scored[name] = _score(x, found.y[i], pairs.days, interval, anomaly)

    used = np.flatnonzero(np.any([scored[p]["n"] > 0 for p in products], axis=0))
    if not len(used):
        raise matching.nothing_left(sensors.reasons, max(most.values()))
    for layer, days in most.items():
        if days < min_days:
            shared = ", or <common=False>" if common and len(layers[layer]) > 1 else ""
            warnings.warn(
                f"No station has {min_days} days of {', '.join(layers[layer])}, the most are {days}: they have no "
                "scores. " + spoken(f"Give <min_days={days}> or less{shared}."),
                stacklevel=3,
            )
    layer_of = [layer for layer, names in layers.items() for _ in names]
    place = matching.site_coords(sites) | _classes(ds, pairs.cells, by)
    names = [*SCORES, *(n for n in OPTIONAL if n in scored[products[0]])]
    table = xr.Dataset(
        {name: (("product", "station"), np.stack([scored[p][name][used] for p in products])) for name in names},
        {
            "product": products,
            "layer": ("product", layer_of),
            "reference": ("product", [f"{depths[layer]} cm" for layer in layer_of]),
            "matching": ("product", [pairs.matching(name) for name in products]),
            **{name: ("station", v[used]) for name, v in place.items()},
        },
    )
    table["n"] = table["n"].astype("i4")
    table = _summarise(table, by)
    table = pairs.annotate(table, "Validation of soil moisture against stations", stations, ds)
    common_days = "same days and stations for all products of a layer" if common else "own days of each product"
    table.attrs |= {"common": common_days, "min_days": min_days}
    return cf.add_history(table, "validate", variables=variables, by=by, method=method, surface=surface,
                          subsurface=subsurface, min_days=min_days, interval=interval, anomaly=anomaly, common=common,
                          time=time)  # fmt: skip


def to_frame(table: xr.Dataset) -> pd.DataFrame:
    """Make a tidy table of the result of `validate`: a row per product and station, scores and coordinates in it."""
    names = [str(n) for n, v in table.data_vars.items() if v.dims == ("product", "station")]
    return table[names].to_dataframe().reset_index()


def layer_of(name: str) -> str | None:
    """Return ``"surface"`` or ``"subsurface"`` for a name in `PRODUCTS`, with or without a scenario; None for others.

    Examples
    --------
    >>> layer_of("sm_25cm_s2"), layer_of("sm_25cm_s2_std")
    ('subsurface', None)
    """
    return PRODUCTS.get(_plain(name))


def _plain(name: str) -> str:
    return re.sub(r"_s\d+$", "", name)


def is_estimate(ds: xr.Dataset, name: str) -> bool:
    """Whether a variable came out of a model of xsm, by its name or its attribute ``model_hash``."""
    return _plain(name) in ("sm_5cm", "sm_25cm") or "model_hash" in ds[name].attrs


def products_of(ds: xr.Dataset, variables: Sequence[str] | None) -> dict[str, list[str]]:
    """Soil moisture variables by layer, in the order of `PRODUCTS` where none are named."""
    if variables is None:
        order = list(PRODUCTS)
        names = sorted((str(n) for n in ds.data_vars if layer_of(str(n))), key=lambda n: order.index(_plain(n)))
    else:
        names = list(dict.fromkeys(variables))
    layers: dict[str, list[str]] = {"surface": [], "subsurface": []}
    for name in names:
        if name not in ds:
            raise unknown("variable", name, [str(n) for n in ds.data_vars])
        depth = str(ds[name].attrs.get("depth", "")).removesuffix("cm").strip()
        layer = layer_of(name) or {"5": "surface", "25": "subsurface"}.get(depth.removesuffix(".0"))
        if layer is None:
            raise UsageError(
                f"'{name}' is no known soil moisture and has no attribute depth of 5 or 25 (cm).",
                hint=f"Give '{name}' the attribute depth, or rename it to one of {', '.join(PRODUCTS)}.",
            )
        layers[layer].append(name)
    if not names:
        raise DataError(
            f"The dataset has none of {', '.join(PRODUCTS)}.", hint="Name the soil moisture in <variables=>."
        )
    return {layer: found for layer, found in layers.items() if found}


def _class_maps(ds: xr.Dataset, by: Sequence[str]) -> list[str]:
    """Maps that land cover and texture are taken from."""
    maps = [n for n in ("land_cover", "texture") if n in ds.variables]
    asked = {"texture", "texture_group"} & set(by) and "texture" not in maps
    return [*maps, *cf.SOIL_FRACTIONS] if asked and set(cf.SOIL_FRACTIONS) <= set(ds.variables) else maps


def _classes(ds: xr.Dataset, cells: Cells, by: Sequence[str]) -> dict[str, np.ndarray]:
    """Land cover and texture of the stations' cells as names."""
    found: dict[str, np.ndarray] = {}
    maps = _class_maps(ds, by)
    if "land_cover" in maps:
        names = dict(enumerate(IGBP, start=1))
        found["land_cover"] = _names(cells.static("land_cover"), ds["land_cover"].attrs, names)
    classes = cells.static("texture") if "texture" in maps else None
    if "sand" in maps:
        classes = soil.classify(*(cells.static(name) for name in cf.SOIL_FRACTIONS))
    if classes is not None:
        found["texture"] = _names(classes, {}, dict(enumerate(soil.CLASSES, start=1)))
        found["texture_group"] = np.array([soil.group_of(name) or "unknown" for name in found["texture"]])
    for name in by:
        if name not in found and name != "network":
            raise DataError(
                f"The dataset has no '{name}' to group by.",
                hint="Add land_cover, or texture or sand, silt and clay, to the cube.",
            )
    return found


def _names(values: np.ndarray, attrs: Mapping[str, Any], names: dict[int, str]) -> np.ndarray:
    if "flag_meanings" in attrs and "flag_values" in attrs:
        words = [word.replace("_", " ") for word in str(attrs["flag_meanings"]).split()]
        if len(words) == np.size(attrs["flag_values"]):
            names = {int(v): word for v, word in zip(np.atleast_1d(attrs["flag_values"]), words, strict=True)}
    return np.array([names.get(int(v), "unknown") if np.isfinite(v) else "unknown" for v in values])


def _score(x: np.ndarray, y: np.ndarray, days: np.ndarray, interval: str, anomaly: bool) -> dict[str, np.ndarray]:
    """Scores of one product at all sites, (site, day)."""
    found = metrics.scores(x, y)
    if anomaly:
        number = (days - days[0]).astype("f8")
        found["r_anomaly"] = metrics.pearson(*(metrics.anomalies(v, number) for v in metrics.paired(x, y)))
    if interval == "bootstrap":
        kinds = (metrics.pearson, metrics.rmse, metrics.bias, metrics.ubrmse)
        ends = metrics.bootstrap(lambda a, b: np.stack([kind(a, b) for kind in kinds]), x, y)
        for end, limits in zip(("low", "high"), ends, strict=True):
            found |= {f"{name}_{end}": limit for name, limit in zip(("r", *GROUPED[1:]), limits, strict=True)}
    return found


def _summarise(table: xr.Dataset, by: Sequence[str]) -> xr.Dataset:
    by_bootstrap = {"r_low", "r_high"} if "rmse_low" in table else set()
    for name in table.data_vars:
        long_name, units = {**SCORES, **OPTIONAL}[str(name)]
        told = long_name.replace("by n_eff", "by bootstrap") if name in by_bootstrap else long_name
        table[name].attrs = {"long_name": told, "units": units}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a product without any station
        for name in (n for n in (*GROUPED, "kge", "r_anomaly") if n in table):
            for how in ("mean", "median"):
                values = getattr(np, f"nan{how}")(table[name].values, axis=-1)
                table[f"{name}_{how}"] = "product", values, _summary(name, how, "stations")
            for grouping in by:
                labels = table[grouping].values
                groups = np.unique(labels)
                means = [np.nanmean(table[name].values[:, labels == g], axis=-1) for g in groups]
                dims = "product", f"by_{grouping}"
                table = table.assign_coords({dims[1]: groups})
                table[f"{name}_by_{grouping}"] = dims, np.stack(means, -1), _summary(name, "mean", grouping)
                counts = [(table["n"].values[:, labels == g] > 0).sum(-1) for g in groups]
                table[f"count_by_{grouping}"] = dims, np.stack(counts, -1).astype("i4"), {
                    "long_name": f"Number of stations per {grouping}", "units": "1"
                }  # fmt: skip
    table["count"] = "product", (table["n"].values > 0).sum(-1).astype("i4"), {"long_name": "Number of stations"}
    return table


def _summary(name: str, how: str, over: str) -> dict[str, str]:
    long_name, units = {**SCORES, **OPTIONAL}[name]
    of = "all stations" if over == "stations" else f"the stations of a {over.replace('_', ' ')}"
    return {"long_name": f"{long_name}, {how} of {of}", "units": units, "cell_methods": f"station: {how}"}
