"""The small networks of the unit."""

from __future__ import annotations

import torch
from torch import Tensor, nn

MEMBERS = 4
"""Decoders that are trained one by one and merged."""
DECODED = 8192
"""Rows decoded at once: what passes between two layers stays in the cache."""


class Small(nn.Module):
    """Two dense layers that give zeros before training; ``(..., inputs)`` to ``(..., outputs)``."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(inputs, hidden), nn.Linear(hidden, outputs)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Two layers with a tanh between them."""
        return self.last(torch.tanh(self.first(x)))


class Decoder(nn.Module):
    """The mean of small networks side by side, each of two hidden layers; zeros before training."""

    def __init__(self, inputs: int, hidden: int, outputs: int, members: int) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(inputs, members * hidden), nn.Linear(members * hidden, outputs)
        drawn = [nn.Linear(hidden, hidden) for _ in range(members)]
        self.weight = nn.Parameter(torch.stack([d.weight.detach().T for d in drawn]))
        self.bias = nn.Parameter(torch.stack([d.bias.detach()[None] for d in drawn]))
        self.register_buffer("center", torch.zeros(inputs))
        self.register_buffer("spread", torch.ones(inputs))
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(..., inputs)`` to ``(..., outputs)``."""
        rows = x.flatten(0, -2).split(DECODED)
        return torch.cat([self._decode(r) for r in rows]).unflatten(0, x.shape[:-1])

    def _decode(self, rows: Tensor) -> Tensor:
        members, hidden, _ = self.weight.shape
        first = nn.functional.silu(self.first((rows - self.center) / self.spread))
        second = torch.baddbmm(self.bias, first.unflatten(1, (members, hidden)).transpose(0, 1), self.weight)
        return self.last(nn.functional.silu(second).transpose(0, 1).flatten(1))
