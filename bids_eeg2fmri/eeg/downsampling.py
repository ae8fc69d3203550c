"""Bring EEG of any rate and length to the rate that spectra need, a stretch at a time."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import mne
import numpy as np
from scipy.signal import firwin, upfirdn

from bids_eeg2fmri.errors import InputDataError

CHUNK_S = 20.0
# Samples after downsampling that the filter reaches to each side.
HALF = 16


@dataclass(frozen=True)
class Signals:
    """EEG in memory: ``data`` (channels, samples) in V, float32; sample 0 is at ``start_s`` of the file."""

    data: np.ndarray
    sfreq: float
    channels: tuple[str, ...]
    start_s: float = 0.0

    @property
    def end_s(self) -> float:
        return self.start_s + self.data.shape[1] / self.sfreq

    def of(self, channels: Sequence[str]) -> "Signals":
        """Some of the channels, in the order asked for."""
        if tuple(channels) == self.channels:
            return self
        rows = [self.channels.index(channel) for channel in channels]
        return replace(self, data=self.data[rows], channels=tuple(channels))


def downsample(
    raw: mne.io.BaseRaw,
    channels: list[str],
    *,
    lowest_sfreq: float = 200.0,
    start_s: float = 0.0,
    stop_s: float = np.inf,
    optional: Collection[str] = (),
) -> Signals:
    """Read channels at the lowest rate not under ``lowest_sfreq`` that divides the file's own.

    The file is read once, in stretches, so memory grows with what comes out and not with the file (64 channels, 10 min,
    5 kHz are 1.5 GB as MNE reads them, 31 MB here). The filter is symmetric: nothing moves in time.

    Parameters
    ----------
    raw : mne.io.BaseRaw
        Need not be preloaded.
    channels : list of str
        In the order wanted.
    lowest_sfreq : float
        In Hz.
    start_s, stop_s : float
        What is needed of the file: the EEG may be hours longer than the BOLD, or hold several runs.
    optional : collection of str
        Channels that may hold nothing of use.

    Raises
    ------
    InputDataError
        If a channel that is not optional holds a value that is not finite, or never changes.
    """
    sfreq = raw.info["sfreq"]
    factor = max(1, int(sfreq / lowest_sfreq))
    picks = mne.pick_channels(raw.ch_names, include=channels, ordered=True)
    half = HALF * factor if factor > 1 else 0
    # What folds back is 90 dB down: an artefact of the scanner may be a thousand times the EEG.
    taps = firwin(2 * half + 1, 1 / factor, window=("kaiser", 9.0)).astype(np.float32) if factor > 1 else None
    n_in = raw.n_times
    begin = int(np.clip(start_s * sfreq, 0, n_in - 1) // factor)
    end = -(-int(min(max(stop_s * sfreq, begin * factor + 1), n_in)) // factor)
    data = np.empty((len(picks), end - begin), dtype=np.float32)
    low, high = np.full(len(picks), np.inf), np.full(len(picks), -np.inf)

    step = max(1, round(CHUNK_S * sfreq / factor))
    for first in range(begin, end, step):
        last = min(first + step, end)
        start, stop = first * factor - half, (last - 1) * factor + half + 1
        chunk = raw.get_data(picks=picks, start=max(start, 0), stop=min(stop, n_in))
        np.minimum(low, chunk.min(1), out=low)  # a NaN stays one
        np.maximum(high, chunk.max(1), out=high)
        if taps is None:
            data[:, first - begin : last - begin] = chunk
            continue
        # Repeating the first and last sample beyond the file keeps an amplifier's offset from ringing.
        chunk = np.pad(chunk.astype(np.float32), ((0, 0), (max(-start, 0), max(stop - n_in, 0))), mode="edge")
        decimated = upfirdn(taps, chunk, 1, factor, axis=1)
        data[:, first - begin : last - begin] = decimated[:, 2 * HALF : 2 * HALF + last - first]

    needed = [channel not in optional for channel in channels]
    _refuse_useless(np.array(channels)[needed], low[needed], high[needed])
    return Signals(data, sfreq / factor, tuple(channels), begin * factor / sfreq)


def _refuse_useless(channels, low, high) -> None:
    remedy = "mark them as bad in the status column of channels.tsv to leave them out"
    broken = [name for name, a, b in zip(channels, low, high, strict=True) if not np.isfinite(a + b)]
    if broken:
        raise InputDataError(f"expected numbers in every EEG channel, found NaN in {', '.join(broken)}; {remedy}")
    flat = [name for name, a, b in zip(channels, low, high, strict=True) if a == b]
    if flat:
        raise InputDataError(f"expected EEG that varies, found constant channels {', '.join(flat)}; {remedy}")
