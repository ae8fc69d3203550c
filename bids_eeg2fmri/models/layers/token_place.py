"""Say where on the head and when tokens of EEG are."""

import keras
import numpy as np
from keras import ops


def encode_positions(positions_m) -> np.ndarray:
    """Describe positions on the head by coarse and fine waves: ``(channels, 3) -> (channels, 15)``."""
    unit = np.asarray(positions_m, dtype=np.float64) / 0.1
    waves = [wave(turns * np.pi * unit) for turns in (0.5, 1.0) for wave in (np.sin, np.cos)]
    return np.concatenate([unit, *waves], axis=1).astype("float32")


@keras.saving.register_keras_serializable("bids_eeg2fmri")
class TokenPlace(keras.layers.Layer):
    """Give what is learned of each token's channel and patch: ``(batch, patches, channels, width)``, whatever the tokens hold.

    A channel is known by its position, so electrodes that are near each other are alike; one without a position is known by
    its number alone.

    Parameters
    ----------
    positions_m : sequence of (x, y, z) or None
        One per channel, head coordinates in m.
    """

    def __init__(self, positions_m, **kwargs):
        super().__init__(**kwargs)
        self.positions_m = [None if xyz is None else [float(value) for value in xyz] for xyz in positions_m]
        self.known = [number for number, xyz in enumerate(self.positions_m) if xyz is not None]
        self.unknown = [number for number, xyz in enumerate(self.positions_m) if xyz is None]
        # Rows of channels with a position come first, then those of the others; this is where each channel's row is.
        self.order = np.argsort(self.known + self.unknown).astype("int32")

    def build(self, input_shape):
        _, patches, _, width = input_shape
        self.when = self.add_weight(name="when", shape=(patches, width), initializer=_small())
        if self.known:
            self.features = encode_positions([self.positions_m[number] for number in self.known])
            self.where = self.add_weight(name="where", shape=(self.features.shape[1], width), initializer=_small())
        if self.unknown:
            self.who = self.add_weight(name="who", shape=(len(self.unknown), width), initializer=_small())

    def call(self, inputs):
        rows = [ops.matmul(ops.convert_to_tensor(self.features), self.where)] if self.known else []
        rows += [self.who] if self.unknown else []
        channels = ops.take(ops.concatenate(rows), self.order, axis=0)
        # Zeros of the batch's size: it is not known when the network is built.
        return ops.zeros_like(inputs) + channels + self.when[:, None]

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return super().get_config() | {"positions_m": self.positions_m}


def _small() -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(stddev=0.3)
