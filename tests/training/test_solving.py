"""What is solved keeps the promises of what is trained (test_fitting.py)."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from bids_eeg2fmri.models.registry import load_architecture
from bids_eeg2fmri.training.fitting import Schedule, Trainer
from bids_eeg2fmri.training.learner import make_learner
from bids_eeg2fmri.training.solution import Solution
from bids_eeg2fmri.training.solvers import ridge
from bids_eeg2fmri.training.solving import Solver

TRAIN = np.arange(150)
INNER = [(np.arange(70), np.arange(80, 150)), (np.arange(80, 150), np.arange(70))]
TEST = np.arange(160, 200)
# A band for each of the frequencies; few trees, for they are grown again and again.
BANDS = {"bands_hz": [(5, 7), (7, 9), (9, 11), (11, 13), (13, 15)]}
OPTIONS = {
    "ridge": BANDS,
    "sparse": BANDS,
    "trees": BANDS | {"n_trees": 15, "learning_rate": 0.3, "feature_share": 1.0, "sample_share": 0.8},
}


def solver_of(name, spec, *, seed=0):
    return Solver(load_architecture(name, OPTIONS[name]), spec, seed=seed)


@pytest.fixture(scope="module", params=OPTIONS)
def fitted(request, samples, spec):
    windows, targets = samples
    solver = solver_of(request.param, spec)
    history = solver.fit(windows, targets, TRAIN, INNER, independent=1.0)
    return SimpleNamespace(
        name=request.param, solver=solver, history=history, learned=solver.learned(), said=solver.predict(windows, TEST)
    )


def test_a_coupling_is_found(fitted, samples):
    _, targets = samples
    assert min(np.corrcoef(fitted.said[:, i], targets[TEST, i])[0, 1] for i in range(2)) > 0.7
    assert min(fitted.history.gains) > 0.7


def test_the_history_tells_of_every_candidate_in_each_inner_split(fitted):
    history = fitted.history
    n = {"ridge": 19, "sparse": 12, "trees": 15}[fitted.name]
    assert [len(losses) for losses in (*history.training_loss, *history.validation_loss)] == [n] * 4
    assert history.best_epoch == np.argmin(np.sum(history.validation_loss, 0)) + 1
    # From the most cautious to the boldest: what was learned from is told better and better.
    for losses in history.training_loss:
        assert losses[0] > 0.5
        assert losses[-1] < 0.3
        assert np.diff(losses).max() < 0.01


def test_what_is_said_of_the_samples_to_judge_by_is_in_units_of_the_targets(fitted, samples):
    for (rows, said), (_, judge) in zip(fitted.solver.judged, INNER, strict=True):
        np.testing.assert_array_equal(rows, judge)
        truth = samples[1][judge]
        slope = (said * truth).sum(0) / (said**2).sum(0)
        assert slope == pytest.approx([1, 1], abs=0.4)


def test_nothing_but_the_training_samples_is_looked_at(fitted, samples, spec):
    windows, targets = samples
    power = windows.power.copy()
    power[153:] = np.nan  # frames of no training window
    hidden = np.full_like(targets, np.nan)
    hidden[TRAIN] = targets[TRAIN]
    other = solver_of(fitted.name, spec)
    other.fit(replace(windows, power=power), hidden, TRAIN, INNER, independent=1.0)
    np.testing.assert_array_equal(other.predict(windows, TEST), fitted.said)


def test_noise_is_not_believed(fitted, samples, spec):
    noise = np.random.default_rng(2).standard_normal((200, 2)).astype(np.float32)
    solver = solver_of(fitted.name, spec)
    solver.fit(samples[0], noise, TRAIN, INNER, independent=0.3)
    assert solver.predict(samples[0], TEST).std() < 0.1


def test_an_earlier_fit_predicts_again_and_nothing_is_carried_over(fitted, samples):
    windows, targets = samples
    solver = fitted.solver
    solver.fit(windows, -4 * targets[:, ::-1], np.arange(50, 200), [(np.arange(120, 200), np.arange(50, 110))],
               independent=1.0)  # fmt: skip
    assert not np.allclose(solver.predict(windows, TEST), fitted.said, rtol=0.1)
    solver.restore(fitted.learned)
    np.testing.assert_array_equal(solver.predict(windows, TEST), fitted.said)
    # In a unit of its own, which a power of 2 leaves exact.
    again = solver.fit(windows, 1024 * targets, TRAIN, INNER, independent=1.0)
    np.testing.assert_allclose(solver.predict(windows, TEST), 1024 * fitted.said, rtol=1e-5)
    assert again.best_epoch == fitted.history.best_epoch


def test_of_more_samples_than_a_solver_bears_every_third_is_taken(samples, spec, monkeypatch):
    windows, targets = samples
    monkeypatch.setattr(ridge, "MOST_SAMPLES", 50)
    hidden = np.full_like(targets, np.nan)
    hidden[TRAIN[::3]] = targets[TRAIN[::3]]
    scale = targets[TRAIN].std()
    solver = solver_of("ridge", spec)
    solver.fit(windows, np.where(np.isnan(hidden), scale, hidden), TRAIN, INNER, independent=0.2)
    before = solver.predict(windows, TEST)
    solver.fit(windows, np.where(np.isnan(hidden), -scale, hidden), TRAIN, INNER, independent=0.2)
    np.testing.assert_allclose(solver.predict(windows, TEST), before, rtol=1e-4)
    assert np.abs(before).max() > 1
    assert [rows.tolist() for rows, _ in solver.judged] == [list(range(81, 150, 3)), list(range(0, 70, 3))]


def test_a_solver_of_another_package_is_named_by_its_dotted_path(samples, spec, monkeypatch):
    def solve(features, targets, inner, **how):
        found = ridge.solve(features, targets, inner, **how)
        kernel, bias = found.weights
        return Solution([kernel * 0, bias * 0 + 1], replace(found.choice, gains=np.ones(2)))

    monkeypatch.setitem(sys.modules, "theirs.solver", SimpleNamespace(solve=solve, MOST_SAMPLES=1000))
    architecture = load_architecture("ridge", BANDS)
    config = SimpleNamespace(solver="theirs.solver", bands_hz=architecture.config.bands_hz)
    windows, targets = samples
    solver = Solver(replace(architecture, config=config), spec, seed=0)
    solver.fit(windows, targets, TRAIN, INNER, independent=1.0)
    np.testing.assert_allclose(solver.predict(windows, TEST), targets[TRAIN].std(), rtol=1e-5)


@pytest.mark.parametrize(("name", "kind"), [("ridge", Solver), ("separable", Trainer)])
def test_an_architecture_is_solved_or_trained(name, kind, spec):
    schedule = Schedule(max_epochs=2, patience=2, batch_size=32, learning_rate=0.01)
    assert isinstance(make_learner(load_architecture(name), spec, schedule, seed=0), kind)
