"""Constants of the land cover files."""

from __future__ import annotations

import re

YEAR = re.compile(r"(?:doy|\.A)(\d{4})\d{3}")
UNCLASSIFIED = 255
