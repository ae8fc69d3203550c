"""Convolve volumes by convolutions of planes, which are many times faster where 3-D ones are not optimized."""

import keras
from keras import ops

# Of the last axis are computed together: their filters fill the registers of a processor.
TOGETHER = 2


@keras.saving.register_keras_serializable("bids_eeg2fmri")
class Convolution(keras.layers.Layer):
    """Convolve in three dimensions: ``(batch, x, y, z, channels) -> (batch, x', y', z', filters)``.

    Same weights and results as :class:`keras.layers.Conv3D`, whose gradients take many seconds on processors where
    TensorFlow leaves oneDNN off, and on JAX. Here what the kernel covers of the last axis are channels of a plane, and the
    positions along that axis are samples.

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
        if self.padding == "same":
            around = [(size // 2, size // 2) for size in self.kernel_size]
            inputs = ops.pad(inputs, ((0, 0), *around, (0, 0)))
        _, x, y, depth, n_channels = inputs.shape
        kx, ky, kz = self.kernel_size
        step = self.strides[2]
        n = (depth - kz) // step + 1
        together = min(TOGETHER, n)
        n_groups = -(-n // together)
        covered = kz + (together - 1) * step
        missing = (n_groups - 1) * together * step + covered - depth
        if missing > 0:
            inputs = ops.pad(inputs, ((0, 0), (0, 0), (0, 0), (0, missing), (0, 0)))
        starts = [group * together * step for group in range(n_groups)]
        planes = ops.stack([inputs[:, :, :, start : start + covered] for start in starts], axis=1)
        planes = ops.reshape(planes, (-1, x, y, covered * n_channels))
        shifted = [
            ops.pad(self.kernel, ((0, 0), (0, 0), (k * step, covered - kz - k * step), (0, 0), (0, 0)))
            for k in range(together)
        ]
        kernel = ops.reshape(ops.stack(shifted, axis=-2), (kx, ky, covered * n_channels, together * self.filters))
        outputs = ops.conv(planes, kernel, strides=self.strides[:2], padding="valid", data_format="channels_last")
        _, x, y, _ = outputs.shape
        outputs = ops.reshape(outputs, (-1, n_groups, x, y, together, self.filters))
        outputs = ops.reshape(ops.transpose(outputs, (0, 2, 3, 1, 4, 5)), (-1, x, y, n_groups * together, self.filters))
        return outputs[:, :, :, :n] + self.bias

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
