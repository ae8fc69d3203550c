import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bids_eeg2fmri.errors import InputDataError
from bids_eeg2fmri.evaluation.splits import (
    FEWEST_TRAINING_VOLUMES,
    block_of_volume,
    split_by_participant,
    split_in_blocks,
    split_inner,
)


@st.composite
def recordings(draw):
    """Runs of various lengths, the first volumes of each without enough EEG."""
    lengths = draw(st.lists(st.integers(1, 160), min_size=1, max_size=3))
    late = [draw(st.integers(0, min(12, n))) for n in lengths]
    recording = np.repeat(np.arange(len(lengths)), lengths)
    volume = np.concatenate([np.arange(n) for n in lengths])
    usable = np.concatenate([np.arange(n) >= first for n, first in zip(lengths, late, strict=True)])
    return recording, volume, usable


def apart(recording, volume, a, b):
    """Fewest volumes between a sample of ``a`` and one of ``b`` in the same run."""
    distance = np.abs(volume[a][:, None] - volume[b][None]) - 1
    distance = np.where(recording[a][:, None] == recording[b][None], distance, 10_000)
    return distance.min(initial=10_000)


@given(recordings(), st.integers(2, 8), st.integers(0, 15))
def test_every_usable_volume_is_tested_once_and_never_learned_from_nearby(samples, n_folds, gap):
    recording, volume, usable = samples
    try:
        splits = split_in_blocks(*samples, n_folds=n_folds, gap=gap)
    except InputDataError:
        assume(False)
    assert len(splits) == n_folds
    tested = np.concatenate([split.test for split in splits])
    np.testing.assert_array_equal(np.sort(tested), np.flatnonzero(usable))
    for split in splits:
        assert usable[split.train].all()
        assert apart(recording, volume, split.train, split.test) >= gap


@given(recordings(), st.integers(2, 8), st.integers(0, 15))
def test_held_out_volumes_that_lack_eeg_are_kept_away_from_as_well(samples, n_folds, gap):
    recording, volume, _ = samples
    try:
        splits = split_in_blocks(*samples, n_folds=n_folds, gap=gap)
    except InputDataError:
        assume(False)
    blocks = np.concatenate([block_of_volume(n, n_folds) for n in np.bincount(recording)])
    for fold, split in enumerate(splits):
        assert apart(recording, volume, split.train, np.flatnonzero(blocks == fold)) >= gap


@given(recordings(), st.integers(2, 8), st.integers(0, 15))
def test_inner_parts_lie_within_the_training_volumes_and_apart(samples, n_folds, gap):
    recording, volume, _ = samples
    try:
        splits = split_in_blocks(*samples, n_folds=n_folds, gap=gap)
        splits.append(split_inner(*samples, n_folds=n_folds, gap=gap))
    except InputDataError:
        assume(False)
    for split in splits:
        assert split.inner
        for learn, judge in split.inner:
            assert np.isin(learn, split.train).all()
            assert np.isin(judge, split.train).all()
            assert len(learn) >= FEWEST_TRAINING_VOLUMES
            assert apart(recording, volume, learn, judge) >= gap


@given(st.integers(1, 500), st.integers(2, 9))
def test_blocks_are_contiguous_and_of_about_one_size(n_volumes, n_folds):
    blocks = block_of_volume(n_volumes, n_folds)
    assert (np.diff(blocks) >= 0).all()
    assert np.ptp(np.bincount(blocks, minlength=n_folds)) <= 1


def test_a_run_that_is_too_short_is_refused_with_what_is_missing():
    samples = np.zeros(40, int), np.arange(40), np.ones(40, bool)
    with pytest.raises(
        InputDataError, match=r"expected at least 20 volumes to learn from .* among 40 usable ones; longer"
    ):
        split_in_blocks(*samples, n_folds=5, gap=10)


def test_a_held_out_participant_is_in_no_training_part():
    participant = np.repeat(np.arange(5), 7)
    usable = np.arange(35) % 7 > 1
    for held_out in range(5):
        split = split_by_participant(participant, held_out, usable=usable)
        assert set(participant[split.test]) == {held_out}
        assert held_out not in participant[split.train]
        assert usable[split.train].all()
        assert usable[split.test].all()
        for learn, judge in split.inner:
            assert np.isin(np.concatenate([learn, judge]), split.train).all()
            assert not set(participant[learn]) & set(participant[judge])


def test_two_participants_are_too_few_to_transfer_between():
    with pytest.raises(InputDataError, match="expected at least 3 participants to transfer between, found 2"):
        split_by_participant(np.repeat([0, 1], 9), 0, usable=np.ones(18, bool))
