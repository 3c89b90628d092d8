"""Run as a program: reads one HDF4 file and writes its contents to standard output.

The HDF4 library is not thread-safe, and a damaged file can crash it or keep it busy for ever; here only this process
is lost.

    python hdf4_child.py FILE              JSON of the datasets and of the attribute StructMetadata.0
    python hdf4_child.py FILE NAME R0 R1 C0 C1     bytes of a window of a dataset
"""

from __future__ import annotations

import json
import struct
import sys
import zlib

MEMORY = 2**31
MAGIC = b"\x0e\x03\x13\x01"
COMPRESSED = 40
"""Tag of compressed data elements in the list of descriptors."""
SPECIAL, EXTERNAL = 0x4000, 2
"""Bit of the tags of elements that are not plain, and the first number of one whose bytes lie in another file."""


def main(path: str, *request: str) -> None:
    """Answer one request about a file."""
    from pyhdf.SD import SD, SDC

    _limit()
    if not request:
        check_streams(path)
    file = SD(path, SDC.READ)
    if request:
        row0, row1, col0, col1 = map(int, request[1:])
        values = file.select(request[0]).get(start=(row0, col0), count=(row1 - row0, col1 - col0))
        if values.dtype.itemsize != 1:
            raise TypeError(f"{request[0]} is {values.dtype}, expected bytes")
        sys.stdout.buffer.write(values.tobytes())
        return
    structure = file.attributes().get("StructMetadata.0", "")
    shapes = {name: [list(info[1]), info[2]] for name, info in file.datasets().items()}
    json.dump({"datasets": shapes, "structure": structure, "uint8": SDC.UINT8}, sys.stdout)


def check_streams(path: str) -> None:
    """Inflate every deflated element: the library stops before the checksum at the end of a stream.

    What is no HDF4, or has elements in other files, is refused.
    """
    with open(path, "rb") as file:
        raw = file.read()
    if not raw.startswith(MAGIC):
        raise ValueError("it does not begin as HDF4 does")
    visited: set[int] = set()
    at = 4
    while at and at not in visited:
        visited.add(at)
        count, following = struct.unpack_from(">HI", raw, at)
        for i in range(count):
            tag, _, place, size = struct.unpack_from(">HHII", raw, at + 6 + 12 * i)
            head = raw[place : place + 2]
            if tag & SPECIAL and not tag & 0x8000 and int.from_bytes(head) == EXTERNAL:
                raise ValueError("it names another file for its data")
            if tag == COMPRESSED and len(head) == 2 and head[0] & 15 == 8 and int.from_bytes(head) % 31 == 0:
                _inflate(raw[place : place + size])
        at = following


def _inflate(packed: bytes) -> None:
    stream = zlib.decompressobj()
    while packed and not stream.eof:
        stream.decompress(packed, 2**20)
        packed = stream.unconsumed_tail
    if not stream.eof:
        raise zlib.error("a stream is cut short")


def _limit() -> None:
    """Bound the memory, where the system can."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


if __name__ == "__main__":
    main(*sys.argv[1:])
