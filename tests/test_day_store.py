"""Stores that grow by days beside a dataset in memory; an update that is cut off at any moment."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from xsm.io import day_store

FIRST = np.datetime64("2021-01-01")


def values(days, seed):
    """Maps of some days of every kind, with gaps; the same day and seed give the same map."""
    numbers = [np.random.default_rng([seed, int(d.astype(int))]).normal(size=(3, 4)) for d in days]
    field = np.array(numbers, "f4").reshape(len(days), 3, 4)
    field[field > 1] = np.nan
    flags = {"flag_values": np.array([0, 1], "u1"), "flag_meanings": "no yes"}
    return xr.Dataset(
        {
            "a": (("time", "y", "x"), field, {"units": "1"}),
            "flag": (("time", "y", "x"), (field > 0).astype("u1"), flags),
            "at": (("time", "y", "x"), np.array(days, "M8[ms]")[:, None, None] + np.zeros((3, 4), "m8[ms]")),
            "number": ("time", np.array([n.sum() for n in numbers], "f4")),
            "land": (("y", "x"), np.ones((3, 4), bool)),
        },
        {"time": np.array(days, "M8[ns]"), "y": np.arange(3.0), "x": np.arange(4.0)},
    )


def write(path, axis, days, seed, **more):
    day_store.write_days(path, axis, days, lambda run: values(run, seed), most=4, **more)


def axis_of(count):
    return FIRST + np.arange(count)


@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_a_store_that_is_changed_day_by_day_is_the_one_of_its_days(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("days")
    store, size = folder / "a.zarr", data.draw(st.integers(1, 9))
    write(store, axis_of(size), axis_of(size), 0)
    seeds = [0] * size
    for seed in range(1, data.draw(st.integers(1, 4))):
        size = data.draw(st.integers(max(size - 2, 1), size + 3))
        seeds = [*seeds[:size], *[seed] * (size - len(seeds))]
        changed = data.draw(st.lists(st.integers(0, size - 1), unique=True, min_size=1).map(sorted))
        for k in changed:
            seeds[k] = seed
        todo = [k for k, s in enumerate(seeds) if s == seed]
        part = folder / f"part{seed}" / "a.zarr"
        part.parent.mkdir()
        write(part, axis_of(size), axis_of(size)[todo], seed)
        day_store.absorb(part, store)
    expected = xr.concat([values(axis_of(size)[[k]], s) for k, s in enumerate(seeds)], "time", data_vars="minimal")
    for got in (day_store.read(store).load(), xr.open_zarr(store).load()):
        for name in ("a", "flag", "at", "number", "land"):
            np.testing.assert_array_equal(got[name].values, expected[name].values, err_msg=name)
        np.testing.assert_array_equal(got["time"].values.astype("M8[D]"), axis_of(size))


def test_an_update_cut_off_anywhere_leaves_the_old_days_and_can_be_repeated(tmp_path, monkeypatch):
    """The process dies at each file that is moved or replaced; readers see the old days or all."""
    write(tmp_path / "old.zarr", axis_of(5), axis_of(5), 0)
    (tmp_path / "new").mkdir()
    write(tmp_path / "new" / "a.zarr", axis_of(7), axis_of(7)[5:], 0)
    real, moved = os.replace, []

    def dies_at(limit):
        def replace(*paths):
            moved.append(paths)
            if len(moved) > limit:
                raise KeyboardInterrupt
            real(*paths)

        return replace

    whole, limit = values(axis_of(7), 0), 0
    while True:
        store, part = tmp_path / f"{limit}.zarr", tmp_path / f"new{limit}" / "a.zarr"
        shutil.copytree(tmp_path / "old.zarr", store)
        shutil.copytree(tmp_path / "new", part.parent)
        moved.clear()
        monkeypatch.setattr(os, "replace", dies_at(limit))
        try:
            day_store.absorb(part, store)
        except KeyboardInterrupt:
            monkeypatch.setattr(os, "replace", real)
            got = xr.open_zarr(store).load()
            assert got.sizes["time"] in (5, 7)
            xr.testing.assert_equal(got["a"], whole["a"].isel(time=slice(got.sizes["time"])))
            day_store.absorb(part, store)
            xr.testing.assert_equal(day_store.read(store)["a"].load(), whole["a"])
            limit += 1
        else:
            break
    monkeypatch.setattr(os, "replace", real)
    assert limit > 12


def test_writing_continues_after_the_last_whole_run(tmp_path):
    calls = []

    def make(run):
        calls.append([str(day) for day in run])
        if len(calls) == 2:
            raise OSError("No space left on device")
        return values(run, 0)

    store, axis = tmp_path / "a.zarr", axis_of(8)
    with pytest.raises(OSError, match="No space"):
        day_store.write_days(store, axis, axis, make, most=4, about="x")
    first = list(calls)
    day_store.write_days(store, axis, axis, make, most=4, about="x")
    assert calls[2:] == [first[1], *calls[3:]] and first[0] not in calls[2:]
    xr.testing.assert_equal(day_store.read(store)["a"].load(), values(axis, 0)["a"])
