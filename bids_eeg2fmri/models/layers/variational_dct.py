"""Synthesize volumes from cosine coefficients that are drawn: coarse ones around a prediction, fine ones from few heads."""

import math

import keras
import numpy as np
from keras import layers, ops

from bids_eeg2fmri.models.layers.dct import cosine_matrix, multiply_axes
from bids_eeg2fmri.models.layers.noise import NoisyLayer

# Of the distribution of angles; more would not be seen in what is drawn.
N_QUANTILES = 128


@keras.saving.register_keras_serializable("bids_eeg2fmri")
class VariationalInverseDCT(NoisyLayer):
    """Draw coefficients of the cosine transform and transform them back: ``(batch, n) -> (batch, *shape)``.

    Coarse coefficients, the first ``low`` of each axis, are normal; each has a mean and a scale that are computed from the
    features. The others would need most of the weights of a network: here location and scale of coefficient (i, j, k) are made
    of one head per axis. Normal: location ``a_i b_j c_k``, scale ``exp(u_i + v_j + w_k)``. Von Mises:
    ``exp(u_i + v_j + w_k) cos(angle)``, the angle around ``a_i + b_j + c_k`` with a concentration that the sample has for all.
    Without noise each coefficient is its expectation, so a plain prediction is the mean of many draws.

    Parameters
    ----------
    low, shape : tuple of three ints
        Coarse coefficients and size of the volume.
    distribution : str
        Of the fine coefficients: "normal" or "von_mises".
    """

    def __init__(self, low, shape, distribution="normal", **kwargs):
        super().__init__(**kwargs)
        if distribution not in ("normal", "von_mises"):
            raise ValueError(f"distribution: normal or von_mises, not {distribution}")
        self.low = tuple(min(int(few), int(all_)) for few, all_ in zip(low, shape, strict=True))
        self.shape = tuple(int(n) for n in shape)
        self.distribution = distribution

    def build(self, input_shape):
        super().build(input_shape)
        n_low = math.prod(self.low)
        self.mean = layers.Dense(n_low)
        # Draws begin small beside standardized volumes, whose coefficients have a deviation of about 1.
        self.log_scale = self.add_weight(
            name="log_scale", shape=(n_low,), initializer=keras.initializers.Constant(-2.0)
        )
        small = keras.initializers.Constant(-1.0)
        self.log_scale_of_sample = layers.Dense(1)
        self.locations = [layers.Dense(n) for n in self.shape]
        self.log_scales = [layers.Dense(n, bias_initializer=small) for n in self.shape]
        built = [self.mean, self.log_scale_of_sample, *self.locations, *self.log_scales]
        if self.distribution == "von_mises":
            self.concentration = layers.Dense(1)
            built.append(self.concentration)
        for layer in built:
            layer.build(input_shape)
        self.is_fine = np.ones(self.shape, dtype=np.float32)
        self.is_fine[tuple(slice(n) for n in self.low)] = 0
        self.inverse = [cosine_matrix(n).T for n in self.shape]

    def call(self, inputs, training=None):
        coefficients = self._coarse(inputs, training) + self.is_fine * self._fine(inputs, training)
        return multiply_axes(coefficients, self.inverse)

    def _coarse(self, inputs, training):
        mean = self.mean(inputs)
        scale = ops.exp(_bounded(self.log_scale + self.log_scale_of_sample(inputs)))
        drawn = mean + scale * self._normal(mean, training)
        around = [(0, n - few) for n, few in zip(self.shape, self.low, strict=True)]
        return ops.pad(ops.reshape(drawn, (-1, *self.low)), ((0, 0), *around))

    def _fine(self, inputs, training):
        locations = _along_axes([head(inputs) for head in self.locations])
        u, v, w = _along_axes([head(inputs) for head in self.log_scales])
        scale = ops.exp(_bounded(u + v + w))
        a, b, c = locations
        if self.distribution == "normal":
            location = a * b * c
            return location + scale * self._normal(location, training)
        angle = a + b + c
        # From nearly even over the turn to a deviation of about 0.15 rad.
        quantiles = von_mises_quantiles(0.1 + 40.0 * ops.sigmoid(self.concentration(inputs)))
        # By symmetry the sines cancel.
        expected = ops.mean(ops.cos(quantiles), axis=-1)[:, None, None, None] * ops.cos(angle)

        which = keras.random.randint(ops.shape(angle), 0, N_QUANTILES, dtype="int32", seed=self.seed_generator)
        away = ops.take_along_axis(quantiles, ops.reshape(which, (-1, math.prod(self.shape))), axis=1)
        drawn = ops.cos(angle + ops.reshape(away, ops.shape(angle)))
        return scale * self.draw(drawn, expected, training)

    def _normal(self, like, training):
        return self.draw(keras.random.normal(ops.shape(like), seed=self.seed_generator), 0.0, training)

    def compute_output_shape(self, input_shape):
        return input_shape[0], *self.shape

    def get_config(self):
        return super().get_config() | {"low": self.low, "shape": self.shape, "distribution": self.distribution}


def von_mises_quantiles(concentration):
    """Give angles in rad that are equally probable under von Mises distributions around 0: ``(batch, 1) -> (batch, 128)``.

    To draw is to pick one of them: differentiable by the concentration, where sampling by rejection is not.
    """
    n_points = 2 * N_QUANTILES
    edges = np.linspace(-math.pi, math.pi, n_points + 1).astype(np.float32)
    middles = 0.5 * (edges[1:] + edges[:-1])
    share = ops.softmax(concentration * np.cos(middles), axis=-1)
    below = ops.cumsum(share, axis=-1) - share
    probability = ((np.arange(N_QUANTILES) + 0.5) / N_QUANTILES).astype(np.float32)
    # Each point fills up in turn: the sum of what is filled is how far from the first edge a probability lies.
    filled = ops.clip((probability[None, :, None] - below[:, None]) / (share[:, None] + 1e-12), 0.0, 1.0)
    return edges[0] + (2 * math.pi / n_points) * ops.sum(filled, axis=-1)


def _along_axes(heads):
    """Let three heads (batch, n) stand along one axis each of (batch, x, y, z)."""
    shapes = [(-1, *(n if axis == k else 1 for axis in range(3))) for k, n in enumerate(h.shape[-1] for h in heads)]
    return [ops.reshape(head, shape) for head, shape in zip(heads, shapes, strict=True)]


def _bounded(log_scale):
    # An exponent that overflows in one step would be the end of training.
    return 5.0 * ops.tanh(log_scale / 5.0)
