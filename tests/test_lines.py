"""Coasts, borders, states and lakes lie where they are on Earth."""

from __future__ import annotations

import numpy as np
import pytest

from xsm.data.lines import FILE, KINDS, lines
from xsm.errors import UsageError


def distance(parts: list[np.ndarray], lon: float, lat: float) -> float:
    """Degrees from a place to the nearest point of lines."""
    points = np.concatenate(parts)
    return float(np.hypot((points[:, 0] - lon) * np.cos(np.radians(lat)), points[:, 1] - lat).min())


@pytest.mark.parametrize(
    ("kind", "lon", "lat"),
    [
        ("coast", 18.42, -33.92),  # Cape Town
        ("coast", -74.0, 40.6),  # New York
        ("border", 7.59, 47.59),  # Basel
        ("border", -117.1, 32.53),  # Tijuana
        ("state", -109.045, 37.0),  # Four Corners
        ("state", 141.0, -26.0),  # Poeppel Corner
        ("lake", -87.6, 41.88),  # Chicago
        ("lake", 32.6, 0.1),  # Lake Victoria
    ],
)
def test_known_places(kind: str, lon: float, lat: float) -> None:
    assert distance(lines(kind), lon, lat) < 0.15


@pytest.mark.parametrize("kind", KINDS)
def test_lines_stay_on_the_globe_and_never_jump(kind: str) -> None:
    for line in lines(kind):
        assert len(line) > 1
        assert (np.abs(line) <= (180, 90)).all()
        assert np.abs(np.diff(line[:, 0])).max() < 180


def test_a_box_gives_the_lines_near_it() -> None:
    box = (-10.0, 35.0, 5.0, 45.0)
    near = lines("coast", box)
    assert 0 < len(near) < len(lines("coast"))
    assert all((line.max(0) >= box[:2]).all() and (line.min(0) <= box[2:]).all() for line in near)
    missed = sum(map(len, lines("coast"))) - sum(map(len, near))
    inside = [((line >= box[:2]) & (line <= box[2:])).all(1).sum() for line in lines("coast")]
    assert missed > 0 and sum(inside) == sum(((line >= box[:2]) & (line <= box[2:])).all(1).sum() for line in near)


def test_a_box_may_run_over_the_date_line() -> None:
    fiji = lines("coast", (176.0, -20.0, 182.0, -15.0))
    assert max(line[:, 0].max() for line in fiji) > 180
    assert not lines("border", (200.0, -5.0, 210.0, 5.0))


def test_the_file_is_small_and_an_unknown_kind_stops() -> None:
    assert FILE.stat().st_size < 1_000_000
    with pytest.raises(UsageError, match="coasts"):
        lines("coasts")
