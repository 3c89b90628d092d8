"""Training, prediction, bundles and refusals on a small synthetic law: soil moisture drives the brightness temperature,
the references are noisy, biased views of it.
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from convlstm_law import MODEL, QUIET, TINY, block, law, predict, samples, spec
from xsm import Bundle, DataError, UsageError
from xsm.plugin_api import Model
from xsm_convlstm.config import CELL_DATES, PRESETS, Config
from xsm_convlstm.sequences import batches, read, survey, windows


@pytest.fixture(scope="session")
def arrays() -> dict[str, np.ndarray]:
    values = law()
    for name in ("tb_h", "surface_temperature"):
        values[name][:, :5, :7] = np.nan  # outside the domain of `samples`
    return values


@pytest.fixture(scope="session")
def trained(arrays):
    messages: list[tuple[float, str]] = []
    bundle = MODEL.fit(
        samples(arrays, 2, 110),
        spec(),
        validation=samples(arrays, 112, 140),
        seed=3,
        progress=lambda share, text: messages.append((share, text)),
    )
    return bundle, messages


def test_training_lowers_the_loss_and_beats_the_mean(arrays, trained):
    bundle, messages = trained
    losses = [h["validation"] for h in bundle.card["history"]]
    assert min(losses) < 0.85 * losses[0]  # the noise of the DCA leaves about 0.4
    assert messages[-1][0] == 1.0
    out = predict(bundle, block(arrays, 138, 160))
    noah = np.stack([arrays["sm_noah_0_10"][140:, r : r + 12, c : c + 12] for r, c in ((0, 0), (8, 8))])
    ok = np.broadcast_to(block(arrays, 0, 1)["mask"][:, None], noah.shape)
    error = np.sqrt(np.mean((out["sm_5cm"] - noah)[ok] ** 2))
    mean = bundle.card["normalisation"]["sm_5cm"]["mean"]
    assert error < 0.6 * np.sqrt(np.mean((mean - noah)[ok] ** 2))
    inside = np.abs(out["sm_5cm"] - noah)[ok] < 1.96 * out["sm_5cm_std"][ok]
    assert 0.85 < inside.mean() <= 1.0  # scaled to 95 % on other days of the same law


def test_the_best_epoch_stays(trained):
    bundle, _ = trained
    losses = [h["validation"] for h in bundle.card["history"]]
    assert bundle.card["metrics"]["epoch"] == 1 + int(np.argmin(losses))


def test_same_seed_same_weights(arrays):
    options = spec(epochs=1, steps_per_epoch=3, dropout=0.2)
    one, two, other = (MODEL.fit(samples(arrays, 2, 60), options, **QUIET | {"seed": s}) for s in (5, 5, 6))
    assert one.hash == two.hash
    assert one.hash != other.hash


def test_training_leaves_the_callers_random_numbers_alone(arrays):
    import torch

    torch.manual_seed(9)
    expected = torch.rand(3)
    torch.manual_seed(9)
    MODEL.fit(samples(arrays, 2, 40), spec(epochs=1, steps_per_epoch=1), **QUIET)
    assert torch.equal(torch.rand(3), expected)


def test_one_day_at_a_time_equals_all_days(arrays, trained, monkeypatch):
    bundle, _ = trained
    whole = predict(bundle, block(arrays, 100, 110))
    assert whole["sm_5cm"].shape == (2, 8, 12, 12)
    assert whole["sm_5cm"].dtype == whole["sm_5cm_std"].dtype == np.float32
    for day in range(8):
        one = predict(bundle, block(arrays, 100 + day, 103 + day))
        for name in whole:
            np.testing.assert_allclose(one[name][:, 0], whole[name][:, day], atol=1e-6)
    monkeypatch.setattr("xsm_convlstm.inference.GROUP_CELLS", 3 * 12 * 12)  # groups of three sequences
    for name, values in predict(bundle, block(arrays, 100, 110)).items():
        np.testing.assert_allclose(values, whole[name], atol=1e-6)


def test_cells_outside_the_mask_have_no_influence(arrays, trained):
    bundle, _ = trained
    patches = block(arrays, 100, 106)
    changed = {k: v.copy() for k, v in patches.items()}
    rng = np.random.default_rng(0)
    for name in ("tb_h", "surface_temperature"):
        where = np.broadcast_to(~patches["mask"][:, None], patches[name].shape)
        changed[name][where] = rng.normal(1e4, 1e4, where.sum())
    changed["bulk_density"][~patches["mask"]] = 9.0
    before, after = predict(bundle, patches), predict(bundle, changed)
    inside = np.broadcast_to(patches["mask"][:, None], before["sm_5cm"].shape)
    for name in before:
        assert np.isfinite(before[name]).all()
        np.testing.assert_array_equal(before[name][inside], after[name][inside])
    changed["tb_h"][:, :, 8, 8] += 5.0  # valid in both patches: must matter
    assert not np.array_equal(predict(bundle, changed)["sm_5cm"][inside], before["sm_5cm"][inside])


def test_soil_moisture_is_clipped_to_porosity(arrays, trained):
    bundle, _ = trained
    patches = block(arrays, 100, 104)
    patches["tb_h"] = patches["tb_h"] - 400.0
    patches["bulk_density"] = np.full_like(patches["bulk_density"], 2.4)
    sm = predict(bundle, patches)["sm_5cm"]
    assert sm.max() <= 1 - 2.4 / 2.65 + 1e-6
    assert sm.min() >= 0.02


def test_bundle_round_trip(arrays, trained, tmp_path):
    bundle, _ = trained
    loaded = Bundle.load(bundle.save(tmp_path / "model"))
    json.dumps(loaded.card)
    assert loaded.hash == bundle.hash
    expected, read_again = (predict(b, block(arrays, 100, 105)) for b in (bundle, loaded))
    for name in expected:
        np.testing.assert_array_equal(read_again[name], expected[name])
    assert MODEL.block(loaded).look_back == 3
    assert isinstance(MODEL, Model)


def test_weights_that_do_not_fit_the_card_are_refused(arrays, trained):
    bundle, _ = trained
    card = dict(bundle.card) | {"options": dict(bundle.card["options"]) | {"filters": [10**5, 10**5]}}
    with pytest.raises(DataError, match="do not fit"):
        predict(Bundle(card, bundle.weights), block(arrays, 100, 104))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"block": {"kind": "patch", "size": 10**7, "stride": 1, "look_back": 3}}, "its options say"),
        ({"block": {}}, "block {}"),
        ({"normalisation": {}}, "lacks the normalisation of"),
    ],
)
def test_a_card_that_contradicts_itself_is_refused(trained, change, text):
    bundle, _ = trained
    with pytest.raises(DataError, match=text):
        MODEL.block(Bundle({**bundle.card, **change}, bundle.weights))


def test_statistics_come_from_training_days_only(arrays):
    known = survey(samples(arrays, 2, 60), spec(), Config.from_options(TINY))
    changed = arrays | {"tb_h": arrays["tb_h"].copy(), "sm_noah_0_10": arrays["sm_noah_0_10"].copy()}
    changed["tb_h"][60:] += 50.0
    changed["sm_noah_0_10"][60:] = 0.5
    assert survey(samples(changed, 2, 60), spec(), Config.from_options(TINY)) == known
    mask = samples(arrays, 0, 1).mask
    assert known["tb_h"]["mean"] == pytest.approx(arrays["tb_h"][2:60][:, mask].mean(dtype=float), rel=1e-6)
    assert known["sm_5cm"]["std"] == pytest.approx(arrays["sm_noah_0_10"][2:60][:, mask].std(dtype=float), rel=1e-6)


def test_sequences_are_cut_where_the_index_says(arrays):
    """Small data are padded outside the mask; days that are not to be used, frozen cells and gaps count as NaN."""
    some = samples(arrays, 50, 60)
    some = replace(some, weight=np.random.default_rng(0).random(arrays["tb_h"].shape) < 0.5)
    config = Config.from_options(TINY | {"patch": 32, "stride": 24, "loss_steps": "all"})
    index = windows(some, config)
    assert index.tolist() == [[0, 0, t] for t in range(50, 60)]
    norm = survey(some, spec(), config)
    batch = read(some, spec(), config, norm, index[:1])
    assert batch.x.shape == (3, 1, 4, 32, 32)
    assert not batch.mask[0, 0, 20:].any()
    tb = norm["tb_h"]
    expected = (arrays["tb_h"][50, 10, 10] - tb["mean"]) / tb["std"]
    assert batch.x[2, 0, 0, 10, 10] == pytest.approx(expected, abs=1e-5)
    noah, dca = batch.references
    assert np.isnan(noah[:2]).all()  # lead-in days
    counted = some.mask & some.weight[50]
    np.testing.assert_array_equal(np.isfinite(noah[2, 0, :20, :20]), counted)
    np.testing.assert_array_equal(np.isfinite(dca[2, 0, :20, :20]), counted & np.isfinite(arrays["sm_dca"][50]))


def test_sequences_do_not_cross_missing_days(arrays):
    some = samples(arrays, 0, 160)
    keep = np.r_[0:20, 30:50]
    cut = replace(some, days=some.days[keep], use=some.use[keep])
    last = np.unique(windows(cut, Config.from_options(TINY))[:, 2])
    assert last.tolist() == [*range(2, 20), *range(22, 40)]


def test_cell_batches_have_one_patch_and_enough_dates(arrays):
    config = Config.from_options(TINY | {"r2_over": "cell", "batch_size": CELL_DATES})
    index = windows(samples(arrays, 2, 110), config)
    groups = list(batches(index, config, np.random.default_rng(0), 0))
    assert len(groups) == 4 * (108 // CELL_DATES)
    for rows in groups:
        assert len(np.unique(rows[:, :2], axis=0)) == 1
        assert len(np.unique(rows[:, 2])) == CELL_DATES
    cell = spec(r2_over="cell", batch_size=CELL_DATES, epochs=1, steps_per_epoch=2, loss_steps="all")
    assert np.isfinite(MODEL.fit(samples(arrays, 2, 110), cell, **QUIET).card["metrics"]["train"])


def test_every_sequence_once_in_an_epoch(arrays):
    config = Config.from_options(TINY)
    index = windows(samples(arrays, 2, 30), config)
    rows = np.concatenate(list(batches(index, config, np.random.default_rng(0), 0)))
    assert sorted(map(tuple, rows)) == sorted(map(tuple, index))


@pytest.mark.parametrize("options", [{"filter": (4,)}, {"dropout": 2.0}, {"preset": "big"}, {"kernel": 4},
                                     {"attention": (9,)}, {"stride": 99}, {"r2_over": "cell", "batch_size": 8},
                                     {"filters": "a,b"}, {"candidate": "relu"}])  # fmt: skip
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(UsageError):
        Config.from_options(TINY | options)


def test_options_from_text_and_presets():
    assert Config.from_options({"filters": "8, 8", "attention": "1", "epochs": "3"}).filters == (8, 8)
    for preset in PRESETS:
        Config.from_options({"preset": preset})
    paper = Config.from_options({"preset": "rabiei2024"})
    assert (len(paper.filters), paper.patch, paper.stride, paper.dropout) == (10, 64, 48, 0.2)
    assert Config.from_options({"preset": "rabiei2024-table2"}).beta25 == 1.0


def test_bad_samples_are_refused_with_a_sentence(arrays):
    def refused(match, change=None, first=2, last=60):
        with pytest.raises(DataError, match=match):
            MODEL.fit(samples(arrays | (change or {}), first, last), spec(), **QUIET)

    gap = arrays["tb_h"].copy()
    gap[30, 15, 15] = np.nan
    refused("'tb_h' has 1 missing or infinite values.*gapfill", {"tb_h": gap})
    gap[30, 15, 15] = np.inf
    refused("'tb_h' has 1 missing or infinite values.*gapfill", {"tb_h": gap})
    refused("'bulk_density' is missing or infinite", {"bulk_density": arrays["bulk_density"] * np.inf})
    refused("nowhere observed", {"sm_noah_0_10": np.full_like(arrays["sm_noah_0_10"], np.nan)})
    refused("'sm_dca' is nowhere observed", {"sm_dca": np.full_like(arrays["sm_dca"], np.nan)})
    refused("No sequence", first=0, last=1)
    flat = samples(arrays, 2, 60)
    flat = replace(flat, arrays={k: v[..., 7] for k, v in arrays.items()}, mask=flat.mask[:, 7])
    with pytest.raises(DataError, match="1 dimensions beside time, expected maps"):
        MODEL.fit(flat, spec(), **QUIET)
    with pytest.raises(DataError, match="20 x 20 cells, a patch of this model has 64 x 64"):
        MODEL.fit(samples(arrays, 2, 60), spec(patch=64, stride=48), **QUIET)
    lacking = samples(arrays, 2, 60)
    lacking = replace(lacking, arrays={k: v for k, v in arrays.items() if k != "bulk_density"})
    with pytest.raises(DataError, match="lack bulk_density"):
        MODEL.fit(lacking, spec(), **QUIET)


def test_small_bundle_is_well_under_a_megabyte():
    from xsm_convlstm.network import Network

    net = Network(12, Config.from_options({"preset": "small"}))
    assert sum(v.numel() * v.element_size() for v in net.state_dict().values()) < 500_000
