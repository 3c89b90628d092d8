"""List cuts of SoilGrids layers, which ISRIC's coverage service makes; one GeoTIFF for each layer.

Documentation: Formats, SoilGrids, Access.
"""

from __future__ import annotations

from collections.abc import Sequence

from xsm import UsageError
from xsm.plugin_api import Area, Remote, raster_window

from xsm_soilgrids.layout import IGH, LEFT, PIXEL, SHAPE, TOP, layer_of

SERVICE = "https://maps.isric.org/mapserv"
FILES = "https://files.isric.org/soilgrids/latest/data"
NATIVE = "http://www.opengis.net/def/crs/EPSG/0/152160"
"""What the service calls the product's own projection."""
TIFF_MAGIC = (b"II*\0", b"II+\0", b"MM\0*", b"MM\0+")


def layers(properties: Sequence[str], depths: Sequence[int], statistic: str, region: Area | None) -> list[Remote]:
    """List cuts of layers on the product's own pixels.

    Parameters
    ----------
    properties : sequence of str
        As in file names, such as ``"bdod"``.
    depths : sequence of int
        In cm.
    statistic : str
        ``"mean"`` or ``"Q0.5"``.
    region : Area
        What to cut out.
    """
    from rasterio.transform import Affine

    if region is None:
        raise UsageError(
            "A layer of SoilGrids has 5 GB, expected a region to cut out.", hint="Give <region=west,south,east,north>."
        )
    window = raster_window(IGH, Affine(PIXEL, 0, LEFT, 0, -PIXEL, TOP), SHAPE, region)
    if window is None:
        raise UsageError(f"SoilGrids does not touch the region {region.bbox}.", hint="Check the region.")
    rows, cols = window
    west, east = LEFT + PIXEL * cols.start, LEFT + PIXEL * cols.stop
    south, north = TOP - PIXEL * rows.stop, TOP - PIXEL * rows.start
    about = 2 * (rows.stop - rows.start) * (cols.stop - cols.start)
    names = [(p, f"{p}_{layer}cm_{statistic}") for p in properties for layer in dict.fromkeys(map(layer_of, depths))]
    return [
        Remote(
            f"{SERVICE}?map=/map/{prop}.map&SERVICE=WCS&VERSION=2.0.1&REQUEST=GetCoverage&COVERAGEID={name}"
            f"&FORMAT=image/tiff&SUBSET=X({west},{east})&SUBSET=Y({south},{north})"
            f"&SUBSETTINGCRS={NATIVE}&OUTPUTCRS={NATIVE}",
            f"{name}_{cols.start}_{rows.start}_{cols.stop}_{rows.stop}.tif",
            about=about,
            magic=TIFF_MAGIC,
        )
        for prop, name in names
    ]


def addresses(
    properties: Sequence[str] = ("sand", "silt", "clay", "bdod"),
    depths: Sequence[int] = (5, 25),
    statistic: str = "mean",
) -> list[str]:
    """Addresses of whole layers (VRT), of which ``xsm.open`` reads the tiles that a region touches.

    Examples
    --------
    >>> addresses(["clay"], [5])
    ['https://files.isric.org/soilgrids/latest/data/clay/clay_0-5cm_mean.vrt']
    """
    return [f"{FILES}/{p}/{p}_{layer_of(d)}cm_{statistic}.vrt" for p in properties for d in depths]
