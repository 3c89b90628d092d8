"""Estimates on a processor: the network of `xsm_convlstm.network` in a flat form with fixed weights.

Unlike the module that trains: channels last, bfloat16 on request, batch norm folded into the gates, one pass over
memory for all gates of a step (`xsm_convlstm.gates`), statics and mask convolved once for all days, the first layer's
input once for each day, and no recurrent convolution at the first step. Threads work on groups of sequences side by
side. A group always has the same size: an estimate depends neither on its neighbours in a call nor on the number
of threads, to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from xsm_convlstm.network import Attention, Network
from xsm_convlstm.scan import empty, rows

GROUP_CELLS = 2**12
"""Cells of a group of sequences: small enough that a group stays in a core's share of the cache."""
DEVICE_CELLS = 2**19
"""Cells of all sequences that go through the network at once on another device; bounds memory."""
LANES = 16
"""Filters are padded with zeros to a multiple of this: a vector of float32, and the block of the convolutions."""


@dataclass(frozen=True)
class Layer:
    """Weights of one ConvLSTM layer: convolutions in the arithmetic of the network, gates in float32."""

    input: Tensor
    recurrent: Tensor
    bias: Tensor
    peephole: np.ndarray
    scale: np.ndarray
    shift: np.ndarray
    attention: Attention | None
    keep: Tensor | None = None
    """Monte Carlo dropout: ``(time, 1, filter, y, x)``, 0 or 1 / (1 - rate), the same for all sequences."""


@dataclass(frozen=True)
class Flat:
    """A network ready to estimate; ``fixed`` are the first layer's weights for statics and mask."""

    layers: tuple[Layer, ...]
    fixed: Tensor
    heads: Tensor
    heads_bias: Tensor
    tanh: bool


def able(device: str = "cpu") -> bool:
    """Whether a device computes with bfloat16 faster than with float32."""
    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    known: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)() if device == "cpu" else {}
    return any(known.get(name) for name in ("avx512_bf16", "amx_bf16"))


def flatten(net: Network, dynamic: int, dtype: torch.dtype) -> Flat:
    """The flat form of a network; its first ``dynamic`` channels change from day to day, the others do not."""
    layers, before = [], dynamic
    for k, (layer, norm) in enumerate(zip(net.layers, net.norms, strict=True), start=1):
        n = -(-layer.filters // LANES) * LANES
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        layers.append(
            Layer(
                _convolution(layer.input.weight[:, :dynamic] if k == 1 else layer.input.weight, n, before, dtype),
                _convolution(layer.recurrent.weight, n, n, dtype),
                _by_gate(layer.input.bias, n).to(dtype),
                _padded(layer.peephole.flatten(1), n, 1).numpy(),
                _padded(scale, n, 0).numpy(),
                _padded(norm.bias - scale * norm.running_mean, n, 0).numpy(),
                dict(net.attention.items()).get(str(k)),
            )
        )
        before = n
    first = net.layers[0].input.weight[:, dynamic:]
    heads = torch.cat([net.output.weight, net.spread.weight]).flatten(1)
    return Flat(
        tuple(layers),
        _convolution(first, len(layers[0].scale), first.shape[1], dtype),
        _padded(heads, before, 1).T.contiguous(),
        torch.cat([net.output.bias, net.spread.bias]),
        net.candidate == "tanh",
    )


def thinned(flat: Flat, rate: float, number: int, look_back: int, shape: tuple[int, int]) -> Flat:
    """The network without the neurons that pass ``number`` of Monte Carlo dropout leaves out, the same in each run."""
    layers = []
    for k, layer in enumerate(flat.layers):
        rng = torch.Generator().manual_seed(number * 1000 + k)
        share = torch.full((look_back, 1, *shape, len(layer.scale)), 1.0 - rate)
        keep = torch.bernoulli(share, generator=rng).div_(1.0 - rate).to(flat.fixed.dtype)
        layers.append(replace(layer, keep=keep.permute(0, 1, 4, 2, 3)))
    return replace(flat, layers=tuple(layers))


def estimate(
    flat: Flat, x: np.ndarray, fixed: np.ndarray, mask: np.ndarray, look_back: int
) -> tuple[np.ndarray, np.ndarray]:
    """Estimate every day that has ``look_back - 1`` days before it.

    Parameters
    ----------
    flat : Flat
        From `flatten`.
    x, fixed : ndarray
        Normalised float32 channels, last: ``(time, patch, y, x, dynamic)`` and ``(patch, y, x, static and mask)``.
    mask : ndarray
        ``(patch, y, x)``, 1 in the domain.

    Returns
    -------
    mean, spread : ndarray
        ``(patch, day, y, x)`` float32, normalised.
    """
    times, patches, ny, nx, _ = x.shape
    days = times - look_back + 1
    size = max(1, GROUP_CELLS // (ny * nx))
    dtype = flat.fixed.dtype
    valid = torch.from_numpy(mask.astype(np.float32))[:, None]
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        run = _one_thread_each(pool)
        still = torch.cat(run(lambda p: _convolve(_channels_last(fixed[p : p + 1], dtype), flat.fixed), range(patches)))
        images = [(p, t) for p in range(patches) for t in range(times)]

        def drive(group: Sequence[tuple[int, int]]) -> Tensor:
            which, when = map(list, zip(*group, strict=True))
            moving = _convolve(_channels_last(x[when, which], dtype), flat.layers[0].input, flat.layers[0].bias)
            return moving.add_(still[which])

        drives = torch.cat(run(drive, _groups(images, size)))[: len(images)]
        sequences = [(p, d) for p in range(patches) for d in range(days)]

        def sequence(group: Sequence[tuple[int, int]]) -> Tensor:
            days_of_group = [p * times + d + k for k in range(look_back) for p, d in group]
            return _heads(flat, drives[days_of_group], valid[[p for p, _ in group]])

        values = torch.cat(run(sequence, _groups(sequences, size)))[: len(sequences)]
    mean, spread = values.reshape(patches, days, ny, nx, 2).unbind(-1)
    return mean.numpy(), (F.softplus(spread) + 1e-3).numpy()


@torch.inference_mode()
def estimate_on(
    device: str, net: Network, x: np.ndarray, mask: np.ndarray, look_back: int, dtype: torch.dtype = torch.float32
) -> tuple[np.ndarray, np.ndarray]:
    """Estimate on another device, with the network as it is and each day's first convolution shared.

    Parameters
    ----------
    x : ndarray
        ``(time, patch, channel, y, x)``; the other arguments and the result are as in `estimate`.
    """
    net = net.to(device, memory_format=torch.channels_last)
    days = len(x) - look_back + 1
    at_once = max(1, DEVICE_CELLS // mask.size)
    valid = torch.from_numpy(mask.astype(np.float32))[:, None].to(device)
    parts = []
    for first in range(0, days, at_once):
        part = torch.from_numpy(x[first : first + at_once + look_back - 1]).to(device)
        count = len(part) - look_back + 1
        with torch.autocast(device.split(":", maxsplit=1)[0], dtype, enabled=dtype != torch.float32):
            drive = net.drive(part)
            sequences = torch.stack([drive[k : k + count].flatten(0, 1) for k in range(look_back)])
            both = net.from_drive(sequences, valid.repeat(count, 1, 1, 1))
        parts.append(torch.stack(both).reshape(2, count, *mask.shape).cpu())
    mean, spread = torch.cat(parts, 1).transpose(1, 2).numpy()
    return mean, spread


def _heads(flat: Flat, drive: Tensor, mask: Tensor) -> Tensor:
    """Run sequences from the first layer's drive ``(time and sample, 4 filter, y, x)`` to both heads' values."""
    steps = len(drive) // len(mask)
    y = _scan(flat, flat.layers[0], drive, steps, mask)
    for layer in flat.layers[1:]:
        y = _scan(flat, layer, _convolve(y, layer.input, layer.bias), steps, mask)
    last = y[-len(mask) :].permute(0, 2, 3, 1).float()
    return last @ flat.heads + flat.heads_bias


def _scan(flat: Flat, layer: Layer, drive: Tensor, steps: int, mask: Tensor) -> Tensor:
    """Run one layer's recurrence, its batch norm and its attention: ``(time and sample, filter, y, x)``."""
    from xsm_convlstm.gates import first_step, next_step

    count, _, ny, nx = drive.shape
    filters, samples = len(layer.scale), count // steps
    c = empty(samples, filters, ny, nx, torch.float32)
    h = empty(samples, filters, ny, nx, drive.dtype)
    y = empty(count, filters, ny, nx, drive.dtype)
    numbers = layer.peephole, layer.scale, layer.shift, flat.tanh
    driven, out = drive.split(samples), y.split(samples)
    first_step(rows(driven[0]), *numbers, rows(c), rows(h), rows(out[0]))
    for k in range(1, steps):
        again = _convolve(h, layer.recurrent)
        next_step(rows(driven[k]), rows(again), *numbers, rows(c), rows(h), rows(out[k]))
    if layer.keep is not None:
        y.unflatten(0, (steps, samples)).mul_(layer.keep)
    if layer.attention is not None:
        features = y[:, : layer.attention.restore.out_features]
        weights = layer.attention.weights(features.unflatten(0, (steps, samples)).float(), mask)
        features.mul_(weights.flatten(0, 1).to(y.dtype))
    return y


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    features = F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)
    return features.contiguous(memory_format=torch.channels_last)


def _channels_last(values: np.ndarray, dtype: torch.dtype) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).to(dtype).permute(0, 3, 1, 2)


def _groups(items: Sequence[Any], size: int) -> list[list[Any]]:
    """Cut into groups of one size; the last one repeats its last item."""
    whole = [*items, *[items[-1]] * (-len(items) % size)]
    return [whole[k : k + size] for k in range(0, len(whole), size)]


def _one_thread_each(pool: ThreadPoolExecutor) -> Callable[[Callable[[Any], Tensor], Sequence[Any]], list[Tensor]]:
    """A function that maps work over the pool, each part with one thread of torch."""

    def alone(work: Callable[[Any], Tensor], part: Any) -> Tensor:
        torch.set_num_threads(1)
        with torch.inference_mode():
            return work(part)

    def run(work: Callable[[Any], Tensor], parts: Sequence[Any]) -> list[Tensor]:
        threads = torch.get_num_threads()
        try:
            return list(pool.map(lambda part: alone(work, part), parts))
        finally:
            torch.set_num_threads(threads)

    return run


def _padded(values: Tensor, n: int, axis: int) -> Tensor:
    """Pad an axis with zeros to ``n``."""
    after = values.new_zeros([n - s if k == axis else s for k, s in enumerate(values.shape)])
    return torch.cat([values.detach(), after], axis)


def _by_gate(values: Tensor, n: int) -> Tensor:
    """Pad the filters of each of the four gates to ``n``."""
    return _padded(values.unflatten(0, (4, -1)), n, 1).flatten(0, 1)


def _convolution(weight: Tensor, filters: int, channels: int, dtype: torch.dtype) -> Tensor:
    whole = _padded(_by_gate(weight, filters), channels, 1)
    return whole.to(dtype).contiguous(memory_format=torch.channels_last)
