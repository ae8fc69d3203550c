import numpy as np
import pytest

from bids_eeg2fmri.models.registry import load_architecture
from bids_eeg2fmri.models.spec import SampleSpec
from bids_eeg2fmri.training.solving import Solver
from bids_eeg2fmri.windows import Windows

SPEC = SampleSpec((0.0, 2.0, 4.0, 6.0), ("O1", "Oz", "Cz"), (3.0, 6.0, 10.0, 20.0), 1)
TRAIN, TEST = np.arange(400), np.arange(410, 600)
INNER = [(TRAIN[:195], TRAIN[205:]), (TRAIN[205:], TRAIN[:195])]
OPTIONS = {"n_trees": 20, "learning_rate": 0.2, "feature_share": 0.5}


@pytest.fixture(scope="module")
def data():
    """What follows alpha at Oz 4 s ago, however it differs from the usual."""
    rng = np.random.default_rng(0)
    n = 600
    frames = np.arange(n)[:, None] + 3 - np.arange(4)
    power = rng.normal(-110, 4, (n + 4, 3, 4)).astype(np.float32)
    course = np.abs(power[frames[:, 2], 1, 2] + 110) / 4 + 0.3 * rng.standard_normal(n)
    windows = Windows(power, frames, np.ones(n, bool), np.zeros(n, int), np.arange(n))
    return windows, (course - course[TRAIN].mean())[:, None].astype(np.float32)


def fit(name, data, options=None, *, seed=0):
    windows, targets = data
    solver = Solver(load_architecture(name, options), SPEC, seed=seed)
    history = solver.fit(windows, targets, TRAIN, INNER, independent=1.0)
    return solver, history, solver.predict(windows, TEST)[:, 0]


@pytest.fixture(scope="module")
def fitted(data):
    return fit("trees", data, OPTIONS)


def test_what_is_no_line_is_found(fitted, data):
    _, targets = data
    assert np.corrcoef(fitted[2], targets[TEST, 0])[0, 1] > 0.6
    assert np.abs(fit("ridge", data)[2]).max() < 0.1


def test_trees_ask_about_what_matters(fitted):
    solver, history, _ = fitted
    features, _, leaves = (weight.numpy() for weight in solver.model.get_layer("coefficients").weights)
    asked = np.bincount(features[0, : history.best_epoch].ravel(), minlength=48).reshape(4, 3, 4)
    assert asked[2, 1, 2] > 0.3 * asked.sum()
    assert asked[2, 1, 2] == asked.max()
    assert not leaves[0, history.best_epoch :].any()


def test_another_seed_draws_other_trees(fitted, data):
    other = fit("trees", data, OPTIONS, seed=1)[2]
    assert not np.array_equal(other, fitted[2])
    assert np.corrcoef(other, fitted[2])[0, 1] > 0.7
