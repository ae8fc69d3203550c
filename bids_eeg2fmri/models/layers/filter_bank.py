"""See how strong a signal is in bands that are learned."""

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable("bids_eeg2fmri")
class FilterBank(keras.layers.Layer):
    """Filter, square, average over each frame, take the log: ``(batch, lags, channels, times) -> (batch, lags, channels, bands)``.

    Frames come latest first, and time runs forward within each; filters reach from one frame into the next.

    Each band has two filters that all channels share. They start as a cosine and a sine at the band's frequency under a Hann
    window, so that the sum of their squares is power whatever the phase, and are learned from there.

    Parameters
    ----------
    bands_hz : sequence of float
        Where the filters start.
    sfreq : float
        In Hz.
    kernel_s : float
        Length of the filters; 1 s tells frequencies apart that are 2 Hz from each other.
    """

    # Of a signal with a standard deviation of 1: below what is left in the gamma range of EEG.
    FLOOR = 1e-5

    def __init__(self, bands_hz, sfreq, kernel_s=1.0, **kwargs):
        super().__init__(**kwargs)
        self.bands_hz = [float(band) for band in bands_hz]
        self.sfreq = float(sfreq)
        self.kernel_s = float(kernel_s)

    def build(self, input_shape):
        frame = input_shape[3]
        # Filters overlap by three quarters, which loses nothing of power. Frames begin with a hop.
        longest = max(1, round(self.kernel_s * self.sfreq / 4))
        self.hop = max(hop for hop in range(1, min(frame, longest) + 1) if frame % hop == 0)
        hops = max(1, round(self.kernel_s * self.sfreq / self.hop))
        length = hops * self.hop
        times = (np.arange(length) - (length - 1) / 2) / self.sfreq
        turns = 2 * np.pi * np.outer(times, self.bands_hz)
        start = np.stack([np.cos(turns), np.sin(turns)], -1) * np.hanning(length + 2)[1:-1, None, None]
        start /= np.sqrt((start**2).sum((0, 2), keepdims=True) / 2)
        # The weights are of order 1 and scaled down here, or a step of Adam would be large for such long filters.
        self.gain = float(1 / np.sqrt(length))
        start = (start / self.gain).reshape(hops, 1, self.hop, -1).astype("float32")
        self.kernel = self.add_weight(
            name="kernel",
            shape=start.shape,
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(start, dtype=dtype),
        )

    def call(self, inputs):
        _, lags, channels, times = inputs.shape
        # The samples of a hop are to the convolution what colours are to an image: many times faster than one by one.
        hops = ops.reshape(ops.flip(inputs, axis=1), (-1, lags, channels, times // self.hop, self.hop))
        hops = ops.reshape(ops.transpose(hops, (0, 1, 3, 2, 4)), (-1, lags * (times // self.hop), channels, self.hop))
        filtered = ops.conv(hops, self.kernel * self.gain, padding="same")
        squares = ops.reshape(ops.square(filtered), (-1, lags, times // self.hop, channels, len(self.bands_hz), 2))
        return ops.flip(ops.log(ops.sum(ops.mean(squares, axis=2), axis=-1) + self.FLOOR), axis=1)

    def compute_output_shape(self, input_shape):
        return *input_shape[:3], len(self.bands_hz)

    def get_config(self):
        own = {"bands_hz": self.bands_hz, "sfreq": self.sfreq, "kernel_s": self.kernel_s}
        return super().get_config() | own
