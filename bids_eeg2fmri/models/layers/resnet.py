"""Read a volume by two convolutions side by side, one of them followed by another."""

import math

import keras
from keras import layers, ops

from bids_eeg2fmri.models.layers.convolution import Convolution


@keras.saving.register_keras_serializable("bids_eeg2fmri")
class ResnetBlock(keras.layers.Layer):
    """Residual block: ``(batch, x, y, z, channels) -> (batch, x', y', z', filters)``.

    ``relu(left + right)`` with ``left`` convolution, maximum, normalization, relu, convolution 3 x 3 x 3, normalization,
    and ``right`` convolution, maximum, normalization. The first convolutions of both have the same kernel size and input:
    one convolution of twice as many filters computes them together.

    Parameters
    ----------
    kernel_size, strides : tuple of three ints
        Of the first convolutions.
    pool : tuple of three ints
        Size of the maximum, which moves by steps of 1; 1 is none.
    filters : int
    weight_decay : float
        L2 penalty of the kernels.

    References
    ----------
    He, K. et al. (2016). Deep residual learning for image recognition. CVPR.
    """

    def __init__(self, kernel_size, strides, pool, filters, weight_decay=0.0, **kwargs):
        super().__init__(**kwargs)
        self.kernel_size = tuple(int(size) for size in kernel_size)
        self.strides = tuple(int(step) for step in strides)
        self.pool = tuple(int(size) for size in pool)
        self.filters = int(filters)
        self.weight_decay = float(weight_decay)

    def build(self, input_shape):
        decay = keras.regularizers.L2(self.weight_decay) if self.weight_decay else None
        n_inputs = input_shape[-1]
        # Glorot's bounds of one branch: of both together they would be narrower.
        glorot = keras.initializers.VarianceScaling(
            (n_inputs + 2 * self.filters) / (n_inputs + self.filters), "fan_avg", "uniform"
        )
        self.first = Convolution(
            2 * self.filters, self.kernel_size, self.strides, kernel_initializer=glorot, kernel_regularizer=decay
        )
        # Short trainings: with the usual 0.99 the first hundred steps would predict by moments of nothing.
        self.first_norm = layers.BatchNormalization(momentum=0.9)
        self.second = Convolution(self.filters, (3, 3, 3), padding="same", kernel_regularizer=decay)
        self.second_norm = layers.BatchNormalization(momentum=0.9)
        self.first.build(input_shape)
        pooled = self.compute_output_shape(input_shape)
        self.first_norm.build((*pooled[:4], 2 * self.filters))
        self.second.build(pooled)
        self.second_norm.build(pooled)

    def call(self, inputs, training=None):
        both = self.first_norm(slide_maximum(self.first(inputs), self.pool), training=training)
        left, right = ops.split(both, 2, axis=-1)
        return ops.relu(self.second_norm(self.second(ops.relu(left)), training=training) + right)

    def compute_output_shape(self, input_shape):
        sides = zip(input_shape[1:4], self.kernel_size, self.strides, self.pool, strict=True)
        return input_shape[0], *((n - size) // step + 2 - pool for n, size, step, pool in sides), self.filters

    def get_config(self):
        return super().get_config() | {
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "pool": self.pool,
            "filters": self.filters,
            "weight_decay": self.weight_decay,
        }


def slide_maximum(x, pool):
    """Give the maximum over boxes that move by steps of 1: ``(batch, x, y, z, channels)``, shorter by ``pool - 1``.

    Along one axis after another, by elementwise maxima: the same as a 3-D pooling, whose gradient is slow on processors.
    """
    for axis, size in enumerate(pool, start=1):
        shape = x.shape[1:]
        n, step = shape[axis - 1] - size + 1, math.prod(shape[axis:])
        # Slices of a table have a fast gradient, those of five axes a very slow one.
        table = ops.reshape(x, (-1, shape[axis - 1] * step))
        parts = [table[:, shift * step : (shift + n) * step] for shift in range(size)]
        table = parts[0]
        for part in parts[1:]:
            table = ops.maximum(table, part)
        x = ops.reshape(table, (-1, *shape[: axis - 1], n, *shape[axis:]))
    return x
