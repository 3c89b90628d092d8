"""QGIS plugin of xsm: a Processing provider that drives the xsm package in a Python environment of its own."""


def classFactory(iface):
    """Make the plugin; ``iface`` is None under qgis_process."""
    from .plugin import XsmPlugin

    return XsmPlugin()
