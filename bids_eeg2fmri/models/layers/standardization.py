"""Standardize the input by what training windows had."""

import keras
import numpy as np


@keras.saving.register_keras_serializable("bids_eeg2fmri")
class Standardization(keras.layers.Layer):
    """Subtract a mean and divide by a standard deviation: ``(batch, lags, channels, features)`` stays that.

    Both are weights that no training step moves, so they are saved with the network. Keras' own ``Normalization`` copies
    its weights when it is adapted, and a compiled network goes on with the copy of its first fit; here they are looked up
    at each call, so one network can be adapted anew for each fold.

    Parameters
    ----------
    share : str
        What has a mean and a deviation in common: nothing ("none"), so that each channel and frequency has its own; the times
        of a signal ("times"), so that each channel has its own; or the channels ("channels"), so that each frequency has its
        own whatever the montage.
    """

    def __init__(self, share="none", **kwargs):
        # Levels of -110 dB that differ by some dB: half precision would leave nothing of them.
        super().__init__(**{"dtype": "float32"} | kwargs)
        if share not in ("none", "times", "channels"):
            raise ValueError(f"share: none, times or channels, not {share}")
        self.share = share

    def build(self, input_shape):
        channels, features = input_shape[2:]
        shape = {"none": (channels, features), "times": (channels, 1), "channels": (1, features)}[self.share]
        self.mean = self.add_weight(name="mean", shape=shape, initializer="zeros", trainable=False)
        self.scale = self.add_weight(name="scale", shape=shape, initializer="ones", trainable=False)

    def call(self, inputs):
        return (inputs - self.mean) / self.scale

    def adapt(self, frames: np.ndarray) -> None:
        """Take mean and standard deviation of (frames, channels, features)."""
        over = {"none": (0,), "times": (0, 2), "channels": (0, 1)}[self.share]
        deviation = frames.std(over, dtype=np.float64)
        self.mean.assign(frames.mean(over, dtype=np.float64).astype(np.float32).reshape(self.mean.shape))
        self.scale.assign(np.where(deviation > 0, deviation, 1).astype(np.float32).reshape(self.scale.shape))

    def get_config(self):
        return super().get_config() | {"share": self.share}
