"""Combine an axis by functions in which a prior is white, so that a ridge on them has that prior."""

import keras
import numpy as np
from keras import ops

from bids_eeg2fmri.models.layers.hemodynamics import double_gamma

# What a function adds to the prior's variance relative to the first one; less is left out.
LEAST_SHARE = 0.01


def functions_of(covariance: np.ndarray) -> np.ndarray:
    """Give the leading functions of a covariance, each with the length of its standard deviation, (points, functions)."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > LEAST_SHARE * values.max()
    return np.ascontiguousarray((vectors[:, kept] * np.sqrt(values[kept]))[:, ::-1], dtype=np.float32)


def spectral_functions(freqs_hz: np.ndarray, *, scales: tuple[float, ...], white: float) -> np.ndarray:
    """Give functions of frequency, (frequencies, functions): smooth at several scales, wider at higher frequencies.

    Parameters
    ----------
    scales : tuple of float
        Widths of what goes together, in natural logarithms of frequency: at 0.1, 10 and 11 Hz.
    white : float
        Variance of what each frequency has for itself.
    """
    distance = np.subtract.outer(np.log(freqs_hz), np.log(freqs_hz))
    smooth = np.mean([np.exp(-0.5 * (distance / scale) ** 2) for scale in scales], axis=0)
    return functions_of(smooth + white * np.eye(len(freqs_hz)))


def hemodynamic_functions(
    delays_s: np.ndarray, *, peaks_s: tuple[float, ...], undershoots: tuple[float, ...]
) -> np.ndarray:
    """Give functions of delay, (delays, functions), that hemodynamic responses are made of.

    Each response that is put in counts alike; later ones are wider. Which of their sums it is, data will tell.

    Parameters
    ----------
    peaks_s : tuple of float
        When responses peak.
    undershoots : tuple of float
        Area of the undershoot over that of the peak.
    """
    responses = np.array([double_gamma(delays_s, peak, under) for peak in peaks_s for under in undershoots])
    return functions_of(responses.T @ responses / len(responses))


@keras.saving.register_keras_serializable("bids_eeg2fmri")
class PriorFunctions(keras.layers.Layer):
    """Project the last axis: ``(..., points) -> (..., functions)``, by a matrix that no training step moves.

    It is saved with the network: eigenvectors of another machine could have other signs.

    Parameters
    ----------
    functions : array of shape (points, functions)
    """

    def __init__(self, functions, **kwargs):
        super().__init__(**kwargs)
        self.functions = np.asarray(functions, dtype=np.float32)

    def build(self, input_shape):
        self.matrix = self.add_weight(
            name="functions",
            shape=self.functions.shape,
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(self.functions, dtype=dtype),
            trainable=False,
        )

    def call(self, inputs):
        return ops.matmul(inputs, self.matrix)

    def compute_output_shape(self, input_shape):
        return *input_shape[:-1], self.functions.shape[1]

    def get_config(self):
        return super().get_config() | {"functions": self.functions.tolist()}
