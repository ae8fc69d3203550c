"""Bring EEG of any rate and length to the rate that spectra need, a stretch at a time."""

from dataclasses import dataclass

import mne
import numpy as np
from scipy.signal import firwin, upfirdn

from bids_eeg2fmri.errors import InputDataError

CHUNK_S = 20.0


@dataclass(frozen=True)
class Signals:
    """EEG in memory: ``data`` (channels, samples) in V, float32; sample 0 is time 0 of the file."""

    data: np.ndarray
    sfreq: float
    channels: tuple[str, ...]

    @property
    def duration_s(self) -> float:
        return self.data.shape[1] / self.sfreq


def downsample(raw: mne.io.BaseRaw, channels: list[str], *, lowest_sfreq: float = 200.0) -> Signals:
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

    Raises
    ------
    InputDataError
        If a channel holds a value that is not finite, or never changes.
    """
    sfreq = raw.info["sfreq"]
    factor = max(1, int(sfreq / lowest_sfreq))
    picks = mne.pick_channels(raw.ch_names, include=channels, ordered=True)
    half = 10 * factor if factor > 1 else 0
    # As scipy.signal.resample_poly has it; the transition ends below what folds back into the bands of interest.
    taps = firwin(2 * half + 1, 1 / factor, window=("kaiser", 5.0)).astype(np.float32) if factor > 1 else None
    n_in = raw.n_times
    n_out = -(-n_in // factor)
    data = np.empty((len(picks), n_out), dtype=np.float32)
    low, high = np.full(len(picks), np.inf), np.full(len(picks), -np.inf)

    step = max(1, round(CHUNK_S * sfreq / factor))
    for first in range(0, n_out, step):
        last = min(first + step, n_out)
        start, stop = first * factor - half, (last - 1) * factor + half + 1
        chunk = raw.get_data(picks=picks, start=max(start, 0), stop=min(stop, n_in))
        np.minimum(low, chunk.min(1), out=low)  # a NaN stays one
        np.maximum(high, chunk.max(1), out=high)
        if taps is None:
            data[:, first:last] = chunk
            continue
        # Repeating the first and last sample beyond the file keeps an amplifier's offset from ringing.
        chunk = np.pad(chunk.astype(np.float32), ((0, 0), (max(-start, 0), max(stop - n_in, 0))), mode="edge")
        data[:, first:last] = upfirdn(taps, chunk, 1, factor, axis=1)[:, 20 : 20 + last - first]

    _refuse_useless(channels, low, high)
    return Signals(data, sfreq / factor, tuple(channels))


def _refuse_useless(channels, low, high) -> None:
    remedy = "mark them as bad in the status column of channels.tsv to leave them out"
    broken = [name for name, a, b in zip(channels, low, high, strict=True) if not np.isfinite(a + b)]
    if broken:
        raise InputDataError(f"expected numbers in every EEG channel, found NaN in {', '.join(broken)}; {remedy}")
    flat = [name for name, a, b in zip(channels, low, high, strict=True) if a == b]
    if flat:
        raise InputDataError(f"expected EEG that varies, found constant channels {', '.join(flat)}; {remedy}")
