"""Power of the EEG over time and frequency, in Hz."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.signal.windows import dpss

from bids_eeg2fmri.eeg.downsampling import Signals


@dataclass(frozen=True)
class Spectrum:
    """Log power of short frames.

    Attributes
    ----------
    power : array of shape (frames, channels, frequencies)
        In dB relative to 1 V^2 / Hz, float32.
    freqs_hz : array of shape (frequencies,)
    ends_s : array of shape (frames,)
        When each frame ends, on the EEG's clock: a frame knows nothing of what comes after.
    channels : tuple of str
    signal : array of shape (frames, channels, times), optional
        The EEG itself, in V, of the last step of each frame; see :func:`~bids_eeg2fmri.eeg.frames.cut_signal`.
    sfreq : float
        Its rate, in Hz.
    """

    power: np.ndarray
    freqs_hz: np.ndarray
    ends_s: np.ndarray
    channels: tuple[str, ...]
    signal: np.ndarray | None = None
    sfreq: float = 0.0

    def of(self, channels: Sequence[str]) -> "Spectrum":
        """Some of the channels, in the order asked for."""
        if tuple(channels) == self.channels:
            return self
        order = [self.channels.index(channel) for channel in channels]
        signal = None if self.signal is None else self.signal[:, order]
        return replace(self, power=self.power[:, order], signal=signal, channels=tuple(channels))


def frame_ends(signals: Signals, *, anchor_s: float, step_s: float) -> np.ndarray:
    """List regular ends of frames within a recording, one of them at ``anchor_s``.

    With the first volume as anchor, a recording gives the same frames wherever its EEG started.
    """
    first = np.ceil((signals.start_s - anchor_s) / step_s - 1e-9)
    last = np.floor((signals.end_s - anchor_s) / step_s + 1e-9)
    return anchor_s + np.arange(first, last + 1) * step_s


def compute_spectrum(signals: Signals, ends_s: np.ndarray, *, width_s: float, freqs_hz: np.ndarray) -> Spectrum:
    """Compute log power by Thomson's multitaper method, referenced to the average of the channels.

    Parameters
    ----------
    signals : Signals
    ends_s : array of shape (frames,)
        When each frame is to end, ascending, in s.
    width_s : float
        Length of each frame.
    freqs_hz : array of shape (frequencies,)
        Centers of bands, ascending; each reaches halfway to its neighbours.

    Returns
    -------
    Spectrum
        Frames that would reach beyond the recording are left out, not padded.

    References
    ----------
    Thomson, D. J. (1982). Spectrum estimation and harmonic analysis. Proceedings of the IEEE 70, 1055-1096.
    """
    n = round(width_s * signals.sfreq)
    stops = np.rint((ends_s - signals.start_s) * signals.sfreq).astype(int)
    keep = (stops >= n) & (stops <= signals.data.shape[1])
    ends_s, stops = ends_s[keep], stops[keep]

    tapers = dpss(n, NW=2, Kmax=3).astype(np.float32)
    # Zeros after a short frame, so that every band has bins of its own.
    n_fourier = max(n, round(2 * signals.sfreq / np.diff(freqs_hz).min()))
    bins = np.fft.rfftfreq(n_fourier, 1 / signals.sfreq)
    edges = np.concatenate([[1.5 * freqs_hz[0] - 0.5 * freqs_hz[1]], (freqs_hz[1:] + freqs_hz[:-1]) / 2])
    edges = np.append(edges, 1.5 * freqs_hz[-1] - 0.5 * freqs_hz[-2])
    # Where bins lie on edges, a rate that is off by some parts per million must not move them to the next band.
    edges -= 0.25 * bins[1]
    inside = (bins[:, None] >= edges[:-1]) & (bins[:, None] < edges[1:])
    weights = (inside / inside.sum(0)).astype(np.float32)

    power = np.empty((len(stops), len(signals.channels), len(freqs_hz)), dtype=np.float32)
    for i in range(0, len(stops), 64):
        samples = stops[i : i + 64, None] - n + np.arange(n)
        frames = signals.data[:, samples]  # (channels, frames, samples)
        frames = frames - frames.mean(0)
        frames -= frames.mean(-1, keepdims=True)
        density = np.zeros((*frames.shape[:2], len(bins)), dtype=np.float32)
        for taper in tapers:
            fourier = np.fft.rfft(frames * taper, n_fourier, axis=-1)
            density += fourier.real**2 + fourier.imag**2
        band = (density @ weights) * (2 / len(tapers) / signals.sfreq)
        power[i : i + 64] = band.transpose(1, 0, 2)
    # Digital silence has no logarithm; far below any amplifier's noise.
    np.log10(np.maximum(power, 1e-20), out=power)
    power *= 10
    return Spectrum(power, np.asarray(freqs_hz, dtype=float), ends_s, signals.channels)


def relative_to_mean(spectrum: Spectrum) -> Spectrum:
    """Express power relative to the recording's own mean, in dB, as percent signal change is for BOLD.

    What transfers between people is how power changes: its level depends on skull, cap and amplifier.
    """
    return replace(spectrum, power=spectrum.power - spectrum.power.mean(0))
