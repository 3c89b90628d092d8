"""Where the plugin keeps its own files, and its one setting."""

from __future__ import annotations

import os

from processing.core.ProcessingConfig import ProcessingConfig, Setting
from qgis.core import QgsApplication

from . import interpreter
from .words import tr

NAME = "XSM_PYTHON"


def folder():
    """Folder of the plugin's own files in the profile; `xsm qgis install` writes there too."""
    return os.path.join(QgsApplication.qgisSettingsDirPath(), "xsm")


def python():
    """Interpreter of the xsm environment; stops with a sentence if none is known."""
    return interpreter.find(folder(), ProcessingConfig.getSetting(NAME) or "")


def add(group, icon):
    """Show the setting under Processing, Providers."""
    ProcessingConfig.settingIcons[group] = icon
    ProcessingConfig.addSetting(Setting(group, NAME, tr("Python of the xsm environment"), "", valuetype=Setting.FILE))
    ProcessingConfig.readSettings()


def remove():
    """Remove the setting."""
    ProcessingConfig.removeSetting(NAME)
