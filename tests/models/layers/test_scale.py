import numpy as np

from bids_eeg2fmri.models.layers.scale import LogScale


def test_scales_begin_near_1_and_never_leave_what_is_sensible():
    features = np.random.default_rng(0).standard_normal((3, 6)).astype(np.float32)
    layer = LogScale(7)
    assert np.abs(layer(features)).max() < 4
    assert np.abs(layer(1e6 * features)).max() <= 5
    assert layer.count_params() == 6 * 8 + 8 + 8 * 7 + 7
