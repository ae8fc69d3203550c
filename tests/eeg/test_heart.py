"""Heartbeats are found where they are, and nothing that only looks like them is taken for a heart."""

import numpy as np
import pytest
from scipy.signal import lfilter

from bids_eeg2fmri.eeg.heart import find_beats
from bids_eeg2fmri.errors import InputDataError

SFREQ = 250.0
DURATION_S = 240.0
TIMES = np.arange(0, DURATION_S, 1 / SFREQ)


def beats_of(seed):
    rng = np.random.default_rng(seed)
    wandering = lfilter([0.3], [1, -0.95], rng.standard_normal(600))
    beats_s = np.cumsum(np.clip(0.9 + 0.05 * wandering + 0.02 * rng.standard_normal(600), 0.55, 1.4))
    return beats_s[(beats_s > 0.5) & (beats_s < DURATION_S - 0.5)]


def waves(beats_s, *waves_of):
    """Sum bumps of a height and width in s, each some time after every beat."""
    reach = np.arange(-0.5, 1, 1 / SFREQ)
    shape = sum(height * np.exp(-0.5 * ((reach - at) / width) ** 2) for at, height, width in waves_of)
    impulses = np.zeros(len(TIMES))
    impulses[np.rint(beats_s * SFREQ).astype(int)] = 1
    return np.convolve(impulses, shape)[round(0.5 * SFREQ) :][: len(TIMES)]


def ecg_of(seed):
    """R waves of 1 mV; a T wave half as high again, as in the field of a scanner."""
    beats_s = beats_of(seed)
    noise = 3e-5 * np.random.default_rng(seed + 50).standard_normal(len(TIMES))
    return waves(beats_s, (0, 1e-3, 0.012), (0.25, 1.5e-3, 0.05), (-0.03, -2e-4, 0.01)) + noise, beats_s


def distance_to(beats_s, found_s):
    return np.abs(found_s[:, None] - beats_s).min(1)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("sign", [1, -1])
def test_every_beat_is_found_once_where_it_is(seed, sign):
    ecg, beats_s = ecg_of(seed)
    found_s = find_beats(sign * ecg, SFREQ)
    assert len(found_s) == len(beats_s)
    assert distance_to(beats_s, found_s).max() < 0.02


def test_jerks_and_an_offset_that_wanders_change_nothing_elsewhere():
    ecg, beats_s = ecg_of(4)
    ecg = ecg + 5e-3 * np.sin(2 * np.pi * 0.1 * TIMES)
    ecg[10_000:10_200] += 0.05 * np.sin(2 * np.pi * 12 * TIMES[:200])
    found_s = find_beats(ecg, SFREQ)
    far = np.abs(found_s - 40.4) > 5
    assert distance_to(beats_s, found_s[far]).max() < 0.02
    assert abs(len(found_s) - len(beats_s)) < 6


def test_a_pulse_curve_is_read_as_well():
    beats_s = beats_of(5)
    pulse = waves(beats_s, (0.25, 1.0, 0.1), (0.5, 0.25, 0.08)) + np.sin(2 * np.pi * 0.05 * TIMES)
    found_s = find_beats(pulse[::5], SFREQ / 5, kind="pulse")
    assert abs(len(found_s) - len(beats_s)) <= 1
    shift_s = distance_to(beats_s, found_s)[3:-3]
    assert shift_s.std() < 0.03  # all by the same delay


def gradient(tr_s, width_s=0.02):
    return 0.02 * ((TIMES % tr_s) < width_s)


@pytest.mark.parametrize(
    ("signal", "reason"),
    [
        (np.zeros_like(TIMES), "expected a signal that varies, found a constant"),
        (np.where(TIMES > 3, TIMES, np.nan), "expected numbers, found NaN"),
        (np.random.default_rng(0).standard_normal(len(TIMES)), "expected intervals like those around them"),
        (np.cumsum(np.random.default_rng(1).standard_normal(len(TIMES))), "expected intervals like those around them"),
        (np.sin(2 * np.pi * 10 * TIMES), "expected heartbeats, found"),
        (gradient(2.0) + 1e-4 * ecg_of(6)[0], "expected 35 to 150 beats per minute, found 30"),
        (gradient(1.0) + 1e-2 * ecg_of(6)[0], r"a standard deviation of \d\.\d ms: a clock"),
        (gradient(0.72) + 1e-2 * ecg_of(6)[0], r"a standard deviation of \d\.\d ms: a clock"),
        (gradient(1 / 15) + ecg_of(6)[0], "expected heartbeats, found"),
    ],
    ids=["flat", "NaN", "noise", "drifting noise", "alpha", "volumes", "fast volumes", "multiband", "slices"],
)
def test_what_is_no_heart_is_told(signal, reason):
    with pytest.raises(InputDataError, match=reason):
        find_beats(signal, SFREQ)


def test_too_little_of_a_signal_is_told():
    ecg, _ = ecg_of(1)
    with pytest.raises(InputDataError, match=r"expected at least 30 s, found 20\.0 s"):
        find_beats(ecg[: round(20 * SFREQ)], SFREQ)
    with pytest.raises(InputDataError, match="expected at least 50 Hz, found 25 Hz"):
        find_beats(ecg[::10], SFREQ / 10)
