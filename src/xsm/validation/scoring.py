"""Scores of maps against stations: of each station, over all, and by network, land cover or texture."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from xsm.data import cf, soil_texture
from xsm.data.cells import Cells
from xsm.data.emptiness import tell_emptied
from xsm.data.variation import ratios, tell_flat
from xsm.errors import DataError, UsageError, unknown
from xsm.series.reference_period import tell_base
from xsm.validation import matching, metrics
from xsm.validation.matched import Matched, match
from xsm.validation.products import is_estimate

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
    "std_ratio": ("Ratio of the standard deviations, product over station", "1"),
    "n": ("Number of days", "1"),
    "n_eff": ("Effective number of independent days", "1"),
}
OPTIONAL: Mapping[str, tuple[str, str]] = {
    "r_anomaly": ("Pearson correlation of the anomalies", "1"),
    **{f"{score}_{end}": (f"{word} end of the 95 percent interval of {score}, by bootstrap", "m3 m-3")
       for score in ("rmse", "bias", "ubrmse") for end, word in (("low", "Lower"), ("high", "Upper"))},
}  # fmt: skip
"""Scores that are computed on request."""
GROUPED = ("r", "rmse", "bias", "ubrmse")
SHOWN = ("r", "ubrmse", "rmse", "bias", "error_std", "snr", "r_truth")
"""Scores of which people see the means."""
SEASON, SEASONS = "season", ("DJF", "MAM", "JJA", "SON")
SEASONAL = (*GROUPED, "kge", "std_ratio", "n")
GROUPINGS = ("network", "land_cover", "texture", "texture_group", SEASON)


def score_maps(
    ds: xr.Dataset,
    stations: xr.Dataset,
    *,
    variables: Sequence[str] | None = None,
    by: Sequence[str] = (),
    interval: str = "fisher",
    anomaly: str | None = None,
    common: bool = True,
    include_training_stations: bool = False,
    **how: Any,
) -> xr.Dataset:
    """Score maps against stations; see `xsm.validate`, and `xsm.validation.matched.match` for the other arguments."""
    for name in by:
        if name not in GROUPINGS:
            raise unknown("grouping", name, GROUPINGS)
    groupings = [name for name in by if name != SEASON]
    matched = match(ds, stations, variables=variables, common=common, maps=_class_maps(ds, groupings),
                    leave_out=() if include_training_stations else None, **how)  # fmt: skip
    pairs, products = matched.pairs, matched.products
    if anomaly:
        tell_base(anomaly, pairs.days)
    scored = {p: _score(matched.x[p], matched.y[p], pairs.days, interval, anomaly) for p in products}
    flat = [_tell_flat(ds, p, matched.x[p], matched.y[p]) for p in products]
    with_scores = np.flatnonzero(matched.count().any(0))
    place = matching.site_coords(pairs.sites) | _classes(ds, pairs.cells, groupings)
    names = [*SCORES, *(n for n in OPTIONAL if n in scored[products[0]])]
    layers = matched.layers
    table = xr.Dataset(
        {name: (("product", "station"), np.stack([scored[p][name][with_scores] for p in products])) for name in names},
        {
            "product": products,
            "layer": ("product", [layers[p][0] for p in products]),
            "reference": ("product", [str(layers[p][1].depth) for p in products]),
            "matching": ("product", [pairs.matching(p) for p in products]),
            **{name: ("station", v[with_scores]) for name, v in place.items()},
        },
    )
    table["n"] = table["n"].astype("i4")
    table = _summarise(table, groupings)
    if SEASON in by:
        table = table.merge(_by_season(matched, with_scores))
    table = pairs.annotate(table, "Validation of soil moisture against stations", stations, ds)
    common_days = "same days and stations for all products of a layer" if common else "own days of each product"
    table.attrs |= {"common": common_days, "min_days": matched.min_days}
    if how.get("rescale", "none") != "none":
        table.attrs["rescale"] = f"products are rescaled to each station ({how['rescale']})"
    why = "At every station the product or the station is constant, or too few days are left."
    scores = {f"r of {p}": table["r"].sel(product=p, drop=True) for p in products}
    tell_emptied(xr.Dataset(scores), {}, why, scores)
    if anomaly:
        table["r_anomaly"].attrs["long_name"] += f" from {metrics.BASES[anomaly]}"
    if any(flat):
        table.attrs["hardly_varies"] = "\n".join(filter(None, flat))
    return table


def season_of(days: np.ndarray) -> np.ndarray:
    """Number of the season of each day in `SEASONS`.

    Examples
    --------
    >>> [SEASONS[k] for k in season_of(np.array(["2021-12-01", "2021-06-30"], "M8[D]"))]
    ['DJF', 'JJA']
    """
    out: np.ndarray = (days.astype("M8[M]").astype(int) % 12 + 1) % 12 // 3
    return out


def _by_season(matched: Matched, sites: np.ndarray) -> xr.Dataset:
    """Scores of the days of each season at every station that has a quarter of the fewest days in it."""
    least = max(matching.LEAST_DAYS, matched.min_days // len(SEASONS))
    season = season_of(matched.pairs.days)
    parts = []
    for number in range(len(SEASONS)):
        scored = []
        for p, x in matched.x.items():
            days = np.where(season == number, x, np.nan)[sites]
            enough = (np.isfinite(days) & np.isfinite(matched.y[p][sites])).sum(-1) >= least
            scored.append(metrics.scores(np.where(enough[:, None], days, np.nan), matched.y[p][sites]))
        parts.append({name: np.stack([one[name] for one in scored]) for name in SEASONAL})
    dims = "product", "station", SEASON
    table = xr.Dataset(coords={SEASON: list(SEASONS)})
    for name in SEASONAL:
        long_name, units = SCORES[name]
        values = np.stack([part[name] for part in parts], -1)
        attrs = {"long_name": f"{long_name}, by season with at least {least} days", "units": units}
        table[f"{name}_by_{SEASON}"] = dims, values.astype("i4") if name == "n" else values, attrs
    return table


def _tell_flat(ds: xr.Dataset, name: str, x: np.ndarray, y: np.ndarray) -> str:
    """Warn of a product (site, day) that hardly varies beside the stations; in space only of estimates."""
    shares = ratios(x.T, y.T)
    model = is_estimate(ds, name)
    return tell_flat(f"'{name}'", shares if model else {"time": shares.get("time", 1.0)}, "the stations", model=model)


def _class_maps(ds: xr.Dataset, by: Sequence[str]) -> list[str]:
    """Maps that give land cover and texture."""
    maps = [n for n in ("land_cover", "texture") if n in ds.variables]
    needed = {"texture", "texture_group"} & set(by) and "texture" not in maps
    return [*maps, *cf.SOIL_FRACTIONS] if needed and set(cf.SOIL_FRACTIONS) <= set(ds.variables) else maps


def _classes(ds: xr.Dataset, cells: Cells, by: Sequence[str]) -> dict[str, np.ndarray]:
    """Land cover and texture of the stations' cells as names."""
    classes: dict[str, np.ndarray] = {}
    maps = _class_maps(ds, by)
    if "land_cover" in maps:
        names = {number: word.replace("_", " ") for number, word in enumerate(cf.IGBP, start=1)}
        classes["land_cover"] = _names(cells.static("land_cover"), ds["land_cover"].attrs, names)
    texture = cells.static("texture") if "texture" in maps else None
    if "sand" in maps:
        texture = soil_texture.classify(*(cells.static(name) for name in cf.SOIL_FRACTIONS))
    if texture is not None:
        classes["texture"] = _names(texture, {}, dict(enumerate(soil_texture.CLASSES, start=1)))
        classes["texture_group"] = np.array([soil_texture.group_of(name) or "unknown" for name in classes["texture"]])
    for name in by:
        if name not in classes and name != "network":
            raise DataError(
                f"The dataset has no '{name}' to group by.",
                hint="Add land_cover, or texture or sand, silt and clay, to the cube.",
            )
    return classes


def _names(values: np.ndarray, attrs: Mapping[str, Any], names: dict[int, str]) -> np.ndarray:
    if "flag_meanings" in attrs and "flag_values" in attrs:
        words = [word.replace("_", " ") for word in str(attrs["flag_meanings"]).split()]
        if len(words) == np.size(attrs["flag_values"]):
            names = {int(v): word for v, word in zip(np.atleast_1d(attrs["flag_values"]), words, strict=True)}
    return np.array([names.get(int(v), "unknown") if np.isfinite(v) else "unknown" for v in values])


def _score(x: np.ndarray, y: np.ndarray, days: np.ndarray, interval: str, anomaly: str | None) -> dict[str, np.ndarray]:
    """Scores of one product at all sites, (site, day)."""
    scores = metrics.scores(x, y)
    if anomaly:
        scores["r_anomaly"] = metrics.pearson(*(metrics.anomalies(v, days, anomaly) for v in metrics.paired(x, y)))
    if interval == "bootstrap":
        kinds = (metrics.pearson, metrics.rmse, metrics.bias, metrics.ubrmse)
        ends = metrics.bootstrap(lambda a, b: np.stack([kind(a, b) for kind in kinds]), x, y)
        for end, limits in zip(("low", "high"), ends, strict=True):
            scores |= {f"{name}_{end}": limit for name, limit in zip(("r", *GROUPED[1:]), limits, strict=True)}
    return scores


def _summarise(table: xr.Dataset, by: Sequence[str]) -> xr.Dataset:
    by_bootstrap = {"r_low", "r_high"} if "rmse_low" in table else set()
    for name in table.data_vars:
        long_name, units = {**SCORES, **OPTIONAL}[str(name)]
        long_name = long_name.replace("by n_eff", "by bootstrap") if name in by_bootstrap else long_name
        table[name].attrs = {"long_name": long_name, "units": units}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a product without any station
        for name in (n for n in (*GROUPED, "kge", "std_ratio", "r_anomaly") if n in table):
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
    return {"long_name": f"{long_name}, {how} of {of}", "units": units}


def to_frame(table: xr.Dataset) -> pd.DataFrame:
    """Make a tidy table of scores, of the errors of products, or of pairs: a row for each product and place, or pair.

    Parameters
    ----------
    table : xarray.Dataset
        From `xsm.validate` or `xsm.triple_collocation`, on ``(product, station)``, ``(product,)`` or the product and
        cells; or pairs from `xsm.matchup`.

    Returns
    -------
    pandas.DataFrame
        Columns ``product``, ``station``, the scores and the coordinates of the stations; of pairs all their variables.

    Examples
    --------
    >>> import xsm
    >>> cube, stations = (xsm.example(n, size=16, days=20) for n in ("cube", "stations"))
    >>> scores = cube.sm.validate(stations, variables=["sm_noah_0_10"], min_days=10)
    >>> xsm.to_frame(scores)["product"].unique().tolist()
    ['sm_noah_0_10']
    """
    if "pair" in table.dims:
        return table.to_dataframe().reset_index(drop=True)
    if "product" not in table.dims:
        raise UsageError(f"to_frame got data with the dims {', '.join(map(str, table.dims))}, expected scores.",
                         hint="Give the result of <validate()>, <matchup()> or <triple_collocation()>.")  # fmt: skip
    scored = [v.dims for v in table.data_vars.values() if "product" in v.dims]
    dims = ("product", "station") if ("product", "station") in scored else max(scored, key=len, default=())
    names = [str(n) for n, v in table.data_vars.items() if v.dims == dims]
    return table[names].to_dataframe().reset_index()


def means(table: xr.Dataset) -> pd.DataFrame:
    """Means over the stations by product: those scores of `SHOWN` that the table has, and the number of stations."""
    shown = [name for name in SHOWN if name in table and table[name].dims == ("product", "station")]
    columns = {name: table[name].mean("station").values for name in shown}
    scored = table["n"].values > 0 if "n" in table else np.ones(table.sizes["station"], bool)
    count = np.broadcast_to(scored, (table.sizes["product"], table.sizes["station"])).sum(-1)
    index = pd.Index(table["product"].values, name="product")
    about = {"stations at": table["reference"].values} if "reference" in table.coords else {}
    return pd.DataFrame({**about, **columns, "stations": count}, index)
