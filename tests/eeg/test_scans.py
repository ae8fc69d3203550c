import logging
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d
from scipy.signal import butter, fftconvolve, firwin, sosfilt

from bids_eeg2fmri.eeg import scans
from bids_eeg2fmri.eeg.scans import find_scans

FINE_HZ = 20_000
LEAD_S = 0.04


@dataclass(frozen=True)
class Scanner:
    """Slices alike, one after the other; times by the scanner's clock, ``drift_ppm`` by how much longer they are by EEG."""

    tr_s: float = 2.16
    n_slices: int = 24
    delay_s: float = 0.0  # silent, at the end of each volume
    drift_ppm: float = 0.0
    fat_saturation: bool = True

    @property
    def period_s(self) -> float:
        return self.tr_s * (1 + 1e-6 * self.drift_ppm)

    @property
    def slice_s(self) -> float:
        return (self.tr_s - self.delay_s) / self.n_slices

    def volumes(self, onset_s: float, n: int) -> np.ndarray:
        return onset_s + self.period_s * np.arange(n)


EPI = Scanner()
SEVEN = (7.1234567, 7)  # onset in s and number of volumes


@cache
def slice_artefact(slice_s: float, fat_saturation: bool, sfreq: float) -> np.ndarray:
    """Voltage that the three gradients induce (3, samples at 20 kHz), the first of them at 40 ms; 1 at most.

    It follows their change: short pulses at ramps, mV before and hundreds of uV after the 250 Hz low-pass of an amplifier.
    """
    gradients = np.zeros((3, int((slice_s + 2.5 * LEAD_S) * FINE_HZ)))

    def switch(start_ms: float, end_ms: float, *strength: float) -> None:
        n = round((end_ms - start_ms) * FINE_HZ / 1000)
        first = round((LEAD_S + start_ms / 1000) * FINE_HZ)
        ramps = np.clip(np.minimum(np.arange(1, n + 1), np.arange(n, 0, -1)) * 1000 / FINE_HZ / 0.2, 0, 1)
        gradients[:, first : first + n] += np.outer(strength, ramps)

    at = 0.0
    if fat_saturation:
        switch(0, 3, 0.8, 0.7, 0.9)
        at = 8.0
    switch(at, at + 3, 0.1, 0, 0.6)  # slice selection
    switch(at + 3.2, at + 4.4, -0.3, 0.2, -0.8)
    spoiler = max(at + 6, min(60, 1000 * slice_s) - 8)
    for i, start in enumerate(np.arange(at + 5, spoiler - 1, 0.5)):
        switch(start, start + 0.5, (-1) ** i, 0.05, 0)  # readout
    switch(spoiler, spoiler + 3, 0.2, 0.3, 0.9)
    voltage = sosfilt(butter(4, 250, fs=FINE_HZ, output="sos"), np.diff(gradients, axis=1, prepend=0), axis=1)
    if sfreq < 2000:  # stored at a lower rate, with a filter that has no delay
        voltage = fftconvolve(
            voltage, firwin(int(16 * FINE_HZ / sfreq) + 1, 0.43 * sfreq, fs=FINE_HZ)[None], "same", axes=1
        )
    return voltage / np.abs(voltage).max()


def artefact(scanner: Scanner, runs, times: np.ndarray, mix: np.ndarray) -> np.ndarray:
    """Of runs, each an onset in s and a number of volumes that need not be whole. 1 is some 10 mV."""
    wave = slice_artefact(scanner.slice_s, scanner.fat_saturation, round(1 / (times[1] - times[0])))
    fine_s = np.arange(wave.shape[1]) / FINE_HZ - LEAD_S
    induced = np.zeros((3, len(times)))
    for onset_s, n_volumes in runs:
        for i in range(round(n_volumes * scanner.n_slices)):
            volume, number = divmod(i, scanner.n_slices)
            onset = onset_s + (volume * scanner.tr_s + number * scanner.slice_s) * scanner.period_s / scanner.tr_s
            a, b = np.searchsorted(times, [onset + fine_s[0], onset + fine_s[-1]])
            induced[:, a:b] += [np.interp(times[a:b] - onset, fine_s, axis) for axis in wave]
    return mix @ induced


class Recording:
    """EEG of 20 uV with 1/f spectrum and the pulse artefact of the static field, to which artefacts can be added."""

    def __init__(self, *, duration_s=30.0, sfreq=1000.0, n_channels=5, seed=0, bpm=66.0):
        self.rng = rng = np.random.default_rng(seed)
        self.sfreq, self.times = sfreq, np.arange(round(duration_s * sfreq)) / sfreq
        freqs_hz = np.fft.rfftfreq(len(self.times), 1 / sfreq)
        spectrum = rng.standard_normal((n_channels, len(freqs_hz), 2)) @ [1, 1j] / np.maximum(freqs_hz, 0.5)
        eeg = np.fft.irfft(spectrum, len(self.times))
        self.data = 20e-6 * eeg / eeg.std() + 0.5e-6 * rng.standard_normal(eeg.shape) + 0.01
        # Leads lie differently in the field: other gains and signs in every channel.
        self.mix = rng.standard_normal((n_channels, 3)) * rng.uniform(0.5, 1.5, (n_channels, 1))
        for beat_s in np.cumsum(rng.normal(60 / bpm, 0.03, int(duration_s * bpm / 60))):
            since = np.clip(self.times - beat_s, 0, None)
            self.data += 2e-3 * self.mix[:, :1] * np.sin(10 * np.pi * since) * since * np.exp(-8 * since)

    def scan(self, scanner=EPI, runs=(SEVEN,), *, volt=10e-3):
        self.data += volt * artefact(scanner, runs, self.times, self.mix)
        return self

    def prescan(self, start_s, end_s, *, volt=10e-3):
        """Gradients of any other kind."""
        a, b = np.searchsorted(self.times, [start_s, end_s])
        pulses = np.where(self.rng.random((3, b - a)) < 0.04, self.rng.standard_normal((3, b - a)), 0)
        self.data[:, a:b] += volt * self.mix @ gaussian_filter1d(pulses, self.sfreq / 700, axis=1)
        return self

    def find(self, raw_of, *, tr_s=EPI.tr_s):
        channels = list("abcdefg"[: len(self.data)])
        return find_scans(raw_of(self.data, self.sfreq), channels, tr_s=tr_s)


def assert_volumes(found, *expected, within_ms=2.0):
    assert [len(onsets) for onsets in found] == [len(onsets) for onsets in expected]
    for onsets, truth in zip(found, expected, strict=True):
        np.testing.assert_allclose(1e3 * (onsets - truth), 0, atol=within_ms)


@pytest.mark.parametrize("sfreq", [5000.0, 1000.0, 512.0, 250.0])
@pytest.mark.parametrize(
    "scanner",
    [
        EPI,
        Scanner(tr_s=1.28, n_slices=13, drift_ppm=90),  # multiband
        Scanner(tr_s=2.0731, n_slices=50, fat_saturation=False, drift_ppm=-160),
        Scanner(tr_s=2.5, n_slices=21, delay_s=0.7),
    ],
)
def test_every_volume_is_found_where_its_first_gradient_starts(scanner, sfreq, raw_of):
    onset_s, n = SEVEN
    recording = Recording(sfreq=sfreq, n_channels=4).scan(scanner)
    assert_volumes(recording.find(raw_of, tr_s=scanner.tr_s), scanner.volumes(onset_s, n))


def test_the_drift_of_a_clock_is_followed_to_the_end(raw_of):
    scanner = replace(EPI, drift_ppm=-200)
    (onsets,) = Recording(duration_s=140, n_channels=2).scan(scanner, [(7.1, 61)]).find(raw_of)
    assert len(onsets) == 61
    assert np.diff(onsets) == pytest.approx(scanner.period_s, rel=0.5e-6)


def test_a_wrong_repetition_time_in_the_header_takes_many_volumes_to_be_believed(raw_of):
    recording = Recording(duration_s=80, n_channels=3).scan(EPI, [(7.1, 32)])
    assert_volumes(recording.find(raw_of, tr_s=EPI.tr_s / 1.0049), EPI.volumes(7.1, 32))
    assert Recording().scan().find(raw_of, tr_s=EPI.tr_s / 1.0049) == []


def test_another_repetition_time_is_not_found(raw_of):
    scanner = replace(EPI, delay_s=0.3)
    assert Recording(duration_s=50, n_channels=3).scan(scanner, [(7.1, 17)]).find(raw_of, tr_s=2.0) == []


def test_aborted_starts_and_runs_are_told_apart(raw_of):
    recording = Recording(duration_s=80).scan(EPI, [(3.1, 2.3), (11.7, 4.5), (26.03, 8), (49.49, 10)])
    assert_volumes(recording.find(raw_of), EPI.volumes(11.7, 4), EPI.volumes(26.03, 8), EPI.volumes(49.49, 10))


def test_an_incomplete_last_volume_does_not_count(raw_of):
    for n_slices in (1, 11, 23):
        recording = Recording().scan(EPI, [(7.1, 6 + n_slices / 24)])
        assert_volumes(recording.find(raw_of), EPI.volumes(7.1, 6))


def test_the_silent_delay_of_the_last_volume_is_not_missed(raw_of):
    scanner = replace(EPI, delay_s=0.6)
    end_s = 7.1 + 6 * EPI.tr_s
    for missing_s, n in ((0.5, 6), (0.7, 5)):
        recording = Recording(duration_s=end_s - missing_s).scan(scanner, [(7.1, 9)])
        assert_volumes(recording.find(raw_of), scanner.volumes(7.1, n))


def test_a_start_that_is_not_in_the_file_is_left_out(raw_of, caplog):
    caplog.set_level(logging.INFO, logger="bids_eeg2fmri")
    for onset_s, delay_s in ((-9.4, 0.0), (-1.7, 0.6), (-0.01, 0.0), (0.3, 0.6)):
        recording = Recording(duration_s=35, n_channels=3)
        recording.scan(replace(EPI, delay_s=delay_s), [(onset_s, 9), (23.3, 5)])
        assert_volumes(recording.find(raw_of), EPI.volumes(23.3, 5))
        assert "s, left out: its beginning is not in the file" in caplog.text
        caplog.clear()
    assert_volumes(Recording().scan(EPI, [(0.8, 7)]).find(raw_of), EPI.volumes(0.8, 7))


def test_a_head_that_moves_slowly_does_not_matter(raw_of):
    recording = Recording(duration_s=60)
    scanned = artefact(EPI, [(7.1, 23)], recording.times, recording.mix)
    recording.data += 10e-3 * scanned * (1 + np.linspace(0, 0.2, 5)[:, None] * recording.times / 60)
    assert_volumes(recording.find(raw_of), EPI.volumes(7.1, 23))


def test_a_jerk_in_between_does_not_end_a_run(raw_of):
    recording = Recording(duration_s=40).scan(EPI, [(7.1, 12)])
    a, b = np.searchsorted(recording.times, [15.0, 19.0])
    recording.prescan(15.0, 17.5)
    recording.data[:, b - 900 : b] = recording.data[:, a : a + 1]  # and an amplifier at its limit
    assert_volumes(recording.find(raw_of), EPI.volumes(7.1, 12))


def test_a_start_that_the_amplifier_missed_is_left_out(raw_of, caplog):
    caplog.set_level(logging.INFO, logger="bids_eeg2fmri")
    recording = Recording(duration_s=40).scan(EPI, [(7.1, 12)])
    recording.data[:, recording.times < 15.0] = 0.016
    assert recording.find(raw_of) == []
    assert "the amplifier is at its limit" in caplog.text


def test_broken_and_saturated_channels_do_not_matter(raw_of):
    recording = Recording(n_channels=7, sfreq=5000.0).scan()
    data = recording.data
    data[1] = 0.3
    data[2, 12_345] = np.nan
    data[3] = np.nan
    data[5] = np.clip(data[5], 0.01 - 1e-3, 0.01 + 1e-3)
    data[6] += 0.4e-3 * np.sin(2 * np.pi * 50 * recording.times)
    assert_volumes(recording.find(raw_of), EPI.volumes(*SEVEN))
    data[:] = np.nan
    assert recording.find(raw_of) == []


def test_gradients_of_another_kind_are_no_volumes(raw_of):
    localizer = Scanner(tr_s=0.0877, n_slices=1)
    recording = Recording(duration_s=70).prescan(1.0, 2.2).scan(localizer, [(5.3, 160)]).prescan(20.0, 28.9)
    recording.scan(EPI, [(29.4, 15)])
    assert_volumes(recording.find(raw_of), EPI.volumes(29.4, 15))


def test_other_gradients_until_the_start_leave_no_doubt_or_no_answer(raw_of):
    for pause_s in (0.003, 0.03, 0.2):
        found = Recording().prescan(5.3, 7.1 - pause_s).scan(EPI, [(7.1, 7)]).find(raw_of)
        assert_volumes(found, *([EPI.volumes(7.1, 7)] if pause_s > 0.1 else []))


def test_slices_of_another_kind_before_the_first_are_not_taken_for_it(raw_of):
    other = replace(EPI, fat_saturation=False)
    for n_slices in (1, 5, 31):
        start_s = 9.1 - n_slices * EPI.slice_s
        assert Recording().scan(other, [(start_s, n_slices / 24)]).scan(EPI, [(9.1, 7)]).find(raw_of) == []


def clean(recording):
    pass


def muscle(recording):
    bursts = gaussian_filter1d((recording.rng.random(len(recording.times)) < 5e-4).astype(float), 200) > 4e-4
    recording.data += 150e-6 * bursts * recording.rng.standard_normal(recording.data.shape)


def movement(recording):
    for at_s in np.arange(1.3, 29, EPI.tr_s):
        since = np.clip(recording.times - at_s, 0, None)
        recording.data += recording.rng.normal(0, 2e-3, (5, 1)) * since * np.exp(-6 * since)


def mains(recording):
    harmonics = [np.sin(2 * np.pi * 50 * i * recording.times) / i for i in (1, 2, 3, 5)]
    recording.data += 2e-3 * recording.mix[:, :1] * np.sum(harmonics, axis=0) * (recording.times > 6.2)


def pulses_of_a_stimulator(recording):
    phase_s = recording.times % (EPI.tr_s / 240)
    recording.data += 5e-3 * recording.mix[:, :1] * (phase_s < 2e-3) * (recording.times > 6.2)


def stimuli(recording):
    phase_s = recording.times % EPI.tr_s
    on = (recording.times > 6.2) & (phase_s < 0.5)
    recording.data += 100e-6 * on * (phase_s * 17 % 1 < 0.5)


def large_stimuli(recording):
    recording.data += 5e-3 * ((recording.times > 6.2) & (recording.times % EPI.tr_s < 0.01))


def heart(recording):
    beats = recording.times % (EPI.tr_s / 3)
    recording.data += 3e-3 * recording.mix[:, :1] * beats * np.exp(-8 * beats) * np.sin(10 * np.pi * beats)


def residual_of_cleaning(recording):
    recording.scan(volt=100e-6)


@pytest.mark.parametrize(
    "add",
    [clean, muscle, movement, mains, pulses_of_a_stimulator, stimuli, large_stimuli, heart, residual_of_cleaning],
)
def test_finds_nothing_where_nothing_was_scanned(add, raw_of):
    recording = Recording()
    add(recording)
    assert recording.find(raw_of) == []


def test_fewer_than_four_volumes_and_short_files_are_left_out(raw_of):
    assert Recording().scan(EPI, [(7.1, 3.9)]).find(raw_of) == []
    assert len(Recording().scan(EPI, [(7.1, 4)]).find(raw_of)) == 1
    assert Recording(duration_s=3).find(raw_of) == []
    assert find_scans(raw_of(Recording().data, 1000.0), [], tr_s=2.0) == []


def test_a_gradient_that_most_channels_know_little_of_is_the_first_all_the_same(raw_of):
    recording = Recording(n_channels=3, seed=1)
    recording.mix[:2] -= np.outer(recording.mix[:2] @ [0.8, 0.7, 0.9], [0.8, 0.7, 0.9]) / 1.94 * 0.98
    assert_volumes(recording.scan().find(raw_of), EPI.volumes(*SEVEN))


def test_an_electrode_that_pops_before_the_start_is_not_the_start(raw_of):
    for before_s in (0.5, 0.09, 0.04, 0.01):
        recording = Recording().scan()
        recording.data[2] += 1e-3 * (recording.times > SEVEN[0] - before_s)
        assert_volumes(recording.find(raw_of), *([EPI.volumes(*SEVEN)] if before_s > 0.05 else []))


@pytest.mark.parametrize("sfreq", [3000.0, 300.0])
def test_the_length_of_the_stretches_changes_nothing(sfreq, monkeypatch, raw_of):
    recording = Recording(duration_s=21.4321, sfreq=sfreq, n_channels=3).scan(runs=[(4.4, 6)])
    (at_once,) = recording.find(raw_of)
    monkeypatch.setattr(scans, "CHUNK_S", 0.77)
    np.testing.assert_allclose(recording.find(raw_of), [at_once], rtol=1e-12)


def test_the_log_tells_what_was_found(raw_of, caplog):
    caplog.set_level(logging.INFO, logger="bids_eeg2fmri")
    Recording().scan().find(raw_of)
    assert "EEG shows 7 volumes from 7.12" in caplog.text
    assert "s on, 2.1600" in caplog.text


@given(
    tr_s=st.floats(0.8, 3),
    slice_ms=st.floats(36, 120),
    delay_s=st.floats(0, 0.3),
    drift_ppm=st.floats(-200, 200),
    onset_s=st.floats(0, 5),
    n_volumes=st.floats(4, 9),
    volt=st.floats(3e-3, 20e-3),
    fat_saturation=st.booleans(),
    prescan_s=st.sampled_from([None, 0.0, 0.01, 0.15]),
    seed=st.integers(0, 99),
)
def test_no_onset_is_wrong(
    tr_s, slice_ms, delay_s, drift_ppm, onset_s, n_volumes, volt, fat_saturation, prescan_s, seed, raw_of
):
    n_slices = int((tr_s - delay_s) / slice_ms * 1000)
    scanner = Scanner(tr_s, n_slices, delay_s, drift_ppm, fat_saturation)
    recording = Recording(duration_s=onset_s + (n_volumes + 1) * tr_s, n_channels=3, seed=seed)
    recording.scan(scanner, [(onset_s, n_volumes)], volt=volt)
    if prescan_s is not None:
        recording.prescan(max(0, onset_s - 0.8), max(0, onset_s - prescan_s), volt=volt)
    found = recording.find(raw_of, tr_s=tr_s)
    whole = round(n_volumes * n_slices) // n_slices
    # Slices in close succession fade into each other, which can leave a doubt.
    if found or (prescan_s is None and onset_s > 0.8 and slice_ms > 60):
        assert_volumes(found, scanner.volumes(onset_s, whole), within_ms=5)
