"""List SOLUS100 layers: files of a public bucket that are named by property and depth.

Documentation: Formats, SOLUS100, Files.
"""

from __future__ import annotations

from collections.abc import Sequence

from xsm.plugin_api import Remote

BUCKET = "https://storage.googleapis.com/solus100pub"
TIFF_MAGIC = (b"II*\0", b"II+\0", b"MM\0*", b"MM\0+")
ABOUT = 337_000_000
"""Bytes of a layer, more or less."""


def layers(properties: Sequence[str], depths: Sequence[int]) -> list[Remote]:
    """List prediction layers; each is one file for the whole of CONUS.

    Parameters
    ----------
    properties : sequence of str
        As in file names, such as ``"sandtotal"``.
    depths : sequence of int
        In cm.
    """
    names = [f"{prop}_{depth}_cm_p.tif" for prop in properties for depth in depths]
    return [Remote(f"{BUCKET}/{name}", name, about=ABOUT, magic=TIFF_MAGIC) for name in names]
