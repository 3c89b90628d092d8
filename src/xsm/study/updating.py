"""`xsm update`: a study that ran before, with the days that have come or changed since."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from xsm.compute.cluster import block_threads
from xsm.data.period import days as period_of
from xsm.errors import FetchError, MissingPlugin, tell
from xsm.ops.fetch import fetch as download
from xsm.options import check_device
from xsm.reporting.html_page import note
from xsm.study.catalogue import check_stac
from xsm.study.config import Study
from xsm.study.daily import granules
from xsm.study.inputs import in_order
from xsm.study.locked import alone
from xsm.study.modelling import check_models
from xsm.study.pipeline import stages_of
from xsm.study.stages import Stage, Task, clear, left_out, manifest, outdated, run_stages

log = logging.getLogger("xsm")
BY_DAY = ("archive", "geotiff", "stac", "open stations")
"""Stages that an update does, with those that they rest on."""
WHOLE = ("estimate", "report")
"""Stages that are about the whole period, which `xsm run` does."""
OLD = "The maps have been updated since this report was written: xsm run writes it anew."


@dataclass(frozen=True)
class Update:
    """What an update did.

    Parameters
    ----------
    newest : str, optional
        Last day of the archive, such as ``"2021-06-30"``; None where there is none.
    added : sequence of str
        Days that are new in the archive.
    changed : mapping of str to str
        Days that were in the archive and were made again, with the reason.
    provisional, final : int
        Days of the archive of either status.
    left_out : mapping of str to str
        Files that could not be read, with the reason.
    products : mapping of str to str
        Newest day of each input.
    outdated : sequence of str
        Results of `xsm run` that rest on other days than the archive now.
    seconds : float
        Time that it took.
    """

    newest: str | None = None
    added: Sequence[str] = ()
    changed: Mapping[str, str] = field(default_factory=dict)
    provisional: int = 0
    final: int = 0
    left_out: Mapping[str, str] = field(default_factory=dict)
    products: Mapping[str, str] = field(default_factory=dict)
    outdated: Sequence[str] = ()
    seconds: float = 0.0

    def as_json(self) -> str:
        """One line of JSON, for programs that watch.

        Examples
        --------
        >>> Update("2021-06-30", ["2021-06-30"], seconds=1.5).as_json()[:55]
        '{"newest": "2021-06-30", "added": ["2021-06-30"], "chan'
        """
        return json.dumps(asdict(self))


@block_threads()
def update_study(
    study: Study,
    *,
    fetch: bool = False,
    retrain: bool = False,
    processes: int = 1,
    step: Callable[[str], None] | None = None,
) -> Update:
    """Bring a study up to date: its archive ``out/archive.zarr`` gets the days that are new or have changed.

    The archive has the dims ``(time, y, x)``, the variables of ``estimates.nc`` with ``..._percentile`` and
    ``..._anomaly``, and ``day_status(time)`` (0 provisional, 1 final).

    Parameters
    ----------
    study : Study
        From `xsm.study.config.load`.
    fetch : bool
        Download new granules first, through the sources of the inputs.
    retrain : bool
        Train the models again on all days.
    processes : int
        Processes that read files.
    step : callable, optional
        Called with each stage that begins.
    """
    begun = time.monotonic()
    check_device()
    check_models(study)
    if study.stac:
        check_stac()
    with alone(study.out):
        if fetch:
            fetch_granules(study)
        renew = retrain or _is_due(study)
        every = table = stages_of(study, processes, renew=renew)
        if by_day := any(stage.name == "archive" for stage in every):
            table = _leading_to(every, BY_DAY)
        else:
            tell(
                "The study is made whole at each update, without an archive: only a fusion with mode = 'filter' and "
                "without [gapfill] is made day by day."
            )
        tasks = run_stages(table, study.out, step, models="renew" if renew else "keep")
        clear(study.out)
        old = outdated([stage for stage in every if stage.name in WHOLE], study.out) if by_day else []
        for stage in (stage for stage in old if stage.name == "report"):
            note(stage.target / "report.html", OLD)
        update = replace(
            _what_was_done(study, tasks, by_day, time.monotonic() - begun),
            outdated=[str(stage.target.relative_to(study.out)) for stage in old],
        )
        with open(study.out / ".xsm" / "updates.jsonl", "a", encoding="utf-8") as journal:
            journal.write(update.as_json() + "\n")
    return update


def _leading_to(table: Sequence[Stage], names: Sequence[str]) -> list[Stage]:
    """The stages of these names and those that they rest on."""
    needed = {*names}
    for stage in reversed(table):
        needed |= {*stage.rests_on} if stage.name in needed else set()
    return [stage for stage in table if stage.name in needed]


def _is_due(study: Study) -> bool:
    """Whether so many days have come since the training that [update] asks for another one."""
    span = manifest(study.out).get("train fuse", {}).get("span")
    if not (study.update.retrain and span):
        return False
    newest = np.datetime64(max(granules(study, in_order(study)[0]) or [span[1]]), "D")
    return bool(newest - np.datetime64(span[1], "D") >= np.timedelta64(study.update.retrain, "D"))


def _what_was_done(study: Study, tasks: Mapping[str, Task], by_day: bool, seconds: float) -> Update:
    done = manifest(study.out)
    names = [f"open {name}" for name in in_order(study)]
    products = {name.removeprefix("open "): _newest(done[name]) for name in names if "days" in done.get(name, {})}
    days = [*done["archive"]["days"]] if by_day else []
    if days and (late := [f"{name} ({day})" for name, day in products.items() if day < days[-1]]):
        text = f"These products are late: {', '.join(late)}."
        if max(products.values()) > days[-1]:
            tell(f"{text} Days after {days[-1]} wait for them (lag).")
        else:
            log.info(text)
    task = tasks.get("archive")
    todo = task.todo if task else ()
    added = [day for day in todo if day not in task.before] if task else []
    changed = {day: _reason(day, tasks, names, study.update.provisional, days) for day in todo if day not in added}
    provisional = min(study.update.provisional, len(days))
    return Update(
        days[-1] if days else None, added, changed, provisional, len(days) - provisional, left_out(study.out),
        products, seconds=round(seconds, 1),
    )  # fmt: skip


def _newest(entry: Mapping[str, Any]) -> str:
    return str(max(day for day, mark in entry["days"].items() if mark))


def _reason(day: str, tasks: Mapping[str, Task], names: Sequence[str], provisional: int, days: Sequence[str]) -> str:
    """Why a day was made again."""
    inputs = [name.removeprefix("open ") for name in names if name in tasks and day in tasks[name].todo]
    if inputs:
        return f"granules of {', '.join(inputs)} came or changed"
    if "train fuse" in tasks:
        return "the model was trained again"
    if "fuse" in tasks and day in tasks["fuse"].todo:
        return "an earlier day changed"
    if days.index(day) < len(days) - provisional and day in tasks["archive"].before:
        return "it became final, or a day of its reference changed"
    return "a day of its reference changed"


def fetch_granules(study: Study) -> None:
    """Download what is new of each input of days; what cannot be had is told, and the days are made without it."""
    today = np.datetime64(datetime.now(UTC).strftime("%Y-%m-%d"), "D")
    last = today if study.time is None else min(period_of(study.time).stop or today, today)
    for name in in_order(study):
        source, by_day = study.inputs[name], granules(study, name)
        folders = [Path(path) for path in source.paths]
        if by_day is None:
            continue
        if len(folders) != 1 or not folders[0].is_dir():
            tell(f"'{name}' is not fetched: its paths are {len(folders)} files or patterns, expected one folder.")
            continue
        first = min(np.datetime64(max(by_day), "D"), last) - study.update.provisional
        try:
            download(name, folders[0], region=study.region, time=f"{first}/{last}", **source.fetch)
        except (FetchError, MissingPlugin) as error:
            tell(f"'{name}' could not be fetched ({error.message.rstrip('.')}); the days are made without what is new.")
