"""The products of a small world as datasets, for examples and tests: no network, no files, seconds."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import numpy as np
import xarray as xr

from xsm.data.article import FROZEN_BITS, PREDICTORS
from xsm.data.cf import NO_FLAG, canonical_attrs
from xsm.data.masks import FREEZING
from xsm.errors import DataError
from xsm.twin.world import World, default_grid, make_world

MIXED = ("sm_noah_0_10", "sm_noah_10_40", "soil_temperature_0_10", "soil_temperature_10_40", "air_temperature",
         "precipitation")  # fmt: skip
SOLUS = {"sand": "sandtotal", "silt": "silttotal", "clay": "claytotal", "bulk_density": "dbovendry"}
SINUSOIDAL = "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs"


@functools.lru_cache(maxsize=1)
def example_world(size: int, days: int, seed: int) -> World:
    """The world behind the examples; the last one is kept."""
    return make_world(default_grid(size), days, seed)


def example_dataset(name: str, size: int, days: int, seed: int) -> xr.Dataset:
    """A product of the world, the merged cube or the truth; see `xsm.example`."""
    return EXAMPLES[name](example_world(size, days, seed)).copy(deep=True)


def _merged(world: World, *, fill: bool) -> xr.Dataset:
    """Merge all products on the window, without any value of the truth but land, soil and cover."""
    smap, truth, noah = world.smap, world.truth, _on_grid(world.nldas_daily[list(MIXED)], world)
    still = truth[["sand", "silt", "clay", "bulk_density", "land_cover", "land"]]
    cube = smap.assign(noah.data_vars).assign(still.data_vars)
    if fill:
        land = truth["land"].values
        for name in PREDICTORS:
            attrs = smap[name].attrs | {"fill_method": "linear (example)"}
            cube[name] = ("time", "y", "x"), _interpolate(smap[name].values, land), attrs
    flagged = (smap["surface_flag"] != NO_FLAG) & ((smap["surface_flag"] & FROZEN_BITS["surface_flag"]) > 0)
    frozen = (noah["soil_temperature_0_10"] < FREEZING) | (smap["surface_temperature"] < FREEZING) | flagged
    cube["frozen"] = frozen.dims, frozen.values, canonical_attrs("frozen")
    cube.attrs |= {"title": "xsm example cube, synthetic", **world.attrs}
    return world.grid.assign(cube)


def _interpolate(values: np.ndarray, land: np.ndarray) -> np.ndarray:
    """Linear interpolation in time of observed values, the nearest one at the ends; cells without any stay NaN."""
    out, time = values.copy(), np.arange(len(values))
    for row, col in np.argwhere(land):
        observed = np.isfinite(values[:, row, col])
        if observed.any():
            out[:, row, col] = np.interp(time, time[observed], values[observed, row, col])
    return out


def _on_grid(ds: xr.Dataset, world: World) -> xr.Dataset:
    """Bilinear from latitude and longitude to the EASE window; water takes the nearest land value first."""
    from scipy.ndimage import distance_transform_edt, map_coordinates

    grid, land = world.grid, world.truth["land"].values
    row = np.interp(grid.lat, ds["lat"].values, np.arange(ds.sizes["lat"]))
    col = np.interp(grid.lon, ds["lon"].values, np.arange(ds.sizes["lon"]))
    where = np.meshgrid(row, col, indexing="ij")
    missing = np.isnan(ds[MIXED[0]].values[0])
    nearest = tuple(distance_transform_edt(missing, return_distances=False, return_indices=True))
    out = xr.Dataset(coords={"time": ds["time"]})
    for name, variable in ds.data_vars.items():
        placed = np.stack([map_coordinates(day[nearest], where, order=1) for day in variable.values])
        out[name] = ("time", "y", "x"), np.where(land, placed, np.float32(np.nan)), variable.attrs
    return grid.assign(out)


def _solus(world: World) -> xr.Dataset:
    """Soil maps at 100 m, EPSG:5070, lazy."""
    import dask.array as da
    from pyproj import CRS, Transformer

    left, bottom, right, top = Transformer.from_crs(4326, 5070, always_xy=True).transform_bounds(*world.bbox, 101)
    x = -2540000 + 100 * (np.arange(np.floor((left + 2540000) / 100), np.ceil((right + 2540000) / 100)) + 0.5)
    y = 3258000 - 100 * (np.arange(np.floor((3258000 - top) / 100), np.ceil((3258000 - bottom) / 100)) + 0.5)
    if not (x.size and y.size):
        raise DataError("The window contains no 100 m pixel of EPSG:5070.", hint="Choose a larger size.")

    def block(prop: str, block_info: dict) -> np.ndarray:
        (d0, _), (r0, r1), (c0, c1) = block_info[None]["array-location"]
        return world.soil100(prop, (5, 30)[d0], x[c0:c1], y[r0:r1])[None]

    empty = da.empty((2, len(y), len(x)), chunks=(1, 1024, 1024)).chunks
    geo = {"GeoTransform": f"{x[0] - 50} 100.0 0.0 {y[0] + 50} 0.0 -100.0"}
    coords = {
        "soil_depth": ("soil_depth", [5, 30], {"units": "cm", "positive": "down"}),
        "y": ("y", y, {"units": "m", "standard_name": "projection_y_coordinate", "axis": "Y"}),
        "x": ("x", x, {"units": "m", "standard_name": "projection_x_coordinate", "axis": "X"}),
        "spatial_ref": ((), 0, {**CRS.from_epsg(5070).to_cf(), "spatial_ref": CRS.from_epsg(5070).to_wkt(), **geo}),
    }
    ds = xr.Dataset(coords=coords, attrs={"title": "SOLUS100 soil maps, synthetic", **world.attrs})
    for name, prop in SOLUS.items():
        lazy = da.map_blocks(block, prop, chunks=empty, dtype="f4", meta=np.empty((0, 0, 0), "f4"))
        ds[name] = ("soil_depth", "y", "x"), lazy, canonical_attrs(name)
        ds[name].encoding["grid_mapping"] = "spatial_ref"
    return ds


def _land_cover(world: World) -> xr.Dataset:
    """IGBP classes on the sinusoidal grid of MCD12Q1, 463 m, row by row of pixels."""
    from pyproj import CRS, Transformer

    pixel, west, north = 926.625433 / 2, -20015109.354, 10007554.677
    to_grid = Transformer.from_crs("EPSG:4326", SINUSOIDAL, always_xy=True)
    left, bottom, right, top = to_grid.transform_bounds(*world.bbox, 101)
    x = west + pixel * (np.arange(np.floor((left - west) / pixel), np.ceil((right - west) / pixel)) + 0.5)
    y = north - pixel * (np.arange(np.floor((north - top) / pixel), np.ceil((north - bottom) / pixel)) + 0.5)
    across, down = np.meshgrid(x, y)
    lon, lat = to_grid.transform(across, down, direction="INVERSE")
    crs = CRS.from_user_input(SINUSOIDAL)
    geo = {"GeoTransform": f"{x[0] - pixel / 2} {pixel} 0.0 {y[0] + pixel / 2} 0.0 {-pixel}"}
    coords = {
        "y": ("y", y, {"units": "m", "standard_name": "projection_y_coordinate", "axis": "Y"}),
        "x": ("x", x, {"units": "m", "standard_name": "projection_x_coordinate", "axis": "X"}),
        "spatial_ref": ((), 0, {**crs.to_cf(), "spatial_ref": crs.to_wkt(), **geo}),
    }
    attrs = world.truth["land_cover"].attrs
    ds = xr.Dataset({"land_cover": (("y", "x"), world.land_cover_at(lon, lat), attrs)}, coords)
    ds["land_cover"].encoding["grid_mapping"] = "spatial_ref"
    return ds.assign_attrs(title="MCD12Q1 land cover, synthetic", **world.attrs)


EXAMPLES: Mapping[str, Callable[[World], xr.Dataset]] = {
    "cube": functools.partial(_merged, fill=True),
    "gappy_cube": functools.partial(_merged, fill=False),
    "smap": lambda world: world.smap,
    "nldas": lambda world: world.nldas_daily,
    "solus100": _solus,
    "landcover": _land_cover,
    "stations": lambda world: world.stations,
    "truth": lambda world: world.truth,
}
