"""The contract tests that every plugin runs, ours and those of others.

Examples
--------
>>> from xsm.testing import check_model
>>> check_model("linear")
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from xsm.compute.patches import BATCH
from xsm.contracts.bundle import Bundle
from xsm.contracts.model import Model, Samples, Spec
from xsm.contracts.registry import get_model, get_source, sources
from xsm.contracts.source import Area, DataSource, SourceInfo, make_request
from xsm.data.cf import VARIABLES
from xsm.data.grids import EASE2_M09, Grid, grid_of

__all__ = ["check_canonical", "check_model", "check_source", "leaky_series", "open_files", "raise_if_computes",
           "small_task", "window"]  # fmt: skip
MANY = 50_000_000
"""Values above which `check_source` does not check that there is a valid one."""


@contextmanager
def raise_if_computes() -> Iterator[None]:
    """Fail if anything lazy is computed inside the body.

    Examples
    --------
    >>> import xsm
    >>> soil = xsm.example("solus100", size=8, days=8)
    >>> with raise_if_computes():
    ...     texture = soil.sm.texture()
    """
    import dask

    def refuse(dsk: Any, keys: Any, **_: Any) -> Any:
        raise AssertionError("something was computed while a graph was built")

    with dask.config.set(scheduler=refuse):
        yield


def open_files(source: DataSource, paths: Iterable[str | Path], **request: Any) -> xr.Dataset:
    r"""Open files through a source itself, without what `xsm.open` adds; for tests of a source.

    Parameters
    ----------
    source : DataSource
        The source.
    paths : iterable of path
        Files of the source.
    **request
        ``region``, ``time``, ``variables``, ``on_error`` and options of the source, as in
        `xsm.plugin_api.make_request`.

    Returns
    -------
    xarray.Dataset

    Examples
    --------
    >>> _ = Path("dots.csv").write_text("date,lon,lat,soil_moisture\n2021-06-01,-98,36,0.2")
    >>> dict(open_files(get_source("tiny"), ["dots.csv"]).sizes)
    {'time': 1, 'y': 1, 'x': 1}
    """
    return source.open(make_request(source.info, map(Path, paths), **request))


def check_source(
    name: str, files: Sequence[str | Path] | None = None, world: Any = None, tmp: Path | None = None
) -> None:
    r"""Check a data source against its contract.

    Parameters
    ----------
    name : str
        Registered name.
    files : sequence of path, optional
        Files of the product to open.
    world : xsm.twin.World, optional
        With ``tmp``: a synthetic world that the source, if it has ``write``, writes and reads back.
    tmp : Path, optional
        Empty folder for the files.

    Raises
    ------
    AssertionError
        Says which rule is broken.

    Examples
    --------
    >>> _ = Path("dots.csv").write_text("date,lon,lat,soil_moisture\n2021-06-01,-98,36,0.2")
    >>> check_source("tiny", ["dots.csv"])
    """
    if name not in sources():
        raise AssertionError(
            f"source '{name}' is not registered: run `pip install -e .` first; known: {sorted(sources())}"
        )
    info = sources()[name]
    _check_info(info)
    source = get_source(name)
    assert isinstance(source, DataSource), f"{name}: lacks info, identify or open"
    assert source.info == info, f"{name}: the class's info is not the registered one"
    paths = [Path(f) for f in files or ()]
    if world is not None and tmp is not None and hasattr(source, "write"):
        paths += source.write(world, tmp)
        assert paths, f"{name}: write returned no path"
    if not paths:
        return
    assert all(source.identify(p) for p in paths), f"{name}: identify refuses its own file"
    with raise_if_computes():
        ds = open_files(source, paths)
    check_canonical(ds, info)
    first = next(iter(ds.data_vars))
    only = open_files(source, paths, variables=[str(first)])
    assert first in only, f"{name}: variables=['{first}'] does not return it"
    if world is not None:
        only = open_files(source, paths, region=Area(world.bbox, world.grid))
    if only[first].size <= MANY and only[first].dtype.kind == "f":
        assert bool(only[first].notnull().any()), f"{name}: {first} has no value at all"
    junk = (tmp or paths[0].parent) / f"junk{paths[0].suffix}"
    if tmp is not None:
        junk.write_bytes(b"<html>please log in</html>")
        _refuses(source, junk)


def check_canonical(ds: xr.Dataset, info: SourceInfo) -> None:
    """Check names, units, dims, day axis and coordinates of a dataset from a source.

    Examples
    --------
    >>> import xsm
    >>> check_canonical(xsm.example("nldas", size=8, days=8), xsm.sources()["nldas"])
    """
    name = info.name
    assert len(ds.data_vars), f"{name}: no variable"
    for key, variable in ds.data_vars.items():
        spec = VARIABLES.get(str(key))
        assert spec is not None or key in info.variables or key in ("flag", "soil_temperature"), (
            f"{name}: unknown name {key}"
        )
        if spec is not None and spec.units:
            assert variable.attrs.get("units") == spec.units, f"{name}: {key} has units {variable.attrs.get('units')}"
        if spec is not None and spec.kind == "continuous" and key != "obs_time":
            assert variable.dtype == np.float32, f"{name}: {key} is {variable.dtype}, expected float32"
    if info.stations:
        assert {"sensor", "time"} <= set(ds.dims), f"{name}: stations have dims sensor, time"
        assert {"station", "network", "lat", "lon", "depth"} <= set(ds.coords), f"{name}: station coordinates missing"
        return
    assert {"x", "y"} <= set(ds.dims) or {"lat", "lon"} <= set(ds.dims), f"{name}: no horizontal dims"
    if "time" in ds.dims and ds.sizes["time"] > 1:
        day = ds["time"].values
        assert np.all(np.diff(day) == np.timedelta64(1, "D")), f"{name}: days are missing or repeated"
    grid = grid_of(ds)
    if grid is not None:
        assert "spatial_ref" in ds.coords, f"{name}: no spatial_ref"


def check_model(name: str, *, options: Mapping[str, Any] | None = None, tmp: Path | None = None) -> None:
    """Check a model against its contract: fit, bundle, prediction, shapes, repeatability.

    Parameters
    ----------
    name : str
        Registered name.
    options : mapping, optional
        Options that make training short.
    tmp : Path, optional
        Folder in which a bundle is saved and read back.

    Raises
    ------
    AssertionError
        Says which rule is broken.

    Examples
    --------
    >>> check_model("ridge", options={"penalty": 2.0})
    """
    model = get_model(name)
    assert isinstance(model, Model), f"{name}: lacks info, block, fit or predict_block"
    samples, spec = small_task(model, options or {})
    shares: list[float] = []
    bundle = model.fit(samples, spec, validation=samples, seed=3, progress=lambda share, text: shares.append(share))
    assert shares and max(shares) <= 1.0, f"{name}: progress is a share from 0 to 1"
    json.dumps(dict(bundle.card))
    assert bundle.card["model"] == name and bundle.card["task"] == spec.task, (
        f"{name}: card names another model or task"
    )
    assert list(bundle.card["targets"]) == list(spec.targets), f"{name}: card has other targets"
    again = model.fit(samples, spec, validation=samples, seed=3, progress=lambda share, text: None)
    assert again.hash == bundle.hash, f"{name}: the same seed yields another bundle"
    if tmp is not None:
        bundle = Bundle.load(bundle.save(tmp / "bundle"))
        assert bundle.hash == again.hash, f"{name}: the bundle changes when it is saved"
    _check_prediction(name, model, bundle, samples, spec)


def small_task(model: Model, options: Mapping[str, Any]) -> tuple[Samples, Spec]:
    """A small task with a known law for a model of any task.

    Gap filling has 60 days of 24 series, fusion too, with gaps in its predictors, an estimate 60 days of 40 x 40 cells.

    Examples
    --------
    >>> samples, spec = small_task(get_model("linear"), {})
    >>> spec.task, samples.arrays["soil_moisture"].shape
    ('gapfill', (60, 24))
    """
    rng = np.random.default_rng(1)
    days = np.datetime64("2021-01-01") + np.arange(60)
    if model.info.task == "gapfill":
        wave = 0.25 + 0.08 * np.sin(np.arange(60)[:, None] / 6 + rng.uniform(0, 6, 24))
        series = np.where(rng.random(wave.shape) < 0.6, wave + 0.01 * rng.normal(size=wave.shape), np.nan).astype("f4")
        spec = Spec("gapfill", ("soil_moisture",), ("soil_moisture",), references=("soil_moisture",),
                    units={"soil_moisture": "m3 m-3"}, options=dict(options))  # fmt: skip
        return Samples({"soil_moisture": series}, days, np.ones(60, bool), np.ones(24, bool)), spec
    if model.info.task == "fuse":
        drive, soil = rng.normal(size=(60, 24)).astype("f4"), np.linspace(10, 60, 24, dtype="f4")
        law = 0.25 + 0.04 * drive - 0.001 * soil
        arrays = {"drive": np.where(rng.random(drive.shape) < 0.9, drive, np.nan), "sand": soil, "retrieval": law}
        spec = Spec("fuse", ("drive",), ("retrieval",), ("sand",), ("retrieval",),
                    {"drive": "1", "sand": "percent", "retrieval": "m3 m-3"}, options=dict(options))  # fmt: skip
        return Samples(arrays, days, np.ones(60, bool), np.ones(24, bool)), spec
    shape = (60, 40, 40)
    drive = rng.normal(size=shape).astype("f4")
    soil = np.broadcast_to(np.linspace(10, 60, 40, dtype="f4"), shape[1:]).copy()
    law = (0.25 + 0.04 * drive - 0.001 * soil).astype("f4")
    arrays = {"tb_h": 240 + 10 * drive, "sand": soil, "sm_noah_0_10": law, "sm_dca": law + 0.01}
    spec = Spec("estimate", ("tb_h",), ("sm_5cm",), ("sand",), ("sm_noah_0_10", "sm_dca"),
                {"tb_h": "K", "sand": "percent", "sm_noah_0_10": "m3 m-3", "sm_dca": "m3 m-3", "sm_5cm": "m3 m-3"}, 5,
                2, dict(options))  # fmt: skip
    use = np.arange(60) >= 2
    return Samples(arrays, days, use, np.ones(shape[1:], bool), np.ones(shape, bool)), spec


def _check_prediction(name: str, model: Model, bundle: Bundle, samples: Samples, spec: Spec) -> None:
    block = model.block(bundle)
    target = spec.targets[0]
    if block.kind == "series":
        arrays = {n: np.asarray(samples.arrays[n]) for n in (*spec.inputs, *spec.statics)}
        if spec.task == "estimate":
            arrays = {n: a.reshape(len(a), -1) if a.ndim == 3 else a.reshape(-1) for n, a in arrays.items()}
        shape = arrays[spec.inputs[0]].shape
        if spec.task == "gapfill":
            arrays["days"] = samples.days
    else:
        cut = np.s_[..., : block.size, : block.size]
        arrays = {n: np.stack([np.asarray(samples.arrays[n])[:10][cut]] * BATCH) for n in spec.inputs}
        arrays |= {n: np.stack([np.asarray(samples.arrays[n])[cut]] * BATCH) for n in spec.statics}
        arrays = {
            n: np.pad(a, [(0, 0)] * (a.ndim - 2) + [(0, block.size - s) for s in a.shape[-2:]])
            for n, a in arrays.items()
        }
        arrays["mask"] = np.ones((BATCH, block.size, block.size), bool)
        shape = (BATCH, 10 - block.look_back + 1, block.size, block.size)
    result = model.predict_block(arrays, bundle, device="cpu")
    spreads = ("_std", "_obs_std") if spec.task == "gapfill" else ("_std",)
    for key in (target, *(target + s for s in spreads)):
        assert key in result, f"{name}: no '{key}' in the prediction"
        assert np.shape(result[key]) == shape, (
            f"{name}: '{key}' has the shape {np.shape(result[key])}, expected {shape}"
        )
        assert np.isfinite(result[key]).all(), f"{name}: '{key}' has gaps"
    for spread in spreads:
        assert (np.asarray(result[target + spread]) >= 0).all(), f"{name}: negative spread"
    second = model.predict_block(arrays, bundle, device="cpu")
    assert np.array_equal(result[target], second[target]), f"{name}: the same block yields another result"


def _check_info(info: SourceInfo) -> None:
    assert info.name.isidentifier() and info.name == info.name.lower(), f"{info.name}: names are lower case identifiers"
    assert ":" in info.factory, f"{info.name}: factory is 'module:Class'"
    assert info.variables, f"{info.name}: lists no variables"
    for option in (*info.options, *info.fetch_options):
        assert option.name and option.kind and option.help, (
            f"{info.name}: option {option.name} lacks name, kind or help"
        )


def _refuses(source: DataSource, junk: Path) -> None:
    from xsm.errors import XsmError

    try:
        open_files(source, [junk])
    except XsmError as error:
        assert junk.name in str(error), f"{source.info.name}: the error does not name the file: {error}"
    else:
        raise AssertionError(f"{source.info.name}: an HTML page is read as data")


def leaky_series(cells: int = 40, days: int = 240, seed: int = 3) -> xr.Dataset:
    """Series of soil moisture that depend on ten days of rain, which no model of the day's rain alone can follow.

    Parameters
    ----------
    cells, days : int
        Number of series and their length from 2020-01-01.
    seed : int
        Seed of rain, errors and gaps.

    Returns
    -------
    xarray.Dataset
        ``precipitation`` (kg m-2) and ``soil_moisture`` (m3 m-3, three in ten days missing, errors of 0.005), dims
        ``(time, cell)``, and ``sand`` (percent), dim ``cell``; no grid.

    Examples
    --------
    >>> leaky_series(cells=3, days=5)["soil_moisture"].shape
    (5, 3)
    """
    rng = np.random.default_rng(seed)
    rain = np.where(rng.random((days, cells)) < 0.2, rng.gamma(1.0, 8.0, (days, cells)), 0.0)
    wet = np.zeros((days, cells))
    for t in range(1, days):
        wet[t] = 0.9 * wet[t - 1] + 0.1 * rain[t]
    sand = np.linspace(20, 80, cells)
    moisture = 0.1 + 0.03 * wet + 0.001 * (80 - sand) + rng.normal(0, 0.005, rain.shape)
    moisture[rng.random(moisture.shape) < 0.3] = np.nan
    return xr.Dataset(
        {
            "precipitation": (("time", "cell"), rain, {"units": "kg m-2"}),
            "soil_moisture": (("time", "cell"), moisture, {"units": "m3 m-3"}),
            "sand": ("cell", sand, {"units": "percent"}),
        },
        {"time": np.datetime64("2020-01-01", "ns") + np.arange(days) * np.timedelta64(1, "D")},
    )


def window(rows: int = 8, cols: int = 9) -> Grid:
    """A small window of EASE2_M09 on the Great Plains for tests.

    Examples
    --------
    >>> window(2, 3).shape
    (2, 3)
    """
    return EASE2_M09.window(330, 330 + rows, 880, 880 + cols)
