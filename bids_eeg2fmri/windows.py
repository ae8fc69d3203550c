"""The EEG before a volume, paired with the volume.

A window is a row of indices into the frames of a spectrum. Overlapping windows share their frames: nothing is copied
until a batch is gathered.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bids_eeg2fmri.eeg.spectrum import Spectrum
from bids_eeg2fmri.evaluation.chance import randomize_phases


@dataclass(frozen=True)
class Windows:
    """Windows of one or more recordings, one per volume.

    Attributes
    ----------
    power : array of shape (frames, channels, frequencies)
        The frames of all recordings, one after the other.
    frames : array of shape (volumes, lags)
        Rows of ``power`` that belong to each volume, shortest lag first; only meaningful where ``complete``.
    complete : array of shape (volumes,)
        Whether the recording holds all the EEG that the window needs.
    recording, volume : arrays of shape (volumes,)
        Where each window comes from.
    signal : array of shape (frames, channels, times), optional
        The EEG itself, the last step of each frame; where an architecture looks at it.
    person : array of shape (volumes,), optional
        Number of the participant; None where there is one alone.
    """

    power: np.ndarray
    frames: np.ndarray
    complete: np.ndarray
    recording: np.ndarray
    volume: np.ndarray
    signal: np.ndarray | None = None
    person: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.frames)

    def gather(self, which: np.ndarray, looks_at: str = "power") -> np.ndarray:
        """Copy out the windows at these positions, (len(which), lags, channels, frequencies or times)."""
        return self.look_at(looks_at)[self.frames[which]]

    def look_at(self, what: str) -> np.ndarray:
        """Give all frames of "power" or "signal"."""
        frames = self.power if what == "power" else self.signal
        assert frames is not None, "the windows were made without the signal"
        return frames


def lags_s(*, span_s: float, step_s: float) -> np.ndarray:
    """List how long before the onset of its volume each frame of a window ends."""
    return np.arange(round(span_s / step_s) + 1) * step_s


def make_windows(spectra: Sequence[Spectrum], onsets_s: Sequence[np.ndarray], *, lags: np.ndarray) -> Windows:
    """Pair each volume with the frames that end ``lags`` seconds before its onset.

    Parameters
    ----------
    spectra : sequence of Spectrum
        One per recording, same channels, frequencies and step.
    onsets_s : sequence of arrays of shape (volumes,)
        Onset of each volume on the EEG clock of its recording. Between two frames the earlier one is taken, so no window
        holds EEG from after its volume; a hundredth of a step is granted to rounding.
    lags : array of shape (lags,)
        In s.

    Examples
    --------
    Frames that end at 2, 3, ... 9 s, a volume at 6 s, lags of 0, 1 and 2 s: the frames that end at 6, 5 and 4 s.

    >>> spectrum = Spectrum(np.zeros((8, 5, 3)), np.array([8.0, 10.0, 12.0]), np.arange(2.0, 10.0), tuple("abcde"))
    >>> make_windows([spectrum], [np.array([6.0])], lags=np.array([0.0, 1.0, 2.0])).frames
    array([[4, 3, 2]])
    """
    frames, complete, recording, volume = [], [], [], []
    offset = 0
    step_s = float(lags[1] - lags[0]) if len(lags) > 1 else 1.0
    for number, (spectrum, onsets) in enumerate(zip(spectra, onsets_s, strict=True)):
        wanted = onsets[:, None] - lags
        index = np.searchsorted(spectrum.ends_s, wanted + 0.01 * step_s, side="right") - 1
        # Within a recording the next earlier frame is less than a step away; beyond its ends there is none.
        inside = (index >= 0) & (wanted - spectrum.ends_s[index] < step_s)
        frames.append(np.where(inside, index, 0) + offset)
        complete.append(inside.all(1))
        recording.append(np.full(len(onsets), number))
        volume.append(np.arange(len(onsets)))
        offset += len(spectrum.ends_s)
    return Windows(
        np.concatenate([spectrum.power for spectrum in spectra]),
        np.concatenate(frames),
        np.concatenate(complete),
        np.concatenate(recording),
        np.concatenate(volume),
        _joined([spectrum.signal for spectrum in spectra]),
    )


def _joined(signals: Sequence[np.ndarray | None]) -> np.ndarray | None:
    there = [signal for signal in signals if signal is not None]
    return np.concatenate(there) if len(there) == len(signals) else None


def without_timing(windows: Windows, spectra: Sequence[Spectrum], *, seed: Sequence[int]) -> Windows:
    """Draw the phases of power over time at random, and of the signal: EEG that has nothing to do with any volume.

    All channels and frequencies of a recording get the same phases, so what they have in common stays.

    Parameters
    ----------
    windows : Windows
    spectra : sequence of Spectrum
        Those that the windows were made of.
    seed : sequence of int
    """
    ends = np.cumsum([len(spectrum.ends_s) for spectrum in spectra])
    parts = np.split(windows.power, ends[:-1])
    power = [randomize_phases(part, seed=[*seed, number]) for number, part in enumerate(parts)]
    signal = windows.signal
    if signal is not None:
        signal = np.concatenate(
            [_signal_without_timing(part, [*seed, number]) for number, part in enumerate(np.split(signal, ends[:-1]))]
        )
    return replace(windows, power=np.concatenate(power), signal=signal)


def _signal_without_timing(signal: np.ndarray, seed: Sequence[int]) -> np.ndarray:
    """As one long signal: drawn by frames, its rhythms would stay as strong as they are."""
    frames, channels, times = signal.shape
    drawn = randomize_phases(signal.transpose(0, 2, 1).reshape(frames * times, channels), seed=seed)
    return drawn.reshape(frames, times, channels).transpose(0, 2, 1)
