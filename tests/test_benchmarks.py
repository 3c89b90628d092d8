"""Each benchmark runs once in a small form, so that none of them breaks unnoticed; its figures are not checked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SMALL = {
    "bench_anywhere": ("--quick", "--places", "iberia"),
    "bench_estimate": ("--part", "speed", "--quick", "--preset", "small"),
    "bench_fuse": ("--quick", "--json"),
    "bench_gapfill": ("--small", "--threads", "1"),
    "bench_ingest": ("--granules", "1", "--days", "2", "--repeats", "1", "--workers", "1"),
    "bench_regrid": ("--part", "speed", "--days", "4"),
    "bench_scale": ("--quick", "--days", "2", "--threads", "1"),
    "bench_series": ("--size", "4", "--sample", "1"),
    "bench_twin": ("--quick",),
    "bench_update": ("--days", "22", "--cells", "4", "--large", "5"),
    "bench_validate": ("--stations", "12", "--days", "400", "--repeat", "1"),
    "validate_real": (),
}
NEED_DATA = ("bench_gapfill", "validate_real")

pytestmark = pytest.mark.skipif(not (ROOT / "benchmarks").is_dir(), reason="needs a checkout")


def test_every_benchmark_has_a_small_form():
    assert {p.stem for p in (ROOT / "benchmarks").glob("bench_*.py")} == {n for n in SMALL if n.startswith("bench_")}


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", SMALL)
def test_benchmark_runs_small(name, tmp_path):
    if name in NEED_DATA and not os.environ.get("XSM_TEST_DATA"):
        pytest.skip("XSM_TEST_DATA is not set: the folder with the real data files")
    command = [sys.executable, "-m", f"benchmarks.{name}", *SMALL[name]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1100, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.stdout.strip(), done.stderr
