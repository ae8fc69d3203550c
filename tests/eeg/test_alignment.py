import numpy as np
import pytest

from bids_eeg2fmri.eeg.alignment import Marker, align
from bids_eeg2fmri.errors import AlignmentError


def volumes(n=60, *, tr_s=2.1, first_s=14.3, code="R128", source="x.vmrk"):
    return Marker(source, code, first_s + tr_s * np.arange(n))


def test_markers_are_the_onsets():
    alignment = align([volumes()], tr_s=2.1, n_volumes=60)
    np.testing.assert_allclose(alignment.onsets_s, 14.3 + 2.1 * np.arange(60), atol=1e-9)
    assert alignment.tr_s == pytest.approx(2.1)
    assert alignment.drift_ppm == pytest.approx(0, abs=1e-6)
    assert alignment.jitter_ms == pytest.approx(0, abs=1e-6)
    assert "marker 'R128' in x.vmrk: 60 found, 60 volumes stored; first volume at 14.300 s" in alignment.evidence


def test_the_code_is_told_by_its_regularity_and_not_by_its_name():
    stimuli = Marker("x.vmrk", "R128", np.sort(np.random.default_rng(0).uniform(0, 140, 60)))
    alignment = align([stimuli, volumes(code="Sync On")], tr_s=2.1, n_volumes=60)
    assert alignment.onsets_s[0] == pytest.approx(14.3)
    assert "'Sync On'" in alignment.evidence


def test_a_clock_that_never_stops_is_no_volume_marker():
    clock = volumes(400, first_s=0.05, code="clock")
    alignment = align([clock, volumes()], tr_s=2.1, n_volumes=60)
    assert alignment.onsets_s[0] == pytest.approx(14.3)


def test_dummy_scans_that_the_sidecar_knows_of_come_first():
    alignment = align([volumes(64)], tr_s=2.1, n_volumes=60, n_discarded=4)
    assert alignment.onsets_s[0] == pytest.approx(14.3 + 4 * 2.1)
    assert "4 before them discarded" in alignment.evidence


def test_dummy_scans_that_sent_no_marker_do_not_shift_the_others():
    alignment = align([volumes(60)], tr_s=2.1, n_volumes=60, n_discarded=4)
    assert alignment.onsets_s[0] == pytest.approx(14.3)


def test_a_marker_after_the_last_volume_is_ignored():
    alignment = align([volumes(61)], tr_s=2.1, n_volumes=60)
    assert len(alignment.onsets_s) == 60
    assert "1 after them ignored" in alignment.evidence


def test_the_same_marker_told_twice_is_one():
    alignment = align([volumes(), volumes(code="128", source="events.tsv")], tr_s=2.1, n_volumes=60)
    assert alignment.onsets_s[0] == pytest.approx(14.3)


@pytest.mark.parametrize("ppm", [-300, 80])
def test_a_drift_between_the_clocks_is_measured(ppm):
    alignment = align([volumes(500, tr_s=2.1 * (1 + ppm * 1e-6))], tr_s=2.1, n_volumes=500)
    assert alignment.drift_ppm == pytest.approx(ppm, abs=0.1)


def test_jitter_is_measured_and_smoothed_away():
    marker = volumes(400)
    late = np.random.default_rng(1).normal(0, 0.004, 400)
    alignment = align([Marker("x", "R128", marker.onsets_s + late)], tr_s=2.1, n_volumes=400)
    assert alignment.jitter_ms == pytest.approx(4, rel=0.1)
    assert np.abs(alignment.onsets_s - marker.onsets_s).max() < 0.0015


def test_two_codes_that_fit_are_not_guessed_between():
    with pytest.raises(AlignmentError, match=r"more than one code that fits: 'R128' in x.vmrk and 'S  5' in x.vmrk"):
        align([volumes(), volumes(first_s=14.9, code="S  5")], tr_s=2.1, n_volumes=60)


@pytest.mark.parametrize("n", [57, 66])
def test_another_number_of_markers_is_told(n):
    with pytest.raises(AlignmentError) as caught:
        align([volumes(n)], tr_s=2.1, n_volumes=60)
    message = str(caught.value)
    assert f"expected 60 volume markers 2.1 s apart, found {n} x 'R128' every 2.1 s (x.vmrk)" in message
    assert ("NumberOfVolumesDiscardedByScanner" if n > 60 else "started late or ended early") in message


@pytest.mark.parametrize("fault", ["missing", "doubled"])
def test_a_marker_that_is_missing_or_doubled_is_not_counted_over(fault):
    onsets = volumes(61).onsets_s
    onsets = np.delete(onsets, 30) if fault == "missing" else np.insert(onsets[:-1], 30, onsets[29] + 0.4)
    with pytest.raises(AlignmentError, match=r"of them lie off the regular grid; look for a missing or doubled marker"):
        align([Marker("x.vmrk", "R128", onsets)], tr_s=2.1, n_volumes=60)


def test_another_repetition_time_is_told():
    with pytest.raises(AlignmentError, match=r"expected 60 volume markers 3 s apart, found 60 x 'R128' every 2.1 s"):
        align([volumes()], tr_s=3.0, n_volumes=60)


def test_no_marker_at_all_is_told():
    with pytest.raises(AlignmentError, match="found no marker at all; check RepetitionTime and that the markers were"):
        align([], tr_s=2.0, n_volumes=60)


def test_a_regular_code_beside_the_markers_is_not_chosen_for_its_count():
    scanner = Marker("x.vmrk", "R128", 7.0 + 2.0 * np.arange(151))
    stimulus = Marker("x.vmrk", "S  1", 8.3 + 2.0 * np.arange(150))
    with pytest.raises(AlignmentError, match=r"more than one code that fits: 'R128' in x\.vmrk and 'S  1'"):
        align([scanner, stimulus], tr_s=2.0, n_volumes=150)


def test_a_marker_that_came_late_moves_nothing():
    onsets = 7.0 + 2.0 * np.arange(150)
    onsets[70] += 0.3
    alignment = align([Marker("x.vmrk", "R128", onsets)], tr_s=2.0, n_volumes=150)
    np.testing.assert_allclose(alignment.onsets_s, 7.0 + 2.0 * np.arange(150), atol=1e-6)
    assert alignment.jitter_ms < 0.01
