"""The maps of a report and what a cube adds to them: means, counts and the series of a few cells.

Maps of many days are never loaded whole.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from xsm.data import cf
from xsm.data.cells import Cells, daily, spots_of
from xsm.data.grids import grid_of
from xsm.data.roles import NAMED, RETRIEVAL, ROOT, SURFACE, holders
from xsm.data.soil_texture import texture_of
from xsm.data.windows import take
from xsm.errors import DataError
from xsm.reporting.baselines import with_baselines
from xsm.reporting.frames import degrees
from xsm.validation import matching
from xsm.validation.depths import Depth
from xsm.validation.products import layer_of

FROM_CUBE = ("frozen", "obs_time", "sand", "silt", "clay", "bulk_density")  # fmt: skip
CLASSES = ("land_cover", "texture", "land")
ESTIMATE = re.compile(r"sm_(5|25)cm(_s\d+)?")
MODELS = {"surface": SURFACE, "subsurface": ROOT}
COMPARISONS = {"surface": "comparison_surface", "subsurface": "comparison_root"}
"""Roles of what is shown beside the estimates, by layer."""
BESIDE = (RETRIEVAL, *MODELS.values(), *COMPARISONS.values(), "precipitation")
"""Roles of what the cube adds to the maps."""
GAP_EDGES = np.array([1, 2, 3, 4, 8, 15, 31, 91])
GAP_NAMES = ("1", "2", "3", "4-7", "8-14", "15-30", "31-90", "> 90")
LEAST_SHARE = 0.05
"""Least share of observed cells on the day whose gaps are shown, where there is such a day."""


@dataclass(frozen=True)
class Scene:
    """The maps of a report and what the cube adds to them, lazy, in order of time.

    ``estimates`` are model estimates at 5 and 25 cm, ``filled`` other soil moisture that is shown (gap-filled, or as it
    came where nothing is), ``others`` further gap-filled variables, ``watched`` the observed product whose gaps are
    shown; the variable ``observed`` marks its values. ``inputs`` are what the estimates of a layer have to beat
    (`xsm.reporting.baselines`).
    """

    ds: xr.Dataset
    days: np.ndarray
    estimates: tuple[str, ...]
    filled: tuple[str, ...]
    others: tuple[str, ...]
    watched: str
    inputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def moisture(self) -> tuple[str, ...]:
        """Soil moisture maps."""
        return self.estimates + self.filled

    @property
    def holders(self) -> dict[str, str]:
        """Variables by role."""
        return holders(self.ds)

    @property
    def models(self) -> dict[str, str]:
        """The land model's variables by layer."""
        return {layer: self.holders[role] for layer, role in MODELS.items() if role in self.holders}

    @property
    def no_spread(self) -> str:
        """Why there is no standard deviation, in words."""
        names = [f"{n}_reference_std" for n in self.moisture if f"{n}_reference_std" in self.ds]
        if names:
            return f"the maps have only that of the reference ({', '.join(names)}), not calibrated to stations"
        return "the maps have none"

    @property
    def space(self) -> list[str]:
        """Dims of a map."""
        return [str(d) for d in self.ds[(*self.moisture, *self.others)[0]].dims if d != "time"]

    @property
    def best(self) -> str:
        """The map that is shown for one day: the foremost surface estimate, else the first map."""
        surface = [n for n in self.estimates if layer_of(self.ds, n) == "surface"]
        return foremost(surface) if surface else (*self.moisture, *self.others)[0]


def foremost(names: Iterable[str]) -> str:
    """The map that stands for others of its depth: one without a scenario, else that of the highest scenario.

    Examples
    --------
    >>> foremost(["sm_5cm_s1", "sm_5cm", "sm_5cm_s2"]), foremost(["sm_5cm_s2", "sm_5cm_s1"])
    ('sm_5cm', 'sm_5cm_s2')
    """
    return max(names, key=lambda n: (bool((match := ESTIMATE.fullmatch(n)) and not match[2]), n))


def _in_order(estimates: Iterable[str]) -> tuple[str, ...]:
    """Estimates by depth, in each first the one without a scenario, then the scenarios."""
    matches = [(n, ESTIMATE.fullmatch(n)) for n in estimates]
    return tuple(n for n, m in sorted(matches, key=lambda one: (int(one[1][1]), one[1][2] or "")) if m)  # type: ignore[index]


def is_fused(ds: xr.Dataset, name: str) -> bool:
    """Whether an estimate comes from a fusion, by its own attribute ``method`` or that of the dataset."""
    attrs = ds[name].attrs if name in ds.data_vars else {}
    match = ESTIMATE.fullmatch(name)
    return bool(match and not match[2]) and (attrs.get("method") or ds.attrs.get("method")) == "fuse"


def make_scene(ds: xr.Dataset, cube: xr.Dataset | None) -> Scene:
    """Put maps and cube together and sort their variables."""
    ds, days = daily(_plain(ds), None)
    names = [str(n) for n, v in ds.data_vars.items() if "time" in v.dims and v.dtype.kind == "f"]
    estimates = _in_order(n for n in names if ESTIMATE.fullmatch(n))
    spread = [n for n in names if f"{n}_std" in ds and n not in estimates]
    if not estimates and not spread:
        spread = [n for n in names if _is_moisture(ds[n], n)]
    if not estimates and not spread:
        raise DataError(
            f"The maps ({', '.join(map(str, ds.data_vars)) or 'none'}) contain no estimate and no gap-filled variable.",
            hint="Give the result of <fuse()>, <estimate()> or <gapfill()>, or name what to draw: <variable=NAME>.",
        )
    if cube is not None:
        ds = _join(ds, _plain(cube), days)
    filled = tuple(n for n in spread if _is_moisture(ds[n], n))
    others = tuple(n for n in spread if n not in filled)
    retrieval = [n for role, n in holders(ds).items() if role == RETRIEVAL]
    candidates = [*retrieval, *filled, *others, *(n for n in names if _is_moisture(ds[n], n))]
    marked = [n for n in candidates if n in ds and f"{n}_observed" in ds]
    watched = (marked or [n for n in candidates if n in ds and n not in estimates] or [""])[0]
    if watched:
        mark = ds[f"{watched}_observed"].astype(bool) if marked else ds[watched].notnull()
        ds = ds.assign(observed=mark)
    ds, inputs = with_baselines(ds, dict.fromkeys(layer_of(ds, n) or "surface" for n in estimates))
    return Scene(ds, days, estimates, filled, others, watched, inputs)


def overview(scene: Scene) -> xr.Dataset:
    """Means and counts over the period, computed in one go.

    Maps ``mean_<name>`` and ``spread_<name>``, ``cells`` (per day, with a value of the map shown); with observations
    also ``observed_days`` (days per cell), ``share`` (per day, of the cells that were ever observed), ``gaps`` (number
    of gaps by length) and ``missing`` (cell-days in them), bins of `GAP_NAMES`.
    """
    import dask

    ds, maps = scene.ds, {}
    for name in (*scene.moisture, *scene.others):
        maps[f"mean_{name}"] = ds[name].mean("time")
        if f"{name}_std" in ds:
            maps[f"spread_{name}"] = ds[f"{name}_std"].mean("time")
    maps["cells"] = ds[scene.best].notnull().sum(scene.space)
    if scene.watched:
        observed = ds["observed"]
        maps["observed_days"] = observed.sum("time")
        maps["observed_cells"] = observed.sum(scene.space)
        counts = xr.apply_ufunc(
            gap_counts, observed, input_core_dims=[["time"]], output_core_dims=[["kind", "gap"]], dask="parallelized",
            output_dtypes=["i8"],
            dask_gufunc_kwargs={"output_sizes": {"kind": 2, "gap": len(GAP_NAMES)}, "allow_rechunk": True},
        ).where(observed.any("time"), 0).sum(scene.space)  # fmt: skip
        maps["gaps"], maps["missing"] = counts.isel(kind=0), counts.isel(kind=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # cells without a value
        (out,) = dask.compute(xr.Dataset(maps))
    if scene.watched:
        ever = int((out["observed_days"] > 0).sum())
        out["share"] = out["observed_cells"] / max(ever, 1)
    return out


def gap_lengths(observed: np.ndarray) -> np.ndarray:
    """Length of the gap that each day lies in, 0 where it is observed, (series, day)."""
    days = np.arange(observed.shape[1])
    before = np.maximum.accumulate(np.where(observed, days, -1), axis=1)
    after = np.minimum.accumulate(np.where(observed, days, len(days))[:, ::-1], axis=1)[:, ::-1]
    return np.where(observed, 0, after - before - 1)


def gap_counts(observed: np.ndarray) -> np.ndarray:
    """Count the gaps of boolean series along the last axis by length, ``(..., 2, bin)``: gaps, and days in them."""
    *shape, length = observed.shape
    flat = observed.reshape(-1, length)
    cell, day = np.nonzero(~flat & np.pad(flat[:, 1:], ((0, 0), (0, 1)), constant_values=True))
    gap, bins = gap_lengths(flat)[cell, day], len(GAP_NAMES)
    place = cell * bins + np.searchsorted(GAP_EDGES, gap, side="right") - 1
    counts = [np.bincount(place, weights, len(flat) * bins).reshape(-1, bins) for weights in (None, gap)]
    return np.stack(counts, 1).astype("i8").reshape(*shape, 2, bins)


def gap_day(over: xr.Dataset) -> int | None:
    """Position of the least observed day that has an estimate and still some observations; None without gaps."""
    share, usable = over["share"].values, over["cells"].values > 0
    for least in (LEAST_SHARE, 0.0):
        if (fit := usable & (share > least)).any():
            day = int(np.argmin(np.where(fit, share, np.inf)))
            return day if share[day] < 1 else None
    return None


def station_series(scene: Scene, stations: xr.Dataset) -> xr.Dataset:
    """Series at the stations' cells, dims ``(site, time)``, numpy.

    ``in_situ_surface`` and ``in_situ_subsurface`` are UTC-day means at 5 and 20 cm (NaN where the station has none),
    the other variables those of the maps.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # validate has raised them
        sensors = matching.Sensors(stations, scene.days)
        spots = spots_of(scene.ds, stations["lon"].values, stations["lat"].values)
        depths = {"surface": Depth((5.0,)), "subsurface": Depth((20.0,))}
        sites = matching.choose(sensors, scene.ds, spots, depths)
        cells = Cells(scene.ds, series_names(scene), [], spots.take([site.first for site in sites]), "nearest")
    place = matching.site_coords(sites)
    series = {n: v.transpose("station", "time").values for n, v in cells.at.data_vars.items()}
    series |= {f"in_situ_{layer}": sensors.day_means(sites, layer) for layer in ("surface", "subsurface")}
    coords = {k: ("site", v) for k, v in place.items()} | {"time": scene.days.astype("M8[ns]")}
    return xr.Dataset({k: (("site", "time"), v) for k, v in series.items()}, coords)


def places(ds: xr.Dataset, stations: xr.Dataset) -> xr.Dataset:
    """Network and place of the stations in the window of maps, one for each station, dim ``site``."""
    covered = spots_of(ds, stations["lon"].values, stations["lat"].values).inside
    names = ("network", "station", "lon", "lat")
    known = [stations[n].values if n in stations.variables else np.full(len(covered), "") for n in names]
    sites = list(dict.fromkeys(zip(*(v[covered].tolist() for v in known), strict=True)))
    columns = zip(*sites, strict=True) if sites else ([] for _ in names)
    return xr.Dataset({n: ("site", list(c)) for n, c in zip(names, columns, strict=True)})


def cell_series(scene: Scene, over: xr.Dataset) -> xr.Dataset:
    """Series of up to three cells apart with most observations (or estimates), dims ``(site, time)``, numpy."""
    valid = over[f"mean_{scene.best}"].notnull()
    score = (over["observed_days"] if scene.watched else valid.astype(int)).where(valid, -1).transpose(*scene.space)
    flat = score.values.ravel()
    where = np.stack(np.unravel_index(np.arange(flat.size), score.shape), 1)
    off = np.abs(where - (np.array(score.shape) - 1) / 2).max(1)
    order = np.lexsort((off, -flat))
    where = where[order]
    apart = max(score.shape) // 4
    cells: list[np.ndarray] = []
    for place, value in zip(where, flat[order], strict=True):
        if value < 0 or len(cells) == 3 or value < 0.8 * flat[order[0]]:
            break
        if all(np.abs(place - other).max() >= apart for other in cells):
            cells.append(place)
    if not cells:
        return xr.Dataset()
    at = {d: xr.DataArray([int(c[i]) for c in cells], dims="site") for i, d in enumerate(scene.space)}
    cut = scene.ds[series_names(scene)].isel(at).compute().transpose("site", "time").reset_coords(drop=True)
    grid = grid_of(scene.ds)
    if grid is not None:
        lat, lon = grid.lat[at["y"].values], grid.lon[at["x"].values]
        names = [f"{degrees(a, 'N', 'S', 2)}, {degrees(o, 'E', 'W', 2)}" for a, o in zip(lat, lon, strict=True)]
    else:
        names = [", ".join(f"{d} {int(v)}" for d, v in zip(scene.space, c, strict=True)) for c in cells]
    return cut.assign_coords(station=("site", [f"Cell at {n}" for n in names]), time=scene.days.astype("M8[ns]"))


def series_names(scene: Scene) -> list[str]:
    """Variables whose series are shown."""
    names = scene.moisture or scene.others[:1]
    spreads = [f"{n}_std" for n in (*names, scene.watched)]
    inputs = [n for names in scene.inputs.values() for n in names]
    others = (*scene.models.values(), *inputs, scene.holders.get("precipitation"))
    extra = (*spreads, scene.watched, *others, "frozen", "observed")
    return list(dict.fromkeys(n for n in (*names, *extra) if n and n in scene.ds))


def days_after_training(*attrs: dict[str, Any]) -> slice | None:
    """Days after the training and validation days that attributes name; None where they name none."""
    texts = [str(a.get(key, "")) for a in attrs for key in ("model_training", "model_validation")]
    ends = re.findall(r"\d{4}-\d\d-\d\d to (\d{4}-\d\d-\d\d)", "\n".join(texts))
    return slice(np.datetime64(max(ends)) + 1, None) if ends else None


def _plain(ds: xr.Dataset) -> xr.Dataset:
    return ds.reset_coords([n for n in CLASSES if n in ds.coords])


def _is_moisture(variable: xr.DataArray, name: str) -> bool:
    canonical = cf.VARIABLES.get(name)
    return bool(
        canonical.units == "m3 m-3" if canonical else cf.same_units(str(variable.attrs.get("units", "")), "m3 m-3")
    )


def _join(ds: xr.Dataset, cube: xr.Dataset, days: np.ndarray) -> xr.Dataset:
    beside = [n for role, n in holders(cube).items() if role in BESIDE]
    marks = [f"{n}{end}" for n in beside for end in ("_std", "_observed")]
    names = dict.fromkeys((*beside, *marks, *FROM_CUBE, *CLASSES))
    extra = cube[[n for n in names if n in cube.variables and n not in ds.variables]]
    ds = ds.assign_attrs({k: v for k, v in cube.attrs.items() if k == NAMED})
    grid = grid_of(ds)
    if grid is not None and grid_of(extra) is not None:
        extra = take(extra, grid)
    elif any(ds.sizes[d] != extra.sizes[d] for d in ds.sizes if d in extra.sizes and d != "time"):
        raise DataError(
            f"The cube has {dict(extra.sizes)}, the maps {dict(ds.sizes)}.",
            hint="Give the cube that the maps were made from.",
        )
    if "time" in extra.dims:
        cube_days = extra["time"].values.astype("M8[D]")
        if not np.isin(days, cube_days).any():
            raise DataError(
                f"The cube ({cube_days[0]} to {cube_days[-1]}) has no day of the maps ({days[0]} to {days[-1]})."
            )
        if not np.array_equal(cube_days, days):
            fill: dict[Any, Any] = {n: False for n, v in extra.data_vars.items() if v.dtype == bool}
            fill |= {n: np.nan for n, v in extra.data_vars.items() if v.dtype.kind == "f"}
            extra = extra.assign_coords(time=cube_days.astype("M8[ns]")).reindex(
                time=days.astype("M8[ns]"), fill_value=fill
            )
        extra = extra.assign_coords(time=ds["time"].values)
    return ds.assign({str(n): v.variable for n, v in extra.reset_coords(drop=True).data_vars.items()}).assign_coords(
        {"soil_depth": extra["soil_depth"]} if "soil_depth" in extra.coords else {}
    )


def soil_maps(ds: xr.Dataset) -> xr.DataArray | None:
    """USDA texture class of the upper soil layer (y, x), from the fractions, else from the map ``texture``; or None."""
    if set(cf.SOIL_FRACTIONS) <= set(ds.data_vars):
        soil = ds[list(cf.SOIL_FRACTIONS)]
        if "soil_depth" in soil.dims:
            soil = soil.isel(soil_depth=int(np.abs(soil["soil_depth"].values - 5).argmin()), drop=True)
        return texture_of(soil)
    return ds.get("texture")


def attributes(parts: Sequence[xr.Dataset | None]) -> dict[str, str]:
    """All attributes of datasets except the history; the first dataset that has one decides."""
    attrs: dict[str, str] = {}
    for part in parts:
        for key, value in (part.attrs if part is not None else {}).items():
            if key != "history" and str(value):
                attrs.setdefault(str(key), str(value))
    return attrs
