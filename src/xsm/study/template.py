"""The study file that `xsm init` writes."""

from __future__ import annotations

import re
from pathlib import Path

from xsm.data.article import PREDICTORS
from xsm.errors import UsageError

TEMPLATE = """\
# A study for `xsm run`: xsm's fusion beside the scenarios of Rabiei et al. (2024),
# doi:10.20944/preprints202412.1356.v1. Leave out [fuse] or [fit] to do without it.
# Paths are relative to this file; $NAME stands for an environment variable, ~ for your home.
# Run it again to continue; after a change, what depends on it is done again.
title = "{title}"
out = "{out}"                     # folder of the results
region = {region}                      # name, [west, south, east, north] in degrees, or GeoJSON file
margin = {margin}                            # cells read around it: one patch of the model
time = "{time}"                        # UTC days, both included
seed = {seed}
on_error = "raise"                     # "skip" leaves out files that cannot be read and marks their days
geotiff = {geotiff}                    # maps also written as GeoTIFF, for example ["sm_5cm", "sm_5cm_s2"]

[inputs.smap]                          # SPL3SMP_E version 6
paths = "{smap}"
options = {{ overpass = "AM", quality = "successful" }}

[inputs.nldas]                         # NLDAS_NOAH0125_H version 2.0
paths = "{nldas}"

[inputs.solus100]
paths = "{solus}"
options = {{ soil_depth = [5, 30] }}

[inputs.modis_landcover]               # MCD12Q1 as GeoTIFF
paths = "{modis}"

[stations.uscrn]
paths = "{uscrn}"

[gapfill]
method = "cru"
mode = "smoother"                      # "filter" is the paper's: nothing from the future
variables = {filled}
covariates = ["precipitation", "air_temperature"]
{fill_options}
[fuse]                                 # sm_5cm, sm_25cm: retrieval, land model and weather merged; needs no gap filling
mode = "smoother"                      # "filter" uses no retrieval of later days
stations = false                       # true: they correct weights and spread; the report then has no scores there

[fit]                                  # sm_5cm_s1 to sm_25cm_s2: the scenarios of the article
model = "convlstm"
estimates = ["5-1", "5-2", "25-1", "25-2"]
{split}options = {{ preset = "{preset}"{more} }}
"""

ARTICLE = {
    "title": "Rabiei et al. (2024)",
    "out": "rabiei2024",
    "margin": "64",
    "seed": "0",
    "region": '"conus"',
    "time": "2018-01-01/2022-12-30",
    "geotiff": "[]",
    "smap": "SMAP",
    "nldas": "NLDAS",
    "solus": "SOLUS100",
    "modis": "MCD12Q1",
    "uscrn": "USCRN",
    "preset": "rabiei2024",
    "more": "",
    "fill_options": "",
    "filled": "[" + ", ".join(f'"{n}"' for n in (*PREDICTORS, "sm_dca")) + "]",
    "split": 'train = "2018-01-01/2020-12-31"\nvalidation = "2021-01-01/2021-12-31"\n',
}
"""Entries of the template for the study of the article."""


def template(**changes: str) -> str:
    """Text of a study file; ``changes`` replace entries of the article's study."""
    return aligned(TEMPLATE.format(**{**ARTICLE, **changes}))


def aligned(text: str) -> str:
    """Text of a study file with its comments in one column."""
    return re.sub(r"(?m)^(\S.*?) +# ", lambda line: f"{line[1]:38} # ", text)


def write_template(path: Path, *, example: bool = False) -> Path:
    """Write a commented study file; with ``example`` also a small synthetic world that it runs on."""
    if path.exists():
        raise UsageError(f"'{path}' exists already.", hint="Give another name.")
    changes: dict[str, str] = {}
    if example:
        from xsm.study.example import QUICK, make_files, study_changes

        data = path.with_suffix("").with_name(path.stem + "-data")
        make_files(data, QUICK, seed=0)
        changes = study_changes(QUICK, data.name)
    path.write_text(template(**changes), encoding="utf-8")
    return path
