"""What a reference foretells goes, and what it does not stays."""

import numpy as np
import pytest
from scipy.signal import butter, sosfiltfilt

from bids_eeg2fmri.eeg.noise_cancellation import cancel_noise

SFREQ, N = 200.0, 24_000


def agreement(a, b):
    """r of each channel, from 1 to 40 Hz, once the filter has found its way."""
    sections = butter(3, (1, 40), "bandpass", fs=SFREQ, output="sos")
    pairs = zip(*(sosfiltfilt(sections, of)[:, 2000:] for of in (a, b)), strict=True)
    return np.array([np.corrcoef(x, y)[0, 1] for x, y in pairs])


@pytest.fixture(scope="module")
def signals():
    """EEG, and a reference of its own for each channel, in V."""
    rng = np.random.default_rng(0)
    hz = np.fft.rfftfreq(N, 1 / SFREQ)
    eeg = np.fft.irfft(np.fft.rfft(rng.standard_normal((3, N))) / np.sqrt(np.maximum(hz, 0.5)), N)
    return 15e-6 * eeg / eeg.std(), 1e-3 * rng.standard_normal((3, N))


def test_what_slowly_changes_its_size_and_delay_is_followed(signals):
    eeg, reference = signals
    size = 0.03 * np.sin(np.arange(N) / 3000)
    artefact = size * reference + 0.03 * np.roll(reference, 1, axis=1)
    left = cancel_noise(eeg + artefact, reference, SFREQ)
    assert agreement(eeg + artefact, eeg).max() < 0.8
    assert agreement(left, eeg).min() > 0.93


def test_eeg_that_has_nothing_of_the_reference_stays(signals):
    eeg, reference = signals
    assert agreement(cancel_noise(eeg, reference, SFREQ), eeg).min() > 0.99
    np.testing.assert_allclose(cancel_noise(eeg, np.zeros_like(eeg), SFREQ), eeg, rtol=1e-6)


def test_a_reference_that_pauses_does_no_harm(signals):
    eeg, reference = signals
    pausing = reference * (np.arange(N) // 1000 % 2)
    left = cancel_noise(eeg + 0.05 * pausing, pausing, SFREQ)
    assert agreement(left, eeg).min() > 0.95
