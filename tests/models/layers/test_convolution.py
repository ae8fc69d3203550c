import keras
import numpy as np
import pytest

from bids_eeg2fmri.models.layers.convolution import Convolution


@pytest.mark.parametrize(
    ("kernel_size", "strides", "padding"),
    [((3, 4, 2), (2, 1, 1), "valid"), ((2, 1, 4), (1, 1, 3), "valid"), ((3, 3, 3), (1, 1, 1), "same")],
)
def test_it_is_the_convolution_of_keras(kernel_size, strides, padding):
    inputs = np.random.default_rng(0).standard_normal((2, 7, 6, 11, 3)).astype(np.float32)
    ours = Convolution(5, kernel_size, strides, padding)
    theirs = keras.layers.Conv3D(5, kernel_size, strides=strides, padding=padding)
    outputs = ours(inputs)
    theirs.build(inputs.shape)
    theirs.set_weights(ours.get_weights())
    np.testing.assert_allclose(outputs, theirs(inputs), atol=1e-5)
    assert ours.compute_output_shape(inputs.shape) == outputs.shape
