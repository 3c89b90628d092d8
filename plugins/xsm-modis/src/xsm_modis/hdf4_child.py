"""Run as a program: reads one HDF4 file and writes what it finds to its standard output.

The HDF4 library is not thread-safe, and a damaged file can crash it or keep it busy for ever; here it takes nothing
with it.

    python hdf4_child.py FILE              JSON of the datasets and of the attribute StructMetadata.0
    python hdf4_child.py FILE NAME R0 R1 C0 C1     bytes of a window of a dataset
"""

from __future__ import annotations

import json
import sys

MEMORY = 2**31


def main(path: str, *wanted: str) -> None:
    """Answer one question about a file."""
    from pyhdf.SD import SD, SDC

    _limit()
    file = SD(path, SDC.READ)
    if wanted:
        row0, row1, col0, col1 = map(int, wanted[1:])
        values = file.select(wanted[0]).get(start=(row0, col0), count=(row1 - row0, col1 - col0))
        if values.dtype.itemsize != 1:
            raise TypeError(f"{wanted[0]} is {values.dtype}, wanted bytes")
        sys.stdout.buffer.write(values.tobytes())
        return
    structure = file.attributes().get("StructMetadata.0", "")
    shapes = {name: [list(info[1]), info[2]] for name, info in file.datasets().items()}
    json.dump({"datasets": shapes, "structure": structure, "uint8": SDC.UINT8}, sys.stdout)


def _limit() -> None:
    """Bound the memory, where the system can."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


if __name__ == "__main__":
    main(*sys.argv[1:])
