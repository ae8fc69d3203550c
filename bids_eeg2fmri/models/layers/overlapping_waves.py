"""Make a signal of waves, one set for all channels."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable("bids_eeg2fmri")
class OverlappingWaves(keras.layers.Layer):
    """Sum learned waves: ``(batch, lags, channels, waves) -> (batch, lags, channels, n_times)``.

    A transposed convolution over time. What comes in says how strong each wave is in each frame; a wave lasts from the start
    of its frame to the end of the next, so that one frame passes into the other without a step. Frames come
    latest first, and time runs forward within each.

    Parameters
    ----------
    n_times : int
        Samples of a frame.
    """

    def __init__(self, n_times, **kwargs):
        super().__init__(**kwargs)
        self.n_times = int(n_times)
        self.waves = layers.Dense(self.n_times, use_bias=False, name="waves")

    def build(self, input_shape):
        self.waves.build((*input_shape[:-1], 2 * input_shape[-1]))

    def call(self, inputs):
        # The first half of each wave belongs to what begins in a frame, the second to what began in the one before.
        before = ops.pad(inputs[:, 1:], ((0, 0), (0, 1), (0, 0), (0, 0)))
        return self.waves(ops.concatenate([inputs, before], axis=-1))

    def compute_output_shape(self, input_shape):
        return *input_shape[:3], self.n_times

    def get_config(self):
        return super().get_config() | {"n_times": self.n_times}
