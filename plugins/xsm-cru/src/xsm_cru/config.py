"""Options of the model, described and as a typed class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from xsm.plugin_api import Kind, Param

OPTIONS = (
    Param(
        "Cell of the recurrent unit: an exact bank of Ornstein-Uhlenbeck modes, or the published three-diagonal cell.",
        name="cell", kind=Kind.CHOICE, choices=("bank", "published"), default="bank",
    ),
    Param(
        "Use all observations, or none after the day that is filled (as in the paper).",
        name="mode", kind=Kind.CHOICE, choices=("smoother", "filter"), default="smoother",
    ),
    Param("Modes of the bank.", name="modes", kind=Kind.INTEGER, default=2, minimum=1, maximum=4, advanced=True),
    Param(
        "Repeat cycle of the orbit, each day of which has its own offset; 0 = none.",
        name="revisit", kind=Kind.INTEGER, default=8, minimum=0, maximum=64, unit="d", advanced=True,
    ),
    Param(
        "Harmonics of the yearly cycle, whose prior all cells share; none for less than 11 months of training.",
        name="season", kind=Kind.INTEGER, default=2, minimum=0, maximum=3, advanced=True,
    ),
    Param(
        "Width of the small networks.",
        name="hidden", kind=Kind.INTEGER, default=24, minimum=4, maximum=256, advanced=True,
    ),
    Param(
        "Observed latent states of the published cell.",
        name="latent", kind=Kind.INTEGER, default=5, minimum=1, maximum=32, advanced=True,
    ),
    Param(
        "Transitions that the published cell mixes depending on its state.",
        name="mixtures", kind=Kind.INTEGER, default=1, minimum=1, maximum=32, advanced=True,
    ),
    Param(
        "Maximum number of training steps; 0 keeps the initial values.",
        name="epochs", kind=Kind.INTEGER, default=100, minimum=0, maximum=10000,
    ),
    Param(
        "Maximum wall time of training for each variable; trainings that it ends are not repeatable.",
        name="budget", kind=Kind.NUMBER, minimum=1, unit="s", advanced=True,
    ),
    Param(
        "Maximum number of cells to learn from; fewer where series are longer than a year.",
        name="cells", kind=Kind.INTEGER, default=512, minimum=1, advanced=True,
    ),
    Param(
        "Largest learning rate.",
        name="learning_rate", kind=Kind.NUMBER, default=0.02, minimum=1e-6, maximum=1, advanced=True,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Config:
    """The options by name, with the defaults of `OPTIONS`."""

    cell: str = "bank"
    mode: str = "smoother"
    modes: int = 2
    revisit: int = 8
    season: int = 2
    hidden: int = 24
    latent: int = 5
    mixtures: int = 1
    epochs: int = 100
    budget: float | None = None
    cells: int = 512
    learning_rate: float = 0.02

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Config:
        """Check options against their descriptions."""
        from xsm import UsageError

        known = {p.name: p for p in OPTIONS}
        for name in options:
            if name not in known:
                raise UsageError(f"Unknown option '{name}' of model 'cru'.", hint=f"Known: {', '.join(sorted(known))}.")
        return cls(**{n: known[n].check(v) for n, v in options.items() if v is not None})

    def to_json(self) -> dict[str, Any]:
        """Return the options as JSON types."""
        return asdict(self)
