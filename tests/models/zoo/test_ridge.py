import numpy as np
import pytest

from bids_eeg2fmri.evaluation.baselines import band_weights
from bids_eeg2fmri.evaluation.splits import Samples, Split
from bids_eeg2fmri.models.registry import load_architecture
from bids_eeg2fmri.models.spec import SampleSpec
from bids_eeg2fmri.training.solvers import ridge
from bids_eeg2fmri.training.solving import Solver
from bids_eeg2fmri.windows import Windows
from bids_eeg2fmri.workflow import training

SPEC = SampleSpec((0.0, 1.0, 2.0, 3.0), ("C3", "Cz", "C4"), (3.0, 6.0, 7.0, 9.0, 10.0, 11.0, 20.0), 2)


@pytest.mark.parametrize("n", [200, 900])
def test_it_is_the_ridge_among_the_baselines(n, monkeypatch):
    """A channel without a signal and more samples than a ridge bears included."""
    assert ridge.MOST_SAMPLES == training.MOST_RIDGE_SAMPLES
    monkeypatch.setattr(ridge, "MOST_SAMPLES", 300)
    monkeypatch.setattr(training, "MOST_RIDGE_SAMPLES", 300)
    rng = np.random.default_rng(0)
    frames = np.arange(n)[:, None] + 3 - np.arange(4)
    power = rng.normal(-110, 4, (n + 4, 3, 7)).astype(np.float32)
    power[:, 1] = -200 + 1e-4 * power[:, 1]
    targets = power[frames[:, 2]][:, [0, 2], [1, 6]] + 110 + 4 * rng.standard_normal((n, 2))
    targets = np.float32(3) * targets.astype(np.float32)
    windows = Windows(power, frames, np.ones(n, bool), np.zeros(n, int), np.arange(n))
    cut = n * 3 // 4
    train, test, half = np.arange(cut), np.arange(cut + 5, n), cut // 2
    samples = Samples(windows.recording, np.arange(n, dtype=float), windows.recording, windows.complete, 2.0)
    halves = train[: half - 4], train[half + 4 :]
    split = Split(samples, train, test, [halves, halves[::-1]], by="blocks", inner_by="blocks")

    bands = power @ band_weights(np.array(SPEC.freqs_hz))
    expected = training.predict_by_ridge(
        lambda which: bands[frames[which]].reshape(len(which), -1), targets, split, 0.5
    )
    solver = Solver(load_architecture("ridge"), SPEC, seed=0)
    solver.fit(windows, targets, split.train, split.inner, independent=0.5)
    np.testing.assert_allclose(solver.predict(windows, test), expected, atol=1e-3 * expected.std())
    assert np.corrcoef(expected[:, 1], targets[test, 1])[0, 1] > 0.5
