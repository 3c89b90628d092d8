"""Damage of bytes, whatever the format, and the choice of one way of damage for a numbered case."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from tests.reliability.fuzz_format import Damage


def truncated(raw: bytes, rng: random.Random) -> bytes:
    return raw[: rng.randrange(len(raw))]


def flipped(raw: bytes, rng: random.Random, *, within: int | None = None) -> bytes:
    out = bytearray(raw)
    for _ in range(rng.randint(1, 8)):
        out[rng.randrange(min(within or len(out), len(out)))] ^= 1 << rng.randrange(8)
    return bytes(out)


def overwritten(raw: bytes, rng: random.Random) -> bytes:
    size = min(rng.choice([16, 512, 4096]), len(raw))
    at = rng.randrange(len(raw) - size + 1)
    block = bytes(size) if rng.random() < 0.5 else rng.randbytes(size)
    return raw[:at] + block + raw[at + size :]


def shifted(raw: bytes, rng: random.Random) -> bytes:
    at, size = rng.randrange(len(raw)), rng.randint(1, 16)
    return raw[:at] + (rng.randbytes(size) + raw[at:] if rng.random() < 0.5 else raw[at + size :])


def moved(raw: bytes, rng: random.Random) -> bytes:
    """Swap two blocks."""
    size = max(1, min(512, len(raw) // 8))
    a, b = sorted(rng.sample(range(len(raw) // size), 2))
    blocks = [raw[i : i + size] for i in range(0, len(raw), size)]
    blocks[a], blocks[b] = blocks[b], blocks[a]
    return b"".join(blocks)


RAW: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "truncated": truncated,
    "bits": flipped,
    "bits of the head": lambda raw, rng: flipped(raw, rng, within=2048),
    "overwritten": overwritten,
    "shifted": shifted,
    "moved": moved,
    "empty": lambda raw, rng: b"",
    "page": lambda raw, rng: b"<!DOCTYPE html><html><title>Earthdata Login</title></html>",
}
WEIGHTS = {"truncated": 3, "bits": 6, "bits of the head": 4, "overwritten": 3, "shifted": 2, "moved": 2}


def damage(
    name: str,
    structural: Mapping[str, Damage],
    path: Path,
    case: int,
    lies: Mapping[str, Damage] = MappingProxyType({}),
) -> str:
    """Damage a file of format ``name``; the number of the case picks the way, which is returned; every fourth lies."""
    rng = random.Random(zlib.crc32(f"{name} {case}".encode()))
    if lies and case % 4 == 3:
        way = rng.choice(list(lies))
        lies[way](path, rng)
        return way
    ways = {**RAW, **structural}
    way = rng.choices(list(ways), [WEIGHTS.get(w, 1) for w in ways])[0]
    if way in RAW:
        path.write_bytes(RAW[way](path.read_bytes(), rng))
    else:
        structural[way](path, rng)
    return way
