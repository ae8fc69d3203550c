"""The EEG itself, cut into the steps between frames, for architectures that look at more than power."""

import numpy as np
from scipy.signal import firwin, oaconvolve

from bids_eeg2fmri.eeg.downsampling import Signals


def cut_signal(signals: Signals, ends_s: np.ndarray, *, step_s: float, sfreq: float) -> np.ndarray:
    """Give the last ``step_s`` seconds of each frame, (frames, channels, times), float32, in V.

    Parameters
    ----------
    signals : Signals
        At twice ``sfreq`` or more.
    ends_s : array of shape (frames,)
        When each frame ends; all within the recording.
    step_s : float
        Frames of a spectrum are this far apart, so that the parts of consecutive ones follow each other.
    sfreq : float
        In Hz; a step holds the whole number of samples that is nearest, the last of them at the frame's end.

    Notes
    -----
    Average reference, as for power; low-passed at 0.45 of ``sfreq`` by a filter that moves nothing in time.
    """
    n = max(1, round(step_s * sfreq))
    data = signals.data - signals.data.mean(0)
    # 0.4 s to each side; what folds back is 50 dB down.
    taps = firwin(2 * round(0.4 * signals.sfreq) + 1, 0.45 * sfreq, fs=signals.sfreq).astype(np.float32)
    data = oaconvolve(data, taps[None], mode="same", axes=1)
    times = ends_s[:, None] - step_s * np.arange(n - 1, -1, -1) / n
    place = np.clip((times - signals.start_s) * signals.sfreq, 0, data.shape[1] - 1)
    before = np.minimum(place.astype(int), data.shape[1] - 2)
    weight = (place - before).astype(np.float32)
    cut = (1 - weight) * data[:, before] + weight * data[:, before + 1]
    return np.ascontiguousarray(cut.transpose(1, 0, 2), dtype=np.float32)
