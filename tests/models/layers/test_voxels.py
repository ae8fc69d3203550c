import keras
import numpy as np
import pytest

from bids_eeg2fmri.models.layers.voxels import PickVoxels, PlaceVoxels

MASK = np.random.default_rng(0).random((4, 5, 3)) < 0.4


def test_voxels_come_in_the_order_of_the_mask():
    images = np.random.default_rng(1).standard_normal((7, 4, 5, 3)).astype(np.float32)
    np.testing.assert_array_equal(np.asarray(PickVoxels(MASK)(images)), images[:, MASK])


def test_voxels_are_put_back_where_they_were_with_0_around_them():
    images = np.random.default_rng(1).standard_normal((7, 4, 5, 3)).astype(np.float32)
    np.testing.assert_array_equal(np.asarray(PlaceVoxels(MASK)(images[:, MASK])), images * MASK)


@pytest.mark.parametrize("kind", [PickVoxels, PlaceVoxels])
def test_a_saved_layer_is_made_anew_from_its_configuration(kind):
    copy = keras.layers.deserialize(keras.layers.serialize(kind(MASK)))
    np.testing.assert_array_equal(copy.mask, MASK)
