"""The study file that `xsm init anywhere` writes: retrieval, land model and soil maps of the whole world, by roles."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from xsm.data.region import region_bbox
from xsm.errors import UsageError
from xsm.study.template import aligned

IBERIA = (-6.2, 38.2, -5.0, 39.4)
FIRST_DAY, DAYS = "2021-04-01", 90
PRODUCTS = {"smap": "SMAP", "era5_land": "ERA5_LAND", "soilgrids": "SOILGRIDS"}
"""Sources of the example and the folders of their files."""

TEMPLATE = """\
# A study for `xsm run` anywhere on land: daily maps of soil moisture at 5 and 25 cm, merged from a satellite's
# retrieval, a land model with its weather, and soil maps. Each source declares which of these roles its variables have.
# Paths are relative to this file; $NAME stands for an environment variable, ~ for your home.
# Run it again to continue; after a change, what depends on it is done again.
title = "{title}"
out = "{out}"                          # folder of the results
region = {region}                      # west, south, east, north in degrees, or a GeoJSON file
margin = {margin}                      # cells read around it
time = "{time}"                        # UTC days, both included; two years or more are better
on_error = "raise"                     # "skip" leaves out files that cannot be read and marks their days
geotiff = ["sm_5cm", "sm_25cm"]        # maps also written as GeoTIFF

[inputs.smap]                          # retrieval; xsm fetch smap SMAP --time {time}
paths = "{smap}"
options = {{ overpass = "AM", quality = "successful" }}

[inputs.era5_land]                     # land model and weather; xsm fetch era5_land ERA5_LAND --region ... --time ...
paths = "{era5_land}"

[inputs.soilgrids]                     # soil; xsm fetch soilgrids SOILGRIDS --region ... -o soil_depth=5,25
paths = "{soilgrids}"
options = {{ soil_depth = [5, 25] }}

# [inputs.gldas]                       # another land model: Noah, 0.25 degree, in place of [inputs.era5_land]
# paths = "GLDAS"
#
# [inputs.esa_cci_sm]                  # another retrieval: ESA CCI, 0.25 degree, in place of [inputs.smap]
# paths = "ESA_CCI_SM"
#
# [roles]                              # only where two inputs can have one role
# model_surface = "sm_era5_land_0_7"
# model_root = "sm_era5_land_7_28"
#
# [stations.ismn]                      # stations, for the scores in the report
# paths = "ISMN"

[fuse]                                 # sm_5cm and sm_25cm, each with its spread
mode = "smoother"                      # "filter" uses no retrieval of later days: for `xsm update` every day
stations = false                       # true: stations correct weights and spread; the report then has no scores there
{split}"""

FOR_FILES = {
    "title": "My country",
    "out": "results",
    "margin": "4",
    "time": "2019-01-01/2022-12-31",
    "smap": "SMAP",
    "era5_land": "ERA5_LAND",
    "soilgrids": "SOILGRIDS",
    "split": '# train = "2019-01-01/2021-06-30"     # by default the first 60 % of the days\n'
    '# validation = "2021-07-01/2021-12-31"\n',
}


def write_anywhere(path: Path, region: str | None = None, *, example: bool = False) -> Path:
    """Write a commented study file for a region; with ``example`` also a small synthetic world that it runs on.

    Parameters
    ----------
    path : Path
        The file, which must not exist; the world is written into ``<stem>-data`` beside it.
    region : str, optional
        ``"west,south,east,north"`` in degrees; by default a window in Iberia.
    example : bool
        Whether to make the files.

    Returns
    -------
    Path
        The study file.
    """
    if path.exists():
        raise UsageError(f"'{path}' exists already.", hint="Give another name.")
    box = region_bbox(region or IBERIA)
    if box is None:
        raise UsageError(f"'{region}' is the whole Earth, expected a region.",
                         hint="Give west,south,east,north in degrees.")  # fmt: skip
    changes = dict(FOR_FILES)
    if example:
        from xsm.twin import make_world, write_world

        data = path.with_suffix("").with_name(path.stem + "-data")
        if data.exists():
            raise UsageError(f"'{data}' exists already.", hint="Give the study another name.")
        days = np.datetime64(FIRST_DAY) + np.arange(DAYS)
        write_world(make_world(box, days), data, tuple(PRODUCTS))
        changes |= {"title": "A synthetic world", "margin": "0", "time": f"{days[0]}/{days[-1]}", "split": ""}
        changes |= {name: f"{data.name}/{folder}" for name, folder in PRODUCTS.items()}
    path.write_text(aligned(TEMPLATE.format(region=list(box), **changes)), encoding="utf-8")
    return path
