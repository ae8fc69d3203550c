import numpy as np
import pytest
from sklearn.linear_model import Ridge as SklearnRidge

from bids_eeg2fmri.evaluation.baselines import BANDS_HZ, band_weights, fit_ridge, shrinkage, time_features


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def coupled(rng, n=120, n_features=30, n_targets=4, noise=0.3):
    features = rng.standard_normal((n, n_features)) * rng.uniform(0.5, 20, n_features) + 3
    targets = (features - 3) @ rng.standard_normal((n_features, n_targets)) / 30
    targets += noise * targets.std() * rng.standard_normal(targets.shape)
    return features, targets - targets.mean(0)


INNER = [(np.arange(60), np.arange(65, 120)), (np.arange(60, 120), np.arange(55))]


def test_a_linear_relation_is_found(rng):
    features, targets = coupled(rng)
    ridge = fit_ridge(features[:100], targets[:100], [(np.arange(60), np.arange(65, 100))], independent=1.0)
    assert np.corrcoef(ridge.predict(features[100:]).ravel(), targets[100:].ravel())[0, 1] > 0.9
    assert ridge.gains.min() > 0.8


def test_it_is_the_ridge_of_scikit_learn_on_standardized_features(rng):
    features, targets = coupled(rng)
    ridge = fit_ridge(features, targets, INNER, independent=1.0)
    standardized = (features - features.mean(0)) / features.std(0)
    expected = SklearnRidge(alpha=ridge.penalty).fit(standardized, targets).predict(standardized)
    np.testing.assert_allclose(ridge.predict(features), (expected - targets.mean(0)) * ridge.gains, atol=1e-4)


def test_noise_is_predicted_by_about_nothing(rng):
    features, _ = coupled(rng)
    targets = rng.standard_normal((120, 40))
    ridge = fit_ridge(features, targets - targets.mean(0), INNER, independent=0.5)
    assert ridge.predict(features).std() < 0.1


def test_a_feature_that_never_changes_gives_no_nan(rng):
    features, targets = coupled(rng)
    features[:, 3] = 7
    assert np.isfinite(fit_ridge(features, targets, INNER, independent=1.0).predict(features)).all()


def test_what_is_certain_is_believed(rng):
    measured = rng.standard_normal((80, 5))
    np.testing.assert_allclose(shrinkage([measured], [measured], independent=1.0), 1, atol=1e-6)
    # A prediction twice too large is believed half.
    np.testing.assert_allclose(shrinkage([2 * measured], [measured], independent=1.0), 0.5, atol=1e-6)


def test_what_fits_no_better_than_noise_is_hardly_believed(rng):
    predicted, measured = rng.standard_normal((2, 80, 500))
    gains = shrinkage([predicted], [measured], independent=1.0)
    assert gains.mean() < 0.05
    assert (gains == 0).mean() > 0.5


def test_what_points_the_wrong_way_is_not_turned_around(rng):
    measured = rng.standard_normal((80, 5))
    assert shrinkage([-measured], [measured], independent=1.0).max() == 0


def test_each_fit_is_judged_around_its_own_mean(rng):
    a, b = rng.standard_normal((60, 3)), rng.standard_normal((41, 3))
    gains = shrinkage([a + 100, b - 100], [a - 5, b + 5], independent=1.0)
    np.testing.assert_allclose(gains, 1, atol=1e-6)


def test_fewer_independent_samples_are_believed_less(rng):
    measured = rng.standard_normal((80, 200))
    predicted = 0.3 * measured + rng.standard_normal((80, 200))
    all_of_them, a_third = (shrinkage([predicted], [measured], independent=share).mean() for share in (1.0, 0.33))
    assert a_third < all_of_them


def test_bands_average_their_frequencies_and_those_beyond_are_left_out():
    freqs_hz = np.arange(2.0, 21.0)
    weights = band_weights(freqs_hz)
    assert weights.shape == (19, 4)
    np.testing.assert_allclose(weights.sum(0), 1, rtol=1e-6)
    low, high = BANDS_HZ[2]
    assert freqs_hz[weights[:, 2] > 0].tolist() == list(range(low, high))


def test_the_clock_knows_the_position_in_the_run_and_nothing_else():
    volume = np.concatenate([np.arange(100), np.arange(100)])
    features = time_features(volume, np.full(200, 100), tr_s=2.0)
    np.testing.assert_array_equal(features[:100], features[100:])
    assert features.shape == (200, 10)  # half periods of at least 20 s in 200 s
