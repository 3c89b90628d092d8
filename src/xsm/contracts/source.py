"""The contract of data sources: a plugin registers a `SourceInfo`; its `DataSource` opens what a `Request` names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import xarray as xr

from xsm.contracts.operation import Param
from xsm.data.grids import Grid
from xsm.errors import unknown


@dataclass(frozen=True)
class SourceInfo:
    """Light description of a data source.

    Parameters
    ----------
    name, title : str
        Name in ``xsm.open`` and one line for people.
    factory : str
        ``"module:Class"`` of the `DataSource`, imported on first use.
    options : tuple of Param
        Further keyword arguments of its ``open``, so that forms can show them.
    variables : tuple of str
        Canonical names (docs/design/decisions.md, "Data contract") that it can give.
    stations : bool
        Whether it gives ``(sensor, time)`` instead of maps.
    requires : tuple of str
        Modules that must be importable.
    fetch_options : tuple of Param
        Further keyword arguments of its ``fetch``.
    url, doi, licence : str
        Where the product comes from.
    families : mapping of str to str
        What the errors of a variable rest on, ``"Noah"``, several apart by a semicolon; `xsm.open` makes it the
        attribute ``family``. Products that share a family are not independent.
    roles : mapping of str to str
        ``"land model"`` or ``"retrieval"`` by variable; `xsm.open` makes it the attribute ``role``.

    Examples
    --------
    >>> SourceInfo("acme", "ACME soil moisture", "xsm_acme.source:Acme", variables=("soil_moisture",)).stations
    False
    """

    name: str
    title: str
    factory: str
    options: tuple[Param, ...] = ()
    variables: tuple[str, ...] = ()
    stations: bool = False
    requires: tuple[str, ...] = ()
    url: str = ""
    doi: str = ""
    licence: str = ""
    fetch_options: tuple[Param, ...] = ()
    families: Mapping[str, str] = field(default_factory=dict, hash=False)
    roles: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Area:
    """The region that a source is asked for.

    Parameters
    ----------
    bbox : tuple of float
        West, south, east, north in degrees, margin included: everything that touches it is wanted.
    grid : Grid
        The same as a window of EASE2_M09, margin included.

    Examples
    --------
    >>> from xsm import EASE2_M09
    >>> window = EASE2_M09.region((-98, 36, -97, 37))
    >>> Area(window.bbox, window).grid.shape
    (13, 12)
    """

    bbox: tuple[float, float, float, float]
    grid: Grid


@dataclass(frozen=True)
class Request:
    """What a source is to open; `xsm.open` makes it, in tests `make_request`.

    Parameters
    ----------
    paths : tuple of Path
        Files of the source, found and not yet looked into; a URL stays a str.
    region : Area, optional
        What touches it is read; everything where it is None.
    time : slice, optional
        First and last UTC day, datetime64[D] or None at an open end; all days where it is None.
    variables : tuple of str, optional
        Canonical names; all of the source where it is None.
    on_error : {"raise", "skip"}
        Whether a file that cannot be read stops, or is left out and listed in the attribute ``skipped``.
    options : mapping
        A value for each of ``SourceInfo.options``, checked.

    Examples
    --------
    >>> Request((Path("a.nc"), Path("b.nc")), variables=("soil_moisture",)).on_error
    'raise'
    """

    paths: tuple[Path, ...]
    region: Area | None = None
    time: slice | None = None
    variables: tuple[str, ...] | None = None
    on_error: Literal["raise", "skip"] = "raise"
    options: Mapping[str, Any] = field(default_factory=dict)


def make_request(
    info: SourceInfo,
    paths: Iterable[Path],
    *,
    region: Area | None = None,
    time: slice | None = None,
    variables: Iterable[str] | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    **options: Any,
) -> Request:
    """Make a request to a source, with its options checked and the defaults of the others filled in.

    Parameters
    ----------
    info : SourceInfo
        Description of the source.
    paths, region, time, variables, on_error
        As in `Request`.
    **options
        Options of the source.

    Returns
    -------
    Request

    Raises
    ------
    UsageError
        For an option that the source does not have, or a value that it does not take.

    Examples
    --------
    >>> from xsm.plugin_api import Kind, Param
    >>> hours = Param("Hours that a day needs.", name="min_hours", kind=Kind.INTEGER, default=20, minimum=1)
    >>> info = SourceInfo("acme", "ACME soil moisture", "xsm_acme.source:Acme", options=(hours,))
    >>> make_request(info, [Path("a.nc")]).options["min_hours"]
    20
    """
    values = check_options(
        f"option of source '{info.name}'", info.options, {p.name: p.default for p in info.options} | options
    )
    names = None if variables is None else tuple(variables)
    return Request(tuple(paths), region, time, names, on_error, values)


def check_options(kind: str, params: Iterable[Param], options: Mapping[str, Any]) -> dict[str, Any]:
    """Check options against their descriptions; ``kind`` names them in the error."""
    known = {p.name: p for p in params}
    for name in options:
        if name not in known:
            raise unknown(kind, name, known)
    return {name: known[name].check(value) for name, value in options.items()}


@runtime_checkable
class DataSource(Protocol):
    """What a source implements; those of `Fetcher` and `Writer` are optional further methods."""

    info: SourceInfo

    def identify(self, path: Path) -> bool:
        """Tell from the name (and at most a few bytes) whether a file belongs to this product."""

    def open(self, request: Request) -> xr.Dataset:
        """Open files lazily as one canonical dataset on the product's native grid.

        Days, duplicates and daily means are settled here; every UTC day between the first and the last one (or of
        ``time``) is present. A file that cannot be read raises `xsm.DataError` naming file and reason, or, with
        ``on_error="skip"``, is in the attribute ``skipped``, a list of str, a line for each. `xsm.open` warns of them
        and adds empty days where those files lie before or after all others. What turns out unreadable later, when
        values are read, is missing then, with a warning ``left out: <the error>`` that names the file.
        """


class Listing(Protocol):
    """What there is to download and what of it is complete; `xsm.plugin_api.Manifest` is one."""

    @property
    def paths(self) -> list[Path]:
        """The complete files."""

    @property
    def missing(self) -> Sequence[Any]:
        """The files still to be fetched."""


class SyntheticWorld(Protocol):
    """What a source writes files of; `xsm.twin.World` is one."""

    grid: Grid
    days: np.ndarray

    @property
    def attrs(self) -> dict[str, Any]:
        """Attributes that say that nothing of it was observed."""


@runtime_checkable
class Fetcher(Protocol):
    """A source that can download its files."""

    def fetch(self, dest: Path, *, region: Area | None, time: slice | None, dry_run: bool, **options: Any) -> Listing:
        """Find out which files there are, and hand them to `xsm.plugin_api.download`.

        ``region`` and ``time`` are those of ``open``: whole files are fetched that touch them. The source lists files
        as `xsm.plugin_api.Remote` from the provider's own catalogue or listing, never by guessing addresses where there
        is one; transfer, checks, resuming, progress and ``dry_run`` are `xsm.plugin_api.download`'s. ``options`` are
        the ``fetch_options`` of `SourceInfo`, checked.
        """


@runtime_checkable
class Writer(Protocol):
    """A source that can write a synthetic world in its product's true format."""

    def write(self, world: SyntheticWorld, dest: Path) -> list[Path]:
        """Write files below ``dest`` and return their paths."""
