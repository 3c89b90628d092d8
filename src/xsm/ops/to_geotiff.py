"""Write maps as GeoTIFF."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import xarray as xr

from xsm.contracts.operation import Kind, Param, operation
from xsm.errors import UsageError


@operation(title="Write GeoTIFF", group="Data", result=Kind.PATH, analyst=False)
def to_geotiff(
    ds: Annotated[xr.Dataset, Param("Maps on an EASE-Grid.")],
    output: Annotated[Path, Param("File to write, with the ending .tif.")],
    *,
    daily: Annotated[bool, Param("Write one file for each day instead of one band.")] = False,
    overwrite: Annotated[bool, Param("Replace existing files.", advanced=True)] = False,
) -> list[Path]:
    """Write maps as GeoTIFF: a band for each day, named by its date, with units, missing values and a style for QGIS.

    Lazy maps are computed block by block. `xsm.read` gives the same maps back.

    Parameters
    ----------
    ds : xarray.Dataset
        Maps on an EASE-Grid.
    output : Path
        The file of the first variable; each further one is ``<stem>_<variable>.tif`` beside it.
    daily : bool
        Writes ``<stem>_<date>.tif`` for each day instead.
    overwrite : bool
        Replace existing files.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    DataError
        For maps on no EASE-Grid, or without maps of numbers.
    UsageError
        Where a file exists already, or the ending is another.

    Examples
    --------
    >>> import tempfile, xsm
    >>> cube = xsm.example("cube", size=16, days=10)
    >>> [p.name for p in cube[["sm_dca"]].sm.to_geotiff(Path(tempfile.mkdtemp()) / "dca.tif")]
    ['dca.tif']
    """
    from xsm.io import geotiff

    path = Path(output)
    if path.suffix.lower() not in (".tif", ".tiff"):
        raise UsageError(f"'{path}' ends with '{path.suffix}', expected .tif.", hint="Change the name of the output.")
    return geotiff.write(ds, path, overwrite=overwrite, daily=daily)
