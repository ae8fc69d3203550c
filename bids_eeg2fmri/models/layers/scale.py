"""Say of each output how far it can be relied on."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable("bids_eeg2fmri")
class LogScale(keras.layers.Layer):
    """Compute the logarithm of a positive scale of each output: ``(batch, n) -> (batch, outputs)``, between -5 and 5.

    A constant of each output plus a few patterns whose strength depends on the sample: a full matrix would double the
    size of a network whose outputs are voxels.

    Parameters
    ----------
    n_outputs, n_patterns : int
    """

    def __init__(self, n_outputs, n_patterns=8, **kwargs):
        super().__init__(**kwargs)
        self.n_outputs = int(n_outputs)
        self.n_patterns = int(n_patterns)

    def build(self, input_shape):
        self.strengths = layers.Dense(self.n_patterns)
        self.patterns = layers.Dense(self.n_outputs)
        self.strengths.build(input_shape)
        self.patterns.build((None, self.n_patterns))

    def call(self, inputs):
        return 5.0 * ops.tanh(self.patterns(self.strengths(inputs)) / 5.0)

    def compute_output_shape(self, input_shape):
        return input_shape[0], self.n_outputs

    def get_config(self):
        return super().get_config() | {"n_outputs": self.n_outputs, "n_patterns": self.n_patterns}
