"""ESA CCI and C3S soil moisture as daily canonical maps (documentation: Formats, ESA CCI)."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from xsm import DataError, UsageError
from xsm.plugin_api import NO_FLAG as NONE
from xsm.plugin_api import (
    Area,
    DailyField,
    Request,
    Stored,
    canonical_attrs,
    convert,
    convert_in,
    drop_impossible,
    open_day_files,
    text_of,
    unit_of,
)

from xsm_esa_cci import INFO, ROOT_ZONE
from xsm_esa_cci.names import Name, by_day, read_name

if TYPE_CHECKING:
    from xsm.plugin_api import Manifest

UNITS = {"SSMV": "m3 m-3", "RZSMV": "m3 m-3", "SSMS": "percent"}
"""Units of a product, which its files must agree with."""
FLAGS = (
    "snow_covered_or_frozen", "dense_vegetation", "no_convergence_in_the_model",
    "soil_moisture_value_exceeds_physical_boundary", "weight_of_measurement_below_threshold",
    "all_datasets_deemed_unreliable", "barren_ground_advisory",
)  # fmt: skip
"""Meanings of the bits 0 to 6 of ``flag``."""
RESTING = ("soil_moisture", *ROOT_ZONE, "saturation", "obs_time")
"""Variables that get the family of the product."""
ADVISORY, NO_FLAG = 64, 127
LAYERS = {"rzsm_1": "rzsm_0_10", "rzsm_2": "rzsm_10_40", "rzsm_3": "rzsm_40_100", "rzsm_1m": "rzsm_0_100"}
"""Root zone: names in the files and here, which say the layer in cm."""
ACTIVE, PASSIVE = (
    "ASCAT backscatter",
    "SMAP brightness temperatures; SMOS brightness temperatures; AMSR brightness temperatures",
)
EPOCH = np.datetime64("1970-01-01", "ns")


class EsaCciSource:
    """Daily files of ESA CCI SM and C3S."""

    info = INFO

    def identify(self, path: Path) -> bool:
        """Whether a file is of ESA CCI or C3S soil moisture, by its name."""
        return read_name(Path(path)) is not None

    def open(self, request: Request) -> xr.Dataset:
        """Open daily files lazily; a day without a file is present and empty.

        Parameters
        ----------
        request : Request
            Files of one product (COMBINED, PASSIVE, ACTIVE, gap-filled, root zone); of several of one day the highest
            version counts. The region is read with a margin of 3 cells. Variables, as far as the product has them:
            ``soil_moisture`` and ``soil_moisture_std`` (the product's ``sm_uncertainty``), for ACTIVE ``saturation``
            and ``saturation_std`` in percent; ``obs_time`` (``t0``), ``flag``, ``gap_filled``; ``rzsm_0_10`` and deeper
            layers. Options:

            quality : {"recommended", "all"}
                Whether values are left out for which ``flag`` has another bit than that of barren ground.
            porosity : float, optional
                Makes ``soil_moisture`` of the degree of saturation.

        Returns
        -------
        xarray.Dataset
            (time, lat, lon); rows as in the files (north first).

        Raises
        ------
        DataError
            For damaged files, several products, another unit than the product's, a region that is not touched.
        UsageError
            For an unknown variable, or a porosity where the product is soil moisture.
        """
        name, files = by_day(map(Path, request.paths))
        for variable in request.variables or ():
            if variable not in INFO.variables:
                raise UsageError(f"ESA CCI has no variable '{variable}'.", hint=f"It has: {', '.join(INFO.variables)}.")
        if request.options["porosity"] is not None and name.kind != "SSMS":
            raise UsageError(
                f"{name.product} is soil moisture in m3 m-3, expected no porosity.", hint="Leave <porosity=> out."
            )
        choose = functools.partial(_choose, name=name, request=request)
        ds = open_day_files(files, choose, request).assign_attrs(
            title=f"{name.series} soil moisture, {name.product}",
            source=f"{name.series} {name.product}",
            references=f"https://doi.org/{INFO.doi}",
        )
        family = {"ACTIVE": ACTIVE, "PASSIVE": PASSIVE}.get(name.product, f"{ACTIVE}; {PASSIVE}")
        about = {n: v.assign_attrs(family=family) for n, v in ds.data_vars.items() if n in RESTING}
        return ds.assign(about)

    def fetch(
        self,
        dest: Path,
        *,
        region: Area | None,
        time: slice | None,
        dry_run: bool,
        product: str = "COMBINED",
        version: str = "v09.2",
    ) -> Manifest:
        """Fetch daily global files of ESA CCI; ``region`` cuts nothing off. See `xsm_esa_cci.fetch.days`."""
        from xsm.plugin_api import closed_period, download

        from xsm_esa_cci.fetch import days

        return download(days(closed_period(time), product, version), dest, dry_run=dry_run)

    def write(self, world: Any, dest: Path) -> list[Path]:
        """Write a synthetic world as files of COMBINED; see `xsm_esa_cci.write.write`."""
        from xsm.twin import NETCDF

        from xsm_esa_cci.write import write

        with NETCDF:
            return write(world, dest)


def _choose(maps: frozenset[str], *, name: Name, request: Request) -> dict[str, DailyField]:
    """The variables that the files can give and the user wants."""
    able = _able(maps, name, request)
    wanted = request.variables or tuple(able)
    absent = [v for v in wanted if v not in able]
    if absent or not able:
        raise DataError(
            f"The files of {name.product} contain {', '.join(sorted(maps)) or 'no maps'}, nothing to make "
            f"{', '.join(absent) or 'a variable'} of.",
            hint="State <porosity=0.45> to make soil moisture of the degree of saturation."
            if absent == ["soil_moisture"] and name.kind == "SSMS"
            else f"They give: {', '.join(able) or 'nothing'}.",
        )
    return {v: able[v] for v in dict.fromkeys(wanted)}


def _able(maps: frozenset[str], name: Name, request: Request) -> dict[str, DailyField]:
    strict = request.options["quality"] == "recommended"
    flag = ("flag",) if "flag" in maps and strict else ()
    able: dict[str, DailyField] = {}

    def add(source: str, variable: str, long_name: str, porosity: float | None = None) -> None:
        if source not in maps:
            return
        unit = UNITS[name.kind] if porosity is None else "m3 m-3"
        attrs = {**canonical_attrs(variable), "units": unit, "long_name": long_name}
        make = functools.partial(
            _values, source=source, canonical=variable, kind=name.kind, stated=request.units, porosity=porosity
        )
        able[variable] = DailyField((source, *flag), make, attrs)

    if name.kind == "SSMS":
        add("sm", "saturation", "Degree of saturation of the surface soil")
        add("sm_uncertainty", "saturation_std", "Standard deviation of the degree of saturation")
        porosity = request.options["porosity"]
        if porosity is not None:
            add("sm", "soil_moisture", "Soil moisture, by a porosity that was stated", porosity)
            add("sm_uncertainty", "soil_moisture_std", "Standard deviation of soil moisture", porosity)
    else:
        add("sm", "soil_moisture", "Soil moisture of the surface soil")
        add("sm_uncertainty", "soil_moisture_std", "Standard deviation of soil moisture")
    for source, variable in LAYERS.items():
        top, bottom = variable.split("_")[1:]
        add(source, variable, f"Soil moisture, {top}-{bottom} cm")
    if "t0" in maps:
        about = canonical_attrs("obs_time")
        able["obs_time"] = DailyField(("t0",), _time, about, "M8[ns]", np.datetime64("NaT", "ns"))
    if "flag" in maps:
        masks = (1 << np.arange(len(FLAGS))).astype("u2")
        about = {"long_name": "Condition flag", "flag_masks": masks, "flag_meanings": " ".join(FLAGS)}
        able["flag"] = DailyField(("flag",), _flag, about, "u2", NONE)
    if "gapmask" in maps:
        about = {"long_name": "Whether the value was interpolated", "flag_values": np.array([0, 1], "u1"),
                 "flag_meanings": "observed interpolated"}  # fmt: skip
        able["gap_filled"] = DailyField(("gapmask",), lambda stored: stored["gapmask"].values != 0, about, "u1", 0)
    return able


def _values(
    stored: Mapping[str, Stored],
    *,
    source: str,
    canonical: str,
    kind: str,
    stated: Mapping[str, str],
    porosity: float | None,
) -> np.ndarray:
    """Values of a dataset in the unit of its product, without those that a flag calls unreliable."""
    data = stored[source]
    unit = unit_of(text_of(data.attrs.get("units", "")), source, data.path, stated, known=canonical)
    if (convert_in(data.path, source, 1.0, unit, "percent") == 1) != (kind == "SSMS"):
        raise DataError(
            f"In '{data.path}' '{source}' has the unit '{unit}', expected {UNITS[kind]} in files of {kind}.",
            hint="Get the file again.",
        )
    values = data.numbers()
    if "flag" in stored:
        flag = stored["flag"].values.astype("i8")
        values[((flag & ~ADVISORY) != 0) & (flag != NO_FLAG)] = np.nan
    if kind == "SSMS" and porosity is None:
        return np.where((values < 0) | (values > 100), np.nan, values)
    values = convert(values, unit, "m3 m-3") * np.float32(1 if porosity is None else porosity)
    return drop_impossible(values, "soil_moisture", data.path.name)


def _time(stored: Mapping[str, Stored]) -> np.ndarray:
    """Times of observation; NaT where there is none."""
    data = stored["t0"]
    unit = text_of(data.attrs.get("units", "")).strip()
    if not unit.startswith("days since 1970-01-01"):
        raise DataError(
            f"In '{data.path}' 't0' has the unit '{unit}', expected 'days since 1970-01-01 00:00:00 UTC'.",
            hint="Get the file again.",
        )
    days = data.values.astype("f8")
    known = np.isfinite(days) & (days > 0)
    nanoseconds = np.where(known, days, 0) * 86400e9
    return np.where(known, EPOCH + nanoseconds.astype("i8").astype("m8[ns]"), np.datetime64("NaT", "ns"))


def _flag(stored: Mapping[str, Stored]) -> np.ndarray:
    flag = stored["flag"].values.astype("i8")
    return np.where((flag < 0) | (flag >= NO_FLAG), NONE, flag)
