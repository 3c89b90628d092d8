"""`xsm status`: how fresh and how good a study's results are, and which of its limits they cross."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xsm.errors import DataError
from xsm.io import day_store, files
from xsm.ops.validate import validate
from xsm.study.config import FUSED, Health, Study
from xsm.study.inputs import in_order
from xsm.study.stages import manifest

LAST = "last_run.json"
"""File beside the manifest with what the last unattended run said."""
RESULTS = ("archive.zarr", "estimates.nc", "maps.nc")
SCORES = ("r", "ubrmse", "bias")
AT_ONCE = 16
"""Days in which values are looked for at a time, from the end."""


@dataclass(frozen=True)
class Status:
    """State of a study's results.

    Parameters
    ----------
    newest : str
        Last day of the maps.
    age : int
        Days from that day to today, in UTC.
    products, lag : mapping of str
        Newest day of each input with values, and the days by which it is behind the maps.
    observed : float, optional
        Share of cells and days that the satellite observed, of those that have an estimate.
    drift : mapping of str to float
        Relative change of the mean spread from the same days a year before, or else from the days before.
    skill : mapping
        Means over the stations: ``r``, ``ubrmse`` and ``bias`` (m3 m-3), by variable; empty without stations or days.
    last_run : mapping
        What the last unattended run said; empty where there was none.
    faults : sequence of str
        Sentences on limits that are crossed.
    """

    newest: str
    age: int
    products: Mapping[str, str] = field(default_factory=dict)
    lag: Mapping[str, int] = field(default_factory=dict)
    observed: float | None = None
    drift: Mapping[str, float] = field(default_factory=dict)
    skill: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    last_run: Mapping[str, Any] = field(default_factory=dict)
    faults: Sequence[str] = ()

    def as_json(self) -> str:
        """One line of JSON, for programs that watch.

        Examples
        --------
        >>> Status("2021-06-30", 2, faults=["The maps are 2 days old."]).as_json()[:34]
        '{"newest": "2021-06-30", "age": 2,'
        """
        return json.dumps(asdict(self))


def status_of(study: Study, today: str | None = None) -> Status:
    """How fresh and how good the results of a study are; reads its last days only.

    Parameters
    ----------
    study : Study
        From `xsm.study.config.load`, with results of `xsm run` or `xsm update`.
    today : str, optional
        The UTC day to which ages are counted.
    """
    names = (study.out / name for name in RESULTS)
    path = next((path for path in names if path.exists()), None)
    if path is None:
        raise DataError(f"'{study.out}' has no results yet.", hint="Make them with: xsm run STUDY")
    ds = day_store.read(path) if path.suffix == ".zarr" else files.read(path)
    last = ds["time"].values[-1].astype("M8[D]")
    now = np.datetime64(today or datetime.now(UTC).strftime("%Y-%m-%d"), "D")
    products = _products(study)
    recent = ds.isel(time=slice(-study.health.days, None))
    known = Status(
        newest=str(last), age=_days(now - last), products=products,
        lag={name: max(_days(last - np.datetime64(day, "D")), 0) for name, day in products.items()},
        observed=_observed(recent), drift=_drift(ds, recent), skill=_skill(study, recent), last_run=last_run(study.out),
    )  # fmt: skip
    return Status(**{**vars(known), "faults": faults_of(study.health, known)})


def last_run(out: Path) -> dict[str, Any]:
    """What the last unattended run of a study said; empty where there was none."""
    file = out / ".xsm" / LAST
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}


def _days(span: np.timedelta64) -> int:
    return int(span / np.timedelta64(1, "D"))


def _products(study: Study) -> dict[str, str]:
    """Newest day with values of each input that has days."""
    done, out = manifest(study.out), {}
    for name in in_order(study):
        entry = done.get(f"open {name}")
        if entry is None:
            continue
        if "days" in entry:
            out[name] = max((day for day, mark in entry["days"].items() if mark), default="")
        elif (store := study.out / entry["path"]).exists():
            out[name] = _last_valued(files.read(store))
    return {name: day for name, day in out.items() if day}


def _last_valued(ds: xr.Dataset) -> str:
    """The last day on which some variable has a value; empty for a dataset without time or values."""
    floats = [n for n, v in ds.data_vars.items() if "time" in v.dims and v.dtype.kind == "f"]
    for stop in range(ds.sizes.get("time", 0), 0, -AT_ONCE) if floats else ():
        part = ds[floats[:1]].isel(time=slice(max(stop - AT_ONCE, 0), stop))[floats[0]]
        valued = part.notnull().any([d for d in part.dims if d != "time"]).values
        if valued.any():
            return str(part["time"].values[valued][-1].astype("M8[D]"))
    return ""


def _estimates(ds: xr.Dataset) -> list[str]:
    return [str(n) for n in ds.data_vars if str(n).startswith(FUSED) and f"{n}_std" in ds]


def _observed(ds: xr.Dataset) -> float | None:
    names = [str(n) for n in ds.data_vars if str(n).endswith("_observed")]
    if not names:
        return None
    inside = ds[_estimates(ds)[0]].notnull() if _estimates(ds) else True
    share = ds[names[0]].astype("f4").where(inside).mean()
    return round(float(share), 4)


def _drift(ds: xr.Dataset, recent: xr.Dataset) -> dict[str, float]:
    """Relative change of the mean spread of each estimate."""
    number = recent.sizes["time"]
    back = 365 if ds.sizes["time"] >= 365 + number else number
    before = ds.isel(time=slice(-number - back, -back))
    if before.sizes["time"] < number:
        return {}
    means = {n: [float(part[f"{n}_std"].mean()) for part in (recent, before)] for n in _estimates(ds)}
    return {n: round(now / then - 1, 4) for n, (now, then) in means.items() if then > 0 and np.isfinite(now)}


def _skill(study: Study, recent: xr.Dataset) -> dict[str, dict[str, float]]:
    stations = study.out / "data" / "stations.nc"
    names = [n for n in map(str, recent.data_vars) if n in study.estimates]
    if not stations.exists() or not names:
        return {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # stations without days are no news here
            scores = validate(recent, files.read(stations), variables=tuple(names))
    except DataError:
        return {}
    return {
        str(product): {name: round(float(scores[f"{name}_mean"].sel(product=product)), 4) for name in SCORES}
        for product in scores["product"].values
    }


def faults_of(limits: Health, status: Status) -> list[str]:
    """A sentence for each limit that is crossed, and one for a last run that failed."""
    values: list[tuple[str, float | None, float | None, float]] = [
        ("The newest map is {} days old, expected at most {}.", status.age, limits.max_age, 1),
        *((f"'{n}' is {{}} days behind the maps, expected at most {{}}.", v, limits.max_lag, 1)
          for n, v in status.lag.items()),
        ("The share observed is {}, expected at least {}.", status.observed, limits.min_observed, -1),
        *((f"The spread of '{n}' changed by {{}}, expected at most {{}}.", abs(v), limits.max_drift, 1)
          for n, v in status.drift.items()),
        *((f"The ubRMSE of '{n}' is {{}} m3 m-3, expected at most {{}}.", v["ubrmse"], limits.max_ubrmse, 1)
          for n, v in status.skill.items()),
        *((f"R of '{n}' is {{}}, expected at least {{}}.", v["r"], limits.min_r, -1) for n, v in status.skill.items()),
    ]  # fmt: skip
    crossed = [text.format(v, limit) for text, v, limit, sign in values
               if v is not None and limit is not None and sign * (v - limit) > 0]  # fmt: skip
    failed = [] if status.last_run.get("ok", True) else [f"The last run failed: {status.last_run.get('error')}"]
    return crossed + failed
