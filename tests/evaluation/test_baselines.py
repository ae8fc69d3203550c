import numpy as np
import pandas as pd
import pytest
from scipy.signal import lfilter
from scipy.stats import gamma
from sklearn.linear_model import Ridge as SklearnRidge

from bids_eeg2fmri.evaluation.baselines import (
    BANDS_HZ,
    CARDIAC_LAGS_S,
    band_weights,
    cardiac_features,
    cardiac_response,
    expand_motion,
    fit_ridge,
    list_conditions,
    schedule_features,
    shrinkage,
    time_features,
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def coupled(rng, n=120, n_features=30, n_targets=4, noise=0.3):
    features = rng.standard_normal((n, n_features)) * rng.uniform(0.5, 20, n_features) + 3
    targets = (features - 3) @ rng.standard_normal((n_features, n_targets)) / 30
    targets += noise * targets.std() * rng.standard_normal(targets.shape)
    return features, targets - targets.mean(0)


INNER = [(np.arange(60), np.arange(65, 120)), (np.arange(60, 120), np.arange(55))]


def test_a_feature_that_the_training_samples_hold_next_to_nothing_of_does_not_tower(rng):
    features, targets = rng.standard_normal((120, 3)), rng.standard_normal((120, 2))
    features[:100, 0] = 1e-6 * targets[:100, 0]
    inner = [(np.arange(60), np.arange(65, 100))]
    towers, bounded = (
        fit_ridge(features[:100], targets[:100], inner, independent=1.0, least_scale=least).predict(features[100:])
        for least in (0.0, 0.3)
    )
    assert np.abs(towers).max() > 1e4
    assert np.abs(bounded).max() < 3


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


def events_of(onsets_s, types=None, duration=4.0):
    table = pd.DataFrame({"onset": onsets_s, "duration": duration})
    return table if types is None else table.assign(trial_type=types)


def canonical_response(times_s):
    """SPM's canonical response: gamma densities of 6 and 16 s, one sixth of the second taken off."""
    return gamma.pdf(times_s, 6) - gamma.pdf(times_s, 16) / 6


def test_the_schedule_is_convolved_with_the_response_at_the_middle_of_each_volume():
    features = schedule_features(events_of([31.0, 72.0]), 63, 1.7)
    assert features.shape == (63, 3)
    fine = np.arange(0, 63 * 1.7, 0.01)
    on = ((fine >= 31) & (fine < 35)) | ((fine >= 72) & (fine < 76))
    expected = np.convolve(on, canonical_response(np.arange(0, 32, 0.01)))[: len(fine)]
    at_volumes = np.interp((np.arange(63) + 0.5) * 1.7, fine, expected)
    assert np.corrcoef(features[:, 0], at_volumes)[0, 1] > 0.999
    # Responses that come earlier or are wider are spanned as well.
    for changed in (np.interp((np.arange(63) + 0.5) * 1.7 + 0.8, fine, expected), at_volumes):
        left = changed - features @ np.linalg.lstsq(features, changed, rcond=None)[0]
        assert left.std() < 0.12 * changed.std()


def test_each_condition_that_can_be_learned_has_columns_beside_those_of_any_event():
    tables = [events_of([3.0, 40.0, 71.0], ["face", "house", "once"]), None, events_of([9.0, 22.0], ["house", "face"])]
    conditions = list_conditions(tables)
    assert conditions == ["face", "house"]
    first, rest, second = (schedule_features(table, 50, 2.0, conditions) for table in tables)
    assert first.shape == rest.shape == second.shape == (50, 9)
    assert not rest.any()
    assert np.abs(second[:, 0] - second[:, 3] - second[:, 6]).max() < 1e-6
    only_face = schedule_features(events_of([3.0]), 50, 2.0, [])
    np.testing.assert_allclose(first[:, 3], only_face[:, 0], atol=1e-6)


def test_events_of_one_type_are_any_event():
    one = events_of([5.0, 30.0], ["flash", "flash"])
    assert list_conditions([one, events_of([7.0], ["flash"])]) == []
    np.testing.assert_array_equal(schedule_features(one, 40, 2.0), schedule_features(events_of([5.0, 30.0]), 40, 2.0))


@pytest.mark.parametrize("missing", [None, np.nan, "n/a"])
def test_events_without_a_type_are_a_type(missing):
    table = events_of([4.0, 20.0, 31.0, 50.0], pd.Series(["face", missing, "face", missing], dtype=object))
    assert list_conditions([table]) == ["face", "n/a"]
    assert (schedule_features(table, 41, 2.0).std(0) > 0).all()


def test_durations_that_are_zero_missing_or_negative_give_an_impulse():
    durations = [0.0, np.nan, -3.0]
    features = schedule_features(events_of([10.0, 40.0, 70.0], duration=durations), 60, 2.0)
    np.testing.assert_array_equal(features, schedule_features(events_of([10.0, 40.0, 70.0], duration=0.0), 60, 2.0))
    assert features[:, 0].max() > 0
    assert np.isfinite(features).all()


def test_an_event_before_the_first_volume_still_has_its_response_in_it():
    early = schedule_features(events_of([-6.0]), 30, 2.0)
    late = schedule_features(events_of([14.0]), 40, 2.0)
    np.testing.assert_allclose(early[:, 0], late[10:, 0], atol=2e-3 * np.abs(late).max())
    # One that ended long ago has none; one that went on from then is cut.
    assert not schedule_features(events_of([-90.0]), 30, 2.0).any()
    assert schedule_features(events_of([-90.0], duration=100.0), 30, 2.0)[0, 0] > 0


def test_what_lies_after_the_run_or_has_no_onset_is_left_out():
    table = events_of([8.0, 60.0, np.nan, 1000.0])
    np.testing.assert_array_equal(schedule_features(table, 30, 2.0), schedule_features(events_of([8.0]), 30, 2.0))


def test_without_events_there_are_no_features():
    assert schedule_features(None, 30, 2.0).shape == (30, 0)
    assert list_conditions([None, None]) == []


def test_the_cardiac_response_is_that_of_chang_et_al():
    """Their figure: up to about 4 s, then down, lowest at about 12 s."""
    times_s = np.arange(0, 30, 0.1)
    response = cardiac_response(times_s)
    assert times_s[np.argmax(response)] == pytest.approx(2.7 * 1.6, abs=0.3)
    assert times_s[np.argmin(response)] == pytest.approx(12.4, abs=0.3)
    # 0.6 t^2.7 exp(-t / 1.6) - 16 / sqrt(2 pi 9) exp(-(t - 12)^2 / 18) at 4 and 12 s, computed by hand.
    np.testing.assert_allclose(cardiac_response(np.array([4.0, 12.0])), [2.0172, -1.8552], atol=2e-3)


def heart(rng, duration_s=400.0):
    """Beats of a rate that wanders."""
    n = int(2 * duration_s)
    rate = 62 + 4 * lfilter([np.sqrt(1 - 0.98**2)], [1, -0.98], rng.standard_normal(n))
    beats_s = np.cumsum(60 / rate)
    return beats_s[beats_s < duration_s], rate[: np.sum(beats_s < duration_s)]


def test_the_features_follow_the_heart_rate_through_the_response(rng):
    beats_s, rate = heart(rng)
    onsets_s = 45 + 2.0 * np.arange(150)
    features = cardiac_features(beats_s, onsets_s)
    assert features.shape == (150, len(CARDIAC_LAGS_S))
    fine = np.arange(0, 400, 0.1)
    course = np.interp(fine, beats_s, rate)
    bold = np.convolve(course - course.mean(), cardiac_response(np.arange(0, 30, 0.1)))[: len(fine)]
    for lag_s, column in zip(CARDIAC_LAGS_S, features.T, strict=True):
        expected = np.interp(onsets_s - lag_s, fine, bold)
        assert np.corrcoef(column, expected)[0, 1] > 0.97


def test_beats_that_are_missed_or_seen_twice_change_little(rng):
    beats_s, _ = heart(rng)
    onsets_s = 45 + 2.0 * np.arange(150)
    spoiled = np.sort(np.append(np.delete(beats_s, [60, 61, 140, 250]), beats_s[[100, 200]] + 0.3))
    clean, after = cardiac_features(beats_s, onsets_s), cardiac_features(spoiled, onsets_s)
    assert np.corrcoef(clean[:, 2], after[:, 2])[0, 1] > 0.97


def test_volumes_beyond_the_beats_have_numbers(rng):
    beats_s, _ = heart(rng, 100.0)
    assert np.isfinite(cardiac_features(beats_s, np.arange(-50.0, 200.0, 2.5))).all()


def test_a_heart_as_steady_as_a_clock_tells_nothing():
    assert np.abs(cardiac_features(np.arange(0, 300.0), 30 + 2.0 * np.arange(100))).max() < 1e-3


def test_motion_is_expanded_to_24_regressors(rng):
    parameters = rng.standard_normal((31, 6))
    expanded = expand_motion(parameters)
    assert expanded.shape == (31, 24)
    np.testing.assert_allclose(expanded[:, :6], parameters, rtol=1e-6)
    np.testing.assert_allclose(expanded[4, 6:12], parameters[4] - parameters[3], rtol=1e-5, atol=1e-6)
    assert not expanded[0, 6:12].any()
    np.testing.assert_allclose(expanded[:, 12:], expanded[:, :12] ** 2, rtol=1e-5, atol=1e-7)
