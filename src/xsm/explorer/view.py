"""Show datasets in a browser."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xsm.atomic import fresh
from xsm.data.period import day_mask
from xsm.data.region import region_bbox
from xsm.errors import UsageError
from xsm.explorer import places, saved
from xsm.explorer.products import catalogue
from xsm.explorer.server import Explorer

HEIGHT = 760


def view(*datasets: xr.Dataset, stations: xr.Dataset | None = None, port: int = 0) -> View:
    """Explore maps in a browser: days, products, uncertainty, drought, and at a place series and stations.

    Nothing is loaded whole: a day is read when it is shown, a series when a place is chosen. The explorer listens on
    this machine alone, and its address has a token. A notebook shows it below the cell.

    Parameters
    ----------
    *datasets : Dataset
        Maps with the dims ``(time, y, x)`` on an EASE-Grid 2.0 or ``(time, lat, lon)``, one step per UTC day, on one
        grid or several. Lazy or not; a store of `xsm` needs least time. A variable ``<v>_std`` is the spread of ``v``.
    stations : Dataset, optional
        ``soil_moisture(sensor, time)`` as `xsm.open` and `xsm.read` give it: stations within 25 km of a place are shown
        and scored as `validate` scores them, at 5 and 20 cm.
    port : int
        Port on this machine; 0 takes any that is free.

    Returns
    -------
    View
        ``url`` is its address, ``save(path)`` writes a page that needs no server, ``close()`` ends it.

    Raises
    ------
    DataError
        For maps on another grid, or without days.
    UsageError
        Where the port is taken.

    Examples
    --------
    >>> import xsm
    >>> explorer = xsm.view(xsm.example("cube", size=16, days=20))
    >>> explorer.url.startswith("http://127.0.0.1:")
    True
    >>> explorer.close()
    """
    names = [str(ds.attrs.get("title") or f"maps {i}") for i, ds in enumerate(datasets, 1)]
    unique = [n if names.count(n) == 1 else f"{n} {i}" for i, n in enumerate(names, 1)]
    return View(dict(zip(unique, datasets, strict=True)), stations, port)


class View:
    """A running explorer: ``url`` is its address, `save` writes a page, `close` ends it; a notebook shows it."""

    def __init__(self, datasets: Mapping[str, xr.Dataset], stations: xr.Dataset | None = None, port: int = 0) -> None:
        table = catalogue(list(datasets.items()), stations)
        try:
            self._server = Explorer(table, port)
        except OSError as error:
            raise UsageError(
                f"The port {port} cannot be used ({error.strerror}).", hint="Choose another, or 0."
            ) from error
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True, name="xsm-view")
        self._thread.start()
        threading.Thread(target=_warm, args=(self._server,), daemon=True).start()

    @property
    def url(self) -> str:
        """Address of the page, on this machine alone."""
        return self._server.url

    def save(self, path: str | Path, *, region: Any = None, time: Any = None, variables: Any = (),
             overwrite: bool = False) -> Path:  # fmt: skip
        """Write days of a region as one HTML file that needs neither a server nor xsm.

        Parameters
        ----------
        path : str or Path
            File to write.
        region : str or tuple of float, optional
            West, south, east and north in degrees, or as for `xsm.Grid.region`; by default all.
        time : slice or str, optional
            First and last day, such as ``"2022-07-01/2022-07-31"``; by default all.
        variables : sequence of str, optional
            By default all soil moisture.
        overwrite : bool
            Replace an existing file.

        Returns
        -------
        Path
        """
        table = self._server.catalogue
        every = np.unique(np.concatenate([p.days for p in table.products.values()]))
        days = every[day_mask(every, time, "time")] if time is not None else every
        first, last = (int(d.astype(int)) for d in (days[0], days[-1]))
        box = region_bbox(region) or table.box
        text = saved.page(table, self._server.blocks, box, first, last, list(variables))
        with fresh(Path(path), overwrite) as part:
            part.write_text(text, encoding="utf-8")
        return Path(path)

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()

    def wait(self) -> None:
        """Return when the server ends; an interruption ends it."""
        with contextlib.suppress(KeyboardInterrupt):
            self._thread.join()
        self.close()

    def _repr_html_(self) -> str:
        url = escape(self.url)
        return (
            f'<iframe src="{url}" title="Soil moisture explorer" width="100%" height="{HEIGHT}" style="border:0">'
            "</iframe>"
            f'<p><a href="{url}" target="_blank">Open in a tab of its own</a></p>'
        )

    def __repr__(self) -> str:
        return f"<View at {self.url}>"


def _warm(server: Explorer) -> None:
    """Read the first map and load what the first click needs."""
    product = next(iter(server.catalogue.products.values()))
    with contextlib.suppress(Exception):
        server.blocks.day(product, int(product.days[-1].astype(int)))
        west, south, east, north = server.catalogue.box
        places.usual(product, (west + east) / 2, (south + north) / 2)
        if (stations := server.catalogue.stations) is not None:
            places.stations_near(server.catalogue, float(stations["lon"][0]), float(stations["lat"][0]))
