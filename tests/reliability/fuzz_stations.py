"""Small sound station files of every format that xsm reads, and damage that knows their lines and trees."""

from __future__ import annotations

import json
import random
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests.reliability import fuzz_lies as lies
from tests.reliability.fuzz_format import Damage, Format, small_world
from xsm.contracts.registry import get_source


def uscrn(folder: Path) -> list[Path]:
    return get_source("uscrn").write(small_world(), folder)[:2]  # type: ignore[attr-defined]


def uscrn_daily(folder: Path) -> list[Path]:
    """Two stations of daily01, 28 columns, 60 days."""
    rng, paths = np.random.default_rng(1), []
    for wban, name in ((3047, "Monahans_6_ENE"), (3048, "Socorro_20_N")):
        path = folder / f"CRND0103-2021-ZZ_{name}.txt"
        rows = []
        for day in np.arange("2021-05-01", "2021-06-30", dtype="M8[D]"):
            moisture = " ".join(f"{v:7.3f}" for v in rng.uniform(0.05, 0.4, 5))
            warmth = " ".join(f"{v:7.1f}" for v in rng.uniform(5, 30, 5))
            rows.append(
                f"{wban:05d} {str(day).replace('-', '')}  2.622 -102.81   31.62    20.1     2.2    11.1    10.9 "
                f"    0.0    12.11 C    30.1     0.1    12.0    80.1    20.2    50.3 {moisture} {warmth}\n"
            )
        path.write_text("".join(rows))
        paths.append(path)
    return paths


def scan(folder: Path) -> list[Path]:
    return get_source("scan").write(small_world(), folder)  # type: ignore[attr-defined]


def scan_csv(folder: Path) -> list[Path]:
    """A report of one station, three depths, 100 hours."""
    rng = np.random.default_rng(2)
    station = {"stationTriplet": "2057:AL:SCAN", "name": "AAMU-JTG", "latitude": 34.785, "longitude": -86.559,
               "dataTimeZone": -6}  # fmt: skip
    (folder / "stations.json").write_text(json.dumps([station]))
    names = [f"Soil Moisture Percent -{d}in (pct)" for d in (2, 4, 8)] + ["Soil Temperature Observed -2in (degC)"]
    hours = np.arange("2021-05-01T00", "2021-05-05T04", dtype="M8[h]")
    lines = ["#---- WARNING ----", "#", "#    SCAN 2057: AAMU-JTG, AL", "#", ",".join(["Date", *names])]
    lines += [f"{str(h)[:10]} {str(h)[11:]}:00," + ",".join(f"{v:.1f}" for v in rng.uniform(5, 40, 4)) for h in hours]
    path = folder / "report.csv"
    path.write_text("\n".join(lines) + "\n")
    return [path, folder / "stations.json"]


def ismn(folder: Path) -> list[Path]:
    return get_source("ismn").write(small_world(), folder)[:3]  # type: ignore[attr-defined]


def ismn_ceop(folder: Path) -> list[Path]:
    from xsm_insitu.write_ismn import write_stm

    return write_stm(small_world().stations, folder, form="ceop")[:3]


def ismn_zip(folder: Path) -> list[Path]:
    (folder / "plain").mkdir()
    path = folder / "Data_separate_files_20210501_20210501.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in ismn(folder / "plain"):
            archive.write(file, "/".join(file.parts[-3:]))
    shutil.rmtree(folder / "plain")
    return [path]


def _lines(change: Callable[[list[bytes], random.Random], list[bytes]]) -> Damage:
    def damage(path: Path, rng: random.Random) -> None:
        path.write_bytes(b"\n".join(change(path.read_bytes().split(b"\n"), rng)))

    return damage


def _swapped(lines: list[bytes], rng: random.Random) -> list[bytes]:
    first = rng.randrange(len(lines) // 2)
    second = rng.randrange(first + 1, len(lines) - 1)
    lines[first], lines[second] = lines[second], lines[first]
    return lines


def _field_gone(lines: list[bytes], rng: random.Random) -> list[bytes]:
    at = rng.randrange(len(lines) - 1)
    comma = b"," if b"," in lines[at] else b" "
    parts = [p for p in lines[at].split(comma) if p]
    parts.pop(rng.randrange(len(parts)))
    lines[at] = comma.join(parts)
    return lines


def _column_gone(lines: list[bytes], rng: random.Random) -> list[bytes]:
    comma = b"," if b"," in lines[-2] else b" "
    which = rng.randrange(1, len([p for p in lines[-2].split(comma) if p]))
    cut = [[p for p in line.split(comma) if p or comma == b","] for line in lines]
    return [comma.join(p[:which] + p[which + 1 :]) for p in cut]


def _word(lines: list[bytes], rng: random.Random) -> list[bytes]:
    at = rng.randrange(len(lines) - 1)
    middle = len(lines[at]) // 2
    lines[at] = lines[at][:middle] + b"oops" + lines[at][middle:]
    return lines


TEXT: dict[str, Damage] = {
    "lines swapped": _lines(_swapped),
    "line twice": _lines(lambda lines, rng: lines[: (k := rng.randrange(1, len(lines)))] + lines[k - 1 :]),
    "field gone": _lines(_field_gone),
    "column gone": _lines(_column_gone),
    "word": _lines(_word),
}


def _json_changed(path: Path, rng: random.Random) -> None:
    """Remove a node of the tree, or replace its value."""
    tree = json.loads(path.read_text())
    node, parent, key = tree, None, None
    while isinstance(node, dict | list) and node and (parent is None or rng.random() < 0.85):
        parent = node
        key = rng.choice(sorted(node)) if isinstance(node, dict) else rng.randrange(len(node))
        node = node[key]
    if parent is not None:
        new: Any = rng.choice([None, "oops", -1e9, [], {}, True, 10**12])
        if rng.random() < 0.4:
            del parent[key]
        else:
            parent[key] = new
    path.write_text(json.dumps(tree))


TREE: dict[str, Damage] = {"tree": _json_changed}


STATIONS: Mapping[str, Format] = {
    "USCRN hourly02": Format("uscrn", uscrn, TEXT, lies=lies.USCRN),
    "USCRN daily01": Format("uscrn", uscrn_daily, TEXT),
    "SCAN JSON": Format("scan", scan, TREE, (0, -1), lies=lies.AWDB),
    "SCAN CSV": Format("scan", scan_csv, TEXT, lies=lies.REPORT),
    "ISMN header+values": Format("ismn", ismn, TEXT, lies=lies.STM),
    "ISMN CEOP": Format("ismn", ismn_ceop, TEXT, lies=lies.STM),
    "ISMN zip": Format("ismn", ismn_zip, {}, checked=True),
}
