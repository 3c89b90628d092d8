"""Download files of a product through its data source."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from xsm.contracts.operation import Kind, Param, operation
from xsm.contracts.registry import get_source
from xsm.contracts.source import area_of, check_options
from xsm.data.grids import EASE2_M09
from xsm.data.period import days
from xsm.data.region import REGIONS
from xsm.errors import MissingPlugin, UsageError
from xsm.options import set_options
from xsm.web.manifest import Manifest


@operation(title="Download files of a product", group="Data", result=Kind.FOLDER, accessor=False)
def fetch(
    source: Annotated[str, Param("Data source; `xsm sources` lists them.")],
    dest: Annotated[
        str | Path, Param("Folder for the files; run again to continue.", label="Folder", kind=Kind.FOLDER)
    ],
    *,
    region: Annotated[
        Any,
        Param(
            "Name ('global'), west,south,east,north in degrees or a GeoJSON file: files that touch it are fetched.",
            kind=Kind.REGION,
            choices=tuple(REGIONS),
        ),
    ] = None,
    time: Annotated[
        slice | None,
        Param("Period, both days included: '2021-01-01/2021-01-31'; most sources need it.", kind=Kind.PERIOD),
    ] = None,
    dry_run: Annotated[bool, Param("Show how many files and bytes there are; download nothing.")] = False,
    workers: Annotated[
        int | None,
        Param("Files downloaded at the same time; 4 if not given.", minimum=1, maximum=32, advanced=True),
    ] = None,
    **options: Annotated[Any, Param("Options of the source's download.")],
) -> Manifest:
    """Download files of a product into a folder; complete files are not downloaded again.

    Parameters
    ----------
    source : str
        Name of a registered data source.
    dest : str or Path
        Folder; ``manifest.json`` in it lists the complete files. Run again to continue.
    region : str, sequence of float, geometry, Path of GeoJSON or Grid, optional
        Whole files are fetched that touch it or the margin that ``xsm.open`` reads around it.
    time : slice or str, optional
        First and last UTC day; most sources need it.
    dry_run : bool
        Only count the files and their bytes.
    workers : int, optional
        Files that are downloaded at the same time, 1 to 32; 4 by default.
    **options
        The source's ``fetch_options``, such as ``product="SPL3SMP"``.

    Returns
    -------
    Manifest
        ``print`` shows it; ``xsm.open`` reads its ``paths``.

    Raises
    ------
    MissingPlugin
        For a source that cannot download, or whose catalogue needs a package that is not installed.
    FetchError
        If credentials are missing or a file cannot be fetched.
    UsageError
        For an unknown source or option, or a missing period.

    Examples
    --------
    >>> plan = fetch("solus100", "SOLUS", soil_depth=5, dry_run=True)
    >>> len(plan), plan.missing[0].name
    (4, 'sandtotal_5_cm_p.tif')
    """
    plugin: Any = get_source(source)
    info = plugin.info
    if not hasattr(plugin, "fetch"):
        raise MissingPlugin(
            f"xsm cannot download the files of the source '{source}'.",
            hint=f"Download them by hand from {info.url or 'their provider'} (documentation: Downloads).",
        )
    checked = check_options(f"fetch option of source '{source}'", info.fetch_options, options)
    with contextlib.nullcontext() if workers is None else set_options(workers=workers):
        return plugin.fetch(
            Path(dest),
            region=None if region is None else area_of(info, EASE2_M09.region(region)),
            time=None if time is None else days(time),
            dry_run=dry_run,
            **checked,
        )


def closed_period(time: slice | None) -> tuple[np.datetime64, np.datetime64]:
    """First and last day of a period, for a source that needs both.

    Parameters
    ----------
    time : slice or None
        With datetime64 bounds, as a source's ``fetch`` receives it.

    Returns
    -------
    tuple of datetime64
        First and last day.

    Raises
    ------
    UsageError
        If a bound is open.

    Examples
    --------
    >>> closed_period(slice(np.datetime64("2021-01-01"), np.datetime64("2021-01-31")))
    (np.datetime64('2021-01-01'), np.datetime64('2021-01-31'))
    """
    if time is None or time.start is None or time.stop is None:
        raise UsageError("This download needs a period with both ends.", hint="Give <time=2021-01-01/2021-12-31>.")
    return time.start, time.stop
