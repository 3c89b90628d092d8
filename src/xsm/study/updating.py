"""`xsm update`: a study that ran before, with the days that have come or changed since."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from xsm.study.config import Study

PROVISIONAL, FINAL = 0, 1
"""Values of ``day_status``: later observations may still change the day, or only a change of its own inputs does."""


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
    seconds: float = 0.0

    def as_json(self) -> str:
        """One line of JSON, for programs that watch.

        Examples
        --------
        >>> Update("2021-06-30", ["2021-06-30"], seconds=1.5).as_json()[:55]
        '{"newest": "2021-06-30", "added": ["2021-06-30"], "chan'
        """
        return json.dumps(asdict(self))


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
    raise NotImplementedError
