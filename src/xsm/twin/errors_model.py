"""Every error size of the synthetic world, with the published figure behind it.

The sizes were fixed before any estimate was scored on the twin and are not tuned to one. `digest` is recorded in the
attributes of everything that comes from a world; a changed number changes it.

Published figures to compare with (``tests/twin``): Rabiei et al. (2024), Table 1, gives for
SMAP DCA against SCAN and USCRN R = 0.55 to 0.78 and ubRMSE = 0.042 to 0.069 m3 m-3, for Noah 0-10 cm R = 0.50 to 0.65
and ubRMSE = 0.044 to 0.066 m3 m-3, and biases between -0.06 and 0.09 m3 m-3.
With the sizes below, the medians over twelve stations in one year of the worlds 0 to 3 are R = 0.64 to 0.76 and
ubRMSE = 0.046 to 0.051 m3 m-3 for DCA, R = 0.52 to 0.63 and ubRMSE = 0.055 to 0.057 m3 m-3 for Noah.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class SmapErrors:
    """Radiometer, ancillary data and forward model. Lengths are e-folding lengths.

    The mission's requirement on brightness temperature is 1.3 K (Entekhabi et al. 2010,
    doi:10.1109/JPROC.2010.2043918; met in orbit, Piepmeier et al. 2017). The ancillary errors have the order of the
    retrieval's error budget (O'Neill et al. 2020, SMAP ATBD of the L2/L3 passive products, JPL D-66480: temperature
    2 K, clay, vegetation water, albedo and roughness of 5 to 20 percent), larger for albedo and roughness, which one
    value for each land cover cannot resolve.
    """

    footprint: float = 36e3
    """Half-power width of the footprint in metres; noise is smoothed by the same kernel (e-folding 31 km)."""
    tb_noise: float = 1.3
    """K, each polarization."""
    temperature: float = 2.0
    """K, model temperature against truth at 06:00."""
    temperature_length: float = 250e3
    temperature_days: float = 4.0
    clay: float = 5.0
    """Percent."""
    albedo: float = 0.2
    roughness: float = 0.3
    opacity_per_water: float = 0.15
    """Relative spread of the true maps about the value of the land cover class (albedo, roughness, b parameter)."""
    map_length: float = 60e3
    surface_change: float = 0.42
    """Relative departures of roughness from its fixed map in time (tillage, rain, litter, dew); with them the
    retrieval's ubRMSE against the truth nears the 0.04 m3 m-3 of core validation sites (Colliander et al. 2022)."""
    surface_length: float = 50e3
    surface_days: float = 12.0
    vegetation_year: float = 0.2
    """Relative departure of a year's vegetation from the fixed seasonal cycle."""
    vegetation_length: float = 150e3
    vegetation_days: float = 40.0
    opacity_weight: float = 20.0
    """K per unit of opacity: pull of the dual channel algorithm towards the climatological opacity."""
    lost_days: float = 0.005
    """Share of days without a granule outside the two long outages."""


@dataclass(frozen=True)
class LandModelErrors:
    """Noah-like land model: forcing, parameters and structure.

    Their scales in space and time are those of forcing (hundreds of kilometres, weeks); their sizes give the Noah rows
    of Table 1, of the order of what Xia et al. (2014) found for NLDAS-2 against networks of stations.
    """

    rain: float = 0.6
    """Standard deviation of the logarithm of the rain factor."""
    length: float = 300e3
    days: float = 12.0
    state: float = 0.036
    """m3 m-3, additive, same length and days; halved in the second layer."""
    bias: float = 0.02
    """m3 m-3, standard deviation of the fixed bias map; its mean is ``mean_bias``."""
    mean_bias: float = 0.012
    evaporation: float = 1.1
    """Factor on evaporation."""
    conductivity: float = 0.4
    """Factor on the saturated conductivity: slower drainage."""
    damping: float = 0.75
    """Factor on the departures of soil moisture from the model's own mean: one thick layer against a thin one."""
    field_capacity: float = 0.08
    """Relative spread of field capacity from a coarse soil map."""
    air_temperature: float = 1.0
    """K."""


@dataclass(frozen=True)
class HardErrors:
    """Errors of the land model besides `LandModelErrors`, which the default world lacks.

    Rain analyses are wrong by single storms as well as by weeks of weather, and a land model errs at depth for reasons
    of its own (roots, soil, drainage) that the surface does not show. The truth has soils of its own in both layers,
    the land model one for the column, which drains more slowly: physics that differ, but little (`bench_twin`);
    ``bypass`` parts them further.
    """

    rain: float = 0.9
    """Standard deviation of the logarithm of a factor on the rain of single storms."""
    rain_length: float = 40e3
    rain_days: float = 1.0
    root: float = 0.036
    """m3 m-3, additive in the second layer and independent of the first one's, whose size it has."""
    root_days: float = 20.0
    """Its length is that of the other errors of the land model."""
    bypass: float = 1.0
    """Factor on the land model's water that passes the first layer in cracks; 0 slows its second layer by half."""


@dataclass(frozen=True)
class StationErrors:
    """A sensor in one place against the mean of a 9 km cell.

    Spread of soil moisture within 1 to 50 km is 0.05 to 0.07 m3 m-3 (Famiglietti et al. 2008,
    doi:10.1029/2006WR005804); the representativeness error of single stations after removing the bias is 0.02 to 0.04
    m3 m-3 (Gruber et al. 2013; Chen et al. 2017); a calibrated impedance probe errs by 0.01 to 0.03 (Seyfried et al.
    2005).
    """

    bias: float = 0.05
    """m3 m-3, standard deviation among stations; a station's depths share two thirds of its variance."""
    scale: float = 0.25
    """Standard deviation of the logarithm of the factor on departures from the mean."""
    noise: float = 0.040
    """m3 m-3 at 5 cm, memory ``noise_days``; less below."""
    noise_days: tuple[float, ...] = (4.0, 5.0, 8.0, 20.0, 40.0)
    """Memory at 5, 10, 20, 50 and 100 cm."""
    noise_depth: tuple[float, ...] = (1.0, 0.9, 0.75, 0.5, 0.35)
    """Factor on the noise at these depths."""
    sensor: float = 0.003
    """m3 m-3, white, hourly."""
    drift: float = 0.01
    """m3 m-3 per year, standard deviation among sensors."""
    temperature: float = 0.8
    """K, standard deviation of a station's offset."""
    missing: float = 0.03
    """Share of hours in gaps with mean length ``gap_hours``."""
    gap_hours: float = 60.0
    spikes: float = 0.0005
    """Share of hours with a spike, flagged."""


@dataclass(frozen=True)
class Errors:
    """All error sizes of a world.

    Examples
    --------
    >>> from xsm.twin import Errors, HardErrors
    >>> rain_only = Errors(hard=HardErrors(root=0.0))
    """

    smap: SmapErrors = field(default_factory=SmapErrors)
    land_model: LandModelErrors = field(default_factory=LandModelErrors)
    station: StationErrors = field(default_factory=StationErrors)
    hard: HardErrors | None = None
    """By default none."""


ERRORS = Errors()
Hard = Errors(hard=HardErrors())
"""A world that is harder than the default one, above all at depth."""


def digest(errors: Errors = ERRORS) -> str:
    """Return the SHA-256 of the error sizes as hexadecimal text; parts that are absent do not count."""
    sizes = {name: part for name, part in asdict(errors).items() if part is not None}
    return hashlib.sha256(json.dumps(sizes, sort_keys=True).encode()).hexdigest()
