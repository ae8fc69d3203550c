import numpy as np
import pytest

from bids_eeg2fmri.bold.drift import drift_regressors, remove_drift


def test_drift_goes_and_what_is_faster_stays():
    times = np.arange(200) * 2.1
    slow = np.cos(np.pi * (np.arange(200) + 0.5) / 200 * 3)
    fast = np.sin(2 * np.pi * times / 30)
    regressors = drift_regressors(200, tr_s=2.1, shortest_period_s=128.0)
    cleaned = remove_drift(np.stack([7 + 5 * slow, 3 - slow + fast], 1), regressors)
    assert np.abs(cleaned[:, 0]).max() < 1e-9
    assert np.corrcoef(cleaned[:, 1], fast)[0, 1] > 0.99


def test_nothing_faster_than_the_shortest_period_is_drift():
    regressors = drift_regressors(150, tr_s=2.0, shortest_period_s=100.0)
    assert regressors.shape == (150, 7)  # 300 s hold six half periods of at least 50 s
    crossings = (np.diff(np.sign(regressors), axis=0) != 0).sum(0)
    assert crossings.tolist() == list(range(7))


def test_what_is_left_is_orthogonal_to_drift():
    regressors = drift_regressors(90, tr_s=1.3, shortest_period_s=40.0)
    values = np.random.default_rng(0).standard_normal((90, 4))
    assert np.abs(regressors.T @ remove_drift(values, regressors)).max() < 1e-9


@pytest.mark.parametrize("n_volumes", [2, 10])
def test_a_short_run_loses_its_mean_alone(n_volumes):
    assert drift_regressors(n_volumes, tr_s=2.0, shortest_period_s=128.0).shape == (n_volumes, 1)


def test_regressors_that_depend_on_one_another_take_nothing_else_out():
    rng = np.random.default_rng(8)
    drift = drift_regressors(80, tr_s=2.0, shortest_period_s=64.0)
    values = rng.standard_normal((80, 3))
    doubled = np.hstack([drift, 1000 * drift[:, 1:3], drift @ rng.standard_normal((drift.shape[1], 2))])
    np.testing.assert_allclose(remove_drift(values, doubled), remove_drift(values, drift), atol=1e-10)
