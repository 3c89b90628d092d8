"""Soil, lakes and land cover, and the properties of each for water and microwaves.

Maps are functions of position in EPSG:5070 metres (`Landscape`), sampled at 100 m for soil maps and averaged for cells.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from xsm.twin.climate import climate_east
from xsm.twin.coast import ocean
from xsm.twin.fields import Waves, rng, rough
from xsm.twin.projection import to_albers

See = Callable[[Waves], np.ndarray]
WATER = 17


class Cover(NamedTuple):
    """A land cover class as the retrieval sees it, and its vegetation through the year.

    ``b`` (opacity per kg m-2) and ``albedo`` follow the look-up table of the SMAP passive algorithm (ATBD, table of
    IGBP parameters); ``roughness`` has the larger size of the dual channel algorithm's map (Chaubell et al. 2020);
    vegetation water in kg m-2, the largest green fraction and the day of the peak are those of temperate North America.
    """

    b: float
    albedo: float
    roughness: float
    water_min: float
    water_max: float
    green: float
    peak: float


COVERS: dict[int, Cover] = {
    1: Cover(0.10, 0.07, 0.55, 7.0, 8.5, 0.85, 190),
    2: Cover(0.10, 0.07, 0.6, 9.0, 10.0, 0.90, 190),
    3: Cover(0.12, 0.07, 0.55, 6.0, 8.5, 0.85, 195),
    4: Cover(0.12, 0.07, 0.55, 6.0, 9.0, 0.90, 190),
    5: Cover(0.11, 0.07, 0.55, 6.5, 9.0, 0.88, 190),
    6: Cover(0.11, 0.05, 0.4, 1.0, 1.8, 0.50, 180),
    7: Cover(0.11, 0.05, 0.35, 0.3, 0.8, 0.30, 180),
    8: Cover(0.11, 0.05, 0.5, 2.8, 4.8, 0.75, 180),
    9: Cover(0.11, 0.08, 0.45, 1.5, 3.0, 0.65, 175),
    10: Cover(0.13, 0.05, 0.4, 0.3, 1.5, 0.60, 170),
    11: Cover(0.11, 0.05, 0.35, 1.5, 3.0, 0.70, 185),
    12: Cover(0.11, 0.05, 0.32, 0.3, 3.5, 0.80, 200),
    13: Cover(0.10, 0.03, 0.4, 1.0, 1.6, 0.40, 185),
    14: Cover(0.11, 0.065, 0.38, 0.8, 3.2, 0.75, 195),
    15: Cover(0.0, 0.0, 0.10, 0.0, 0.0, 0.0, 190),
    16: Cover(0.0, 0.0, 0.3, 0.0, 0.1, 0.05, 180),
    17: Cover(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 190),
}


def by_cover(land_cover: np.ndarray, name: str) -> np.ndarray:
    """Map classes to one parameter of `Cover`, float32."""
    table = np.zeros(256, "f4")
    for number, cover in COVERS.items():
        table[number] = getattr(cover, name)
    return table[land_cover]


def vegetation(land_cover: np.ndarray, day_of_year: float) -> tuple[np.ndarray, np.ndarray]:
    """Vegetation water (kg m-2) and green fraction of a day in the fixed seasonal cycle."""
    phase = 2 * np.pi * (day_of_year - by_cover(land_cover, "peak")) / 365.25
    season = np.exp(2.2 * (np.cos(phase) - 1))
    low, high = by_cover(land_cover, "water_min"), by_cover(land_cover, "water_max")
    return low + (high - low) * season, by_cover(land_cover, "green") * (0.3 + 0.7 * season)


class Hydraulics(NamedTuple):
    """Hydraulic properties of a layer: m3 m-3, conductivity in mm h-1, pore size index."""

    porosity: np.ndarray
    field_capacity: np.ndarray
    wilting_point: np.ndarray
    conductivity: np.ndarray
    pore_index: np.ndarray


def saxton_rawls(
    sand: np.ndarray, clay: np.ndarray, organic: np.ndarray, bulk_density: np.ndarray | None = None
) -> Hydraulics:
    """Estimate hydraulic properties from texture (Saxton and Rawls 2006, doi:10.2136/sssaj2005.0117).

    Parameters
    ----------
    sand, clay : array_like
        Percent of the fine earth.
    organic : array_like
        Organic matter, percent.
    bulk_density : array_like, optional
        g cm-3; by default the normal density of the texture.

    Examples
    --------
    >>> loam = saxton_rawls(np.array(40.0), np.array(20.0), np.array(2.5))
    >>> [round(float(v), 2) for v in loam[:3]]
    [0.46, 0.28, 0.14]
    """
    s, c, om = np.asarray(sand) / 100, np.asarray(clay) / 100, np.asarray(organic)
    dry = -0.024 * s + 0.487 * c + 0.006 * om + 0.005 * s * om - 0.013 * c * om + 0.068 * s * c + 0.031
    wilting = 1.14 * dry - 0.02
    moist = -0.251 * s + 0.195 * c + 0.011 * om + 0.006 * s * om - 0.027 * c * om + 0.452 * s * c + 0.299
    capacity = moist + 1.283 * moist**2 - 0.374 * moist - 0.015
    free = 0.278 * s + 0.034 * c + 0.022 * om - 0.018 * s * om - 0.027 * c * om - 0.584 * s * c + 0.078
    porosity = capacity + 1.636 * free - 0.107 - 0.097 * s + 0.043
    if bulk_density is not None:
        dense = 1 - bulk_density / 2.65
        capacity, porosity = capacity - 0.2 * (porosity - dense), dense
    capacity = np.minimum(capacity, porosity - 0.03)
    pore_index = np.log(capacity / wilting) / np.log(1500 / 33)
    return Hydraulics(porosity, capacity, wilting, 1930 * (porosity - capacity) ** (3 - pore_index), pore_index)


class Ground(NamedTuple):
    """The land at points or cells; soil properties have a first axis of depth (5, 30 cm)."""

    sand: np.ndarray
    silt: np.ndarray
    clay: np.ndarray
    bulk_density: np.ndarray
    organic: np.ndarray
    land_cover: np.ndarray
    water: np.ndarray


@dataclass(frozen=True)
class Landscape:
    """Soil, water and land cover of one seed as functions of position (EPSG:5070 metres)."""

    seed: int

    LATTICE = 180e3

    @functools.cached_property
    def _waves(self) -> dict[str, Waves]:
        lengths = {"sandy": 90e3, "silty": 60e3, "horizon": 40e3, "dense": 40e3, "organic": 80e3,
                   "woody": 70e3, "farmed": 60e3, "town": 15e3}  # fmt: skip
        return {name: rough(self.seed, name, length) for name, length in lengths.items()}

    def texture(self, depth: float, see: See) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sand, silt, clay in percent; clay grows with depth (illuviation)."""
        w, below = self._waves, min(max((depth - 5) / 25, 0), 3)
        sandy = see(w["sandy"])
        clay_gain = 0.28 * below * np.exp(0.4 * see(w["horizon"]))
        sand = np.exp(0.65 + 0.85 * sandy - clay_gain)
        silt = np.exp(0.65 - 0.2 * sandy + 0.45 * see(w["silty"]) - 0.8 * clay_gain)
        total = (1 + sand + silt) / 100
        return sand / total, silt / total, 1 / total

    def bulk_density(self, depth: float, see: See) -> np.ndarray:
        """Oven-dry bulk density, g cm-3: the normal density of the texture, spread by land use, denser below."""
        sand, _, clay = self.texture(depth, see)
        normal = 2.65 * (1 - saxton_rawls(sand, clay, self.organic(depth, see)).porosity)
        gain = 1 + 0.05 * see(self._waves["dense"]) + 0.03 * min(max((depth - 5) / 25, 0), 3)
        return np.clip(normal * gain, 0.8, 1.75)

    def organic(self, depth: float, see: See) -> np.ndarray:
        """Organic matter in percent, falling with depth."""
        surface = np.clip(2.4 * np.exp(0.35 * see(self._waves["organic"])), 0.5, 6)
        return surface * np.exp(-(depth - 5) / 40)

    def sea_or_lake(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Mark points in water, coastal seas of North America included."""
        x, y = np.broadcast_arrays(np.asarray(x, "f8"), np.asarray(y, "f8"))
        return self.lake(x, y) | ocean(self.seed, x, y)

    def lake(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Mark points in a lake; each lattice square of 180 km contains one."""
        x, y = np.broadcast_arrays(np.asarray(x, "f8"), np.asarray(y, "f8"))
        col, row = (np.floor_divide(v, self.LATTICE).astype(int) for v in (x, y))
        cols, rows = (range(v.min(), v.max() + 1) for v in (col, row))
        lakes = np.array([[self._lake(i, j) for i in cols] for j in rows])[row - rows.start, col - cols.start]
        near = np.hypot(x - lakes[..., 0], y - lakes[..., 1]) < 45e3
        inside = np.zeros(x.shape, bool)
        cx, cy, radius, turn, phase, other = lakes[near].T
        along = (x[near] - cx) * np.cos(turn) + (y[near] - cy) * np.sin(turn)
        across = (y[near] - cy) * np.cos(turn) - (x[near] - cx) * np.sin(turn)
        angle = np.arctan2(across, along)
        shore = 1 + 0.2 * np.sin(3 * angle + phase) + 0.1 * np.sin(7 * angle + other)
        inside[near] = np.hypot(along / 1.5, across * 1.5) < radius * shore
        return inside

    def _lake(self, i: int, j: int) -> np.ndarray:
        """Centre x, y, radius, orientation and two phases of the shore of the lake in a lattice square."""
        g = rng(self.seed, "lake", i, j)
        place = (np.array([i, j]) + g.uniform(0.3, 0.7, 2)) * self.LATTICE
        return np.array([*place, g.uniform(9e3, 22e3), g.uniform(0, np.pi), *g.uniform(0, 2 * np.pi, 2)])

    def land_cover(self, x: np.ndarray, y: np.ndarray, see: See) -> np.ndarray:
        """IGBP class (1 to 17) at points, uint8: woods where it rains, farms on fine soil, shrubs where it is dry."""
        w, east = self._waves, climate_east(x, y)
        wood = see(w["woody"]) + 1.3 * np.tanh((east - 250e3) / 700e3)
        farm = see(w["farmed"]) - 0.4 * see(w["sandy"])
        dry = -0.5 * see(w["woody"]) - 1.5 * np.tanh((east + 550e3) / 400e3)
        choices = [
            (self.sea_or_lake(x, y), WATER),
            (see(w["town"]) > 2.6, 13),
            (wood > 1.5, 4),
            (wood > 1.2, 5),
            (wood > 0.8, 8),
            (farm > 0.25, 12),
            (wood > 0.45, 9),
            (farm > 0.1, 14),
            (dry > 0.9, 7),
            (see(w["organic"]) > 2.2, 11),
        ]
        return np.select([c for c, _ in choices], [np.uint8(v) for _, v in choices], np.uint8(10))

    def cells(self, lon: np.ndarray, lat: np.ndarray, each: int) -> Ground:
        """Average the land over cells.

        Parameters
        ----------
        lon, lat : numpy.ndarray
            1-D degrees of ``each`` equally spaced points in every column and row of cells.
        each : int
            Points in each cell and direction.
        """
        x, y = to_albers(*np.meshgrid(lon, lat))
        field = functools.cache(lambda name: self._waves[name].at(x, y))
        names = {id(wave): name for name, wave in self._waves.items()}

        def see(wave: Waves) -> np.ndarray:
            return field(names[id(wave)])

        def cell(values: np.ndarray) -> np.ndarray:
            rows, cols = values.shape
            return values.reshape(rows // each, each, cols // each, each).swapaxes(1, 2)

        cover = cell(self.land_cover(x, y, see))
        cover = cover.reshape(*cover.shape[:2], -1)
        count = np.stack([(cover == number).sum(-1) for number in range(18)])
        count[0] = 0
        water = count[WATER] / each**2
        count[WATER] = np.where(water >= 0.5, each**2 + 1, -1)

        def mean(at: Callable[[float], np.ndarray]) -> np.ndarray:
            return np.stack([cell(at(depth)).mean((2, 3)) for depth in (5, 30)]).astype("f4")

        def part(index: int) -> np.ndarray:
            return mean(lambda depth: self.texture(depth, see)[index])

        density, organic = mean(lambda d: self.bulk_density(d, see)), mean(lambda d: self.organic(d, see))
        majority = count.argmax(0).astype("u1")
        return Ground(part(0), part(1), part(2), density, organic, majority, water.astype("f4"))
