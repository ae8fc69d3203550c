import keras
import numpy as np
import pytest

from bids_eeg2fmri.models.layers.log_spectra import LogSpectra

SFREQ = 50


def tone(hz, seconds):
    return np.cos(2 * np.pi * hz * np.arange(seconds * SFREQ) / SFREQ).astype(np.float32)


@pytest.mark.parametrize("window_s", [0.5, 1.0, 2.0, 4.0])
def test_a_tone_lies_at_its_frequency_whatever_the_window(window_s):
    layer = LogSpectra(3, window_s, SFREQ)
    spectra = np.asarray(layer(tone(10.0, 7)[None, None]))
    assert spectra.shape == (1, 1, 3, len(layer.freqs_hz))
    np.testing.assert_allclose(layer.freqs_hz[spectra[0, 0].argmax(-1)], 10.0, atol=1e-9)


def test_a_signal_twice_as_large_has_four_times_the_power():
    noise = np.random.default_rng(0).standard_normal((2, 3, 350)).astype(np.float32)
    layer = LogSpectra(5, 0.5, SFREQ)
    np.testing.assert_allclose(np.asarray(layer(2 * noise)), np.asarray(layer(noise)) + np.log(4), atol=1e-3)


def test_white_noise_has_a_power_of_its_variance():
    noise = np.random.default_rng(0).standard_normal((40, 3, 350)).astype(np.float32)
    assert np.exp(np.asarray(LogSpectra(5, 1.0, SFREQ)(noise))).mean() == pytest.approx(1, abs=0.05)


def test_what_is_left_over_at_the_beginning_is_not_looked_at():
    signal = np.random.default_rng(0).standard_normal((1, 2, 353)).astype(np.float32)
    layer = LogSpectra(5, 0.5, SFREQ)
    before = np.asarray(layer(signal))
    signal[..., :3] += 100
    np.testing.assert_array_equal(np.asarray(layer(signal)), before)


def test_a_burst_is_seen_in_its_patch_alone():
    signal = 1e-3 * np.random.default_rng(0).standard_normal((1, 2, 350)).astype(np.float32)
    signal[0, 1, 140:210] += tone(10.0, 7)[140:210]
    spectra = np.asarray(LogSpectra(5, 1.0, SFREQ)(signal)).max(-1)
    assert (np.argwhere(spectra > -5) == [[0, 1, 2]]).all()


def test_a_saved_layer_is_made_anew_from_its_configuration():
    layer = LogSpectra(3, 2.0, SFREQ, max_hz=20.0)
    assert keras.layers.deserialize(keras.layers.serialize(layer)).get_config() == layer.get_config()
