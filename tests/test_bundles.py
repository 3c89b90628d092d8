"""Bundles: written, read again, refused where they are damaged or for something else."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from xsm.contracts.bundle import Bundle
from xsm.errors import DataError


def test_bundle_round_trip_holds_its_surface(ridge, tmp_path):
    path = ridge[25, 2].save(tmp_path / "25-2")
    back = Bundle.load(path)
    assert back.hash == ridge[25, 2].hash
    assert back.surface is not None
    assert back.surface.hash == back.card["surface"]
    assert back.card["training"]["days"] == ["2021-06-01", "2021-07-06"]
    with pytest.raises(DataError, match="exists already"):
        ridge[5, 1].save(path)
    shutil.rmtree(path / "surface")
    ridge[5, 1].save(path / "surface")
    with pytest.raises(DataError, match="was changed: its hash was"):
        Bundle.load(path)


def change_card(folder, change):
    path = folder / "card.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def change_weights(folder, change, *, with_hash=True):
    """Write other weights beside the old card, with or without its hash."""
    save_file({k: change(v) for k, v in load_file(folder / "weights.safetensors").items()},
              folder / "weights.safetensors")  # fmt: skip
    card = json.loads((folder / "card.json").read_text())
    card = {k: v for k, v in card.items() if with_hash or k != "hash"}
    (folder / "card.json").write_text(json.dumps(card))


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda p: (p / "card.json").write_text("{"), "damaged"),
        (lambda p: (p / "weights.safetensors").write_bytes((1 << 60).to_bytes(8, "little") + b"x" * 100), "damaged"),
        (lambda p: (p / "card.json").write_text('{"format": 1, "surprise": 2}'), "unknown keys"),
        (lambda p: (p / "card.json").unlink(), "not a model bundle"),
        (lambda p: change_weights(p, lambda w: w + 1), "was changed: its hash was"),
        (lambda p: change_card(p, lambda c: {**c, "inputs": c["inputs"][::-1]}), "was changed: its hash was"),
        (
            lambda p: change_weights(p, lambda w: w * np.nan, with_hash=False),
            "The weights mean, spread, std .* NaN or infinite",
        ),
    ],
)
def test_damaged_bundles_are_refused(ridge, tmp_path, spoil, text):
    path = ridge[5, 1].save(tmp_path / "b")
    spoil(path)
    with pytest.raises(DataError, match=text):
        Bundle.load(path)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda card: 3, "of the type int"),
        (lambda card: card.pop("depth") and card, r"lacks \['depth'\]"),
        (lambda card: card | {"inputs": None}, "no usable inputs"),
        (lambda card: card | {"targets": []}, "no usable targets"),
        (lambda card: card | {"units": None}, "no usable units"),
        (lambda card: card | {"spread": 3, "grid": "x"}, "no usable grid, spread"),
        (lambda card: card | {"options": None, "training": None}, "no usable options, training"),
        (lambda card: {k: v for k, v in card.items() if k != "options"}, r"lacks \['options'\]"),
    ],
)
def test_cards_of_other_types_are_refused(ridge, change, text):
    with pytest.raises(DataError, match=text):
        Bundle(change(dict(ridge[5, 1].card)), ridge[5, 1].weights)


def test_weights_that_do_not_fit_the_card_are_refused(law_cube, ridge):
    short = Bundle(ridge[5, 1].card, {**ridge[5, 1].weights, "mean": np.zeros(2)})
    with pytest.raises(DataError, match="do not fit its card"):
        law_cube.sm.estimate(scenario=1, model=short)


def test_bundle_of_another_depth_scenario_or_grid_is_refused(law_cube, ridge):
    with pytest.raises(DataError, match="5 cm scenario 1, expected 5 cm scenario 2"):
        law_cube.sm.estimate(depth=5, scenario=2, model=ridge[5, 1])
    with pytest.raises(DataError, match="expected 'estimate'"):
        gap = law_cube[["sm_dca"]].sm.fit(task="gapfill", model="linear")
        law_cube.sm.estimate(depth=5, model=gap)
    other = Bundle({**ridge[5, 2].card, "grid": {"name": "EASE2_M36"}}, ridge[5, 2].weights)
    with pytest.raises(DataError, match="trained on EASE2_M36"):
        law_cube.sm.estimate(depth=5, scenario=2, model=other)
    lone = Bundle(ridge[25, 2].card, ridge[25, 2].weights)
    with pytest.raises(DataError, match="lacks its 5 cm bundle"):
        law_cube.sm.estimate(depth=25, scenario=2, model=lone)
