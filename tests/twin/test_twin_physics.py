"""The physics of the synthetic world against independent formulas."""

from __future__ import annotations

import numpy as np
import pytest

from xsm.twin import radiometry as rad
from xsm.twin.soil import saxton_rawls
from xsm.twin.water import drained


@pytest.mark.parametrize(
    ("name", "sand", "clay", "wilting", "capacity", "porosity", "conductivity"),
    [  # Saxton and Rawls (2006), Table 3: 2.5 percent organic matter, printed to 1 percent and 0.1 mm/h
        ("sand", 88, 5, 0.05, 0.10, 0.46, 108.1),
        ("loam", 40, 20, 0.14, 0.28, 0.46, 15.5),
        ("silt loam", 20, 15, 0.11, 0.31, 0.48, 16.1),
        ("clay", 25, 50, 0.30, 0.42, 0.50, 1.1),
    ],
)
def test_saxton_rawls_gives_the_published_table(name, sand, clay, wilting, capacity, porosity, conductivity):
    got = saxton_rawls(np.array(float(sand)), np.array(float(clay)), np.array(2.5))
    assert got.wilting_point == pytest.approx(wilting, abs=0.006)
    assert got.field_capacity == pytest.approx(capacity, abs=0.006)
    assert got.porosity == pytest.approx(porosity, abs=0.006)
    assert got.conductivity == pytest.approx(conductivity, rel=0.05, abs=0.1)


def test_drainage_solves_its_equation():
    from scipy.integrate import solve_ivp

    for start, rate, exponent in ((0.95, 0.4, 12.0), (0.5, 2.0, 20.0), (0.3, 5.0, 9.0)):
        exact = solve_ivp(lambda _, s, r=rate, c=exponent: -r * s**c, (0, 1), [start], rtol=1e-10, atol=1e-12).y[0, -1]
        assert drained(np.array(start), np.array(rate), np.array(exponent)) == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("moisture", [0.01, 0.05, 0.2, 0.45])
@pytest.mark.parametrize("clay", [3.0, 25.0, 60.0])
def test_mironov_against_a_transcription_in_real_numbers(moisture, clay):
    turn = 2 * np.pi * 1.41e9

    def water(static, tau, sigma):
        real = 4.9 + (static - 4.9) / (1 + (turn * tau) ** 2)
        loss = (static - 4.9) / (1 + (turn * tau) ** 2) * turn * tau + sigma / (turn * 8.854e-12)
        size = np.hypot(real, loss)
        return np.sqrt((size + real) / 2), np.sqrt((size - real) / 2)

    nb, kb = water(79.8 - 0.854 * clay + 0.00327 * clay**2, 1.062e-11 + 3.45e-14 * clay, 0.3112 + 0.00467 * clay)
    nu, ku = water(100, 8.5e-12, 0.3631 + 0.01217 * clay)
    most = 0.02863 + 0.0030673 * clay
    n, k = 1.634 - 0.00539 * clay + 2.748e-5 * clay**2, 0.03952 - 4.038e-4 * clay
    low, high = min(moisture, most), max(moisture - most, 0)
    n, k = n + (nb - 1) * low + (nu - 1) * high, k + kb * low + ku * high
    assert rad.mironov(moisture, clay) == pytest.approx(complex(n * n - k * k, 2 * n * k), rel=1e-5)


def test_fresnel_against_snell():
    eps = 16.0
    incident = np.radians(40)
    inside = np.arcsin(np.sin(incident) / np.sqrt(eps))
    h, v = rad.fresnel(np.array(eps, "c8"))
    assert h == pytest.approx((np.sin(incident - inside) / np.sin(incident + inside)) ** 2, rel=1e-5)
    assert v == pytest.approx((np.tan(incident - inside) / np.tan(incident + inside)) ** 2, rel=1e-5)


def test_emission_limits():
    bare = rad.emission(np.array(0.3), np.array(0.0), np.array(0.05), np.array(300.0))
    dense = rad.emission(np.array(0.3), np.array(50.0), np.array(0.05), np.array(300.0))
    assert bare == pytest.approx(210) and dense == pytest.approx(285)


def test_retrievals_return_what_went_in():
    g = np.random.default_rng(1)
    moisture, clay = g.uniform(0.04, 0.5, (2, 4000)).astype("f4") * np.float32([[1], [100]])
    tau = g.uniform(0.02, 0.6, 4000).astype("f4")
    rest = np.full(4000, 0.3, "f4"), np.full(4000, 0.06, "f4"), np.full(4000, 293, "f4")
    h, v = rad.brightness(moisture, clay, rest[0], tau, rest[1], rest[2])
    for tb, name in ((h, "h"), (v, "v")):
        result, _ = rad.retrieve_single(tb, name, clay, rest[0], tau, rest[1], rest[2], iterations=20)
        np.testing.assert_allclose(result, moisture, atol=2e-4)  # float32 brightness temperatures resolve about 3e-5 K
    retrieved, opacity, _ = rad.retrieve_dual(
        h, v, clay, rest[0], tau * 0.5, rest[1], rest[2], weight=0.0, iterations=200
    )
    np.testing.assert_allclose(retrieved, moisture, atol=2e-3)
    np.testing.assert_allclose(opacity, tau, atol=5e-3)
