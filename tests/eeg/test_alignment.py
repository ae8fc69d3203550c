"""Onsets are bound to the truth that the markers were made from, to the microsecond where nothing jitters."""

import numpy as np
import pytest

from bids_eeg2fmri.eeg.alignment import Marker, Scan, align, align_from, align_runs
from bids_eeg2fmri.errors import AlignmentError

N, TR_S, FIRST_S = 60, 2.1, 14.3


def onsets_of(n=N, *, first_s=FIRST_S, tr_s=TR_S):
    return first_s + tr_s * np.arange(n)


def mark(onsets_s, code="R128", source="x.vmrk"):
    return Marker(source, code, np.sort(np.asarray(onsets_s, float)))


def place(*markers, duration_s=200.0, resolution_s=0.0002, n_volumes=N, tr_s=TR_S, **told):
    """Align a series that all markers of this module are made for, if nothing else is said."""
    return align(markers, Scan(n_volumes, tr_s, **told), duration_s=duration_s, resolution_s=resolution_s)


def refusal_of(*markers, **told):
    with pytest.raises(AlignmentError) as caught:
        place(*markers, **told)
    return str(caught.value)


def assert_at(alignment, onsets_s, *, within_s=1e-6):
    np.testing.assert_allclose(alignment.onsets_s, onsets_s, rtol=0, atol=within_s)


# --------------------------------------------------------------------------------------------------------- one per volume


def test_markers_of_the_number_of_the_volumes_are_their_onsets():
    alignment = place(mark(onsets_of()))
    assert_at(alignment, onsets_of())
    np.testing.assert_array_equal(alignment.markers_s, onsets_of())
    assert alignment.tr_s == pytest.approx(TR_S)
    assert alignment.drift_ppm == pytest.approx(0, abs=1e-3)
    assert alignment.jitter_ms == pytest.approx(0, abs=1e-6)
    assert (alignment.code, alignment.others_s, alignment.notes) == ("R128", (), ())
    assert alignment.evidence == (
        "volume marker 'R128' in x.vmrk: 60 volumes found, 60 stored; first volume at 14.300 s of the EEG, interval 2.1 s "
        "(+0.0 ppm), jitter 0.00 ms"
    )


def test_the_code_is_told_by_its_regularity_and_not_by_its_name():
    stimuli = mark(np.random.default_rng(0).uniform(0, 140, N))
    alignment = place(stimuli, mark(onsets_of(), "S 77"))
    assert_at(alignment, onsets_of())
    assert alignment.code == "S 77"


@pytest.mark.parametrize("ppm", [-300, 80])
def test_a_drift_between_the_clocks_is_measured(ppm):
    onsets = onsets_of(500, tr_s=TR_S * (1 + ppm * 1e-6))
    alignment = place(mark(onsets), n_volumes=500, duration_s=1100)
    assert_at(alignment, onsets)
    assert alignment.drift_ppm == pytest.approx(ppm, abs=0.1)
    assert alignment.notes == ()


def test_a_repetition_time_that_is_off_by_more_than_clocks_are_is_noted():
    onsets = onsets_of(tr_s=TR_S * 1.002)
    alignment = place(mark(onsets))
    assert_at(alignment, onsets)
    assert alignment.notes == ("the EEG's clock and the repetition time differ by 0.20 %; check RepetitionTime",)


def test_jitter_is_measured_and_smoothed_away():
    late = np.random.default_rng(1).normal(0, 0.004, 400)
    alignment = place(mark(onsets_of(400) + late), n_volumes=400, duration_s=900)
    assert alignment.jitter_ms == pytest.approx(4, rel=0.1)
    assert_at(alignment, onsets_of(400), within_s=0.0015)


def test_jitter_too_large_for_the_accuracy_is_refused():
    late = np.random.default_rng(1).normal(0, 0.01, N)
    message = refusal_of(mark(onsets_of() + late))
    assert "60 x 'R128' from 14.3" in message
    assert "ms, too much for onsets within 5 ms" in message


def test_markers_that_miss_by_a_sample_now_and_then_are_regular():
    """Most lie on the line exactly, as a repetition time is often a whole number of samples."""
    samples = np.random.default_rng(6).choice([-1, 0, 0, 0, 1], 200)
    alignment = place(mark(onsets_of(200) + 0.004 * samples), n_volumes=200, duration_s=500, resolution_s=0.004)
    assert_at(alignment, onsets_of(200), within_s=0.001)


@pytest.mark.parametrize("late_s", [0.02, 0.3])
def test_markers_that_came_late_move_nothing(late_s):
    onsets = onsets_of()
    onsets[[7, 31, 32]] += late_s
    alignment = place(mark(onsets))
    assert_at(alignment, onsets_of())
    assert alignment.jitter_ms < 0.01


@pytest.mark.parametrize("late_s", [0.003, 0.06])
def test_a_trigger_that_was_recorded_twice_counts_once(late_s):
    alignment = place(mark([*onsets_of(), *(onsets_of() + late_s)]))
    assert_at(alignment, onsets_of())


def test_missing_markers_leave_the_others_where_they_are():
    missing = [11, 29, 30, 47]
    alignment = place(mark(np.delete(onsets_of(), missing)))
    assert_at(alignment, onsets_of())
    assert np.flatnonzero(np.isnan(alignment.markers_s)).tolist() == missing
    np.testing.assert_array_equal(np.delete(alignment.markers_s, missing), np.delete(onsets_of(), missing))
    [note] = alignment.notes
    assert note.startswith("4 volumes have no marker; ")


def test_a_train_that_lacks_half_of_its_markers_is_refused():
    message = refusal_of(mark(onsets_of()[np.arange(N) % 4 < 2]))
    assert "48% of them are missing" in message


@pytest.mark.parametrize("n", [28, 20])
def test_less_than_half_of_the_markers_are_refused(n):
    assert f"{n} x 'R128' from 14.300 s on (x.vmrk): {N - n} fewer than stored" in refusal_of(mark(onsets_of(n)))


# --------------------------------------------------------------------------------------------------------------- too many


def test_dummies_that_the_sidecar_tells_of_come_first():
    onsets = onsets_of(64)
    alignment = place(mark(onsets), n_dummies=4)
    assert_at(alignment, onsets[4:])
    assert "64 volumes found, 60 stored, 4 before the stored ones discarded" in alignment.evidence
    assert alignment.notes == ()
    assert alignment.others_s == tuple(onsets[:4])


def test_dummies_that_nobody_tells_of_are_refused_with_the_remedy():
    message = refusal_of(mark(onsets_of(64)))
    assert message.startswith("expected 60 volume markers 2.1 s apart, found 64 x 'R128' from 14.300 s on (x.vmrk)")
    assert "4 more than stored, and nothing tells how many came before the first" in message
    assert "alignment.n_dummies, or in NumberOfVolumesDiscardedByScanner of the BOLD sidecar" in message


def test_dummies_that_sent_no_marker_do_not_shift_the_others():
    assert_at(place(mark(onsets_of()), n_dummies=4), onsets_of())


def test_another_number_of_dummies_than_the_sidecar_tells_is_refused():
    assert "3 more than stored, and 4 were told to come before the first" in refusal_of(
        mark(onsets_of(63)), n_dummies=4
    )


def test_dummies_before_the_eeg_started_have_no_marker():
    onsets = onsets_of(64, first_s=0.8 - 2 * TR_S)
    alignment = place(mark(onsets[2:]), n_dummies=4)
    assert_at(alignment, onsets[4:])
    assert "EEG starts during the discarded volumes, 2 of them before the stored ones" in alignment.evidence


@pytest.mark.parametrize("n", [1, 2])
def test_a_marker_or_two_too_many_are_taken_to_come_last_and_the_note_says_how_to_change_it(n):
    onsets = onsets_of(N + n)
    alignment = place(mark(onsets))
    assert_at(alignment, onsets[:N])
    assert f"{n} after the last stored one ignored" in alignment.evidence
    [note] = alignment.notes
    assert note.startswith(f"{n} more marker")
    assert "taken to come after the last volume" in note
    assert note.endswith(f"set alignment.n_dummies = {n}")
    assert alignment.others_s == tuple(onsets[N:])
    assert_at(place(mark(onsets), n_dummies=n), onsets[n:])


@pytest.mark.parametrize("told", [None, 0])
def test_three_markers_too_many_are_refused(told):
    assert "3 more than stored" in refusal_of(mark(onsets_of(63)), n_dummies=told)


def test_dummies_and_markers_after_the_last_volume_are_told_apart():
    onsets = onsets_of(66)
    alignment = place(mark(onsets), n_dummies=4)
    assert_at(alignment, onsets[4:64])
    assert "4 before the stored ones discarded, 2 after them ignored" in alignment.evidence
    assert alignment.others_s == (*onsets[:4], *onsets[64:])


def test_more_markers_from_the_start_of_the_file_to_its_end_are_refused():
    """Which of them are outside the series would be a guess: it may be a clock."""
    assert "1 more than stored" in refusal_of(mark(onsets_of(61, first_s=0.4)), duration_s=61 * TR_S)


def test_a_marker_in_the_first_sample_is_no_volume():
    alignment = place(mark([0.0, *onsets_of()]))
    assert_at(alignment, onsets_of())
    assert alignment.others_s == (0.0,)


def test_a_marker_in_the_first_sample_just_one_volume_before_the_first_is_not_guessed_about():
    assert "1 more than stored" in refusal_of(mark([0.0, *onsets_of(first_s=TR_S)]))


def test_a_series_may_start_with_the_file():
    assert_at(place(mark(onsets_of(first_s=0.0))), onsets_of(first_s=0.0))


@pytest.mark.parametrize("n", [5, 11])
@pytest.mark.parametrize("off_s", [0.0, 0.7], ids=["on the grid by chance", "off the grid"])
def test_an_aborted_start_is_left_out(n, off_s):
    aborted = onsets_of(n, first_s=1.1 + off_s)
    onsets = onsets_of(first_s=1.1 + 30 * TR_S)
    alignment = place(mark([*aborted, *onsets]))
    assert_at(alignment, onsets)
    assert alignment.others_s == tuple(aborted)


def test_an_aborted_start_shortly_before_and_on_the_grid_by_chance_is_not_guessed_about():
    """It may be the beginning of the series, with many markers missing after it."""
    message = refusal_of(mark([*onsets_of(5), *onsets_of(first_s=FIRST_S + 14 * TR_S)]))
    assert "60 x 'R128' from 43.700 s on (x.vmrk): shortly before the first there is one that is not regular" in message


def test_an_aborted_start_that_the_series_follows_at_once_is_refused():
    aborted = onsets_of(5)
    assert "7 more than stored" in refusal_of(mark([*aborted, *onsets_of(first_s=FIRST_S + 7 * TR_S)]))


@pytest.mark.parametrize(
    ("off_s", "where"), [(-2 * TR_S - 0.06, "before the first"), (N * TR_S + 0.07, "after the last")]
)
def test_a_marker_that_may_be_a_volume_that_came_late_is_not_guessed_about(off_s, where):
    """If it is one, the stored series starts, or ends, there."""
    message = refusal_of(mark([*onsets_of(), FIRST_S + off_s]), n_dummies=1)
    assert f"shortly {where} there is one that is not regular: a late volume, or none" in message


# ------------------------------------------------------------------------------------------------- EEG of part of a series


def test_eeg_that_starts_late_has_volumes_before_its_start():
    onsets = onsets_of(first_s=0.8 - 5 * TR_S)
    alignment = place(mark(onsets[5:]))
    assert_at(alignment, onsets)
    assert (alignment.onsets_s < 0).sum() == np.isnan(alignment.markers_s).sum() == 5
    assert "55 volumes found, 60 stored, EEG starts during the series; first volume at -9.700 s" in alignment.evidence
    assert alignment.notes == ("the EEG starts after the first 5 volumes, if no marker came after the last",)


def test_eeg_that_ends_early_has_volumes_after_its_end():
    onsets = onsets_of()
    alignment = place(mark(onsets[:-6]), duration_s=onsets[-6] - 0.1)
    assert_at(alignment, onsets)
    assert np.flatnonzero(np.isnan(alignment.markers_s)).tolist() == [54, 55, 56, 57, 58, 59]
    [note] = alignment.notes
    assert note.startswith(
        "the EEG ends before the last 6 volumes; if volumes were scanned before the first stored one, set"
    )


@pytest.mark.parametrize("n", [54, 60])
def test_eeg_that_ends_early_with_dummies_told_is_refused(n):
    """Dummies may have sent markers or not: nobody knows how many volumes are missing at the end."""
    onsets = onsets_of(64)
    message = refusal_of(mark(onsets[:n]), n_dummies=4, duration_s=onsets[n] - 0.1)
    assert f"{n} x 'R128'" in message


def test_eeg_cut_at_its_first_marker_and_with_too_few_is_not_taken_to_start_late():
    message = refusal_of(mark(onsets_of(55, first_s=0.0)))
    assert "5 fewer than stored, and nothing tells whether the first or the last are missing" in message


def test_seven_runs_of_one_length_are_told_by_their_order():
    starts = 10 + 150.0 * np.arange(7)
    markers = [mark(np.concatenate([onsets_of(first_s=start) for start in starts]))]
    alignments = align_runs(markers, [Scan(N, TR_S)] * 7, duration_s=1100.0, resolution_s=0.0002)
    assert [alignment.onsets_s[0] for alignment in alignments] == pytest.approx(starts)


def test_eeg_that_starts_late_and_ends_early_is_refused():
    message = refusal_of(mark(onsets_of(54, first_s=0.8)), duration_s=54 * TR_S)
    assert "6 fewer than stored, and nothing tells whether the first or the last are missing" in message
    assert "--assume-start-together" in message


def test_fewer_markers_in_the_middle_of_the_eeg_are_refused():
    assert "6 fewer than stored, and nothing tells" in refusal_of(mark(onsets_of(54)))


def test_fewer_markers_with_others_elsewhere_are_refused():
    """Thirty-four of one attempt and six of another are not forty in a row."""
    message = refusal_of(mark([*onsets_of(54, first_s=0.8), 150.0, 163.2]))
    assert "6 fewer than stored, and 2 elsewhere in the file" in message


# ----------------------------------------------------------------------------------------------------------- other regular


@pytest.mark.parametrize("duration_s", [170.0, 800.0])
def test_a_clock_that_never_stops_is_no_volume_marker(duration_s):
    clock = mark(np.arange(0.05, duration_s, TR_S), "clock")
    alignment = place(clock, mark(onsets_of(first_s=8.3)), duration_s=duration_s)
    assert_at(alignment, onsets_of(first_s=8.3))
    assert alignment.code == "R128"


def test_a_clock_that_counts_few_more_than_the_volumes_is_not_guessed_about():
    """It may be the scanner, with dummies and markers after the last volume that nobody tells of."""
    message = refusal_of(mark(np.arange(0.05, 140, TR_S), "clock"), mark(onsets_of(first_s=8.3)), duration_s=140.0)
    assert "it runs from the start of the file to its end, as a clock does, and 'R128' are as regular" in message
    assert "60 x 'R128' from 8.300 s on (x.vmrk): 67 x 'clock' are as regular" in message


def test_a_clock_of_another_interval_is_not_looked_at():
    assert_at(place(mark(np.arange(0, 200, 2.0), "clock"), mark(onsets_of())), onsets_of())


def test_a_clock_alone_is_no_volume_marker():
    assert "more than stored" in refusal_of(mark(np.arange(0.05, 200, TR_S), "clock"))


@pytest.mark.parametrize("duration_s", [120.0, 800.0])
def test_the_note_of_brainvision_that_clocks_agree_is_never_a_volume(duration_s):
    sync = mark(np.arange(0.05, 0.05 + 2 * N, 2.0), "SyncStatus/Sync On")
    message = refusal_of(sync, tr_s=2.0, duration_s=duration_s)
    assert "found 60 x 'SyncStatus/Sync On' every 2 s (x.vmrk)" in message
    assert_at(place(sync, mark(onsets_of(tr_s=2.0)), tr_s=2.0), onsets_of(tr_s=2.0))


@pytest.mark.parametrize("off_s", [0.0, 0.25], ids=["at once", "a little later"])
def test_stimuli_that_are_locked_to_some_of_the_volumes_are_none(off_s):
    shown = np.random.default_rng(4).random(N) < 0.3
    alignment = place(mark(onsets_of()[shown] + off_s, "S  1"), mark(onsets_of()))
    assert_at(alignment, onsets_of())
    assert alignment.code == "R128"


def test_stimuli_with_most_of_the_volumes_are_not_guessed_about():
    shown = np.random.default_rng(4).random(N) < 0.9
    message = refusal_of(mark(onsets_of()[shown] + 0.25, "S  1"), mark(onsets_of()))
    assert "60 x 'R128' from 14.300 s on (x.vmrk): 59 x 'S  1' are as regular" in message


def test_stimuli_in_the_middle_of_a_longer_train_are_some_of_it():
    message = refusal_of(mark(onsets_of(90)[15:75], "S  1"), mark(onsets_of(90)), duration_s=250.0)
    assert "60 x 'S  1' from 45.800 s on (x.vmrk): they are some of 90 x 'R128'" in message
    assert "90 x 'R128' from 14.300 s on (x.vmrk): 30 more than stored" in message


def test_a_code_of_the_same_number_elsewhere_is_not_guessed_about():
    message = refusal_of(mark(onsets_of()), mark(onsets_of(first_s=15.1), "S  5"))
    assert message.startswith(
        "expected 60 volume markers 2.1 s apart, found more than one answer: the first volume at "
    )
    assert "14.300 s or 15.100 s of the EEG" in message
    assert "'R128' in x.vmrk" in message
    assert "'S  5' in x.vmrk" in message
    assert "name the right code in alignment.code of the settings" in message


def test_a_code_of_a_close_number_makes_the_other_doubtful():
    """The scanner's may be the one with four too many: dummies that nobody tells of."""
    message = refusal_of(mark(onsets_of(64), "R128"), mark(onsets_of(first_s=15.1), "S  5"))
    assert "'S  5' from 15.100 s on (x.vmrk): 64 x 'R128' are as regular" in message


def test_fewer_markers_are_refused_where_another_code_is_regular():
    message = refusal_of(mark(onsets_of(54, first_s=0.8)), mark(onsets_of(20, first_s=150.3), "S  5"))
    assert "6 fewer than stored, and there are other regular markers" in message


# ------------------------------------------------------------------------------------------------- one marker in two places


def test_the_same_marker_in_header_and_events_is_one():
    alignment = place(mark(onsets_of()), mark(onsets_of(), "128", "events.tsv"))
    assert_at(alignment, onsets_of())
    assert (alignment.code, "in x.vmrk" in alignment.evidence) == ("R128", True)


def test_events_that_count_from_the_first_marker_yield_to_the_header():
    counted = mark(onsets_of() - FIRST_S, "128", "events.tsv")
    for markers in ([mark(onsets_of()), counted], [counted, mark(onsets_of())]):
        assert_at(place(*markers), onsets_of())


def test_events_alone_are_believed():
    alignment = place(mark(onsets_of(), "10", "events.tsv"))
    assert_at(alignment, onsets_of())
    assert "volume marker '10' in events.tsv" in alignment.evidence


# ----------------------------------------------------------------------------------------------------- events of both sides


@pytest.fixture
def stimuli_s():
    """On the volumes' clock."""
    return np.cumsum(np.random.default_rng(2).uniform(2.5, 11, 14))


def test_silent_dummies_are_told_by_the_events_of_both_sides(stimuli_s):
    onsets = onsets_of(65)
    alignment = place(mark(onsets), mark(onsets[5] + stimuli_s, "S  1"), events=(stimuli_s,))
    assert_at(alignment, onsets[5:])
    assert "5 before the stored ones, as the events of both sides tell" in alignment.evidence
    assert alignment.others_s == tuple(onsets[:5])


def test_events_outrank_the_habit_of_markers_to_come_last(stimuli_s):
    onsets = onsets_of(62)
    alignment = place(mark(onsets), mark(onsets[2] + stimuli_s, "S  1"), events=(stimuli_s,))
    assert_at(alignment, onsets[2:])


def test_events_tell_what_is_missing_when_eeg_starts_late_and_ends_early(stimuli_s):
    onsets = onsets_of(first_s=0.8 - 4 * TR_S)
    seen = onsets[0] + stimuli_s[stimuli_s > 4 * TR_S]
    alignment = place(mark(onsets[4:-3]), mark(seen, "S  1"), events=(stimuli_s,), duration_s=onsets[-3] - 0.1)
    assert_at(alignment, onsets)
    assert "4 volumes before the first marker, as the events of both sides tell" in alignment.evidence


def test_events_that_fit_nowhere_tell_nothing(stimuli_s):
    markers = mark(onsets_of(65)), mark(np.random.default_rng(8).uniform(0, 150, 14), "S  1")
    assert "nothing tells how many came before the first" in refusal_of(*markers, events=(stimuli_s,))


def test_events_locked_to_volumes_fit_everywhere_and_tell_nothing():
    regular = TR_S * np.arange(0, 60, 1.0)
    markers = mark(onsets_of(65)), mark(FIRST_S + TR_S * np.arange(0, 65), "S  1")
    assert "5 more than stored" in refusal_of(*markers, events=(regular,))


# -------------------------------------------------------------------------------------------------- many markers per volume


def slices_of(onsets_s, n, *, over_s):
    """Markers of ``n`` slices, or groups of them, spread over a part of each volume."""
    return (np.asarray(onsets_s)[:, None] + over_s / n * np.arange(n)).ravel()


@pytest.mark.parametrize("over_s", [TR_S, 1.4], ids=["all of TR", "a pause at the end"])
@pytest.mark.parametrize("groups", [(30,), (10, 30)], ids=["slices", "of multiband"])
def test_markers_of_slices_give_the_volumes(over_s, groups):
    alignment = place(mark(slices_of(onsets_of(), groups[0], over_s=over_s), "s "), groups=groups)
    assert_at(alignment, onsets_of())
    assert np.isfinite(alignment.markers_s).all()
    assert "60 volumes found, 60 stored" in alignment.evidence
    assert f"{groups[0]} markers per volume 's ' in x.vmrk" in alignment.evidence
    assert alignment.others_s == ()


def test_two_markers_per_volume_give_the_volumes():
    """The start of a volume follows the longer of the two intervals."""
    alignment = place(mark([*onsets_of(), *(onsets_of() + 0.7)]))
    assert_at(alignment, onsets_of())
    assert "first of 2 markers per volume 'R128'" in alignment.evidence


@pytest.mark.parametrize("over_s", [TR_S, 1.4], ids=["all of TR", "a pause at the end"])
def test_a_last_volume_that_lacks_slices_does_no_harm(over_s):
    markers = slices_of(onsets_of(), 30, over_s=over_s)
    alignment = place(mark([*markers, *markers[:13] + N * TR_S]), groups=(30,))
    assert_at(alignment, onsets_of())


def test_markers_of_slices_tell_told_dummies_from_volumes():
    alignment = place(mark(slices_of(onsets_of(63), 30, over_s=TR_S)), groups=(30,), n_dummies=3)
    assert_at(alignment, onsets_of(63)[3:])


def test_a_slice_that_is_missing_from_the_first_volume_does_not_take_the_volume_with_it():
    markers = np.delete(slices_of(onsets_of(63), 30, over_s=1.4), 5)
    assert_at(place(mark(markers), groups=(30,), n_dummies=2), onsets_of(63)[2:62])


def test_slices_from_the_start_of_the_file_on_could_begin_with_any_slice():
    late = slices_of(onsets_of(first_s=-0.5 * TR_S), 30, over_s=TR_S)
    message = refusal_of(mark(late[late >= 0]), groups=(30,))
    assert "found 1785 x 'R128' every 0.07 s" in message


def test_a_pause_shows_the_volumes_to_eeg_that_starts_within_one():
    onsets = onsets_of(first_s=0.9 - TR_S)
    markers = slices_of(onsets, 30, over_s=1.4)
    alignment = place(mark(markers[markers >= 0]), groups=(30,))
    assert_at(alignment, onsets)
    [note] = alignment.notes
    assert note.startswith("the EEG starts after the first ")


@pytest.mark.parametrize("over_s", [TR_S, 1.4], ids=["all of TR", "a pause at the end"])
def test_eeg_that_ends_among_slices_has_volumes_after_its_end(over_s):
    end_s = FIRST_S + 54.4 * TR_S
    markers = slices_of(onsets_of(), 30, over_s=over_s)
    alignment = place(mark(markers[markers < end_s]), groups=(30,), duration_s=end_s)
    assert_at(alignment, onsets_of())


def test_markers_of_volumes_outrank_those_of_slices():
    slices = mark(slices_of(onsets_of(65), 30, over_s=TR_S), "s ")
    assert place(slices, mark(onsets_of(), "Scan Start"), groups=(30,)).code == "Scan Start"


# ----------------------------------------------------------------------------------------------------------------- nothing


def test_another_repetition_time_is_told_with_the_intervals_found():
    message = refusal_of(mark(onsets_of()), tr_s=3.0)
    assert (
        "expected 60 volume markers 3 s apart, found 60 x 'R128' every 2.1 s (x.vmrk); check RepetitionTime" in message
    )


def test_no_marker_at_all_is_told_with_the_remedy():
    assert refusal_of() == (
        "expected 60 volume markers 2.1 s apart, found no marker at all; check RepetitionTime and that the markers were "
        "exported, or pass --assume-start-together if EEG and BOLD do"
    )


def test_a_known_start_gives_onsets_without_markers():
    alignment = align_from(-3.5, Scan(7, 1.9), evidence="scans.tsv", note="seconds at best")
    assert_at(alignment, -3.5 + 1.9 * np.arange(7))
    assert np.isnan(alignment.markers_s).all()
    assert np.isnan(alignment.jitter_ms)
    assert (alignment.evidence, alignment.notes, alignment.code) == ("scans.tsv", ("seconds at best",), "")


# ------------------------------------------------------------------------------------------------------------ several runs


def place_runs(markers, *n_volumes):
    scans = [Scan(n, TR_S) for n in n_volumes]
    return align_runs(markers, scans, duration_s=600.0, resolution_s=0.0002)


@pytest.mark.parametrize("n_volumes", [(60, 60), (60, 47)], ids=["alike", "of different length"])
def test_runs_in_one_file_follow_each_other(n_volumes):
    onsets = [onsets_of(n, first_s=first_s) for n, first_s in zip(n_volumes, (14.3, 211.7), strict=True)]
    placed = place_runs([mark(np.concatenate(onsets))], *n_volumes)
    for alignment, truth in zip(placed, onsets, strict=True):
        assert_at(alignment, truth)
    assert placed[0].others_s == tuple(onsets[1])


def test_runs_in_an_order_that_is_impossible_are_refused():
    markers = mark([*onsets_of(47), *onsets_of(60, first_s=211.7)])
    with pytest.raises(AlignmentError, match="for each of 2 runs one after the other, found no such order"):
        place_runs([markers], 60, 47)


def test_two_runs_among_three_attempts_are_not_guessed_about():
    starts = (14.3, 211.7, 400.4)
    markers = mark(np.concatenate([onsets_of(first_s=first_s) for first_s in starts]))
    with pytest.raises(AlignmentError, match=r"more than one answer: the first volume at 14\.300 s or 211\.700 s"):
        place_runs([markers], 60, 60)


def test_a_run_that_no_marker_fits_is_told_with_its_number():
    with pytest.raises(AlignmentError, match=r"expected 90 volume markers 2\.1 s apart, found 60 x 'R128'"):
        place_runs([mark(onsets_of())], 60, 90)
