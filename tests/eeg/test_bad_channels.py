"""Channels that tell nothing of the brain are found, and what those around them say takes their place."""

import re
from dataclasses import replace

import numpy as np
import pytest

from bids_eeg2fmri.eeg.bad_channels import find_bad_channels, find_useless_channels, interpolate
from bids_eeg2fmri.eeg.downsampling import Signals

SFREQ, N = 200.0, 4000
POSITIONS_M = np.array(
    [[0.09 * np.sin(t) * np.cos(p), 0.09 * np.sin(t) * np.sin(p), 0.09 * np.cos(t) + 0.04]
     for t in (0.4, 0.9, 1.4) for p in np.arange(0, 2 * np.pi, np.pi / 4)]
)  # fmt: skip
NAMES = tuple(f"E{number}" for number in range(len(POSITIONS_M)))


@pytest.fixture
def signals():
    """EEG from sources below the scalp, so that neighbours are alike, and a little noise of each amplifier."""
    rng = np.random.default_rng(0)
    sources = rng.standard_normal((60, 3))
    sources *= 0.07 / np.linalg.norm(sources, axis=1, keepdims=True)
    distance = np.linalg.norm(POSITIONS_M[:, None] - np.array([0, 0, 0.04]) - sources, axis=-1)
    hz = np.fft.rfftfreq(N, 1 / SFREQ)
    courses = np.fft.irfft(np.fft.rfft(rng.standard_normal((60, N))) / np.sqrt(np.maximum(hz, 0.5)), N)
    data = np.exp(-0.5 * (distance / 0.05) ** 2) @ courses
    data = 15e-6 * data / data.std() + 0.5e-6 * rng.standard_normal(data.shape)
    return Signals(data.astype(np.float32), SFREQ, NAMES, 3.0)


def changed(signals, channel, values):
    data = signals.data.copy()
    data[NAMES.index(channel)] = values
    return replace(signals, data=data)


def test_ordinary_channels_are_good(signals):
    assert find_useless_channels(signals) == {}
    assert find_bad_channels(signals) == {}
    # Whatever the reference of the recording: one of its neighbours is small then.
    assert find_bad_channels(replace(signals, data=signals.data - signals.data[3] * 0.999)) == {}


def test_a_channel_that_is_far_larger_is_bad(signals):
    [(name, reason)] = find_bad_channels(changed(signals, "E5", 12 * signals.data[5])).items()
    assert name == "E5"
    assert re.fullmatch(r"is [12]\d times larger than usual", reason)


def test_jerks_make_no_bad_channel(signals):
    data = signals.data[7].copy()
    data[::200] += 2e-3
    assert find_bad_channels(changed(signals, "E7", data)) == {}


def test_channels_that_hold_nothing_are_useless(signals):
    broken = changed(changed(signals, "E2", 1.0), "E9", np.where(np.arange(N) == 77, np.nan, signals.data[9]))
    assert find_useless_channels(broken) == {"E2": "never changes", "E9": "holds values that are no numbers"}
    known = changed(changed(broken, "E2", 0.0), "E9", 0.0)
    assert find_bad_channels(known, {"E2", "E9"}) == {}


def test_few_channels_have_no_usual_size(signals):
    few = changed(signals, "E5", 50 * signals.data[5]).of(NAMES[:7])
    assert find_bad_channels(few) == {}


def test_a_channel_is_much_like_what_those_around_it_say(signals):
    positions = [*POSITIONS_M.tolist()]
    broken = changed(signals, "E4", 1e-3 * np.random.default_rng(1).standard_normal(N))
    replaced = interpolate(broken, ["E4"], positions)
    assert np.corrcoef(replaced.data[4], signals.data[4])[0, 1] > 0.8
    assert replaced.data[4].std() == pytest.approx(signals.data[4].std(), rel=0.4)
    others = np.arange(len(NAMES)) != 4
    np.testing.assert_array_equal(replaced.data[others], broken.data[others])
    assert (replaced.channels, replaced.sfreq, replaced.start_s) == (NAMES, SFREQ, 3.0)
    # A good channel without a position is in nobody's way.
    positions[11] = None
    assert interpolate(broken, ["E4"], positions) is not None


def test_positions_in_one_plane_are_enough(signals):
    flat = [[x, y, 0.04] for x, y, _ in POSITIONS_M.tolist()]
    replaced = interpolate(signals, ["E4"], flat)
    assert np.isfinite(replaced.data).all()


def test_without_positions_nothing_is_made_up(signals):
    positions = [*POSITIONS_M.tolist()]
    positions[4] = None
    assert interpolate(signals, ["E4"], positions) is None
    few = [xyz if number < 8 else None for number, xyz in enumerate(POSITIONS_M.tolist())]
    assert interpolate(signals, ["E4"], few) is None
