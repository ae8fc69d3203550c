import numpy as np

from bids_eeg2fmri.models.layers.join_frames import JoinFrames


def test_frames_that_come_latest_first_make_one_signal_that_runs_forward():
    signal = np.random.default_rng(0).standard_normal((2, 5, 12)).astype(np.float32)
    frames = signal.reshape(2, 5, 4, 3).transpose(0, 2, 1, 3)[:, ::-1]
    np.testing.assert_array_equal(np.asarray(JoinFrames()(frames)), signal)
