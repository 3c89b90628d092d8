"""Files as their providers deliver them: dropped on QGIS or opened in its browser they fill a form."""

from __future__ import annotations

import os
import re

import processing
from qgis.gui import QgsCustomDropHandler, QgsDataItemGuiProvider
from qgis.PyQt.QtGui import QIcon

from . import provider
from .algorithm import ICON
from .parameters import BETWEEN
from .words import tr

DELIVERED = {
    "smap": r"SMAP_L[23]_SM_P.*\.(h5|nc4?)",
    "smap_l4": r"SMAP_L4_SM_.*\.(h5|nc4?)",
    "nldas": r"NLDAS_.*\.(nc4?|grb|grib|h5)",
    "solus100": r"[a-z]+_\d+_cm_[a-z]+\.tif",
    "modis": r"MCD12(Q1|C1).*\.(hdf|tif|nc4?)",
    "uscrn": r"CRN[HDS].*\.txt",
    "ismn": r".*\.stm",
}
"""Names of the files of sources that plugins of xsm read."""
MOST_LOOKED_AT = 50
"""Files of a folder by which its source is known."""
MAPS = (".tif", ".hdf")
"""Endings of files that QGIS draws as they are."""


def source_of(path):
    """The source of a file by its name, or of a folder by the files in it; empty if there is none."""
    name = os.path.basename(path)
    if os.path.isdir(path):
        with os.scandir(path) as entries:
            names = [entry.name for _, entry in zip(range(MOST_LOOKED_AT), entries)]
        sources = {source for source in map(_named, names) if source}
        return sources.pop() if len(sources) == 1 else ""
    return _named(name)


def open_form(paths):
    """Show the filled-in form of the one source of some files or of a folder; returns it, or None without one."""
    sources = {source_of(path) for path in paths}
    if len(sources) != 1 or not (source := sources.pop()) or source not in provider.description().get("sources", {}):
        return None
    form = processing.createAlgorithmDialog(f"xsm:open{source.replace('_', '')}", {"PATHS": BETWEEN.join(paths)})
    if form is not None:
        form.show()
    return form


class Drops(QgsCustomDropHandler):
    """Takes files and folders of one source that are dropped on the window."""

    def __init__(self):
        super().__init__()
        self.form = None

    def handleMimeDataV2(self, data):
        paths = [url.toLocalFile() for url in data.urls() if url.isLocalFile()]
        if not paths or not all(map(source_of, paths)):
            return False
        self.form = open_form(paths)
        return self.form is not None


class Entries(QgsDataItemGuiProvider):
    """Opens files of a source from the browser: an entry of their menu, and a double click where QGIS sees no map."""

    def __init__(self):
        super().__init__()
        self.form = None

    def name(self):
        return "XSM"

    def populateContextMenu(self, item, menu, selected, context):
        paths = [one.path() for one in selected or [item]]
        if paths and all(map(source_of, paths)):
            menu.addAction(QIcon(ICON), tr("Open with XSM…")).triggered.connect(lambda: self.open(paths))

    def handleDoubleClick(self, item, context):
        path = item.path()
        return os.path.isfile(path) and not path.endswith(MAPS) and bool(source_of(path)) and self.open([path])

    def open(self, paths):
        """Show the form of some files; returns whether there is one."""
        self.form = open_form(paths)
        return self.form is not None


def _named(name):
    return next((source for source, pattern in DELIVERED.items() if re.fullmatch(pattern, name)), "")
