"""The xarray engine: one file, native, lazy, always with time."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xarray as xr
import xsm_smap.passes
from xsm import EASE2_M09, UsageError
from xsm_smap.backend import SmapBackend
from xsm_smap.layout import FIELDS
from xsm_smap.read import window


def test_one_file(granules: list[Path], world: SimpleNamespace) -> None:
    with xr.open_dataset(granules[0], engine=SmapBackend) as ds:
        assert dict(ds.sizes) == {"time": 1, "y": 1624, "x": 3856}
        np.testing.assert_array_equal(ds["x"], EASE2_M09.x)
        part = ds.isel(y=slice(300, 306), x=slice(920, 929)).load()
    for name in FIELDS:
        assert part[name].dtype == world.smap[name].dtype
        np.testing.assert_array_equal(part[name], world.smap[name][:1])


@pytest.mark.parametrize(
    "key",
    [
        np.s_[:, 301, 921:927],
        np.s_[0, 300:306:2, 928:920:-3],
        np.s_[:, 305:299:-1, 925],
        np.s_[0, 302, 924],
        np.s_[:, 303:303, 920:922],
        np.s_[:, [305, 301], 920:925],
    ],
)
def test_every_index(granules: list[Path], key: Any) -> None:
    with xr.open_dataset(granules[0], engine=SmapBackend) as ds:
        lazy = ds["tb_h"][key].values
    with xr.open_dataset(granules[0], engine=SmapBackend) as ds:
        np.testing.assert_array_equal(lazy, ds["tb_h"].load()[key].values)


def test_only_indexed_rows_are_read(granules: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[tuple[int, int]] = []

    def spy(dataset: Any, grid: Any, beside: Any) -> np.ndarray:
        read.append(grid.shape)
        return window(dataset, grid, beside)

    monkeypatch.setattr(xsm_smap.passes, "window", spy)
    with xr.open_dataset(granules[0], engine=SmapBackend) as ds:
        assert not read
        ds["albedo"][0, 300:303, 920:922].load()
    assert read == [(3, 2)]


def test_options(both: list[Path], world: SimpleNamespace) -> None:
    where = {"y": slice(300, 306), "x": slice(920, 929)}
    with xr.open_dataset(both[0], engine=SmapBackend, overpass="PM", drop_variables=["tb_h"]) as ds:
        assert "tb_h" not in ds
        np.testing.assert_array_equal(ds["tb_v"].isel(where), world.pm["tb_v"][:1])
    with xr.open_dataset(both[0], engine=SmapBackend, variables=["sm_dca"], quality="none") as ds:
        assert list(ds) == ["sm_dca"]
    with pytest.raises(UsageError, match="Did you mean 'both'"):
        xr.open_dataset(both[0], engine=SmapBackend, overpass="bth")


def test_half_orbit_takes_its_own_pass(real: Path) -> None:
    path = next((real / "smap_l2").glob("*.h5"))
    with xr.open_dataset(path, engine=SmapBackend) as ds:
        assert ds.attrs["overpass"] == "PM"
        assert int(ds["sm_dca"].notnull().sum()) == 1197


def test_guess(granules: list[Path]) -> None:
    assert SmapBackend().guess_can_open(str(granules[0]))
    assert not SmapBackend().guess_can_open("x.nc")
    assert not SmapBackend().guess_can_open(b"bytes of a file")


def test_chunks(granules: list[Path], world: SimpleNamespace) -> None:
    with xr.open_dataset(granules[0], engine=SmapBackend, chunks={"y": 400}) as ds:
        np.testing.assert_array_equal(ds["tb_h"][:, 300:306, 920:929], world.smap["tb_h"][:1])


def test_days_concatenate_and_passes_share_their_dims(both: list[Path], world: SimpleNamespace) -> None:
    """Pitfalls 5 and 6 of smap.md: the files have neither named dimensions nor a time to concatenate along."""
    g = world.grid
    window = {"y": slice(g.row0, g.row0 + g.rows), "x": slice(g.col0, g.col0 + g.cols)}
    for overpass, pass_ in (("AM", world.smap), ("PM", world.pm)):
        ds = xr.open_mfdataset(both, engine=SmapBackend, overpass=overpass, variables=["sm_scav"], quality="none")
        assert ds["sm_scav"].dims == ("time", "y", "x") and ds.sizes["time"] == len(both)
        there = pass_["sm_scav"].sel(time=ds["time"])
        np.testing.assert_array_equal(ds["sm_scav"].isel(window), there)
