"""The network of Rabiei et al. (2024), Figure 1: ConvLSTM layers, batch norm, dropout, attention, output and spread."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xsm_convlstm.cell import PeepholeConvLSTM
from xsm_convlstm.config import Config


class Attention(nn.Module):
    """Weight features by their mean over the valid cells of the patch, at each time step.

    ``w = sigmoid(W2 relu(W1 mean(h) + b1) + b2)``, output ``w h`` (section 2.4). Masked cells do not enter the mean.

    Parameters
    ----------
    features, reduction : int
        Features in and out; the first dense layer has ``features / reduction``.
    """

    def __init__(self, features: int, reduction: int = 4) -> None:
        super().__init__()
        self.reduce = nn.Linear(features, max(1, features // reduction))
        self.restore = nn.Linear(self.reduce.out_features, features)

    def forward(self, h: Tensor, mask: Tensor) -> Tensor:
        """Weight ``h`` (time, sample, feature, y, x) with the means over ``mask`` (sample, 1, y, x)."""
        return h * self.weights(h, mask)

    def weights(self, h: Tensor, mask: Tensor) -> Tensor:
        """The weights (time, sample, feature, 1, 1)."""
        mean = (h * mask).sum((-2, -1)) / mask.sum((-2, -1)).clamp(min=1.0)
        return torch.sigmoid(self.restore(torch.relu(self.reduce(mean))))[..., None, None]


class Network(nn.Module):
    """Normalised inputs to normalised soil moisture and its spread.

    Parameters
    ----------
    channels : int
        Dynamic inputs, statics and the mask channel.
    config : Config
        Layers, attention, dropout, kernel, candidate.
    """

    def __init__(self, channels: int, config: Config) -> None:
        super().__init__()
        sizes = (channels, *config.filters)
        self.layers = nn.ModuleList(PeepholeConvLSTM(a, b, config.kernel, config.candidate) for a, b in pairwise(sizes))
        self.norms = nn.ModuleList(nn.BatchNorm2d(n) for n in config.filters)
        self.attention = nn.ModuleDict(
            {str(k): Attention(config.filters[k - 1], config.reduction) for k in config.attention}
        )
        self.dropout, self.candidate = config.dropout, config.candidate
        self.output = nn.Conv2d(sizes[-1], 1, 1)
        self.spread = nn.Conv2d(sizes[-1], 1, 1)

    def forward(self, x: Tensor, mask: Tensor, steps: int = 1) -> tuple[Tensor, Tensor]:
        """Estimate the last ``steps`` days of sequences.

        Parameters
        ----------
        x : Tensor
            (time, sample, channel, y, x), normalised, 0 outside the mask.
        mask : Tensor
            (sample, 1, y, x), 1 in the domain.

        Returns
        -------
        mean, spread : Tensor
            (steps, sample, y, x) each; the spread is positive and its gradient stays in its own head.
        """
        return self.from_drive(self.drive(x), mask, steps)

    def drive(self, x: Tensor) -> Tensor:
        """First layer's input convolutions, each day once: (time, sample, channel, y, x) to (..., 4 filter, y, x)."""
        return self.layers[0].drive(x)

    def from_drive(self, drive: Tensor, mask: Tensor, steps: int = 1) -> tuple[Tensor, Tensor]:
        """Continue from `drive`, whose days overlapping sequences share."""
        h = self.layers[0].scan(drive)
        for k, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True), start=1):
            if k > 1:
                h = layer(h)
            h = norm(h.flatten(0, 1)).unflatten(0, h.shape[:2])
            h = F.dropout(h, self.dropout, self.training)
            if str(k) in self.attention:
                h = self.attention[str(k)](h, mask)
        h = h[-steps:].flatten(0, 1).float()
        shape = (steps, mask.shape[0], *mask.shape[-2:])
        with torch.autocast(h.device.type, enabled=False):
            spread = F.softplus(self.spread(h.detach())) + 1e-3
            return self.output(h).reshape(shape), spread.reshape(shape)
