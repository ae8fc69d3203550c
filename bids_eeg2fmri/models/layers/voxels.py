"""Go from an image to the voxels of a mask, and back."""

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable("bids_eeg2fmri")
class PickVoxels(keras.layers.Layer):
    """Take the voxels of a mask out of images: ``(batch, x, y, z) -> (batch, voxels)``.

    Parameters
    ----------
    mask : array of shape (x, y, z)
        The voxels come in the order of ``image[mask]``.
    """

    def __init__(self, mask, **kwargs):
        super().__init__(**kwargs)
        self.mask = np.asarray(mask, dtype=bool)
        self.index = np.flatnonzero(self.mask).astype(np.int32)

    def call(self, inputs):
        return ops.take(ops.reshape(inputs, (-1, self.mask.size)), self.index, axis=1)

    def compute_output_shape(self, input_shape):
        return input_shape[0], len(self.index)

    def get_config(self):
        return super().get_config() | {"mask": self.mask.tolist()}


@keras.saving.register_keras_serializable("bids_eeg2fmri")
class PlaceVoxels(keras.layers.Layer):
    """Put voxels of a mask back into images, 0 around them: ``(batch, voxels) -> (batch, x, y, z)``.

    Parameters
    ----------
    mask : array of shape (x, y, z)
        The voxels come in the order of ``image[mask]``.
    """

    def __init__(self, mask, **kwargs):
        super().__init__(**kwargs)
        self.mask = np.asarray(mask, dtype=bool)
        # Outside of the mask the 0 is taken that is put behind the voxels.
        self.index = np.full(self.mask.size, np.count_nonzero(self.mask), dtype=np.int32)
        self.index[self.mask.ravel()] = np.arange(np.count_nonzero(self.mask))

    def call(self, inputs):
        padded = ops.pad(inputs, ((0, 0), (0, 1)))
        return ops.reshape(ops.take(padded, self.index, axis=1), (-1, *self.mask.shape))

    def compute_output_shape(self, input_shape):
        return input_shape[0], *self.mask.shape

    def get_config(self):
        return super().get_config() | {"mask": self.mask.tolist()}
