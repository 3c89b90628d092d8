"""Download files of a product through its data source."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np

from xsm.contracts.registry import get_source
from xsm.contracts.source import check_options
from xsm.data.grids import EASE2_M09
from xsm.data.period import days
from xsm.errors import MissingPlugin, UsageError
from xsm.ops.open import area_of
from xsm.options import set_options
from xsm.web.manifest import Manifest


def fetch(
    source: str,
    dest: str | Path,
    *,
    region: Any = None,
    time: Any = None,
    dry_run: bool = False,
    workers: int | None = None,
    **options: Any,
) -> Manifest:
    """Download files of a product into a folder; files that are there already are not fetched again.

    Parameters
    ----------
    source : str
        Name of a registered data source.
    dest : str or Path
        Folder; ``manifest.json`` in it lists what is complete. Run again to continue.
    region : str, sequence of float, geometry, Path of GeoJSON or Grid, optional
        Files that touch it are fetched, as whole files, with the margin that ``xsm.open`` reads around it.
    time : slice or str, optional
        First and last UTC day; most sources need it.
    dry_run : bool
        Only find out how many files and bytes there are.
    workers : int, optional
        Files fetched at the same time, 4 by default.
    **options
        The source's ``fetch_options``, such as ``product="SPL3SMP"``.

    Returns
    -------
    Manifest
        ``print`` shows it; its ``paths`` can be given to ``xsm.open``.

    Raises
    ------
    MissingPlugin
        For a source that cannot download, or whose catalogue needs a package that is not installed.
    FetchError
        Where credentials are missing or a file cannot be fetched.
    UsageError
        For an unknown source or option, or a period that is missing.

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
            f"The source '{source}' cannot download its files.",
            hint=f"Get them by hand from {info.url or 'their provider'}; docs/fetch.md says how.",
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
    """First and last day of a period that a source cannot do without.

    Parameters
    ----------
    time : slice or None
        Of datetime64 bounds, as a source's ``fetch`` gets it.

    Returns
    -------
    tuple of datetime64
        Both days.

    Raises
    ------
    UsageError
        Where a bound is open.

    Examples
    --------
    >>> closed_period(slice(np.datetime64("2021-01-01"), np.datetime64("2021-01-31")))
    (np.datetime64('2021-01-01'), np.datetime64('2021-01-31'))
    """
    if time is None or time.start is None or time.stop is None:
        raise UsageError(
            "This download needs a period with both ends.", hint="Give time, such as 2021-01-01/2021-12-31."
        )
    return time.start, time.stop
