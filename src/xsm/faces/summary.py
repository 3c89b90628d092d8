"""The text of ``ds.sm``: what a dataset contains, what fusion and scenarios still need, and the next command."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

import numpy as np
import xarray as xr

from xsm.contracts.registry import providers
from xsm.data.families import is_moisture
from xsm.data.grids import grid_of
from xsm.data.roles import RETRIEVAL, ROOT, SURFACE, holders, usual
from xsm.data.scenarios import PREDICTORS, SCENARIOS, SOIL, Scenario, scenario_of

LARGEST = 20_000_000
"""Number of values above which the gaps of a variable are not counted."""
STEPS = {PREDICTORS: "gapfill_cru", SOIL: "regrid_ease9km"}
"""What is done to a product with some variables before it joins a cube."""
Rows = list[tuple[str, str]]


def text(ds: xr.Dataset) -> str:
    """Summary as plain text."""
    title, *rows = rows_of(ds)
    if (means := _means(ds)) is not None:
        rows = [*(("", line) for line in means.to_string(index_names=False).split("\n")), *rows]
    width = max((len(name) for name, _ in rows), default=0)
    return "\n".join([f"<ds.sm: {title[1]}>", *(f"  {name:{width}}  {content}" for name, content in rows)])


def html(ds: xr.Dataset) -> str:
    """Summary as a small table for notebooks."""
    title, *rows = rows_of(ds)
    means = _means(ds)
    scores = "" if means is None else means.reset_index().to_html(index=False, border=0, na_rep="")
    cells = "".join(
        f'<tr><th style="text-align:left;vertical-align:top;white-space:nowrap">{escape(name)}</th>'
        f'<td style="text-align:left;overflow-wrap:anywhere">{escape(content)}</td></tr>'
        for name, content in rows
    )
    return f"<div><strong>ds.sm</strong>: {escape(title[1])}{scores}<table>{cells}</table></div>"


def rows_of(ds: xr.Dataset) -> Rows:
    """Rows of name and content; the first is the title. Nothing lazy is computed."""
    if "sensor" in ds.dims and "soil_moisture" in ds:
        networks = ", ".join(sorted({str(n) for n in np.atleast_1d(ds["network"].values)}))
        return [("", f"{_period(ds)}{ds.sizes['sensor']} sensors of {networks}"), ("next", "maps.sm.validate(ds)")]
    if {"product", "station"} <= set(ds.dims):
        shape = f"scores of {ds.sizes['product']} products at {ds.sizes['station']} stations"
        return [
            ("", f"{shape}, means over the stations"),
            ("next", "ds.sm.plot_skill()" if "r" in ds else "ds.sm.to_frame()"),
        ]
    if "product" in ds.dims and "error_std" in ds:
        cells = " x ".join(f"{n} {d}" for d, n in ds["error_std"].sizes.items() if d != "product")
        return [
            ("", f"errors of {ds.sizes['product']} products{cells and f' in {cells}'}"),
            ("next", "ds.sm.to_frame()"),
        ]
    if "pair" in ds.dims and "reference" in ds:
        return [("", f"{ds.sizes['pair']} pairs of product and station"), ("next", "ds.sm.to_frame()")]
    grid = grid_of(ds)
    if grid is None:
        rows = [("", f"{_period(ds)}{_shape(ds)}, on no EASE-Grid"), *_contents(ds, {})]
        return [*rows, ("next", _ungridded(ds))]
    names = holders(ds)
    predictors = [n for n in PREDICTORS if n in ds] or [n for role, n in names.items() if role == RETRIEVAL]
    gaps = {n: _gaps(ds, n) for n in predictors}
    rows = [("", f"{_period(ds)}{grid.rows} x {grid.cols} cells of {grid.name}"), *_contents(ds, gaps)]
    if any(str(n).startswith(("sm_5cm", "sm_25cm")) for n in ds) and not predictors:
        return [*rows, ("next", 'ds.sm.validate(stations) or ds.sm.report("report.html")')]
    rows.append(("fusion", _fusion(ds)))
    scenarios = [scenario_of(ds, *key) for key in SCENARIOS]
    rows += [(f"{s.depth} cm scenario {s.number}", _state(ds, s, gaps)) for s in scenarios]
    return [*rows, ("next", _next(ds, gaps))]


def _means(ds: xr.Dataset) -> Any:
    """Means over the stations by product where the dataset contains scores."""
    if not {"product", "station"} <= set(ds.dims):
        return None
    from xsm.validation.scoring import means

    return means(ds).round(3)


def _ungridded(ds: xr.Dataset) -> str:
    if {"x", "y"} <= set(ds.dims) or {"lat", "lon"} <= set(ds.dims):
        return "ds.sm.regrid_ease9km()"
    return "ds.sm.gapfill() fills series; maps need x and y, or lat and lon"


def _period(ds: xr.Dataset) -> str:
    if "time" not in ds.dims or not ds.sizes["time"]:
        return "no days, "
    first, last = (str(ds["time"].values[i])[:10] for i in (0, -1))
    return f"{first} to {last}, " if ds["time"].dtype.kind == "M" else f"{ds.sizes['time']} steps, "


def _shape(ds: xr.Dataset) -> str:
    return " x ".join(f"{n} {d}" for d, n in ds.sizes.items() if d != "time") or "one series"


def _contents(ds: xr.Dataset, gaps: dict[str, float | None]) -> Rows:
    contents: dict[str, list[Any]] = {
        "predictors": [n for n in PREDICTORS if n in ds],
        "soil": [n for n in SOIL if n in ds],
        "soil moisture": [n for n in ds if is_moisture(ds, str(n))],
    }
    known = {n for names in contents.values() for n in names}
    contents["also"] = [n for n in ds if n not in known and not str(n).endswith(("_std", "_observed"))]
    missing = {n: f"{n} ({share:.0%} missing)" for n, share in gaps.items() if share}
    return [(name, ", ".join(missing.get(n, str(n)) for n in names)) for name, names in contents.items() if names]


def _gaps(ds: xr.Dataset, name: str) -> float | None:
    """Share of missing days in cells that have some value; None if counting would compute or take long."""
    variable = ds[name]
    if variable.chunks is not None or variable.size > LARGEST or "time" not in variable.dims:
        return None
    valid = variable.notnull()
    if "land" in ds and ds["land"].chunks is None:
        valid = valid.where(ds["land"].astype(bool), False)
    share = valid.mean("time")
    return float((1 - share.where(share > 0)).mean())


def _fusion(ds: xr.Dataset) -> str:
    names = holders(ds)
    absent = [usual(role) for role in (RETRIEVAL, SURFACE, ROOT) if role not in names]
    if not absent:
        return "ready at 5 and 25 cm"
    return f"ready at 5 cm; lacks {absent[0]} for 25 cm" if absent == [usual(ROOT)] else f"lacks {', '.join(absent)}"


def _state(ds: xr.Dataset, scenario: Scenario, gaps: dict[str, float | None]) -> str:
    absent = _absent(ds, scenario)
    if absent:
        return f"lacks {', '.join(absent)}"
    if ds.sizes.get("time", 0) <= scenario.lead_in:
        return f"needs more than {scenario.lead_in} days"
    if any(gaps.values()):
        return "has its predictors, with gaps to fill"
    if any(_uncounted(ds, n, gaps) for n in gaps):
        return "has its predictors; gaps are not counted (lazy or large)"
    return "ready to estimate" + ("" if all(r in ds for r in scenario.references) else "; lacks references to train on")


def _absent(ds: xr.Dataset, scenario: Scenario) -> list[str]:
    absent = [n for n in (*scenario.inputs, *scenario.statics) if n not in ds and n != "sm_5cm"]
    depths = ds["soil_depth"].values if "soil_depth" in ds.coords else ()
    shallow = [n for n in scenario.statics if n in ds and "soil_depth" in ds[n].dims]
    return absent + [f"{n} at {scenario.soil_depth} cm" for n in shallow if scenario.soil_depth not in depths]


def _uncounted(ds: xr.Dataset, name: str, gaps: dict[str, float | None]) -> bool:
    return gaps[name] is None and "time" in ds[name].dims and "fill_method" not in ds[name].attrs


def _next(ds: xr.Dataset, gaps: dict[str, float | None]) -> str:
    step = _next_for_scenarios(ds, gaps)
    return f"ds.sm.fuse(), or {step} for a scenario" if _fusion(ds).startswith("ready") else step


def _next_for_scenarios(ds: xr.Dataset, gaps: dict[str, float | None]) -> str:
    if any(gaps.values()):
        return "ds.sm.gapfill_cru()"
    absent = {s: _absent(ds, s) for s in SCENARIOS.values()}
    ready = [s for s, names in absent.items() if not names]
    if ready:
        first = "ds.sm.gapfill_cru() if there are gaps, then " if any(_uncounted(ds, n, gaps) for n in gaps) else ""
        return f"{first}ds.sm.estimate(depth={ready[-1].depth}, scenario={ready[-1].number})"
    fewest = {n.split()[0] for n in min(absent.values(), key=len)}
    satellite, soil = (_opened(fewest.intersection(names), step) for names, step in STEPS.items())
    parts = [*satellite, "ds", *soil]
    return f"xsm.cube({', '.join(parts)})"


def _opened(names: Iterable[str], step: str) -> list[str]:
    """How the first source with some variables is opened and prepared, as code; empty without one."""
    return [f'xsm.open("{source}", ...).sm.{step}()' for source in providers(names)[:1]]
