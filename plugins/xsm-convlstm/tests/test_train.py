"""Training that is resumed, that processes share, and ensembles."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import shared_batch
import torch
from convlstm_law import MODEL, QUIET, law, predict, samples, spec
from xsm import Bundle, DataError, set_options
from xsm_convlstm.config import Config
from xsm_convlstm.sequences import survey
from xsm_convlstm.train import Task, train

SHORT = {"epochs": 4, "steps_per_epoch": 3, "validation_steps": 2, "dropout": 0.2}


@pytest.fixture(scope="module")
def arrays():
    return law(80, 14)


def task(arrays, first: int, last: int, **options: object) -> Task:
    task_spec = spec(**SHORT | options)
    config = Config.from_options(task_spec.options)
    norm = survey(samples(arrays, 2, 50), task_spec, config)
    return Task(samples(arrays, first, last), task_spec, config, norm)


def both(arrays, **options: object) -> tuple[Task, Task]:
    return task(arrays, 2, 50, **options), task(arrays, 52, 80, **options)


class Interrupt(Exception):
    pass


@pytest.mark.parametrize("error", [Interrupt, KeyboardInterrupt])
def test_interrupted_and_resumed_equals_uninterrupted(arrays, tmp_path, error):
    whole = train(*both(arrays), seed=4, progress=QUIET["progress"])

    def stop(share: float, text: str) -> None:
        if share >= 0.75:  # in the third epoch, before its state is kept
            raise error

    with pytest.raises(error):
        train(*both(arrays), seed=4, progress=stop, folder=str(tmp_path))
    lines = []
    resumed = train(*both(arrays), seed=4, progress=lambda s, t: lines.append(t), folder=str(tmp_path))
    assert len(lines) == 2  # epochs three and four
    assert resumed.history == whole.history
    assert resumed.best == whole.best
    for name, values in whole.weights.items():
        np.testing.assert_array_equal(resumed.weights[name], values)
    again = train(*both(arrays), seed=4, progress=stop, folder=str(tmp_path))  # finished: nothing to do
    assert again.history == whole.history
    training, validation = both(arrays)
    for others in ((*both(arrays), 5), (training, task(arrays, 54, 80), 4), (task(arrays, 2, 48), validation, 4)):
        with pytest.raises(DataError, match="another training"):
            train(*others[:2], seed=others[2], progress=stop, folder=str(tmp_path))


def test_the_option_device_is_where_training_runs(arrays, monkeypatch):
    from xsm_convlstm import train as module

    accelerators = []
    monkeypatch.setattr(module.pl, "Trainer", lambda **options: accelerators.append(options["accelerator"]))
    for device, accelerator in (("cpu", "cpu"), ("cuda", "gpu"), ("mps", "mps")):
        with set_options(device=device), monkeypatch.context() as machine:
            machine.setattr("xsm.options.check_device", lambda: None)
            monkeypatch.setattr(module, "able", lambda device: False)
            module._trainer(task(arrays, 2, 50).config, None, module.Path("."), ".")
        assert accelerators.pop() == accelerator


def test_training_stops_early_and_the_best_epoch_stays(arrays):
    options = {"epochs": 30, "patience": 2, "learning_rate": 0.3, "dropout": 0.0}
    trained = train(*both(arrays, **options), seed=0, progress=QUIET["progress"])
    scores = [h["validation"] for h in trained.history]
    assert trained.best == 1 + int(np.argmin(scores))
    assert len(scores) == trained.best + 2 < 30


@pytest.mark.slow
def test_two_processes_are_one(tmp_path):
    """RMSE and R of equation 8 are those of the whole batch, whichever process has its halves (gloo)."""
    histories = {}
    for devices in (1, 2):
        place = tmp_path / str(devices)
        place.mkdir()
        if devices == 1:
            shared_batch.main(place, 1)
        else:
            run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
            env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
            subprocess.run([*run, shared_batch.__file__, str(place), "2"], check=True, env=env)
        histories[devices] = json.loads((place / "history.json").read_text())
    for one, two in zip(histories[1], histories[2], strict=True):
        assert two["train"] == pytest.approx(one["train"], abs=1e-5)
        assert two["validation"] == pytest.approx(one["validation"], abs=1e-5)
    alone = torch.load(tmp_path / "1" / "rank0.pt")
    first, second = (torch.load(tmp_path / "2" / f"rank{k}.pt") for k in range(2))
    for name, values in alone.items():
        assert torch.equal(first[name], second[name])
        torch.testing.assert_close(first[name], values, atol=1e-4, rtol=1e-3)


@pytest.mark.slow
def test_two_spawned_processes_reach_the_same_skill(arrays):
    """Batch norm sees halves of the batches, so the losses differ a little: less than seeds do."""
    best = {}
    for devices, seeds in ((1, (0, 1, 2)), (2, (0,))):
        for seed in seeds:
            tasks = both(arrays, devices=devices, epochs=8, steps_per_epoch=0, dropout=0.0)
            trained = train(*tasks, seed=seed, progress=QUIET["progress"])
            best[devices, seed] = min(h["validation"] for h in trained.history)
    alone = [best[1, seed] for seed in (0, 1, 2)]
    assert abs(best[2, 0] - np.mean(alone)) < 3 * max(np.std(alone), 0.01)


def test_an_ensemble_averages_and_spreads(arrays):
    one, two = (
        MODEL.fit(samples(arrays, 2, 50), spec(**SHORT, members=n), **QUIET | {"validation": samples(arrays, 52, 80)})
        for n in (1, 2)
    )
    arrays_of_patch = {k: v[None, ..., :12, :12] for k, v in arrays.items() if not k.startswith("sm_")}
    arrays_of_patch["tb_h"], arrays_of_patch["surface_temperature"] = (
        arrays_of_patch["tb_h"][:, 60:66],
        arrays_of_patch["surface_temperature"][:, 60:66],
    )
    arrays_of_patch["mask"] = np.ones((1, 12, 12), bool)
    first = {k.removeprefix("member0."): v for k, v in two.weights.items() if k.startswith("member0.")}
    for name, values in one.weights.items():
        np.testing.assert_array_equal(first[name], values)
    assert not np.array_equal(predict(one, arrays_of_patch)["sm_5cm"], predict(two, arrays_of_patch)["sm_5cm"])


def test_dropout_passes_widen_the_spread_and_repeat(arrays):
    bundle = MODEL.fit(samples(arrays, 2, 50), spec(**SHORT), **QUIET)
    arrays_of_patch = {k: v[None, ..., :12, :12] for k, v in arrays.items() if not k.startswith("sm_")}
    arrays_of_patch["tb_h"], arrays_of_patch["surface_temperature"] = (
        arrays_of_patch["tb_h"][:, 60:66],
        arrays_of_patch["surface_temperature"][:, 60:66],
    )
    arrays_of_patch["mask"] = np.ones((1, 12, 12), bool)
    many = Bundle({**bundle.card, "options": {**bundle.card["options"], "dropout_passes": 20}}, bundle.weights)
    one, first, second = (
        predict(bundle, arrays_of_patch),
        predict(many, arrays_of_patch),
        predict(many, arrays_of_patch),
    )
    for name in one:
        np.testing.assert_array_equal(first[name], second[name])
    assert 0 < np.abs(first["sm_5cm"] - one["sm_5cm"]).mean() < 0.03
    assert first["sm_5cm_std"].mean() > one["sm_5cm_std"].mean()
    later = {k: v[:, 1:] if k in ("tb_h", "surface_temperature") else v for k, v in arrays_of_patch.items()}
    np.testing.assert_allclose(predict(many, later)["sm_5cm"], first["sm_5cm"][:, 1:], atol=1e-6)


def test_bfloat16_is_taken_only_where_it_was_measured_to_be_close(arrays, monkeypatch):
    from xsm_convlstm import model

    bundle = MODEL.fit(samples(arrays, 2, 50), spec(**SHORT), **QUIET | {"validation": samples(arrays, 52, 80)})
    error = bundle.card["metrics"]["bfloat16_error"]
    assert 0 < error < 0.01
    monkeypatch.setattr(model, "able", lambda device: True)
    metrics = bundle.card["metrics"]
    for measured, kind in ((0.001, torch.bfloat16), (0.0011, torch.float32)):
        card = {**bundle.card, "metrics": metrics | {"bfloat16_error": measured}}
        assert model.arithmetic_of(card, "cpu") is kind
    assert model.arithmetic_of({"metrics": {}}, "cpu") is torch.float32
    monkeypatch.setattr(model, "able", lambda device: False)
    assert model.arithmetic_of({**bundle.card, "metrics": {"bfloat16_error": 0.0}}, "cpu") is torch.float32
