"""What a file is by its first bytes, where it is not what its name says."""

from __future__ import annotations

WEB_PAGE = "an HTML page"
STARTS = {
    b"<html": WEB_PAGE,
    b"<!doctype html": WEB_PAGE,
    b"<vrtdataset": "a VRT, which is a list of other files",
    b"<gdal_wm": "a description of a web service",
    b"<wms_": "a description of a web service",
    b"\x89hdf": "HDF5",
    b"cdf": "NetCDF",
    b"grib": "GRIB",
    b"\x89png": "a PNG",
    b"\xff\xd8\xff": "a JPEG",
}
"""First bytes in lower case; a tag may stand further behind."""


def kind_of(head: bytes) -> str:
    r"""What the first bytes of a file show it to be; empty where that is not known.

    Examples
    --------
    >>> kind_of(b"\\n<!DOCTYPE html><html>"), kind_of(b"GRIB1"), kind_of(b"II*")
    ('an HTML page', 'GRIB', '')
    """
    low = head.lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    return next((k for start, k in STARTS.items() if low.startswith(start) or (b"<" in start and start in low)), "")
