"""Claims about speed and skill, each measured beside a peer, and two studies of real data.

- ``bench_NAME.py`` is a benchmark; run it by ``make bench-NAME``. Helpers of one benchmark carry its name as a prefix.
- ``lattice.py`` estimates real SMAP series, ``stations.py`` soil moisture at real
  stations, ``validate_real.py`` validates on real stations: ``python -m benchmarks.NAME``.

Figures with command and date are in ``docs/results.md``.
"""
