"""The peephole ConvLSTM layer: equations 1 to 6 of Rabiei et al. (2024), section 2.4."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from xsm_convlstm.scan import Scan, suits


class PeepholeConvLSTM(nn.Module):
    """One ConvLSTM layer over a sequence, from a zero state.

    The input convolutions of all steps are one call, the four gates one convolution; at the first step, where the
    state is zero, there is no recurrent convolution, no peephole of i and f and no forget gate.

    Parameters
    ----------
    channels, filters : int
        Features in and out.
    kernel : int
        Width of both convolutions, odd, padding "same".
    candidate : {"tanh", "sigmoid"}
        Activation of the candidate cell state.

    Notes
    -----
    Gate order in the convolutions' outputs is i, f, o, candidate. ``peephole`` contains W_ci, W_cf and W_co as
    ``(3, filters, 1, 1)``: one weight per channel, whatever the size of the map.
    """

    def __init__(self, channels: int, filters: int, kernel: int = 3, candidate: str = "tanh") -> None:
        super().__init__()
        self.filters = filters
        self.activate = {"tanh": torch.tanh, "sigmoid": torch.sigmoid}[candidate]
        self.input = nn.Conv2d(channels, 4 * filters, kernel, padding=kernel // 2)
        self.recurrent = nn.Conv2d(filters, 4 * filters, kernel, padding=kernel // 2, bias=False)
        self.peephole = nn.Parameter(torch.zeros(3, filters, 1, 1))
        for weight in (self.input.weight, self.recurrent.weight):
            nn.init.xavier_uniform_(weight)
        nn.init.zeros_(self.input.bias)
        with torch.no_grad():
            self.input.bias[filters : 2 * filters] = 1.0

    def drive(self, x: Tensor) -> Tensor:
        """Input convolutions of all steps: (time, sample, channel, y, x) to (time, sample, 4 filter, y, x)."""
        return self.input(x.flatten(0, 1)).unflatten(0, x.shape[:2])

    def scan(self, drive: Tensor) -> Tensor:
        """Run the recurrence over driven gates: (time, sample, 4 filter, y, x) to (time, sample, filter, y, x)."""
        if suits(drive):
            hidden: Tensor = Scan.apply(drive, self.recurrent.weight, self.peephole, self.activate is torch.tanh)
            return hidden
        w_i, w_f, w_o = self.peephole
        first, *later = drive.flatten(0, 1).chunk(len(drive))
        i, _, o, g = first.split(self.filters, dim=1)
        c = torch.sigmoid(i) * self.activate(g)
        h = torch.sigmoid(torch.addcmul(o, w_o, c)) * torch.tanh(c)
        states = [h]
        for step in later:
            i, f, o, g = (step + self.recurrent(h)).split(self.filters, dim=1)
            i, f = torch.addcmul(i, w_i, c), torch.addcmul(f, w_f, c)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * self.activate(g)
            h = torch.sigmoid(torch.addcmul(o, w_o, c)) * torch.tanh(c)
            states.append(h)
        return torch.cat(states).unflatten(0, drive.shape[:2])

    def forward(self, x: Tensor) -> Tensor:
        """Return the hidden states: (time, sample, channel, y, x) to (time, sample, filter, y, x)."""
        return self.scan(self.drive(x))
