"""Files that a study leaves out because they cannot be read: listed once, marked by day, never in silence."""

from __future__ import annotations

import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from xsm.contracts.registry import get_source
from xsm.data.skipped import LEFT_OUT, mark, tell_skipped
from xsm.errors import DataError, SkippedFile, tell
from xsm.faces.cli import main
from xsm.io import files
from xsm.study.config import Fill, Source, Study
from xsm.study.forecast import plan
from xsm.study.inputs import fingerprint
from xsm.study.pipeline import run_study
from xsm.study.stages import Stage, left_out, left_out_by, manifest, run_stages
from xsm.twin import default_grid, make_world


def test_files_left_out_are_listed_once_and_mark_their_days(tmp_path):
    out = tmp_path

    def work(part):
        tell(SkippedFile("in/x_20210602.h5", "x_20210602.h5 is cut"))
        tell_skipped(xr.Dataset(attrs={"skipped": "x_20210602.h5; in/A20210602.0300.nc: no HDF5"}), names)
        tell("odd")
        tell("3 station values lie outside 0 to 1 m3 m-3 and are left out.")
        tell("2 files are left out, the first: x_20210602.h5")
        warnings.warn_explicit("old", DeprecationWarning, "library.py", 7)
        part.write_text("x")

    names = ["in/x_20210602.h5", "in/A20210602.0300.nc"]
    with pytest.warns(UserWarning, match="odd") as warned:
        run_stages([Stage("open", [], lambda: 1, out / "a.txt", work)], out)
    assert ("old", "library.py") in [(str(w.message), w.filename) for w in warned]
    lost = left_out(out)
    assert lost == {
        "x_20210602.h5": "left out: x_20210602.h5 is cut",
        "A20210602.0300.nc": "left out: in/A20210602.0300.nc: no HDF5",
    }
    assert left_out_by(out, ["open"]) == sorted(lost)
    days = np.arange("2021-06-01", "2021-06-04", dtype="M8[D]").astype("M8[ns]")
    marked = mark(xr.Dataset(coords={"time": days}), lost)
    assert marked[LEFT_OUT].values.tolist() == [0, 2, 0]
    assert LEFT_OUT not in mark(xr.Dataset(coords={"time": days}), [])
    run_stages([Stage("cube", [], lambda: 1, out / "b.txt", lambda part: part.write_text("x"))], out)
    assert left_out(out) == {} and "open" in manifest(out)  # of a study that no longer has this stage


@pytest.mark.skipif(sys.platform == "win32", reason="links")
def test_an_input_that_cannot_be_read_is_up_to_its_source(tmp_path):
    get_source("smap").write(make_world(default_grid(8), 8, seed=1), tmp_path / "SMAP")
    there = sorted((tmp_path / "SMAP").rglob("*.h5"))
    gone = there[1]
    gone.unlink()
    gone.symlink_to("nowhere")
    assert fingerprint(gone) == (0, 0, "No such file or directory")
    study = Study(tmp_path / "out", {"smap": Source([tmp_path / "SMAP"])}, gapfill=Fill("linear", variables=("tb_h",)))
    study = replace(study, region=default_grid(8), margin=0)
    assert f"open smap: {len(there)} files" in plan(study)
    with pytest.raises(DataError, match=f"{gone.name} cannot be opened"):
        run_study(study)
    run_study(replace(study, on_error="skip"))
    assert list(left_out(study.out)) == [gone.name]
    assert files.read(study.out / "maps.nc")[LEFT_OUT].values.sum() == 1


@pytest.mark.parametrize("lost", [5, 24])
def test_a_day_of_covariates_that_was_left_out_does_not_stop_a_study(tmp_path, lost):
    """With more than 4 hours lost NLDAS has no daily mean, which the gap filling of SMAP needs."""
    world = make_world(default_grid(8), 8, seed=1)
    for name in ("smap", "nldas"):
        get_source(name).write(world, tmp_path / name)
    day = str(world.truth["time"].values[3].astype("M8[D]")).replace("-", "")
    for path in sorted(p for p in (tmp_path / "nldas").rglob("*.nc") if f"A{day}" in p.name and "NOAH" in p.name)[
        :lost
    ]:
        path.write_bytes(b"")
    fill = Fill("cru", variables=("tb_h",), covariates=("soil_temperature_0_10",), options={"epochs": 1})
    inputs = {name: Source([tmp_path / name]) for name in ("smap", "nldas")}
    study = Study(tmp_path / "out", inputs, gapfill=fill, region=default_grid(8), margin=0, on_error="skip")
    with pytest.warns(UserWarning, match="soil_temperature_0_10 lack days because files were left out"):
        run_study(study)
    maps = files.read(study.out / "maps.nc")
    assert bool(maps["tb_h"].notnull().all("time").any())
    assert int(maps[LEFT_OUT].sum()) == lost


STATIONS = """
region = {region}
margin = 0
on_error = "skip"
[inputs.smap]
paths = "SMAP/*"
[stations.uscrn]
paths = "USCRN"
[gapfill]
method = "linear"
variables = ["tb_h"]
"""


def test_each_file_left_out_is_named_once_and_a_long_list_is_cut_short(tmp_path, capsys):
    """A bad station file was named three times, and an empty folder that a pattern matches stopped the run."""
    world = make_world(default_grid(8), 8, seed=1)
    for number, path in enumerate(get_source("smap").write(world, tmp_path / "all")):
        (tmp_path / "SMAP" / str(number % 2)).mkdir(parents=True, exist_ok=True)
        path.rename(tmp_path / "SMAP" / str(number % 2) / path.name)
    (tmp_path / "SMAP" / "empty").mkdir()
    get_source("uscrn").write(world, tmp_path / "USCRN")
    bad = [tmp_path / "USCRN" / f"CRNH0203-2021-ZZ_{number:02}.txt" for number in range(14)]
    for path in bad:
        path.write_text("<html>\n<body>Not found</body>")
    (tmp_path / "study.toml").write_text(STATIONS.format(region=[float(v) for v in default_grid(8).bbox]))
    with pytest.raises(SystemExit) as stop:
        main(["run", str(tmp_path / "study.toml")])
    errors = capsys.readouterr().err
    assert stop.value.code == 1 and "except for 14 files left out" in " ".join(errors.split())
    assert [errors.count(path.name) for path in bad] == [1] * 10 + [0] * 4
    assert f"and 4 more; all of them are in '{tmp_path / 'study' / '.xsm' / 'manifest.json'}'" in errors
    assert errors.count("empty' contains no file of source 'smap' and is left out") == 1
    assert sorted(left_out(tmp_path / "study")) == sorted(path.name for path in bad)
    skipped = files.read(tmp_path / "study" / "data" / "stations.nc").attrs["skipped"]
    assert len(skipped) == 14
