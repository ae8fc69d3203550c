import keras
import numpy as np
import pytest

from bids_eeg2fmri.models.layers.filter_bank import FilterBank

BANDS_HZ = (4.0, 6.0, 10.0, 15.0, 20.0)


def tone(hz, *, phase=0.0, lags=3, step_s=2, sfreq=50):
    """Make a tone that goes on through all frames, latest first."""
    times = np.arange(lags * step_s * sfreq) / sfreq
    signal = np.cos(2 * np.pi * hz * times + phase).reshape(lags, 1, -1)[None, ::-1]
    return signal.astype(np.float32)


@pytest.mark.parametrize("hz", BANDS_HZ)
def test_a_tone_is_strongest_in_its_own_band(hz):
    power = np.asarray(FilterBank(BANDS_HZ, 50.0)(tone(hz)))
    assert power.shape == (1, 3, 1, 5)
    assert (power[0, :, 0].argmax(-1) == BANDS_HZ.index(hz)).all()


def test_power_does_not_depend_on_phase():
    bank = FilterBank(BANDS_HZ, 50.0)
    first, second = (np.asarray(bank(tone(10.0, phase=phase)))[0, 1, 0, 2] for phase in (0.0, 2.0))
    assert first == pytest.approx(second, abs=0.05)


def test_what_happens_in_a_frame_is_seen_in_that_frame():
    signal = 0.01 * np.random.default_rng(0).standard_normal((1, 5, 2, 100)).astype(np.float32)
    signal[0, 3, 1] += tone(10.0, lags=1)[0, 0, 0]
    power = np.asarray(FilterBank(BANDS_HZ, 50.0)(signal))[0, :, :, 2]
    assert np.unravel_index(power.argmax(), power.shape) == (3, 1)


def test_a_saved_layer_is_made_anew_from_its_configuration():
    layer = FilterBank(BANDS_HZ, 50.0, kernel_s=0.6)
    copy = keras.layers.deserialize(keras.layers.serialize(layer))
    np.testing.assert_array_equal(np.asarray(copy(tone(6.0))), np.asarray(layer(tone(6.0))))
