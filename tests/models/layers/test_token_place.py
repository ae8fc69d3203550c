import keras
import numpy as np

from bids_eeg2fmri.models.layers.token_place import TokenPlace

POSITIONS = ((-0.03, 0.08, 0.0), None, (0.0, 0.0, 0.09), (-0.03, 0.08, 0.001), None)
TOKENS = np.random.default_rng(0).standard_normal((3, 4, 5, 6)).astype(np.float32)


def test_electrodes_that_are_near_each_other_are_alike():
    place = np.asarray(TokenPlace(POSITIONS)(TOKENS))
    near, far = (np.linalg.norm(place[0, 0, 0] - place[0, 0, other]) for other in (3, 2))
    assert near < 0.1 * far


def test_channels_without_a_position_are_told_apart():
    place = np.asarray(TokenPlace((None,) * 5)(TOKENS))
    assert len(np.unique(place[0, 0, :, 0])) == 5


def test_patches_are_told_apart_and_what_tokens_hold_changes_nothing():
    layer = TokenPlace(POSITIONS)
    place = np.asarray(layer(TOKENS))
    assert len(np.unique(place[0, :, 0, 0])) == 4
    np.testing.assert_array_equal(place, np.asarray(layer(7 * TOKENS)))


def test_one_sample_with_one_patch_keeps_its_shape():
    assert TokenPlace(POSITIONS)(TOKENS[:1, :1]).shape == (1, 1, 5, 6)


def test_a_saved_layer_is_made_anew_from_its_configuration():
    layer = TokenPlace(POSITIONS)
    assert keras.layers.deserialize(keras.layers.serialize(layer)).positions_m == layer.positions_m
