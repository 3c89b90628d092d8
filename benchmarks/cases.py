"""Inputs of users' reports: each is opened in the shell and compared with an independent reading of its file.

    python -m benchmarks.cases ../shared/cases

A case is right where every value is that of h5py, pandas, json or GDAL, or where the input is refused with the sentence
that names what is wrong. The exit code is the number of cases that are neither.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import rasterio
import xarray as xr

CLOSE = 1e-6
Expected = Callable[[Path], np.ndarray] | str


@dataclass(frozen=True)
class Case:
    """Files, source and options, and what is right: values of a variable, or words of the refusal."""

    files: str
    source: str
    right: Expected
    variable: str = "soil_moisture"
    options: Sequence[str] = ()


def report(path: Path) -> np.ndarray:
    """The column of values of a SCAN report."""
    table = pd.read_csv(path / "report.csv", comment="#").drop_duplicates()
    return table["Soil Moisture Percent -2in (pct)"].to_numpy() / 100


def awdb(path: Path) -> np.ndarray:
    """Soil moisture in an answer of the AWDB service."""
    (station,) = json.loads((path / "data.json").read_text())
    element = next(e for e in station["data"] if e["stationElement"]["elementCode"] == "SMS")
    return np.array([v["value"] for v in element["values"]]) / 100


def old_report(path: Path) -> np.ndarray:
    """The first column of an older SCAN file; the second is missing."""
    (file,) = path.iterdir()
    lines = [line for line in file.read_text().splitlines() if line.startswith("2031,2021")]
    return np.array([float(line.split(",")[3]) for line in lines]) / 100


def stm(path: Path) -> np.ndarray:
    """Values of ISMN files by their names, rows that are repeated once."""
    files = sorted(path.glob("*.stm"), key=lambda f: f.name.replace("_", " "))
    rows = [dict.fromkeys(line for line in f.read_text().splitlines()[1:] if line.strip()) for f in files]
    return np.concatenate([[float(line.split()[2]) for line in some] for some in rows if some])


def uscrn(path: Path) -> np.ndarray:
    """The five depths of a daily file with a header."""
    (file,) = path.iterdir()
    return pd.read_csv(file, sep=r"\s+").iloc[:, 18:23].to_numpy().T.ravel()


def south_first(path: Path) -> np.ndarray:
    """A map that is stored south first."""
    with h5py.File(path) as file:
        values = file["Soil_Moisture_Retrieval_Data_AM/soil_moisture_dca"][:][::-1]
        assert file["Soil_Moisture_Retrieval_Data_AM/EASE_row_index"][0, 0] == 405
    return values[values != -9999]


def subset(path: Path) -> np.ndarray:
    """Values by row and column of a subset."""
    row, col = np.mgrid[300:340, 900:960]
    return (0.05 + ((7 * row + 3 * col) % 400) / 1000).ravel()


def majority(path: Path) -> np.ndarray:
    """Classes of the majority map: 0, water, is 17."""
    with rasterio.open(next(path.glob("*Majority*"))) as file:
        return np.where(file.read(1) == 0, 17, file.read(1)).ravel()


def noah(path: Path) -> np.ndarray:
    """Daily means of the first layer, 100 mm."""
    with h5py.File(path) as file:
        node = file["SoilM_0_10cm"]
        values = node[:] * float(node.attrs.get("scale_factor", [1])[0]) + float(node.attrs.get("add_offset", [0])[0])
        layer = 100.0 if "units" in node.attrs else 1.0
    values = np.moveaxis(values, -1, 0) if values.shape[-1] == 48 else values
    return (values.reshape(2, 24, *values.shape[1:]).mean(1) / layer).ravel()


AM = "appeears/SPL3SMP_E.006_Soil_Moisture_Retrieval_Data_AM_soil_moisture_doy2021092000000_aid0001.tif"
CASES = [
    Case("scan_s_change", "scan", report),
    Case("scan_b_with_prcp", "scan", awdb),
    Case("scan_r_dup_sep30", "scan", report),
    Case("scan_old_csv", "scan", old_report),
    Case("ismn_d_dup", "ismn", stm),
    Case("ismn_j_empty", "ismn", stm),
    Case("ismn_b_same", "ismn", stm),
    Case("uscrn_b_header", "uscrn", uscrn),
    Case("SMAP_L2_SM_P_E_*.h5", "smap", "cannot be placed", "sm_dca", ("--variables", "sm_dca")),
    Case("SMAP_L3_SM_P_20210406_*.nc", "smap", south_first, "sm_dca"),
    Case("SMAP_L3_SM_P_E_*.nc4", "smap", subset, "sm_dca"),
    Case("SMAP_L2_*gridded.nc", "smap", "gridded Level-2 output", "sm_dca", ("--variables", "sm_dca")),
    Case("modis_mix", "modis_landcover", majority, "land_cover"),
    Case("n_nounits_vol.nc", "nldas", "has no unit", "sm_noah_0_10"),
    Case("n_nounits_vol.nc", "nldas", noah, "sm_noah_0_10", ("--units", "SoilM_0_10cm=m3 m-3")),
    Case("n_packed.nc", "nldas", noah, "sm_noah_0_10"),
    Case("n_timelast.nc", "nldas", noah, "sm_noah_0_10"),
    Case("NLDAS_NOAH0125_M*.nc", "nldas", "monthly means"),
    Case("nldas_mosaic", "nldas", "of the model Mosaic"),
    Case("nldas_mosaic/*.nc", "nldas", "of the model Mosaic"),
    Case("appeears/SPL3SMP_E*.nc", "smap", "output of AppEEARS"),
    Case(AM, "smap", "output of AppEEARS"),
    Case("appeears/test-*.csv", "smap", "output of AppEEARS"),
    Case("appeears/MCD12Q1.061_500m_aid0001.nc", "modis_landcover", "NetCDF of AppEEARS"),
    Case("appeears/MCD12Q1.061_500m_aid0002.nc", "modis_landcover", "NetCDF of AppEEARS"),
    Case("appeears/NLDAS*.csv", "nldas", "a time series of one point"),
]


def opened(case: Case, folder: Path, out: Path) -> tuple[str, str]:
    """What xsm does with a case, and whether it is right."""
    paths = sorted(folder.glob(case.files))
    command = [sys.executable, "-m", "xsm", "open", case.source, *map(str, paths), str(out), "--overwrite"]
    done = subprocess.run([*command, *case.options], capture_output=True, text=True, check=False)
    if "Traceback" in done.stderr:
        return "a traceback", "wrong"
    if done.returncode:
        text = next(line for line in done.stderr.splitlines() if line.startswith("error: "))[7:]
        right = isinstance(case.right, str) and case.right in text and "hint: " in done.stderr
        text = re.sub(r"'[^']*/([^'/]{0,20})[^'/]*'", r"'\1...'", text)
        return f"refused: {text[:110]}", "right" if right else "wrong"
    with xr.open_dataset(out) as ds:
        values = ds[case.variable].values.astype("f8").ravel()
    values = values[np.isfinite(values) & (values != 255)]
    if isinstance(case.right, str):
        return f"{values.size} values", "wrong"
    expected = case.right(paths[0])
    if values.shape != expected.shape:
        return f"{values.size} values, not {expected.size}", "wrong"
    apart = float(np.abs(values - expected).max())
    return f"{values.size} values, at most {apart:.0e} apart", "right" if apart < CLOSE else "wrong"


def main(folder: Path) -> int:
    """Print a row for each case."""
    wrong = 0
    print("| input | source | result | |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as place:
        for case in CASES:
            result, verdict = opened(case, folder.resolve(), Path(place) / "out.nc")
            wrong += verdict == "wrong"
            name = " ".join([f"`{case.files}`", *(f"`{o}`" for o in case.options if "=" in o)])
            print(f"| {name} | {case.source} | {result} | {verdict} |", flush=True)
    print(f"\n{len(CASES) - wrong} of {len(CASES)} are right.")
    return wrong


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
