"""Loops of carbon wire: what they saw of the head goes, and what they did not see stays."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import butter, sosfiltfilt

from bids_eeg2fmri.eeg.downsampling import Signals
from bids_eeg2fmri.eeg.pulse import find_heartbeats, remove_pulse_artifact
from bids_eeg2fmri.eeg.wires import find_broken_loops, regress_loops
from bids_eeg2fmri.testing.scanner import head_jerks, pulse_artifact, turn_electrodes, wire_loops

SFREQ, SECONDS, N_CHANNELS = 200.0, 200.0, 12
EEG = tuple(f"E{number}" for number in range(N_CHANNELS))
LOOPS = ("CWL1", "CWL2", "CWL3", "CWL4")
ANGLES = np.arange(N_CHANNELS)
POSITIONS_M = np.stack([0.07 * np.cos(ANGLES), 0.08 * np.sin(ANGLES), 0.05 + 0.03 * np.cos(2 * ANGLES)], 1)
SECTIONS = butter(3, (1, 40), "bandpass", fs=SFREQ, output="sos")


def record(*, motion_v=250e-6, pulse_v=80e-6, seed=0):
    """EEG of 15 uV as it is; and as it is recorded, with an ECG and loops."""
    rng = np.random.default_rng(seed)
    times = np.arange(round(SECONDS * SFREQ)) / SFREQ
    hz = np.fft.rfftfreq(len(times), 1 / SFREQ)
    colored = np.fft.rfft(rng.standard_normal((N_CHANNELS, len(times)))) / np.sqrt(np.maximum(hz, 0.5))
    alpha = np.fft.rfft(rng.standard_normal((1, len(times)))) * np.exp(-0.5 * (hz - 10) ** 2)
    eeg, rhythm = (np.fft.irfft(part, len(times)) for part in (colored, alpha))
    eeg = eeg / eeg.std() + rng.uniform(0, 1.5, (N_CHANNELS, 1)) * rhythm / rhythm.std()
    true = 15e-6 * eeg / eeg.std()
    beats_s = np.cumsum(rng.normal(0.9, 0.05, 260)) + 0.3
    ecg = 1e-3 * sum(np.exp(-0.5 * ((times - beat) / 0.012) ** 2) for beat in beats_s if beat < SECONDS)
    turns = head_jerks(times, peak_v=motion_v, rng=rng)
    moved = turn_electrodes(turns, POSITIONS_M, rng)
    artifact, nod = pulse_artifact(times, beats_s[beats_s < SECONDS - 1], POSITIONS_M, peak_v=pulse_v, rng=rng)
    turns[0] += nod
    raw = np.vstack(
        [true + moved + artifact, ecg + 1e-5 * rng.standard_normal(len(times)), wire_loops(turns, len(LOOPS), rng)]
    )
    return Signals(true.astype(np.float32), SFREQ, EEG, 5.0), Signals(
        raw.astype(np.float32), SFREQ, (*EEG, "ECG", *LOOPS), 5.0
    )


@pytest.fixture(scope="module")
def recorded():
    return record()


def agreement(cleaned, true):
    """r of each EEG channel, from 1 to 40 Hz."""
    pairs = zip(*(sosfiltfilt(SECTIONS, of.of(EEG).data) for of in (cleaned, true)), strict=True)
    return np.array([np.corrcoef(a, b)[0, 1] for a, b in pairs])


def regress(signals, loops=LOOPS):
    return regress_loops(signals, loops, broken=find_broken_loops(signals, loops), keep=("ECG",))


def without_pulse(signals):
    beats_s, source = find_heartbeats(signals, "ECG")
    return remove_pulse_artifact(signals, beats_s, source=source, keep=("ECG",))[0]


def test_jerks_and_pulse_go_better_than_by_heartbeats_alone(recorded):
    true, raw = recorded
    cleaned, found = regress(raw)
    by_beats, by_both = without_pulse(raw.of((*EEG, "ECG"))), without_pulse(cleaned)
    assert np.median(agreement(raw, true)) < 0.65
    assert np.median(agreement(by_beats, true)) < 0.8
    assert np.median(agreement(by_both, true)) > 0.93
    assert agreement(by_both, true).min() > agreement(by_beats, true).min() + 0.15
    assert found.corrected
    assert found.loops == LOOPS
    assert found.left_out == {}
    before, after = found.size_uv
    assert before > 1.5 * after > 15
    assert found.alpha == pytest.approx(1, abs=0.1)


def test_what_loops_foretell_is_the_share_of_what_the_head_induced():
    true, raw = record(pulse_v=1e-9, seed=1)
    _, found = regress(raw)
    sections = butter(2, 0.5, "highpass", fs=SFREQ, output="sos")
    brain, everything = (sosfiltfilt(sections, of.of(EEG).data).var(1) for of in (true, raw))
    assert found.explained == pytest.approx(np.median(1 - brain / everything), abs=0.05)


def test_loops_go_and_the_ecg_stays_as_it_is(recorded):
    _, raw = recorded
    cleaned, _ = regress(raw)
    assert cleaned.channels == (*EEG, "ECG")
    np.testing.assert_array_equal(cleaned.data[-1], raw.of(["ECG"]).data[0])


@pytest.mark.parametrize("seed", range(3))
def test_loops_of_noise_take_nothing_from_the_eeg(seed):
    _, raw = record(motion_v=1e-9, pulse_v=1e-9, seed=seed)
    same, found = regress(raw)
    assert not found.corrected
    assert abs(found.explained) < 0.01
    np.testing.assert_array_equal(same.data, raw.of(same.channels).data)


@pytest.mark.parametrize("delay", [-3, 2])
def test_loops_that_come_some_ms_early_or_late_tell_as_much(delay, recorded):
    true, raw = recorded
    data = raw.data.copy()
    data[-len(LOOPS) :] = np.roll(data[-len(LOOPS) :], delay, axis=1)
    cleaned, _ = regress(replace(raw, data=data))
    assert np.median(agreement(without_pulse(cleaned), true)) > 0.9


def test_a_single_movement_in_a_silent_recording_is_coped_with(recorded):
    _, raw = recorded
    data = raw.data.copy()
    data[-len(LOOPS) :, :8000] = data[-len(LOOPS) :, 9000:] = 0
    cleaned, found = regress(replace(raw, data=data))
    # Nothing else tells whether the fit of that window is more than chance.
    assert not found.corrected
    assert np.isfinite(found.explained)
    np.testing.assert_array_equal(cleaned.data, raw.of(cleaned.channels).data)


def test_where_the_head_moves_once_the_rest_of_the_eeg_stays(recorded):
    """What is regressed everywhere must not be fitted to the EEG where nothing moved."""
    true, raw = recorded
    n = raw.data.shape[1]
    moves = np.arange(n) < n // 4
    noise = 2e-6 * np.random.default_rng(2).standard_normal((len(LOOPS), n))
    data = raw.data.copy()
    data[:N_CHANNELS] = np.where(moves, raw.data[:N_CHANNELS], true.data)
    data[-len(LOOPS) :] = np.where(moves, raw.data[-len(LOOPS) :], noise)
    cleaned, found = regress(replace(raw, data=data))
    assert found.corrected
    still = slice(n // 4 + 4000, None)
    left, was = (replace(of, data=of.of(EEG).data[:, still], channels=EEG) for of in (cleaned, true))
    assert agreement(left, was).min() > 0.99


def test_a_dead_a_stuck_and_a_broken_loop_are_left_out_and_told(recorded):
    _, raw = recorded
    data = np.vstack([raw.data, *np.zeros((3, 1, raw.data.shape[1]), np.float32)])
    data[-2, 1000] = np.nan
    data[-1] = np.clip(raw.of(["CWL2"]).data[0], -2e-5, 2e-5)  # at its limits through most jerks
    more = (*LOOPS, "CWL5", "CWL6", "CWL7")
    cleaned, found = regress(replace(raw, data=data, channels=(*raw.channels, *more[4:])), more)
    assert found.loops == LOOPS
    assert found.left_out == {
        "CWL5": "never changes",
        "CWL6": "holds values that are no numbers",
        "CWL7": "is stuck at the end of its range",
    }
    np.testing.assert_array_equal(cleaned.data, regress(raw)[0].data)


def test_a_loop_whose_amplifier_came_off_does_no_harm(recorded):
    true, raw = recorded
    data = raw.data.copy()
    data[-1] = 1e-2 * np.random.default_rng(3).standard_normal(data.shape[1])
    cleaned, _ = regress(replace(raw, data=data))
    assert np.median(agreement(without_pulse(cleaned), true)) > 0.9


def test_less_than_a_minute_and_no_loop_that_works_tell_nothing(recorded):
    _, raw = recorded
    for change in (
        replace(raw, data=raw.data[:, : round(59 * SFREQ)]),
        replace(raw, data=np.vstack([raw.data[:-4], np.zeros((4, raw.data.shape[1]), np.float32)])),
    ):
        same, found = regress(change)
        np.testing.assert_array_equal(same.data, change.of(same.channels).data)
        assert not found.corrected
        assert np.isnan(found.explained)


def test_an_eeg_channel_that_holds_nothing_has_no_say(recorded):
    _, raw = recorded
    data = raw.data.copy()
    data[0] = 0
    cleaned, found = regress(replace(raw, data=data))
    assert not cleaned.data[0].any()
    assert np.isfinite(cleaned.data).all()
    assert found.explained > 0.3
