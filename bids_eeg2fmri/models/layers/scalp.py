"""Describe a map of the scalp by functions of place, whatever electrodes it was measured with."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

# Where a head's sphere has its middle, in head coordinates (m).
CENTER_M = np.array([0.0, 0.0, 0.04])
# From the vertex on, what caps cover of it.
REACH_RAD = np.deg2rad(115)
# An electrode speaks for what is not farther from it: about 45 mm.
SPEAKS_FOR_RAD = 0.5
N_POINTS = 2000


def spread_points(n: int) -> np.ndarray:
    """Spread directions evenly over the part of a head that caps cover, (n, 3), by a Fibonacci spiral."""
    index = np.arange(n) + 0.5
    z = 1 - index / n * (1 - np.cos(REACH_RAD))
    turn = np.pi * (1 + 5**0.5) * index
    flat = np.sqrt(1 - z**2)
    return np.stack([flat * np.cos(turn), flat * np.sin(turn), z], axis=1)


def scalp_functions(positions_m: Sequence[Sequence[float] | None], *, n_landmarks: int, width_rad: float) -> np.ndarray:
    """Give the weight of each electrode in the integral of a map with each function, (channels, functions).

    The functions are those in which a smooth prior is white: a map of weights that is a Gaussian process on the sphere, with
    a covariance that falls with the angle, is a sum of them with independent weights. An electrode counts by the area that
    it is nearest to, so that dense caps are not louder than sparse ones.

    Parameters
    ----------
    positions_m : sequence of (x, y, z) or None
        Head coordinates; a channel without position has no weight. If none has, each channel is a function of its own.
    n_landmarks : int
        Functions.
    width_rad : float
        Of the covariance, as an angle from the middle of the head.

    References
    ----------
    Williams, C. K. I. & Seeger, M. (2001). Using the Nystroem method to speed up kernel machines. NIPS 13, 682-688.
    """
    known = np.array([xyz is not None for xyz in positions_m])
    if not known.any():
        return np.eye(len(positions_m), dtype=np.float32)
    places = np.array([xyz for xyz in positions_m if xyz is not None], dtype=float) - CENTER_M
    places /= np.linalg.norm(places, axis=1, keepdims=True)

    angles = np.arccos(np.clip(spread_points(N_POINTS) @ places.T, -1, 1))
    nearest = angles.argmin(1)[angles.min(1) < SPEAKS_FOR_RAD]
    area = np.bincount(nearest, minlength=len(places)) / N_POINTS

    landmarks = spread_points(n_landmarks)
    values, vectors = np.linalg.eigh(_covariance(landmarks, landmarks, width_rad))
    # The smallest are rounding. The symmetric root is the same on every machine, eigenvectors are not.
    root = (vectors / np.sqrt(np.maximum(values, 1e-6 * values.max()))) @ vectors.T
    weights = np.zeros((len(positions_m), n_landmarks), dtype=np.float32)
    weights[known] = area[:, None] * (_covariance(places, landmarks, width_rad) @ root)
    return weights


def _covariance(a: np.ndarray, b: np.ndarray, width_rad: float) -> np.ndarray:
    return np.exp(-0.5 * (np.arccos(np.clip(a @ b.T, -1, 1)) / width_rad) ** 2)


@keras.saving.register_keras_serializable("bids_eeg2fmri")
class ScalpFunctions(keras.layers.Layer):
    """Integrate maps with functions of place: ``(batch, lags, channels, freqs) -> (batch, lags, functions, freqs)``.

    Nothing is learned here, and no weight depends on the electrodes: the same weights behind it serve every montage.

    Parameters
    ----------
    positions_m, n_landmarks, width_rad
        See :func:`scalp_functions`.
    """

    def __init__(self, positions_m, n_landmarks=30, width_rad=0.5, **kwargs):
        super().__init__(**kwargs)
        self.positions_m = [None if xyz is None else [float(value) for value in xyz] for xyz in positions_m]
        self.n_landmarks, self.width_rad = int(n_landmarks), float(width_rad)
        self.weights_of_channels = scalp_functions(positions_m, n_landmarks=n_landmarks, width_rad=width_rad)

    def call(self, inputs):
        return ops.einsum("blcf,ck->blkf", inputs, ops.convert_to_tensor(self.weights_of_channels, dtype=inputs.dtype))

    def compute_output_shape(self, input_shape):
        return *input_shape[:2], self.weights_of_channels.shape[1], input_shape[3]

    def get_config(self):
        own = {"positions_m": self.positions_m, "n_landmarks": self.n_landmarks, "width_rad": self.width_rad}
        return super().get_config() | own
