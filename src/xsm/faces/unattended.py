"""The commands of a study that runs unattended: update, watch, status."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from xsm.errors import QualityError, XsmError, tell
from xsm.faces.text_table import table

STUDY = click.Path(path_type=Path)
Command = Callable[..., Any]
"""A function that becomes a command."""


def _of_updates(command: Command) -> Command:
    """Options of the commands that update."""
    for option in reversed((
        click.option("--fetch", is_flag=True, help="Download new granules first."),
        click.option("--json", "as_json", is_flag=True, help="Print one line of JSON for each run."),
        click.option("--notify", "program", metavar="CMD", help="Program that gets that line on its standard input."),
    )):  # fmt: skip
        command = option(command)
    return command


@click.command("update", help="Add the days to a study that are new or have changed since its last run or update.")
@click.argument("study", type=STUDY)
@_of_updates
@click.option("--retrain", is_flag=True, help="Train the models again on all days, and renew the reference period.")
def update(study: Path, fetch: bool, retrain: bool, as_json: bool, program: str | None) -> None:
    """Bring a study up to date; prints what was done."""
    failure = _once(study, fetch, retrain, as_json, program)
    if failure is not None:
        raise failure


@click.command("watch", help="Update a study again and again, until it is interrupted.")
@click.argument("study", type=STUDY)
@click.option("--every", default="1h", show_default=True, metavar="SPAN", help="From start to start: 30m, 1h, 1d.")
@click.option("--times", type=click.IntRange(1), help="End after so many updates.")
@_of_updates
def watch(study: Path, every: str, times: int | None, fetch: bool, as_json: bool, program: str | None) -> None:
    """Update, wait and update again; an update that fails does not end it, unless the command itself is wrong."""
    from xsm.study.unattended import seconds_in

    pause = seconds_in(every)
    for number in itertools.count(1):
        start = time.monotonic()
        failure = _once(study, fetch, False, as_json, program)
        if failure is not None:
            if failure.exit_code != 1 or number == times:
                raise failure
            tell(f"This update failed: {failure.message}")
        if number == times:
            return
        time.sleep(max(start + pause - time.monotonic(), 0))


def _once(study: Path, fetch: bool, retrain: bool, as_json: bool, program: str | None) -> XsmError | None:
    from xsm.faces.command import setting
    from xsm.faces.progress_bar import show
    from xsm.options import threads
    from xsm.study import unattended

    with show(setting("progress"), "xsm update") as begin:
        done, failure = unattended.attempt(study, fetch=fetch, retrain=retrain, processes=threads(), step=begin)
    line = json.dumps(done)
    if as_json:
        click.echo(line)
    elif failure is None:
        _show_update(done)
    if program is not None:
        unattended.notify(program, line)
    return failure


def _show_update(done: dict[str, Any]) -> None:

    changed = done["changed"]
    rows = [("newest day", done["newest"] or "none")]
    rows += [(f"newest of {name}", day) for name, day in done["products"].items()]
    rows += [("days added", _days(done["added"])), ("days made again", _days([*changed]))]
    rows += [(f"  {why}", _days([d for d in changed if changed[d] == why])) for why in dict.fromkeys(changed.values())]
    rows += [(name.replace("_", " "), str(done[name])) for name in ("provisional", "final")]
    rows += [("older than the archive", ", ".join(done["outdated"]) or "none")]
    rows += [("files left out", str(len(done["left_out"]))), *(("fault", text) for text in done["faults"])]
    table([*rows, ("seconds", str(done["seconds"]))], ("update", ""))


def _days(days: Sequence[str]) -> str:
    """Number of days, with the first and the last one."""
    return f"{len(days)} ({days[0]} to {days[-1]})" if len(days) > 1 else ", ".join(days) or "0"


@click.command("status", help="Show how fresh and how good a study's results are; exit code 4 beyond its [health].")
@click.argument("study", type=STUDY)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
def status(study: Path, as_json: bool) -> None:
    """Print the state of the results; raises where a limit of [health] is crossed."""
    from xsm.study.config import load
    from xsm.study.health import status_of

    state = status_of(load(study))
    if as_json:
        click.echo(state.as_json())
    else:
        rows = [("newest day", state.newest), ("days since then", state.age)]
        rows += [(f"newest of {n}", f"{day} (lag {state.lag[n]} d)") for n, day in state.products.items()]
        rows += [] if state.observed is None else [("observed", f"{state.observed:.0%}")]
        rows += [(f"spread of {n}", f"{v:+.1%}") for n, v in state.drift.items()]
        rows += [(f"skill of {n}", ", ".join(f"{k} {v:g}" for k, v in s.items())) for n, s in state.skill.items()]
        table([*rows, ("faults", len(state.faults))], ("status", ""))
    if state.faults:
        raise QualityError(" ".join(state.faults), hint="Limits are those of [health] in the study file.")
