"""Fill the real SMAP lattice with ``xsm-cru`` and score it beside linear interpolation and Gaussian processes.

    python -m benchmarks.bench_gapfill --data smap_conus_lattice.nc --bench gapfill.py [--weather] [--seed 1]

The scoring script hides observations in three ways; each masked file trains a model of its own and is filled by it.
Defaults: ``XSM_TEST_DATA`` and the ``bench`` folder beside it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import xarray as xr

KINDS = ("random", "block", "outage")
WEATHER = ("precipitation", "air_temperature", "shortwave_down")


def fill(ds: xr.Dataset, weather: bool, seed: int, options: dict[str, object]) -> tuple[xr.Dataset, str]:
    """Train on one masked lattice and fill it; also a line with times."""
    from xsm.model import Samples, Spec, get_model

    covariates = WEATHER if weather else ()
    arrays = {v: ds[v].transpose("time", "cell").values for v in ("soil_moisture", *covariates)}
    days = ds.time.values.astype("datetime64[D]")
    samples = Samples(arrays, days, np.ones(len(days), bool), np.ones(ds.sizes["cell"], bool))
    units = {v: ds[v].attrs.get("units", "1") for v in arrays}
    spec = Spec("gapfill", tuple(arrays), ("soil_moisture",), units=units, options=options)
    model = get_model("cru", "gapfill")
    start = time.perf_counter()
    bundle = model.fit(samples, spec, validation=None, seed=seed, progress=lambda share, text: None)
    trained = time.perf_counter()
    out = model.predict_block(arrays, bundle, device="cpu")
    done = time.perf_counter()
    filled = ds.assign({v: (("time", "cell"), out[v]) for v in ("soil_moisture", "soil_moisture_obs_std")})
    speed = arrays["soil_moisture"].size / (done - trained)
    return filled, f"training {trained - start:.0f} s, filling {done - trained:.2f} s = {speed:,.0f} pixel-days/s"


def main() -> int:
    root = Path(os.environ.get("XSM_TEST_DATA", "../shared/data"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=root / "smap_conus_lattice.nc")
    parser.add_argument("--bench", type=Path, default=root.parent / "bench/gapfill.py")
    parser.add_argument("--weather", action="store_true", help="precipitation, temperature and radiation as covariates")
    parser.add_argument("--seed", type=int, default=1, help="seed of the hiding and of the training")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="option of the model")
    args = parser.parse_args()
    for path in (args.data, args.bench):
        if not path.is_file():
            parser.error(f"'{path}' is no file; give --data and --bench or set XSM_TEST_DATA")
    import torch

    torch.set_num_threads(args.threads)
    options: dict[str, object] = dict(o.split("=", 1) for o in args.option)
    command = [sys.executable, str(args.bench)]
    common = ["--data", str(args.data), "--seed", str(args.seed)]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*command, "mask", folder, *common], check=True)
        for kind in KINDS:
            path = Path(folder, f"{kind}.nc")
            with xr.open_dataset(path) as ds:
                masked = ds.load()
            filled, line = fill(masked, args.weather, args.seed, options)
            filled.to_netcdf(path)
            print(f"{kind:7s} {'weather' if args.weather else 'own series'}: {line}", flush=True)
        return subprocess.run([*command, "score", folder, *common], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
