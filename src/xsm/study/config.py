"""A study in one TOML file: what to read, fill, train, estimate and validate."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from xsm.data.region import looks_like_file, region_bbox
from xsm.errors import DataError, UsageError, unknown


@dataclass(frozen=True)
class Source:
    """Files of one product; ``options`` are those of the data source, ``units`` those that its files do not tell.

    ``fetch`` are options of the source's download, for `xsm update --fetch`.
    """

    paths: Any
    options: Mapping[str, Any] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    fetch: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Fill:
    """How gaps are filled (see `xsm.gapfill`)."""

    method: str = "cru"
    mode: str = "smoother"
    variables: tuple[str, ...] | None = None
    covariates: tuple[str, ...] = ()
    model: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Fit:
    """How models are trained (see `xsm.fit`); ``estimates`` are depth-scenario pairs such as ``"5-1"``."""

    model: str = "convlstm"
    estimates: tuple[str, ...] = ("5-1", "5-2", "25-1", "25-2")
    bundles: Mapping[str, str] = field(default_factory=dict)
    train: str | None = None
    validation: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Fuse:
    """How satellite, land model and weather are fused (see `xsm.fuse`).

    ``method`` is the model that is trained, ``model`` a trained bundle instead. Where ``train`` or ``validation`` is
    not set, those of `Fit` hold.
    """

    method: str = "trees"
    mode: str = "smoother"
    model: str | None = None
    train: str | None = None
    validation: str | None = None
    stations: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Renewal:
    """How a study is kept up to date (`xsm update`).

    Days are ``provisional`` for so many days, and made without products that are late by at most ``lag`` days.
    ``reference`` is the period that percentiles and anomalies are about, by default the one of the first run; after
    ``retrain`` new days the models are trained again, by default never.
    """

    provisional: int = 14
    lag: int = 14
    reference: str | None = None
    retrain: int | None = None


@dataclass(frozen=True)
class Health:
    """Limits of a study's results over their last ``days`` (`xsm status`); those that are not set are not checked.

    Days since the newest map and days by which a product lags behind it, at most; share of cells and days that the
    satellite observed, at least; relative change of the mean spread, at most; scores at the stations.
    """

    days: int = 60
    max_age: float | None = None
    max_lag: float | None = None
    min_observed: float | None = None
    max_drift: float | None = None
    max_ubrmse: float | None = None
    min_r: float | None = None


@dataclass(frozen=True)
class Study:
    """Everything that `xsm.study.pipeline.run_study` needs; paths are relative to the file's folder."""

    out: Path
    inputs: Mapping[str, Source]
    stations: Mapping[str, Source] = field(default_factory=dict)
    region: Any = None
    time: str | None = None
    margin: int = 32
    seed: int = 0
    on_error: str = "raise"
    title: str = "Soil moisture study"
    gapfill: Fill | None = Fill()
    fit: Fit | None = None
    geotiff: tuple[str, ...] = ()
    stac: bool = False
    fuse: Fuse | None = None
    roles: Mapping[str, str] = field(default_factory=dict)
    update: Renewal = Renewal()
    health: Health = Health()

    @property
    def estimates(self) -> tuple[str, ...]:
        """Names of the estimates, those of the fusion last."""
        pairs = map(depth_and_scenario, dict.fromkeys(self.fit.estimates) if self.fit else ())
        return (*(f"sm_{depth}cm_s{number}" for depth, number in pairs), *(FUSED if self.fuse else ()))


FUSED = ("sm_5cm", "sm_25cm")
"""Names of the estimates of a fusion."""
BESIDE = ("", "_std", "_reference_std")
"""Ends of the names of an estimate and of its spread."""
RELATIVE = ("_percentile", "_anomaly")
"""Ends of the names of the maps that an archive of days has besides."""
TEXT, WHOLE, TEXTS, TABLE, YES_NO, NUMBER = (
    "text in quotes", "a whole number", "a list of texts in quotes", "a table", "true or false", "a number",
)  # fmt: skip
_IS: Mapping[str, Callable[[Any], bool]] = {
    TEXT: lambda v: isinstance(v, str),
    WHOLE: lambda v: type(v) is int,
    TEXTS: lambda v: isinstance(v, list | tuple) and all(isinstance(item, str) for item in v),
    TABLE: lambda v: isinstance(v, Mapping),
    YES_NO: lambda v: isinstance(v, bool),
    NUMBER: lambda v: type(v) in (int, float),
}
_EXPECTED = {
    "out": TEXT, "title": TEXT, "time": TEXT, "on_error": TEXT, "seed": WHOLE, "margin": WHOLE, "geotiff": TEXTS,
    "inputs": TABLE, "stations": TABLE, "roles": TABLE, "options": TABLE, "units": TABLE, "method": TEXT, "mode": TEXT,
    "variables": TEXTS, "covariates": TEXTS, "model": TEXT, "estimates": TEXTS, "bundles": TABLE, "train": TEXT,
    "validation": TEXT, "fuse.stations": YES_NO, "stac": YES_NO, "provisional": WHOLE, "lag": WHOLE, "reference": TEXT,
    "retrain": WHOLE, "fetch": TABLE, "update": TABLE, "health": TABLE, "days": WHOLE,
    **dict.fromkeys(("max_age", "max_lag", "min_observed", "max_drift", "max_ubrmse", "min_r"), NUMBER),
}  # fmt: skip
"""What the values of a study file must be, by key, or by table and key."""

_VARIABLE = re.compile(r"\$\w+|\$\{\w+\}")


def load(path: str | Path) -> Study:
    """Read a study file; an unknown or missing key stops with one sentence."""
    path = Path(path)
    if not path.is_file():
        raise DataError(f"The study file '{path}' does not exist.", hint="Write one with: xsm init rabiei2024")
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"'{path}' is not valid TOML ({error}).", hint="Correct that line.") from None
    return parse(raw, path.resolve().parent)


def parse(raw: Mapping[str, Any], folder: Path) -> Study:
    """Make a study from a mapping, in which paths are relative to ``folder``."""
    values = dict(raw)
    _known(values, Study, "study")
    if not values.get("inputs"):
        raise UsageError("The study names no inputs.", hint="Add a table [inputs.SOURCE] with paths = 'FOLDER/*.nc'.")
    for key in ("inputs", "stations"):
        values[key] = {name: _source(name, table, folder) for name, table in values.get(key, {}).items()}
    table = values.get("gapfill", False if "fuse" in values and "fit" not in values else {})
    values["gapfill"] = None if table is False else _table(Fill, table, "gapfill")
    if (fill := values["gapfill"]) and fill.model not in (None, "pretrained"):
        values["gapfill"] = replace(fill, model=str(_path(folder, fill.model)))
    table = values.get("fit", False)
    values["fit"] = None if table is False else _table(Fit, table, "fit")
    for pair in values["fit"].estimates if values["fit"] else ():
        if pair not in ("5-1", "5-2", "25-1", "25-2"):
            raise unknown("estimate", pair, ("5-1", "5-2", "25-1", "25-2"))
    if values.get("on_error", "raise") not in ("raise", "skip"):
        raise unknown("on_error", values["on_error"], ("raise", "skip"))
    if isinstance(region := values.get("region"), str) and looks_like_file(region):
        values["region"] = region_bbox(_path(folder, region))  # a changed file shows in its box
    values["out"] = _path(folder, values.get("out", "study"))
    if values["fit"]:
        for pair, path in values["fit"].bundles.items():
            _check(pair, path, "fit.bundles", TEXT)
        bundles = {pair: str(_path(folder, path)) for pair, path in values["fit"].bundles.items()}
        values["fit"] = replace(values["fit"], bundles=bundles)
    table = values.get("fuse", False)
    values["fuse"] = None if table is False else _fusion(_table(Fuse, table, "fuse"), values, folder)
    if not (values["gapfill"] or values["fit"] or values["fuse"]):
        raise UsageError("The study neither fills gaps nor estimates.", hint="Add a table [gapfill], [fit] or [fuse].")
    values["geotiff"] = tuple(values.get("geotiff", ()))
    if values.get("stac") and not values["geotiff"]:
        raise UsageError(
            "The study has stac = true, but writes no GeoTIFF.", hint='Name maps, such as geotiff = ["sm_5cm"].'
        )
    values["health"] = _table(Health, values.get("health", {}), "health")
    values["update"] = _table(Renewal, values.get("update", {}), "update")
    study = Study(**values)
    maps = [f"{name}{end}" for name in study.estimates for end in BESIDE]
    maps += [f"{name}{end}" for name in FUSED for end in RELATIVE if study.fuse and not study.gapfill]
    for name in study.geotiff if maps else ():
        if name not in maps and not name.startswith(("mask_reason", "frozen", "retrieval_observed")):
            raise unknown("map in geotiff", name, study.estimates)
    return study


def _fusion(fuse: Fuse, values: Mapping[str, Any], folder: Path) -> Fuse:
    """The fusion of a study, which learns from the days that the other models learn from, unless it names its own."""
    if fuse.mode not in ("smoother", "filter"):
        raise unknown("mode of [fuse]", fuse.mode, ("smoother", "filter"))
    if fuse.stations and not values["stations"]:
        raise UsageError(
            "[fuse] has stations = true, but the study names no stations.",
            hint="Add a table [stations.SOURCE] with paths = 'FOLDER'.",
        )
    if fuse.stations and fuse.model:
        raise UsageError("[fuse] has both a trained model and stations = true.", hint="Leave one of them out.")
    fit = values["fit"] or Fit()
    model = fuse.model if fuse.model in (None, "pretrained") else str(_path(folder, fuse.model))
    return replace(fuse, model=model, train=fuse.train or fit.train, validation=fuse.validation or fit.validation)


def _path(folder: Path, text: str) -> Path:
    """A path of a study, beside its file; ``$NAME`` and ``~`` are replaced, and a name that is not set stops."""
    path = os.path.expanduser(os.path.expandvars(text))
    if lost := [name for name in _VARIABLE.findall(path) if name.strip("${}") not in os.environ]:
        raise UsageError(
            f"'{text}' in the study file contains {lost[0]}, an environment variable that is not set.",
            hint="Set it, or write the path out.",
        )
    return folder / path


def depth_and_scenario(pair: str) -> tuple[int, int]:
    """Depth and number of a pair such as ``"25-2"``."""
    depth, number = pair.split("-")
    return int(depth), int(number)


def _known(values: Mapping[str, Any], kind: type, what: str) -> None:
    names = [f.name for f in fields(kind)]
    for key in values:
        if key not in names:
            raise unknown(f"key of [{what}]", key, names)
        _check(key, values[key], what, _EXPECTED.get(f"{what}.{key}", _EXPECTED.get(key)))


def _check(key: str, value: Any, what: str, expected: str | None) -> None:
    if expected is not None and not _IS[expected](value):
        raise UsageError(
            f"'{key}' of [{what}] is {_short(value)}, expected {expected}.", hint="Correct it in the study file."
        )


def _short(value: Any) -> str:
    text = repr(value) if isinstance(value, str | int | float | list | tuple | Mapping) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _table(kind: type, values: Any, what: str) -> Any:
    if not isinstance(values, Mapping):
        raise UsageError(f"[{what}] is {values!r}, expected a table or false.")
    _known(values, kind, what)
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def _source(name: str, table: Any, folder: Path) -> Source:
    if not isinstance(table, Mapping):
        raise UsageError(f"The input '{name}' is {table!r}, expected a table with 'paths'.")
    _known(table, Source, name)
    if "paths" not in table:
        raise UsageError(f"The input '{name}' has no paths.", hint="Write paths = 'folder/*.h5'.")
    paths = table["paths"] if isinstance(table["paths"], list) else [table["paths"]]
    _check("paths", paths, name, TEXTS)
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in table.get("options", {}).items()}
    for variable, unit in table.get("units", {}).items():
        _check(variable, unit, f"{name}.units", TEXT)
    return Source([p if "://" in p else str(_path(folder, p)) for p in paths], options, table.get("units", {}),
                  table.get("fetch", {}))  # fmt: skip
