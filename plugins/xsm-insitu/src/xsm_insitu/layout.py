"""TODO."""

from __future__ import annotations

SYNTHETIC_NETWORK = "XSMTWIN"


STATIONS = "stations.json"


SYNTHETIC_STATE = "ZZ"


DEPTHS = (5.0, 10.0, 20.0, 50.0, 100.0)
