"""`xsm run`: a study from raw files to report, as one table of stages.

Each stage writes under a temporary name and is entered into ``.xsm/manifest.json`` when its files are whole. It is
done again when its parameters, its input files (name, size, time, both ends) or a stage that it rests on changed. Large
stages are written region by region (`xsm.compute.zarr_regions`), and an interrupted run continues after the last whole
region. Where a study can be made day by day, only days that are new or changed are (`xsm.io.day_store`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from xsm.compute.cluster import block_threads
from xsm.options import check_device
from xsm.study.catalogue import check_stac, write_stac
from xsm.study.config import Fill, Fit, Fuse, Study
from xsm.study.daily import (
    about_cube_days,
    about_granules,
    about_maps,
    cube_days,
    granule_days,
    granules,
    has_days,
    write_cube_days,
    write_granules,
)
from xsm.study.fused import about_archive, archive_days, chained, write_archive, write_day_maps, write_fused_days
from xsm.study.inputs import (
    about_cube,
    about_input,
    about_stations,
    in_order,
    is_strict,
    write_cube,
    write_input,
    write_stations,
)
from xsm.study.locked import alone
from xsm.study.maps import about_report, filled_names, write_estimates, write_filled, write_geotiffs, write_report
from xsm.study.modelling import (
    about_filling,
    about_filling_model,
    about_fusion,
    about_fusion_model,
    about_model,
    check_models,
    hash_of,
    train_filling_model,
    train_fusion,
    train_model,
    with_surface,
    write_estimate,
    write_filling,
    write_fusion,
)
from xsm.study.stages import DONE, Stage, clear, run_stages, states_of


@block_threads()
def run_study(study: Study, step: Callable[[str], None] | None = None, *, processes: int = 1) -> Path:
    """Run a study or continue it; returns the folder with the results.

    Parameters
    ----------
    study : Study
        From `xsm.study.config.load`.
    step : callable, optional
        Called with each stage that begins, such as ``"6/17 fill gaps"``.
    processes : int
        Processes that read files and write Zarr; see `xsm.io.files.write`.
    """
    check_device()
    check_models(study)
    if study.stac:
        check_stac()
    with alone(study.out):
        run_stages(stages_of(study, processes), study.out, step)
        clear(study.out)
    return study.out


def stage_names(study: Study) -> list[str]:
    """Names of a study's stages, in the order in which they run."""
    return [stage.name for stage in stages_of(study)]


def done_before(study: Study) -> dict[str, bool]:
    """Whether a run of a study would find its stages done, by name."""
    return {name: state == DONE for name, state in states_of(stages_of(study), study.out).items()}


def stages_of(study: Study, processes: int = 1, *, renew: bool = False) -> list[Stage]:
    """The stages of a study, in the order in which they run; ``renew`` takes all days as reference of the archive."""
    out, data, fill, fit, fuse = study.out, study.out / "data", study.gapfill, study.fit, study.fuse
    stores = {name: data / f"{name}.zarr" for name in in_order(study)}
    joined, stations = data / "cube.zarr", data / "stations.nc" if study.stations else None
    ready, cube = ("fill gaps", data / "filled.zarr") if fill else ("cube", joined)
    last, maps = ("estimate", out / "estimates.nc") if fit or fuse else ("maps", out / "maps.nc")
    networks, by_day = ["open stations"] * bool(study.stations), has_days(study)
    table = _opening(study, stores, joined, processes, by_day)
    if fill:
        table += _filling(study, fill, joined, cube)
    if stations:
        table.append(
            Stage("open stations", [], partial(about_stations, study), stations, partial(write_stations, study),
                  is_strict(study, *study.stations.values()))
        )  # fmt: skip
    fusing = _fusing(study, fuse, joined, stations, by_day) if fuse else []
    estimating = _estimating(study, fit, ready, cube, stations) if fit else []
    table += [*fusing, *estimating]
    archive = out / "archive.zarr" if fusing and fusing[-1].days else None
    if archive:
        table.append(
            Stage("archive", ["fuse", "cube"], partial(about_archive, study, renew), archive,
                  partial(write_archive, study, renew, fusing[-1].target, joined),
                  days=partial(archive_days, study, renew))
        )  # fmt: skip
    if fit or fuse:
        results = {s.name: s.target for s in (*estimating, *fusing) if not s.name.startswith("train ")}
        names = [name.removeprefix("estimate ") for name in results]
        table.append(Stage(last, [*results], lambda: names, maps, partial(write_estimates, results, cube)))
    else:
        table.append(Stage(last, [ready], partial(filled_names, cube), maps, partial(write_filled, cube)))
    if study.geotiff and archive:
        table.append(
            Stage("geotiff", ["archive"], lambda: study.geotiff, out / "geotiff",
                  partial(write_day_maps, study.geotiff, archive), days=lambda below: below["archive"])
        )  # fmt: skip
    elif study.geotiff:
        table.append(
            Stage("geotiff", [last, ready], lambda: study.geotiff, out / "geotiff",
                  partial(write_geotiffs, study.geotiff, maps))
        )  # fmt: skip
    if study.stac:
        table.append(
            Stage("stac", ["geotiff"], lambda: study.title, out / "stac",
                  partial(write_stac, study.title, study.geotiff, archive or maps, out / "geotiff", out / "stac"),
                  days=(lambda below: below["geotiff"]) if archive else None)
        )  # fmt: skip
    table.append(
        Stage("report", [last, ready, *networks], partial(about_report, study), out / "report",
              partial(write_report, study, maps, cube, stations))
    )  # fmt: skip
    return table


def _opening(study: Study, stores: Mapping[str, Path], joined: Path, processes: int, by_day: bool) -> list[Stage]:
    """The stages that open the inputs and join them, by days where that is possible."""
    table = []
    for name, source in study.inputs.items():
        strict = is_strict(study, source)
        if by_day and (of_days := granules(study, name)):
            table.append(
                Stage(f"open {name}", [], partial(about_granules, study, source), stores[name],
                      partial(write_granules, study, name, of_days), strict,
                      partial(granule_days, study, name, of_days))
            )  # fmt: skip
        else:
            about = partial(about_maps, study, name) if by_day else partial(about_input, study, name, source)
            work = partial(write_input, study, name, processes)
            table.append(Stage(f"open {name}", [], about, stores[name], work, strict))
    rests_on = [f"open {name}" for name in stores]
    if by_day:
        cube = Stage("cube", rests_on, partial(about_cube_days, study), joined,
                     partial(write_cube_days, study, stores), days=partial(cube_days, study))  # fmt: skip
    else:
        cube = Stage("cube", rests_on, partial(about_cube, study), joined, partial(write_cube, study, stores))
    return [*table, cube]


def _filling(study: Study, fill: Fill, joined: Path, filled: Path) -> list[Stage]:
    """The stages that fill gaps; the model has one of its own, so that a run that continues has the same model."""
    if fill.model is not None:
        return [
            Stage("fill gaps", ["cube"], partial(about_filling, study, fill, None), filled,
                  partial(write_filling, study, fill, joined, None))
        ]  # fmt: skip
    bundle = study.out / "models" / "fill"
    return [
        Stage("train fill", ["cube"], partial(about_filling_model, study, fill), bundle,
              partial(train_filling_model, study, fill, joined)),
        Stage("fill gaps", ["cube", "train fill"], partial(about_filling, study, fill, bundle), filled,
              partial(write_filling, study, fill, joined, bundle)),
    ]  # fmt: skip


def _fusing(study: Study, fuse: Fuse, joined: Path, stations: Path | None, by_day: bool) -> list[Stage]:
    """The stages that fuse, from what was observed; the models have a stage of their own, as those of the filling."""
    networks = ["open stations"] * fuse.stations
    bundle = None if fuse.model else study.out / "models" / "fuse"
    table = [] if bundle is None else [
        Stage("train fuse", ["cube", *networks], partial(about_fusion_model, study, fuse), bundle,
              partial(train_fusion, study, fuse, joined, stations if fuse.stations else None), trains=True),
    ]  # fmt: skip
    work, days = partial(write_fusion, fuse, joined, bundle), None
    if by_day and fuse.mode == "filter":
        work, days = partial(write_fused_days, study, fuse, joined, bundle), chained
    rests_on = ["cube", *(stage.name for stage in table)]
    about, fused = partial(about_fusion, fuse, bundle), study.out / "data" / "fused.zarr"
    return [*table, Stage("fuse", rests_on, about, fused, work, days=days)]


def _estimating(study: Study, fit: Fit, ready: str, cube: Path, stations: Path | None) -> list[Stage]:
    """The stages that train and estimate; 25 cm in scenario 2 reads the 5 cm estimate where that comes before it."""
    table: list[Stage] = []
    estimates: dict[str, Path] = {}
    bundles = {pair: Path(path) for pair, path in fit.bundles.items()}
    networks = ["open stations"] * bool(stations)
    for pair in dict.fromkeys(fit.estimates):
        surface, surface_bundle = (estimates.get("5-2"), bundles.get("5-2")) if pair == "25-2" else (None, None)
        predictors = partial(with_surface, cube, surface)
        rests_on = [ready, *["estimate 5-2"] * bool(surface)]
        train = f"train {pair}"
        if pair not in fit.bundles:
            bundles[pair] = study.out / "models" / pair
            table.append(
                Stage(train, [*rests_on, *networks], partial(about_model, study, fit, pair, surface_bundle),
                      bundles[pair], partial(train_model, study, fit, pair, predictors, surface_bundle, stations),
                      trains=True)
            )  # fmt: skip
            rests_on.append(train)
        estimates[pair] = study.out / "data" / f"estimate-{pair}.zarr"
        table.append(
            Stage(f"estimate {pair}", rests_on, partial(hash_of, bundles[pair]), estimates[pair],
                  partial(write_estimate, pair, predictors, bundles[pair]))
        )  # fmt: skip
    return table
