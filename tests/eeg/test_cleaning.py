"""Both artefacts together: each would stay in the EEG a little through what is done against the other."""

import numpy as np
import pytest
from scipy.signal import butter, sosfiltfilt

from bids_eeg2fmri.eeg.cleaning import remove_scanner_artifacts
from bids_eeg2fmri.eeg.downsampling import Signals
from bids_eeg2fmri.eeg.gradient import remove_gradient_artifact
from bids_eeg2fmri.eeg.pulse import find_heartbeats, remove_pulse_artifact
from bids_eeg2fmri.testing.scanner import gradient_artifact, head_jerks, pulse_artifact, turn_electrodes, wire_loops

SFREQ, N_CHANNELS, N_VOLUMES, TR_S, ONSET_S = 200.0, 12, 90, 2.0, 8.0
NAMES = (*(f"E{number}" for number in range(N_CHANNELS)), "ECG")
ANGLES = np.arange(N_CHANNELS)
POSITIONS_M = np.stack([0.07 * np.cos(ANGLES), 0.08 * np.sin(ANGLES), np.full(N_CHANNELS, 0.05)], 1)
SCAN = {"onsets_s": ONSET_S + TR_S * np.arange(N_VOLUMES), "tr_s": TR_S, "n_slices": 20}


LOOPS = ("CWL1", "CWL2", "CWL3", "CWL4")


def record(loops=(), motion_v=0.0):
    """EEG as it is, and as it is recorded."""
    rng = np.random.default_rng(0)
    n = round((ONSET_S + N_VOLUMES * TR_S + 10) * SFREQ)
    times = np.arange(n) / SFREQ
    hz = np.fft.rfftfreq(n, 1 / SFREQ)
    eeg = np.fft.irfft(np.fft.rfft(rng.standard_normal((N_CHANNELS, n))) / np.sqrt(np.maximum(hz, 0.5)), n)
    beats_s = np.cumsum(rng.normal(0.9, 0.05, 220)) + 0.3
    beats_s = beats_s[beats_s < times[-1] - 1]
    ecg = 1e-3 * sum(np.exp(-0.5 * ((times - beat) / 0.012) ** 2) for beat in beats_s)
    true = np.vstack([15e-6 * eeg / eeg.std(), ecg + 1e-5 * rng.standard_normal(n)])
    moving = np.random.default_rng(1)
    turns = head_jerks(times, peak_v=motion_v, rng=moving)
    scanner = gradient_artifact(
        n, SFREQ, start_s=ONSET_S, tr_s=TR_S, nominal_tr_s=TR_S, n_volumes=N_VOLUMES, n_slices=20,
        n_channels=N_CHANNELS + 1 + len(loops), peak_v=5e-3, rng=rng,
    )  # fmt: skip
    pulse, nod = pulse_artifact(times, beats_s, POSITIONS_M, peak_v=100e-6, rng=rng)
    moved = pulse + turn_electrodes(turns, POSITIONS_M, moving)
    turns[0] += nod
    body = [true + np.vstack([moved, np.zeros(n)]), wire_loops(turns, len(loops), moving)]
    raw = scanner + np.vstack(body)
    return Signals(true.astype(np.float32), SFREQ, NAMES), Signals(raw.astype(np.float32), SFREQ, (*NAMES, *loops))


@pytest.fixture(scope="module")
def recorded():
    return record()


def agreement(cleaned, true):
    """r of each EEG channel, from 1 to 40 Hz, during the volumes."""
    sections = butter(3, (1, 40), "bandpass", fs=SFREQ, output="sos")
    during = slice(round(ONSET_S * SFREQ), round((ONSET_S + N_VOLUMES * TR_S) * SFREQ))
    pairs = zip(*(sosfiltfilt(sections, of.of(NAMES[:-1]).data)[:, during] for of in (cleaned, true)), strict=True)
    return np.array([np.corrcoef(a, b)[0, 1] for a, b in pairs])


def test_both_go_and_better_than_one_after_the_other(recorded):
    true, raw = recorded
    cleaned, gradient, wires, pulse = remove_scanner_artifacts(raw, **SCAN, ecg="ECG")
    assert gradient.corrected
    assert pulse.corrected
    assert wires is None  # there are no loops
    in_turn, _ = remove_gradient_artifact(raw, onset_s=ONSET_S, tr_s=TR_S, n_volumes=N_VOLUMES, n_averaged=30)
    beats_s, source = find_heartbeats(in_turn, "ECG")
    in_turn, _ = remove_pulse_artifact(in_turn, beats_s, source=source, keep=("ECG",))
    r, r_in_turn = (np.median(agreement(of, true)) for of in (cleaned, in_turn))
    assert r > 0.9
    assert r > r_in_turn + 0.02


def test_what_is_not_asked_for_is_not_done(recorded):
    _, raw = recorded
    gradient_only, gradient, _, pulse = remove_scanner_artifacts(raw, **SCAN, ecg="ECG", pulse=False)
    assert gradient.corrected
    assert pulse is None
    assert gradient_only.data[:-1].std() < 0.2 * raw.data[:-1].std()
    same, gradient, wires, pulse = remove_scanner_artifacts(raw, **SCAN, ecg="ECG", gradient=False, pulse=False)
    assert (same, gradient, wires, pulse) == (raw, None, None, None)


def test_clean_eeg_is_left_alone_and_what_was_found_is_told(recorded):
    true, _ = recorded
    same, gradient, _, pulse = remove_scanner_artifacts(true, **SCAN, ecg="ECG")
    assert same is true
    assert (gradient.corrected, pulse.corrected) == (False, False)
    assert pulse.source == "ECG"
    same, _, _, pulse = remove_scanner_artifacts(true.of(NAMES[:-1]), **SCAN)
    assert pulse.source == ""
    assert pulse.reason.startswith("no ECG channel that is not marked as bad; EEG: expected")


def test_loops_go_through_the_gradients_and_take_motion_and_pulse_away():
    true, raw = record(LOOPS, motion_v=250e-6)
    cleaned, gradient, wires, pulse = remove_scanner_artifacts(raw, **SCAN, ecg="ECG", loops=LOOPS)
    assert cleaned.channels == NAMES
    assert gradient.corrected
    assert wires.corrected
    assert wires.loops == LOOPS
    # Of the pulse is left the scalp that swells: less than templates of the pulse would take from the EEG.
    assert pulse.source == "ECG"
    assert 0.1 < pulse.ratio < 0.3
    assert not pulse.corrected
    without, _, of_none, _ = remove_scanner_artifacts(raw.of(NAMES), **SCAN, ecg="ECG")
    assert of_none is None
    r, r_without = (np.median(agreement(of, true)) for of in (cleaned, without))
    assert r > 0.88
    assert r > r_without + 0.1


def test_loops_of_clean_eeg_go_and_the_eeg_stays(recorded):
    true, _ = recorded
    noise = 2e-6 * np.random.default_rng(3).standard_normal((len(LOOPS), true.data.shape[1]))
    raw = Signals(np.vstack([true.data, noise.astype(np.float32)]), SFREQ, (*NAMES, *LOOPS))
    same, _, wires, _ = remove_scanner_artifacts(raw, **SCAN, ecg="ECG", loops=LOOPS)
    assert same.channels == NAMES
    np.testing.assert_array_equal(same.data, true.data)
    assert not wires.corrected


def test_a_loop_that_was_stuck_is_known_although_the_gradients_correction_hides_it():
    _, raw = record(LOOPS, motion_v=250e-6)
    data = raw.data.copy()
    data[-1, : data.shape[1] // 3] = data[-1].max()
    stuck = Signals(data, SFREQ, raw.channels)
    _, _, wires, _ = remove_scanner_artifacts(stuck, **SCAN, ecg="ECG", loops=LOOPS)
    assert wires.loops == LOOPS[:-1]
    assert wires.left_out == {"CWL4": "is stuck at the end of its range"}
    assert wires.corrected
