"""The contract of data sources: a plugin registers a `SourceInfo`; its `DataSource` opens what a `Request` names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import xarray as xr

from xsm.contracts.operation import Param
from xsm.data.canonical import Part
from xsm.data.grids import Grid
from xsm.data.units import Stated
from xsm.errors import UsageError, unknown

MARGIN = 32
"""Cells read beyond a region by default: half of the larger patch of a model."""


@dataclass(frozen=True)
class SourceInfo:
    """Description of a data source, without its code.

    Parameters
    ----------
    name, title : str
        Name in ``xsm.open`` and one line for people.
    factory : str
        ``"module:Class"`` of the `DataSource`, imported on first use.
    options : tuple of Param
        Further keyword arguments of its ``open``, so that forms can show them.
    variables : tuple of str
        Canonical names (documentation: Decisions, "Data contract") that it can provide.
    stations : bool
        Whether it provides ``(sensor, time)`` instead of maps.
    requires : tuple of str
        Modules that must be importable.
    fetch_options : tuple of Param
        Further keyword arguments of its ``fetch``.
    url, doi, licence : str
        Home page, reference and terms of the product.
    families : mapping of str to str
        What the errors of a variable rest on, the name of a model or an instrument, several apart by a semicolon;
        `xsm.open` makes it the attribute ``family``. Products that share a family are not independent.
    roles : mapping of str to str
        The part that a variable can play, ``"retrieval"`` or ``"model_surface"`` (`xsm.data.roles.ROLES`); `xsm.open`
        makes it the attribute ``role``. The first variable of a role holds it, unless the user names another.
    depths : mapping of str to str
        Top and bottom in cm of the layer of soil that a variable is of, ``"7-28"``; `xsm.open` makes it the attribute
        ``depth`` (``"7-28 cm"``).
    regions : mapping of str to tuple of float
        Names of regions that the product brings along, as west, south, east, north in degrees.

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
    depths: Mapping[str, str] = field(default_factory=dict, hash=False)
    regions: Mapping[str, tuple[float, float, float, float]] = field(default_factory=dict, hash=False)

    @property
    def parts(self) -> dict[str, Part]:
        """What the source declares of its variables, by name."""
        names = dict.fromkeys((*self.roles, *self.families, *self.depths))
        return {n: Part(self.roles.get(n, ""), self.families.get(n, ""), self.depths.get(n, "")) for n in names}


@dataclass(frozen=True)
class Area:
    """The region that a request is about.

    Parameters
    ----------
    bbox : tuple of float
        West, south, east, north in degrees, margin included: whatever touches it is read.
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


def area_of(info: SourceInfo, window: Grid, margin: int = MARGIN) -> Area:
    """The area to request for a window: with a margin for maps, without one for stations."""
    wide = window if info.stations else window.grow(margin)
    return Area(wide.bbox, wide)


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
    units : mapping of str to str
        Units that the user states for variables, by their names in the files or canonical names; a source gives it to
        `xsm.plugin_api.unit_of`.

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
    units: Mapping[str, str] = field(default_factory=dict)


def make_request(
    info: SourceInfo,
    paths: Iterable[Path],
    *,
    region: Area | None = None,
    time: slice | None = None,
    variables: Iterable[str] | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    units: Mapping[str, str] | None = None,
    **options: Any,
) -> Request:
    """Make a request to a source, with its options checked and the defaults of the others filled in.

    Parameters
    ----------
    info : SourceInfo
        Description of the source.
    paths, region, time, variables, on_error, units
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
    return Request(tuple(paths), region, time, names, on_error, values, Stated(units))


def check_options(kind: str, params: Iterable[Param], options: Mapping[str, Any]) -> dict[str, Any]:
    """Check options against their descriptions; ``kind`` names them in the error."""
    known = {p.name: p for p in params}
    for name in options:
        if name not in known:
            raise unknown(kind, name, known)
    return {name: known[name].check(value) for name, value in options.items()}


def check_stated(request: Request, source: str) -> None:
    """Stop where the user states the unit of a variable that the source did not look for."""
    stated = request.units
    looked_up = stated.looked_up if isinstance(stated, Stated) else set(stated)
    for name in stated:
        if not looked_up:
            raise UsageError(
                f"The source '{source}' reads every unit from its files and takes none from units=.",
                hint=f"Leave '{name}' out of <units=>.",
            )
        if name not in looked_up:
            raise unknown("variable in units=", name, looked_up)


@runtime_checkable
class DataSource(Protocol):
    """The methods of a source; `Fetcher` and `Writer` are optional."""

    info: SourceInfo

    def identify(self, path: Path) -> bool:
        """Whether a file belongs to this product, by its name and at most a few bytes."""

    def open(self, request: Request) -> xr.Dataset:
        """Open files lazily as one canonical dataset on the product's native grid.

        Days, duplicates and daily means are resolved here; every UTC day between the first and the last one (or of
        ``request.time``) is present. A file that cannot be read raises `xsm.DataError` with file and reason, or, with
        ``on_error="skip"``, is a line in the attribute ``skipped``, a list of str. `xsm.open` warns of these files and
        adds empty days if they lie before or after all others. What turns out to be unreadable later, when values are
        read, is missing then, with a warning ``left out: <the error>`` that names the file.
        """


class Listing(Protocol):
    """Files to download, complete and missing ones; `xsm.plugin_api.Manifest` is one."""

    @property
    def paths(self) -> list[Path]:
        """The complete files."""

    @property
    def missing(self) -> Sequence[Any]:
        """The files still to be downloaded."""


class SyntheticWorld(Protocol):
    """A world whose files a source writes; `xsm.twin.World` is one."""

    grid: Grid
    days: np.ndarray

    @property
    def attrs(self) -> dict[str, Any]:
        """Attributes that say that nothing in it was observed."""


@runtime_checkable
class Fetcher(Protocol):
    """A source that can download its files."""

    def fetch(self, dest: Path, *, region: Area | None, time: slice | None, dry_run: bool, **options: Any) -> Listing:
        """List the files that touch region and period, and hand them to `xsm.plugin_api.download`.

        ``region`` and ``time`` are as in a `Request`; files are downloaded whole. The source lists them as
        `xsm.plugin_api.Remote` from the provider's catalogue or listing, and only where there is none by their usual
        addresses; transfer, checks, resuming, progress and ``dry_run`` are the task of `xsm.plugin_api.download`.
        ``options`` are the ``fetch_options`` of `SourceInfo`, checked.
        """


@runtime_checkable
class Writer(Protocol):
    """A source that can write a synthetic world in its product's true format."""

    def write(self, world: SyntheticWorld, dest: Path) -> list[Path]:
        """Write files below ``dest`` and return their paths."""
