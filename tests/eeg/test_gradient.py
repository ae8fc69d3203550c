"""The artefact of the gradients is found where there is one, subtracted, and the EEG is left."""

import mne
import numpy as np
import pytest
from mne.preprocessing import GradientRemover
from scipy.signal import butter, detrend, resample_poly, sosfiltfilt, welch

from bids_eeg2fmri.eeg.downsampling import Signals, downsample
from bids_eeg2fmri.eeg.gradient import exceeding, in_step, neighbours, remove_gradient_artifact
from bids_eeg2fmri.testing.scanner import gradient_artifact

SFREQ, N_CHANNELS, N_VOLUMES, N_SLICES, TR_S = 5000.0, 6, 60, 20, 2.0
TR_EEG_S, ONSET_S = TR_S * (1 + 12e-6), 11.31234
NAMES = list("abcdef")


def eeg_of(seed, seconds):
    """1/f with an alpha rhythm that comes and goes, 15 uV, at 250 Hz."""
    rng = np.random.default_rng(seed)
    n = round(seconds * 250)
    hz = np.fft.rfftfreq(n, 1 / 250)
    colored = np.fft.rfft(rng.standard_normal((N_CHANNELS, n))) / np.sqrt(np.maximum(hz, 0.5))
    alpha = np.fft.rfft(rng.standard_normal((1, n))) * np.exp(-0.5 * (hz - 10) ** 2)
    eeg, rhythm = (np.fft.irfft(part, n) for part in (colored, alpha))
    eeg = eeg / eeg.std() + rng.uniform(0, 1, (N_CHANNELS, 1)) * rhythm / rhythm.std()
    return 15e-6 * eeg / eeg.std()


def record(*, seed=0, n_scanned=N_VOLUMES, n_dummies=0, peak_v=10e-3, seconds=150.0):
    """EEG as it is, and as it is recorded at 5 kHz with steps of half a microvolt; both low-passed."""
    eeg = resample_poly(eeg_of(seed, seconds), 20, 1, axis=1)
    artifact = gradient_artifact(
        eeg.shape[1],
        SFREQ,
        start_s=ONSET_S - n_dummies * TR_EEG_S,
        tr_s=TR_EEG_S,
        nominal_tr_s=TR_S,
        n_volumes=n_scanned,
        n_slices=N_SLICES,
        n_channels=N_CHANNELS,
        peak_v=peak_v,
        rng=np.random.default_rng([seed, 1]),
    )
    raws = [
        mne.io.RawArray(data, mne.create_info(NAMES, SFREQ, "eeg"), verbose="error")
        for data in (eeg, np.round((eeg + artifact) / 0.5e-6) * 0.5e-6)
    ]
    return [downsample(raw, NAMES) for raw in raws]


@pytest.fixture(scope="module")
def recorded():
    return record()


def clean(signals, **options):
    known = {"onset_s": ONSET_S, "tr_s": TR_EEG_S, "n_volumes": N_VOLUMES, "n_slices": N_SLICES}
    return remove_gradient_artifact(signals, **known | options)


def band(signals, start_s, stop_s):
    """From 1 to 40 Hz, between two times."""
    sections = butter(3, (1, 40), "bandpass", fs=signals.sfreq, output="sos")
    first, last = (round((t - signals.start_s) * signals.sfreq) for t in (start_s, stop_s))
    return sosfiltfilt(sections, signals.data)[:, first:last]


def agreement(cleaned, true, start_s=ONSET_S, stop_s=ONSET_S + N_VOLUMES * TR_EEG_S):
    """r of each channel with the EEG that was recorded, from 1 to 40 Hz."""
    expected, _ = in_step(true, onset_s=ONSET_S, tr_s=TR_EEG_S)
    pairs = zip(band(cleaned, start_s, stop_s), band(expected, start_s, stop_s), strict=True)
    return np.array([np.corrcoef(a, b)[0, 1] for a, b in pairs])


def test_harmonics_are_down_by_more_than_40_db_and_the_eeg_is_left(recorded):
    true, raw = recorded
    cleaned, found = clean(raw)
    assert agreement(in_step(raw, onset_s=ONSET_S, tr_s=TR_EEG_S)[0], true).max() < 0.5
    assert raw.data.std() > 5 * true.data.std()
    r = agreement(cleaned, true)
    assert np.median(r) > 0.97
    assert r.min() > 0.95
    assert found.corrected
    assert found.n_volumes == N_VOLUMES
    assert found.ratio > 3
    for before, after in (found.volume_db, found.slice_db):
        assert before - after > 40
        assert after < 1
    # A volume is a whole number of samples, and starts with one.
    assert cleaned.sfreq * TR_EEG_S == pytest.approx(400)
    samples = (ONSET_S - cleaned.start_s) * cleaned.sfreq
    assert samples == pytest.approx(round(samples), abs=1e-6)


def test_what_was_not_scanned_stays(recorded):
    true, raw = recorded
    cleaned, _ = clean(raw)
    # Where the scanner's sound starts, filters of the comparison reach into the scan.
    for start_s, stop_s in ((1.0, ONSET_S - 1), (ONSET_S + N_VOLUMES * TR_EEG_S + 1, 148.0)):
        assert agreement(cleaned, true, start_s, stop_s).min() > 0.99


def test_power_before_and_after_is_that_of_the_signals(recorded):
    true, raw = recorded
    _, found = clean(raw)
    before, after = map(np.array, found.spectra_db)
    freqs = np.array(found.freqs_hz)
    assert before.shape == after.shape == freqs.shape
    assert (freqs[0], freqs[-1]) == pytest.approx((1, 45), abs=0.126)  # by stretches of four volumes
    slices = np.isclose(freqs % (N_SLICES / TR_S), 0, atol=0.01) & (freqs > 15)  # at 10 Hz is the alpha rhythm
    assert (before - after)[slices].min() > 30
    scanned = in_step(true, onset_s=ONSET_S, tr_s=TR_EEG_S)[0].data[:, 2300:-5700]
    hz, power = welch(scanned, 200.0, nperseg=1600)
    expected = np.interp(freqs, hz, np.median(10 * np.log10(1e12 * power), axis=0))
    between = (freqs > 2) & (np.abs(freqs * 2 - np.rint(freqs * 2)) > 0.2)  # not at harmonics of the volumes
    assert np.abs(np.median((after - expected)[between])) < 0.5


def test_clean_eeg_is_recognized_and_left_alone(recorded):
    true, _ = recorded
    same, found = clean(true)
    assert same is true
    assert not found.corrected
    assert found.ratio < 0.2
    assert found.volume_db == found.slice_db == found.freqs_hz == ()


def test_what_was_cleaned_once_is_left_alone(recorded):
    _, raw = recorded
    once, _ = clean(raw)
    twice, found = clean(once)
    assert twice is once
    assert not found.corrected


@pytest.mark.parametrize(("n_dummies", "n_after"), [(3, 0), (0, 2)])
def test_dummies_and_what_follows_are_cleaned_too(n_dummies, n_after):
    true, raw = record(seed=1, n_scanned=n_dummies + N_VOLUMES - 10 + n_after, n_dummies=n_dummies)
    cleaned, found = clean(raw, n_volumes=N_VOLUMES - 10)
    assert found.n_volumes == n_dummies + N_VOLUMES - 10 + n_after
    scanned = (ONSET_S - n_dummies * TR_EEG_S, ONSET_S + (N_VOLUMES - 10 + n_after) * TR_EEG_S)
    for start_s in (scanned[0], scanned[1] - 6):
        assert agreement(cleaned, true, start_s, start_s + 6).min() > 0.9


def test_eeg_that_starts_late_and_ends_early_is_cleaned_where_volumes_are_whole():
    true, raw = record(seed=2, seconds=110.0)
    cut = Signals(raw.data[:, 3001:], raw.sfreq, raw.channels, 3001 / raw.sfreq)
    cleaned, found = clean(cut)
    # From 15 s on: the first two volumes began before; at 110 s, the eleventh last.
    assert found.n_volumes == 47
    assert agreement(cleaned, true, 17.5, 105.0).min() > 0.95


def test_too_few_volumes_are_left_alone(recorded):
    _, raw = recorded
    same, found = clean(raw, n_volumes=9)
    assert same is raw
    assert np.isnan(found.ratio)


def test_components_take_what_a_moving_head_leaves_and_nothing_of_the_eeg():
    true, raw = record(seed=3)
    # The head nods: every volume has more or less of one artifact.
    gain = 0.3 * np.sin(np.arange(N_VOLUMES) * 1.7)
    moving, _ = in_step(raw, onset_s=ONSET_S, tr_s=TR_EEG_S)
    still, first = in_step(true, onset_s=ONSET_S, tr_s=TR_EEG_S)
    artifact = moving.data - still.data
    scanned = slice(-first, -first + 400 * N_VOLUMES)
    moving.data[:, scanned] += artifact[:, scanned] * np.repeat(gain, 400)
    with_rest, _ = clean(moving, n_components=0)
    without, _ = clean(moving)
    assert np.median(agreement(with_rest, true)) < 0.8
    assert np.median(agreement(without, true)) > 0.95
    # Where nothing is left there is nothing to take.
    steady = clean(raw)[0].data, clean(raw, n_components=0)[0].data
    r = np.corrcoef(np.concatenate(steady))[range(N_CHANNELS), range(N_CHANNELS, 2 * N_CHANNELS)]
    assert r.min() > 0.999


def test_adaptive_noise_cancellation_takes_what_imperfect_templates_leave_and_nothing_of_the_eeg(recorded):
    true, raw = recorded
    moving, _ = in_step(raw, onset_s=ONSET_S, tr_s=TR_EEG_S)
    still, first = in_step(true, onset_s=ONSET_S, tr_s=TR_EEG_S)
    # The artifact comes a third of a sample early, and then late, as by a line through bad markers.
    artifact = np.gradient(moving.data - still.data, axis=1)
    scanned = slice(-first, -first + 400 * N_VOLUMES)
    moving.data[:, scanned] += 0.3 * artifact[:, scanned] * np.sin(np.arange(400 * N_VOLUMES) / 2000)
    without, cancelled = (
        np.median(agreement(clean(moving, n_components=0, adaptive_noise_cancellation=cancels)[0], true))
        for cancels in (False, True)
    )
    assert without < 0.85
    assert cancelled > 0.95
    # Where nothing is left there is nothing to take.
    usual, cleaned = (clean(raw, adaptive_noise_cancellation=cancels)[0] for cancels in (False, True))
    both = [band(of, ONSET_S, ONSET_S + N_VOLUMES * TR_EEG_S) for of in (usual, cleaned)]
    assert np.corrcoef(np.concatenate(both))[range(N_CHANNELS), range(N_CHANNELS, 2 * N_CHANNELS)].min() > 0.99


def test_eeg_that_holds_hardly_a_volume_or_nothing_is_left_alone(recorded):
    _, raw = recorded
    # The EEG was stopped within the first volume, or within its first samples; or nothing was connected.
    n = round((ONSET_S + 1.0) * raw.sfreq)
    for part in (slice(0, n), slice(n - 250, n), slice(n - 9, n)):
        short = Signals(raw.data[:, part], raw.sfreq, raw.channels, part.start / raw.sfreq)
        same, found = clean(short)
        assert same is short
        assert np.isnan(found.ratio)
    nothing = Signals(np.zeros_like(raw.data), raw.sfreq, raw.channels)
    same, found = clean(nothing)
    assert same is nothing
    assert not found.corrected


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_channel_that_holds_nothing_has_no_say(value, recorded):
    true, raw = recorded
    lost = np.full((1, raw.data.shape[1]), value, np.float32)
    with_lost = Signals(np.vstack([raw.data, lost]), raw.sfreq, (*raw.channels, "ECG"))
    cleaned, found = clean(with_lost)
    expected, _ = clean(raw)
    np.testing.assert_array_equal(cleaned.data[:-1], expected.data)
    np.testing.assert_array_equal(cleaned.data[-1], np.full(cleaned.data.shape[1], value))
    assert np.isfinite(found.ratio)
    assert not clean(Signals(np.vstack([true.data, lost]), raw.sfreq, (*raw.channels, "ECG")))[1].corrected


def test_slices_that_are_too_fast_have_no_harmonics_to_tell_of(recorded):
    _, raw = recorded
    _, found = clean(raw, n_slices=100)  # 50 a second
    assert found.slice_db == ()
    assert len(found.volume_db) == 2


@pytest.mark.parametrize("n_epochs", [40, 200])
def test_components_are_those_that_exceed_chance_however_many_epochs_there_are(n_epochs):
    rng = np.random.default_rng(5)
    course = np.sin(np.arange(90) / 5) / np.sqrt(45)
    noise = rng.standard_normal((n_epochs, 90))
    epochs = (noise + 12 * rng.standard_normal((n_epochs, 1)) * course).astype(np.float32)
    courses = exceeding(epochs, 4)
    assert courses.shape == (1, 90)
    assert abs(courses[0] @ course) > 0.97
    assert np.linalg.norm(courses[0]) == pytest.approx(1)
    assert exceeding(noise, 4).shape == (0, 90)
    assert exceeding(epochs, 0).shape == (0, 90)


def test_templates_are_those_of_mne():
    rng = np.random.default_rng(4)
    n_volumes, n = 30, 50
    data = 1e-5 * np.cumsum(rng.standard_normal((1, n_volumes * n)), axis=1)
    theirs = GradientRemover(data, np.arange(n_volumes) * n, window=(5, 5))
    ours = neighbours(detrend(data.reshape(n_volumes, n)).astype(np.float32), 10)
    for volume in range(5, n_volumes - 5):
        np.testing.assert_allclose(ours[volume], theirs.get_tr_template(volume)[0], atol=1e-9)


def test_the_first_and_last_volumes_have_neighbours_on_one_side():
    volumes = np.arange(8.0)[:, None] ** 2
    ours = neighbours(volumes, 4)[:, 0]
    expected = [
        np.mean(np.delete(np.arange(start, start + 5.0) ** 2, v - start))
        for v, start in enumerate((0, 0, 0, 1, 2, 3, 3, 3))
    ]
    np.testing.assert_allclose(ours, expected)
    np.testing.assert_allclose(neighbours(volumes, 99)[:, 0], (volumes.sum() - volumes[:, 0]) / 7)


@pytest.mark.parametrize("sfreq", [200.0, 204.8, 250.0])
def test_eeg_in_step_is_what_it_was_between_samples(sfreq):
    def at(times):
        return np.stack([np.sin(2 * np.pi * hz * times + hz) for hz in (3.0, 17.0, 39.0, 60.0)])

    signals = Signals(at(5 + np.arange(4000) / sfreq).astype(np.float32), sfreq, tuple("abcd"), 5.0)
    locked, first = in_step(signals, onset_s=8.12345, tr_s=1.23457)
    assert abs(locked.sfreq / sfreq - 1) < 0.5 / (1.23457 * sfreq)
    times = 8.12345 + (first + np.arange(locked.data.shape[1])) / locked.sfreq
    assert times[0] == pytest.approx(locked.start_s)
    assert 5.0 <= times[0] < 5.0 + 1 / sfreq
    inner = slice(20, -20)
    np.testing.assert_allclose(locked.data[:, inner], at(times)[:, inner], atol=2e-4)
