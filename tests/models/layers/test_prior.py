import keras
import numpy as np

from bids_eeg2fmri.models.layers.hemodynamics import double_gamma
from bids_eeg2fmri.models.layers.prior import (
    PriorFunctions,
    functions_of,
    hemodynamic_functions,
    spectral_functions,
)

FREQS = np.arange(2.0, 41.0)


def test_functions_give_their_covariance_back():
    root = np.random.default_rng(0).standard_normal((7, 3))
    covariance = root @ root.T
    functions = functions_of(covariance)
    assert functions.shape == (7, 3)
    np.testing.assert_allclose(functions @ functions.T, covariance, atol=1e-4)
    assert (np.diff(np.linalg.norm(functions, axis=0)) <= 0).all()


def test_neighbours_go_together_over_more_hz_at_higher_frequencies():
    functions = spectral_functions(FREQS, scales=(0.1,), white=0.0)
    covariance = functions @ functions.T

    def reach(hz):
        row = covariance[np.flatnonzero(hz == FREQS)[0]]
        return np.count_nonzero(row > 0.5 * row.max())

    assert reach(8.0) < reach(16.0) < reach(30.0)


def test_what_is_white_belongs_to_one_frequency():
    functions = spectral_functions(FREQS, scales=(0.1,), white=10.0)
    covariance = functions @ functions.T
    assert covariance[5, 6] < 0.2 * covariance[5, 5]


def test_responses_of_any_delay_in_between_are_sums_of_the_functions():
    delays = np.arange(0.5, 19.5)
    functions = hemodynamic_functions(delays, peaks_s=(3.5, 4.5, 5.5, 6.5, 7.5), undershoots=(0.0, 1 / 3))
    assert functions.shape[1] < 6
    for peak in (4.0, 5.0, 7.0):
        response = double_gamma(delays, peak, 0.2)
        left = response - functions @ np.linalg.lstsq(functions, response, rcond=None)[0]
        assert np.linalg.norm(left) < 0.2 * np.linalg.norm(response)
    noise = np.random.default_rng(0).standard_normal(len(delays))
    left = noise - functions @ np.linalg.lstsq(functions, noise, rcond=None)[0]
    assert np.linalg.norm(left) > 0.7 * np.linalg.norm(noise)


def test_the_functions_are_saved_with_the_weights_and_nothing_moves_them():
    functions = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    layer = PriorFunctions(functions)
    inputs = np.random.default_rng(1).standard_normal((2, 4, 5)).astype(np.float32)
    outputs = np.asarray(layer(inputs))
    np.testing.assert_allclose(outputs, inputs @ functions, atol=1e-5)
    assert layer.trainable_weights == []
    other = PriorFunctions(-functions)
    other(inputs)
    other.set_weights(layer.get_weights())
    np.testing.assert_array_equal(np.asarray(other(inputs)), outputs)
    copy = keras.layers.deserialize(keras.layers.serialize(layer))
    np.testing.assert_array_equal(copy.functions, functions)
