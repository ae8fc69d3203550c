"""See the spectrum of a signal around given times, at more than one resolution."""

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable("bids_eeg2fmri")
class LogSpectra(keras.layers.Layer):
    """Take log power in each patch of a signal: ``(batch, channels, times) -> (batch, channels, patches, freqs)``.

    The signal is cut into patches of one length; what is left over at its beginning is left out. Windows that are shorter
    than a patch are averaged over it; one that is longer lies around it, as far as the signal reaches. Nothing is learned.

    Parameters
    ----------
    n_patches : int
    window_s : float
        Length of a window, under a Hann taper; frequencies are ``1 / window_s`` apart.
    sfreq : float
        In Hz.
    max_hz : float
        Highest frequency.
    """

    # Of a signal with a standard deviation of 1: below what is left in the gamma range of EEG.
    FLOOR = 1e-6

    def __init__(self, n_patches, window_s, sfreq, max_hz=45.0, **kwargs):
        super().__init__(**kwargs)
        self.n_patches = int(n_patches)
        self.window_s = float(window_s)
        self.sfreq = float(sfreq)
        self.max_hz = float(max_hz)

    def build(self, input_shape):
        length = input_shape[-1]
        patch = length // self.n_patches
        window = min(length, max(4, round(self.window_s * self.sfreq)))
        begins = length - patch * self.n_patches + patch * np.arange(self.n_patches)
        if window <= patch:
            self.n_windows = -(-patch // window)
            begins = begins[:, None] + np.round(np.linspace(0, patch - window, self.n_windows)).astype(int)
        else:
            self.n_windows = 1
            begins = np.clip(begins[:, None] - (window - patch) // 2, 0, length - window)
        self.index = (begins[..., None] + np.arange(window)).astype("int32")
        self.freqs_hz = np.fft.rfftfreq(window, 1 / self.sfreq)[1 : (window + 1) // 2]
        self.freqs_hz = self.freqs_hz[self.freqs_hz <= max(self.max_hz, self.freqs_hz[0])]
        turns = 2 * np.pi * np.outer(np.arange(window) / self.sfreq, self.freqs_hz)
        taper = np.hanning(window + 2)[1:-1]
        waves = np.concatenate([np.cos(turns), np.sin(turns)], 1) * taper[:, None]
        self.waves = (waves / np.sqrt((taper**2).sum())).astype("float32")

    def call(self, inputs):
        n_freqs = len(self.freqs_hz)
        windows = ops.take(inputs, self.index, axis=-1)
        squares = ops.square(ops.matmul(windows, ops.convert_to_tensor(self.waves, dtype=windows.dtype)))
        power = squares[..., :n_freqs] + squares[..., n_freqs:]
        return ops.log(ops.mean(power, axis=-2) + self.FLOOR)

    def compute_output_shape(self, input_shape):
        return *input_shape[:2], self.n_patches, len(self.freqs_hz)

    def get_config(self):
        own = {"n_patches": self.n_patches, "window_s": self.window_s, "sfreq": self.sfreq, "max_hz": self.max_hz}
        return super().get_config() | own
