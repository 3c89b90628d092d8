"""Which variable of a dataset plays which part: retrieval, land model at two depths, weather, soil.

A source declares the roles of its variables (`xsm.contracts.source.SourceInfo`); they travel as the attribute ``role``.
Several variables may have one role: the first one holds it, or the one that the user names (`with_roles`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
import xarray as xr

from xsm.data import article
from xsm.data.canonical import Part
from xsm.data.derived_text import is_derived
from xsm.errors import UsageError, render_hint, tell, unknown

RETRIEVAL, SURFACE, ROOT = "retrieval", "model_surface", "model_root"
LAND_MODEL, ESTIMATE, PREDICTOR, FORCING, SOIL = "land model", "estimate", "predictor", "forcing", "soil"
SOIL_TEMPERATURE = "soil_temperature"
ROLES: Mapping[str, str] = {
    RETRIEVAL: "soil moisture that a satellite observed",
    PREDICTOR: "what the satellite measured beside it, such as brightness temperatures",
    SURFACE: "soil moisture of the layer of a land model that contains 5 cm",
    ROOT: "soil moisture of the layer of a land model that contains 25 cm",
    LAND_MODEL: "soil moisture of another layer of a land model",
    "comparison_surface": "soil moisture near 5 cm that is scored and drawn beside estimates and takes no part in them",
    "comparison_root": "the same near 25 cm",
    FORCING: "weather: precipitation, air_temperature and others under their own names",
    SOIL_TEMPERATURE: "temperature of the upper soil: below freezing the ground counts as frozen",
    SOIL: "maps of soil: sand, silt, clay, bulk_density",
    "land_cover": "land cover classes",
    ESTIMATE: "soil moisture that a model of xsm estimated",
}
"""What a variable can be."""
QUANTITIES = ("precipitation", "air_temperature", "sand", "clay", "land_cover")
"""Roles that the variable of their own name holds, unless the user names another."""
FUSED = (RETRIEVAL, SURFACE, ROOT, *QUANTITIES)
"""What a fusion takes, in its order."""
CAN_BE_NAMED = dict.fromkeys((*FUSED, *(r for r in ROLES if r.startswith("comparison")), "silt", "bulk_density"))
"""Roles of which one variable at a time is the holder, so that a user can name it."""
LAND_MODELS = frozenset(r for r in ROLES if r.startswith(("model", "comparison"))) | {LAND_MODEL}
"""Roles of what a land model says of soil moisture."""
DEPTHS: Mapping[str, int] = {RETRIEVAL: 5, SURFACE: 5, "comparison_surface": 5, ROOT: 25, "comparison_root": 25}
"""Depth in cm that is asked of the holder of a role."""
SOURCE = "source_variable"
"""Attribute of what is derived from a variable: the name of that variable."""
NAMED = "roles"
"""Attribute of a dataset: the variables that the user names, ``"model_surface=swvl1; retrieval=sm"``."""
DECLARED: dict[str, Part] = {}
"""Parts of variables by name, as sources declare them, where no attribute says otherwise; see `declare`."""


def declare(parts: Iterable[Mapping[str, Part]], canonical: Iterable[str]) -> None:
    """Take what sources declare of their variables; canonical names and names of two sources say nothing by themselves.

    Parameters
    ----------
    parts : iterable of mapping of str to Part
        Parts of the variables of each source, by name.
    canonical : iterable of str
        Names that any source may use.
    """
    every = [item for source in parts for item in source.items()]
    names = set(canonical)
    counts = Counter(name for name, _ in every)
    DECLARED.clear()
    DECLARED.update({n: part for n, part in every if counts[n] == 1 and n not in names})


def with_parts(ds: xr.Dataset, parts: Mapping[str, Part]) -> xr.Dataset:
    """The dataset with what a source declares as attributes of its variables: ``role``, ``family`` and ``depth``."""
    attrs = {n: {"role": p.role, "family": p.family, "depth": p.depth and f"{p.depth} cm"} for n, p in parts.items()}
    return ds.assign(
        {n: ds[n].assign_attrs({k: v for k, v in a.items() if v}) for n, a in attrs.items() if n in ds.data_vars}
    )


def part_by_name(name: str) -> Part:
    """What is known of a variable by its name alone."""
    return article.PARTS.get(name) or DECLARED.get(name) or _ESTIMATES.get(name) or Part()


_ESTIMATES = dict.fromkeys(("sm_5cm", "sm_25cm"), Part(ESTIMATE))


def role_of(ds: xr.Dataset, name: str) -> str:
    """Role of a variable: what the user names it for, its attribute ``role``, or what its name says; empty if unknown.

    Examples
    --------
    >>> role_of(xr.Dataset({"swvl1": ("x", [0.2], {"role": "model_surface"})}), "swvl1"), role_of(xr.Dataset(), "rain")
    ('model_surface', '')
    """
    if name in (named := {n: r for r, n in named_in(ds).items()}):
        return named[name]
    role, known = str(ds[name].attrs.get("role", "") if name in ds else ""), part_by_name(name).role
    return known if known and (not role or (role == LAND_MODEL and known in LAND_MODELS)) else role


def holders(ds: xr.Dataset) -> dict[str, str]:
    """The variable that holds each role, as far as the dataset has one.

    Parameters
    ----------
    ds : xarray.Dataset
        A cube or a product.

    Returns
    -------
    dict of str to str
        Names by role, in the order of `CAN_BE_NAMED`.

    Examples
    --------
    >>> import xsm
    >>> holders(xsm.example("cube", size=16, days=20))["model_root"]
    'sm_noah_10_40'
    """
    named = named_in(ds)
    candidates = {r: [named[r]] if named.get(r) in ds else _candidates(ds, r) for r in CAN_BE_NAMED}
    return {r: names[0] for r, names in candidates.items() if names}


def _candidates(ds: xr.Dataset, role: str) -> list[str]:
    """Variables that can hold a role, those first that are known by name."""
    if role in ds:
        return [role]
    if role not in ROLES:
        return []
    return in_order(ds, with_role(ds, role))


def with_role(ds: xr.Dataset, role: str) -> list[str]:
    """Variables of a dataset that have a role."""
    return [str(n) for n in ds.data_vars if role_of(ds, str(n)) == role]


def in_order(ds: xr.Dataset, names: Iterable[str]) -> list[str]:
    """Variables without those that are derived from others; first those that are known by name."""
    order = {n: i for i, n in enumerate((*article.PARTS, *DECLARED))}
    plain = [n for n in names if not is_derived(n) and SOURCE not in ds[n].attrs]
    return sorted(plain, key=lambda n: order.get(n, len(order)))


def usual(role: str) -> str:
    """The article's variable of a role, for messages about what is missing; the role itself where it has none."""
    return next((name for name, part in article.PARTS.items() if part.role == role), role)


def described(role: str) -> str:
    """A role in words, with the article's variable as an example."""
    name = usual(role)
    return role.replace("_", " ") if name == role else f"{name} ({role.replace('_', ' ')})"


def named_in(ds: xr.Dataset) -> dict[str, str]:
    """The variables that the user names, by role, as a dataset or scores carry them."""
    pairs = (text.partition("=") for text in str(ds.attrs.get(NAMED, "")).split(";") if "=" in text)
    return {role.strip(): name.strip() for role, _, name in pairs}


def with_roles(ds: xr.Dataset, roles: Mapping[str, str] | None = None) -> xr.Dataset:
    """The dataset with the user's choice of the variables that hold roles, which travels with it.

    Parameters
    ----------
    ds : xarray.Dataset
        A cube.
    roles : mapping of str to str, optional
        Names of variables by role (`CAN_BE_NAMED`).

    Raises
    ------
    UsageError
        For a role or a variable that there is not, or one that stands for both depths.

    Warns
    -----
    UserWarning
        Where products of different origin could hold a role and the user names none, and for a layer that does not
        contain the depth that is asked of it.

    Examples
    --------
    >>> import xsm
    >>> cube = xsm.example("cube", size=16, days=20)
    >>> holders(with_roles(cube, {"retrieval": "sm_scav"}))["retrieval"]
    'sm_scav'
    """
    roles = dict(roles or {})
    for role, name in roles.items():
        if role not in CAN_BE_NAMED:
            raise unknown("role", role, CAN_BE_NAMED)
        if name not in ds.variables:
            raise unknown("variable", name, map(str, ds.data_vars))
    if roles.get(SURFACE) and roles.get(SURFACE) == roles.get(ROOT):
        raise UsageError(
            f"'{roles[ROOT]}' is named for both {SURFACE} and {ROOT}, expected two layers of a land model.",
            hint="Name the layer that contains 5 cm and the one that contains 25 cm.",
        )
    both = named_in(ds) | roles
    if roles:
        ds = ds.assign_attrs({NAMED: "; ".join(f"{role}={name}" for role, name in both.items())})
    _tell_doubt(ds, both)
    return ds


def _tell_doubt(ds: xr.Dataset, named: Mapping[str, str]) -> None:
    """Warn of roles that products of different origin could hold, and of layers that are not at the depth of a role."""
    for role, depth in DEPTHS.items():
        names = [named[role]] if named.get(role) in ds else _candidates(ds, role)
        families = {str(ds[n].attrs.get("family", "") or part_by_name(n).family) for n in names}
        if len(families) > 1 and not role.startswith("comparison"):
            tell(
                f"{' and '.join(names)} can each be the {role.replace('_', ' ')}; {names[0]} is taken. "
                + render_hint(f"Name one with <roles={role}={names[0]}>.")
            )
        bounds = bounds_of(ds, names[0]) if names else None
        if bounds and not bounds[0] <= depth <= bounds[1]:
            tell(f"'{names[0]}' is the layer of {bounds[0]:g} to {bounds[1]:g} cm, and {depth} cm are asked of it as "
                 f"{role.replace('_', ' ')}.")  # fmt: skip


def bounds_of(ds: xr.Dataset, name: str) -> tuple[float, float] | None:
    """Top and bottom in cm of the layer of soil that a variable is of; None where they are not known.

    They are the attribute ``depth`` (``"7-28 cm"``), else what the name says.

    Examples
    --------
    >>> bounds_of(xr.Dataset({"swvl2": ("x", [0.2], {"depth": "7-28 cm"})}), "swvl2")
    (7.0, 28.0)
    """
    return bounds_of_text(str(ds[name].attrs.get("depth", "") if name in ds else "") or part_by_name(name).depth)


def bounds_of_text(text: str) -> tuple[float, float] | None:
    """Top and bottom in cm of a text such as ``"7-28 cm"``; None where it is none.

    Examples
    --------
    >>> bounds_of_text("0-7"), bounds_of_text("5 cm")
    ((0.0, 7.0), None)
    """
    try:
        top, bottom = (float(end) for end in text.removesuffix("cm").split("-"))
    except ValueError:
        return None
    return (top, bottom) if 0 <= top < bottom else None


def soil_slice(ds: xr.Dataset, name: str, depth: float) -> xr.DataArray:
    """A soil map at a depth in cm: the layer that contains it where ``soil_depth`` has bounds, else the nearest depth.

    Parameters
    ----------
    ds : xarray.Dataset
        With the coordinate ``soil_depth`` (cm) where the map has that dim; its attribute ``bounds`` names the variable
        with the bounds of the layers, ``(soil_depth, 2)``.
    name : str
        The map.
    depth : float
        In cm.

    Examples
    --------
    >>> layers = {"soil_depth": ("soil_depth", [2.5, 10, 22.5], {"bounds": "ends"})}
    >>> layers["ends"] = (("soil_depth", "end"), [[0, 5], [5, 15], [15, 30]])
    >>> soil_slice(xr.Dataset({"sand": ("soil_depth", [40, 50, 60])}, layers), "sand", 25).item()
    60
    """
    variable = ds[name]
    if "soil_depth" not in variable.dims:
        return variable
    if (bounds := soil_bounds(ds)) is not None and (inside := (bounds[:, 0] < depth) & (depth <= bounds[:, 1])).any():
        at = int(np.flatnonzero(inside)[0])
    else:
        at = int(np.abs(ds["soil_depth"].values - depth).argmin())
    return variable.isel(soil_depth=at, drop=True)


def soil_bounds(ds: xr.Dataset) -> np.ndarray | None:
    """Tops and bottoms of the layers of ``soil_depth`` in cm, ``(soil_depth, 2)``; None where it has no bounds."""
    bounds = str(ds["soil_depth"].attrs.get("bounds", ds["soil_depth"].encoding.get("bounds", "")))
    return np.sort(ds[bounds].values.astype("f8"), 1) if bounds in ds.variables else None


def as_variables(ds: xr.Dataset) -> xr.Dataset:
    """The cube with holders of roles as variables: land cover may come as a coordinate."""
    return ds.reset_coords([name for name in {*holders(ds).values(), *QUANTITIES} if name in ds.coords])
