"""Alpha that is left is told as it is, whatever else a correction takes."""

import numpy as np
import pytest

from bids_eeg2fmri.eeg.alpha import alpha_preserved

SFREQ, SECONDS = 200.0, 120.0
FREQS = np.fft.rfftfreq(round(SECONDS * SFREQ), 1 / SFREQ)


def noise(gain, n_channels, seed):
    """Of 1 uV, with a gain over frequency."""
    rng = np.random.default_rng(seed)
    signal = np.fft.irfft(np.fft.rfft(rng.standard_normal((n_channels, round(SECONDS * SFREQ)))) * gain)
    return 1e-6 * signal / signal.std()


BACKGROUND = 8 * noise(1 / np.sqrt(np.maximum(FREQS, 0.5)), 7, 0)
ALPHA = np.array([[8.0], [6.0], [9.0], [7.0], [0.0], [0.0], [0.0]]) * noise(np.exp(-0.5 * (FREQS - 9.6) ** 2), 1, 1)


@pytest.mark.parametrize("share", [1.0, 0.6, 0.1, 0.0])
def test_what_is_left_is_told_although_an_artefact_goes(share):
    artefact = 30 * noise(np.where(FREQS > 0.5, np.exp(-FREQS / 4), 0), 7, 2)
    before, after = BACKGROUND + ALPHA + artefact, BACKGROUND + np.sqrt(share) * ALPHA
    assert alpha_preserved(before, after, SFREQ) == pytest.approx(share, abs=0.1)


def test_jerks_have_no_say():
    jerks = np.zeros_like(ALPHA)
    jerks[:, ::6000] = 2e-3
    assert alpha_preserved(BACKGROUND + ALPHA + jerks, BACKGROUND + ALPHA, SFREQ) == pytest.approx(1, abs=0.1)


def test_without_alpha_there_is_nothing_to_tell():
    assert np.isnan(alpha_preserved(BACKGROUND, BACKGROUND, SFREQ))
    assert np.isnan(alpha_preserved(np.zeros_like(ALPHA), np.zeros_like(ALPHA), SFREQ))
    assert np.isnan(alpha_preserved((BACKGROUND + ALPHA)[:, :3000], ALPHA[:, :3000], SFREQ))


def test_channels_that_hold_nothing_have_no_say():
    before = np.vstack([BACKGROUND + ALPHA, np.zeros((2, ALPHA.shape[1]))])
    assert alpha_preserved(before, before, SFREQ) == 1
