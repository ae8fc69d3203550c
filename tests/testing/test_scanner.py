import numpy as np
import pytest

from bids_eeg2fmri.testing.scanner import FINE_SFREQ, gradient_artifact, gradient_waveforms, head_jerks, wire_loops


def sample(**changes):
    known = {
        "start_s": 3.0,
        "tr_s": 1.5,
        "nominal_tr_s": 1.5,
        "n_volumes": 8,
        "n_slices": 10,
        "n_channels": 4,
        "peak_v": 0.01,
    }
    return gradient_artifact(40_000, 2000.0, **known | changes, rng=np.random.default_rng(0))


def test_each_slice_induces_the_same_and_the_amplifier_takes_the_fast_part():
    waveforms = gradient_waveforms(1.5, 10)
    assert waveforms.shape == (3, 1.5 * FINE_SFREQ)
    assert np.abs(waveforms).max() == 1
    slices = waveforms.reshape(3, 10, -1)
    np.testing.assert_allclose(slices, np.broadcast_to(slices[:, :1], slices.shape), atol=1e-6)
    power = np.abs(np.fft.rfft(waveforms)) ** 2
    hz = np.fft.rfftfreq(waveforms.shape[1], 1 / FINE_SFREQ)
    assert (power[:, hz > 1000].sum(1) / power.sum(1)).max() < 0.05
    assert (power[:, hz < 40].sum(1) / power.sum(1)).min() > 0.001  # some of it is where the EEG is


def test_it_lasts_for_the_volumes_and_is_as_large_as_asked_for():
    artifact = sample()
    assert np.abs(artifact).max() == pytest.approx(0.01, rel=0.7)
    assert not artifact[:, :6000].any()
    assert not artifact[:, 6000 + 8 * 3000 :].any()
    assert artifact[:, 6000 : 6000 + 8 * 3000].reshape(4, 80, 300).any(2).all()


def test_volumes_are_alike_but_for_a_moving_head():
    volumes = sample()[:, 6000:30_000].reshape(4, 8, 3000)
    common = volumes.mean(1, keepdims=True)
    rest = (volumes - common).std() / common.std()
    assert 0.001 < rest < 0.2


def test_the_clocks_need_not_run_together():
    drifting = sample(tr_s=1.5 * (1 + 1e-3))
    first, last = (drifting[0, 6000 + start : 6000 + start + 3000] for start in (0, 7 * 3000))
    later = drifting[0, 6000 + 7 * 3003 : 6000 + 7 * 3003 + 3000]
    assert np.corrcoef(first, last)[0, 1] < 0.5
    assert np.corrcoef(first, later)[0, 1] > 0.95


def test_a_head_jerks_some_times_a_minute_slowly_and_lies_still_between():
    turns = head_jerks(np.arange(60_000) / 200, peak_v=1e-4, rng=np.random.default_rng(0))
    assert turns.shape == (3, 60_000)
    assert np.abs(turns).max() == pytest.approx(1e-4)
    moves = np.abs(turns).any(0)
    assert 0.05 < moves.mean() < 0.3
    assert 10 < np.count_nonzero(np.diff(moves.astype(int)) == 1) < 60
    power = np.abs(np.fft.rfft(turns)) ** 2
    assert power[:, np.fft.rfftfreq(60_000, 1 / 200) > 12].sum() < 0.02 * power.sum()


def test_a_head_has_no_time_to_jerk_in_two_seconds():
    assert not head_jerks(np.arange(400) / 200, peak_v=1e-4, rng=np.random.default_rng(0)).any()


def test_loops_see_turns_and_hold_a_little_noise_of_their_own():
    turns = 1e-4 * np.random.default_rng(1).standard_normal((3, 5000))
    loops = wire_loops(turns, 5, np.random.default_rng(2))
    rest = loops - loops @ np.linalg.pinv(turns) @ turns
    assert rest.std() == pytest.approx(2e-6, rel=0.05)
    assert loops.std() > 5e-5
