"""Fused maps made a few days at a time beside those of the whole period."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import xsm
from xsm.errors import DataError, hear
from xsm.learning.derived import Carry
from xsm.learning.fused_maps import fused_maps

DAYS = 50


@pytest.fixture(scope="module")
def cube():
    return xsm.example("cube", size=16, days=DAYS).load()


@pytest.fixture(scope="module")
def bundle(cube):
    with hear():
        return xsm.fit(cube, task="fuse", mode="filter", train="2021-01-01/2100-01-01", trees=15)


@settings(max_examples=3, deadline=None)
@given(cuts=st.lists(st.integers(1, DAYS - 1), max_size=6, unique=True).map(sorted))
def test_days_that_continue_are_those_of_the_whole_period_to_the_bit(cube, bundle, cuts):
    with hear():
        whole = fused_maps(cube, bundle, (5, 25))
        states = {}
        for first, last in zip([0, *cuts], [*cuts, DAYS], strict=True):
            carry = Carry(states)
            part = fused_maps(cube.isel(time=slice(first, last)), bundle, (5, 25), carry)
            for name in ("sm_5cm", "sm_5cm_std", "sm_25cm", "sm_25cm_std", "frozen", "retrieval_observed"):
                expected = whole[name].isel(time=slice(first, last)).values
                np.testing.assert_array_equal(part[name].values, expected, err_msg=name)
            states = carry.after


def test_a_smoother_cannot_be_continued(cube):
    with hear():
        smoother = xsm.fit(cube, task="fuse", mode="smoother", train="2021-01-01/2100-01-01", trees=2)
        with pytest.raises(DataError, match="rests on later days"):
            fused_maps(cube, smoother, (5,), Carry())
