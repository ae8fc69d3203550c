"""The artefact of the pulse is found where there is one, by the ECG or without it, and the EEG is left."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import butter, sosfiltfilt

from bids_eeg2fmri.eeg import gradient
from bids_eeg2fmri.eeg.alpha import alpha_preserved
from bids_eeg2fmri.eeg.downsampling import Signals
from bids_eeg2fmri.eeg.pulse import find_heartbeats, remove_pulse_artifact
from bids_eeg2fmri.errors import InputDataError
from bids_eeg2fmri.testing.scanner import pulse_artifact

SFREQ, SECONDS, N_CHANNELS = 200.0, 200.0, 12
NAMES = (*(f"E{number}" for number in range(N_CHANNELS)), "ECG")
POSITIONS_M = np.stack(
    [0.07 * np.cos(np.arange(N_CHANNELS)), 0.08 * np.sin(np.arange(N_CHANNELS)), np.full(N_CHANNELS, 0.05)], 1
)
SECTIONS = butter(3, (1, 40), "bandpass", fs=SFREQ, output="sos")


def record(*, peak_v=80e-6, seed=0):
    """EEG of 15 uV as it is; the same with the artefact; and the beats."""
    rng = np.random.default_rng(seed)
    times = np.arange(round(SECONDS * SFREQ)) / SFREQ
    hz = np.fft.rfftfreq(len(times), 1 / SFREQ)
    colored = np.fft.rfft(rng.standard_normal((N_CHANNELS, len(times)))) / np.sqrt(np.maximum(hz, 0.5))
    alpha = np.fft.rfft(rng.standard_normal((1, len(times)))) * np.exp(-0.5 * (hz - 10) ** 2)
    eeg, rhythm = (np.fft.irfft(part, len(times)) for part in (colored, alpha))
    eeg = eeg / eeg.std() + rng.uniform(0, 1, (N_CHANNELS, 1)) * rhythm / rhythm.std()
    beats_s = np.cumsum(rng.normal(0.9, 0.05, 260)) + 0.3
    beats_s = beats_s[beats_s < SECONDS - 1]
    ecg = 1e-3 * sum(np.exp(-0.5 * ((times - beat) / 0.012) ** 2) for beat in beats_s) + 1e-5 * rng.standard_normal(
        len(times)
    )
    artifact, _ = pulse_artifact(times, beats_s, POSITIONS_M, peak_v=peak_v, rng=rng)
    true = np.vstack([15e-6 * eeg / eeg.std(), ecg])
    raw = true + np.vstack([artifact, np.zeros(len(times))])
    return *(Signals(data.astype(np.float32), SFREQ, NAMES, 5.0) for data in (true, raw)), beats_s + 5.0


@pytest.fixture(scope="module")
def recorded():
    return record()


def agreement(a, b):
    """r of each EEG channel, from 1 to 40 Hz."""
    pairs = zip(sosfiltfilt(SECTIONS, a.data[:-1]), sosfiltfilt(SECTIONS, b.data[:-1]), strict=True)
    return np.array([np.corrcoef(x, y)[0, 1] for x, y in pairs])


def clean(signals, ecg="ECG", **options):
    beats_s, source = find_heartbeats(signals if ecg else signals.of(NAMES[:-1]), ecg)
    return remove_pulse_artifact(signals, beats_s, source=source, keep=("ECG",), **options)


def locked_variance(signals, beats_s):
    """Of the mean over heartbeats, in the median channel."""
    data = sosfiltfilt(SECTIONS, signals.data[:-1])
    where = np.rint((beats_s[1:-1] - signals.start_s) * SFREQ).astype(int)[:, None] + np.arange(-20, 150)
    return np.median([of[where].mean(0).var() for of in data])


@pytest.mark.parametrize("ecg", ["ECG", None])
def test_what_is_locked_to_heartbeats_goes_and_the_eeg_stays(ecg, recorded):
    true, raw, beats_s = recorded
    assert np.median(agreement(raw, true)) < 0.65
    cleaned, found = clean(raw, ecg)
    r = agreement(cleaned, true)
    assert np.median(r) > 0.94
    assert r.min() > 0.85
    assert locked_variance(cleaned, beats_s) < 0.02 * locked_variance(raw, beats_s)
    assert found.corrected
    assert found.source == (ecg or "EEG")
    assert found.n_beats == pytest.approx(len(beats_s), abs=4)
    before, after = found.locked_uv
    assert 10 < before < 40
    assert after < 1
    # Alpha and what is faster is as it was.
    hz = np.fft.rfftfreq(raw.data.shape[1], 1 / SFREQ)
    fast = (hz > 9) & (hz < 40)
    power = [(np.abs(np.fft.rfft(s.data[:-1]))[:, fast] ** 2).sum(1) for s in (cleaned, true)]
    np.testing.assert_allclose(power[0] / power[1], 1, atol=0.1)


def test_the_ecg_stays_as_it_is(recorded):
    _, raw, _ = recorded
    cleaned, _ = clean(raw)
    np.testing.assert_array_equal(cleaned.data[-1], raw.data[-1])
    assert cleaned.channels == raw.channels


def test_beats_are_found_where_they_are_with_and_without_ecg(recorded):
    _, raw, beats_s = recorded
    for ecg, tolerance_s in (("ECG", 0.02), (None, 0.15)):
        found_s, _ = find_heartbeats(raw if ecg else raw.of(NAMES[:-1]), ecg)
        nearest = np.abs(found_s[:, None] - beats_s).min(1)
        assert np.median(nearest) < tolerance_s
        assert np.mean(nearest < 2 * tolerance_s) > 0.9


def test_an_ecg_that_holds_no_heart_is_replaced_by_the_eeg(recorded):
    true, raw, _ = recorded
    noise = np.random.default_rng(1).standard_normal(raw.data.shape[1]).astype(np.float32)
    broken = replace(raw, data=np.vstack([raw.data[:-1], 1e-4 * noise]))
    cleaned, found = clean(broken)
    assert found.source == "EEG"
    assert np.median(agreement(cleaned, true)) > 0.94


def test_eeg_without_artefact_is_recognized_and_left_alone(recorded):
    true, _, _ = recorded
    same, found = clean(true)
    assert same is true
    assert not found.corrected
    assert found.ratio < 0.15


def test_what_was_cleaned_once_is_left_alone(recorded):
    _, raw, _ = recorded
    once, _ = clean(raw)
    twice, found = clean(once)
    assert twice is once
    assert not found.corrected


def test_without_heartbeats_the_reasons_are_told(recorded):
    true, _, _ = recorded
    with pytest.raises(InputDataError, match="no ECG channel that is not marked as bad; EEG: expected"):
        find_heartbeats(true.of(NAMES[:-1]), None)
    flat = replace(true, data=np.vstack([true.data[:-1], np.zeros(true.data.shape[1], np.float32)]))
    with pytest.raises(InputDataError, match="ECG: expected a signal that varies, found a constant; EEG: expected"):
        find_heartbeats(flat, "ECG")


@pytest.mark.parametrize("seed", range(3))
def test_slow_waves_of_sleep_are_no_heart(seed):
    """Without an ECG, something as regular as a heart and larger than the EEG must not be taken for its artefact."""
    true, _, _ = record(seed=seed)
    rng = np.random.default_rng([seed, 1])
    n = true.data.shape[1]
    wandering = np.convolve(rng.standard_normal(n), np.hanning(400) / 20, "same")
    phase = np.cumsum(2 * np.pi * (0.85 + 0.05 * wandering) / SFREQ)
    waves = 60e-6 * (1 + 0.4 * np.sin(np.arange(n) / 9000)) * np.sin(phase)
    asleep = replace(true, data=(true.data + np.outer([*np.linspace(0.5, 1, N_CHANNELS), 0], waves)).astype(np.float32))
    with pytest.raises(InputDataError, match="EEG: expected"):
        find_heartbeats(asleep.of(NAMES[:-1]), None)


def test_few_beats_tell_nothing(recorded):
    _, raw, beats_s = recorded
    same, found = remove_pulse_artifact(raw, beats_s[:29], source="ECG")
    assert same is raw
    assert (found.n_beats, found.corrected) == (29, False)
    assert np.isnan(found.ratio)


def test_components_take_what_differs_between_beats():
    true, raw, _ = record(peak_v=200e-6, seed=2)
    mean_only, _ = clean(raw, n_components=0)
    with_components, _ = clean(raw)
    assert np.median(agreement(with_components, true)) > np.median(agreement(mean_only, true))
    assert agreement(with_components, true).min() > agreement(mean_only, true).min() + 0.02


def test_alpha_that_is_left_is_that_of_the_eeg_as_it_was(recorded):
    true, raw, _ = recorded
    cleaned, found = clean(raw)
    assert found.alpha == pytest.approx(alpha_preserved(true.data[:-1], cleaned.data[:-1], SFREQ), abs=0.05)
    assert found.alpha == pytest.approx(1, abs=0.1)


def test_a_correction_that_takes_too_much_is_seen_by_the_alpha_that_is_gone(recorded, monkeypatch):
    true, raw, _ = recorded
    monkeypatch.setattr(gradient, "MARGIN", 0.0)  # components count, whether chance has them or not
    cleaned, found = clean(raw, n_components=4)
    assert found.alpha == pytest.approx(alpha_preserved(true.data[:-1], cleaned.data[:-1], SFREQ), abs=0.05)
    assert found.alpha < 0.5
    assert found.locked_uv[1] < 1  # which this does not show
