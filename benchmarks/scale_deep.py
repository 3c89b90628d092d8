"""Estimate 25 cm from an existing 5 cm estimate, as `xsm run` does: read cube and 5 cm estimate, estimate, write.

python -m benchmarks.scale_deep CUBE SM5 OUT THREADS
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import xsm
from xsm.compute.cluster import block_threads
from xsm.io import files


def main() -> None:
    """Write the estimate of the shipped model for 25 cm, scenario 2."""
    cube, surface, out, threads = sys.argv[1:]
    with warnings.catch_warnings(), xsm.set_options(threads=int(threads)), block_threads():
        warnings.simplefilter("ignore")
        ds = files.read(cube).assign(sm_5cm=files.read(surface)["sm_5cm"].reset_coords(drop=True))
        files.write(ds.sm.estimate(depth=25, scenario=2), Path(out), overwrite=True)


if __name__ == "__main__":
    main()
