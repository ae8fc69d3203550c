"""Volumes without markers: where they start is told by the artefact that they leave in raw EEG."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import mne
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import fft
from scipy.ndimage import uniform_filter1d
from scipy.signal import firwin, resample_poly, upfirdn

logger = logging.getLogger(__name__)

CHUNK_S = 20.0
MAX_CHANNELS = 8
MIN_VOLUMES = 4
MIN_CORRELATION = 0.9
MIN_PEAK_V = 200e-6
# Volumes in a row that a jerk or a saturated amplifier may hide.
MAX_LOST = 10
# What it takes to believe that the repetition time in the header is wrong.
MIN_VOLUMES_OFF_HEADER = 30


class _UnclearError(Exception):
    """Why a stretch that repeats is left out."""


@dataclass(frozen=True)
class _Signal:
    """A few channels of a file.

    ``change`` (channels, samples) is the difference of each sample to the one before, in V, at about 1 kHz whatever the
    file's rate: small in EEG, large where gradients switch. Positions are in these samples, and may lie between them.
    """

    change: np.ndarray
    sfreq: float
    raw: mne.io.BaseRaw
    picks: np.ndarray

    def cut(self, position: float, n: int) -> np.ndarray:
        """``n`` samples from ``position`` on, interpolated by a turn of phases; zero beyond the file."""
        first, margin = int(np.floor(position)), 32
        length = fft.next_fast_len(n + 2 * margin, real=True)
        low, high = first - margin, first - margin + length
        inside = self.change[:, max(low, 0) : max(high, 0)]
        piece = np.zeros((len(inside), length), np.float32)
        piece[:, max(-low, 0) : max(-low, 0) + inside.shape[1]] = inside
        # Cut off sharply, its ends would ring all over it.
        ramp = np.sin(np.linspace(0, np.pi / 2, margin // 2, dtype=np.float32)) ** 2
        piece[:, : margin // 2] *= ramp
        piece[:, -margin // 2 :] *= ramp[::-1]
        turn = np.exp(2j * np.pi * (position - first) * fft.rfftfreq(length)).astype(np.complex64)
        return fft.irfft(fft.rfft(piece) * turn, length)[:, margin : margin + n]


@dataclass(frozen=True)
class _Train:
    """Windows that repeat each other, at ``start + k * period`` for ``first <= k <= last``; not yet where volumes start."""

    start: float
    period: float
    first: int
    last: int
    jitter: float

    def position(self, k: int) -> float:
        return self.start + k * self.period


def find_scans(raw: mne.io.BaseRaw, channels: list[str], *, tr_s: float) -> list[np.ndarray]:
    """Find stretches of scanning in raw EEG, each as the onsets of its volumes in s from the start of the file.

    Gradients induce some mV, the same in every volume [1]_, [2]_. So volumes are where EEG repeats itself after one
    repetition time (correlation over 0.9), in a line from the first to the last; the line gives the period by the EEG's
    clock. Slices are alike too, so where a volume starts is known from the start of scanning alone: the first moment from
    which on everything is as it is one period later.

    Parameters
    ----------
    raw : mne.io.BaseRaw
        Not cleaned. Need not be preloaded: it is read once, in stretches.
    channels : list of str
        Up to 8 of them are used, those with much artefact; flat ones and ones with NaN don't matter.
    tr_s : float
        Repetition time as the BOLD file has it; may be wrong by 0.5 %.

    Returns
    -------
    list of array of shape (volumes,)
        Ascending and regular. Dummies and aborted starts are scanning too. A volume counts when its artefact is complete,
        whether or not a silent delay at its end is. Empty where nothing like it is found.

    Notes
    -----
    A stretch is left out, and the log says why, when its start is not in the file or not certain: fewer than 0.5 s (or a
    quarter of the repetition time) before it that are unlike volumes, other gradients until less than 0.1 s before it, or
    slices of like shape in step with its own. So are fewer than 4 volumes, less than 0.2 mV, jitter, mains hum, and periods
    that are more than 300 ppm off in fewer than 30 volumes.

    In simulations onsets are right to 1.2 ms at 1 kHz or more, and to 3.5 ms at 250 Hz. A file under 1 kHz rings before a
    step: there, a disturbance in the last 40 ms before the first gradient, far smaller than it, can be taken for it. Another
    sequence that by chance has the period of the volumes, and reference scans that look like volumes, are found too: compare
    the number of volumes.

    References
    ----------
    .. [1] Allen, P. J., Josephs, O., & Turner, R. (2000). A method for removing imaging artifact from continuous EEG recorded
       during functional MRI. NeuroImage 12, 230-239.
    .. [2] Niazy, R. K., Beckmann, C. F., Iannetti, G. D., Brady, J. M., & Smith, S. M. (2005). Removal of FMRI environment
       artifacts from EEG data using optimal basis sets. NeuroImage 28, 720-737.
    """
    signal = _read(raw, channels) if raw.n_times > MIN_VOLUMES * tr_s * raw.info["sfreq"] else None
    if signal is None:
        return []
    found = []
    for train in _choose_trains(list(_find_trains(signal, tr_s)), tr_s * signal.sfreq):
        try:
            onset, n_volumes = _measure(signal, train)
        except _UnclearError as reason:
            start_s, end_s = (train.position(k) / signal.sfreq for k in (train.first, train.last + 1))
            logger.info("EEG repeats itself from %.1f to %.1f s, left out: %s", start_s, end_s, reason)
        else:
            onset_s, period_s = onset / signal.sfreq, train.period / signal.sfreq
            logger.info("EEG shows %d volumes from %.3f s on, %.6f s apart", n_volumes, onset_s, period_s)
            found.append(onset_s + period_s * np.arange(n_volumes))
    return found


def _read(raw: mne.io.BaseRaw, channels: list[str]) -> _Signal | None:
    picks = _choose(raw, mne.pick_channels(raw.ch_names, include=channels, ordered=True))
    if not len(picks):
        return None
    sfreq, n_in = raw.info["sfreq"], raw.n_times
    up, down = max(1, round(1000 / sfreq)), max(1, int(sfreq / 1000))
    factor = max(up, down)
    # Down: what folds back would differ from volume to volume. Up: keep all there is.
    taps = firwin(20 * factor + 1, (0.7 if down > 1 else 0.99) / factor, window=("kaiser", 5.0)).astype(np.float32)
    for phase in range(up):  # or an offset would become a tone
        taps[phase::up] /= taps[phase::up].sum()
    pad, step = 10 * down, down * max(1, round(CHUNK_S * sfreq / down))
    values = np.empty((len(picks), -(-n_in * up // down)), np.float32)
    for start in range(0, n_in, step):
        stop = min(start + step, n_in)
        chunk = raw.get_data(picks=picks, start=max(start - pad, 0), stop=min(stop + pad, n_in)).astype(np.float32)
        chunk = np.pad(chunk, ((0, 0), (max(pad - start, 0), max(stop + pad - n_in, 0))), mode="edge")
        part = slice(start * up // down, -(-stop * up // down))
        values[:, part] = upfirdn(taps, chunk, up, down, axis=1)[:, 20 * up : 20 * up + part.stop - part.start]
    finite = np.isfinite(values).all(1)
    if not finite.all():
        values, picks = values[finite], picks[finite]
    return (
        _Signal(np.diff(values, axis=1, prepend=values[:, :1]), sfreq * up / down, raw, picks) if len(picks) else None
    )


def _choose(raw: mne.io.BaseRaw, picks: np.ndarray) -> np.ndarray:
    """Choose channels that change much, by short looks all over the file."""
    width, change = int(0.25 * raw.info["sfreq"]), np.zeros(len(picks))
    for start in np.linspace(0, raw.n_times - width, 40).astype(int):
        with np.errstate(invalid="ignore"):
            look = np.diff(raw.get_data(picks=picks, start=start, stop=start + width))
        np.maximum(change, np.abs(look).mean(1), out=change)  # a NaN stays one
    usable = np.isfinite(change) & (change > 0)
    ranked = picks[usable][np.argsort(-change[usable])]
    # The very first may be electrodes that have come off.
    skipped = len(ranked) // MAX_CHANNELS
    return ranked[skipped : skipped + MAX_CHANNELS]


def _find_trains(signal: _Signal, tr_s: float) -> Iterator[_Train]:
    """Look for windows that the next two repeat, and follow them."""
    n, end = round(tr_s * signal.sfreq), 0.0
    starts = range(0, signal.change.shape[1] - n + 1, n)
    windows = [signal.change[:, start : start + n] for start in starts]
    pairs = [_compare(a, b, reach=0.005 * n + 2) for a, b in pairwise(windows)]
    for start, ((r, lag), (r_next, lag_next)) in zip(starts, pairwise(pairs), strict=False):
        if start >= end and min(r, r_next) > MIN_CORRELATION and abs(lag - lag_next) < 0.5:
            train = _follow(signal, start, n + 0.5 * (lag + lag_next))
            end = train.position(train.last + 1)
            yield train


def _choose_trains(trains: list[_Train], expected: float) -> list[_Train]:
    """Choose trains of one period. One clock scanned them all: others are sequences that happen to fit, as localizers may."""
    near = [train for train in trains if abs(train.period / expected - 1) < 300e-6]
    trusted = near or [train for train in trains if train.last - train.first >= MIN_VOLUMES_OFF_HEADER]
    period = max(trusted, key=lambda train: train.last - train.first).period if trusted else 0.0
    return [train for train in trains if abs(train.period - period) < 30e-6 * period]


def _compare(a: np.ndarray, b: np.ndarray, *, reach: float) -> tuple[float, float]:
    """Correlation of two windows at the best lag, and that lag of ``b``, in samples; the median of the channels.

    The correlation is circular, as fits windows of one period; the peak is found between samples.
    """
    n, finer = a.shape[1], 4
    products = fft.irfft(fft.rfft(a).conj() * fft.rfft(b), finer * n) * finer
    lags = np.arange(-int(finer * reach) - 1, int(finer * reach) + 2)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1) + 1e-30
    r = np.median(products[:, lags] / norms[:, None], axis=0)
    i = 1 + int(np.argmax(r[1:-1]))
    bend = r[i - 1] - 2 * r[i] + r[i + 1]
    shift = np.clip(0.5 * (r[i - 1] - r[i + 1]) / bend, -1, 1) if bend < 0 else 0.0
    return float(r[i]), float(lags[i] + shift) / finer


def _follow(signal: _Signal, start: float, period: float) -> _Train:
    """Go on from one window, forwards and backwards, for as long as it is repeated; fit a line to the positions."""
    numbers, positions = [0], [start]
    n = round(period)
    for step in (1, -1):
        usual = signal.cut(start, n)
        k, lost = 0, 0
        while lost <= MAX_LOST:
            k += step
            expected = start + k * period
            if expected < 0 or expected + n > signal.change.shape[1]:
                break
            window = signal.cut(expected, n)
            r, lag = _compare(usual, window, reach=3)
            if r > MIN_CORRELATION and abs(lag) < 1e-3 * signal.sfreq:
                numbers.append(k)
                positions.append(expected + lag)
                # The artefact changes when the head moves.
                usual = 0.9 * usual + 0.1 * window
                lost = 0
                # The further we are, the better the period has to be known, and is.
                if len(numbers) & (len(numbers) - 1) == 0:
                    period, start = np.polyfit(numbers, positions, 1)
            elif _falls_silent(signal.change[:, round(expected) : round(expected) + n], usual):
                break
            else:  # a jerk or a saturated amplifier; the scanner may be going on
                lost += 1
    if len(numbers) > 1:
        period, start = np.polyfit(numbers, positions, 1)
    off = np.abs(np.array(positions) - start - period * np.array(numbers))
    return _Train(float(start), float(period), min(numbers), max(numbers), float(np.quantile(off, 0.95)))


def _rms(x: np.ndarray) -> np.ndarray:
    return np.sqrt(np.mean(x**2, axis=1, keepdims=True)) + 1e-30


def _smooth(x: np.ndarray, rms: np.ndarray) -> np.ndarray:
    """Size over time, of the typical channel, over 11 samples."""
    return uniform_filter1d(np.median(np.abs(x) / rms, axis=0), 11)


def _find_active(size: np.ndarray) -> np.ndarray:
    return size > 0.2 * size.max()


def _falls_silent(window: np.ndarray, usual: np.ndarray) -> bool:
    size = _smooth(usual, _rms(usual))
    active = _find_active(size)
    left = _smooth(window, _rms(usual))[active] / size[active]
    # No change at all is not EEG but an amplifier at its limit.
    return bool(np.mean((left < 0.3) & (left > 1e-5)) > 0.1)


def _measure(signal: _Signal, train: _Train) -> tuple[float, int]:
    """Position of the first volume, and the number of volumes.

    Raises
    ------
    _UnclearError
        If they are not certain, or the train is no scanning.
    """
    ms = signal.sfreq / 1000
    if train.last - train.first < MIN_VOLUMES - 2:
        raise _UnclearError("too few volumes")
    if train.jitter > 0.5 * ms:
        raise _UnclearError(f"it is irregular by {train.jitter / ms:.1f} ms")
    onset, channel = _find_rise(signal, _find_first_burst(signal, train))
    n_volumes = _count(signal, train, onset)
    if n_volumes < MIN_VOLUMES:
        raise _UnclearError("too few volumes")

    width = round(5 * ms + signal.sfreq / signal.raw.info["sfreq"])
    begin = signal.cut(onset, width)
    later = np.median([signal.cut(onset + k * train.period, width) for k in range(1, min(9, n_volumes))], axis=0)
    # Later volumes begin while the slice before fades, above all in a slow file. So the last one fades after its end.
    fading = signal.cut(onset + n_volumes * train.period, width)
    error = np.minimum(_rms(begin - later), _rms(begin - later + fading)) / _rms(begin)
    if max(np.median(error), error[channel, 0]) > 0.5:
        raise _UnclearError("something else comes right before it")
    return onset, n_volumes


def _find_first_burst(signal: _Signal, train: _Train) -> float:
    """Position, to some 10 ms, from which on everything is as it is one period later."""
    n, ms = round(train.period), signal.sfreq / 1000
    # The first window may lack its beginning: the later ones tell what is usual.
    numbers = range(train.first + 1, min(train.first + 9, train.last + 1))
    usual = np.median([signal.cut(train.position(k), n) for k in numbers], axis=0)
    _refuse_tone(usual, ms)

    # Three periods as they are, against three as they would be if the scanner had always been on.
    starts = [train.position(train.first + k) for k in (-2, -1, 0)]
    as_is = np.concatenate([signal.cut(start, n) for start in starts], axis=1)
    usual, rms = np.tile(usual, 3), _rms(usual)
    size, error = _smooth(usual, rms), _smooth(as_is - usual, rms)
    active = _find_active(size)
    if active.mean() < 0.05:
        raise _UnclearError("short bursts are no slices")
    in_file = starts[0] + np.arange(3 * n) >= 0
    differs = in_file & ((active & (error > 0.5 * size)) | (error > 0.3 * size.max()))
    change = int(np.flatnonzero(differs)[-1]) if differs.any() else 0
    before = slice(change - n + 1, change + 1)
    seen = np.sum((active & differs)[before]) / np.sum(active[:n])
    if not n <= change < 2.5 * n or seen < min(0.25, 0.5 * signal.sfreq / n):
        raise _UnclearError("its beginning is not in the file")
    # Smoothing blurs 11 samples. More would be a jerk in the first volume, or slices of another kind.
    if np.sum((active & in_file & ~differs)[before]) > 20 * ms:
        raise _UnclearError("something like it comes before its beginning")
    past = signal.change[:, max(0, int(starts[0]) + change - n) : int(starts[0]) + change]
    still = uniform_filter1d(np.median(np.abs(past), axis=0), int(50 * ms))
    if still.min() < 1e-5 * np.median(np.abs(usual), axis=0).max():
        raise _UnclearError("the amplifier is at its limit before its beginning")
    return starts[0] + change + 1 + float(np.argmax(active[change + 1 :]))


def _refuse_tone(usual: np.ndarray, ms: float) -> None:
    """Mains hum and trains of pulses repeat at any period: refuse what repeats within 22 ms. Slices take longer."""
    power = np.abs(fft.rfft(usual)) ** 2
    echo = np.median(fft.irfft(power, usual.shape[1]) / power.sum(1, keepdims=True), axis=0)
    dip = int(np.argmax(echo < 0))
    if echo[dip : int(22 * ms)].max(initial=0) > 0.9 * echo[0]:
        raise _UnclearError("it is a tone")


def _find_rise(signal: _Signal, about: float) -> tuple[float, int]:
    """Position of the first gradient after quiet EEG, told from the samples as they are in the file, and a channel."""
    sfreq = signal.raw.info["sfreq"]
    low, high = (int((about / signal.sfreq + beside_s) * sfreq) for beside_s in (-0.17, 0.05))
    if low < 0:
        raise _UnclearError("its beginning is not in the file")
    values = signal.raw.get_data(picks=signal.picks, start=low, stop=high)
    up = max(1, round(4000 / sfreq))
    values = resample_poly(values - values[:, :1], up, 1, axis=1, padtype="edge")
    rate = sfreq * up
    back, calm = int(0.005 * rate), int(0.1 * rate)
    # Over 5 ms neither a drift nor a blink is large.
    level = np.abs(values[:, back:] - values[:, :-back])
    noise, peak = level[:, :calm].max(1, keepdims=True), level[:, calm:].max(1, keepdims=True)
    if np.median(peak) < MIN_PEAK_V:
        raise _UnclearError(f"{1e6 * np.median(peak):.0f} uV are too small")
    if np.median(noise / peak) > 0.04:
        raise _UnclearError("EEG is not quiet before its beginning")
    # Filters without delay ring before a step, the less the longer before. What is larger than that has begun, in whichever
    # channel: most know little of one of the gradients.
    ahead = np.arange(1, int(0.06 * rate))
    rings = np.minimum(0.75, 0.74 * up / ahead)
    later = sliding_window_view(np.pad(level[:, calm + 1 :], ((0, 0), (0, len(ahead) - 1))), len(ahead), axis=1)
    begun = level[:, calm:-1] > np.maximum((later * rings).max(2), np.maximum(2 * noise, 0.05 * peak))
    rises = np.argmax(begun, axis=1)
    rise_s = (back + calm + rises.min()) / rate
    # Smoothed for a slow rate, a step begins to rise early.
    return (low / sfreq + rise_s + 0.5 / sfreq - 1e-3) * signal.sfreq, int(np.argmin(rises))


def _count(signal: _Signal, train: _Train, onset: float) -> int:
    """Number of volumes whose artefact is complete."""
    n = round(train.period)
    sure = int((train.position(train.last) - onset) / train.period)
    if sure < 1:
        return 0
    usual = np.median([signal.cut(onset + k * train.period, n) for k in range(max(0, sure - 8), sure)], axis=0)
    rms = _rms(usual)
    size = _smooth(usual, rms)
    active = np.flatnonzero(_find_active(size))
    # The last slice, but for what the next volume smears into it.
    smeared = 0.006 * signal.sfreq + 5 * signal.sfreq / signal.raw.info["sfreq"]
    tail = active[active <= active[-1] - smeared][-round(0.015 * signal.sfreq) :]
    for k in (sure + 2, sure + 1, sure):
        differs = _smooth(signal.cut(onset + k * train.period, n) - usual, rms) > 0.5 * size
        if differs[active].mean() < 0.25 and differs[tail].mean() < 0.5:
            return k + 1
    return sure
