import numpy as np
import pytest

from bids_eeg2fmri.eeg.downsampling import Signals, downsample
from bids_eeg2fmri.eeg.spectrum import compute_spectrum, frame_ends, relative_to_mean

FREQS_HZ = np.arange(2.0, 41.0)


def noise(sfreq=200.0, duration_s=40.0, n_channels=5, seed=0):
    return np.random.default_rng(seed).standard_normal((n_channels, round(sfreq * duration_s)))


def signals_of(data, sfreq=200.0):
    return Signals(data.astype(np.float32), sfreq, tuple("abcdefg"[: len(data)]))


def spectrum_of(signals, *, anchor_s=0.0, step_s=1.0, width_s=2.0, freqs_hz=FREQS_HZ):
    ends_s = frame_ends(signals, anchor_s=anchor_s, step_s=step_s)
    return compute_spectrum(signals, ends_s, width_s=width_s, freqs_hz=freqs_hz)


@pytest.mark.parametrize("frame_s", [0.5, 1.0, 2.0, 3.7])
@pytest.mark.parametrize("sfreq", [250.0, 1000.0, 1024.0, 5000.0])
def test_a_10_hz_rhythm_lies_at_10_hz_whatever_the_frame_and_the_rate(frame_s, sfreq, raw_of):
    data = 0.1 * noise(sfreq, 12.0, n_channels=3)
    data[1] += np.sin(2 * np.pi * 10 * np.arange(data.shape[1]) / sfreq)
    spectrum = spectrum_of(downsample(raw_of(data, sfreq), ["a", "b", "c"]), width_s=frame_s)
    assert np.isfinite(spectrum.power).all()
    mean = spectrum.power[:, 1].mean(0)
    # Two tapers of bandwidth 2 / frame tell no more than that.
    assert abs(spectrum.freqs_hz[np.argmax(mean)] - 10) <= max(0, 2 / frame_s - 1)
    top = spectrum.freqs_hz[mean > mean.max() - 3]
    assert (top.min() + top.max()) / 2 == pytest.approx(10, abs=0.51)


@pytest.mark.parametrize("spacing_hz", [0.25, 1.0, 3.0])
def test_power_is_a_density_whatever_the_bands(spacing_hz):
    # White noise of variance 1 has 2 / sfreq per Hz; the average reference takes a fifth away.
    spectrum = spectrum_of(signals_of(noise(duration_s=300.0)), freqs_hz=np.arange(3.0, 40.0, spacing_hz))
    density = (10 ** (spectrum.power.astype(float) / 10)).mean((0, 1))
    np.testing.assert_allclose(density, 0.8 * 2 / 200, rtol=0.15)
    assert density.mean() == pytest.approx(0.8 * 2 / 200, rel=0.03)


@pytest.mark.parametrize("deviation", [-1e-3, -12e-6, 12e-6, 1e-3])
def test_a_rate_that_is_a_little_off_gives_the_same_power(deviation):
    """EEG in step with volumes has such rates; where bins lie on the edges of bands, they must not change sides."""
    data = noise()
    exact, off = (spectrum_of(signals_of(data, 200.0 * factor)) for factor in (1, 1 + deviation))
    n = min(len(exact.power), len(off.power)) - 1
    # Frames shift by samples as the deviation adds up.
    difference = np.abs(off.power[:n].mean(0) - exact.power[:n].mean(0))
    assert difference.max() < (1e-3 if abs(deviation) < 1e-4 else 0.25)


def test_twice_the_amplitude_is_6_db():
    data = noise()
    difference = spectrum_of(signals_of(2 * data)).power - spectrum_of(signals_of(data)).power
    np.testing.assert_allclose(difference, 20 * np.log10(2), atol=1e-3)


def test_what_all_channels_share_is_the_reference_and_goes():
    data = noise()
    shared = np.sin(2 * np.pi * 12 * np.arange(data.shape[1]) / 200)
    np.testing.assert_allclose(
        spectrum_of(signals_of(data + shared)).power, spectrum_of(signals_of(data)).power, atol=0.05
    )


def test_frames_end_on_the_anchors_grid_and_lie_within_the_recording():
    signals = signals_of(noise(duration_s=30.3))
    spectrum = spectrum_of(signals, anchor_s=14.31, step_s=0.7, width_s=2.0)
    steps = (spectrum.ends_s - 14.31) / 0.7
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-9)
    assert 2.0 <= spectrum.ends_s[0] < 2.7
    assert 29.6 < spectrum.ends_s[-1] <= 30.3
    assert spectrum.power.shape == (len(spectrum.ends_s), 5, 39)


def test_a_frame_holds_nothing_of_what_comes_after_its_end():
    data = noise()
    before = spectrum_of(signals_of(data), anchor_s=0.0)
    data[2, 20 * 200 :] = 0  # from 20 s on
    after = spectrum_of(signals_of(data), anchor_s=0.0)
    same = before.ends_s <= 20
    np.testing.assert_array_equal(after.power[same], before.power[same])
    assert (np.abs(after.power[~same] - before.power[~same]).max((1, 2)) > 1e-3).all()


def test_a_recording_gives_the_same_frames_wherever_it_started():
    data = noise(duration_s=60.0)
    whole = spectrum_of(signals_of(data), anchor_s=25.0)
    later = spectrum_of(signals_of(data[:, 7 * 200 :]), anchor_s=18.0)
    np.testing.assert_allclose(later.power, whole.power[-len(later.power) :], atol=1e-4)


def test_silence_is_finite():
    assert np.isfinite(spectrum_of(signals_of(np.zeros((3, 2000)))).power).all()


def test_power_relative_to_the_mean_knows_no_level():
    spectrum = spectrum_of(signals_of(noise()))
    louder = spectrum_of(signals_of(30 * noise()))
    assert np.abs(relative_to_mean(spectrum).power.mean(0)).max() < 1e-3
    np.testing.assert_allclose(relative_to_mean(louder).power, relative_to_mean(spectrum).power, atol=1e-3)
