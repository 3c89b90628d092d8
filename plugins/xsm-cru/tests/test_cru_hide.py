"""Hidden observations, and the distance to those that are left."""

from __future__ import annotations

import numpy as np
import torch
from xsm_cru.hide import distance, hide, neighbours


def test_neighbours_against_a_loop() -> None:
    rng = np.random.default_rng(0)
    observed = rng.random((80, 5)) < np.array([0.3, 0.05, 1, 0.02, 0])
    values = np.where(observed, rng.standard_normal(observed.shape), 0)
    both = neighbours(torch.tensor(values), torch.tensor(observed)).numpy()
    past = neighbours(torch.tensor(values), torch.tensor(observed), causal=True).numpy()
    np.testing.assert_array_equal(past, both[:, :4])
    for cell, series in enumerate(observed.T):
        at = np.flatnonzero(series)
        for day in range(len(series)):
            expected: list[float] = []
            for side in (at[at < day][::-1], at[at > day]):
                for k in range(2):
                    far = min(abs(day - side[k]), 60) if len(side) > k else 60
                    expected += [values[side[k], cell] if len(side) > k else 0.0, np.log(far / 5)]
            np.testing.assert_allclose(both[day, :, cell], expected, atol=1e-6)


def test_hiding_and_distance() -> None:
    observed = np.random.default_rng(0).random((200, 60)) < 0.4
    hidden = hide(observed, np.random.default_rng(1))
    assert not (hidden & ~observed).any() and 0.05 < hidden.sum() / observed.sum() < 0.5
    left = observed & ~hidden
    expected = np.array([[np.abs(np.flatnonzero(c) - t).min() for c in left.T] for t in range(200)])
    np.testing.assert_array_equal(distance(torch.tensor(left)), expected)
