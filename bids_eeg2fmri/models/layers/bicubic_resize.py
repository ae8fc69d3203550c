"""Bring images to another size."""

import keras
import numpy as np
from keras import ops

# Of the cubic kernel, as PyTorch has it; with it, all engines of Keras resize alike.
SHARPNESS = -0.75


def bicubic_weights(n_from: int, n_to: int) -> np.ndarray:
    """Weigh old pixels for each new one along an axis, ``(n_to, n_from)``; pixels are areas, edges are repeated."""
    centers = (np.arange(n_to) + 0.5) * n_from / n_to - 0.5
    weights = np.zeros((n_to, n_from))
    for row, center in enumerate(centers):
        for pixel in int(np.floor(center)) + np.arange(-1, 3):
            weights[row, np.clip(pixel, 0, n_from - 1)] += _cubic(abs(center - pixel))
    return weights.astype("float32")


def _cubic(distance: float) -> float:
    a = SHARPNESS
    if distance <= 1:
        return (a + 2) * distance**3 - (a + 3) * distance**2 + 1
    return a * (distance**3 - 5 * distance**2 + 8 * distance - 4) if distance < 2 else 0.0


@keras.saving.register_keras_serializable("bids_eeg2fmri")
class BicubicResize(keras.layers.Layer):
    """Interpolate images: ``(batch, height, width, channels) -> (batch, *size, channels)``.

    Parameters
    ----------
    size : (int, int)
    """

    def __init__(self, size, **kwargs):
        super().__init__(**kwargs)
        self.size = tuple(int(length) for length in size)

    def build(self, input_shape):
        _, height, width, _ = input_shape
        self.down, self.across = bicubic_weights(height, self.size[0]), bicubic_weights(width, self.size[1])

    def call(self, inputs):
        down, across = (ops.convert_to_tensor(weights, dtype=inputs.dtype) for weights in (self.down, self.across))
        return ops.einsum("xh,yw,bhwc->bxyc", down, across, inputs)

    def compute_output_shape(self, input_shape):
        return input_shape[0], *self.size, input_shape[3]

    def get_config(self):
        return super().get_config() | {"size": self.size}
