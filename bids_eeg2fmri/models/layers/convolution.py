"""Convolve volumes by convolutions of planes, which are many times faster where 3-D ones are not optimized."""

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable("bids_eeg2fmri")
class Convolution(keras.layers.Layer):
    """Convolve in three dimensions: ``(batch, x, y, z, channels) -> (batch, x', y', z', filters)``.

    Same weights and results as :class:`keras.layers.Conv3D`, whose gradients take many seconds on processors where
    TensorFlow leaves oneDNN off, and on JAX. Here the last axis becomes channels of a plane, and the kernel a larger one that
    holds it once for each position along that axis, with zeros around: more multiplications, in the shape that libraries
    are made for.

    Parameters
    ----------
    filters : int
    kernel_size : tuple of three ints
    strides : tuple of three ints
    padding : str
        "valid", or "same" with odd kernels and strides of 1.
    kernel_initializer, kernel_regularizer : as Keras takes them
    """

    def __init__(
        self,
        filters,
        kernel_size,
        strides=(1, 1, 1),
        padding="valid",
        kernel_initializer="glorot_uniform",
        kernel_regularizer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters = int(filters)
        self.kernel_size = tuple(int(size) for size in kernel_size)
        self.strides = tuple(int(step) for step in strides)
        self.padding = padding
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def build(self, input_shape):
        self.kernel = self.add_weight(
            name="kernel",
            shape=(*self.kernel_size, input_shape[-1], self.filters),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
        )
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")

    def call(self, inputs):
        _, x, y, depth, n_channels = inputs.shape
        kx, ky, _ = self.kernel_size
        place = self._places(depth)
        n = place.shape[2]
        kernel = ops.tensordot(self.kernel, place, axes=[[2], [0]])  # (kx, ky, channels, filters, depth, n)
        kernel = ops.transpose(kernel, (0, 1, 4, 2, 5, 3))
        kernel = ops.reshape(kernel, (kx, ky, depth * n_channels, n * self.filters))
        outputs = ops.conv(
            ops.reshape(inputs, (-1, x, y, depth * n_channels)),
            kernel,
            strides=self.strides[:2],
            padding=self.padding,
            data_format="channels_last",
        )
        return ops.reshape(outputs, (-1, *outputs.shape[1:3], n, self.filters)) + self.bias

    def _places(self, depth: int) -> np.ndarray:
        """Say which part of the kernel meets which position for which output: (kernel, depth, outputs) of 0 and 1."""
        size, step = self.kernel_size[2], self.strides[2]
        before = size // 2 if self.padding == "same" else 0
        n = depth if self.padding == "same" else (depth - size) // step + 1
        part, position, output = np.ogrid[:size, :depth, :n]
        return (position == output * step + part - before).astype(np.float32)

    def compute_output_shape(self, input_shape):
        if self.padding == "same":
            return *input_shape[:4], self.filters
        sides = zip(input_shape[1:4], self.kernel_size, self.strides, strict=True)
        return input_shape[0], *((n - size) // step + 1 for n, size, step in sides), self.filters

    def get_config(self):
        return super().get_config() | {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }
