import math

import keras
import numpy as np
import pytest

from bids_eeg2fmri.models.layers.fourier import DeterministicFourierFeatures, FourierFeatures

LATENT = np.random.default_rng(0).standard_normal((3, 50)).astype(np.float32)


def test_random_waves_are_fixed_and_only_their_scale_is_learned():
    layer = FourierFeatures()
    outputs = layer(LATENT)
    assert [weight.name for weight in layer.trainable_weights] == ["log_scale"]
    assert math.exp(layer.log_scale) == pytest.approx(math.sqrt(50 / 2), rel=1e-5)
    assert np.std(layer.waves) == pytest.approx(1, abs=0.05)
    assert 0 <= np.min(layer.offset) < 1.5
    assert 5 < np.max(layer.offset) < 2 * math.pi
    h = LATENT @ np.asarray(layer.waves) / math.sqrt(50 / 2) + layer.offset
    h = (h - h.mean(1, keepdims=True)) / np.sqrt(h.var(1, keepdims=True) + 1e-3)
    np.testing.assert_allclose(outputs, np.cos(math.pi / 2 * (h + 1)), atol=1e-4)


def test_the_random_basis_is_in_the_weights_and_the_same_after_loading():
    """The original drew another basis for a trained decoder."""
    keras.utils.set_random_seed(1)
    trained = FourierFeatures()
    expected = trained(LATENT)
    keras.utils.set_random_seed(2)
    loaded = FourierFeatures()
    assert np.abs(loaded(LATENT) - expected).max() > 0.1
    loaded.set_weights(trained.get_weights())
    np.testing.assert_array_equal(loaded(LATENT), expected)


def test_phases_are_what_the_cosine_is_taken_of():
    for layer in (FourierFeatures(), DeterministicFourierFeatures()):
        outputs = layer(LATENT)
        np.testing.assert_allclose(np.cos(layer.phases(LATENT)), outputs, atol=1e-6)


def test_deterministic_waves_go_up_by_one_octave():
    layer = DeterministicFourierFeatures()
    layer.build((None, 4))
    np.testing.assert_allclose(layer.multipliers, math.pi * 2 ** np.array([0, 0.25, 0.5, 0.75]), rtol=1e-6)
    assert not layer.weights
