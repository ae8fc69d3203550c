"""What a participant is classified by."""

import numpy as np


def bold_features(courses: list[np.ndarray]) -> np.ndarray:
    """Describe synthesized BOLD by the log standard deviation of each region over time, (regions,).

    Parameters
    ----------
    courses : list of arrays of shape (volumes, regions)
        Percent signal change, one array per recording.
    """
    variance = np.mean([course.var(0) for course in courses], axis=0)
    return 0.5 * np.log(np.maximum(variance, 1e-12))


def eeg_features(power: list[np.ndarray], bands: np.ndarray) -> np.ndarray:
    """Describe EEG by mean and standard deviation over time of the log power of each channel and band.

    Parameters
    ----------
    power : list of arrays of shape (frames, channels, frequencies)
        In dB.
    bands : array of shape (frequencies, bands)
        Weights of each band.
    """
    by_band = [table @ bands for table in power]
    mean = np.mean([table.mean(0) for table in by_band], axis=0)
    spread = np.sqrt(np.mean([table.var(0) for table in by_band], axis=0))
    return np.concatenate([mean.ravel(), spread.ravel()])
