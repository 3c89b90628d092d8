"""Constants of the station files: depths, names, and what marks a synthetic one."""

from __future__ import annotations

DEPTHS = (5.0, 10.0, 20.0, 50.0, 100.0)
"""Depths of the sensors of USCRN and SCAN, cm."""
STATIONS = "stations.json"
"""Metadata beside the data files of SCAN."""
SYNTHETIC_STATE, SYNTHETIC_NETWORK = "ZZ", "XSMTWIN"
"""State (USCRN, SCAN) and network (ISMN) of synthetic stations."""
