"""Average frames around fewer delays than there are lags."""

import keras
import numpy as np
from keras import ops


def delays_s(lags_s, spacing_s: float) -> np.ndarray:
    """List delays from the first lag to the last, about this far apart and never closer than the lags."""
    first, last = float(lags_s[0]), float(lags_s[-1])
    n = min(len(lags_s), round((last - first) / spacing_s) + 1)
    return np.linspace(first, last, n) if n > 1 else np.array([(first + last) / 2])


@keras.saving.register_keras_serializable("bids_eeg2fmri")
class Delays(keras.layers.Layer):
    """Weighted mean of the frames around each delay: ``(batch, lags, ...) -> (batch, delays, ...)``.

    The weights are triangles as wide as two spacings: piecewise linear responses can be made of the delays. Frames overlap
    and blood is slow, so little is lost, and what is to be estimated becomes less.

    Parameters
    ----------
    lags_s : sequence of float
        Of the input.
    spacing_s : float
        Between two delays; about, so that the first and the last lag are delays.
    """

    def __init__(self, lags_s, spacing_s=2.0, **kwargs):
        super().__init__(**kwargs)
        self.lags_s = [float(lag) for lag in lags_s]
        self.spacing_s = float(spacing_s)
        delays = delays_s(self.lags_s, self.spacing_s)
        away = np.abs(np.array(self.lags_s) - delays[:, None])
        if len(delays) > 1:
            weights = np.clip(1 - away / (delays[1] - delays[0]), 0, None)
        else:
            weights = np.ones_like(away)
        self.average = (weights / weights.sum(1, keepdims=True)).astype(np.float32)

    def call(self, inputs):
        # (..., lags) x (lags, delays), with the lags brought to the end and back.
        order = (0, *range(2, len(inputs.shape)), 1)
        averaged = ops.matmul(ops.transpose(inputs, order), self.average.T)
        return ops.transpose(averaged, (0, len(order) - 1, *range(1, len(order) - 1)))

    def compute_output_shape(self, input_shape):
        return input_shape[0], len(self.average), *input_shape[2:]

    def get_config(self):
        return super().get_config() | {"lags_s": self.lags_s, "spacing_s": self.spacing_s}
