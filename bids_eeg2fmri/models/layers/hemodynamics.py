"""Sum frames over time with a learned hemodynamic response."""

import keras
import numpy as np
from keras import ops


def canonical_response(delays_s: np.ndarray) -> np.ndarray:
    """Sample the canonical double-gamma response at these delays; absolute values sum to 1.

    References
    ----------
    Glover, G. H. (1999). Deconvolution of impulse response in event-related BOLD fMRI. NeuroImage 9, 416-429.
    """
    return double_gamma(delays_s, 5.0, 1 / 6)


def double_gamma(delays_s: np.ndarray, peak_s: float, undershoot: float) -> np.ndarray:
    """Sample a response that peaks at ``peak_s``, its undershoot 10 s later; absolute values sum to 1."""
    from scipy.stats import gamma

    response = gamma.pdf(delays_s, peak_s + 1) - undershoot * gamma.pdf(delays_s, peak_s + 11)
    return response / max(np.abs(response).sum(), 1e-12)


@keras.saving.register_keras_serializable("bids_eeg2fmri")
class HemodynamicSum(keras.layers.Layer):
    """Weight the frames of each source by its own response: ``(batch, lags, sources) -> (batch, sources)``.

    Every source starts from the canonical response and learns its own; what is penalized is the distance from the
    canonical one, so that little data leaves it in place.

    Parameters
    ----------
    delays_s : sequence of float
        Delay of each lag, in s.
    penalty : float
        Weight of the squared distance from the canonical response.
    """

    def __init__(self, delays_s, penalty=0.0, **kwargs):
        super().__init__(**kwargs)
        self.delays_s = [float(delay) for delay in delays_s]
        self.penalty = float(penalty)

    def build(self, input_shape):
        canonical = canonical_response(np.array(self.delays_s)).astype("float32")[:, None]
        self.canonical = np.repeat(canonical, input_shape[-1], axis=1)
        self.response = self.add_weight(
            name="response",
            shape=self.canonical.shape,
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(self.canonical, dtype=dtype),
        )

    def call(self, inputs):
        if self.penalty:
            self.add_loss(self.penalty * ops.sum(ops.square(self.response - self.canonical)))
        return ops.sum(inputs * self.response, axis=1)

    def get_config(self):
        return super().get_config() | {"delays_s": self.delays_s, "penalty": self.penalty}
