"""Volumes that no BOLD goes with: EEG from inside the scanner tells of them by its markers, or at least that they were there."""

from collections.abc import Iterable

import numpy as np

from bids_eeg2fmri.eeg.downsampling import Signals
from bids_eeg2fmri.eeg.gradient import FEWEST_VOLUMES, remove_gradient_artifact
from bids_eeg2fmri.eeg.trains import find_trains, fit_line

MOST_CHANNELS = 8
# Volumes have this much more in common than they have not: one harmonic of the slices may be a harmonic of stimuli, too.
LEAST_RATIO = 1.0
# What repeats itself after so long is a volume, if it has so much of the power above what brain and heart repeat.
SHORTEST_S, LONGEST_S = 0.3, 10.0
LOWEST_HZ, LEAST_CORRELATION = 15.0, 0.4
# So near to the mains and their harmonics.
MAINS_HZ, WIDTH_HZ = (50.0, 60.0, 100.0), 1.0


def find_marked_volumes(signals: Signals, markers: Iterable[np.ndarray], *, resolution_s: float) -> np.ndarray | None:
    """Find regular markers that an artefact of gradients goes along with.

    Parameters
    ----------
    signals : Signals
        Of EEG channels.
    markers : iterable of array of shape (occurrences,)
        Of each code, in s.
    resolution_s : float
        Sampling interval of the file: markers are rounded to it.

    Returns
    -------
    array of shape (volumes,) or None
        Onsets in s, by a line through the markers; missing ones are among them. Of those that the artefact fits best.
    """
    few = _some_of(signals)
    best, best_ratio = None, LEAST_RATIO
    for onsets_s in markers:
        period_s = float(np.median(np.diff(np.sort(onsets_s)))) if len(onsets_s) >= FEWEST_VOLUMES else np.inf
        if not SHORTEST_S <= period_s <= LONGEST_S:
            continue
        for train in find_trains(onsets_s, period_s, resolution_s=resolution_s):
            onset_s, tr_s, _ = fit_line(train.index.astype(float), train.onsets_s)
            n = train.n_places
            _, found = remove_gradient_artifact(few, onset_s=onset_s, tr_s=tr_s, n_volumes=n, n_components=0)
            if found.corrected and found.ratio > best_ratio:
                best, best_ratio = onset_s + tr_s * np.arange(n), found.ratio
    return best


def repeats_itself(signals: Signals) -> bool:
    """Tell whether EEG above 15 Hz is what it was some tenths of a second to some seconds before, which no brain's is.

    The autocorrelation has to exceed 0.4 at any such lag, without what is near to the frequencies of the mains.
    """
    data = _some_of(signals).data
    power = (np.abs(np.fft.rfft(data - data.mean(1, keepdims=True), 2 * data.shape[1], axis=1)) ** 2).sum(0)
    freqs = np.fft.rfftfreq(2 * data.shape[1], 1 / signals.sfreq)
    power[(freqs < LOWEST_HZ) | (np.abs(freqs[:, None] - MAINS_HZ) < WIDTH_HZ).any(1)] = 0
    correlation = np.fft.irfft(power)
    lags = slice(round(SHORTEST_S * signals.sfreq), min(round(LONGEST_S * signals.sfreq), data.shape[1]))
    return bool(correlation[0] > 0 and (correlation[lags] > LEAST_CORRELATION * correlation[0]).any())


def _some_of(signals: Signals) -> Signals:
    return signals.of(signals.channels[:: -(-len(signals.channels) // MOST_CHANNELS)])
