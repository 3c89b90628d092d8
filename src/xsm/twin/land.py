"""`Land`: the truth of a synthetic world; what instruments see of it is in `world`."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from xsm.data.grids import BBox, Grid
from xsm.errors import DataError, UsageError
from xsm.twin.attributes import canonical, time_coord
from xsm.twin.errors_model import ERRORS, Errors, digest
from xsm.twin.fields import Waves, smooth
from xsm.twin.projection import to_albers, transformer
from xsm.twin.sites import choose_sites
from xsm.twin.soil import WATER, Ground, Hydraulics, Landscape, See, saxton_rawls, vegetation
from xsm.twin.water import Column, Run, run
from xsm.twin.weather import Weather

EPOCH = np.datetime64("2000-01-01")
SPIN_UP = 90
MARGIN = 4
SOIL_NAMES = {"sandtotal": 0, "silttotal": 1, "claytotal": 2}


class Scene(NamedTuple):
    """The truth on the world's grid and a margin of one footprint around it."""

    grid: Grid
    inner: tuple[slice, slice]
    ground: Ground
    layers: tuple[Hydraulics, Hydraulics, Hydraulics]
    weather: Weather
    run: Run
    vegetation_water: np.ndarray
    sites: tuple[np.ndarray, np.ndarray]


@dataclass
class Land:
    """The truth of a synthetic world: storms, soils, land cover and the state of the land.

    Storms, soils and land cover are functions of seed, place and date alone: a larger window or a longer period
    contains the same world.

    Parameters
    ----------
    grid : Grid
        Window of EASE2_M09.
    days : numpy.ndarray
        Contiguous UTC days, datetime64[D].
    seed : int
    errors : Errors
        Error sizes of all observing systems.
    """

    grid: Grid
    days: np.ndarray
    seed: int = 0
    errors: Errors = field(default=ERRORS)

    @property
    def bbox(self) -> BBox:
        """West, south, east, north of the window in degrees."""
        return self.grid.bbox

    @property
    def attrs(self) -> dict[str, Any]:
        """Attributes that every dataset of the world carries."""
        return {
            "synthetic": f"Made by xsm.twin, not observed: seed {self.seed}, error sizes {digest(self.errors)[:16]}.",
            "twin_seed": self.seed,
            "twin_errors_sha256": digest(self.errors),
        }

    @property
    def first(self) -> int:
        """First day, counted from 2000-01-01."""
        return int((self.days[0] - EPOCH).astype(int))

    @functools.cached_property
    def landscape(self) -> Landscape:
        """Soil and land cover as functions of position."""
        return Landscape(self.seed)

    @functools.cached_property
    def scene(self) -> Scene:
        """The truth with its margin: state of the land on every day."""
        grid = self.grid.grow(MARGIN)
        top, left = self.grid.row0 - grid.row0, self.grid.col0 - grid.col0
        inner = (slice(top, top + self.grid.rows), slice(left, left + self.grid.cols))
        ground = self.landscape.cells(*_fine(grid, 4), 4)
        weather = self.weather(grid.x, grid.y, grid.lon, grid.lat)
        if (ground.land_cover[inner] == WATER).all():
            raise DataError("The region of the synthetic world contains no land.", hint="Choose another region.")
        sites = choose_sites(self.seed, ground, inner)
        layers = hydraulics(ground)
        step = self.morning_step
        state = run(
            Column(layers, ground.land_cover), weather, len(self.days), SPIN_UP, morning_step=step, probes=sites
        )
        return Scene(grid, inner, ground, layers, weather, state, self._vegetation(grid, ground, layers, state), sites)

    @property
    def morning_step(self) -> int:
        """Quarter of the UTC day at whose end the morning pass comes (06:20 local solar time)."""
        return int(round((6.3 - float(self.grid.lon.mean()) / 15) / 6) - 1) % 4

    def weather(self, x: np.ndarray, y: np.ndarray, lon: np.ndarray, lat: np.ndarray) -> Weather:
        """Weather of the world's period, spin-up included, on another separable grid."""
        box = self.grid.grow(2 * MARGIN).bounds
        return Weather(self.seed, self.first - SPIN_UP, self.first + len(self.days) - 1, x, y, lon, lat, box)

    def field(self, name: str, length: float, days: float = np.inf) -> Waves:
        """Smooth error field of unit variance, determined by its name."""
        return smooth(self.seed, name, length, days)

    def _vegetation(self, grid: Grid, ground: Ground, layers: tuple[Hydraulics, ...], state: Run) -> np.ndarray:
        e = self.errors.smap
        year = self.field("vegetation", e.vegetation_length, e.vegetation_days).on(grid.x, grid.y)
        water = np.empty_like(state.air_temperature)
        span = layers[1].field_capacity - layers[1].wilting_point
        greenness = (state.moisture[1, 0] - layers[1].wilting_point) / span
        for i in range(len(water)):
            usual = vegetation(ground.land_cover, (self.first + i + 0.5) % 365.25)[0]
            greenness = greenness + ((state.moisture[1, i] - layers[1].wilting_point) / span - greenness) / 30
            growth = 1 + 0.25 * (np.clip(greenness, 0, 1.1) - 0.55)
            water[i] = usual * growth * np.exp(e.vegetation_year * year(self.first + i))
        return water

    @functools.cached_property
    def truth(self) -> xr.Dataset:
        """The truth: daily states and rain (time, y, x), soil (soil_depth, y, x), land cover (y, x); NaN over water."""
        s = self.scene
        rows, cols = s.inner
        land = s.ground.land_cover[s.inner] != WATER
        daily = {
            "sm_5cm": s.run.moisture[0],
            "sm_25cm": s.run.moisture[1],
            "soil_temperature_0_10": s.run.temperature[0],
            "soil_temperature_10_40": s.run.temperature[1],
            "air_temperature": s.run.air_temperature,
            "precipitation": s.run.rain,
            "vegetation_water_content": s.vegetation_water,
            "ice_fraction": s.run.ice,
            "snow_depth": s.run.snow_depth,
        }
        out = xr.Dataset(attrs={"title": "Truth of a synthetic world", **self.attrs})
        for name, values in daily.items():
            out[name] = ("time", "y", "x"), np.where(land, values[:, rows, cols], np.float32(np.nan))
        for name in ("sand", "silt", "clay", "bulk_density"):
            values = getattr(s.ground, name)[:, rows, cols]
            out[name] = ("soil_depth", "y", "x"), np.where(land, values, np.float32(np.nan))
        for name in ("porosity", "field_capacity", "wilting_point"):
            values = np.stack([getattr(layer, name)[s.inner] for layer in s.layers[:2]])
            out[name] = ("soil_depth", "y", "x"), np.where(land, values, np.nan).astype("f4")
        out["land_cover"] = ("y", "x"), s.ground.land_cover[s.inner]
        out["land"] = ("y", "x"), land
        out = out.assign_coords(time=time_coord(self.days), soil_depth=soil_depth_coord())
        described = {
            "ice_fraction": ("1", "Frozen share of soil water, 0-10 cm"),
            "snow_depth": ("kg m-2", "Snow water equivalent"),
            "porosity": ("m3 m-3", "Porosity"),
            "field_capacity": ("m3 m-3", "Soil moisture at 33 kPa"),
            "wilting_point": ("m3 m-3", "Soil moisture at 1500 kPa"),
        }
        for name, (units, text) in described.items():
            out[name].attrs = {"units": units, "long_name": text}
        return self.grid.assign(canonical(out))

    def soil100(self, name: str, depth: float, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Soil map at EPSG:5070 pixel centres.

        Parameters
        ----------
        name : str
            ``sandtotal``, ``silttotal``, ``claytotal`` (percent, they sum to 100) or ``dbovendry`` (g cm-3).
        depth : float
            cm.
        x, y : numpy.ndarray
            1-D metres, east and north.

        Returns
        -------
        numpy.ndarray
            (y, x) float32, NaN over water.
        """
        x, y = np.asarray(x, "f8"), np.asarray(y, "f8")
        fields = _fields(self.seed, x.tobytes(), y.tobytes())
        values = self._soil(name, depth, _once(fields, lambda wave: wave.on(x, y)(0.0)))
        if "water" not in fields:
            fields["water"] = self.landscape.sea_or_lake(x[None, :], y[:, None])
        return np.where(fields["water"], np.nan, values).astype("f4")

    def soil_at(self, name: str, depth: float, lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
        """Soil property, as in `soil100`, at points in degrees: float32, NaN over water."""
        x, y = to_albers(np.asarray(lon, "f8"), np.asarray(lat, "f8"))
        fields = _fields(self.seed, x.tobytes(), y.tobytes() + b"points")
        values = self._soil(name, depth, _once(fields, lambda wave: wave.at(x, y)))
        if "water" not in fields:
            fields["water"] = self.landscape.sea_or_lake(x, y)
        return np.where(fields["water"], np.nan, values).astype("f4")

    def _soil(self, name: str, depth: float, see: See) -> np.ndarray:
        if name == "dbovendry":
            return self.landscape.bulk_density(depth, see)
        if name not in SOIL_NAMES:
            raise UsageError(f"No soil property '{name}'.", hint=f"Known: {', '.join(SOIL_NAMES)}, dbovendry.")
        return self.landscape.texture(depth, see)[SOIL_NAMES[name]]

    def land_cover_at(self, lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
        """IGBP class (1 to 17) at points in degrees, uint8."""
        x, y = to_albers(np.asarray(lon, "f8"), np.asarray(lat, "f8"))
        return self.landscape.land_cover(x, y, lambda wave: wave.at(x, y))


def hydraulics(ground: Ground) -> tuple[Hydraulics, Hydraulics, Hydraulics]:
    """Hydraulic properties of the three layers: 5 cm soil above, 30 cm soil below."""
    top, below = (
        saxton_rawls(ground.sand[i], ground.clay[i], ground.organic[i], ground.bulk_density[i]) for i in (0, 1)
    )
    return top, below, below


def soil_depth_coord() -> xr.Variable:
    """Coordinate of the two soil map depths in cm."""
    return xr.Variable("soil_depth", np.array([5, 30]), {"units": "cm", "positive": "down", "long_name": "Soil depth"})


def _fine(grid: Grid, each: int) -> tuple[np.ndarray, np.ndarray]:
    """Degrees of equally spaced points inside the columns and rows of a window."""
    left, _, _, top = grid.bounds
    step = grid.cell / each
    x, y = left + (np.arange(grid.cols * each) + 0.5) * step, top - (np.arange(grid.rows * each) + 0.5) * step
    to_degrees = transformer("EPSG:6933", "EPSG:4326").transform
    return to_degrees(x, np.zeros_like(x))[0], to_degrees(np.zeros_like(y), y)[1]


def _once(fields: dict[Any, Any], evaluate: See) -> See:
    """Evaluate each wave once; what is there is in ``fields``."""

    def see(wave: Waves) -> np.ndarray:
        if id(wave) not in fields:
            fields[id(wave)] = wave, evaluate(wave)
        return fields[id(wave)][1]

    return see


@functools.lru_cache(maxsize=3)
def _fields(seed: int, x: bytes, y: bytes) -> dict[Any, Any]:
    """Fields at the pixels of a block that were evaluated before, so that the layers of one block share them."""
    return {}
