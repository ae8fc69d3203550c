import numpy as np
import pytest

from bids_eeg2fmri.models.layers.delays import Delays, delays_s


@pytest.mark.parametrize(
    ("lags_s", "spacing_s", "expected"),
    [
        (range(19), 2.0, [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]),
        (range(6), 2.0, [0, 2.5, 5]),  # the last lag is always one
        ((0, 3, 6), 2.0, [0, 3, 6]),  # no more than there are lags
        ((0, 1, 2), 50.0, [1]),
        ((4,), 2.0, [4]),
    ],
)
def test_delays_reach_from_the_first_lag_to_the_last(lags_s, spacing_s, expected):
    np.testing.assert_allclose(delays_s(tuple(lags_s), spacing_s), expected)


def test_a_delay_is_the_mean_of_the_frames_around_it():
    frames = np.random.default_rng(0).standard_normal((3, 5, 2, 4)).astype(np.float32)
    outputs = np.asarray(Delays(range(5), 2.0)(frames))
    assert outputs.shape == (3, 3, 2, 4)
    np.testing.assert_allclose(outputs[:, 1], 0.25 * frames[:, 1] + 0.5 * frames[:, 2] + 0.25 * frames[:, 3], atol=1e-6)
    np.testing.assert_allclose(outputs[:, 0], (2 * frames[:, 0] + frames[:, 1]) / 3, atol=1e-6)


def test_a_spacing_of_one_lag_changes_nothing():
    frames = np.random.default_rng(0).standard_normal((3, 5, 2, 4)).astype(np.float32)
    np.testing.assert_allclose(np.asarray(Delays((0, 2, 4, 6, 8), 2.0)(frames)), frames, atol=1e-6)
