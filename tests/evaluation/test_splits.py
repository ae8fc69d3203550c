"""No split leaks, whatever the recordings look like; one that would can't be made."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bids_eeg2fmri.errors import InputDataError
from bids_eeg2fmri.evaluation.splits import (
    FEWEST_TRAINING_VOLUMES,
    LeakageError,
    Samples,
    Split,
    block_of_volume,
    folds_of,
    hold_out,
    learn_from_all,
    n_parts,
    pair_once,
)

KINDS = ("blocks", "run", "session", "participant")


@st.composite
def layouts(draw, *, longest=90, most=9):
    """Runs of various lengths and repetition times; some in one EEG recording, with samples that lack EEG."""
    lengths = draw(st.lists(st.integers(1, longest), min_size=1, max_size=most))
    often = st.sampled_from([True, True, False])
    clock, onset, session, participant = [0], [draw(st.floats(0, 30))], [0], [0]
    tr = [draw(st.sampled_from([0.7, 1.5, 2.0, 2.16])) for _ in lengths]
    for previous in range(len(lengths) - 1):
        same_eeg = not draw(often)
        clock.append(clock[-1] + (not same_eeg))
        end = onset[-1] + lengths[previous] * tr[previous]
        onset.append(draw(st.floats(0, 30)) + (end if same_eeg else 0))
        # An EEG recording is of one session, a session of one participant.
        session.append(session[-1] + (not same_eeg and draw(often)))
        participant.append(participant[-1] + (session[-1] != session[-2] and draw(often)))
    recording = np.repeat(np.arange(len(lengths)), lengths)
    times = [first + step * np.arange(n) for first, step, n in zip(onset, tr, lengths, strict=True)]
    seed = draw(st.integers(0, 2**16))
    usable = np.random.default_rng(seed).random(len(recording)) < draw(st.sampled_from([0.5, 0.9, 1.0]))
    clocks, sessions, participants = (np.array(of_run)[recording] for of_run in (clock, session, participant))
    gap_s = draw(st.sampled_from([0.0, 2.0, 6.0, 13.0]))
    return Samples(recording, np.concatenate(times), clocks, usable, gap_s, sessions, participants)


def leaks(samples, learn, judge, by):
    """Look at every pair of a sample that is learned from and one that judges."""
    seconds = np.abs(samples.onset_s[learn][:, None] - samples.onset_s[judge][None])
    near = (seconds <= samples.gap_s + 0.001) & (samples.clock[learn][:, None] == samples.clock[judge][None])
    shared = by != "blocks" and set(samples.units(by)[learn]) & set(samples.units(by)[judge])
    unusable = not samples.usable[learn].all() or not samples.usable[judge].all()
    return bool(near.any() or shared or unusable)


@pytest.mark.parametrize("by", KINDS)
@given(layouts(), st.integers(2, 6))
def test_every_usable_sample_is_tested_once_and_nothing_of_it_is_learned_from(by, samples, n_folds):
    try:
        splits = hold_out(samples, by, n_folds=n_folds)
    except InputDataError:
        assume(False)
    tested = np.concatenate([split.test for split in splits])
    np.testing.assert_array_equal(np.sort(tested), np.flatnonzero(samples.usable))
    folds = folds_of(samples, by, n_folds=n_folds)
    for fold, split in enumerate(splits):
        assert not leaks(samples, split.train, split.test, by)
        np.testing.assert_array_equal(folds[split.test], fold)
        # Held-out samples that lack EEG are kept away from as well: their BOLD is that of the others around them.
        everything = replace(samples, usable=np.ones(len(samples), dtype=bool))
        assert not leaks(everything, split.train, np.flatnonzero(folds == fold), by)


@pytest.mark.parametrize("by", KINDS)
@given(layouts(), st.integers(2, 6))
def test_what_judges_within_the_training_samples_is_not_learned_from_there(by, samples, n_folds):
    try:
        splits = [*hold_out(samples, by, n_folds=n_folds), learn_from_all(samples, by, n_folds=n_folds)]
    except InputDataError:
        assume(False)
    for split in splits:
        assert 0 < len(split.inner) <= n_folds
        for learn, judge in split.inner:
            assert np.isin(np.concatenate([learn, judge]), split.train).all()
            assert len(learn) >= FEWEST_TRAINING_VOLUMES
            assert len(judge) > 2
            assert not leaks(samples, learn, judge, split.inner_by)


@pytest.mark.parametrize("by", KINDS)
@given(layouts(longest=12, most=3), st.data())
def test_a_split_can_be_made_just_if_nothing_leaks(by, samples, data):
    first, second, third, fourth = sorted(data.draw(st.tuples(*[st.integers(0, len(samples))] * 4)))
    train, test = np.arange(first, second), np.arange(third, fourth)
    if data.draw(st.sampled_from([True, True, False])):
        train, test = train[samples.usable[train]], test[samples.usable[test]]
    if data.draw(st.booleans()):
        train, test = test, train
    if leaks(samples, train, test, by):
        with pytest.raises(LeakageError):
            Split(samples, train, test, [], by=by, inner_by="blocks")
        with pytest.raises(LeakageError, match="inner split 0"):
            Split(samples, np.arange(0), np.arange(0), [(train, test)], by="blocks", inner_by=by)
    else:
        assert Split(samples, train, test, [], by=by, inner_by="blocks").train.tolist() == train.tolist()


# Two runs of 30 and 25 volumes, 2 s each, in one EEG recording with 4 s between them; a third one of another session.
RUNS = np.repeat([0, 1, 2], [30, 25, 20])
SECONDS = 2.0 * np.concatenate([np.arange(30), np.arange(32, 57), np.arange(20)])
USABLE = np.arange(75) != 3
BY_HAND = Samples(RUNS, SECONDS, np.minimum(RUNS, 2) // 2, USABLE, 6.0, session=RUNS // 2)


def positions(*stretches):
    return np.concatenate([np.arange(first, last) for first, last in stretches])


@pytest.mark.parametrize(
    ("train", "test", "inner", "by", "message"),
    [
        ((5, 20), (19, 29), [], "blocks", "split: expected each sample on one side, found sample 19 on both"),
        ((5, 20), (22, 29), [], "blocks", r"split: expected more than 6 s .* found sample 19 \(run 0, 38 s\) nearer"),
        ((20, 30), (30, 55), [], "run", r"split: expected more than 6 s .* found sample 29 \(run 0, 58 s\) nearer"),
        ((2, 20), (30, 55), [], "run", "split: expected usable samples only, found sample 3"),
        ((30, 55), (0, 20), [], "run", "split: expected usable samples only, found sample 3"),
        ((5, 20), (24, 29), [], "run", "split: expected each run on one side, found run 0 on both"),
        ((5, 20), (31, 55), [], "session", "split: expected each session on one side, found session 0 on both"),
        ((5, 20), (55, 75), [], "participant", "split: expected each participant on one side, found participant 0"),
        ((5, 29), (55, 75), [((5, 15), (19, 31))], "blocks", "inner split 0: expected training samples only, .* 29"),
        ((5, 29), (55, 75), [((5, 31), (40, 45))], "blocks", "inner split 0: expected training samples only, .* 29"),
        ((5, 29), (55, 75), [((5, 9), (14, 29)), ((5, 9), (9, 29))], "blocks", "inner split 1: expected more than 6 s"),
        ((-5, -1), (5, 20), [], "blocks", "split: expected ascending positions from 0 to 74"),
        ((5, 20), (60, 76), [], "blocks", "split: expected ascending positions from 0 to 74"),
    ],
)
def test_each_violation_is_refused_by_name(train, test, inner, by, message):
    inner = [(positions(learn), positions(judge)) for learn, judge in inner]
    with pytest.raises(LeakageError, match=message):
        Split(BY_HAND, positions(train), positions(test), inner, by=by, inner_by="blocks")


def test_inner_parts_are_held_to_their_own_kind():
    inner = [(np.arange(5, 14), np.arange(18, 25))]
    Split(BY_HAND, np.arange(5, 30), np.arange(55, 75), inner, by="run", inner_by="blocks")
    with pytest.raises(LeakageError, match="inner split 0: expected each run on one side, found run 0 on both"):
        Split(BY_HAND, np.arange(5, 30), np.arange(55, 75), inner, by="run", inner_by="run")


@pytest.mark.parametrize("train", [np.ones(75, dtype=bool), np.array([7, 5]), np.array([5, 5]), np.array([[5, 7]])])
def test_what_is_not_a_list_of_positions_is_refused(train):
    with pytest.raises(LeakageError, match=r"split: expected (ascending )?positions"):
        Split(BY_HAND, train, np.arange(60, 70), [], by="blocks", inner_by="blocks")


def test_a_split_can_not_be_changed_after_it_was_checked():
    train = np.arange(5, 20)
    split = Split(BY_HAND, train, np.arange(55, 75), [(train[:4], train[8:])], by="run", inner_by="blocks")
    train[:] = 60
    assert split.train.tolist() == list(range(5, 20))
    for part in (split.train, split.test, *split.inner[0]):
        with pytest.raises(ValueError, match="read-only"):
            part[0] = 60


def test_samples_in_disorder_are_refused():
    with pytest.raises(ValueError, match="expected run after run, each in the order of time"):
        replace(BY_HAND, onset_s=SECONDS[::-1])
    with pytest.raises(ValueError, match="expected run after run, each in the order of time"):
        replace(BY_HAND, recording=RUNS[::-1])


@given(st.integers(1, 500), st.integers(2, 9))
def test_blocks_are_contiguous_and_of_about_one_size(n_volumes, n_folds):
    blocks = block_of_volume(n_volumes, n_folds)
    assert (np.diff(blocks) >= 0).all()
    assert np.ptp(np.bincount(blocks, minlength=n_folds)) <= 1


def runs_of(lengths, *, sessions=None, participants=None):
    """Runs in EEG recordings of their own, 2 s from volume to volume, a gap of 20 s."""
    run = np.repeat(np.arange(len(lengths)), lengths)
    onset_s = 2.0 * np.concatenate([np.arange(n) for n in lengths])
    session, participant = (None if of is None else np.array(of)[run] for of in (sessions, participants))
    return Samples(run, onset_s, run, np.ones(len(run), dtype=bool), 20.0, session, participant)


def test_the_gap_lies_around_a_block_and_only_there():
    split = hold_out(runs_of([90, 80]), "blocks", n_folds=3)[1]
    assert np.setdiff1d(np.arange(90), split.train).tolist() == list(
        range(20, 70)
    )  # 30 to 59, and 10 volumes around it
    assert np.setdiff1d(np.arange(90, 170), split.train).tolist() == list(range(107, 154))
    assert split.test.tolist() == [*range(30, 60), *range(117, 144)]


def test_runs_of_one_eeg_recording_are_kept_apart_as_well():
    samples = runs_of([60, 50, 40])
    end = 2.0 * 60 + 7.0
    shared = replace(
        samples, clock=samples.recording // 2, onset_s=samples.onset_s + np.where(samples.recording == 1, end, 0)
    )
    assert len(hold_out(samples, "run", n_folds=5)[1].train) == 100
    trained = hold_out(shared, "run", n_folds=5)[1].train
    # The second run starts 9 s after the onset of the last volume of the first: 111 s and later are within 20 s of it.
    assert shared.onset_s[trained[trained < 60]].max() == 106.0
    assert len(trained) == 54 + 40


@pytest.mark.parametrize(
    ("by", "lengths", "sessions", "inner_by", "n_inner"),
    [
        ("run", [90, 80], None, "blocks", 4),
        ("run", [90, 80, 70], None, "run", 2),
        ("run", [90, 80, 70, 60, 50, 40, 30], None, "run", 4),
        ("run", [90, 2, 80], None, "blocks", 4),  # neither could do without the other
        ("session", [90, 80, 70], [0, 1, 2], "session", 2),
        ("session", [90, 80, 70, 60], [0, 0, 1, 1], "run", 2),
        ("session", [90, 80], [0, 1], "blocks", 4),
        ("blocks", [90, 80, 70], None, "blocks", 3),
    ],
)
def test_what_judges_within_is_of_the_same_kind_where_there_is_enough(by, lengths, sessions, inner_by, n_inner):
    split = hold_out(runs_of(lengths, sessions=sessions), by, n_folds=4)[-1]
    assert (split.by, split.inner_by, len(split.inner)) == (by, inner_by, n_inner)


def test_a_run_that_is_too_short_is_refused_with_what_is_missing():
    with pytest.raises(
        InputDataError,
        match=r"expected at least 20 volumes to learn from .* 1/5 and the 20 s .* among 40 usable ones; longer",
    ):
        hold_out(runs_of([40]), "blocks", n_folds=5)


@pytest.mark.parametrize("by", ["run", "session"])
def test_one_run_or_session_can_not_be_held_out(by):
    samples = runs_of([90, 80], sessions=[0, 0]) if by == "session" else runs_of([90])
    for make in (hold_out, pair_once):
        with pytest.raises(
            InputDataError, match=f'expected at least 2 {by}s .* found 1; set training.hold_out to "blocks"'
        ):
            make(samples, by, n_folds=5)


def test_a_held_out_participant_is_on_no_other_side():
    samples = runs_of([31, 32, 33, 34, 35, 36], participants=[0, 0, 1, 2, 2, 3])
    splits = hold_out(samples, "participant", n_folds=5)
    assert [set(samples.participant[split.test]) for split in splits] == [{0}, {1}, {2}, {3}]
    for split in splits:
        assert len(split.train) + len(split.test) == len(samples)
        assert [len(set(samples.participant[judge])) for _, judge in split.inner] == [1, 1]
        assert [len(set(samples.participant[learn])) for learn, _ in split.inner] == [2, 2]


def test_two_participants_are_too_few_to_transfer_between():
    with pytest.raises(InputDataError, match="expected at least 3 participants to transfer between, found 2"):
        hold_out(runs_of([90, 80], participants=[0, 1]), "participant", n_folds=5)


@pytest.mark.parametrize(("n", "n_splits", "largest"), [(20, 20, 1), (21, 10, 3), (34, 10, 4)])
def test_many_participants_are_held_out_in_ten_groups(n, n_splits, largest):
    samples = runs_of([25] * n, participants=list(range(n)))
    tested = [set(samples.participant[split.test]) for split in hold_out(samples, "participant", n_folds=5)]
    assert [len(tested), max(map(len, tested))] == [n_splits, largest]
    assert sorted(who for group in tested for who in group) == list(range(n))


@pytest.mark.parametrize(("n_units", "expected"), [(3, 3), (20, 20), (21, 10), (200, 10)])
def test_so_many_parts_are_there(n_units, expected):
    assert n_parts(n_units) == len(hold_out(runs_of([25] * n_units), "run", n_folds=5)) == expected


@pytest.mark.parametrize("by", ["blocks", "run", "session"])
@given(layouts(longest=250, most=7), st.integers(2, 7))
def test_no_two_parts_judge_each_other(by, samples, n_folds):
    try:
        splits = pair_once(samples, by, n_folds=n_folds)
    except InputDataError:
        assume(False)
    folds = folds_of(samples, by, n_folds=n_folds)
    assert len(splits) == (1 if folds.max() == 1 else folds.max() + 1)
    pairs = []
    for fold, split in enumerate(splits):
        np.testing.assert_array_equal(split.test, np.flatnonzero(samples.usable & (folds == fold)))
        pairs += [tuple(sorted((fold, int(other)))) for other in np.unique(folds[split.train])]
        assert not leaks(samples, split.train, split.test, by)
        # What was held out but lacks EEG is kept away from as well.
        everything = replace(samples, usable=np.ones(len(samples), dtype=bool))
        assert not leaks(everything, split.train, np.flatnonzero(folds == fold), by)
        assert split.inner
        for learn, judge in split.inner:
            assert np.isin(np.concatenate([learn, judge]), split.train).all()
            assert not leaks(samples, learn, judge, split.inner_by)
    assert len(pairs) == len(set(pairs))


@pytest.mark.parametrize(("by", "fewest"), [("run", 2), ("session", 2), ("participant", 5)])
@given(st.data())
def test_every_pair_of_runs_serves_once(by, fewest, data):
    lengths = data.draw(st.lists(st.integers(50, 70), min_size=fewest, max_size=12))
    own = list(range(len(lengths)))
    samples = runs_of(lengths, sessions=own, participants=own)
    splits = pair_once(samples, by, n_folds=4)
    pairs = [
        tuple(sorted((fold, int(other))))
        for fold, split in enumerate(splits)
        for other in np.unique(samples.recording[split.train])
    ]
    assert sorted(pairs) == list(combinations(own, 2))


@given(st.integers(5, 12), st.integers(35, 50))
def test_every_pair_of_blocks_serves_once_and_each_is_predicted_from_half_of_the_others(n_folds, of_a_block):
    samples = replace(runs_of([n_folds * of_a_block]), gap_s=13.0)
    pairs = []
    for fold, split in enumerate(pair_once(samples, "blocks", n_folds=n_folds)):
        others = {int(volume) // of_a_block for volume in split.train}
        pairs += [tuple(sorted((fold, other))) for other in others]
        assert abs(len(others) - (n_folds - 1) / 2) <= 0.5
        # Nothing of those blocks is left out but what is too near.
        inside = np.isin(np.arange(len(samples)) // of_a_block, list(others))
        near = samples.near(np.isin(np.arange(len(samples)), split.test))
        assert split.train.tolist() == np.flatnonzero(inside & ~near).tolist()
    assert sorted(pairs) == list(combinations(range(n_folds), 2))


def test_of_two_parts_the_second_is_left_out():
    [split] = pair_once(runs_of([90, 80]), "run", n_folds=4)
    assert split.test.tolist() == list(range(90))
    assert split.train.tolist() == list(range(90, 170))


def test_what_is_long_enough_for_ordinary_folds_may_be_too_short_for_half_of_them():
    samples = runs_of([95])
    assert len(hold_out(samples, "blocks", n_folds=5)) == 5
    with pytest.raises(InputDataError, match=r"expected at least 20 volumes to learn from .* among 95 usable ones"):
        pair_once(samples, "blocks", n_folds=5)
