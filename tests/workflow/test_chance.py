"""Models that tell chance say something of every time of a run, and no two of them judge each other."""

import logging
from dataclasses import replace

import numpy as np
import pytest

from bids_eeg2fmri.config import EvaluationSettings
from bids_eeg2fmri.workflow.chance import ask_about_chance
from bids_eeg2fmri.workflow.scoring import RIDGE
from bids_eeg2fmri.workflow.training import predict_out_of_sample, windows_of

N, BLOCK = 250, 50  # volumes of a run, and of each of its five parts


@pytest.fixture(scope="module")
def fast(quick):
    """Five parts are made even where four were asked for: of four, one would be predicted from a single one."""
    assert quick.training.n_folds == 4
    return replace(quick, evaluation=EvaluationSettings(n_shifts=100, n_surrogates=19))


@pytest.fixture(scope="module")
def run(make_run):
    return make_run(N)


@pytest.fixture(scope="module")
def said(run, fast):
    return ask_about_chance([run], fast, seed=0)


def of_block(number):
    return slice(number * BLOCK, (number + 1) * BLOCK)


def test_every_model_says_something_of_every_volume_with_eeg(run, fast, said):
    windows, _ = windows_of([run], fast)
    usable = windows.complete
    assert 0 < np.sum(~usable) < 5
    assert [model.shape for model in said.model] == [(N,)]
    assert said.model[0].tolist() == np.where(usable, np.arange(N) // BLOCK, -1).tolist()
    assert list(said.coefficients) == ["smooth", RIDGE]
    for of_runs in said.coefficients.values():
        assert [coefficients.shape for coefficients in of_runs] == [(5, N, 4)]
        assert not of_runs[0][:, ~usable].any()
        # Where the inner splits tell it to believe nothing, a model says nothing of any volume.
        says = of_runs[0][:, usable].any(2)
        assert says.all(1).sum() >= 3
        assert (says.all(1) | ~says.any(1)).all()
        assert np.isfinite(of_runs[0]).all()
    assert said.bases.shape == (5, 4, run.grid.n_voxels)
    np.testing.assert_allclose(said.bases[2] @ said.bases[2].T, np.eye(4), atol=1e-4)
    assert said.share == 0.5


def test_what_is_coupled_is_said_by_models_of_half_the_other_parts(run, said):
    measured = 100 * (run.table / run.table.mean(0) - 1)
    for name in said.coefficients:
        told = [said.coefficients[name][0][k, of_block(k)] @ said.bases[k] for k in range(5)]
        use = said.model[0] >= 0
        r = np.corrcoef(np.concatenate(told)[use].ravel(), measured[use].ravel())[0, 1]
        assert r > 0.15


def test_eeg_without_timing_is_looked_at_by_the_model_of_each_block(said):
    assert len(said.surrogates) == 19
    assert all(len(draw) == 1 and draw[0].shape == (N, 4) for draw in said.surrogates)
    use = said.model[0] >= 0
    real = said.coefficients["smooth"][0][said.model[0][use], np.flatnonzero(use)]
    drawn = np.array([draw[0] for draw in said.surrogates])
    assert not drawn[:, ~use].any()
    # As large as what is said of the real EEG, but something else, and another each time.
    assert drawn[:, use].std() == pytest.approx(real.std(), rel=0.3)
    r = [np.corrcoef(draw[use].ravel(), real.ravel())[0, 1] for draw in drawn]
    assert np.abs(r).max() < 0.3
    assert len(set(np.round(r, 9))) == 19


@pytest.mark.parametrize("poisoned", [1, 4])
def test_a_block_has_no_say_in_what_its_own_model_says_of_any_time(poisoned, run, fast, said):
    table = run.table.copy()
    table[of_block(poisoned)] = 1e5 * np.random.default_rng(0).uniform(1, 2, table[of_block(poisoned)].shape)
    poison = ask_about_chance([replace(run, table=table)], fast, seed=0)
    pairs = {0: {1, 3}, 1: {2, 4}, 2: {0, 3}, 3: {1, 4}, 4: {0, 2}}  # which parts each model learned from
    for model in range(5):
        same = poisoned not in pairs[model]
        assert np.array_equal(poison.bases[model], said.bases[model]) is same  # the others have met the poison
        for name, (coefficients,) in said.coefficients.items():
            if same:
                np.testing.assert_array_equal(poison.coefficients[name][0][model], coefficients[model])
    own = of_block(poisoned)
    for draw, before in zip(poison.surrogates, said.surrogates, strict=True):
        np.testing.assert_array_equal(draw[0][own], before[0][own])


def test_the_same_seed_gives_the_same_answers_and_nothing_is_logged_of_runs_that_are_long_enough(
    run, fast, said, caplog
):
    with caplog.at_level(logging.INFO, logger="bids_eeg2fmri.workflow.chance"):
        again = ask_about_chance([run], fast, seed=0)
    assert caplog.text == ""
    np.testing.assert_array_equal(again.coefficients["smooth"][0], said.coefficients["smooth"][0])
    np.testing.assert_array_equal(again.surrogates[7][0], said.surrogates[7][0])


def test_runs_too_short_for_half_of_the_parts_are_asked_of_all_others(make_run, fast, caplog):
    short = make_run(90)
    with caplog.at_level(logging.INFO, logger="bids_eeg2fmri.workflow.chance"):
        said = ask_about_chance([short], fast, seed=0)
    assert said.share == 1.0
    assert "chance is told by models that learned from all other parts: expected at least 20 volumes" in caplog.text
    assert said.coefficients["smooth"][0].shape == (4, 90, 4)  # the folds of the scores
    # They are the very models of the predictions.
    out = predict_out_of_sample([short], fast, seed=0, report=lambda what: None)
    use = said.model[0] >= 0
    for name, (coefficients,) in said.coefficients.items():
        told = np.stack([coefficients[model, i] @ said.bases[model] for i, model in enumerate(said.model[0])])
        np.testing.assert_allclose(told[use], out.predicted[name][0][use], atol=1e-3)


def test_a_short_run_beside_a_long_one_needs_no_volume_in_each_half(make_run, fast):
    """The first part of the short run lacks EEG, so the model of its third part has nothing of it to learn from."""
    short = make_run(40, seed=1, first_onset_s=-6.0)
    said = ask_about_chance([make_run(N), short], fast, seed=0)
    assert said.share == 0.5
    assert [coefficients.shape for coefficients in said.coefficients[RIDGE]] == [(5, N, 4), (5, 40, 4)]
    assert said.model[1][8:].tolist() == (np.arange(8, 40) // 8).tolist()
    assert np.isfinite(said.coefficients["smooth"][1]).all()


def test_of_two_runs_held_out_in_turn_the_second_is_not_judged(make_run, fast):
    by_run = replace(fast, training=replace(fast.training, hold_out="run"))
    said = ask_about_chance([make_run(70), make_run(60, seed=1)], by_run, seed=0)
    assert [set(model.tolist()) for model in said.model] == [{-1, 0}, {-1}]
    assert [coefficients.shape for coefficients in said.coefficients["smooth"]] == [(1, 70, 4), (1, 60, 4)]
    assert said.coefficients["smooth"][1].any()  # its EEG serves as that of another run
