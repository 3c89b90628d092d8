"""Estimation: skill on the twin, the shipped models in unseen worlds, speed beside a plain ConvLSTM, sameness.

    python -m benchmarks.bench_estimate [--part twin|shipped|speed|same] [--quick] [--seeds 1,2,3] [--preset rabiei2024]

The exit code is 4 where a goal is missed. With ``--quick`` figures come in minutes and mean little.
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
    parser.add_argument("--preset", default="rabiei2024", help="preset of the part speed")
    args = parser.parse_args()
    parts = args.part or PARTS
    seeds = tuple(int(s) for s in args.seeds.split(","))
    good = []
    if "twin" in parts:
        options = {"epochs": 3} if args.quick else {}
        good.append(estimate_twin.run(args.quick, seeds[:1] if args.quick else seeds, options))
    if "shipped" in parts:
        good.append(estimate_shipped.run(args.quick))
    if "speed" in parts:
        good.append(estimate_speed.run(args.quick, args.preset))
    if "same" in parts:
        good.append(estimate_same.run())
    sys.exit(0 if all(good) else 4)


if __name__ == "__main__":
    main()
