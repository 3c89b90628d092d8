"""Macro-blocks: anchors, laziness, equality under chunkings and windows, blending."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from xsm.compute.cell_blocks import cells_of, map_series
from xsm.compute.chunks import anchored
from xsm.compute.patches import map_patches
from xsm.compute.tiles import covered, taper, tiles
from xsm.contracts.model import Block
from xsm.data.grids import EASE2_M09
from xsm.testing import raise_if_computes

PATCH = Block("patch", 32, 24, 3)


def box(arrays):
    """A stand-in for a network: the 3-day, 3 x 3 mean inside the mask, so that values depend on neighbours."""
    x = np.where(arrays["mask"][:, None], arrays["v"], 0)
    x = x[:, :-2] + x[:, 1:-1] + x[:, 2:]
    out = np.zeros_like(x)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            out[..., 1:-1, 1:-1] += x[..., 1 + dy : x.shape[-2] - 1 + dy, 1 + dx : x.shape[-1] - 1 + dx] / 27
    return {"m": out + arrays["s"][:, None], "m_std": np.ones_like(out)}


def maps(grid, days=20, seed=0):
    """A field that is the same in every window: a function of global row, column and day."""
    day = np.arange("2021-01-01", "2022-01-01", dtype="M8[D]")[:days]
    t, r, c = np.meshgrid(np.arange(days), grid.row, grid.col, indexing="ij")
    field = (np.sin(r * 0.7) + np.cos(c * 0.9) + 0.1 * np.sin(t + r * c * 0.01)).astype("f4")
    ds = xr.Dataset({"v": (("time", "y", "x"), field), "s": (("y", "x"), field[0])}, {"time": day.astype("M8[ns]")})
    return grid.assign(ds)


def predicted(ds, grid, mask=None):
    mask = xr.ones_like(ds["s"], bool) if mask is None else mask
    estimates = map_patches(box, ds, grid, PATCH, inputs=["v"], statics=["s"], mask=mask, outputs=["m", "m_std"])
    return estimates["m"]


@given(st.integers(-200, 3000), st.integers(1, 300), st.integers(1, 100))
def test_anchored_chunks_fill_the_window_and_cut_at_multiples(first, size, step):
    chunks = anchored(first, size, step)
    assert sum(chunks) == size
    edges = first + np.cumsum(chunks)[:-1]
    assert (edges % step == 0).all()
    assert max(chunks) <= step


@given(st.integers(0, 500), st.integers(1, 200))
def test_tiles_name_exactly_the_covering_patches(first, size):
    for axis in tiles(first, size, PATCH):
        brute = [o for o in range(-48, axis.stop, 24) if o < axis.stop and o + 32 > axis.start]
        assert list(axis.origins) == brute


def test_blending_weights_are_positive_and_symmetric():
    weights = taper(PATCH)
    assert (weights > 0).all()
    np.testing.assert_array_equal(weights, weights[::-1])
    assert (weights[8:24] == 1).all()


def test_patches_give_the_direct_answer_away_from_patch_borders():
    grid = EASE2_M09.window(264, 264 + 104, 960, 960 + 104)
    ds = maps(grid)
    estimates = predicted(ds, grid)
    v = ds["v"].values
    three = v[:-2] + v[1:-1] + v[2:]
    direct = sum(np.roll(three, (dy, dx), (1, 2)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)) / 27 + ds["s"].values
    inner = np.s_[:, 9:23, 9:23]  # inside one patch only and off its border
    np.testing.assert_allclose(estimates.values[2:][inner], direct[inner], atol=2e-6)
    assert np.isnan(estimates.values[:2]).all()


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 20), st.integers(5, 70), st.integers(5, 70))
def test_patches_are_equal_to_the_bit_under_every_chunking(t, y, x):
    grid = EASE2_M09.window(270, 340, 970, 1030)
    ds = maps(grid)
    mask = xr.DataArray(np.random.default_rng(1).random(grid.shape) < 0.8, dims=("y", "x"))
    whole = predicted(ds, grid, mask)
    chunked = predicted(ds.chunk(time=t, y=y, x=x), grid, mask)
    assert chunked.chunks is not None
    np.testing.assert_array_equal(chunked.compute().values, whole.values)


def test_window_inside_window_agrees_where_all_patches_lie_in_the_data():
    big, small = EASE2_M09.window(240, 360, 960, 1080), EASE2_M09.window(250, 345, 965, 1070)
    outer, inner = predicted(maps(big), big), predicted(maps(small), small)
    both = covered(small, PATCH)
    assert both.any()
    assert not both.all()
    cut = outer.isel(y=slice(10, 105), x=slice(5, 110)).values
    np.testing.assert_allclose(inner.values[2:, both], cut[2:, both], atol=1e-6)


@settings(deadline=None)
@given(
    st.integers(0, 50), st.integers(1, 60), st.integers(2, 9), st.integers(2, 9), st.integers(1, 5), st.integers(1, 5)
)
def test_covered_by_one_block_upon_another(first, rows, low, high, near, far):
    """Against looking at every patch; columns and rows are alike."""
    grid = EASE2_M09.window(first, first + rows, first, first + rows)
    under, upon = Block("patch", low, min(near, low), 1), Block("patch", high, min(far, high), 1)

    def every(block, allowed):
        starts = range(-20 * block.stride, first + rows + 1, block.stride)
        return {
            c for c in range(first, first + rows)
            if all(set(range(s, s + block.size)) <= allowed for s in starts if s <= c < s + block.size)
        }  # fmt: skip

    wanted = every(upon, every(under, set(range(first, first + rows))))
    cells = covered(grid, under, upon)
    np.testing.assert_array_equal(np.flatnonzero(cells.any(1)) + first, sorted(wanted))
    np.testing.assert_array_equal(cells, cells.any(1)[:, None] & cells.any(0))


def test_nothing_computes_while_the_graph_is_built():
    grid = EASE2_M09.window(270, 340, 970, 1030)
    ds = maps(grid).chunk(time=5)
    with raise_if_computes():
        lazy = predicted(ds, grid)
        series = map_series(lambda a: [a["v"]], ds, ["v"], [], 1)
    assert lazy.chunks is not None
    assert series[0].chunks is not None


def test_series_blocks_see_whole_series_and_keep_order():
    grid = EASE2_M09.window(270, 340, 970, 1030)
    ds = maps(grid)
    shapes = []

    def total(arrays):
        shapes.append(arrays["v"].shape)
        return [np.cumsum(arrays["v"], 0) + arrays["s"]]

    (eager,) = map_series(total, ds, ["v"], ["s"], 1)
    (lazy,) = map_series(total, ds.chunk(time=3, y=11), ["v"], ["s"], 1)
    np.testing.assert_array_equal(lazy.compute().values, eager.values)
    np.testing.assert_allclose(eager.values, np.cumsum(ds["v"].values, 0) + ds["s"].values, rtol=1e-5, atol=1e-5)
    assert {s[0] for s in shapes} <= {0, 20}


def test_series_of_points_need_no_grid():
    ds = xr.Dataset(
        {"v": (("time", "cell"), np.arange(12.0).reshape(4, 3))},
        {"time": np.arange(4).astype("M8[D]").astype("M8[ns]")},
    )
    (out,) = map_series(lambda a: [a["v"] * 2], ds, ["v"], [], 1)
    assert out.dims == ("time", "cell")
    np.testing.assert_array_equal(out.values, ds["v"].values * 2)


def test_mixed_dims_are_refused():
    ds = xr.Dataset({"a": (("time", "cell"), np.zeros((2, 3))), "b": (("time", "y"), np.zeros((2, 3)))})
    with pytest.raises(ValueError, match="same dims"):
        cells_of(ds, ["a", "b"])
