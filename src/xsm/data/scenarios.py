"""The four pairs of depth and scenario of the article (Table 2), with its references by role."""

from __future__ import annotations

from dataclasses import dataclass, replace

import xarray as xr

from xsm.data import article
from xsm.data.derived_text import behind
from xsm.data.roles import holders, usual
from xsm.errors import UsageError

SOIL = article.SOIL
PREDICTORS = article.PREDICTORS


@dataclass(frozen=True)
class Scenario:
    """Predictors and references of one depth and scenario.

    ``references`` are roles (`xsm.data.roles`), or names of variables (`scenario_of`). ``soil_depth`` (cm) is the slice
    of the static predictors, ``needs_surface`` whether the estimated ``sm_5cm`` is a predictor, ``lead_in`` the days at
    the start of a period that have no estimate.
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


SCENARIOS = {(s.depth, s.number): s for s in (Scenario(*row) for row in article.SCENARIOS)}


def get_scenario(depth: int, number: int) -> Scenario:
    """Look up a depth (5 or 25 cm) and scenario (1 or 2)."""
    if (depth, number) not in SCENARIOS:
        raise UsageError(
            f"There is no scenario {number} for a depth of {depth} cm.",
            hint="Depth is 5 or 25 (cm), scenario 1 or 2 (Table 2 of Rabiei et al. 2024).",
        )
    return SCENARIOS[depth, number]


def scenario_of(ds: xr.Dataset, depth: int, number: int) -> Scenario:
    """The scenario with the variables of a cube that hold its references.

    Examples
    --------
    >>> import xsm
    >>> scenario_of(xsm.example("cube", size=16, days=20), 25, 1).references
    ('sm_noah_10_40',)
    """
    scenario, names = get_scenario(depth, number), holders(ds)
    return replace(scenario, references=tuple(names.get(r) or usual(r) for r in scenario.references))
