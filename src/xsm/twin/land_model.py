"""The Noah-like land model of the synthetic world: its own rain, soil and errors on 0.125 degree cells, as NLDAS-2."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from xsm.errors import UsageError
from xsm.twin.attributes import canonical, time_coord
from xsm.twin.errors_model import HardErrors
from xsm.twin.land import Land
from xsm.twin.projection import transformer
from xsm.twin.soil import WATER, Ground, Hydraulics, saxton_rawls
from xsm.twin.water import Column, Run, run
from xsm.twin.weather import DEGREE, Day, Weather


@dataclass(frozen=True)
class LandModel:
    """The land model's own weather, soil and run on 0.125 degree cells, latitude ascending."""

    lon: np.ndarray
    lat: np.ndarray
    land: np.ndarray
    weather: Weather
    run: Run
    moisture: np.ndarray
    """(2, time, lat, lon), m3 m-3, errors of structure included."""
    rain_factor: np.ndarray
    """(time, lat, lon)."""


def simulate(world: Land) -> LandModel:
    """Run the model: the same storms in wrong amounts, another soil, thick damped layers, structural error."""
    e, hard = world.errors.land_model, world.errors.hard or HardErrors(rain=0.0, root=0.0)
    west, south, east, north = world.bbox
    lon = -125 + 0.125 * (np.arange(np.floor((west + 125) * 8) - 1, np.ceil((east + 125) * 8) + 1) + 0.5)
    lat = 25 + 0.125 * (np.arange(np.floor((south - 25) * 8) - 1, np.ceil((north - 25) * 8) + 1) + 0.5)
    part = (np.arange(4) - 1.5) * 0.125 / 4
    ground = world.landscape.cells((lon[:, None] + part).ravel(), (lat[:, None] + part).ravel(), 4)
    x, y = lon * DEGREE, transformer("EPSG:4326", "EPSG:6933").transform(np.zeros_like(lat), lat)[1]
    weather = world.weather(x, y, lon, lat)
    amount = world.field("noah_rain", e.length, e.days).on(x, y)
    warmth = world.field("noah_air", e.length, e.days).on(x, y)
    state = world.field("noah_state", e.length, e.days).on(x, y)
    other = world.field("noah_soil", e.length).on(x, y)(0.0)
    offset = e.mean_bias + e.bias * world.field("noah_bias", e.length).on(x, y)(0.0)
    storm = world.field("noah_storm", hard.rain_length, hard.rain_days).on(x, y)
    root = world.field("noah_root", e.length, hard.root_days).on(x, y)

    def factor(day: int) -> np.ndarray:
        log = e.rain * amount(day) - e.rain**2 / 2 + hard.rain * storm(day) - hard.rain**2 / 2
        return np.exp(log).astype("f4")

    def believed(day: int, true: Day) -> Day:
        warm = true.temperature + e.air_temperature * warmth(day)
        return true._replace(rain=true.rain * factor(day), temperature=warm.astype("f4"))

    layers = _noah_soil(ground, 1 + e.field_capacity * other, e.conductivity)
    column = Column(layers, ground.land_cover, e.evaporation, hard.bypass)
    count = len(world.days)
    result = run(column, weather, count, 90, morning_step=world.morning_step, change=believed)
    moisture = np.empty((2, *result.rain.shape), "f4")
    for layer, size, alone in ((0, e.state, 0.0), (1, e.state / 2, hard.root)):
        theta = result.moisture[layer]
        mean = theta.mean(0)
        days = range(world.first, world.first + count)
        extra = np.stack([np.asarray(size * state(day) + alone * root(day)) for day in days])
        moisture[layer] = np.clip(mean + e.damping * (theta - mean) + offset + extra, 0.02, layers[layer].porosity)
    factors = np.stack([factor(world.first + i) for i in range(count)])
    return LandModel(lon, lat, ground.land_cover != WATER, weather, result, moisture, factors)


def _noah_soil(ground: Ground, capacity: np.ndarray, conductivity: float) -> tuple[Hydraulics, Hydraulics, Hydraulics]:
    """One soil class for the whole column, as in the model's look-up tables."""
    soil = saxton_rawls(ground.sand.mean(0), ground.clay.mean(0), 2.0 + 0 * ground.organic[0])
    capacity = np.clip(soil.field_capacity * capacity, soil.wilting_point + 0.02, soil.porosity - 0.03)
    soil = soil._replace(field_capacity=capacity, conductivity=soil.conductivity * conductivity)
    return soil, soil, soil


def _latlon(world: Land, model: LandModel, variables: dict[str, np.ndarray], time: xr.Variable) -> xr.Dataset:
    lat = xr.Variable("lat", model.lat, {"standard_name": "latitude", "units": "degrees_north", "axis": "Y"})
    lon = xr.Variable("lon", model.lon, {"standard_name": "longitude", "units": "degrees_east", "axis": "X"})
    ds = xr.Dataset(coords={"time": time, "lat": lat, "lon": lon}, attrs=world.attrs)
    for name, values in variables.items():
        ds[name] = ("time", "lat", "lon"), np.where(model.land, values, np.nan).astype("f4")
    return ds


def nldas_daily(world: Land, model: LandModel) -> xr.Dataset:
    """Daily means of the land model under canonical names, NaN over water."""
    variables = {
        "sm_noah_0_10": model.moisture[0],
        "sm_noah_10_40": model.moisture[1],
        "soil_temperature_0_10": model.run.temperature[0],
        "soil_temperature_10_40": model.run.temperature[1],
        "air_temperature": model.run.air_temperature,
        "precipitation": model.run.rain,
    }
    ds = canonical(_latlon(world, model, variables, time_coord(world.days)))
    return ds.assign_attrs(title="NLDAS-2 Noah daily means, synthetic")


def nldas_hours(world: Land, model: LandModel, day: np.datetime64) -> xr.Dataset:
    """Hourly fields of one day, 00 to 23 UTC: their means and sums are those of `nldas_daily`.

    Parameters
    ----------
    world : Land
    model : LandModel
        Its land model.
    day : datetime64[D]
        One of ``world.days``.

    Returns
    -------
    xarray.Dataset
        (time=24, lat, lon) ``SoilM_*`` and ``Rainf``, ``Snowf`` in kg m-2 (of the hour), ``SoilT_*`` and ``Tair`` in K;
        NaN over water.
    """
    i = int((day - world.days[0]).astype(int))
    if not 0 <= i < len(world.days):
        raise UsageError(
            f"{day} is not in the world ({world.days[0]} to {world.days[-1]}).", hint="Choose another day."
        )
    hour = np.arange(24)
    number = world.first + i
    elapsed = ((hour - 11.5) / 24).astype("f4")[:, None, None]
    lag = model.weather.course((hour - 3) % 24)
    swing = model.weather.at(number).swing

    def trend(daily: np.ndarray) -> np.ndarray:
        before, after = daily[max(i - 1, 0)], daily[min(i + 1, len(daily) - 1)]
        return daily[i] + elapsed * np.clip((after - before) / 2, -daily[i], daily[i])

    air = model.run.air_temperature[i] + swing * model.weather.course(hour)
    rain = model.rain_factor[i] * model.weather.steps(number, 24)
    solid = rain * np.clip((273.15 + 1.5 - air) / 3, 0, 1)
    variables = {
        "SoilM_0_10cm": trend(model.moisture[0]) * 100,
        "SoilM_10_40cm": trend(model.moisture[1]) * 300,
        "SoilT_0_10cm": model.run.temperature[0][i] + 0.3 * swing * lag,
        "SoilT_10_40cm": trend(model.run.temperature[1]),
        "Rainf": rain - solid,
        "Snowf": solid,
        "Tair": air,
    }
    moments = day.astype("datetime64[ns]") + hour.astype("timedelta64[h]")
    ds = _latlon(world, model, variables, xr.Variable("time", moments, {"standard_name": "time", "axis": "T"}))
    for name in ds.data_vars:
        ds[name].attrs["units"] = "K" if str(name).startswith(("SoilT", "Tair")) else "kg m-2"
    return ds
