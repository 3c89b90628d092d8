"""Days of maps: the layer shows the day of the temporal controller.

From QGIS 3.38 on a raster layer has a time for each band. Before, this module switches the band of a layer whenever the
time of the map changes; in all versions it shows the day in the legend. The days of the bands are kept in a property of
the layer, and so in the project.
"""

from __future__ import annotations

from qgis.core import (
    Qgis,
    QgsDateTimeRange,
    QgsInterval,
    QgsMapLayerLegendUtils,
    QgsPalettedRasterRenderer,
    QgsProject,
    QgsTemporalNavigationObject,
)
from qgis.PyQt.QtCore import QDate, QDateTime, Qt, QTime
from qgis.PyQt.QtWidgets import QDockWidget
from qgis.utils import iface

PER_BAND = 33800
"""First QGIS in which a raster layer can have a time for each band."""
DAYS, OPACITY = "xsm/days", "xsm/opacity"
ANIMATED = (
    Qgis.TemporalNavigationMode.Animated
    if hasattr(Qgis, "TemporalNavigationMode")
    else QgsTemporalNavigationObject.NavigationMode.Animated
)


def start():
    """Let layers follow the map's time; called once a plugin is loaded in a window."""
    if iface is not None:
        iface.mapCanvas().temporalRangeChanged.connect(follow)


def stop():
    """Undo `start`."""
    if iface is not None:
        iface.mapCanvas().temporalRangeChanged.disconnect(follow)


def set_days(layer, days):
    """Give a raster layer the days of its bands."""
    properties = layer.temporalProperties()
    layer.setCustomProperty(DAYS, ",".join(days))
    if Qgis.QGIS_VERSION_INT >= PER_BAND:
        properties.setMode(Qgis.RasterTemporalMode.FixedRangePerBand)
        properties.setFixedRangePerBand({band: _span(days, band - 1) for band in range(1, len(days) + 1)})
    else:
        properties.setMode(Qgis.RasterTemporalMode.FixedTemporalRange)
        properties.setFixedTemporalRange(period(days))
    properties.setIsActive(True)


def follow():
    """Show the day of the map's time in every layer with days."""
    time = iface.mapCanvas().temporalRange()
    if time.isInfinite():
        return
    first, end = (moment.toUTC().toString("yyyy-MM-ddTHH:mm") for moment in (time.begin(), time.end()))
    for layer in QgsProject.instance().mapLayers().values():
        days = str(layer.customProperty(DAYS) or "").split(",")
        if days != [""]:
            _show(layer, days, first, end)


def open_controller(project, days, first):
    """Show a first day in the temporal controller; a view that contains all days already stays as it is."""
    whole = period(days)
    known = project.timeSettings().temporalRange()
    if known.isInfinite():
        project.timeSettings().setTemporalRange(whole)
    else:
        begin, end = min(known.begin(), whole.begin()), max(known.end(), whole.end())
        project.timeSettings().setTemporalRange(QgsDateTimeRange(begin, end, True, False))
    controller = iface.mapCanvas().temporalController() if iface else None
    if controller is None:
        return
    if controller.navigationMode() != ANIMATED or not controller.temporalExtents().contains(whole):
        controller.setNavigationMode(ANIMATED)
        controller.setFrameDuration(QgsInterval(0, 0, 0, _step(days), 0, 0, 0))
        controller.setTemporalExtents(whole)
        controller.setCurrentFrameNumber(_moment(days[0]).daysTo(_moment(first)) // _step(days))
    dock = iface.mainWindow().findChild(QDockWidget, "Temporal Controller")
    if dock is not None:
        dock.setVisible(True)
    iface.mapCanvas().setTemporalRange(controller.dateTimeRangeForFrameNumber(controller.currentFrameNumber()))
    follow()


def current_day(canvas):
    """The first day of the map's time as ISO text; None without one."""
    time = canvas.temporalRange()
    return None if time.isInfinite() else time.begin().toUTC().toString("yyyy-MM-dd")


def go_to(canvas, day):
    """Show a day, if the temporal controller plays a period that has it."""
    controller = canvas.temporalController()
    if controller is not None and controller.navigationMode() == ANIMATED:
        controller.setCurrentFrameNumber(controller.findBestFrameNumberForFrameStart(_moment(day)))


def period(days):
    """From the start of the first to the end of the last span."""
    return QgsDateTimeRange(_moment(days[0]), _span(days, len(days) - 1).end(), True, False)


def label(layer, text):
    """Replace the name of the band in the legend of a layer."""
    node = QgsProject.instance().layerTreeRoot().findLayer(layer.id())
    if node is None:
        return
    QgsMapLayerLegendUtils.setLegendNodeUserLabel(node, 0, text)
    if iface is not None:
        iface.layerTreeView().layerTreeModel().refreshLayerLegend(node)


def _show(layer, days, first, end):
    """Draw and name the last band that begins before the end of the map's time, or nothing where its span is over."""
    place = sum(f"{day}T00:00" < end for day in days) - 1
    over = place < 0 or _span(days, place).end().toString("yyyy-MM-ddTHH:mm") <= first
    if not over:
        label(layer, days[place])
    if Qgis.QGIS_VERSION_INT >= PER_BAND:
        return
    renderer = layer.renderer()
    visible = layer.customProperty(OPACITY)
    if over and visible is None:
        layer.setCustomProperty(OPACITY, renderer.opacity())
        renderer.setOpacity(0)
    elif not over and visible is not None:
        layer.removeCustomProperty(OPACITY)
        renderer.setOpacity(float(visible))
    if not over:
        _set_band(layer, renderer, place + 1)
    layer.triggerRepaint()


def _set_band(layer, renderer, band):
    """Change the band of a renderer of one band."""
    if isinstance(renderer, QgsPalettedRasterRenderer):  # whose band is fixed before QGIS 3.38
        changed = QgsPalettedRasterRenderer(layer.dataProvider(), band, renderer.classes())
        changed.setOpacity(renderer.opacity())
        layer.setRenderer(changed)
        return
    change = getattr(renderer, "setBand", None) or getattr(renderer, "setGrayBand", None)
    if change is not None:
        change(band)


def _step(days):
    """Days between two bands: the most frequent number of them."""
    gaps = [_moment(a).daysTo(_moment(b)) for a, b in zip(days, days[1:])]
    return max(1, max(set(gaps), key=gaps.count)) if gaps else 1


def _span(days, place):
    """Time of a band: from its day to the next one, or over the usual distance where that is later."""
    begin = _moment(days[place])
    end = begin.addDays(_step(days))
    if place + 1 < len(days):
        end = min(end, _moment(days[place + 1]))
    return QgsDateTimeRange(begin, end, True, False)


def _moment(day):
    return QDateTime(QDate.fromString(day, Qt.DateFormat.ISODate), QTime(0, 0), Qt.TimeSpec.UTC)
