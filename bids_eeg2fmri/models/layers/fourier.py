"""Project a latent on waves, so that what is linear behind them is not linear in the latent."""

import math

import keras
import numpy as np
from keras import layers, ops


@keras.saving.register_keras_serializable("bids_eeg2fmri")
class FourierFeatures(keras.layers.Layer):
    """Random Fourier features of a latent: ``(batch, latent) -> (batch, latent)``, between -1 and 1.

    ``cos(normalize(z W / s + b))`` with W normal and b uniform over a turn. Both are drawn once and fixed; they are weights
    all the same, so that whoever loads a trained network has the basis that its decoder was trained with. The scale s is
    learned, positive, and begins at ``sqrt(latent / 2)``. The normalization brings the phases of each sample to mean and
    deviation pi / 2.

    References
    ----------
    Rahimi, A. & Recht, B. (2007). Random features for large-scale kernel machines. NeurIPS.
    """

    def build(self, input_shape):
        size = input_shape[-1]
        # In the order of the formula; Keras' seed decides on both.
        self.waves = self.add_weight(
            name="waves", shape=(size, size), initializer=keras.initializers.RandomNormal(stddev=1.0), trainable=False
        )
        self.offset = self.add_weight(
            name="offset",
            shape=(size,),
            initializer=keras.initializers.RandomUniform(0.0, 2 * math.pi),
            trainable=False,
        )
        # Its logarithm is learned: whatever step is taken, the scale stays positive.
        self.log_scale = self.add_weight(
            name="log_scale", shape=(), initializer=keras.initializers.Constant(0.5 * math.log(size / 2))
        )
        half = keras.initializers.Constant(math.pi / 2)
        self.normalize = layers.LayerNormalization(beta_initializer=half, gamma_initializer=half, trainable=False)
        self.normalize.build(input_shape)

    def phases(self, inputs):
        """Give what the cosine is taken of, in rad: ``(batch, latent) -> (batch, latent)``."""
        return self.normalize(ops.matmul(inputs, self.waves) * ops.exp(-self.log_scale) + self.offset)

    def call(self, inputs):
        return ops.cos(self.phases(inputs))

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable("bids_eeg2fmri")
class DeterministicFourierFeatures(keras.layers.Layer):
    """Cosines of each latent times a number of its own: ``(batch, latent) -> (batch, latent)``.

    ``cos(z_i K_i)``, ``K_i = pi 2^(i / latent)``: nothing is drawn or learned.
    """

    def build(self, input_shape):
        size = input_shape[-1]
        self.multipliers = (math.pi * 2.0 ** (np.arange(size) / size)).astype(np.float32)

    def phases(self, inputs):
        """Give what the cosine is taken of, in rad: ``(batch, latent) -> (batch, latent)``."""
        return inputs * self.multipliers

    def call(self, inputs):
        return ops.cos(self.phases(inputs))

    def compute_output_shape(self, input_shape):
        return input_shape
