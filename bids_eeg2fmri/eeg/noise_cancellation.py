"""Adaptive noise cancellation: what a reference foretells of a signal, by a filter that follows slow changes."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.signal import butter, sosfiltfilt

# Samples of the filter to either side; how far it goes at each sample towards what would have fitted it, so it follows within
# about 1 / STEP times its length.
REACH, STEP = 2, 0.05
# Slower is where most of the EEG is, which would drive the filter astray.
LOWEST_HZ = 2.0


def cancel_noise(data: np.ndarray, reference: np.ndarray, sfreq: float) -> np.ndarray:
    """Subtract from each channel its reference through a filter that adapts itself by normalized least mean squares.

    Parameters
    ----------
    data, reference : array of shape (channels, samples)
        The reference is the artefact that was subtracted, for example. Of both, what is above 2 Hz sets the filter.
    sfreq : float
        In Hz.

    Returns
    -------
    array of shape (channels, samples)
        What is left.

    References
    ----------
    Widrow, B., et al. (1975). Adaptive noise cancelling: principles and applications. Proc. IEEE 63, 1692-1716. In EEG with
    gradients: Allen, P. J., Josephs, O., & Turner, R. (2000). A method for removing imaging artifact from continuous EEG recorded
    during functional MRI. NeuroImage 12, 230-239.
    """
    sections = butter(2, LOWEST_HZ, "highpass", fs=sfreq, output="sos")
    wanted, fast = (sosfiltfilt(sections, of, axis=1).astype(np.float32) for of in (data, reference))
    # Where the reference pauses, a step by its own size would be made of the EEG.
    usual = (2 * REACH + 1) * fast.var(1) + np.finfo(np.float32).tiny
    delayed = sliding_window_view(np.pad(fast, ((0, 0), (REACH, REACH))), 2 * REACH + 1, axis=1)
    weights = np.zeros((len(data), 2 * REACH + 1))
    told = np.empty(data.shape, np.float32)
    for sample, value in enumerate(wanted.T):
        around = delayed[:, sample]
        told[:, sample] = foretold = np.einsum("ct,ct->c", weights, around)
        size = np.maximum(np.einsum("ct,ct->c", around, around), usual)
        weights += (STEP * (value - foretold) / size)[:, None] * around
    return data - told
