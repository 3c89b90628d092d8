"""The 53 datasets of a SPL3SMP_E retrieval group, as data (documentation: Formats, SMAP, Datasets to Flags)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from xsm_smap.layout import FLAGS


@dataclass(frozen=True)
class Dataset:
    """One dataset of the product.

    ``off`` is what stands where nothing was observed; it differs from ``_FillValue`` for the flags
    (documentation: Formats, SMAP, Cells without an observation).
    """

    type: str = "f4"
    units: str = ""
    low: float | None = None
    high: float | None = None
    off: Any = -9999.0
    long_name: str = ""
    flags: tuple[str, ...] = ()
    masks: tuple[int, ...] = ()

    @property
    def fill(self) -> np.generic | None:
        """The attribute ``_FillValue``; strings have none."""
        fills: dict[str, float] = {"f": -9999.0, "u2": 65534, "u1": 254}
        dtype = np.dtype(self.type)
        value = fills.get(dtype.kind, fills.get(self.type))
        return None if value is None else dtype.type(value)


RETRIEVAL_BITS = ("Retrieval_recommended", "Retrieval_attempted", "Retrieval_success", "FT_retrieval_success")
SURFACE_BITS = tuple(f"9_km_{name}" for name in FLAGS["surface_flag"])
TB_BITS = (
    "quality",
    "range",
    "RFI_detection",
    "RFI_correction",
    "NEDT",
    "direct_sun_correction",
    "reflected_sun_correction",
    "reflected_moon_correction",
    "direct_galaxy_correction",
    "reflected_galaxy_correction",
    "atmosphere_correction",
    "Faraday_rotation_correction",
    "null_value_bit",
    "water_correction",
    "RFI_check",
    "RFI_clean",
)
STOKES_MISSING = ("Faraday_rotation_correction", "water_correction")
ALGORITHMS = {"": "DCA", "_dca": "DCA", "_scah": "SCA-H", "_scav": "SCA-V"}
HARD_LINKS = ("soil_moisture", "vegetation_opacity", "roughness_coefficient", "albedo", "retrieval_qual_flag")
"""Generic names that are hard links to their ``_dca`` dataset."""


def _bits(count: int) -> tuple[int, ...]:
    return tuple(1 << b for b in range(count))


def _retrievals() -> dict[str, Dataset]:
    datasets: dict[str, Dataset] = {}
    for suffix, name in ALGORITHMS.items():
        datasets |= {
            f"soil_moisture{suffix}": Dataset(
                units="cm**3/cm**3", low=0.02, high=0.5,
                long_name=f"Representative {name} soil moisture measurement for the Earth based grid cell.",
            ),
            f"vegetation_opacity{suffix}": Dataset(
                low=-999999.875, high=999999.875,
                long_name=f"The measured opacity of the vegetation used in the {name} retrieval in the grid cell.",
            ),
            f"roughness_coefficient{suffix}": Dataset(
                low=0, high=1,
                long_name=f"A unitless value that is indicative of bare soil roughness used in {name} within the 9 km "
                "grid cell.",
            ),
            f"albedo{suffix}": Dataset(
                low=0, high=1,
                long_name=f"Diffuse reflecting power of the Earth&apos;s surface used in {name} within the grid cell.",
            ),
            f"retrieval_qual_flag{suffix}": Dataset(
                "u2", off=7, flags=RETRIEVAL_BITS, masks=_bits(4),
                long_name=f"Bit flags that record the conditions and the quality of the {name} retrieval algorithms "
                "that generate soil moisture for the grid cell.",
            ),
        }  # fmt: skip
    return datasets


def _brightness() -> dict[str, Dataset]:
    names = {"h": "Horizontal_polarization", "v": "Vertical_polarization", "3": "3rd_Stokes", "4": "4th_Stokes"}
    datasets: dict[str, Dataset] = {}
    for key, name in names.items():
        words = name.replace("_", " ")
        stokes = key in "34"
        bits = [(b, 1 << i) for i, b in enumerate(TB_BITS) if not (stokes and b in STOKES_MISSING)]
        for done in ("corrected",) if stokes else ("corrected", "uncorrected"):
            datasets[f"tb_{key}_{done}"] = Dataset(
                units="Kelvin", low=0, high=330,
                long_name=f"{words} brightness temperature in 9 km Earth grid cell"
                + (" adjusted for the presence of water bodies." if done == "corrected" else "."),
            )  # fmt: skip
        datasets[f"tb_qual_flag_{key}"] = Dataset(
            "u2", off=30719 if stokes else 65535, flags=tuple(f"{name}_{b}" for b, _ in bits),
            masks=tuple(m for _, m in bits),
            long_name=f"Bit flags that represent the quality of the {words.lower()} brightness temperature within each "
            "grid cell",
        )  # fmt: skip
    return datasets


DATASETS: dict[str, Dataset] = {
    **_retrievals(),
    **_brightness(),
    "soil_moisture_error": Dataset(units="cm**3/cm**3", low=0, high=0.2),
    "vegetation_water_content": Dataset(
        units="kg/m**2", low=0, high=20,
        long_name="Representative measure of water in the vegetation within the 9 km grid cell.",
    ),
    "surface_temperature": Dataset(
        units="Kelvins", low=0, high=350, long_name="Temperature at land surface based on GMAO GEOS-5 data."
    ),
    "bulk_density": Dataset(low=0, high=2.65),
    "clay_fraction": Dataset(low=0, high=1),
    "static_water_body_fraction": Dataset(low=0, high=1),
    "radar_water_body_fraction": Dataset(low=0, high=1),
    "surface_water_fraction_mb_h": Dataset(low=0, high=1),
    "surface_water_fraction_mb_v": Dataset(low=0, high=1),
    "freeze_thaw_fraction": Dataset(low=0, high=1),
    "boresight_incidence": Dataset(units="degrees", low=0, high=90),
    "latitude": Dataset(units="degrees_north", low=-90, high=90),
    "longitude": Dataset(units="degrees_east", low=-180, high=179.999),
    "latitude_centroid": Dataset(units="degrees", low=-90, high=90),
    "longitude_centroid": Dataset(units="degrees", low=-180, high=179.999),
    "surface_flag": Dataset(
        "u2", off=2047, flags=SURFACE_BITS, masks=_bits(12),
        long_name="Bit flags that record ambient surface conditions for the grid cell",
    ),
    "grid_surface_status": Dataset("u2", low=0, high=1, off=65534),
    "EASE_row_index": Dataset("u2", low=0, high=1623, off=65534),
    "EASE_column_index": Dataset("u2", low=0, high=3855, off=65534),
    "landcover_class": Dataset("u1", off=254),
    "landcover_class_fraction": Dataset(low=0, high=1),
    "tb_time_seconds": Dataset(
        "f8", "seconds", -999999.9, 9.4e8,
        long_name="Arithmetic average of the acquisition time of all of the brightness temperature footprints with a "
        "center that falls within the EASE grid cell in seconds since noon on January 1, 2000 UTC.",
    ),
    "tb_time_utc": Dataset(
        "S24", off=b"N/A".ljust(24),
        long_name="Arithmetic average of the acquisition time of all of the brightness temperature footprints with a "
        "center that falls within the EASE grid cell in UTC.",
    ),
}  # fmt: skip
