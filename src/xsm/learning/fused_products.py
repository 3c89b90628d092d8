"""Whether the products of a cube are those that a fusion's bundle learnt from: by role, with families and layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import xarray as xr

from xsm.contracts.bundle import Bundle
from xsm.data.families import families_behind, shared
from xsm.data.roles import QUANTITIES, RETRIEVAL, ROOT, bounds_of, described, part_by_name
from xsm.errors import DataError, render_hint, tell

COMMON = 0.5
"""Least share of two layers of soil, of both together, that they have in common."""


def learnt_roles(bundle: Bundle) -> dict[str, dict[str, Any]]:
    """What held each role when a bundle was trained, by its card: ``name``, ``families``, ``layer`` in cm.

    A card without ``roles`` names the variables of the article.
    """
    card = bundle.card
    if noted := card["sources"].get("roles"):
        return {str(role): dict(about) for role, about in noted.items()}
    empty = xr.Dataset()
    return {
        name if name in QUANTITIES else part_by_name(name).role: {
            "name": name, "families": families_behind(empty, [name]), "layer": bounds_of(empty, name),
        }
        for name in (*card["inputs"], *card["statics"])
    }  # fmt: skip


def check_products(ds: xr.Dataset, names: Mapping[str, str], bundle: Bundle, depths: Sequence[int]) -> None:
    """Stop where a cube lacks a role of a bundle or has another layer of soil in it; warn of other products.

    Parameters
    ----------
    ds : xarray.Dataset
        Cube, whose units have been checked.
    names : mapping of str to str
        Its variables by role.
    bundle : Bundle
        Of the task ``fuse``.
    depths : sequence of int
        Depths in cm that are asked for.
    """
    learnt = {role: about for role, about in learnt_roles(bundle).items() if role != ROOT or 25 in depths}
    series = bundle.card["inputs"]
    lost = [r for r, about in learnt.items() if r not in names and r != RETRIEVAL and about["name"] in series]
    if lost:
        raise DataError(
            f"The fusion bundle needs {', '.join(map(described, lost))}, which the cube lacks.",
            hint="Add them with <cube()>, name them with <roles=>, or train a bundle on this cube.",
        )
    others = []
    for role in (r for r in learnt if r in names):
        name, words = names[role], role.replace("_", " ")
        layer, other = bounds_of(ds, name), learnt[role].get("layer")
        if layer and other and in_common(layer, other) < COMMON:
            raise DataError(
                f"'{name}' ({words}) is the layer of {_cm(layer)}, the fusion bundle learnt from one of {_cm(other)}.",
                hint="Train a bundle on this cube: leave <model=> out.",
            )
        families = families_behind(ds, [name])
        known = families and learnt[role]["families"]
        if known and not shared(families, learnt[role]["families"]):
            others.append(f"{words} {name} ({', '.join(families)}) for {', '.join(learnt[role]['families'])}")
        elif layer and other and tuple(layer) != tuple(other):
            others.append(f"{words} {name} of {_cm(layer)} for {_cm(other)}")
    if others:
        tell(
            f"The fusion bundle learnt from other products than those of the cube: {'; '.join(others)}. Its skill on "
            "them is not known. " + render_hint("Train a bundle on this cube: leave <model=> out.")
        )


def in_common(one: Sequence[float], other: Sequence[float]) -> float:
    """The share of two layers of soil that both have, of all that either has.

    Examples
    --------
    >>> in_common((0, 7), (0, 10)), round(in_common((7, 28), (10, 40)), 2), in_common((0, 5), (10, 40))
    (0.7, 0.55, 0.0)
    """
    both = min(one[1], other[1]) - max(one[0], other[0])
    return max(both, 0.0) / (max(one[1], other[1]) - min(one[0], other[0]))


def _cm(layer: Sequence[float]) -> str:
    return f"{layer[0]:g} to {layer[1]:g} cm"
