"""Draw the series of some cells: one panel for each depth, with 95 % intervals, stations and classes of drought."""

from __future__ import annotations

import math

from qgis.PyQt.QtCore import QDate, QPointF, QRectF, Qt
from qgis.PyQt.QtGui import QColor, QFont, QFontMetricsF, QImage, QPainter, QPen, QPolygonF

LEFT, RIGHT, TOP, BOTTOM, BETWEEN, STRIP = 50, 12, 8, 20, 12, 7
UNIT = "m³ m⁻³"
SPARSE = 0.6
"""Share of the days with a value below which a series is drawn as dots."""
COMPARED = ("#332288", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#0072b2")
"""Colours of cells that are compared."""
GREY, PALE, INK = QColor("#777777"), QColor("#dddddd"), QColor("#222222")


class Drawing:
    """What was drawn where: names of the legend, panels, and the first and last day as Julian days."""

    def __init__(self):
        self.legend, self.panels, self.first, self.last = [], [], 0, 1

    def day_at(self, x):
        """The day at a position, as ISO text; None outside of the panels."""
        if not self.panels or not self.panels[0].left() <= x <= self.panels[0].right():
            return None
        area = self.panels[0]
        number = self.first + round((x - area.left()) / area.width() * (self.last - self.first))
        return QDate.fromJulianDay(number).toString(Qt.DateFormat.ISODate)


def curves(cells, hidden=()):
    """The series of some cells with their colour and label; several cells have a colour each."""
    out = []
    for number, cell in enumerate(cells):
        for series in cell["series"]:
            several = len(cells) > 1
            name = f"{series['name']} ({'ABCDEF'[number % 6]})" if several else series["name"]
            colour = COMPARED[number % len(COMPARED)] if several else series["colour"]
            numbers = [_number(day) for day in series["days"]]
            shown = series["shown"] if name not in hidden else not series["shown"]
            dashed = series["dashed"] or (several and series["kind"] == "station")
            changed = {"name": name, "colour": colour, "numbers": numbers, "visible": shown, "dashed": dashed}
            out.append({**series, **changed})
    return out


def draw(painter, size, cells, classes=(), day=None, hidden=()):
    """Draw series into a rectangle of a size; returns the `Drawing`."""
    drawing = Drawing()
    every = curves(cells, hidden)
    visible = [curve for curve in every if curve["visible"]]
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    height = _legend(painter, size, every, drawing)
    depths = sorted({c["depth"] for c in every}, key=_first_number)
    if not depths:
        return drawing
    days = [number for c in every for number in (c["numbers"][:1] + c["numbers"][-1:])]
    drawing.first, drawing.last = min(days), max(*days, min(days) + 1)
    each = (size.height() - height - BOTTOM - BETWEEN * (len(depths) - 1)) / len(depths)
    for row, depth in enumerate(depths):
        area = QRectF(LEFT, height + row * (each + BETWEEN), size.width() - LEFT - RIGHT, each)
        drawing.panels.append(area)
        here = [c for c in visible if c["depth"] == depth]
        _panel(painter, area, drawing, here, classes, depth, row == len(depths) - 1)
    if day is not None and drawing.first <= (number := _number(day)) <= drawing.last:
        x = _x(drawing, drawing.panels[0], number)
        painter.setPen(QPen(INK, 1.2))
        painter.drawLine(QPointF(x, drawing.panels[0].top()), QPointF(x, drawing.panels[-1].bottom()))
    return drawing


def picture(size, cells, classes=(), day=None, hidden=(), scale=2.0):
    """The same as an image, at more pixels than the screen has."""
    image = QImage(size * scale, QImage.Format.Format_ARGB32)
    image.fill(QColor("white"))
    painter = QPainter(image)
    painter.scale(scale, scale)
    draw(painter, size, cells, classes, day, hidden)
    painter.end()
    return image


def _panel(painter, area, drawing, here, classes, depth, last):
    droughts = [c for c in here if c["drought"]]
    plot = area.adjusted(0, 0, 0, -STRIP * len(droughts))
    values = [v + (h or 0) * s for c in here for v, h in zip(c["values"], c["half"] or [0] * len(c["values"]))
              if v is not None for s in (-1, 1)]  # fmt: skip
    low, high = (max(0.0, min(values)), max(values)) if values else (0.0, 0.5)
    step = _step((high - low) or 0.1, 4)
    low, high = math.floor(low / step) * step, math.ceil((high + 1e-9) / step) * step
    painter.fillRect(area, QColor("white"))
    _axes(painter, area, plot, drawing, (low, high, step), depth, last)
    painter.save()
    painter.setClipRect(plot.adjusted(-3, 0, 3, 0))

    def point(number, value):
        return QPointF(_x(drawing, plot, number), plot.bottom() - (value - low) / (high - low) * plot.height())

    for curve in sorted(here, key=lambda c: (c["half"] is None, c["kind"] == "station")):
        if curve["half"]:
            _band(painter, curve, point)
    for curve in sorted(here, key=lambda c: c["half"] is not None):
        _line(painter, curve, point)
    painter.restore()
    for row, curve in enumerate(droughts):
        _strip(painter, QRectF(area.left(), plot.bottom() + row * STRIP, area.width(), STRIP), drawing, curve, classes)
    painter.setPen(QPen(GREY, 1))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawRect(area)


def _axes(painter, area, plot, drawing, ticks, depth, last):
    low, high, step = ticks
    painter.setFont(_font())
    for i in range(round((high - low) / step) + 1):
        value = low + i * step
        y = plot.bottom() - (value - low) / (high - low) * plot.height()
        painter.setPen(QPen(PALE, 1))
        painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
        painter.setPen(INK)
        box = QRectF(0, y - 8, LEFT - 5, 16)
        painter.drawText(box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, f"{value:.3g}")
    for number, text in _dates(drawing.first, drawing.last, area.width()):
        x = _x(drawing, area, number)
        painter.setPen(QPen(PALE, 1))
        painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))
        if last:
            painter.setPen(INK)
            painter.drawText(QRectF(x - 50, area.bottom() + 2, 100, 16), Qt.AlignmentFlag.AlignHCenter, text)
    painter.setPen(INK)
    painter.drawText(area.adjusted(6, 3, 0, 0), Qt.AlignmentFlag.AlignLeft, f"{depth}, {UNIT}")


def _band(painter, curve, point):
    painter.setPen(Qt.PenStyle.NoPen)
    colour = QColor(curve["colour"])
    colour.setAlpha(50)
    painter.setBrush(colour)
    known = [v is not None and h is not None for v, h in zip(curve["values"], curve["half"])]
    for first, end in _runs(known):
        part = range(first, end)
        upper = [point(curve["numbers"][i], curve["values"][i] + curve["half"][i]) for i in part]
        lower = [point(curve["numbers"][i], curve["values"][i] - curve["half"][i]) for i in part]
        painter.drawPolygon(QPolygonF(upper + lower[::-1]))


def _line(painter, curve, point):
    known = [v is not None for v in curve["values"]]
    colour = QColor(curve["colour"])
    inside = _inner(known)
    if inside and sum(known) / inside < SPARSE:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour)
        for number, value in zip(curve["numbers"], curve["values"]):
            if value is not None:
                painter.drawEllipse(point(number, value), 2.2, 2.2)
        return
    style = Qt.PenStyle.DashLine if curve["dashed"] else Qt.PenStyle.SolidLine
    painter.setPen(QPen(colour, 1.2 if curve["half"] is None else 1.8, style))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for first, end in _runs(known):
        points = [point(curve["numbers"][i], curve["values"][i]) for i in range(first, end)]
        painter.drawPolyline(QPolygonF(points)) if len(points) > 1 else painter.drawEllipse(points[0], 1, 1)


def _strip(painter, area, drawing, curve, classes):
    painter.setPen(Qt.PenStyle.NoPen)
    for number, value in zip(curve["numbers"], curve["drought"]):
        if 0 < value < len(classes):
            left, right = (_x(drawing, area, number + half) for half in (-0.5, 0.5))
            painter.fillRect(QRectF(left, area.top(), max(right - left, 1), area.height()), QColor(classes[value][0]))


def _legend(painter, size, every, drawing):
    """Write names in rows, hidden ones in grey; returns the height that they take."""
    painter.setFont(_font())
    metrics = QFontMetricsF(painter.font())
    x, y = float(LEFT), float(TOP)
    for curve in {c["name"]: c for c in every}.values():
        width = metrics.horizontalAdvance(curve["name"]) + 34
        if x + width > size.width() - RIGHT and x > LEFT:
            x, y = float(LEFT), y + 16
        box = QRectF(x, y, width, 16)
        drawing.legend.append((box, curve["name"]))
        style = Qt.PenStyle.DashLine if curve["dashed"] else Qt.PenStyle.SolidLine
        painter.setPen(QPen(QColor(curve["colour"]) if curve["visible"] else PALE, 2, style))
        painter.drawLine(QPointF(x, y + 8), QPointF(x + 18, y + 8))
        painter.setPen(INK if curve["visible"] else GREY)
        painter.drawText(box.adjusted(22, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, curve["name"])
        x += width
    return y + 20


def _dates(first, last, width):
    """Days with their texts, few enough for the width: years, months or days."""
    room = max(int(width / 75), 2)
    days = last - first
    begin = QDate.fromJulianDay(first)
    if days <= 31 * room:
        step = max(1, math.ceil(days / room))
        return [(n, QDate.fromJulianDay(n).toString("yyyy-MM-dd")) for n in range(first, last + 1, step)]
    months = next(m for m in (1, 2, 3, 6, 12, 24, 60, 120, 1200) if days / 30.4 / m <= room)
    start = QDate(begin.year(), 1, 1)
    ticks = [start.addMonths(months * i) for i in range(int((days + 366) / 30 / months) + 2)]
    style = "yyyy-MM" if months < 12 else "yyyy"
    return [(d.toJulianDay(), d.toString(style)) for d in ticks if first <= d.toJulianDay() <= last]


def _runs(known):
    """First and end of each run of days with a value."""
    edges = [i for i in range(len(known) + 1) if (i > 0 and known[i - 1]) != (i < len(known) and known[i])]
    return list(zip(edges[::2], edges[1::2]))


def _inner(known):
    """Days from the first to the last one with a value."""
    return len(known) - known.index(True) - known[::-1].index(True) if any(known) else 0


def _step(span, count):
    power = 10.0 ** math.floor(math.log10(span / count))
    return next(power * m for m in (1, 2, 5, 10) if power * m * count >= span)


def _x(drawing, area, number):
    return area.left() + (number - drawing.first) / (drawing.last - drawing.first) * area.width()


def _number(day):
    return QDate.fromString(day, Qt.DateFormat.ISODate).toJulianDay()


def _first_number(depth):
    digits = "".join(c if c.isdigit() else " " for c in depth).split()
    return int(digits[0]) if digits else 0


def _font():
    font = QFont()
    font.setPixelSize(11)
    return font
