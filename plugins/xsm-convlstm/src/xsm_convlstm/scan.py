"""The recurrence of a layer on a processor as one differentiable step: gates in one pass over memory, both ways."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

SHARE = 2048
"""Fewest cells that are worth a thread of their own."""


def suits(drive: Tensor) -> bool:
    """Whether `Scan` takes this: float32 or bfloat16 on a processor."""
    return drive.device.type == "cpu" and drive.dtype in (torch.float32, torch.bfloat16)


class Scan(torch.autograd.Function):
    """Hidden states ``(time, sample, filter, y, x)`` from driven gates, recurrent weights and peepholes.

    The same as `PeepholeConvLSTM.scan` writes out. The gradient of the recurrent weights is one convolution for all
    steps.
    """

    @staticmethod
    def forward(ctx: Any, drive: Tensor, weight: Tensor, peephole: Tensor, tanh: bool) -> Tensor:
        """Run all steps and keep what the backward pass needs."""
        from xsm_convlstm.gates import forward_step

        steps, samples, _, ny, nx = drive.shape
        filters, dtype = peephole.shape[1], drive.dtype
        driven = [_last(part) for part in drive]
        small, peepholes = weight.detach().to(dtype), peephole.detach().flatten(1).float().contiguous().numpy()
        gates, h = ([empty(samples, n * filters, ny, nx, dtype) for _ in driven] for n in (4, 1))
        c = [empty(samples, filters, ny, nx, torch.float32) for _ in driven]
        none = _last(torch.zeros(samples, 4 * filters, ny, nx, dtype=dtype)), torch.zeros_like(c[0])
        for t in range(steps):
            again = _last(F.conv2d(h[t - 1], small, padding=weight.shape[-1] // 2)) if t else none[0]
            before = c[t - 1] if t else none[1]
            _shared(forward_step, (driven[t], again, before, gates[t], c[t], h[t]), (peepholes, tanh))
        ctx.kept, ctx.tanh, ctx.none = (gates, c, h), tanh, none[1]
        ctx.save_for_backward(weight, peephole)
        return torch.stack(h)

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Gradients of the inputs, from the last step to the first."""
        from xsm_convlstm.gates import backward_step

        weight, peephole = ctx.saved_tensors
        gates, c, h = ctx.kept
        steps, dtype, pad = len(h), h[0].dtype, weight.shape[-1] // 2
        turned = weight.to(dtype).flip(-2, -1).transpose(0, 1)
        peepholes = peephole.flatten(1).float().contiguous().numpy()
        samples, filters, ny, nx = h[0].shape
        out = [empty(samples, 4 * filters, ny, nx, dtype) for _ in h]
        dc = empty(samples, filters, ny, nx, torch.float32).zero_()
        dpeephole = np.zeros((3, filters))
        for t in reversed(range(steps)):
            dh = grad[0][t].to(dtype)
            if t < steps - 1:
                dh = dh + F.conv2d(out[t + 1], turned, padding=pad)
            before = c[t - 1] if t else ctx.none
            parts = _shared(backward_step, (gates[t], before, c[t], _last(dh), dc, out[t]), (peepholes, ctx.tanh))
            dpeephole += sum(parts)
        dweight = torch.zeros_like(weight)
        if steps > 1:
            states, errors = torch.cat(h[:-1]), torch.cat(out[1:])
            dweight = torch.nn.grad.conv2d_weight(states, list(weight.shape), errors, padding=pad).to(weight.dtype)
        return torch.stack(out), dweight, torch.from_numpy(dpeephole).to(peephole).view_as(peephole), None


def empty(n: int, filters: int, ny: int, nx: int, dtype: torch.dtype) -> Tensor:
    """Channels-last memory with the margin that the gates need."""
    from xsm_convlstm.gates import MARGIN

    count, margin = n * filters * ny * nx, MARGIN // dtype.itemsize
    return torch.empty(count + 2 * margin, dtype=dtype)[margin:-margin].view(n, ny, nx, filters).permute(0, 3, 1, 2)


def rows(values: Tensor) -> np.ndarray:
    """View channels-last values as ``(cell, channel)``, bfloat16 as its bits."""
    flat = values.permute(0, 2, 3, 1).view(-1, values.shape[1])
    return flat.view(torch.uint16).numpy() if flat.dtype == torch.bfloat16 else flat.numpy()


def _last(values: Tensor) -> Tensor:
    return values.detach().contiguous(memory_format=torch.channels_last)


def _shared(kernel: Callable[..., Any], arrays: tuple[Tensor, ...], constants: tuple[Any, ...]) -> list[Any]:
    """Run a kernel on shares of the cells side by side, in torch's number of threads."""
    flat = [rows(a) for a in arrays]
    cells = len(flat[0])
    parts = max(1, min(torch.get_num_threads(), cells // SHARE))
    edges = np.linspace(0, cells, parts + 1).astype(int)
    shares = [[a[start:stop] for a in flat] for start, stop in itertools.pairwise(edges)]
    if parts == 1:
        return [kernel(*shares[0], *constants)]
    return list(_pool(parts).map(lambda share: kernel(*share, *constants), shares))


@lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads)
