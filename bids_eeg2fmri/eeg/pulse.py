"""The artefact that every heartbeat leaves in EEG inside the scanner: the pulse moves the head, and blood, in the field."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, sosfiltfilt

from bids_eeg2fmri.eeg.alpha import alpha_preserved
from bids_eeg2fmri.eeg.downsampling import Signals
from bids_eeg2fmri.eeg.gradient import HIGH_PASS_HZ, exceeding
from bids_eeg2fmri.eeg.heart import find_beats
from bids_eeg2fmri.errors import InputDataError

# The largest wave of the artefact follows the R wave by about 0.2 s, and the artefact is over before the next one's has begun. A
# beat's part of the signal begins before the R wave.
DELAY_S, BEFORE_S = 0.21, 0.1
# It is there if what beats have in common is this much of what they have not, in the typical channel. In EEG alone it is
# about one over the square root of the number of beats.
LEAST_RATIO = 0.3
FEWEST_BEATS = 30
# Over so long one beat's artefact fades into the next one's.
FADE_S = 0.06
# Where the artefact is largest, for beats that only the EEG tells of.
BAND_HZ = (2.0, 8.0)


@dataclass(frozen=True)
class Pulse:
    """What was found of the artefact, and what is left.

    Attributes
    ----------
    source : str
        What the beats come from: the name of the ECG channel, or "EEG"; empty where there are none to be found.
    n_beats : int
    ratio : float
        Standard deviation of what beats have in common over that of what they have not, in the typical channel.
    corrected : bool
    locked_uv : tuple of float
        Standard deviation over time of the mean over beats in uV, before and after; the median of the channels. Empty where
        nothing was corrected.
    alpha : float
        Share of the alpha rhythm's power that is left of what is not locked to heartbeats, see
        :func:`~bids_eeg2fmri.eeg.alpha.alpha_preserved`; NaN where nothing was corrected or there is none.
    reason : str
        Why no beats were found.
    """

    source: str = ""
    n_beats: int = 0
    ratio: float = np.nan
    corrected: bool = False
    locked_uv: tuple[float, ...] = ()
    alpha: float = np.nan
    reason: str = ""


def find_heartbeats(signals: Signals, ecg: str | None) -> tuple[np.ndarray, str]:
    """Find heartbeats by the ECG, or where there is none to be used by the EEG.

    Returns
    -------
    beats_s : array of shape (beats,)
        In s of the file. By the EEG they lie where R waves usually do before the artefact's largest wave.
    source : str
        See :class:`Pulse`.

    Raises
    ------
    InputDataError
        If neither tells; the reasons.
    """
    reasons = ["no ECG channel that is not marked as bad"]
    if ecg is not None:
        try:
            return signals.start_s + find_beats(signals.of([ecg]).data[0], signals.sfreq), ecg
        except InputDataError as error:
            reasons = [f"{ecg}: {error}"]
    eeg = [row for row, name in enumerate(signals.channels) if name != ecg]
    # How large it is over time: slow waves of sleep are as regular as a heart, but hardly anything is left of them in the band.
    course = _largest_course(signals.data[eeg], signals.sfreq)
    size = np.sqrt(uniform_filter1d(course**2, max(1, round(0.15 * signals.sfreq))))
    try:
        beats_s = find_beats(size, signals.sfreq, kind="pulse")
    except InputDataError as error:
        raise InputDataError("; ".join([*reasons, f"EEG: {error}"])) from None
    return signals.start_s + beats_s - DELAY_S, "EEG"


def _largest_course(data: np.ndarray, sfreq: float) -> np.ndarray:
    """The first principal component where the artefact is largest: what most channels share, with either sign, (samples,)."""
    slow = sosfiltfilt(butter(2, BAND_HZ, "bandpass", fs=sfreq, output="sos"), data, axis=1)
    _, vectors = np.linalg.eigh(slow @ slow.T)
    return vectors[:, -1] @ slow


def remove_pulse_artifact(
    signals: Signals, beats_s: np.ndarray, *, source: str, keep: tuple[str, ...] = (), n_components: int = 4
) -> tuple[Signals, Pulse]:
    """Fit to every beat the mean and the largest components of all of a channel, and subtract them.

    Parameters
    ----------
    signals : Signals
    beats_s : array of shape (beats,)
        In s of the file.
    source : str
        See :class:`Pulse`.
    keep : tuple of str
        Channels that stay as they are: the ECG.
    n_components : int
        At most; 0 subtracts the mean alone, scaled to each beat.

    Returns
    -------
    signals : Signals
        As they were where there is no artefact; else high-passed.
    pulse : Pulse

    References
    ----------
    Niazy, R. K., Beckmann, C. F., Iannetti, G. D., Brady, J. M., & Smith, S. M. (2005). Removal of FMRI environment artifacts from
    EEG data using optimal basis sets. NeuroImage 28, 720-737.
    """
    sfreq = signals.sfreq
    length = round(float(np.median(np.diff(beats_s))) * sfreq) if len(beats_s) > 1 else 0
    beats = np.rint((beats_s - signals.start_s) * sfreq).astype(int)
    before = round(BEFORE_S * sfreq)
    beats = beats[(beats >= before) & (beats - before + length <= signals.data.shape[1])]
    if len(beats) < FEWEST_BEATS:
        return signals, Pulse(source, len(beats))
    rows = [row for row, name in enumerate(signals.channels) if name not in keep]
    sections = butter(2, HIGH_PASS_HZ, "highpass", fs=sfreq, output="sos")
    data = sosfiltfilt(sections, signals.data[rows], axis=1).astype(np.float32)
    of_beat = np.arange(length) - before
    common, ratio = _compare(data, beats[:, None] + of_beat)
    if ratio < LEAST_RATIO:
        return signals, Pulse(source, len(beats), ratio)

    # Only now: where there is no artefact, beats that were moved would find one.
    beats = _refine(_largest_course(data, sfreq), sfreq, beats)
    where = beats[:, None] + of_beat
    where = where[(where[:, 0] >= 0) & (where[:, -1] < data.shape[1])]
    common, _ = _compare(data, where)
    fade = max(1, round(FADE_S * sfreq))
    weight = np.minimum(1.0, (0.5 + np.minimum(np.arange(length), np.arange(length)[::-1])) / fade)
    total = np.maximum(np.bincount(where.ravel(), np.tile(weight, len(where)), data.shape[1]), 1.0)
    unlocked, after = np.empty_like(data), np.empty_like(common)
    for channel, mean in enumerate(common):
        epochs = data[channel][where]
        epochs -= epochs.mean(1, keepdims=True)
        basis = np.stack([mean - mean.mean(), *exceeding(epochs - (mean - mean.mean()), n_components)])
        fitted = np.linalg.lstsq(basis.T, epochs.T, rcond=None)[0].T @ basis
        # How large alpha was can't be told below what is locked to the heart.
        locked, told = (
            np.bincount(where.ravel(), (weight * of).ravel(), data.shape[1]) / total
            for of in (np.broadcast_to(basis[0], fitted.shape), fitted)
        )
        unlocked[channel] = data[channel] - locked
        data[channel] -= told
        after[channel] = data[channel][where].mean(0)
    cleaned = signals.data.copy()
    cleaned[rows] = data
    locked_uv = tuple(float(1e6 * np.median(of.std(1))) for of in (common, after))
    alpha = alpha_preserved(unlocked, data, sfreq)
    return replace(signals, data=cleaned), Pulse(source, len(where), ratio, True, locked_uv, alpha)


def _compare(data: np.ndarray, where: np.ndarray) -> tuple[np.ndarray, float]:
    """Mean over beats, (channels, samples), and how large it is beside the rest in the typical channel."""
    common = np.stack([of_channel[where].mean(0) for of_channel in data])
    rest = np.array([np.std(of_channel[where] - mean) for of_channel, mean in zip(data, common, strict=True)])
    return common, float(np.median(common.std(1) / np.where(rest > 0, rest, 1)))


def _refine(course: np.ndarray, sfreq: float, beats: np.ndarray) -> np.ndarray:
    """Move each beat, in samples, to where what follows resembles the mean of all most: the delay of the artefact varies."""
    before, after, reach = (round(t * sfreq) for t in (0.1, 0.7, 0.12))
    # What is farther away has to resemble it the more, or one beat's artefact would be taken for the next one's.
    likely = np.exp(-0.5 * (np.arange(-reach, reach + 1) / (0.5 * reach)) ** 2)
    for _ in range(4):
        beats = beats[(beats >= before + reach) & (beats + after + reach < len(course))]
        usual = course[beats[:, None] + np.arange(-before, after)].mean(0)
        wide = course[beats[:, None] + np.arange(-before - reach, after + reach)]
        match = np.stack([np.correlate(of_beat, usual, "valid") for of_beat in wide])
        beats = beats + np.argmax(match * likely, axis=1) - reach
    return beats
