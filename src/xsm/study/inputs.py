"""What a study reads: which files there are, how they are recognised, and how they are opened on its window."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import xarray as xr

from xsm.contracts.registry import get_source, roles_of
from xsm.data.grids import EASE2_M09, grid_of
from xsm.data.roles import RETRIEVAL
from xsm.data.skipped import mark
from xsm.errors import hear
from xsm.io import files
from xsm.io.paths import expand
from xsm.ops.cube import cube
from xsm.ops.open import open as open_source
from xsm.ops.regrid import regrid_ease9km
from xsm.study.config import Source, Study
from xsm.study.stages import left_out_by

ENDS = 2**16
"""Bytes at each end of a file by which it is recognised."""


def in_order(study: Study) -> list[str]:
    """Names of a study's inputs as the cube takes them: first the satellite, whose window and days it has."""
    return sorted(study.inputs, key=lambda name: RETRIEVAL not in roles_of(name).values())


def is_strict(study: Study, *sources: Source) -> bool:
    """Whether a file that cannot be read stops the run: where none was left out, the result is the same either way."""
    return any(s.options.get("on_error", study.on_error) == "raise" for s in sources)


def paths_of(study: Study, name: str, source: Source) -> list[Path]:
    """Files of a source, without warnings of folders that are left out, which come when they are opened."""
    with hear(thread=True):
        return expand(source.paths, get_source(name), skip=not is_strict(study, source))


def about_input(study: Study, name: str, source: Source) -> Any:
    """What an opened input depends on: its files, wherever their folder lies, options, region, period and margin."""
    paths = paths_of(study, name, source)
    beside = zip(*(p.parent.parts for p in paths if isinstance(p, Path)), strict=False)
    above = len(list(itertools.takewhile(lambda names: len(set(names)) == 1, beside)))
    known = [("/".join(p.parts[above:]), *fingerprint(p)) if isinstance(p, Path) else (p, 0, 0, "") for p in paths]
    listing = {
        "files": len(known),
        "bytes": sum(size for _, size, _, _ in known),
        "hash": hashlib.sha256(json.dumps(known).encode()).hexdigest()[:16],
    }
    options = {k: v for k, v in source.options.items() if k != "on_error"}
    units = [dict(source.units)] if source.units else []
    return [listing, options, study.region, study.time, study.margin, *units]


def fingerprint(path: Path) -> tuple[int, int, str]:
    """What an input is recognised by: bytes, time, and the hash of both its ends (of all of a small file).

    An archive of a terabyte is not read whole for it. The time does not count where all is hashed. A file that cannot
    be read is recognised by the reason; its source warns of it.
    """
    try:
        stat = path.stat()
        if not path.is_file():
            return stat.st_size, stat.st_mtime_ns, ""
        with open(path, "rb") as file:
            ends = file.read(ENDS)
            file.seek(max(stat.st_size - ENDS, ENDS))
            ends += file.read(ENDS)
    except OSError as error:
        return 0, 0, str(error.strerror)
    small = stat.st_size <= len(ends)
    return stat.st_size, 0 if small else stat.st_mtime_ns, hashlib.sha256(ends).hexdigest()[:16]


def opened(study: Study, name: str, paths: Any = None, time: str | None = None) -> xr.Dataset:
    """Open an input of a study on its window, lazily; or some of its files and days."""
    source = study.inputs[name] if paths is None else replace(study.inputs[name], paths=paths)
    ds = _read(replace(study, time=time or study.time), name, source, margin=study.margin)
    if name == in_order(study)[0] and grid_of(ds) is not None:
        return ds
    return regrid_ease9km(ds, region=study.region and EASE2_M09.region(study.region).grow(study.margin))


def _read(study: Study, name: str, source: Source, **more: Any) -> xr.Dataset:
    options = {"on_error": study.on_error, "units": source.units or None, **source.options}
    return open_source(name, source.paths, region=study.region, time=study.time, **more, **options)


def write_input(study: Study, name: str, processes: int, part: Path) -> None:
    """Write an input of a study as it is opened."""
    write_store(opened(study, name), part, processes, strict=is_strict(study, study.inputs[name]))


def write_store(ds: xr.Dataset, part: Path, processes: int = 1, *, strict: bool = False) -> None:
    """Write a Zarr store that an interrupted run continues."""
    files.write_zarr(ds, part, processes, journal=part.with_suffix(".journal"), strict=strict)


def about_cube(study: Study) -> Any:
    """What the cube depends on besides its inputs: their order, the files that they left out, and named roles."""
    return [in_order(study), _left_out(study), *([dict(study.roles)] if study.roles else [])]


def write_cube(study: Study, stores: Mapping[str, Path], part: Path) -> None:
    """Join the inputs of a study; days of files that were left out are marked."""
    joined = cube(*(files.read(stores[name]) for name in in_order(study)), roles=study.roles or None)
    write_store(mark(joined, _left_out(study)), part)


def _left_out(study: Study) -> list[str]:
    return left_out_by(study.out, [f"open {name}" for name in study.inputs])


def about_stations(study: Study) -> Any:
    """What the stations of a study depend on."""
    return {name: about_input(study, name, source) for name, source in study.stations.items()}


def write_stations(study: Study, part: Path) -> None:
    """Write the sensors of all networks into one file."""
    networks = [_read(study, name, source) for name, source in study.stations.items()]
    files.write(xr.concat(networks, "sensor", join="outer") if len(networks) > 1 else networks[0], part)
