"""The artefact that the scanner's gradients leave in EEG: told from the EEG itself, and subtracted.

EEG is brought to a rate at which a volume is a whole number of samples, in step with the scanner's clock. Then an artefact
that repeats itself is the same sample after sample, and templates are sums over volumes.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.signal import butter, sosfiltfilt, welch

from bids_eeg2fmri.eeg.downsampling import Signals
from bids_eeg2fmri.eeg.noise_cancellation import cancel_noise

# Points of the interpolation between samples, to each side.
REACH = 16
# An artefact is there if what volumes have in common is this much of what they have not, in the typical channel. In EEG
# alone it is about one over the square root of the number of volumes.
LEAST_RATIO = 0.5
FEWEST_VOLUMES = 10
# Volumes before and after the stored ones were scanned, too, if they hold this much of the usual artefact.
LEAST_SHARE = 0.5
# Components count that are this much larger than chance has them: what is left of the EEG must not be taken for artefact.
MARGIN = 1.5
# Slower changes are none of the artefact, and would leave steps from one volume to the next.
HIGH_PASS_HZ = 0.5


@dataclass(frozen=True)
class Gradient:
    """What was found of the artefact, and what is left.

    Attributes
    ----------
    ratio : float
        Standard deviation of what volumes have in common over that of what they have not, in the typical channel.
    corrected : bool
    n_volumes : int
        Of which it was subtracted: also dummies, and what was scanned after the last volume that was stored.
    volume_db, slice_db : tuple of float
        Power at the harmonics of volumes and of slices up to 40 Hz over that of the frequencies beside them, in dB, before and
        after; the median of the channels.
    freqs_hz : tuple of float
    spectra_db : tuple of two tuples of float
        Power of the median channel in dB re 1 uV^2/Hz, before and after.

    All tuples are empty where nothing was corrected; ``slice_db`` also where the number of slices is not known, or is
    more than 40 a second.
    """

    ratio: float
    corrected: bool = False
    n_volumes: int = 0
    volume_db: tuple[float, ...] = ()
    slice_db: tuple[float, ...] = ()
    freqs_hz: tuple[float, ...] = ()
    spectra_db: tuple[tuple[float, ...], ...] = ()


def remove_gradient_artifact(
    signals: Signals,
    *,
    onset_s: float,
    tr_s: float,
    n_volumes: int,
    n_slices: int | None = None,
    n_averaged: int = 30,
    n_components: int = 4,
    adaptive_noise_cancellation: bool = False,
) -> tuple[Signals, Gradient]:
    """Subtract from each volume the mean of its neighbours [1]_, and what varies most in the rest [2]_.

    Parameters
    ----------
    signals : Signals
        Low-passed so that nothing has folded back.
    onset_s, tr_s : float
        Of the first volume, and from one to the next, on the EEG's clock: to some microseconds, as a line through all volumes
        gives them.
    n_volumes : int
    n_slices : int or None
        Excitations of a volume.
    n_averaged : int
        Volumes of a template: more follow a moving head less, fewer take more of the EEG away, 1 / n of its power.
    n_components : int
        Of the rest of each channel over volumes; 0 leaves it as it is.
    adaptive_noise_cancellation : bool
        Subtract at last what of the rest still follows the artefact that was subtracted [1]_, see
        :func:`~bids_eeg2fmri.eeg.noise_cancellation.cancel_noise`.

    Returns
    -------
    signals : Signals
        As they were where there is no artefact; else at a rate that is a whole number of samples per volume, high-passed.
    gradient : Gradient

    References
    ----------
    .. [1] Allen, P. J., Josephs, O., & Turner, R. (2000). A method for removing imaging artifact from continuous EEG recorded
       during functional MRI. NeuroImage 12, 230-239.
    .. [2] Niazy, R. K., Beckmann, C. F., Iannetti, G. D., Brady, J. M., & Smith, S. M. (2005). Removal of FMRI environment
       artifacts from EEG data using optimal basis sets. NeuroImage 28, 720-737.
    """
    locked, first = in_step(signals, onset_s=onset_s, tr_s=tr_s)
    n = round(tr_s * locked.sfreq)
    sections = butter(2, HIGH_PASS_HZ, "highpass", fs=locked.sfreq, output="sos")
    # An ECG that was not connected has no artefact, and no say.
    usable = np.isfinite(locked.data).all(1) & (np.ptp(locked.data, axis=1) > 0)
    # Whole volumes; the first stored one has number 0.
    low, high = -(-first // n), (first + locked.data.shape[1]) // n
    if min(high, n_volumes) - max(low, 0) < FEWEST_VOLUMES or not usable.any():
        return signals, Gradient(np.nan)
    data = sosfiltfilt(sections, locked.data[usable], axis=1).astype(np.float32)
    inside = slice(low * n - first, high * n - first)
    volumes = data[:, inside].reshape(len(data), high - low, n)
    stored = volumes[:, max(0, -low) : max(0, n_volumes - low)]
    common = stored.mean(1)
    ratio = float(np.median(common.std(1) / (stored - common[:, None]).std((1, 2))))
    if ratio < LEAST_RATIO:
        return signals, Gradient(ratio)

    begin, end = _scanned(volumes, common, max(0, -low), max(0, -low) + stored.shape[1])
    scanned = volumes[:, begin:end].copy()
    cleaned = volumes[:, begin:end]  # a view: what is written here is in the data
    for channel, of_channel in enumerate(scanned):
        rest = of_channel - neighbours(of_channel, n_averaged)
        courses = exceeding(rest, n_components)
        cleaned[channel] = rest - (rest @ courses.T) @ courses
    if adaptive_noise_cancellation:
        rest, subtracted = (of.reshape(len(data), -1) for of in (cleaned, scanned - cleaned))
        cleaned[:] = cancel_noise(rest, subtracted, locked.sfreq).reshape(cleaned.shape)
    data[:, inside] = volumes.reshape(len(data), -1)
    locked.data[usable] = data
    found = Gradient(
        ratio,
        True,
        end - begin,
        _over_others(scanned, cleaned, locked.sfreq, 1),
        _over_others(scanned, cleaned, locked.sfreq, n_slices) if n_slices else (),
        *_spectra(scanned, cleaned, locked.sfreq),
    )
    return locked, found


def in_step(signals: Signals, *, onset_s: float, tr_s: float) -> tuple[Signals, int]:
    """Interpolate EEG so that a volume is a whole number of samples, and starts with one.

    By sinc functions within a Kaiser window, at about the rate that the signals have.

    Returns
    -------
    signals : Signals
    first : int
        Number of their first sample, counted from the first volume's onset on.
    """
    n = round(tr_s * signals.sfreq)
    sfreq = n / tr_s
    first = int(np.ceil((signals.start_s - onset_s) * sfreq - 1e-6))
    offset = (signals.start_s - onset_s) * sfreq - first
    if abs(sfreq / signals.sfreq - 1) < 1e-9 and abs(offset) < 1e-6:  # it is in step
        return replace(signals, data=signals.data.copy()), first
    last = int(np.floor((signals.end_s - 1 / signals.sfreq - onset_s) * sfreq + 1e-6))
    position = (onset_s + np.arange(first, last + 1) / sfreq - signals.start_s) * signals.sfreq
    whole = np.floor(position).astype(int)
    part = position - whole
    data = np.zeros((len(signals.data), len(position)), dtype=np.float32)
    norm = np.zeros(len(position))
    padded = np.pad(signals.data, ((0, 0), (REACH, REACH)), mode="edge")
    for step in range(1 - REACH, REACH + 1):
        away = part - step
        weight = np.sinc(away) * np.i0(8.0 * np.sqrt(np.maximum(1 - (away / REACH) ** 2, 0))) / np.i0(8.0)
        norm += weight
        data += weight.astype(np.float32) * padded[:, whole + step + REACH]
    data /= norm
    return replace(signals, data=data, sfreq=sfreq, start_s=onset_s + first / sfreq), first


def neighbours(volumes: np.ndarray, n_averaged: int) -> np.ndarray:
    """Average, for each volume, those around it but not itself, (volumes, samples); at the ends they are on one side."""
    n = min(n_averaged, len(volumes) - 1)
    sums = np.concatenate([np.zeros((1, volumes.shape[1])), np.cumsum(volumes, axis=0, dtype=np.float64)])
    start = np.clip(np.arange(len(volumes)) - n // 2, 0, len(volumes) - n - 1)
    return ((sums[start + n + 1] - sums[start] - volumes) / n).astype(np.float32)


def _scanned(volumes: np.ndarray, common: np.ndarray, begin: int, end: int) -> tuple[int, int]:
    """Go on from the stored volumes for as long as there is as much of what they have in common."""
    share = np.einsum("cvn,cn->v", volumes, common) / np.sum(common**2)
    while begin > 0 and share[begin - 1] > LEAST_SHARE:
        begin -= 1
    while end < len(share) and share[end] > LEAST_SHARE:
        end += 1
    return begin, end


def exceeding(epochs: np.ndarray, n_components: int) -> np.ndarray:
    """Find courses in which epochs differ more than they would if each epoch had its own time: artefact, not EEG.

    Parameters
    ----------
    epochs : array of shape (epochs, samples)
    n_components : int
        At most.

    Returns
    -------
    array of shape (components, samples)
        Orthonormal.

    References
    ----------
    Horn, J. L. (1965). A rationale and test for the number of factors in factor analysis. Psychometrika 30, 179-185.
    """
    n_epochs, n_samples = epochs.shape
    if not n_components:
        return np.zeros((0, n_samples), epochs.dtype)
    shifts = np.random.default_rng(0).integers(0, n_samples, (n_epochs, 1))
    turned = epochs[np.arange(n_epochs)[:, None], (np.arange(n_samples) - shifts) % n_samples]
    # Of hours there are many more epochs than samples, of minutes fewer: the smaller table has the same components.
    tall = n_epochs > n_samples
    scatter, by_chance = (of.T @ of if tall else of @ of.T for of in (epochs, turned))
    limit = MARGIN * float(np.linalg.eigvalsh(by_chance).max())
    values, vectors = np.linalg.eigh(scatter)
    exceeds = np.flatnonzero(values > limit)[-n_components:]
    kept = vectors[:, exceeds]
    courses = kept if tall else epochs.T @ kept
    return (courses / np.linalg.norm(courses, axis=0)).T


def _over_others(before: np.ndarray, after: np.ndarray, sfreq: float, n_parts: int) -> tuple[float, ...]:
    """Power at the harmonics of 1 / n_parts of a volume from 2 to 40 Hz over that beside them in clean EEG, in dB.

    Empty where there are none.
    """
    n_volumes, n = before.shape[1:]
    harmonics = np.arange(1, n // 2) * n_parts
    hz = harmonics * sfreq / n
    bins = harmonics[(hz >= 2) & (hz <= 40)] * n_volumes
    if not len(bins):
        return ()
    beside = bins[:, None] + np.array([-3, -2, 2, 3])
    powers = []
    for volumes in (before, after):
        fourier = np.fft.rfft(volumes.reshape(len(volumes), -1), axis=1)
        powers.append(fourier.real**2 + fourier.imag**2)
    floor = powers[1][:, beside].mean((1, 2))
    at_before, at_after = (float(np.median(10 * np.log10(power[:, bins].mean(1) / floor))) for power in powers)
    return at_before, at_after


def _spectra(
    before: np.ndarray, after: np.ndarray, sfreq: float
) -> tuple[tuple[float, ...], tuple[tuple[float, ...], ...]]:
    """Mean power over stretches of four volumes, from 1 to 45 Hz, of the median channel."""
    n_volumes, n = before.shape[1:]
    spectra = []
    for volumes in (before, after):
        freqs, power = welch(volumes.reshape(len(volumes), n_volumes * n), sfreq, nperseg=min(4, n_volumes) * n)
        shown = (freqs >= 1) & (freqs <= min(45.0, 0.4 * sfreq))
        decibel = np.median(10 * np.log10(np.maximum(1e12 * power[:, shown], 1e-12)), axis=0)
        spectra.append(tuple(np.round(decibel, 1).tolist()))
    return tuple(np.round(freqs[shown], 3).tolist()), tuple(spectra)
