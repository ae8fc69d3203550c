"""What a scanner adds to EEG that is recorded inside it: gradients that switch, and a head that the pulse moves in the field."""

from functools import cache

import numpy as np

# Sampling rate of the waveforms in Hz, and the low-pass of the amplifier, as those made for scanners have it.
FINE_SFREQ, AMPLIFIER_HZ = 20_000.0, 250.0
LINES, LINE_S = 64, 0.5e-3


@cache
def gradient_waveforms(tr_s: float, n_slices: int) -> np.ndarray:
    """What the three gradients of an echo-planar sequence induce during one volume, (3, samples at FINE_SFREQ), at most 1.

    A loop of wire sees the change of a gradient: a pulse of one sign at the ramp up and of the other at the ramp down. Each
    slice has selection and refocusing (z), prewinders, a readout that changes its sign with every line (x) with blips between
    them (y), and crushers. Then comes the amplifier's filter.

    References
    ----------
    Allen, P. J., Josephs, O., & Turner, R. (2000). A method for removing imaging artifact from continuous EEG recorded during
    functional MRI. NeuroImage 12, 230-239.
    """
    from scipy.signal import bessel, sosfilt

    n = round(tr_s * FINE_SFREQ)
    change = np.zeros((3, n))
    ramp = round(0.25e-3 * FINE_SFREQ)

    def trapezoid(axis: int, start_s: float, length_s: float, height: float) -> None:
        first, last = round(start_s * FINE_SFREQ), round((start_s + length_s) * FINE_SFREQ)
        change[axis, first : first + ramp] += height
        change[axis, last : last + ramp] -= height

    for slice_s in np.arange(n_slices) * tr_s / n_slices:
        trapezoid(2, slice_s + 1e-3, 3e-3, 1.0)
        trapezoid(2, slice_s + 4.5e-3, 1.5e-3, -1.0)
        trapezoid(1, slice_s + 6.5e-3, 1e-3, -0.9)
        trapezoid(0, slice_s + 6.5e-3, 1e-3, -0.9)
        readout_s = slice_s + 9e-3
        for line in range(LINES):
            trapezoid(0, readout_s + line * LINE_S, LINE_S - 0.25e-3, 1.0 if line % 2 else -1.0)
            trapezoid(1, readout_s + line * LINE_S, 0.1e-3, 0.1)
        after_s = readout_s + LINES * LINE_S
        for axis, height in enumerate((0.6, 0.7, 1.0)):
            trapezoid(axis, after_s + 2e-3, 4e-3, height)
    # The filter of the volume before is still ringing when a volume starts.
    sections = bessel(5, AMPLIFIER_HZ, fs=FINE_SFREQ, output="sos", norm="mag")
    filtered = sosfilt(sections, np.tile(change, 2), axis=1)[:, n:]
    return filtered / np.abs(filtered).max()


def gradient_artifact(
    n_samples: int,
    sfreq: float,
    *,
    start_s: float,
    tr_s: float,
    nominal_tr_s: float,
    n_volumes: int,
    n_slices: int,
    n_channels: int,
    peak_v: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Sample the artifact of a series of volumes, (channels, samples), in V.

    Wires lie in the field of each gradient in their own way. They and the head move: slowly all the time, at once some times.

    Parameters
    ----------
    start_s, tr_s : float
        Of the first volume, and from one to the next, on the clock of the EEG.
    nominal_tr_s : float
        By the scanner's clock.
    """
    waveforms = gradient_waveforms(nominal_tr_s, n_slices)
    gains = rng.standard_normal((n_channels, 3))
    gains *= peak_v / np.abs(gains).sum(1).max()
    moved = rng.standard_normal((2, n_channels, 3)) * np.abs(gains).mean()
    low, high = (int(np.clip(np.ceil(t * sfreq), 0, n_samples)) for t in (start_s, start_s + n_volumes * tr_s))
    artifact = np.zeros((n_channels, n_samples), dtype=np.float32)
    length = waveforms.shape[1]
    # Two ways to move: a slow walk of about 1 %, and a few steps of 3 %.
    seconds = np.arange(int(n_volumes * tr_s) + 2)
    walk = np.cumsum(rng.standard_normal(len(seconds)))
    walk *= 0.01 / max(walk.std(), 1e-9)
    steps = np.zeros(len(seconds))
    for at in rng.choice(len(seconds), 3, replace=False):
        steps[at:] += 0.03 * rng.standard_normal()
    chunk = round(10 * sfreq)
    for first in range(low, high, chunk):
        t = np.arange(first, min(first + chunk, high)) / sfreq - start_s
        phase = (t / tr_s) % 1.0 * length
        index = phase.astype(int)
        part = (phase - index).astype(np.float32)
        sampled = waveforms[:, index] * (1 - part) + waveforms[:, (index + 1) % length] * part
        values = gains @ sampled
        for way, course in zip(moved, (walk, steps), strict=True):
            values += np.interp(t, seconds, course) * (way @ sampled)
        artifact[:, first : first + len(t)] = values
    return artifact


def pulse_artifact(
    times_s: np.ndarray, beats_s: np.ndarray, positions_m: np.ndarray, *, peak_v: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Sample what heartbeats leave in the EEG: about 0.2 s after the R wave, for half a second.

    The head nods (left and right have opposite signs) and the scalp expands (a pattern of its own); how much of either differs
    from beat to beat, and so does the delay a little.

    Parameters
    ----------
    positions_m : array of shape (channels, 3)
        In the head frame.

    Returns
    -------
    artifact : array of shape (channels, samples)
        In V.
    nod : array of shape (samples,)
        How the head turns, as what it leaves in the channels farthest to the side, in V.

    References
    ----------
    Debener, S., Mullinger, K. J., Niazy, R. K., & Bowtell, R. W. (2008). Properties of the ballistocardiogram artefact as revealed
    by EEG recordings at 1.5, 3 and 7 T static magnetic field strength. Int. J. Psychophysiol. 67, 189-199.
    """
    reach = np.arange(0.0, 0.75, times_s[1] - times_s[0])
    # Delay in s, height and width in s of the waves of either movement.
    nod = ((0.13, -0.4, 0.03), (0.21, 1.0, 0.035), (0.32, -0.7, 0.05), (0.46, 0.25, 0.06))
    swell = ((0.25, 0.5, 0.06), (0.38, -0.4, 0.07))
    patterns = np.stack(
        [positions_m[:, 0] / np.abs(positions_m[:, 0]).max(), rng.uniform(-0.5, 1.0, len(positions_m))], 1
    )
    patterns += 0.2 * rng.standard_normal(patterns.shape)
    courses = np.zeros((2, len(times_s)))
    for beat_s in beats_s:
        first = int(np.searchsorted(times_s, beat_s))
        part = slice(first, min(first + len(reach), len(times_s)))
        after_s = times_s[part] - beat_s + rng.normal(0, 0.008)
        for course, waves in zip(courses, (nod, swell), strict=True):
            size = 1 + 0.2 * rng.standard_normal()
            course[part] += size * sum(h * np.exp(-0.5 * ((after_s - at) / width) ** 2) for at, h, width in waves)
    return peak_v * patterns @ courses, peak_v * courses[0]


def head_jerks(times_s: np.ndarray, *, peak_v: float, rng: np.random.Generator) -> np.ndarray:
    """Sample how a head turns about three axes for a second or two, some times a minute, (3, samples).

    As what it leaves in the channels farthest from each axis, in V.
    """
    sfreq = 1 / (times_s[1] - times_s[0])
    turns = np.zeros((3, len(times_s)))
    onset_s = rng.exponential(12.0)
    while onset_s < times_s[-1] - times_s[0] - 3:
        first, n = round(onset_s * sfreq), round(rng.uniform(0.8, 2.5) * sfreq)
        # Up to some Hz: a head is heavy.
        smooth = np.hanning(2 * round(0.06 * sfreq) + 1)
        courses = np.apply_along_axis(
            np.convolve, 1, rng.standard_normal((3, n)), smooth / np.linalg.norm(smooth), "same"
        )
        turns[:, first : first + n] += rng.uniform(0.3, 1.0, (3, 1)) * courses * np.hanning(n)
        onset_s += 3 + rng.exponential(12.0)
    return peak_v * turns / max(np.abs(turns).max(), 1e-9)


def turn_electrodes(turns: np.ndarray, positions_m: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Give what turns of the head, as of :func:`head_jerks`, induce in the wires of electrodes, (channels, samples), in V."""
    away = positions_m - positions_m.mean(0)
    patterns = away / np.abs(away).max(0)
    return (patterns + 0.2 * rng.standard_normal(patterns.shape)) @ turns


def wire_loops(turns: np.ndarray, n_wires: int, rng: np.random.Generator) -> np.ndarray:
    """Give what turns of the head induce in loops of carbon wire on the cap, with the amplifier's noise, (loops, samples), in V.

    They hold nothing of the brain, and nothing of the scalp that swells.

    References
    ----------
    Masterton, R. A. J., Abbott, D. F., Fleming, S. W., & Jackson, G. D. (2007). Measurement and reduction of motion and
    ballistocardiogram artefacts from simultaneous EEG and fMRI recordings. NeuroImage 37, 202-211.
    """
    loops = 2 * rng.standard_normal((n_wires, 3)) @ turns
    return loops + 2e-6 * rng.standard_normal(loops.shape)
