"""A dense layer whose weights are distributions."""

import math

import keras
from keras import ops

from bids_eeg2fmri.models.layers.noise import NoisyLayer


@keras.saving.register_keras_serializable("bids_eeg2fmri")
class DenseVariational(NoisyLayer):
    """Dense layer with normal weights: ``(batch, n) -> (batch, units)``.

    Each weight has a mean and a standard deviation of its own and is drawn for itself, once per call; without noise the
    means are the weights. The distance from a prior (Kullback-Leibler) is added to the loss. The prior is normal, its
    standard deviation that of Glorot's initializer; weights begin with a tenth of that around their means.

    Parameters
    ----------
    units : int
    kl_weight : float
        What the divergence is multiplied by. With a loss that is the mean over samples and outputs, the evidence lower
        bound has ``1 / (training samples x outputs)``.

    References
    ----------
    Blundell, C. et al. (2015). Weight uncertainty in neural networks. ICML.
    """

    def __init__(self, units, kl_weight, **kwargs):
        super().__init__(**kwargs)
        self.units = int(units)
        self.kl_weight = float(kl_weight)

    def build(self, input_shape):
        super().build(input_shape)
        n = input_shape[-1]
        self.prior_scale = math.sqrt(2 / (n + self.units))
        # softplus of it is the standard deviation
        begin = keras.initializers.Constant(math.log(math.expm1(0.1 * self.prior_scale)))
        # The last row is the bias.
        self.mean = self.add_weight(name="mean", shape=(n + 1, self.units), initializer="glorot_uniform")
        self.spread = self.add_weight(name="spread", shape=(n + 1, self.units), initializer=begin)

    def call(self, inputs, training=None):
        deviation = ops.softplus(self.spread)
        ratio = deviation / self.prior_scale
        divergence = 0.5 * (ops.square(ratio) + ops.square(self.mean / self.prior_scale) - 1.0) - ops.log(ratio)
        self.add_loss(self.kl_weight * ops.sum(divergence))
        shape = self.mean.shape
        noise = self.draw(keras.random.normal(shape, seed=self.seed_generator), 0.0, training)
        weights = self.mean + deviation * noise
        return ops.matmul(inputs, weights[:-1]) + weights[-1]

    def compute_output_shape(self, input_shape):
        return *input_shape[:-1], self.units

    def get_config(self):
        return super().get_config() | {"units": self.units, "kl_weight": self.kl_weight}
