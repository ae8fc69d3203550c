"""Bring volumes to another resolution in the space of their cosine transform."""

import keras
import numpy as np
from keras import ops


def cosine_matrix(n: int) -> np.ndarray:
    """Give the orthonormal discrete cosine transform (DCT-II) as a matrix of shape (frequencies, points).

    >>> cosine_matrix(2).round(3).tolist()
    [[0.707, 0.707], [0.707, -0.707]]
    """
    frequency, point = np.arange(n)[:, None], np.arange(n)[None]
    matrix = np.sqrt(2 / n) * np.cos(np.pi * frequency * (2 * point + 1) / (2 * n))
    matrix[0] /= np.sqrt(2)
    return matrix


def resize_matrix(n: int, n_new: int) -> np.ndarray:
    """Transform, cut off or fill up with zeros, transform back: all in one matrix of shape (n_new, n).

    A constant stays that constant.
    """
    kept = min(n, n_new)
    return np.sqrt(n_new / n) * cosine_matrix(n_new)[:kept].T @ cosine_matrix(n)[:kept]


def multiply_axes(volumes, matrices):
    """Multiply each axis of volumes by a matrix of its own: ``(batch, x, y, z) -> (batch, x', y', z')``.

    Parameters
    ----------
    volumes : tensor of shape (batch, x, y, z)
    matrices : three arrays of shapes (x', x), (y', y), (z', z)
    """
    for matrix in matrices:
        # The axis that was multiplied goes last; after three times the order is that of before.
        volumes = ops.tensordot(volumes, np.ascontiguousarray(matrix.T, dtype=np.float32), axes=[[1], [0]])
    return volumes


@keras.saving.register_keras_serializable("bids_eeg2fmri")
class CosineResize(keras.layers.Layer):
    """Bring volumes to another shape: ``(batch, x, y, z) -> (batch, *shape)``.

    Their coefficients of the discrete cosine transform are cut off or filled up with zeros.

    Parameters
    ----------
    shape : tuple of three ints
    """

    def __init__(self, shape, **kwargs):
        super().__init__(**kwargs)
        self.shape = tuple(int(n) for n in shape)

    def build(self, input_shape):
        self.matrices = [resize_matrix(n, new) for n, new in zip(input_shape[1:], self.shape, strict=True)]

    def call(self, inputs):
        return multiply_axes(inputs, self.matrices)

    def compute_output_shape(self, input_shape):
        return input_shape[0], *self.shape

    def get_config(self):
        return super().get_config() | {"shape": self.shape}
