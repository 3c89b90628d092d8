"""`xsm run`: a study from raw files to report in restartable stages.

Every stage writes into a temporary name and is entered into ``.xsm/manifest.json`` when its files are whole. A stage is
redone when its parameters, its input files (name, size, time, both ends) or a stage that it rests on changed. Large
stages are written region by region (`xsm.regions`), and a run that ended goes on after the last whole region.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import xarray as xr

from xsm import files, geotiff
from xsm.bundle import Bundle
from xsm.config import Fill, Fit, Source, Study, depth_and_scenario
from xsm.errors import DataError
from xsm.manifest import human
from xsm.ops.cube import cube as make_cube
from xsm.ops.estimate import estimate, trim
from xsm.ops.fit import fit
from xsm.ops.gapfill import gapfill
from xsm.ops.open import expand
from xsm.ops.open import open as open_source
from xsm.ops.regrid import regrid_ease9km
from xsm.options import block_threads
from xsm.skipped import LEFT_OUT, mark, tell_skipped
from xsm.source import get_source
from xsm.stages import Stages, alone, clear, fingerprint
from xsm.training import split_days

FIRST = "smap"


@block_threads()
def run_study(study: Study, step: Callable[[str], None] | None = None, *, processes: int = 1) -> Path:
    """Run a study or continue it; gives the folder with the results.

    Parameters
    ----------
    study : Study
        From `xsm.config.load`.
    step : callable, optional
        Told each stage that is begun, such as ``"6/17 fill gaps"``.
    processes : int
        Processes that read files and write Zarr; see `xsm.files.write`.
    """
    names = stage_names(study)

    def begin(name: str) -> None:
        if step is not None:
            step(f"{names.index(name) + 1}/{len(names)} {name}")

    with alone(study.out):
        _run(study, Stages(study.out, begin), processes)
        clear(study.out)
    return study.out


def stage_names(study: Study) -> list[str]:
    """Names of a study's stages, in the order in which they are run."""
    fit = study.fit
    pairs = [(f"train {p}",) * (p not in fit.bundles) + (f"estimate {p}",) for p in fit.estimates] if fit else []
    return [
        *(f"open {name}" for name in study.inputs),
        "cube",
        *["fill gaps"] * bool(study.gapfill),
        *["open stations"] * bool(study.stations),
        *itertools.chain(*pairs),
        "estimate" if fit else "maps",
        *["geotiff"] * bool(study.geotiff),
        "report",
    ]


def plan(study: Study) -> str:
    """Tell in a few lines what a study would do."""
    lines = [f"{study.title}: region {study.region or 'all'}, {study.time or 'all days'} -> {study.out}"]
    for name, source in {**study.inputs, **study.stations}.items():
        paths = expand(source.paths, get_source(name))
        size = sum(p.stat().st_size for p in paths if isinstance(p, Path))
        lines.append(f"  open {name}: {len(paths)} file{'s' * (len(paths) != 1)}, {human(size)}")
    if study.gapfill:
        lines.append(f"  fill gaps: {study.gapfill.method} ({study.gapfill.mode})")
    if study.fit:
        lines.append(f"  train and estimate: {study.fit.model}, {', '.join(study.fit.estimates)}")
    if study.stations:
        lines.append(f"  validate against {', '.join(study.stations)}")
    return "\n".join([*lines, "  report"])


def _run(study: Study, stages: Stages, processes: int) -> None:
    out = study.out
    stores = {
        name: stages.run(
            f"open {name}", _inputs(study, name, source), [], out / "data" / f"{name}.zarr",
            functools.partial(_open, study, name, processes=processes),
        )
        for name, source in study.inputs.items()
    }  # fmt: skip
    order = in_order(study)
    lost = stages.left_out(f"open {n}" for n in order)
    cube = stages.run(
        "cube", [order, lost], [f"open {n}" for n in order], out / "data" / "cube.zarr",
        lambda part: _write(mark(make_cube(*(files.read(stores[n]) for n in order)), lost), part),
    )  # fmt: skip
    if study.gapfill:
        split = asdict(study.fit) if study.fit else None
        own = study.gapfill.model
        model = Bundle.load(Path(own)).hash if own not in (None, "pretrained") else own
        about = [asdict(study.gapfill), model, study.seed, split and [split["train"], split["validation"]]]
        cube = stages.run(
            "fill gaps", about, ["cube"], out / "data" / "filled.zarr",
            functools.partial(_fill, study, study.gapfill, cube),
        )  # fmt: skip
    ready = "fill gaps" if study.gapfill else "cube"
    stations = _stations(study, stages)
    estimates = _estimates(study, study.fit, stages, cube, ready, stations) if study.fit else None
    _results(study, stages, cube, ready, estimates, stations)


def _inputs(study: Study, name: str, source: Source) -> Any:
    paths = expand(source.paths, get_source(name))
    known = [(str(p), *(fingerprint(p) if isinstance(p, Path) else (0, 0, ""))) for p in paths]
    told = {
        "files": len(known),
        "bytes": sum(size for _, size, _, _ in known),
        "hash": hashlib.sha256(json.dumps(known).encode()).hexdigest()[:16],
    }
    return [told, dict(source.options), study.region, study.time, study.margin, study.on_error]


def _write(ds: xr.Dataset, part: Path, processes: int = 1) -> None:
    files.write_zarr(ds, part, processes, journal=part.with_suffix(".journal"))


def opened(study: Study, name: str) -> xr.Dataset:
    """Open an input of a study on its window, lazily."""
    ds = _read(study, name, study.inputs[name], margin=study.margin)
    return ds if name == FIRST else regrid_ease9km(ds, region=study.region and _window(study))


def _open(study: Study, name: str, part: Path, *, processes: int) -> None:
    _write(opened(study, name), part, processes)


def in_order(study: Study) -> list[str]:
    """Names of a study's inputs as the cube takes them: what is on its grid already comes first."""
    return sorted(study.inputs, key=lambda name: name != FIRST)


def _read(study: Study, name: str, source: Source, **more: Any) -> xr.Dataset:
    options = {"on_error": study.on_error, **source.options}
    ds = open_source(name, source.paths, region=study.region, time=study.time, **more, **options)
    tell_skipped(ds)
    return ds


def _window(study: Study) -> Any:
    from xsm.grids import EASE2_M09

    return EASE2_M09.region(study.region).grow(study.margin)


def _fill(study: Study, fill: Fill, path: Path, part: Path) -> None:
    cube = files.read(path)
    train = None
    if study.fit:
        used, _ = split_days(cube["time"].values.astype("M8[D]"), study.fit.train, study.fit.validation)
        train = used
    filled = gapfill(
        cube, fill.method, variables=fill.variables, covariates=fill.covariates, mode=fill.mode, model=fill.model,
        seed=study.seed, train=train, **dict(fill.options),
    )  # fmt: skip
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
            Bundle.load(bundle).hash,
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

    fed = Bundle.load(surface).hash if surface and pair == "25-2" else None
    about = [pair, asdict(config), study.seed, fed]
    return stages.run(f"train {pair}", about, rests_on, study.out / "models" / pair, train), [f"train {pair}"]


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


def combine(made: Mapping[str, Path], cube: xr.Dataset) -> xr.Dataset:
    """Put estimates side by side as ``sm_5cm_s1``, ``sm_5cm_s1_std`` and so on, cut to the region that was opened."""
    parts: list[xr.Dataset] = []
    history = dict.fromkeys(str(cube.attrs.get("history", "")).splitlines())
    for pair, path in made.items():
        depth, number = depth_and_scenario(pair)
        ds = files.read(path)
        name = f"sm_{depth}cm"
        spread = next(s for s in ("_std", "_reference_std") if f"{name}{s}" in ds)
        names = {name: f"{name}_s{number}", f"{name}{spread}": f"{name}_s{number}{spread}"}
        names["mask_reason"] = f"mask_reason_{pair.replace('-', '_')}"
        keep = ds[[*names, *(["frozen"] if "frozen" in ds and not parts else [])]].rename(names)
        history |= dict.fromkeys(str(ds.attrs.get("history", "")).splitlines())
        told = ("scenario", "model_hash", "model_training", "model_validation")
        keep[names[name]].attrs |= {k: ds.attrs[k] for k in told}
        parts.append(keep if not parts else keep.drop_vars(["texture", "land_cover"], errors="ignore"))
    merged = xr.merge(parts, join="exact", compat="override", combine_attrs="drop_conflicts")
    if LEFT_OUT in cube:
        merged = merged.assign({LEFT_OUT: cube[LEFT_OUT]})
    merged = trim(merged, cube.attrs.get("xsm_region"))
    return merged.assign_attrs(title="Soil moisture estimates", history="\n".join(history))


def _results(
    study: Study, stages: Stages, cube: Path, ready: str, estimates: Path | None, stations: Path | None
) -> None:
    from xsm.ops.report import report

    out = study.out
    if estimates is None:
        filled = files.read(cube)
        maps = [n for n in filled.data_vars if f"{n}_std" in filled]
        keep = [f"{n}{s}" for n in maps for s in ("", "_std", "_obs_std", "_observed")]
        keep += [LEFT_OUT] if LEFT_OUT in filled else []
        estimates = stages.run(
            "maps",
            keep,
            [ready],
            out / "maps.nc",
            lambda part: files.write(trim(filled[keep], filled.attrs.get("xsm_region")), part),
        )
    rests = ["estimate" if "estimate" in stages.done and study.fit else "maps", ready]
    if study.geotiff:
        stages.run("geotiff", study.geotiff, rests, out / "geotiff", lambda part: _geotiff(study, estimates, part))
    about = [study.title, {n: _inputs(study, n, s)[0] for n, s in study.stations.items()}]
    stages.run(
        "report", about, rests + (["open stations"] if stations else []), out / "report",
        lambda part: report(
            files.read(estimates), part / "report.html", cube=files.read(cube), title=study.title,
            stations=None if stations is None else files.read(stations),
        ),
    )  # fmt: skip


def _geotiff(study: Study, estimates: Path, part: Path) -> None:
    ds = files.read(estimates)
    part.mkdir()
    for name in study.geotiff:
        if name not in ds:
            raise DataError(f"'{name}' is not among the maps.", hint=f"There are {', '.join(map(str, ds.data_vars))}.")
        geotiff.write(ds[[name]], part / f"{name}.tif", daily=True)


def _stations(study: Study, stages: Stages) -> Path | None:
    if not study.stations:
        return None
    about = {n: _inputs(study, n, s) for n, s in study.stations.items()}

    def work(part: Path) -> None:
        parts = [_read(study, n, s) for n, s in study.stations.items()]
        files.write(xr.concat(parts, "sensor", join="outer") if len(parts) > 1 else parts[0], part)

    return stages.run("open stations", about, [], study.out / "data" / "stations.nc", work)
