"""Lines that run in the window of a real QGIS, on a display of its own (Xvfb).

The lines are the body of a generator: ``yield seconds`` hands control to QGIS's event loop, ``yield condition`` waits
until the condition holds. They read ``task`` and set ``answer``; ``keep(name)`` saves a picture of the window.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.qgis_process import CLEAN_PATH, QgisProcess

INSIDE = '''
import faulthandler, json, os, sys, time, traceback
import processing
from qgis.core import *
from qgis.gui import *
from qgis.PyQt import sip
from qgis.PyQt.QtCore import *
from qgis.PyQt.QtWidgets import *
from qgis.utils import iface

request = json.loads(os.environ["XSM_WINDOW"])
folder, task, answer = request["folder"], request["task"], None
project, canvas, window = QgsProject.instance(), iface.mapCanvas(), iface.mainWindow()
pulse = {"last": time.monotonic(), "longest": 0.0}


crash = open(os.path.join(folder, "crash.txt"), "w")
faulthandler.enable(crash)
faulthandler.dump_traceback_later(request["limit"], file=crash, exit=True)


def beat():
    """Measure how long the event loop stood still."""
    now = time.monotonic()
    pulse["longest"], pulse["last"] = max(pulse["longest"], now - pulse["last"]), now


def keep(name):
    window.grab().save(os.path.join(folder, name + ".png"))


def pixels():
    """Share of the map's pixels that are not background, and a fingerprint of the picture."""
    canvas.refresh()
    canvas.waitWhileRendering()
    job = QgsMapRendererParallelJob(canvas.mapSettings())
    job.start()
    job.waitForFinished()
    image = job.renderedImage().convertToFormat(4)
    empty = canvas.mapSettings().backgroundColor().rgb()
    places = [(x, y) for x in range(0, image.width(), 7) for y in range(0, image.height(), 7)]
    colours = [image.pixel(x, y) for x, y in places]
    return sum(c != empty for c in colours) / len(colours), hash(tuple(colours))


def run(algorithm, **values):
    """Start an algorithm from its dialog, as a person does."""
    dialog = processing.createAlgorithmDialog(algorithm, values)
    dialog.show()
    dialog.runButton().click()
    return dialog


def ended(dialog):
    """Whether a dialog's run is over and its results are loaded."""

    def over():
        if sip.isdeleted(dialog):
            return True
        return dialog.buttonBox().button(QDialogButtonBox.Close).isEnabled() and not dialog.cancelButton().isEnabled()

    return over


def close(dialog):
    """Close a dialog, unless QGIS did so."""
    if not sip.isdeleted(dialog):
        dialog.close()


def zoom(layer):
    """Show a layer on the map in the projection of the web."""
    canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:3857"))
    canvas.setExtent(canvas.mapSettings().layerExtentToOutputExtent(layer, layer.extent()))
    canvas.zoomByFactor(1.1)


def steps():
    global answer
{body}
    yield 0


def finish(name, text):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        file.write(text)
    os._exit(0)


def advance(until=None):
    try:
        if until is None or until():
            wait = next(script)
            seconds, condition = (0.2, wait) if callable(wait) else (wait, None)
        else:
            seconds, condition = 0.2, until
        QTimer.singleShot(round(1000 * seconds), lambda: advance(condition))
    except StopIteration:
        finish("answer.json", json.dumps(answer))
    except BaseException:
        finish("answer.error", traceback.format_exc())


sys.excepthook = lambda *error: finish("answer.error", "".join(traceback.format_exception(*error)))
script = steps()
timer = QTimer()
timer.timeout.connect(beat)
timer.start(10)
QTimer.singleShot(1500, advance)
'''


def window(process: QgisProcess, body: str, folder: Path, task: Any = None, limit: int = 240) -> Any:
    """Run lines in the window of QGIS; skips if there is no display server or no desktop."""
    program, xvfb = (
        shutil.which(name, path=CLEAN_PATH) for name in (os.environ.get("QGIS_DESKTOP", "qgis.bin"), "Xvfb")
    )
    if program is None or xvfb is None:
        pytest.skip("needs qgis.bin and Xvfb")
    folder.mkdir(parents=True, exist_ok=True)
    code = folder / "window.py"
    code.write_text(INSIDE.replace("{body}", textwrap.indent(body, "    ")))
    argv = [xvfb, "-displayfd", "1", "-screen", "0", "1400x860x24", "-nolisten", "tcp"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as screen:
        try:
            assert screen.stdout is not None
            display = f":{screen.stdout.readline().strip()}"
            env = {n: v for n, v in process.env.items() if n != "QT_QPA_PLATFORM"} | {
                "DISPLAY": display, "LIBGL_ALWAYS_SOFTWARE": "1",
                "XSM_WINDOW": json.dumps({"folder": str(folder), "task": task, "limit": limit}),
            }  # fmt: skip
            options = ["--nologo", "--noversioncheck", "--code", str(code)]
            done = subprocess.run(
                [program, *options], env=env, capture_output=True, text=True, timeout=limit + 40, check=False
            )
        finally:
            screen.terminate()
    failed, answer = folder / "answer.error", folder / "answer.json"
    assert not failed.exists(), failed.read_text()
    assert answer.exists(), done.stderr[-4000:] + (folder / "crash.txt").read_text()
    return json.loads(answer.read_text())
