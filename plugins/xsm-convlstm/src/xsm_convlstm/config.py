"""All hyperparameters as one typed class, the presets, and the options that the model offers."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from xsm import UsageError
from xsm.plugin_api import Kind, ModelInfo, Param

CELL_DATES = 32
"""Dates in a batch that the R of ``r2_over="cell"`` needs (documentation: Decisions, "References and loss")."""


def _of(default: Any, kind: Kind, help: str, **limits: Any) -> Any:
    return field(default=default, metadata={"kind": kind, "help": help, **limits})


@dataclass(frozen=True)
class Config:
    """Hyperparameters; the defaults are those of the article (section 2.4) where it has them.

    Documentation: Decisions, "Network" and "Patches and splits".

    Examples
    --------
    >>> Config.from_options({"preset": "small", "epochs": 2}).filters
    (16, 16, 16, 16)
    """

    filters: tuple[int, ...] = _of(
        (16, 16, 16, 32, 32, 32, 48, 48, 64, 64), Kind.STRINGS, "Filters of each ConvLSTM layer."
    )
    attention: tuple[int, ...] = _of((2, 5), Kind.STRINGS, "Layers (from 1) followed by an attention block.")
    reduction: int = _of(4, Kind.INTEGER, "Factor by which attention reduces the features.", minimum=1)
    kernel: int = _of(3, Kind.INTEGER, "Width of the convolutions in cells, odd.", minimum=1, maximum=9)
    dropout: float = _of(0.2, Kind.NUMBER, "Dropout rate after each layer.", minimum=0.0, maximum=0.9)
    candidate: str = _of(
        "tanh",
        Kind.CHOICE,
        "Activation of the candidate cell state: tanh (the paper's equations) or sigmoid (its text).",
        choices=("tanh", "sigmoid"),
    )
    look_back: int = _of(3, Kind.INTEGER, "Days in a sequence; the last one is estimated.", minimum=1, maximum=60)
    patch: int = _of(64, Kind.INTEGER, "Width of a patch in cells.", minimum=4, maximum=1024)
    stride: int = _of(48, Kind.INTEGER, "Distance between patches in cells.", minimum=1, maximum=1024)
    loss_steps: str = _of("last", Kind.CHOICE, "Days of a sequence that enter the loss.", choices=("last", "all"))
    alpha: float = _of(1.0, Kind.NUMBER, "Weight of the RMSE term of equation 8.", minimum=0.0)
    beta: float = _of(1.0, Kind.NUMBER, "Weight of the R-squared term of equation 8 (surface).", minimum=0.0)
    beta25: float = _of(
        0.0, Kind.NUMBER, "Weight of an R-squared term where RMSE and R have one reference (subsurface).", minimum=0.0
    )
    r2_over: str = _of(
        "batch",
        Kind.CHOICE,
        "R over all values of a batch, or over the dates of each cell (then a batch is one patch).",
        choices=("batch", "cell"),
    )
    learning_rate: float = _of(1e-3, Kind.NUMBER, "Step size of Adam.", minimum=1e-7, maximum=1.0)
    decay: float = _of(
        1.0, Kind.NUMBER, "Share of the step size that a cosine leaves at the last epoch.", minimum=0.0, maximum=1.0
    )
    batch_size: int = _of(16, Kind.INTEGER, "Sequences in a batch.", minimum=1)
    epochs: int = _of(100, Kind.INTEGER, "Maximum number of epochs.", minimum=1)
    steps_per_epoch: int = _of(0, Kind.INTEGER, "Batches in an epoch; 0 takes each sequence once.", minimum=0)
    validation_steps: int = _of(0, Kind.INTEGER, "Validation batches, drawn at random once; 0 takes all.", minimum=0)
    precision: str = _of(
        "float32",
        Kind.CHOICE,
        "Arithmetic of training; auto takes bfloat16 where the processor or GPU supports it.",
        choices=("float32", "auto"),
    )
    patience: int = _of(10, Kind.INTEGER, "Epochs without improvement before training stops.", minimum=1)
    members: int = _of(1, Kind.INTEGER, "Networks of an ensemble, each with its own seed.", minimum=1, maximum=50)
    dropout_passes: int = _of(
        0,
        Kind.INTEGER,
        "Passes with dropout (Monte Carlo) in an estimate; 0: one pass without dropout.",
        minimum=0,
        maximum=200,
    )
    devices: int = _of(1, Kind.INTEGER, "Processes or GPUs that share each batch.", minimum=1, maximum=64)
    checkpoints: str = _of(
        "", Kind.STRING, "Folder for the state after each epoch, from which an interrupted training is continued."
    )

    def __post_init__(self) -> None:
        wrong = [
            (
                not self.filters or min(self.filters) < 1,
                f"filters are {self.filters}",
                "at least one layer, each above 0",
            ),
            (self.kernel % 2 == 0, f"the kernel is {self.kernel} wide", "an odd width"),
            (
                any(not 1 <= k <= len(self.filters) for k in self.attention),
                f"attention follows layers {self.attention}",
                f"layers from 1 to {len(self.filters)}",
            ),
            (self.stride > self.patch, f"the stride is {self.stride}", f"at most the patch width {self.patch}"),
            (
                self.r2_over == "cell" and self.batch_size < CELL_DATES,
                f"a batch has {self.batch_size} dates",
                f"at least {CELL_DATES} for r2_over='cell'",
            ),
        ]
        for bad, got, expected in wrong:
            if bad:
                raise UsageError(
                    f"In the options of model 'convlstm' {got}, expected {expected}.", hint="Change the option."
                )

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Config:
        """The config of a ``preset`` with single hyperparameters changed; unknown names are refused."""
        params = {p.name: p for p in OPTIONS}
        for name in options:
            if name not in params:
                near = difflib.get_close_matches(name, params, n=1)
                guess = f"Did you mean '{near[0]}'? " if near else ""
                raise UsageError(
                    f"Model 'convlstm' has no option '{name}'.", hint=f"{guess}Known: {', '.join(sorted(params))}."
                )
        checked = {name: params[name].check(value) for name, value in options.items() if value is not None}
        values = PRESETS[checked.pop("preset", "small")] | checked
        typed: dict[str, Any] = {n: _integers(n, v) if isinstance(v, tuple) else v for n, v in values.items()}
        return cls(**typed)


PRESETS: dict[str, dict[str, Any]] = {
    "small": {
        "filters": (16, 16, 16, 16),
        "attention": (2, 4),
        "dropout": 0.05,
        "patch": 32,
        "stride": 24,
        "learning_rate": 5e-3,
        "decay": 0.02,
        "batch_size": 8,
        "epochs": 14,
        "steps_per_epoch": 16,
        "validation_steps": 6,
        "patience": 6,
    },
    "rabiei2024": {},
    "rabiei2024-table2": {"beta25": 1.0},
    "rabiei2024-memory": {},
}
"""Changes of each preset; ``rabiei2024-table2`` adds the subsurface R of the paper's Table 2, ``rabiei2024-memory`` is
for 25 cm and adds exponential filters to the predictors (`MEMORY`)."""
MEMORY = {"rabiei2024-memory": {"memory": ("5", "20", "60")}}


def _integers(name: str, values: tuple[Any, ...]) -> tuple[int, ...]:
    try:
        return tuple(int(v) for v in values)
    except (TypeError, ValueError):
        raise UsageError(f"'{name}' is {values}, expected whole numbers.", hint="For example 12,12,16,16.") from None


OPTIONS = (
    Param("Hyperparameters to start from.", "preset", kind=Kind.CHOICE, default="small", choices=tuple(PRESETS)),
    *(Param(name=f.name, advanced=True, **f.metadata) for f in fields(Config)),
)
INFO = ModelInfo(
    name="convlstm",
    title="Attention ConvLSTM (Rabiei et al. 2024)",
    task="estimate",
    factory="xsm_convlstm.model:ConvLSTM",
    options=OPTIONS,
    requires=("torch",),
    look_back=3,
    presets=MEMORY,
)
