"""The four pairs of depth and scenario of the paper (Table 2) as data."""

from __future__ import annotations

from dataclasses import dataclass

from xsm.data.derived_text import behind
from xsm.errors import UsageError

SMAP_ANCILLARY = ("tb_h", "tb_v", "albedo", "roughness", "vegetation_opacity", "vegetation_water_content",
                  "surface_temperature")  # fmt: skip
SOIL = ("sand", "silt", "clay", "bulk_density")


@dataclass(frozen=True)
class Scenario:
    """Predictors and references of one depth and scenario.

    ``soil_depth`` (cm) is the SOLUS100 slice of the static predictors, ``needs_surface`` whether the estimated
    ``sm_5cm`` is a predictor, ``lead_in`` the days at the start of a period that have no estimate.
    """

    depth: int
    number: int
    inputs: tuple[str, ...]
    statics: tuple[str, ...]
    references: tuple[str, ...]
    soil_depth: int
    lead_in: int = 2

    def __str__(self) -> str:
        return f"{self.depth} cm scenario {self.number}"

    @property
    def target(self) -> str:
        """Name of the estimate."""
        return f"sm_{self.depth}cm"

    @property
    def needs_surface(self) -> bool:
        """Whether the estimated surface soil moisture is a predictor, or behind one."""
        return any(behind(n) == "sm_5cm" for n in (*self.inputs, *self.statics))


_SURFACE, _SUBSURFACE = ("sm_noah_0_10", "sm_dca"), ("sm_noah_10_40",)
SCENARIOS = {
    (s.depth, s.number): s
    for s in (
        Scenario(5, 1, SMAP_ANCILLARY, (), _SURFACE, 5),
        Scenario(5, 2, SMAP_ANCILLARY, SOIL, _SURFACE, 5),
        Scenario(25, 1, SMAP_ANCILLARY, SOIL, _SUBSURFACE, 30),
        Scenario(25, 2, (*SMAP_ANCILLARY, "sm_5cm"), SOIL, _SUBSURFACE, 30, lead_in=4),
    )
}


def get_scenario(depth: int, number: int) -> Scenario:
    """Look up a depth (5 or 25 cm) and scenario (1 or 2)."""
    if (depth, number) not in SCENARIOS:
        raise UsageError(
            f"There is no scenario {number} for a depth of {depth} cm.",
            hint="Depth is 5 or 25 (cm), scenario 1 or 2 (Table 2 of Rabiei et al. 2024).",
        )
    return SCENARIOS[depth, number]
