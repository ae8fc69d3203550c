"""Join the frames of a signal to one stretch of it."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("bids_eeg2fmri")
class JoinFrames(keras.layers.Layer):
    """Put the frames of a signal one after the other: ``(batch, lags, channels, times) -> (batch, channels, lags * times)``.

    Frames come latest first, and time runs forward within each; what comes out runs forward throughout.
    """

    def call(self, inputs):
        _, lags, channels, times = inputs.shape
        forward = ops.transpose(ops.flip(inputs, axis=1), (0, 2, 1, 3))
        return ops.reshape(forward, (-1, channels, lags * times))

    def compute_output_shape(self, input_shape):
        batch, lags, channels, times = input_shape
        return batch, channels, lags * times
