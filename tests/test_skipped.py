"""Files that could not be read and were left out: warned of, listed in data and files, their days kept."""

from __future__ import annotations

import time
import warnings

import dask.array as da
import numpy as np
import pytest
import xarray as xr

import xsm
from xsm.contracts.registry import get_source
from xsm.data.skipped import tell_skipped
from xsm.errors import DataError, SkippedFile, hear, tell
from xsm.io import files
from xsm.options import set_options
from xsm.twin import default_grid, make_world


@pytest.mark.parametrize("name", ["tiny", "smap", "nldas", "uscrn"])
def test_skipped_is_a_list_in_data_and_in_every_kind_of_file(tmp_path, name):
    """Once, some sources wrote a text and others a list."""
    if name == "tiny":
        paths = [tmp_path / "data" / f"{n}.csv" for n in "ab"]
        paths[0].parent.mkdir()
        for path in paths:
            path.write_text("date,lon,lat,soil_moisture\n2021-06-01,-98.5,35.5,0.2\n")
    else:
        paths = sorted(get_source(name).write(make_world(default_grid(8), 25, seed=1), tmp_path / "data"))
    paths[0].write_bytes(b"")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds = xsm.open(name, paths[:2] if name == "tiny" else paths, on_error="skip", region=default_grid(8), margin=0)
        (entry,) = ds.attrs["skipped"]
        assert paths[0].name in entry
        for kind in ("nc", "zarr") if name in ("uscrn", "nldas") else ("nc", "zarr", "tif"):
            few = ds.isel(time=slice(2))
            part = few[list(few.data_vars)[:1]] if kind == "tif" or name != "uscrn" else few
            assert files.read(files.write(part, tmp_path / f"a.{kind}")[0]).attrs["skipped"] == [entry]


@pytest.mark.parametrize("days", [None, slice("2021-04-03", None), slice("2021-04-03", "2021-04-25")])
def test_days_of_files_left_out_at_the_ends_are_kept_empty(tmp_path, days):
    """Once, the axis ended with the last sound file."""
    grid = default_grid(8)
    paths = sorted(get_source("smap").write(make_world(grid, 25, seed=1), tmp_path))
    whole = xsm.open("smap", paths, region=grid, margin=0, time=days)
    named = {path: path.name.split("_")[5] for path in paths}
    bad = [path for path, day in named.items() if day < "20210404" or day > "20210408"]
    for path in bad:
        path.write_bytes(path.read_bytes()[:5000])
    with pytest.warns(SkippedFile):
        ds = xsm.open("smap", paths, region=grid, margin=0, time=days, on_error="skip")
    last = max(named.values()) if days is None or days.stop is None else "20210425"
    assert str(ds["time"].values[-1])[:10].replace("-", "") == last
    np.testing.assert_array_equal(ds["time"].values, whole["time"].values)
    sound = ds["time"].isin(np.arange("2021-04-04", "2021-04-09", dtype="M8[D]")).values
    for name, variable in ds.data_vars.items():
        assert variable.dtype == whole[name].dtype
        assert variable.encoding == whole[name].encoding and variable.chunks == whole[name].chunks
        xr.testing.assert_identical(variable[sound], whole.isel(time=sound)[name])
    assert ds["tb_h"][~sound].isnull().all() and ds["obs_time"][~sound].isnull().all()
    assert (ds["retrieval_flag"][~sound] == 65534).all() and ds["tb_h"][sound].notnull().any()


@pytest.mark.parametrize(("name", "on_error"), [("smap", "raise"), ("nldas", "skip"), ("smap_l4", "raise")])
def test_no_file_in_the_period_names_the_existing_days(tmp_path, name, on_error):
    paths = get_source(name).write(make_world(default_grid(4), 2, seed=1), tmp_path)
    with pytest.raises(DataError, match=r"None of .*\. By their names the files are of 2021-04-0\d to 2021-04-02\."):
        xsm.open(name, paths, time="2020", on_error=on_error)


def test_a_long_list_is_shortened_in_warnings(tmp_path):
    paths = [tmp_path / f"{number:02}.csv" for number in range(14)]
    for path in paths:
        path.write_text("date,lon,lat,soil_moisture\n2021-06-01,-98.5,35.5,0.2\n" if path == paths[0] else "")
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        ds = xsm.open("tiny", paths, on_error="skip")
    messages = [str(w.message) for w in heard]
    assert len(ds.attrs["skipped"]) == 13 and len(messages) == 11
    assert all(path.name in text for path, text in zip(paths[1:11], messages[:10], strict=True))
    assert messages[10] == "and 3 more; all of them are in the attribute 'skipped'"
    with hear() as heard:
        xsm.open("tiny", paths, on_error="skip")
    assert [w.file for w in heard] == [path.name for path in paths[1:]]


def test_a_semicolon_in_a_reason_makes_no_second_file():
    reason = "'US/a.txt' cannot be read as USCRN hourly02: row 960 has not 38 columns; the file may be cut or damaged."
    with pytest.warns(SkippedFile) as heard:
        tell_skipped(xr.Dataset(attrs={"skipped": reason}), ["US/a.txt"])
    assert [w.message.file for w in heard] == ["a.txt"]


def test_skipped_files_are_reported_from_any_thread(tmp_path):
    def block(block_info):
        first = block_info[None]["array-location"][0][0]
        with warnings.catch_warnings():  # as libraries do, which is not safe in threads
            warnings.simplefilter("ignore")
            time.sleep(0.002 * (first % 7))
        tell(SkippedFile(f"granule_{first}", "is cut"))
        return np.full(block_info[None]["chunk-shape"], first, "f4")

    days = np.arange(64 * 12).astype("M8[D]").astype("M8[ns]")
    array = da.map_blocks(block, chunks=((16,) * 48, (4,)), dtype="f4", meta=np.empty((0, 0), "f4"))
    ds = xr.Dataset({"a": (("time", "x"), array)}, {"time": days})
    with set_options(threads=4), hear() as heard:
        files.write(ds, tmp_path / "a.zarr")
    assert {w.file for w in heard} == {f"granule_{first}" for first in range(0, 768, 16)}
