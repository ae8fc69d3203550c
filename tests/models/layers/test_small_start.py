import keras
import numpy as np

from bids_eeg2fmri.models.layers.small_start import SmallStart


def test_what_passes_is_almost_nothing_at_first():
    inputs = np.random.default_rng(0).standard_normal((3, 4, 5)).astype(np.float32)
    layer = SmallStart(0.05)
    np.testing.assert_allclose(np.asarray(layer(inputs)), 0.05 * inputs, rtol=1e-6)
    assert layer.scale.shape == (5,)


def test_a_saved_layer_is_made_anew_from_its_configuration():
    assert keras.layers.deserialize(keras.layers.serialize(SmallStart(0.05))).start == 0.05
