"""Average the power of frequencies into bands."""

import keras
import numpy as np
from keras import ops

from bids_eeg2fmri.errors import UsageError
from bids_eeg2fmri.models.layers.standardization import Standardization

# The field's usual bands, as the baselines have them (evaluation.baselines); a test holds the two together.
BANDS_HZ = ((2.0, 4.0), (4.0, 8.0), (8.0, 13.0), (13.0, 30.0), (30.0, 45.0))
# In dB. Power that varies less is that of a channel without a signal: its noise, divided by so little, would tower over all
# else as soon as there is a signal.
LEAST_DEVIATION = 0.3


@keras.saving.register_keras_serializable("bids_eeg2fmri")
class BandPower(Standardization):
    """Mean power of each band, standardized: ``(batch, lags, channels, freqs) -> (batch, lags, channels, bands)``.

    Each channel and band has the mean and the deviation of its training frames; what hardly varied there is 0.

    Parameters
    ----------
    freqs_hz : sequence of float
        Of the input.
    bands_hz : sequence of pairs of float
        From and up to (without) so many Hz; bands beyond the frequencies are left out.
    """

    def __init__(self, freqs_hz, bands_hz=BANDS_HZ, **kwargs):
        super().__init__(**kwargs)
        self.freqs_hz = [float(freq) for freq in freqs_hz]
        self.bands_hz = [[float(low), float(high)] for low, high in bands_hz]
        freqs = np.array(self.freqs_hz)
        inside = np.array([(freqs >= low) & (freqs < high) for low, high in self.bands_hz], dtype=np.float32)
        inside = inside[inside.any(1)]
        if not len(inside):
            raise UsageError(
                f"bands_hz: expected bands between {freqs.min():g} and {freqs.max():g} Hz, found {self.bands_hz}; "
                "change them, or [spectrum]"
            )
        self.average = inside.T / inside.sum(1)

    def build(self, input_shape):
        super().build((*input_shape[:-1], self.average.shape[1]))

    def call(self, inputs):
        return super().call(ops.matmul(inputs, self.average))

    def adapt(self, frames: np.ndarray) -> None:
        """Take mean and standard deviation of the bands of (frames, channels, freqs)."""
        super().adapt(frames @ self.average)
        scale = ops.convert_to_numpy(self.scale)
        self.scale.assign(np.where(scale < LEAST_DEVIATION, np.inf, scale))

    def compute_output_shape(self, input_shape):
        return *input_shape[:-1], self.average.shape[1]

    def get_config(self):
        return super().get_config() | {"freqs_hz": self.freqs_hz, "bands_hz": self.bands_hz}
