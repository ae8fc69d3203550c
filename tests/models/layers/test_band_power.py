import numpy as np
import pytest

from bids_eeg2fmri.errors import UsageError
from bids_eeg2fmri.evaluation.baselines import BANDS_HZ as BANDS_OF_THE_BASELINES
from bids_eeg2fmri.evaluation.baselines import band_weights
from bids_eeg2fmri.models.layers.band_power import BANDS_HZ, BandPower

FREQS_HZ = (2.0, 5.0, 6.0, 9.0, 10.0, 11.0, 20.0)


@pytest.fixture
def frames():
    return np.random.default_rng(0).normal(-110, 4, (60, 3, 7)).astype(np.float32)


def adapted(frames, **options):
    layer = BandPower(FREQS_HZ, **options)
    layer.build((None, 5, 3, 7))
    layer.adapt(frames)
    return layer


def test_bands_are_those_of_the_baselines():
    assert BANDS_HZ == BANDS_OF_THE_BASELINES
    np.testing.assert_array_equal(BandPower(FREQS_HZ).average, band_weights(np.array(FREQS_HZ)))


def test_each_channel_and_band_has_mean_0_and_deviation_1(frames):
    outputs = np.asarray(adapted(frames)(frames[:, None]))[:, 0]
    assert outputs.shape == (60, 3, 4)
    np.testing.assert_allclose(outputs.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(outputs.std(0), 1, atol=1e-4)
    alpha = frames[:, :, 3:6].mean(2)
    np.testing.assert_allclose(outputs[:, :, 2], (alpha - alpha.mean(0)) / alpha.std(0), atol=1e-3)


def test_what_hardly_varied_says_nothing_whatever_comes(frames):
    """Rounding leaves a deviation to a channel without a signal."""
    frames[:, 1] = -200 + 1e-3 * frames[:, 1]
    layer = adapted(frames)
    outputs = np.asarray(layer(np.zeros((2, 5, 3, 7), np.float32)))
    assert not outputs[:, :, 1].any()
    assert np.abs(outputs[:, :, 0]).min() > 1


def test_bands_beyond_the_spectrum_are_refused_in_words():
    with pytest.raises(UsageError, match=r"bands_hz: expected bands between 2 and 20 Hz, found \[\[50.0, 70.0\]\]"):
        BandPower(FREQS_HZ, [(50, 70)])
