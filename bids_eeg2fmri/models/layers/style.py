"""Weight the features of a latent, by what the attention found or by what was learned."""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable("bids_eeg2fmri")
class StylePosterior(keras.layers.Layer):
    """Multiply features by a linear function of the attention scores: ``(batch, n), (batch, c, c) -> (batch, n)``.

    Parameters
    ----------
    weight_decay : float
        L2 penalty of the function.
    """

    def __init__(self, weight_decay=0.0, **kwargs):
        super().__init__(**kwargs)
        self.weight_decay = float(weight_decay)

    def build(self, input_shape):
        features, scores = input_shape
        decay = keras.regularizers.L2(self.weight_decay) if self.weight_decay else None
        self.style = layers.Dense(features[-1], use_bias=False, kernel_regularizer=decay)
        self.style.build((None, scores[1] * scores[2]))

    def call(self, inputs):
        features, scores = inputs
        return features * self.style(ops.reshape(scores, (-1, scores.shape[1] * scores.shape[2])))

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def get_config(self):
        return super().get_config() | {"weight_decay": self.weight_decay}


@keras.saving.register_keras_serializable("bids_eeg2fmri")
class StylePrior(keras.layers.Layer):
    """Multiply features by a learned vector that is the same for all samples: ``(batch, n) -> (batch, n)``."""

    def build(self, input_shape):
        self.style = self.add_weight(name="style", shape=input_shape[1:], initializer="ones")

    def call(self, inputs):
        return inputs * self.style

    def compute_output_shape(self, input_shape):
        return input_shape
