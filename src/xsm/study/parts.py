"""Whether the inputs of a study have what it fills, estimates and fuses, as their sources declare it."""

from __future__ import annotations

from collections.abc import Iterable

from xsm.contracts.registry import providers, roles_of, sources
from xsm.data.derived_text import behind
from xsm.data.roles import CAN_BE_NAMED, RETRIEVAL, ROLES, SURFACE
from xsm.data.scenarios import get_scenario
from xsm.errors import UsageError, unknown
from xsm.study.config import Fit, Study, depth_and_scenario


def check_parts(study: Study) -> None:
    """Stop where no input of a study has a variable or a role that the study needs; nothing is opened."""
    parts = {n: part for name in study.inputs for n, part in _parts(study, name).items()}
    for role, name in study.roles.items():
        if role not in CAN_BE_NAMED:
            raise unknown("role in [roles]", role, CAN_BE_NAMED)
        if name not in parts:
            raise unknown("variable in [roles]", name, parts)
    roles = {*parts.values(), *study.roles}
    if study.gapfill:
        _need("fills gaps", (*(study.gapfill.variables or ()), *study.gapfill.covariates), {*parts}, roles)
    fit = study.fit or Fit(estimates=())
    for pair in (p for p in fit.estimates if p not in fit.bundles):
        scenario, options = get_scenario(*depth_and_scenario(pair)), fit.options
        predictors = options.get("predictors") or (*scenario.inputs, *scenario.statics)
        references = [options["target"]] if "target" in options else scenario.references
        names = [n for n in (*map(behind, predictors), *references) if n != "sm_5cm"]
        _need(f"trains for {scenario}", names, {*parts}, roles)
    if study.fuse:
        _need("fuses", (RETRIEVAL, SURFACE), {*parts}, roles)


def _parts(study: Study, name: str) -> dict[str, str]:
    """Variables of an input and their roles, those that its options leave out not among them."""
    roles = roles_of(name)
    names = study.inputs[name].options.get("variables") or roles
    return {n: roles.get(n, "") for n in ([names] if isinstance(names, str) else names)}


def _need(what: str, names: Iterable[str], variables: set[str], roles: set[str]) -> None:
    missing = [n for n in dict.fromkeys(names) if n not in (roles if n in ROLES else variables)]
    if not missing:
        return
    plugins = sorted({*providers(missing), *(n for n in sources() if {*missing} & {*roles_of(n).values()})})
    words = [f"a {n.replace('_', ' ')}" if n in ROLES else n for n in missing]
    such = f" such as {' or '.join(plugins)}" if plugins else ""
    raise UsageError(
        f"The study {what}, which needs {', '.join(words)}; none of its inputs has it.",
        hint=f"Add an input{such}, name a variable in [roles], or leave out what needs it.",
    )
