"""Recognise files that are not granules of this plugin's products, and say what to request instead."""

from __future__ import annotations

import contextlib
import filecmp
import re
from pathlib import Path
from typing import Any

from xsm import DataError

from xsm_smap.claims import SHORT_NAMES
from xsm_smap.hdf5 import text

APPEEARS_NAME = re.compile(r"_aid\d{4}\.\w+$|-\d{3}-results\.csv$", re.I)
APPEEARS_TABLE = re.compile(rb"^(?:Category,)?ID,Latitude,Longitude,Date,")
APPEEARS_TITLE = re.compile(r"\bfor aid\d{4}")
APPEEARS_HINT = (
    "Request the granules themselves (SPL3SMP_E or SPL3SMP, HDF5) from Earthdata, for example with <fetch()>; AppEEARS "
    "resamples them to degrees and leaves the flags out."
)
NAMES = {
    "SPL3SMAP": re.compile(r"^SMAP_L3_SM_AP_"),
    "SPL3SMA": re.compile(r"^SMAP_L3_SM_A_"),
    "SPL2SMAP_S": re.compile(r"^SMAP_L2_SM_SP_"),
    "SPL2SMAP": re.compile(r"^SMAP_L2_SM_AP_"),
    "SPL2SMA": re.compile(r"^SMAP_L2_SM_A_"),
    "SPL4SMGP": re.compile(r"^SMAP_L4_SM_gph_"),
    "SPL4SMAU": re.compile(r"^SMAP_L4_SM_aup_"),
    "SPL4SMLM": re.compile(r"^SMAP_L4_SM_lmc_"),
    "SPL4CMDL": re.compile(r"^SMAP_L4_C_mdl_"),
    "SPL3FTP": re.compile(r"^SMAP_L3_FT_P_"),
    "SPL3FTP_E": re.compile(r"^SMAP_L3_FT_P_E_"),
    "SPL1CTB": re.compile(r"^SMAP_L1C_TB_\d"),
    "SPL1CTB_E": re.compile(r"^SMAP_L1C_TB_E_"),
}
LAYOUTS = {
    "SPL4SMAU": {"Analysis_Data", "Forecast_Data"},
    "SPL4SMLM": {"Land-Model-Constants_Data"},
    "SPL3FTP": {"Freeze_Thaw_Retrieval_Data_Global"},
}
"""Groups by which a renamed file is told."""
RADIOMETER = ("SPL3SMP_E", "SPL3SMP", "SPL2SMP_E", "SPL2SMP")
"""Products of the source ``smap``."""
DEFAULT = "Request SPL3SMP_E or SPL3SMP instead."
INSTEAD = {
    "SPL4SMGP": "Open it with the source smap_l4.",
    "SPL4SMAU": "Request SPL4SMGP (geophysical data) and open it with the source smap_l4.",
    "SPL4SMLM": "Request SPL4SMGP (geophysical data) and open it with the source smap_l4.",
    "SPL2SMAP": "Request SPL2SMP_E or SPL3SMP_E instead (radiometer only).",
    "SPL2SMAP_S": "Request SPL2SMP_E or SPL3SMP_E instead (radiometer only).",
    "SPL2SMA": "Request SPL2SMP_E or SPL3SMP_E instead (radiometer only).",
}


def is_appeears(path: Path) -> bool:
    """Whether the name is that of AppEEARS output of a SMAP product."""
    return bool(APPEEARS_NAME.search(path.name)) and "SPL" in path.name.upper()


def refuse_names(path: Path, expected: tuple[str, ...]) -> None:
    """Stop where name or first line are those of another product than the ``expected``."""
    with contextlib.suppress(OSError), open(path, "rb") as file:
        if APPEEARS_NAME.search(path.name) or APPEEARS_TABLE.match(file.read(64)):
            raise _appeears(path)
    product = next((p for p, pattern in NAMES.items() if pattern.match(path.name)), "")
    if product and product not in expected:
        raise _other(path, product, expected)


def refuse_others(file: Any, path: Path, expected: tuple[str, ...]) -> None:
    """Stop where an HDF5 file says that it is another product than those ``expected``."""
    if APPEEARS_TITLE.search(text(file, "title")):
        raise _appeears(path)
    product = ""
    for place in ("Metadata/DatasetIdentification", "Metadata/SeriesIdentification", "/"):
        node = file.get(place)
        for name in SHORT_NAMES if node is not None and not product else ():
            value = text(node, name)
            product = value if re.fullmatch(r"SPL[1-4]\w+", value) else product
    product = product or next((p for p, groups in LAYOUTS.items() if groups & set(file)), "")
    if product and product not in expected:
        raise _other(path, product, expected)


def _other(path: Path, product: str, expected: tuple[str, ...]) -> DataError:
    radiometer = "smap" if product in RADIOMETER else ""
    hint = f"Open it with the source {radiometer}." if radiometer else INSTEAD.get(product, DEFAULT)
    return DataError(f"'{path}' is a file of {product}, expected {' or '.join(expected)}.", hint=hint)


def _appeears(path: Path) -> DataError:
    return DataError(f"'{path}' is output of AppEEARS, expected a SMAP granule.", hint=APPEEARS_HINT)


def refuse_unlike(one: str, other: str) -> None:
    """Stop where two files of one time and release, of which only one is read, are not copies of each other."""
    if not filecmp.cmp(one, other, shallow=False):
        raise DataError(
            f"'{one}' and '{other}' are of one time, release and counter, but their contents differ.",
            hint="Give one of them; download it again if you do not know which is whole.",
        )
