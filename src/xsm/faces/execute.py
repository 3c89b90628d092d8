"""Run an operation on plain values (strings, numbers, paths): the entry for command line and worker."""

from __future__ import annotations

import glob
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import xarray as xr

from xsm import atomic
from xsm.compute.cluster import block_threads
from xsm.contracts.bundle import Bundle
from xsm.contracts.operation import Kind, Operation, Param
from xsm.contracts.registry import get_source, sources
from xsm.errors import DataError, UsageError, XsmError, hear
from xsm.io import files
from xsm.io.paths import expand
from xsm.options import threads
from xsm.web.manifest import Manifest


@dataclass(frozen=True)
class Outcome:
    """What an operation returned, and the files or the folder that it was written to."""

    value: Any
    written: list[Path] = field(default_factory=list)

    @property
    def text(self) -> str:
        """What a reader is shown: the summary of a download, otherwise the paths of the files."""
        return str(self.value) if isinstance(self.value, Manifest) else "\n".join(map(str, self.written))


WRITES_FILE = (Kind.DATASET, Kind.TABLE, Kind.MODEL, Kind.FIGURE)
SUFFIXES = {
    Kind.DATASET: (".nc", ".zarr", ".tif", ".tiff", ".csv"),
    Kind.TABLE: (".nc", ".zarr", ".tif", ".tiff", ".csv"),
    Kind.FIGURE: (".png", ".svg", ".pdf"),
}
TIFF = (".tif", ".tiff")
FOLDERS = ("zarr.json", ".zgroup", "card.json")
"""Files that mark a folder which may be replaced: a Zarr store or a model bundle."""


@block_threads()
def execute(
    op: Operation, values: Mapping[str, Any], output: str | Path | None = None, *, overwrite: bool = False
) -> Outcome:
    """Run an operation on values as people type them, and write its result.

    ``values`` are paths for datasets and models, texts for periods and regions, ``key=value`` pairs or a mapping for
    options. A dataset, a table, a model and a figure need an ``output``.
    """
    target = None if output is None else Path(output)
    if op.result is Kind.PATH and "output" in values:
        _check_apart(op, values, Path(values["output"]))
    if op.result in WRITES_FILE:
        if target is None:
            raise UsageError(f"'{op.id}' needs an output.", hint="Give a file for the result.")
        _check_apart(op, values, target)
        atomic.check_output(target, overwrite)
        if target.is_dir() and any(target.iterdir()) and not any((target / mark).exists() for mark in FOLDERS):
            raise UsageError(f"'{target}' is a folder that xsm did not write.", hint="Give another name.")
        known = SUFFIXES.get(op.result)
        if known and target.suffix.lower() not in known:
            expected = f"{', '.join(known[:-1])} or {known[-1]}"
            raise UsageError(f"'{target}' ends with '{target.suffix}', expected {expected}.")
    args, kwargs = bind(op, values)
    value = op.function(*args, **kwargs)
    processes = threads() if op.id == "open" else 1
    return Outcome(value, save(value, target, overwrite, processes) if target is not None else _paths(value))


def _check_apart(op: Operation, values: Mapping[str, Any], target: Path) -> None:
    """Stop if the result would replace an input, by whatever name, link or hard link either is known."""
    tiff = target.suffix.lower() in TIFF
    beside = target.parent.glob(f"{glob.escape(target.stem)}_*") if tiff else ()
    written = [p for p in (target, *(p for p in beside if p.suffix.lower() in TIFF)) if p.exists()]
    kinds = (Kind.DATASET, Kind.DATASETS, Kind.STATIONS, Kind.MODEL, Kind.PATH, Kind.PATHS, Kind.REGION)
    for param in (p for p in op.params if written and p.kind in kinds and p.name != "output"):
        for item in _paths_in(values.get(param.name), values.get("source")):
            if item.exists() and any(p.samefile(item) or p.resolve() in item.resolve().parents for p in written):
                raise UsageError(
                    f"'{item}' is an input and would be replaced by the result.", hint="Give another output."
                )


def _paths_in(value: Any, source: Any) -> list[Path]:
    """Paths that a value names; those of a source are searched for in folders and by patterns."""
    items = [v for v in (value if isinstance(value, list | tuple) else [value]) if isinstance(v, str | Path)]
    with suppress(XsmError), hear(thread=True):  # which the operation raises as well
        return (
            [p for p in expand(items, get_source(source), skip=True) if isinstance(p, Path)]
            if source
            else [Path(item) for item in items]
        )
    return []


def bind(op: Operation, values: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Turn raw values into the function's arguments."""
    for name in values:
        op.param(name)
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for param in op.params:
        raw = values.get(param.name)
        if raw is None:
            if param.required:
                raise UsageError(f"'{op.id}' needs '{param.name}'.", hint=param.help)
            continue
        value = parse(param, raw)
        if param.kind is Kind.DATASETS:
            args += value
        elif param.kind is Kind.OPTIONS:
            kwargs |= value
        elif param.required and not kwargs:
            args.append(value)
        else:
            kwargs[param.name] = value
    return args, kwargs


def parse(param: Param, raw: Any) -> Any:
    """Turn one raw value into what the function takes."""
    from xsm.data.period import days

    match param.kind:
        case Kind.DATASET | Kind.STATIONS:
            return _dataset(raw)
        case Kind.DATASETS:
            return [_dataset(one) for one in raw]
        case Kind.PERIOD:
            return days(raw)
        case Kind.PATH | Kind.FOLDER:
            return Path(raw)
        case Kind.OPTIONS:
            return dict(raw) if isinstance(raw, Mapping) else dict(pair(item) for item in raw)
        case Kind.PATHS | Kind.MODEL | Kind.REGION:
            return raw
    return param.check(raw)


def _dataset(raw: Any) -> xr.Dataset:
    """Read a file of maps or stations; one as its provider delivers it is named, with the way to open it."""
    if isinstance(raw, xr.Dataset):
        return raw
    try:
        ds = files.read(raw)
        if ds.data_vars or ds.coords:
            return ds
        problem: XsmError = DataError(f"'{raw}' has no variable outside of its groups.", hint="Open it with <open()>.")
    except DataError as error:
        problem = error
    for name, info in sources().items() if Path(raw).is_file() else ():
        with suppress(XsmError):
            if get_source(name).identify(Path(raw)):
                text = f"'{raw}' is a file as its provider delivers it ({info.title})."
                problem = DataError(text, hint=f"Run <open()> with the source '{name}' first, and give its result.")
                break
    raise problem


def save(value: Any, target: Path, overwrite: bool = False, processes: int = 1) -> list[Path]:
    """Write a dataset, table, figure or bundle; returns the files."""
    if isinstance(value, Bundle):
        if overwrite and target.exists():
            with atomic.fresh(target, overwrite) as part:
                value.save(part)
            return [target]
        return [value.save(target)]
    if not isinstance(value, xr.Dataset):
        with atomic.fresh(target, overwrite) as part:
            value.savefig(part, format=target.suffix.lower().lstrip("."), facecolor="white")
        return [target]
    return files.write(value, target, overwrite=overwrite, processes=processes)


def _paths(value: Any) -> list[Path]:
    if isinstance(value, Manifest):
        return [value.dest] if value.paths else []
    return [p for p in (value if isinstance(value, list) else [value]) if isinstance(p, Path)]


def pair(text: str) -> tuple[str, str]:
    """Split ``name=value``."""
    name, sign, value = str(text).partition("=")
    if not sign:
        raise UsageError(f"The option '{text}' is not of the form name=value.", hint="Write it as NAME=VALUE.")
    return name.strip().replace("-", "_"), value.strip()
