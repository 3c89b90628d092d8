"""The climate of the twin on other continents."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from xsm.twin.climate import PLACES, USUAL, climate_east, climate_longitude, rain_factor
from xsm.twin.projection import to_albers

ANYWHERE = st.tuples(st.floats(-180, 180), st.floats(-80, 80))


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.floats(-169, -51), st.floats(15, 80)), min_size=1, max_size=5))
def test_north_america_is_as_it_was(points):
    lon, lat = np.array(points).T
    np.testing.assert_array_equal(climate_longitude(lon, lat), lon)
    x, y = to_albers(lon, lat)
    np.testing.assert_array_equal(climate_east(x, y), x)


@settings(deadline=None, max_examples=25)
@given(st.lists(ANYWHERE, min_size=1, max_size=5))
def test_every_place_has_one_climate_alone_or_among_others(points):
    lon, lat = np.array(points).T
    together = rain_factor(lon, lat)
    assert ((together >= 0.3) & (together <= 1.6)).all()
    np.testing.assert_allclose([rain_factor(lon[i : i + 1], lat[i : i + 1])[0] for i in range(len(lon))], together)


def test_rain_is_that_of_the_places_as_far_as_it_goes():
    lon, lat, rain = np.array(PLACES, "f8").T
    np.testing.assert_allclose(rain_factor(lon, lat), np.clip(rain / USUAL, 0.3, 1.6), rtol=0.1)
