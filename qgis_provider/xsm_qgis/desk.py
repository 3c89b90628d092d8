"""What the plugin adds to the window of QGIS: the dock, the form for downloads, files that are dropped, the browser."""

from __future__ import annotations

import os

from qgis.gui import QgsGui
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QAction

from .deliveries import Drops, Entries
from .dock import Dock
from .download import Download
from .words import tr

ICON = os.path.join(os.path.dirname(__file__), "icon.svg")


class Desk:
    """Makes the parts, and removes them with `close`."""

    def __init__(self, iface):
        self.iface, self.form, self.menu = iface, None, tr("XSM soil moisture")
        self.dock = Dock(iface)
        iface.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, self.dock)
        self.dock.hide()
        show = self.dock.toggleViewAction()
        show.setIcon(QIcon(ICON))
        download = QAction(tr("Download files…"), iface.mainWindow())
        download.triggered.connect(self.download)
        self.actions = [show, download]
        iface.addToolBarIcon(show)
        for action in self.actions:
            iface.addPluginToMenu(self.menu, action)
        self.drops, self.entries = Drops(), Entries()
        iface.registerCustomDropHandler(self.drops)
        QgsGui.dataItemGuiProviderRegistry().addProvider(self.entries)

    def download(self):
        """Show the form for downloads."""
        if self.form is None:
            self.form = Download(self.iface)
        self.form.show()
        self.form.raise_()

    def close(self):
        """Remove everything from the window."""
        self.iface.unregisterCustomDropHandler(self.drops)
        QgsGui.dataItemGuiProviderRegistry().removeProvider(self.entries)
        self.iface.removeToolBarIcon(self.actions[0])
        for action in self.actions:
            self.iface.removePluginMenu(self.menu, action)
        self.dock.end()
        self.iface.removeDockWidget(self.dock)
        self.dock.deleteLater()
        if self.form is not None:
            self.form.end()
