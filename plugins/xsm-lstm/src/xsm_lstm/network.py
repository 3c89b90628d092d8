"""The network: a dense layer, an LSTM, and a head for mean and spread."""

from __future__ import annotations

import torch
from torch import Tensor, nn

FORGET_BIAS = 3.0
"""Start of the forget gate's bias, so that the network begins with a long memory (Gers et al. 2000)."""


class Network(nn.Module):
    """LSTM (Hochreiter and Schmidhuber 1997) with dropout of features, the same on all days, and of weights.

    Parameters
    ----------
    channels : int
        Features of a day.
    hidden : int
        Units of the state.
    dropout, weight_dropout : float
        Rates while training.
    """

    def __init__(self, channels: int, hidden: int, dropout: float, weight_dropout: float) -> None:
        super().__init__()
        self.encode = nn.Linear(channels, hidden)
        self.lstm = nn.LSTM(hidden, hidden)
        self.head = nn.Linear(hidden, 2)
        self.dropout, self.weight_dropout = dropout, weight_dropout
        with torch.no_grad():
            self.lstm.bias_hh_l0[hidden : 2 * hidden] = FORGET_BIAS

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Give mean and spread ``(time, cell)`` of normalised ``x (time, cell, channel)``."""
        x = self._dropped(torch.relu(self.encode(x)))
        if self.training:
            names = ("weight_ih_l0", "weight_hh_l0")
            weights = {n: nn.functional.dropout(getattr(self.lstm, n), self.weight_dropout) for n in names}
            state, _ = torch.func.functional_call(self.lstm, weights, (x,))
        else:
            state, _ = self.lstm(x)
        mean, spread = self.head(self._dropped(state)).unbind(-1)
        return mean, nn.functional.softplus(spread) + 1e-3

    def _dropped(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        return x * nn.functional.dropout(torch.ones_like(x[:1]), self.dropout)
