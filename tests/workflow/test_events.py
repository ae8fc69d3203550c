"""Events are on the volumes' clock, whichever side they come from; what contradicts is told."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bids_eeg2fmri.eeg.alignment import Scan, align_from
from bids_eeg2fmri.workflow.events import place_events

N, TR_S, FIRST_S = 40, 2.1, 15.3
STIMULI_S = np.array([3.2, 17.9, 33.4, 58.8, 70.1])


def aligned(first_s=FIRST_S, *, drift_ppm=0.0):
    tr_eeg_s = TR_S * (1 + 1e-6 * drift_ppm)
    alignment = align_from(first_s, Scan(N, tr_eeg_s), evidence="", note="")
    return replace(alignment, code="Response/R128")


def table(onsets_s, condition="face", **columns):
    onsets_s = np.asarray(onsets_s, float)
    return pd.DataFrame({"onset": onsets_s, "duration": 1.5, "trial_type": condition, **columns})


def volumes(onsets_s, code="R128"):
    return table(onsets_s, code, value="n/a").assign(duration=0.0)


def both(*tables):
    return pd.concat(tables, ignore_index=True).sort_values("onset", kind="stable", ignore_index=True)


def place(of_bold, of_eeg, alignment=None):
    return place_events(of_bold, of_eeg, alignment or aligned(), tr_s=TR_S)


def test_without_tables_there_are_no_events():
    assert place(None, None) == (None, [])


def test_events_of_the_bold_stay_as_they_are():
    events, conflicts = place(table(STIMULI_S, response_time="0.4"), None)
    pd.testing.assert_frame_equal(events, table(STIMULI_S, response_time="0.4"))
    assert conflicts == []


def test_events_of_the_eeg_are_moved_to_the_volumes_and_lose_the_volume_markers():
    volumes_s = FIRST_S + TR_S * np.arange(N)
    events, conflicts = place(None, both(table(FIRST_S + STIMULI_S, value="n/a"), volumes(volumes_s)))
    np.testing.assert_allclose(events.onset, STIMULI_S, atol=1e-9)
    assert events.trial_type.tolist() == ["face"] * 5
    assert (events.duration == 1.5).all()
    assert conflicts == []


def test_a_clock_that_drifts_is_told_in_the_seconds_of_the_scanner():
    fast = aligned(drift_ppm=800)
    events, _ = place(None, table(FIRST_S + STIMULI_S * 1.0008), fast)
    np.testing.assert_allclose(events.onset, STIMULI_S, atol=1e-9)


def test_two_tables_that_agree_are_one():
    events, conflicts = place(table(STIMULI_S), table(FIRST_S + STIMULI_S + 0.03))
    np.testing.assert_array_equal(events.onset, STIMULI_S)
    assert conflicts == []


def test_two_tables_that_differ_are_told_and_the_one_of_the_bold_is_used():
    of_bold = both(table(STIMULI_S), table(STIMULI_S + 5, "house"), table([20.0], "rest"))
    of_eeg = both(table(FIRST_S + STIMULI_S - 0.5), table(FIRST_S + STIMULI_S[:-1] + 5, "house"), table([1.0], "blink"))
    events, conflicts = place(of_bold, of_eeg)
    np.testing.assert_array_equal(events.onset, of_bold.onset)
    assert conflicts == [
        "face: onsets in the BOLD's events.tsv are +0.50 s off the EEG's (median)",
        "house: 5 events in the BOLD's events.tsv, 4 in the EEG's",
    ]


def test_a_copy_with_volume_markers_is_on_the_clock_of_the_eeg():
    """As in ds002725."""
    copy = both(table(FIRST_S + STIMULI_S, value="n/a"), volumes(FIRST_S + TR_S * np.arange(N)))
    events, conflicts = place(copy, copy)
    np.testing.assert_allclose(events.onset, STIMULI_S, atol=1e-9)
    assert conflicts == [
        "the events.tsv of BOLD and EEG have the same onsets, though the first volume comes at 15.300 s of the EEG: they "
        "count from the start of the EEG, as the volume markers in them tell; they were moved"
    ]


def test_a_copy_without_volume_markers_is_doubtful():
    events, conflicts = place(table(STIMULI_S), table(STIMULI_S))
    np.testing.assert_array_equal(events.onset, STIMULI_S)
    [conflict] = conflicts
    assert "have the same onsets, though the first volume comes at 15.300 s of the EEG" in conflict
    assert conflict.endswith("one of them is wrong; the BOLD's are used")


def test_a_copy_is_right_where_both_start_together():
    events, conflicts = place(table(STIMULI_S), table(STIMULI_S), aligned(0.02))
    np.testing.assert_array_equal(events.onset, STIMULI_S)
    assert conflicts == []


@pytest.mark.parametrize("first_s", [15.3, 7 * TR_S], ids=["off the grid", "on the grid by chance"])
@pytest.mark.parametrize("of_bold", [None, table(STIMULI_S + 0.7)], ids=["alone", "with the BOLD's"])
def test_a_table_of_the_eeg_that_is_off_the_clock_of_its_file_is_not_used(of_bold, first_s):
    """It counts from the first volume, as its volume markers tell."""
    of_eeg = both(table(STIMULI_S, value="n/a"), volumes(TR_S * np.arange(N)))
    events, conflicts = place(of_bold, of_eeg, aligned(first_s))
    assert (events is None) == (of_bold is None)
    assert conflicts == [
        "the EEG's events.tsv is not on the clock of its file: its volume markers start at 0.000 s, those of the file at "
        f"{first_s:.3f} s; it is not used"
    ]


def test_a_table_of_the_eeg_may_have_volume_markers_of_dummies():
    dummies_s = FIRST_S + TR_S * np.arange(-3, 0)
    of_eeg = both(table(FIRST_S + STIMULI_S, value="n/a"), volumes([*dummies_s, *(FIRST_S + TR_S * np.arange(N))]))
    events, conflicts = place(None, of_eeg, replace(aligned(), others_s=tuple(dummies_s)))
    np.testing.assert_allclose(events.onset, STIMULI_S, atol=1e-9)
    assert conflicts == []


def test_eeg_that_starts_during_the_series_has_markers_from_its_start_on():
    late = aligned(-3 * TR_S + 0.4)
    markers_s = late.onsets_s[late.onsets_s >= 0]
    events, conflicts = place(
        None, both(table(late.onsets_s[0] + STIMULI_S[1:], value="n/a"), volumes(markers_s)), late
    )
    np.testing.assert_allclose(events.onset, STIMULI_S[1:], atol=1e-9)
    assert conflicts == []


def test_events_outside_the_series_are_left_out_and_told():
    events, conflicts = place(table([-40.0, -20.0, 3.2, N * TR_S - 0.1, N * TR_S + 0.1]), None)
    assert events.onset.tolist() == [-20.0, 3.2, N * TR_S - 0.1]
    assert conflicts == ["2 of 5 events lie outside the series; left out"]


def test_where_all_events_lie_outside_there_are_none():
    assert place(table([200.0, 300.0]), None) == (None, ["2 of 2 events lie outside the series; left out"])


def test_a_table_of_volume_markers_alone_holds_no_events():
    assert place(None, volumes(FIRST_S + TR_S * np.arange(N))) == (None, [])


def test_the_tables_that_came_in_are_left_alone():
    of_eeg = both(table(FIRST_S + STIMULI_S, value="n/a"), volumes(FIRST_S + TR_S * np.arange(N)))
    before = of_eeg.copy()
    place(None, of_eeg)
    pd.testing.assert_frame_equal(of_eeg, before)


def test_a_table_without_a_row_is_none():
    empty = table([])
    of_eeg = table(STIMULI_S + 15.3)
    assert place(empty, empty, aligned(15.3)) == (None, [])
    events, conflicts = place(empty, of_eeg, aligned(15.3))
    np.testing.assert_allclose(events.onset, STIMULI_S, atol=1e-6)
    assert conflicts == []
