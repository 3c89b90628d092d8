"""Estimation: skill on the twin, the shipped models in unseen worlds, speed beside a plain ConvLSTM, sameness.

    python -m benchmarks.bench_estimate [--part twin|shipped|speed|same] [--quick] [--seeds 1,2,3] [--preset rabiei2024]

Exit code 4 where something that was wanted is not there. With ``--quick`` figures come in minutes and mean little.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks import estimate_same, estimate_shipped, estimate_speed, estimate_twin

PARTS = ("twin", "shipped", "speed", "same")


def main() -> None:
    """Run the parts and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=PARTS, action="append")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--preset", default="rabiei2024", help="of the speed part")
    asked = parser.parse_args()
    parts = asked.part or PARTS
    seeds = tuple(int(s) for s in asked.seeds.split(","))
    good = []
    if "twin" in parts:
        options = {"epochs": 3} if asked.quick else {}
        good.append(estimate_twin.run(asked.quick, seeds[:1] if asked.quick else seeds, options))
    if "shipped" in parts:
        good.append(estimate_shipped.run(asked.quick))
    if "speed" in parts:
        good.append(estimate_speed.run(asked.quick, asked.preset))
    if "same" in parts:
        good.append(estimate_same.run())
    sys.exit(0 if all(good) else 4)


if __name__ == "__main__":
    main()
