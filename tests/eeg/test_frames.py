import numpy as np
import pytest

from bids_eeg2fmri.eeg.downsampling import Signals
from bids_eeg2fmri.eeg.frames import cut_signal


def tone(hz, *, sfreq=250.0, n=5000, start_s=3.0):
    times = start_s + np.arange(n) / sfreq
    wave = np.sin(2 * np.pi * hz * times)
    return Signals(np.stack([wave, -wave, 0 * wave]).astype(np.float32), sfreq, ("C3", "C4", "Cz"), start_s)


@pytest.mark.parametrize("step_s", [1.0, 1.08])
def test_consecutive_frames_are_one_signal_whose_last_sample_is_at_the_end(step_s):
    ends = 6.0 + step_s * np.arange(9)
    cut = cut_signal(tone(7.0), ends, step_s=step_s, sfreq=100.0)
    n = round(100 * step_s)
    assert cut.shape == (9, 3, n)
    times = ends[0] - step_s + step_s / n * np.arange(1, 9 * n + 1)
    np.testing.assert_allclose(cut[:, 0].ravel(), np.sin(2 * np.pi * 7 * times), atol=0.02)
    assert times[-1] == pytest.approx(ends[-1])


def test_what_the_rate_can_not_hold_is_filtered_out():
    ends = np.arange(6.0, 15.0)
    kept, gone = (cut_signal(tone(hz), ends, step_s=1.0, sfreq=100.0)[:, 0].std() for hz in (30.0, 70.0))
    assert kept > 0.65
    assert gone < 0.01


def test_the_reference_is_the_average():
    signals = tone(5.0)
    moved = Signals(signals.data + 1e-3, signals.sfreq, signals.channels, signals.start_s)
    cuts = [cut_signal(s, np.array([8.0]), step_s=1.0, sfreq=50.0) for s in (signals, moved)]
    np.testing.assert_allclose(*cuts, atol=1e-6)
