import numpy as np

from bids_eeg2fmri.models.layers.standardization import Standardization


def test_what_it_was_adapted_to_has_mean_0_and_deviation_1():
    frames = np.random.default_rng(0).normal(-110, 4, (60, 5, 3)).astype(np.float32)
    layer = Standardization()
    layer.build((None, 6, 5, 3))
    layer.adapt(frames)
    outputs = np.asarray(layer(frames[:, None]))[:, 0]
    np.testing.assert_allclose(outputs.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(outputs.std(0), 1, atol=1e-4)
    assert layer.trainable_variables == []


def test_what_never_changes_gives_no_infinity():
    layer = Standardization()
    layer.build((None, 6, 5, 3))
    layer.adapt(np.full((9, 5, 3), -110.0, np.float32))
    assert np.isfinite(np.asarray(layer(np.zeros((2, 6, 5, 3), np.float32)))).all()
