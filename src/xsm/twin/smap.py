"""SMAP in the synthetic world: orbits, footprint, brightness temperatures with noise, retrievals and flags."""

from __future__ import annotations

import numpy as np
import xarray as xr

from xsm.data.cf import NO_FLAG
from xsm.twin import radiometry
from xsm.twin.attributes import canonical, time_coord
from xsm.twin.fields import rng
from xsm.twin.land import Land
from xsm.twin.soil import WATER, by_cover, vegetation

OUTAGES = (("2019-06-19", "2019-07-23"), ("2022-08-06", "2022-09-20"))
ORBITS, CYCLE = 117, 8
INCLINATION = np.radians(98.12)
HALF_SWATH = 500e3
SURFACE_BITS = (
    "static_water_body radar_water_body_detection coastal_proximity urban_area precipitation snow_or_ice "
    "permanent_snow_or_ice radiometer_frozen_ground model_frozen_ground mountainous_terrain dense_vegetation "
    "nadir_region"
)
RETRIEVAL_BITS = "Retrieval_recommended Retrieval_attempted Retrieval_success FT_retrieval_success"


def passes(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Second of the UTC day at which the descending swath crosses cells, for each day of the 8-day cycle.

    SMAP's 117 orbits in 8 days, sun-synchronous with the descending node at 06:00, swath of 1000 km.

    Parameters
    ----------
    lon, lat : numpy.ndarray
        1-D degrees of columns and rows.

    Returns
    -------
    numpy.ndarray
        (8, lat, lon) float32, NaN where no swath covers the cell on that day.
    """
    lat_r = np.radians(lat)[:, None]
    period = CYCLE * 86400 / ORBITS

    def track(at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        along = -np.arcsin(np.clip(np.sin(at) / np.sin(INCLINATION), -1, 1))
        after = along / (2 * np.pi) * period
        return np.arctan(np.cos(INCLINATION) * np.tan(along)) - 2 * np.pi * after / 86400, after

    east, after = track(lat_r)
    slope = (track(lat_r + 1e-4)[0] - east) / 1e-4 * np.cos(lat_r)
    out, best = np.full((CYCLE, len(lat), len(lon)), np.nan, "f4"), np.full((CYCLE, len(lat), len(lon)), np.inf)
    for orbit in range(ORBITS):
        node = orbit * period
        at = np.degrees(east) + 15 * (6 - node / 3600)
        off = (lon - at + 180) % 360 - 180
        distance = 6.371e6 * np.cos(lat_r) * np.radians(np.abs(off)) / np.sqrt(1 + slope**2)
        seconds = np.broadcast_to((node + after) % (CYCLE * 86400), distance.shape)
        day = (seconds // 86400).astype(int)
        row, col = np.nonzero(distance < HALF_SWATH)
        closer = distance[row, col] < best[day[row, col], row, col]
        row, col = row[closer], col[closer]
        where = day[row, col], row, col
        best[where], out[where] = distance[row, col], seconds[row, col] % 86400
    return out


def overpasses(world: Land) -> np.ndarray:
    """Second of the UTC day at which each cell is observed, (time, y, x); NaN off swath, in outages, on lost days."""
    cycle = passes(world.grid.lon, world.grid.lat)
    number = (world.days - np.datetime64("2015-03-31")).astype(int)
    seconds = cycle[number % CYCLE]
    lost = np.array([rng(world.seed, "lost", int(n)).random() for n in number]) < world.errors.smap.lost_days
    for start, stop in OUTAGES:
        lost |= (world.days >= np.datetime64(start)) & (world.days <= np.datetime64(stop))
    seconds[lost] = np.nan
    return seconds


def footprint(size: int, inner: slice, cell: float, width: float) -> np.ndarray:
    """Weights (inner cells, all cells) of a Gaussian of half-power ``width`` in one direction; rows sum to 1."""
    sigma = width / np.sqrt(8 * np.log(2)) / cell
    distance = np.arange(size)[inner, None] - np.arange(size)
    weights = np.exp(-0.5 * (distance / sigma) ** 2)
    return (weights / weights.sum(1, keepdims=True)).astype("f4")


def simulate(world: Land) -> xr.Dataset:
    """SMAP L3: emission of every cell, footprint, noise, then the three retrievals with the mission's knowledge.

    The retrievals take albedo, roughness and opacity per water from maps of the land cover class, vegetation water from
    its fixed cycle, model temperature and clay with an error; so their errors depend on vegetation as the mission's do.
    """
    s, e, grid = world.scene, world.errors.smap, world.scene.grid
    rows = footprint(grid.rows, s.inner[0], grid.cell, e.footprint)
    cols = footprint(grid.cols, s.inner[1], grid.cell, e.footprint).T
    cover, dry = s.ground.land_cover, (s.ground.land_cover != WATER).astype("f4")
    share = np.maximum(rows @ dry @ cols, 1e-3)

    def blur(values: np.ndarray) -> np.ndarray:
        return rows @ (np.where(dry > 0, values, 0).astype("f4")) @ cols / share

    def spread(name: str, size: float) -> np.ndarray:
        return np.exp(size * world.field(name, e.map_length).on(grid.x, grid.y)(0.0))

    known = {n: by_cover(cover, n) for n in ("b", "albedo", "roughness")}
    real = {n: known[n] * spread(n, size) for n, size in zip(known, (e.opacity_per_water, e.albedo, e.roughness))}  # noqa: B905
    b, albedo, roughness = (blur(known[n]) for n in ("b", "albedo", "roughness"))
    clay_error = e.clay * world.field("clay_map", e.map_length).on(world.grid.x, world.grid.y)(0.0)
    clay = radiometry.spectrum(np.clip(blur(s.ground.clay[0]) + clay_error, 1, 80))
    true_clay = radiometry.spectrum(s.ground.clay[0])
    surface = world.field("surface", e.surface_length, e.surface_days).on(grid.x, grid.y)
    warmth = world.field("model_temperature", e.temperature_length, e.temperature_days).on(world.grid.x, world.grid.y)
    water, urban = rows @ s.ground.water @ cols, blur((cover == 13).astype("f4"))
    porosity = np.maximum(blur(s.layers[0].porosity), 0.3)
    scale = np.sqrt((rows**2).sum(1))[:, None] * np.sqrt((cols**2).sum(0))

    shape, land = (len(world.days), *world.grid.shape), cover[s.inner] != WATER
    passed = np.where(land & (share > 0.5), overpasses(world), np.nan)
    floats = ("tb_h", "tb_v", "albedo", "roughness", "vegetation_opacity", "vegetation_water_content",
              "surface_temperature", "sm_dca", "sm_scav", "sm_scah")  # fmt: skip
    out = {n: np.full(shape, np.nan, "f4") for n in floats}
    flags = {n: np.full(shape, NO_FLAG) for n in ("retrieval_flag", "surface_flag")}
    for i in np.flatnonzero(np.isfinite(passed).any((1, 2))):
        day, here = world.first + int(i), np.isfinite(passed[i])
        liquid, soil, air, ice = s.run.morning[:, i]
        warm = 0.7 * soil + 0.3 * air
        rough = real["roughness"] * np.exp(e.surface_change * surface(day))
        fine = radiometry.brightness(liquid, true_clay, rough, real["b"] * s.vegetation_water[i], real["albedo"], warm)
        white = rng(world.seed, "radiometer", int(day)).standard_normal((2, *grid.shape)).astype("f4")
        tb_h, tb_v = (
            (blur(tb) + e.tb_noise * (rows @ noise @ cols) / scale)[here] for tb, noise in zip(fine, white, strict=True)
        )
        usual = blur(vegetation(cover, (day + 0.5) % 365.25)[0])
        model = blur(warm) + e.temperature * warmth(day)
        snow, rain = blur(s.run.snow_depth[i]), blur(s.run.rain[i])
        frozen, model_frozen = blur(ice) > 0.5, model < 273.15
        bits = {0: water > 0.05, 2: water > 0.01, 3: urban > 0.25, 4: rain > 24, 5: snow > 5, 7: frozen}
        bits |= {8: model_frozen, 10: usual > 5}
        status = np.sum([on * np.uint16(1 << bit) for bit, on in bits.items()], axis=0, dtype="u2")
        skipped = (frozen | (snow > 5) | (water > 0.5))[here]
        doubtful = np.any([bits[n] for n in (0, 3, 4, 8, 10)], axis=0)[here]
        flags["surface_flag"][i][here] = status[here]
        flags["retrieval_flag"][i][here] = np.where(skipped, 7, doubtful).astype("u2")

        soil, *ancillary = _pick(clay, here), *(v[here] for v in (roughness, b * usual, albedo, model))
        dual, opacity, _ = radiometry.retrieve_dual(tb_h, tb_v, soil, *ancillary, weight=e.opacity_weight)
        results = {
            "tb_h": tb_h, "tb_v": tb_v, "roughness": ancillary[0], "albedo": ancillary[2],
            "surface_temperature": ancillary[3], "vegetation_water_content": usual[here],
            "vegetation_opacity": np.where(skipped, np.nan, opacity * radiometry.SLANT),
        }  # fmt: skip
        single = {
            f"sm_sca{p}": radiometry.retrieve_single(tb, p, soil, *ancillary)[0] for p, tb in (("v", tb_v), ("h", tb_h))
        }
        for name, moisture in {"sm_dca": dual, **single}.items():
            results[name] = np.where(skipped, np.nan, np.clip(moisture, 0.02, porosity[here]))
        for name, values in results.items():
            out[name][i][here] = values

    ds = xr.Dataset({n: (("time", "y", "x"), v) for n, v in (out | flags).items()}, attrs={**world.attrs})
    seconds = np.where(np.isfinite(passed), passed, -1).astype("i8")
    moment = world.days.astype("datetime64[ns]")[:, None, None] + seconds.astype("timedelta64[s]")
    ds["obs_time"] = ("time", "y", "x"), np.where(seconds >= 0, moment, np.datetime64("NaT", "ns"))
    for name, meanings in {"retrieval_flag": RETRIEVAL_BITS, "surface_flag": SURFACE_BITS}.items():
        masks = 2 ** np.arange(len(meanings.split()), dtype="u2")
        ds[name].attrs = {"flag_masks": masks.astype("u2"), "flag_meanings": meanings}
    ds.attrs["title"] = "SMAP L3 enhanced morning pass, synthetic"
    return world.grid.assign(canonical(ds.assign_coords(time=time_coord(world.days))))


def _pick(soil: radiometry.Spectrum, where: np.ndarray) -> radiometry.Spectrum:
    return radiometry.Spectrum(*(v[where] for v in soil))
