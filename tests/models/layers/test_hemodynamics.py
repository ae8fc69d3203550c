import keras
import numpy as np
import pytest

from bids_eeg2fmri.models.layers.hemodynamics import HemodynamicSum, canonical_response


def test_the_canonical_response_peaks_after_5_s_and_undershoots():
    delays = np.arange(0, 30, 0.1)
    response = canonical_response(delays)
    assert delays[np.argmax(response)] == pytest.approx(5.0, abs=0.3)
    assert 12 < delays[np.argmin(response)] < 18
    assert np.abs(response).sum() == pytest.approx(1)


def test_an_untrained_layer_sums_over_lags_with_the_canonical_response():
    delays = (0.0, 2.0, 4.0, 6.0, 8.0)
    inputs = np.random.default_rng(0).standard_normal((7, 5, 3)).astype(np.float32)
    outputs = np.asarray(HemodynamicSum(delays)(inputs))
    np.testing.assert_allclose(outputs, np.einsum("bls,l->bs", inputs, canonical_response(np.array(delays))), atol=1e-6)


def test_the_canonical_response_costs_nothing_and_the_distance_from_it_does():
    layer = HemodynamicSum((0.0, 3.0, 6.0), penalty=2.0)
    inputs = np.zeros((4, 3, 2), np.float32)
    layer(inputs)
    assert float(sum(layer.losses)) == 0
    layer.response.assign_add(np.full((3, 2), 0.5, np.float32))
    layer(inputs)
    assert float(sum(layer.losses)) == pytest.approx(2.0 * 6 * 0.25)


def test_a_saved_layer_is_made_anew_from_its_configuration():
    layer = HemodynamicSum((0.0, 3.0, 6.0), penalty=0.1)
    copy = keras.layers.deserialize(keras.layers.serialize(layer))
    assert (copy.delays_s, copy.penalty) == (layer.delays_s, layer.penalty)
