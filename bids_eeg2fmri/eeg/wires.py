"""What loops of carbon wire on the cap saw of a moving head: regressed from the EEG.

A loop turns in the scanner's field as the head and its wires do, and holds nothing of the brain.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.signal import butter, sosfiltfilt

from bids_eeg2fmri.eeg.alpha import alpha_preserved
from bids_eeg2fmri.eeg.bad_channels import find_useless_channels
from bids_eeg2fmri.eeg.downsampling import Signals
from bids_eeg2fmri.eeg.gradient import HIGH_PASS_HZ

# Of a window, which fades into the next one; and how far the loops are shifted to either side, as wires and amplifiers delay.
WINDOW_S, LARGEST_LAG_S = 20.0, 0.02
FEWEST_WINDOWS = 6
# Courses that hold less than this of the largest one's power are noise.
LEAST_POWER = 1e-3
# Added to the power of each course over all windows, which is about 1/2: one may have moved in a single window.
RIDGE = 1e-6
# Something is regressed if loops foretell this much of the EEG's variance where they were not fitted to it, in the typical channel.
LEAST_EXPLAINED = 0.02
# A loop is stuck if so much of its time is spent within this share of its range from either end.
STUCK_SHARE, STUCK_RANGE = 0.1, 0.001


@dataclass(frozen=True)
class Wires:
    """What was found of the head's movements, and what is left.

    Attributes
    ----------
    loops : tuple of str
        Those that were used.
    left_out : dict
        Name of a loop that tells nothing to the reason.
    explained : float
        Share of the EEG's variance that loops foretell in windows that they were not fitted to, in the typical channel. About 0
        or less for loops of noise.
    corrected : bool
    size_uv : tuple of float
        Standard deviation of the EEG in uV, before and after; the median of the channels. Empty where nothing was corrected.
    alpha : float
        Share of the alpha rhythm's power that is left, see :func:`~bids_eeg2fmri.eeg.alpha.alpha_preserved`; NaN where nothing
        was corrected or there is none.
    """

    loops: tuple[str, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    explained: float = np.nan
    corrected: bool = False
    size_uv: tuple[float, ...] = ()
    alpha: float = np.nan


def find_broken_loops(signals: Signals, loops: Sequence[str]) -> dict[str, str]:
    """Tell the loops that hold nothing, or are stuck at a limit of their amplifier for long; with the reason.

    As they were recorded: the correction of gradients takes slow parts away, and with them the limit.
    """
    broken = find_useless_channels(signals.of(loops))
    for name in loops:
        if name not in broken and _is_stuck(signals.of([name]).data[0]):
            broken[name] = "is stuck at the end of its range"
    return broken


def regress_loops(
    signals: Signals, loops: Sequence[str], *, broken: Mapping[str, str], keep: Collection[str] = ()
) -> tuple[Signals, Wires]:
    """Subtract from each channel what loops, a little earlier and later, tell of it in windows of 20 s [1]_, [2]_.

    A window is fitted together with the mean window of the recording, so that one in which hardly anything moves does not fit the
    EEG itself. A channel's window is left as it is if the fit of the other windows foretells nothing of it.

    Parameters
    ----------
    signals : Signals
        EEG and loops, without the artefact of the gradients.
    loops : sequence of str
        Channels that are loops.
    broken : mapping
        Those that are not to be used, with the reason: see :func:`find_broken_loops`.
    keep : collection of str
        Channels that stay as they are: the ECG.

    Returns
    -------
    signals : Signals
        Without the loops; as they were where loops tell nothing, else high-passed.
    wires : Wires

    References
    ----------
    .. [1] van der Meer, J. N., Pampel, A., Van Someren, E. J. W., Ramautar, J. R., van der Werf, Y. D., Gomez-Herrero, G.,
       Lepsien, J., Hellrung, L., Hinrichs, H., Moeller, H. E., & Walter, M. (2016). Carbon-wire loop based artifact correction
       outperforms post-processing EEG/fMRI corrections: a validation of a real-time simultaneous EEG/fMRI correction method.
       NeuroImage 125, 880-894.
    .. [2] Masterton, R. A. J., Abbott, D. F., Fleming, S. W., & Jackson, G. D. (2007). Measurement and reduction of motion and
       ballistocardiogram artefacts from simultaneous EEG and fMRI recordings. NeuroImage 37, 202-211.
    """
    rest = signals.of([name for name in signals.channels if name not in loops])
    left_out = dict(broken)
    used = tuple(name for name in loops if name not in left_out)
    half = round(0.5 * WINDOW_S * signals.sfreq)
    if not used or rest.data.shape[1] < FEWEST_WINDOWS * half:
        return rest, Wires(used, left_out)
    sections = butter(2, HIGH_PASS_HZ, "highpass", fs=signals.sfreq, output="sos")
    rows = [row for row, name in enumerate(rest.channels) if name not in keep]
    data = sosfiltfilt(sections, rest.data[rows], axis=1).astype(np.float32)
    lagged = _Lagged(sosfiltfilt(sections, signals.of(used).data, axis=1), round(LARGEST_LAG_S * signals.sfreq), half)
    coefficients, explained = _fit(data, lagged)
    if not explained > LEAST_EXPLAINED:
        return rest, Wires(used, left_out, explained)

    told = np.zeros_like(data)
    for number, of_window in enumerate(coefficients):
        part, taper, courses = lagged.window(number)
        told[:, part] += of_window.T @ (taper * courses)
    after = data - told
    cleaned = rest.data.copy()
    cleaned[rows] = after
    size_uv = tuple(float(1e6 * np.median(of.std(1))) for of in (data, after))
    alpha = alpha_preserved(data, after, signals.sfreq)
    return replace(rest, data=cleaned), Wires(used, left_out, explained, True, size_uv, alpha)


class _Lagged:
    """What is regressed: the largest courses of loops, each a little earlier and later, in windows whose tapers add up to 1."""

    def __init__(self, loops: np.ndarray, largest_lag: int, half: int):
        self.n_windows = -(-loops.shape[1] // half) + 1
        self._half, self._largest = half, largest_lag
        self._taper = np.hanning(2 * half + 1)[:-1]
        # No loop is larger than another: which amplifier it hangs on says nothing.
        self._padded = np.pad(loops / loops.std(1, keepdims=True), ((0, 0), (largest_lag, largest_lag)), mode="edge")
        self._mixing = np.eye(len(loops) * (2 * largest_lag + 1))
        covariance = sum(courses @ courses.T for _, _, courses in map(self.window, range(self.n_windows)))
        values, vectors = np.linalg.eigh(covariance)
        kept = values > LEAST_POWER * values[-1]
        self._mixing = (vectors[:, kept] / np.sqrt(values[kept])).T

    def window(self, number: int) -> tuple[slice, np.ndarray, np.ndarray]:
        """Where it is in the signals, its taper, and the courses (courses, samples)."""
        n_samples = self._padded.shape[1] - 2 * self._largest
        start = (number - 1) * self._half
        part = slice(max(start, 0), min(start + 2 * self._half, n_samples))
        lags = range(2 * self._largest + 1)
        stacked = np.concatenate([self._padded[:, part.start + lag : part.stop + lag] for lag in lags])
        return part, self._taper[part.start - start : part.stop - start], self._mixing @ stacked


def _fit(data: np.ndarray, lagged: _Lagged) -> tuple[np.ndarray, float]:
    """Coefficients of all windows, (windows, courses, channels), and how much the others' foretell in the typical channel."""
    products, projections, energies = [], [], []
    for number in range(lagged.n_windows):
        part, taper, courses = lagged.window(number)
        weighted = taper * courses
        products.append(weighted @ courses.T)
        projections.append(weighted @ data[:, part].T)
        energies.append(data[:, part] ** 2 @ taper)
    among, with_eeg, energy = (np.array(of) for of in (products, projections, energies))
    elsewhere = np.linalg.solve(_others(among) + RIDGE * np.eye(among.shape[1]), _others(with_eeg))
    # What of a window's energy the coefficients of the windows that do not overlap it take away: below 0 they add to it.
    gain = np.einsum("wpc,wpc->wc", elsewhere, 2 * with_eeg - among @ elsewhere)
    coefficients = np.linalg.solve(among + among.mean(0), with_eeg + with_eeg.mean(0))
    coefficients *= (gain > 0)[:, None]
    total = energy.sum(0)
    shares = gain.sum(0)[total > 0] / total[total > 0]
    return coefficients, float(np.median(shares)) if len(shares) else np.nan


def _others(of_windows: np.ndarray) -> np.ndarray:
    """Sums over all windows but each and its two neighbours, which overlap it."""
    own = of_windows.copy()
    own[1:] += of_windows[:-1]
    own[:-1] += of_windows[1:]
    return of_windows.sum(0) - own


def _is_stuck(data: np.ndarray) -> bool:
    """Whether an amplifier was at its limit for long."""
    low, high = data.min(), data.max()
    near = STUCK_RANGE * (high - low)
    return bool(np.mean((data < low + near) | (data > high - near)) > STUCK_SHARE)
