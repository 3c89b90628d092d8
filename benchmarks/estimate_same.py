"""Same seed, same result; resumed equals uninterrupted; windows and chunks do not matter."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import xsm
from xsm.progress import report_progress

TRAIN = {"preset": "small", "epochs": 3, "steps_per_epoch": 3, "validation_steps": 2, "patch": 16, "stride": 12}


class _Stop(Exception):
    pass


def run() -> bool:
    """Print the largest difference of each pair and whether it is small enough."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        differences = _differences()
    print("\n## Sameness\n\n| what | largest difference | goal |\n| --- | --- | --- |")
    for what, (difference, goal) in differences.items():
        print(f"| {what} | {difference:.1e} | {f'<= {goal:.0e}' if goal else '0'} |")
    return all(difference <= goal for difference, goal in differences.values())


def _differences() -> dict[str, tuple[float, float]]:
    cube = xsm.example("cube", size=64, days=60)
    options: dict[str, Any] = {"depth": 5, "scenario": 2, "seed": 3, **TRAIN}
    bundle, again = cube.sm.fit(**options), cube.sm.fit(**options)
    with tempfile.TemporaryDirectory() as folder:
        place = str(Path(folder) / "state")

        def stop(share: float, text: str) -> None:
            if share > 0.5:
                raise _Stop

        try:
            with report_progress(stop):
                cube.sm.fit(**options, checkpoints=place)
        except _Stop:
            pass
        resumed = cube.sm.fit(**options, checkpoints=place)
    maps = cube.sm.estimate(depth=5, scenario=2, model=bundle)
    chunked = cube.chunk(time=17, y=11, x=23).sm.estimate(depth=5, scenario=2, model=bundle).compute()
    part = cube.isel(y=slice(5, 60), x=slice(3, 58)).sm.estimate(depth=5, scenario=2, model=bundle)
    inner = part["sm_5cm"].where(part["mask_reason"] == 0)
    whole = maps["sm_5cm"].isel(y=slice(5, 60), x=slice(3, 58))
    below = cube.sm.fit(**options | {"depth": 25}, surface=bundle)
    deep = cube.sm.estimate(depth=25, scenario=2, model=below)["sm_25cm"].isel(y=slice(5, 60), x=slice(3, 58))
    deep_part = cube.isel(y=slice(5, 60), x=slice(3, 58)).sm.estimate(depth=25, scenario=2, model=below)
    deep_inner = deep_part["sm_25cm"].where(deep_part["mask_reason"] == 0)

    def weights(other: Any) -> float:
        return max(float(np.abs(v - other.weights[k]).max()) for k, v in bundle.weights.items())

    return {
        "weights of two trainings with one seed": (weights(again), 0.0),
        "weights of an interrupted and resumed training": (weights(resumed), 0.0),
        "window inside window, 5 cm, m3 m-3": (float(np.abs(inner - whole).max()), 1e-6),
        "window inside window, 25 cm, m3 m-3": (float(np.abs(deep_inner - deep).max()), 1e-6),
        "one chunking and another, m3 m-3": (float(np.abs(chunked["sm_5cm"] - maps["sm_5cm"]).max()), 0.0),
    }
