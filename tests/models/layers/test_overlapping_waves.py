import keras
import numpy as np

from bids_eeg2fmri.models.layers.overlapping_waves import OverlappingWaves


def test_a_wave_lasts_from_its_frame_into_the_next_which_comes_before_it():
    layer = OverlappingWaves(7)
    strengths = np.zeros((1, 4, 3, 2), np.float32)
    strengths[0, 2, 1, 0] = 1
    made = np.asarray(layer(strengths))
    assert made.shape == (1, 4, 3, 7)
    assert np.argwhere(np.abs(made).max(-1)).tolist() == [[0, 1, 1], [0, 2, 1]]


def test_the_latest_frame_has_no_next():
    strengths = np.zeros((1, 4, 3, 2), np.float32)
    strengths[0, 0] = 1
    made = np.asarray(OverlappingWaves(7)(strengths))
    assert np.abs(made[0, 0]).max() > 0
    assert not made[0, 1:].any()


def test_a_saved_layer_is_made_anew_from_its_configuration():
    assert keras.layers.deserialize(keras.layers.serialize(OverlappingWaves(7))).n_times == 7
