"""Heartbeats in an ECG or a pulse curve, or the reason why none can be told."""

from typing import Literal

import numpy as np
from scipy.ndimage import maximum_filter1d, median_filter, uniform_filter1d
from scipy.signal import butter, find_peaks, sosfiltfilt

from bids_eeg2fmri.errors import InputDataError

# Where a QRS complex stands out from the T wave, which the scanner's field makes large, and the pulse from its notch.
BANDS_HZ = {"ecg": (8.0, 20.0), "pulse": (0.6, 4.0)}
# From 35 to 150 beats per minute: who lies in a scanner rests.
SHORTEST_S, LONGEST_S = 0.4, 60 / 35
# No heart is as regular as a clock; that of an artifact of the scanner is.
LEAST_VARIATION = 0.006


def find_beats(signal: np.ndarray, sfreq: float, *, kind: Literal["ecg", "pulse"] = "ecg") -> np.ndarray:
    """Find heartbeats.

    Parameters
    ----------
    signal : array of shape (samples,)
        In any unit, of either sign for an ECG.
    sfreq : float
        In Hz; at least 50 for an ECG.
    kind : str
        "ecg" has sharp complexes, "pulse" is what a finger clip or a belt records.

    Returns
    -------
    array of shape (beats,)
        In s from the first sample.

    Raises
    ------
    InputDataError
        If what is found is no heartbeat: the reason, to be put behind the name of a channel.
    """
    low, high = BANDS_HZ[kind]
    if len(signal) < 30 * sfreq:
        raise InputDataError(f"expected at least 30 s, found {len(signal) / sfreq:.1f} s")
    if sfreq < 2.5 * high:
        raise InputDataError(f"expected at least {2.5 * high:g} Hz, found {sfreq:g} Hz")
    if not np.isfinite(signal).all():
        raise InputDataError("expected numbers, found NaN")
    if np.ptp(signal) == 0:
        raise InputDataError("expected a signal that varies, found a constant")
    sections = butter(3, (low, high), "bandpass", fs=sfreq, output="sos")
    # In doubles, and scaled: squares of volts are small.
    filtered = sosfiltfilt(sections, np.asarray(signal, float) / np.std(signal))
    if kind == "ecg":
        filtered = np.sqrt(np.maximum(uniform_filter1d(filtered**2, max(1, round(0.1 * sfreq))), 0))
    # The usual height of a beat around: the middle of the maxima of stretches that hold one, so a jerk has no say.
    every = max(1, round(0.5 * sfreq))
    maxima = maximum_filter1d(filtered, round(1.8 * sfreq))[::every]
    usual = np.interp(
        np.arange(len(filtered)), np.arange(len(maxima)) * every, median_filter(maxima, 41, mode="nearest")
    )
    peaks, _ = find_peaks(
        filtered / np.maximum(usual, 1e-12), height=0.4, prominence=0.3, distance=max(1, round(SHORTEST_S * sfreq))
    )
    beats_s = peaks / sfreq
    _refuse_other(beats_s, len(signal) / sfreq)
    return beats_s


def _refuse_other(beats_s: np.ndarray, duration_s: float) -> None:
    """Refuse what does not beat as a heart does."""
    if len(beats_s) < duration_s / (2 * LONGEST_S):
        raise InputDataError(f"expected heartbeats, found {len(beats_s)} in {duration_s:.0f} s")
    intervals = np.diff(beats_s)
    middle = float(np.median(intervals))
    if not SHORTEST_S < middle < LONGEST_S:
        raise InputDataError(f"expected 35 to 150 beats per minute, found {60 / middle:.0f}")
    usual = np.abs(intervals / median_filter(intervals, 11, mode="nearest") - 1) < 0.25
    share = float(intervals[usual].sum() / duration_s)
    if share < 0.8:
        raise InputDataError(
            f"expected intervals like those around them, found such in {100 * share:.0f} % of the time"
        )
    variation = float(np.std(intervals[usual]) / middle)
    if variation < LEAST_VARIATION:
        raise InputDataError(
            f"expected intervals that vary as a heart's do, found {1000 * middle:.0f} ms with a standard deviation of "
            f"{1000 * variation * middle:.1f} ms: a clock"
        )
