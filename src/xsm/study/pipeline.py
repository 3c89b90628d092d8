"""`xsm run`: a study from raw files to report in restartable stages.

Every stage writes into a temporary name and is entered into ``.xsm/manifest.json`` when its files are whole. A stage is
redone when its parameters, its input files (name, size, time, both ends) or a stage that it rests on changed. Large
stages are written region by region (`xsm.compute.zarr_regions`), and an interrupted run continues after the last whole
region.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xsm.compute.cluster import block_threads
from xsm.contracts.bundle import Bundle
from xsm.contracts.registry import get_model, get_source, model_info
from xsm.data.period import days, split_days
from xsm.data.skipped import LEFT_OUT, mark
from xsm.errors import hear, tell
from xsm.io import files
from xsm.learning.filling import as_bundle
from xsm.learning.fitting_gapfill import NothingToLearn
from xsm.learning.samples import model_options
from xsm.learning.shipped import warn_of_shipped
from xsm.ops.cube import cube as make_cube
from xsm.ops.estimate import estimate
from xsm.ops.fit import fit
from xsm.ops.gapfill import gapfill
from xsm.ops.open import expand
from xsm.ops.open import open as open_source
from xsm.ops.regrid import regrid_ease9km
from xsm.study.config import Fill, Fit, Source, Study, depth_and_scenario
from xsm.study.maps import combine, filled_names, write_filled, write_geotiffs
from xsm.study.stages import DONE, Stages, alone, clear, fingerprint

FIRST = "smap"
WHEN_APPLIED = ("max_gap", "denoise")
"""Options of a study's [gapfill] that do not bear on the training of its model."""
AT_FILLING = (*WHEN_APPLIED, "allow_target_leak")
"""Options of a study's [gapfill] that are not the model's."""


@block_threads()
def run_study(study: Study, step: Callable[[str], None] | None = None, *, processes: int = 1) -> Path:
    """Run a study or continue it; gives the folder with the results.

    Parameters
    ----------
    study : Study
        From `xsm.study.config.load`.
    step : callable, optional
        Told each stage that is begun, such as ``"6/17 fill gaps"``.
    processes : int
        Processes that read files and write Zarr; see `xsm.io.files.write`.
    """
    check_models(study)
    names = stage_names(study)

    def begin(name: str) -> None:
        if step is not None:
            step(f"{names.index(name) + 1}/{len(names)} {name}")

    with alone(study.out):
        stages = Stages(study.out, begin)
        _run(study, stages, processes)
        stages.end()
        clear(study.out)
    return study.out


def stage_names(study: Study) -> list[str]:
    """Names of a study's stages, in the order in which they are run."""
    fit = study.fit
    pairs = [(f"train {p}",) * (p not in fit.bundles) + (f"estimate {p}",) for p in fit.estimates] if fit else []
    return [
        *(f"open {name}" for name in study.inputs),
        "cube",
        *["train fill"] * bool(study.gapfill and study.gapfill.model is None),
        *["fill gaps"] * bool(study.gapfill),
        *["open stations"] * bool(study.stations),
        *itertools.chain(*pairs),
        "estimate" if fit else "maps",
        *["geotiff"] * bool(study.geotiff),
        "report",
    ]


def check_models(study: Study) -> None:
    """Stop at models, options and days to learn from that are not there, before anything is opened."""
    fill, config = study.gapfill, study.fit
    if fill and fill.model is None:
        own = {k: v for k, v in fill.options.items() if k not in AT_FILLING}
        model_options(model_info(fill.method, "gapfill"), own)
    if config and not {*config.estimates} <= {*config.bundles}:
        model_options(model_info(config.model, "estimate"), dict(config.options))
        period = days(study.time) if study.time else slice(None)
        if period.start is not None and period.stop is not None:
            split_days(np.arange(period.start, period.stop + 1), config.train, config.validation)


def done_before(study: Study) -> dict[str, bool]:
    """Whether a run of a study would find its stages done, by name, as the run itself finds out."""
    stages = Stages(study.out, lambda name: None, look=True)
    _run(study, stages, processes=1)
    return {name: state == DONE for name, state in stages.states.items()}


def _run(study: Study, stages: Stages, processes: int) -> None:
    out = study.out
    stores = {
        name: stages.run(
            f"open {name}", functools.partial(_inputs, study, name, source), [], out / "data" / f"{name}.zarr",
            functools.partial(_open, study, name, source, processes=processes), strict=_strict(study, source),
        )
        for name, source in study.inputs.items()
    }  # fmt: skip
    order = in_order(study)
    parts = [f"open {n}" for n in order]
    cube = stages.run(
        "cube", lambda: [order, stages.left_out(parts)], parts, out / "data" / "cube.zarr",
        lambda part: _write(mark(make_cube(*(files.read(stores[n]) for n in order)), stages.left_out(parts)), part),
    )  # fmt: skip
    if study.gapfill:
        cube = _filled(study, study.gapfill, stages, cube)
    ready = "fill gaps" if study.gapfill else "cube"
    stations = _stations(study, stages)
    estimates = _estimates(study, study.fit, stages, cube, ready, stations) if study.fit else None
    _results(study, stages, cube, ready, estimates, stations)


def paths_of(study: Study, name: str, source: Source) -> list[Path]:
    """Files of a source; folders that are left out are told where they are opened."""
    with hear(thread=True):
        return expand(source.paths, get_source(name), skip=not _strict(study, source))


def _inputs(study: Study, name: str, source: Source) -> Any:
    paths = paths_of(study, name, source)
    beside = zip(*(p.parent.parts for p in paths if isinstance(p, Path)), strict=False)
    above = len(list(itertools.takewhile(lambda names: len(set(names)) == 1, beside)))
    known = [("/".join(p.parts[above:]), *fingerprint(p)) if isinstance(p, Path) else (p, 0, 0, "") for p in paths]
    told = {
        "files": len(known),
        "bytes": sum(size for _, size, _, _ in known),
        "hash": hashlib.sha256(json.dumps(known).encode()).hexdigest()[:16],
    }
    options = {k: v for k, v in source.options.items() if k != "on_error"}
    return [told, options, study.region, study.time, study.margin]


def _strict(study: Study, *sources: Source) -> bool:
    """Whether a file that cannot be read stops the run: what has left none out is the same either way."""
    return any(s.options.get("on_error", study.on_error) == "raise" for s in sources)


def _write(ds: xr.Dataset, part: Path, processes: int = 1, *, strict: bool = False) -> None:
    files.write_zarr(ds, part, processes, journal=part.with_suffix(".journal"), strict=strict)


def opened(study: Study, name: str) -> xr.Dataset:
    """Open an input of a study on its window, lazily."""
    ds = _read(study, name, study.inputs[name], margin=study.margin)
    return ds if name == FIRST else regrid_ease9km(ds, region=study.region and _window(study))


def _open(study: Study, name: str, source: Source, part: Path, *, processes: int) -> None:
    _write(opened(study, name), part, processes, strict=_strict(study, source))


def in_order(study: Study) -> list[str]:
    """Names of a study's inputs as the cube takes them: what is on its grid already comes first."""
    return sorted(study.inputs, key=lambda name: name != FIRST)


def _read(study: Study, name: str, source: Source, **more: Any) -> xr.Dataset:
    options = {"on_error": study.on_error, **source.options}
    return open_source(name, source.paths, region=study.region, time=study.time, **more, **options)


def _window(study: Study) -> Any:
    from xsm.data.grids import EASE2_M09

    return EASE2_M09.region(study.region).grow(study.margin)


def _filled(study: Study, fill: Fill, stages: Stages, cube: Path) -> Path:
    """The cube without gaps; its model is trained in a stage of its own, so that a run that goes on has the same."""
    rests_on, given = ["cube"], as_bundle(fill.model)
    folder: Path | None = None
    if given is None:
        split = study.fit and [study.fit.train, study.fit.validation]
        folder = stages.run(
            "train fill", [_of_training(fill), study.seed, split], ["cube"], study.out / "models" / "fill",
            functools.partial(_train_fill, study, fill, cube),
        )  # fmt: skip
        rests_on.append("train fill")

    def model() -> Bundle | None:
        if folder is None:
            return given
        return Bundle.load(folder) if any(folder.iterdir()) else None  # empty where series need no model

    return stages.run(
        "fill gaps", lambda: [asdict(replace(fill, model=None)), (own := model()) and own.hash, study.seed], rests_on,
        study.out / "data" / "filled.zarr",
        lambda part: _fill(study, fill, cube, model(), part),
    )  # fmt: skip


def _of_training(config: Fill | Fit) -> dict[str, Any]:
    """What a training depends on: not what else is estimated, nor how the model is applied."""
    about = {k: v for k, v in asdict(config).items() if k not in ("estimates", "bundles")}
    return about | {"options": {k: v for k, v in config.options.items() if k not in WHEN_APPLIED}}


def _to_fill(fill: Fill, path: Path) -> xr.Dataset:
    """The cube; where files were left out, covariates that lack days are interpolated in time."""
    cube = files.read(path)
    given = {n: cube[n] for n in fill.covariates if n in cube} if LEFT_OUT in cube else {}
    gappy = [n for n, v in given.items() if bool((v.isnull() & v.notnull().any("time")).any())]
    if not gappy:
        return cube
    tell(f"The covariates {', '.join(gappy)} lack days, whose files were left out, and are interpolated in time there.")
    whole = gapfill(cube[gappy], "linear", variables=gappy)
    return cube.assign({n: whole[n] for n in gappy})


def _train_fill(study: Study, fill: Fill, path: Path, part: Path) -> None:
    cube, options, train = _to_fill(fill, path), {k: v for k, v in fill.options.items() if k not in AT_FILLING}, None
    if study.fit:
        train, _ = split_days(cube["time"].values.astype("M8[D]"), study.fit.train, study.fit.validation)
    if any(p.name == "mode" for p in get_model(fill.method, "gapfill").info.options):
        options = {"mode": fill.mode} | options
    try:
        bundle = fit(
            cube, task="gapfill", model=fill.method, variables=fill.variables, covariates=fill.covariates, train=train,
            seed=study.seed, allow_target_leak=fill.options.get("allow_target_leak", False), **options,
        )  # fmt: skip
    except NothingToLearn:
        part.mkdir()
    else:
        bundle.save(part)


def _fill(study: Study, fill: Fill, path: Path, model: Bundle | None, part: Path) -> None:
    filled = gapfill(
        _to_fill(fill, path), fill.method, variables=fill.variables, covariates=fill.covariates, mode=fill.mode,
        model=model, seed=study.seed, **{k: v for k, v in fill.options.items() if k in AT_FILLING or fill.model},
    )  # fmt: skip
    warn_of_shipped(fill.model, "gapfill")
    _write(filled, part)


def _estimates(study: Study, config: Fit, stages: Stages, cube: Path, ready: str, stations: Path | None) -> Path:
    made: dict[str, Path] = {}
    bundles = {pair: Path(path) for pair, path in config.bundles.items()}
    for pair in config.estimates:
        feeds = ["estimate 5-2"] if pair == "25-2" and "5-2" in made else []
        rests_on = [ready, *feeds, *(["open stations"] if stations else [])]
        bundle, trained = _bundle(
            study, config, stages, pair, _with_surface(cube, made, pair), rests_on, bundles.get("5-2"), stations
        )
        bundles[pair] = bundle
        made[pair] = stages.run(
            f"estimate {pair}",
            functools.partial(_hash_of, bundle),
            [ready, *feeds, *trained],
            study.out / "data" / f"estimate-{pair}.zarr",
            functools.partial(_estimate, pair, _with_surface(cube, made, pair), bundle),
        )
    return stages.run(
        "estimate",
        list(made),
        [f"estimate {p}" for p in made],
        study.out / "estimates.nc",
        lambda part: files.write(combine(made, files.read(cube)), part),
    )


def _bundle(
    study: Study,
    config: Fit,
    stages: Stages,
    pair: str,
    cube: Callable[[], xr.Dataset],
    rests_on: list[str],
    surface: Path | None,
    stations: Path | None,
) -> tuple[Path, list[str]]:
    if pair in config.bundles:
        return Path(config.bundles[pair]), []
    depth, number = depth_and_scenario(pair)

    def train(part: Path) -> None:
        model = fit(
            cube(),
            depth=depth,
            scenario=number,
            model=config.model,
            train=config.train,
            validation=config.validation,
            surface=surface if pair == "25-2" else None,
            stations=None if stations is None else files.read(stations),
            seed=study.seed,
            **dict(config.options),
        )
        model.save(part)

    def about() -> list[Any]:
        return [pair, _of_training(config), study.seed, _hash_of(surface) if surface and pair == "25-2" else None]

    return stages.run(f"train {pair}", about, rests_on, study.out / "models" / pair, train), [f"train {pair}"]


def _hash_of(bundle: Path) -> str:
    return Bundle.load(bundle).hash


def _with_surface(cube: Path, made: Mapping[str, Path], pair: str) -> Callable[[], xr.Dataset]:
    """Read the cube without its region mark, for 25 cm scenario 2 with the surface estimate that is already there."""

    def read() -> xr.Dataset:
        ds = files.read(cube)
        ds.attrs.pop("xsm_region", None)
        if pair == "25-2" and "5-2" in made:
            ds = ds.assign(sm_5cm=files.read(made["5-2"])["sm_5cm"].reset_coords(drop=True))
        return ds

    return read


def _estimate(pair: str, cube: Callable[[], xr.Dataset], bundle: Path, part: Path) -> None:
    depth, number = depth_and_scenario(pair)
    _write(estimate(cube(), depth=depth, scenario=number, model=Bundle.load(bundle)), part)


def _results(
    study: Study, stages: Stages, cube: Path, ready: str, estimates: Path | None, stations: Path | None
) -> None:
    from xsm.ops.report import report

    out = study.out
    if estimates is None:
        estimates = stages.run(
            "maps",
            lambda: filled_names(files.read(cube)),
            [ready],
            out / "maps.nc",
            functools.partial(write_filled, cube),
        )
    rests = ["estimate" if study.fit else "maps", ready]
    if study.geotiff:
        stages.run(
            "geotiff",
            study.geotiff,
            rests,
            out / "geotiff",
            functools.partial(write_geotiffs, study.geotiff, estimates),
        )
    stages.run(
        "report", lambda: [study.title, {n: _inputs(study, n, s)[0] for n, s in study.stations.items()}],
        rests + (["open stations"] if stations else []), out / "report",
        lambda part: report(
            files.read(estimates), part / "report.html", cube=files.read(cube), title=study.title,
            stations=None if stations is None else files.read(stations),
        ),
    )  # fmt: skip


def _stations(study: Study, stages: Stages) -> Path | None:
    if not study.stations:
        return None

    def about() -> dict[str, Any]:
        return {n: _inputs(study, n, s) for n, s in study.stations.items()}

    def work(part: Path) -> None:
        parts = [_read(study, n, s) for n, s in study.stations.items()]
        files.write(xr.concat(parts, "sensor", join="outer") if len(parts) > 1 else parts[0], part)

    strict = _strict(study, *study.stations.values())
    return stages.run("open stations", about, [], study.out / "data" / "stations.nc", work, strict=strict)
