"""Standardize each channel and frequency by what training windows had."""

import keras
import numpy as np


@keras.saving.register_keras_serializable("bids_eeg2fmri")
class Standardization(keras.layers.Layer):
    """Subtract a mean and divide by a standard deviation: ``(batch, lags, channels, freqs)`` stays that.

    Both are weights that no training step moves, so they are saved with the network. Keras' own ``Normalization`` copies
    its weights when it is adapted, and a compiled network goes on with the copy of its first fit; here they are looked up
    at each call, so one network can be adapted anew for each fold.
    """

    def build(self, input_shape):
        shape = tuple(input_shape[2:])
        self.mean = self.add_weight(name="mean", shape=shape, initializer="zeros", trainable=False)
        self.scale = self.add_weight(name="scale", shape=shape, initializer="ones", trainable=False)

    def call(self, inputs):
        return (inputs - self.mean) / self.scale

    def adapt(self, frames: np.ndarray) -> None:
        """Take mean and standard deviation of (frames, channels, freqs)."""
        deviation = frames.std(0, dtype=np.float64)
        self.mean.assign(frames.mean(0, dtype=np.float64).astype(np.float32))
        self.scale.assign(np.where(deviation > 0, deviation, 1).astype(np.float32))
