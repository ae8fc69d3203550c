from dataclasses import replace

import numpy as np
import pytest

from bids_eeg2fmri.eeg.downsampling import Signals
from bids_eeg2fmri.eeg.spectrum import Spectrum, compute_spectrum, frame_ends
from bids_eeg2fmri.windows import lags_s, make_windows, without_timing

FREQS_HZ = np.arange(4.0, 30.0, 2.0)
LAGS = lags_s(span_s=12.0, step_s=1.0)


def spectrum_of(n_frames=40, first_end_s=2.0, step_s=1.0, seed=0):
    power = np.random.default_rng(seed).standard_normal((n_frames, 5, 3)).astype(np.float32)
    return Spectrum(power, np.array([8.0, 10, 12]), first_end_s + step_s * np.arange(n_frames), tuple("abcde"))


def test_lags_reach_from_the_onset_back_over_the_span():
    np.testing.assert_allclose(lags_s(span_s=6.0, step_s=1.5), [0, 1.5, 3, 4.5, 6])


def test_a_window_holds_the_frames_that_end_its_lags_before_the_volume():
    spectrum = spectrum_of()
    onsets = 20.0 + 2 * np.arange(6)
    windows = make_windows([spectrum], [onsets], lags=LAGS)
    assert windows.gather(np.array([4, 1])).shape == (2, 13, 5, 3)
    np.testing.assert_allclose(spectrum.ends_s[windows.frames], onsets[:, None] - LAGS)


@pytest.mark.parametrize("shift_s", [0.0, 0.3, 0.85])
def test_no_window_holds_eeg_from_after_its_volume(shift_s):
    data = np.random.default_rng(0).standard_normal((5, 60 * 200)).astype(np.float32)
    onsets = 20.0 + 2 * np.arange(15)

    def windows_of(data):
        signals = Signals(data, 200.0, tuple("abcde"))
        ends_s = frame_ends(signals, anchor_s=20.0 - shift_s, step_s=1.0)
        spectrum = compute_spectrum(signals, ends_s, width_s=2.0, freqs_hz=FREQS_HZ)
        return make_windows([spectrum], [onsets], lags=LAGS)

    before = windows_of(data)
    disturbed = data.copy()
    disturbed[2, round(onsets[7] * 200)] += 1000  # the first sample after the onset of volume 7
    after = windows_of(disturbed)
    assert before.complete.all()
    up_to = np.arange(8)
    np.testing.assert_array_equal(after.gather(up_to), before.gather(up_to))
    assert np.abs(after.gather(np.array([8])) - before.gather(np.array([8]))).max() > 10


def test_a_volume_without_all_its_eeg_is_not_complete():
    spectrum = spectrum_of(n_frames=30, first_end_s=5.0)  # ends from 5 to 34 s
    onsets = np.array([3.0, 16.0, 17.0, 25.0, 34.0, 36.0])
    windows = make_windows([spectrum], [onsets], lags=LAGS)
    assert windows.complete.tolist() == [False, False, True, True, True, False]


def test_a_window_reaches_into_no_other_recording():
    spectra = [spectrum_of(seed=1), spectrum_of(n_frames=33, seed=2)]
    windows = make_windows(spectra, [np.array([14.0, 20.0]), np.array([14.0, 20.0, 30.0])], lags=LAGS)
    assert windows.recording.tolist() == [0, 0, 1, 1, 1]
    assert windows.volume.tolist() == [0, 1, 0, 1, 2]
    np.testing.assert_array_equal(windows.gather(np.array([4]))[0, 0], spectra[1].power[28])
    assert windows.frames[:2].max() < 40 <= windows.frames[2:].min()


def test_a_millisecond_of_jitter_does_not_cost_a_frame():
    windows = make_windows([spectrum_of()], [np.array([19.999, 20.0, 20.001])], lags=LAGS)
    assert (windows.frames == windows.frames[1]).all()


def two_recordings():
    spectra = [spectrum_of(n_frames=41, seed=1), spectrum_of(n_frames=34, seed=2)]
    spectra[0].power[...] += 5  # dB, to tell the two apart
    onsets = [20.0 + 2 * np.arange(6), 18.0 + 2 * np.arange(5)]
    return spectra, make_windows(spectra, onsets, lags=LAGS)


def test_eeg_without_timing_keeps_mean_and_spectrum_of_each_recording():
    spectra, windows = two_recordings()
    drawn = without_timing(windows, spectra, seed=[3, 0])
    assert drawn.power.shape == windows.power.shape == (75, 5, 3)
    for recording in (slice(0, 41), slice(41, 75)):
        before, after = windows.power[recording], drawn.power[recording]
        np.testing.assert_allclose(after.mean(0), before.mean(0), atol=1e-5)
        over_time = [np.abs(np.fft.rfft(power, axis=0)) for power in (before, after)]
        np.testing.assert_allclose(over_time[1], over_time[0], atol=1e-4)
        # What channels have in common stays: the same phases were drawn for all.
        correlated = [np.corrcoef(power.reshape(len(power), -1).T) for power in (before, after)]
        np.testing.assert_allclose(correlated[1], correlated[0], atol=1e-4)
        same = [np.corrcoef(a, b)[0, 1] for a, b in zip(before.reshape(-1, 15).T, after.reshape(-1, 15).T, strict=True)]
        assert abs(np.mean(same)) < 0.3


def test_eeg_without_timing_is_still_that_of_the_same_windows():
    spectra, windows = two_recordings()
    drawn = without_timing(windows, spectra, seed=[3, 0])
    for name in ("frames", "complete", "recording", "volume"):
        np.testing.assert_array_equal(getattr(drawn, name), getattr(windows, name))
    assert windows.power[:41].mean() == pytest.approx(5, abs=0.1)  # not changed in place


def test_recordings_without_timing_are_not_mixed():
    spectra, windows = two_recordings()
    drawn = without_timing(windows, spectra, seed=[3, 0])
    # What the second recording holds has no say in the first one, nor the other way round.
    other = replace(windows, power=np.concatenate([windows.power[:41], 9 * windows.power[41:]]))
    np.testing.assert_array_equal(without_timing(other, spectra, seed=[3, 0]).power[:41], drawn.power[:41])
    other = replace(windows, power=np.concatenate([9 * windows.power[:41], windows.power[41:]]))
    np.testing.assert_array_equal(without_timing(other, spectra, seed=[3, 0]).power[41:], drawn.power[41:])
    # Two recordings that are the same get phases of their own.
    twins, onsets = [spectrum_of(seed=4), spectrum_of(seed=4)], 20.0 + 2 * np.arange(6)
    both = make_windows(twins, [onsets, onsets], lags=LAGS)
    first, second = np.split(without_timing(both, twins, seed=[3, 0]).power, 2)
    assert np.abs(first - second).max() > 0.5


def test_each_draw_without_timing_is_another_and_can_be_made_again():
    spectra, windows = two_recordings()
    first, again, other = (without_timing(windows, spectra, seed=[3, draw]).power for draw in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.5


def with_signal(power):
    """Three channels of 50 frames of 20 times each: a rhythm that is there in the first half alone."""
    times = np.arange(50 * 20) / 20
    rhythm = np.sin(2 * np.pi * 3 * times) * (times < 25)
    signal = np.outer(rhythm, [1.0, 2.0, -1.0]).reshape(50, 20, 3).transpose(0, 2, 1).astype(np.float32)
    ends = np.arange(1.0, 51.0)
    return Spectrum(power, np.array([8.0, 10.0]), ends, ("C3", "Cz", "C4"), signal, 20.0)


def test_windows_hold_the_signal_of_their_frames():
    spectrum = with_signal(np.zeros((50, 3, 2), np.float32))
    windows = make_windows([spectrum], [np.array([10.0, 30.0])], lags=np.array([0.0, 1.0, 2.0]))
    np.testing.assert_array_equal(windows.gather(np.array([1]), "signal")[0], spectrum.signal[[29, 28, 27]])


def test_a_signal_without_timing_has_its_rhythms_all_the_time():
    spectrum = with_signal(np.random.default_rng(0).standard_normal((50, 3, 2)).astype(np.float32))
    windows = make_windows([spectrum], [np.array([10.0, 30.0])], lags=np.array([0.0, 1.0]))
    drawn = without_timing(windows, [spectrum], seed=[1])
    assert drawn.signal.shape == windows.signal.shape
    assert windows.signal[30:].std() == 0
    assert drawn.signal[30:].std() > 0.5 * drawn.signal.std()
    flat = drawn.signal.transpose(1, 0, 2).reshape(3, -1)
    np.testing.assert_allclose(flat[1], 2 * flat[0], atol=1e-4)  # what channels have in common stays
    np.testing.assert_allclose(flat[0].std(), windows.signal[:, 0].std(), rtol=0.01)


def test_some_channels_keep_power_and_signal_together():
    spectrum = with_signal(np.random.default_rng(0).standard_normal((50, 3, 2)).astype(np.float32))
    some = spectrum.of(("C4", "C3"))
    np.testing.assert_array_equal(some.power, spectrum.power[:, [2, 0]])
    np.testing.assert_array_equal(some.signal, spectrum.signal[:, [2, 0]])
    assert some.channels == ("C4", "C3")
