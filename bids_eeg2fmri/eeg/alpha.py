"""What a correction leaves of the alpha rhythm, which one that takes too much eats first."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

# Where its peak may be; how far it reaches to either side, and where the background is, in Hz from the peak.
RANGE_HZ, WIDTH_HZ, BESIDE_HZ = (7.5, 13.0), 1.5, (2.5, 4.0)
SEGMENT_S = 4.0


def alpha_preserved(before: np.ndarray, after: np.ndarray, sfreq: float) -> float:
    """Power of the alpha peak above its background after a correction, over that before; the median of channels that have one.

    The background is a line through the power at both sides, in logarithms, so an artefact that is as large beside the peak as
    below it has no say. Power is the median over stretches of 4 s, so neither have jerks. A channel has a peak if it is larger
    than the background before.

    Parameters
    ----------
    before, after : array of shape (channels, samples)
    sfreq : float
        In Hz.

    Returns
    -------
    float
        1 if all is left. NaN if no channel has an alpha rhythm to tell by, or there are less than 16 s.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> rhythm = np.sin(2 * np.pi * 10 * np.arange(20000) / 200)
    >>> noise = 0.3 * rng.standard_normal((3, 20000))
    >>> round(alpha_preserved(rhythm + noise, 0.7 * rhythm + noise, 200.0), 2)
    0.49
    """
    n = round(SEGMENT_S * sfreq)
    if before.shape[1] < 4 * n:
        return np.nan
    freqs = np.fft.rfftfreq(n, 1 / sfreq)
    freqs = freqs[freqs <= RANGE_HZ[1] + BESIDE_HZ[1]]
    was, left = (_power(of, n, len(freqs)) for of in (before, after))
    candidates = freqs[(freqs >= RANGE_HZ[0]) & (freqs <= RANGE_HZ[1])]
    # Not every channel has the rhythm: the upper quarter tells where it is.
    peak_hz = max(candidates, key=lambda hz: np.percentile(np.divide(*_split(freqs, was, hz)), 75))
    height, background = _split(freqs, was, peak_hz)
    clear = height > background
    return float(np.median(_split(freqs, left, peak_hz)[0][clear] / height[clear])) if clear.any() else np.nan


def _power(data: np.ndarray, n: int, n_freqs: int) -> np.ndarray:
    """Median over stretches of n samples that overlap by half, (channels, lowest frequencies), in no unit."""
    stretches = sliding_window_view(data, n, axis=1)[:, :: n // 2]
    taper = np.hanning(n)
    power = [np.median(np.abs(np.fft.rfft(taper * of_channel)[:, :n_freqs]) ** 2, axis=0) for of_channel in stretches]
    # What holds nothing has no logarithm.
    return np.maximum(power, np.finfo(np.float32).tiny)


def _split(freqs: np.ndarray, power: np.ndarray, peak_hz: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean power around a peak, as what is above the background and as the background, (channels,) each."""
    away = freqs - peak_hz
    sides = [(sign * away >= BESIDE_HZ[0]) & (sign * away <= BESIDE_HZ[1]) for sign in (-1, 1)]
    around = np.abs(away) <= WIDTH_HZ
    ends_hz = [np.log(freqs[side]).mean() for side in sides]
    low, high = (np.log(power[:, side]).mean(1, keepdims=True) for side in sides)
    part = (np.log(freqs[around]) - ends_hz[0]) / (ends_hz[1] - ends_hz[0])
    background = np.exp(low + part * (high - low))
    return (power[:, around] - background).mean(1), background.mean(1)
