import keras
import numpy as np

from bids_eeg2fmri.models.layers.resnet import ResnetBlock, slide_maximum

INPUTS = np.random.default_rng(0).standard_normal((3, 9, 8, 7, 1)).astype(np.float32)


def test_the_sliding_maximum_is_a_pooling_by_steps_of_1():
    pooled = keras.layers.MaxPooling3D((2, 3, 1), strides=1)(INPUTS)
    np.testing.assert_array_equal(slide_maximum(INPUTS, (2, 3, 1)), pooled)


def test_a_block_is_two_branches_as_published():
    block = ResnetBlock((3, 4, 2), (2, 1, 1), (2, 2, 1), 4)
    outputs = block(INPUTS)
    assert outputs.shape == block.compute_output_shape(INPUTS.shape) == (3, 3, 4, 6, 4)
    # The same of Keras' layers, one branch after the other, with the weights of the block.
    kernel, bias = block.first.get_weights()
    branches = []
    for filters in (slice(0, 4), slice(4, 8)):
        first = keras.layers.Conv3D(4, (3, 4, 2), strides=(2, 1, 1))
        first.build(INPUTS.shape)
        first.set_weights([kernel[..., filters], bias[filters]])
        x = keras.layers.MaxPooling3D((2, 2, 1), strides=1)(first(INPUTS))
        branches.append(x / np.sqrt(1 + 1e-3))  # untrained normalization
    second = keras.layers.Conv3D(4, 3, padding="same")
    second.build(branches[0].shape)
    second.set_weights(block.second.get_weights())
    expected = keras.ops.relu(second(keras.ops.relu(branches[0])) / np.sqrt(1 + 1e-3) + branches[1])
    np.testing.assert_allclose(outputs, expected, atol=1e-5)


def test_a_block_has_the_parameters_of_two_branches():
    block = ResnetBlock((3, 4, 2), (2, 1, 1), (2, 2, 1), 4)
    block.build(INPUTS.shape)
    first, norm, second = 24 * 4 + 4, 4 * 4, 27 * 4 * 4 + 4
    assert block.count_params() == 2 * first + 3 * norm + second


def test_weight_decay_is_of_the_kernels():
    block = ResnetBlock((3, 4, 2), (2, 1, 1), (2, 2, 1), 4, weight_decay=0.5)
    block.build(INPUTS.shape)
    kernels = block.first.kernel, block.second.kernel
    np.testing.assert_allclose(sum(block.losses), 0.5 * sum(np.sum(np.square(k)) for k in kernels), rtol=1e-5)
