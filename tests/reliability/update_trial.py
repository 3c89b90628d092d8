"""Thirty updates of one day each beside one run of all days: `tests/reliability/update_trial.sh --kills 20`.

The study is a small synthetic world in the products' formats, run from the command line. Meanwhile processes are killed
with signal 9 at a random moment, and an update starts while another process works on the study; a granule is late by
ten days, one is replaced by another version, one is there twice, and the land model is late by two days. The archive at
the end must be that of one run of the same granules, to the bit. The last line has the figures; the exit code is 1
where they fall short.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import xarray as xr

from xsm.io import day_store
from xsm.study import template
from xsm.study.example import Size, make_files, study_changes
from xsm.study.locked import alone

FIRST = 26
DAILY = ("SMAP", "NLDAS")


class Trial:
    """A study whose granules arrive day by day, and one that has them all."""

    def __init__(self, folder: Path, cells: int, updates: int) -> None:
        self.folder, self.size = folder, Size(cells, "2021-05-01", FIRST + updates)
        make_files(folder / "every", self.size, seed=1)
        self.seconds: list[float] = []
        for name in ("whole", "daily"):
            text = template.template(**study_changes(self.size, f"{name}-files")).split("[gapfill]")[0]
            lines = [line for line in text.splitlines() if "uscrn" not in line.lower()]
            text = "\n".join('time = "2021-05-01/"' if line.startswith("time") else line for line in lines)
            train = f'train = "{self.size.dates[0]}/{self.size.dates[FIRST - 5]}"'
            text = text.replace('out = "results"', f'out = "{name}"').replace('"sm_25cm"]', '"sm_25cm_percentile"]')
            text += f'\n[fuse]\nmode = "filter"\n{train}\noptions = {{ trees = 20 }}\n[update]\n'
            text += f'reference = "{self.size.dates[0]}/{self.size.dates[FIRST - 1]}"\n'
            (folder / f"{name}.toml").write_text(text)

    def arrive(self, name: str, days: np.ndarray, products: tuple[str, ...] = DAILY) -> None:
        """Copy granules of days to a study, and what has no day."""
        stamps = [str(day).replace("-", "") for day in days]
        for path in sorted(p for p in (self.folder / "every").rglob("*") if p.is_file()):
            there = self.folder / f"{name}-files" / path.relative_to(self.folder / "every")
            wanted = path.parent.name in products and any(stamp in path.name for stamp in stamps)
            if wanted or path.parent.name not in DAILY:
                there.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, there)

    def has(self, day: np.datetime64) -> bool:
        """Whether there is a SMAP granule of a day."""
        return any((self.folder / "every" / "SMAP").glob(f"*_{str(day).replace('-', '')}_*"))

    def newest(self, days: np.ndarray) -> str:
        """The last day of which any granule is there."""
        files = [p.name for name in DAILY for p in (self.folder / "daily-files" / name).iterdir()]
        return str(max(day for day in days if any(str(day).replace("-", "") in name for name in files)))

    def granule(self, day: np.datetime64) -> Path:
        """The SMAP granule of a day in the study that is updated."""
        return next((self.folder / "daily-files" / "SMAP").glob(f"*_{str(day).replace('-', '')}_*"))

    def start(self, verb: str, name: str) -> subprocess.Popen[str]:
        """Begin a command."""
        how = [sys.executable, "-m", "xsm", verb, str(self.folder / f"{name}.toml"), *["--json"] * (verb == "update")]
        return subprocess.Popen(how, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def finish(self, process: subprocess.Popen[str]) -> str:
        """Its last line."""
        begun = time.monotonic()
        out, error = process.communicate(timeout=1200)
        assert process.returncode == 0, error[-2000:]
        self.seconds.append(time.monotonic() - begun)
        return out.strip().splitlines()[-1]


def whole_stores(out: Path) -> bool:
    """Whether what readers see of the archive is whole."""
    ds = xr.open_zarr(out / "archive.zarr")
    return all(bool(np.isfinite(ds[n].isel(time=-1)).any()) for n in ("sm_5cm", "sm_25cm", "sm_5cm_percentile"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=30, help="at least 10 or so")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--cells", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    chance, lost, refused = random.Random(args.seed), 0, 0
    with tempfile.TemporaryDirectory(prefix="xsm-updates-") as folder:
        trial = Trial(Path(folder), args.cells, args.updates)
        days = trial.size.dates
        passes = [day for day in days[FIRST + 1 :] if trial.has(day)]  # no pass on the other days
        lags = [n for n in range(args.updates // 2, args.updates - 2) if days[FIRST + n] in passes[2:]]
        if not lags:
            sys.exit(f"The {args.updates} days of updates have {len(passes)} passes, too few: give more --updates.")
        trial.arrive("daily", days[:FIRST])
        trial.finish(trial.start("update", "daily"))
        late, replaced, kills, lag = passes[0], passes[1], 0, lags[0]
        out = trial.folder / "daily"
        trial.seconds.clear()
        for number, day in enumerate(days[FIRST:]):
            trial.arrive("daily", [day], ("SMAP",) if number in (lag, lag + 1) else DAILY)
            if number == lag + 2:  # the land model of two days arrives
                trial.arrive("daily", days[FIRST + lag : FIRST + lag + 2], ("NLDAS",))
            if day == late:
                trial.granule(late).unlink()
            if day == min(late + 10, days[-1]):
                trial.arrive("daily", [late], ("SMAP",))
            if day == replaced:  # a granule of near real time, which another one replaces later
                first = trial.granule(day)
                first.rename(trial.folder / "aside")
            if day == min(replaced + 2, days[-1]):
                trial.arrive("daily", [replaced], ("SMAP",))
            for _ in range(-(-(args.kills - kills) // (args.updates - number))):
                process = trial.start("update", "daily")
                time.sleep(chance.uniform(0.2, 0.9) * (np.median(trial.seconds) if trial.seconds else 8.0))
                if process.poll() is None:
                    os.kill(process.pid, signal.SIGKILL)
                    kills += 1
                process.communicate()
                lost += not whole_stores(out)
            if number == lag + 1:
                with alone(out):
                    second = trial.start("update", "daily")
                    refused += "Another run is using" in second.communicate(timeout=1200)[1] and second.returncode == 1
            line = json.loads(trial.finish(trial.start("update", "daily")))
            assert line["newest"] == trial.newest(days), line
            print(f"{day}: {len(line['changed'])} days made again, {line['seconds']} s, {kills} kills", flush=True)
        trial.arrive("whole", days)
        trial.finish(trial.start("update", "whole"))
        got, expected = (day_store.read(trial.folder / n / "archive.zarr").load() for n in ("daily", "whole"))
        differ = [n for n in expected.data_vars if not np.array_equal(
            got[n].values, expected[n].values, equal_nan=expected[n].dtype.kind == "f")]  # fmt: skip
        maps = {p.name for p in (trial.folder / "whole" / "geotiff").glob("*.tif")}
        missing = maps - {p.name for p in (out / "geotiff").glob("*.tif")}
        parts = [*out.rglob("*.part")]
    for name in differ:
        print(f"    differs: {name}", file=sys.stderr)
    well = not (differ or missing or parts or lost) and kills >= args.kills and refused
    print(
        f"{args.updates} updates, {kills} kills: {len(differ)} of {len(expected.data_vars)} variables differ from one "
        f"run, {lost} times not whole, {len(missing)} maps missing, {len(parts)} parts left, second update refused "
        f"{refused} of 1; median {np.median(trial.seconds[:-1]):.1f} s an update"
    )
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
