"""One peculiarity each, in a dataset of 40 volumes whose onsets are known."""

import json
from datetime import timedelta

import mne
import numpy as np
import pytest
from wild_files import (
    CAP,
    STARTED,
    Mark,
    acquisition_time,
    marks_at,
    onsets_of,
    write_bold,
    write_eeg,
)
from wild_plans import assert_onsets, assert_order_and_words, assert_refused, by_bold, statuses

N = 40
TR_S = 2.0
FIRST_S = 7.316
ONSETS_S = onsets_of(N, tr_s=TR_S, first_s=FIRST_S, drift_ppm=25)
DURATION_S = 100.0  # 12.7 s more than the last volume needs
VOLUMES = marks_at(ONSETS_S)
REST = {"sub-01_task-rest_eeg.vhdr + sub-01_task-rest_bold.nii.gz": "paired"}


def write_rest(wild, marks=VOLUMES, *, n_volumes=N, duration_s=DURATION_S, tr_s=TR_S, extension=".vhdr", **sidecar):
    """Write the usual pair: same entities, so that only the markers are left to be judged."""
    wild.bold("task-rest", n_volumes, tr_s=tr_s, **sidecar)
    wild.eeg("task-rest", marks, duration_s=duration_s, extension=extension)


def events_table(marks, *, shift_s=0.0):
    return {
        "onset": [f"{mark.onset_s + shift_s:.4f}" for mark in marks],
        "duration": [0] * len(marks),
        "trial_type": [mark.code for mark in marks],
    }


# The writers themselves.


@pytest.mark.parametrize("extension", [".vhdr", ".edf", ".set"])
def test_a_written_file_holds_its_markers(tmp_path, extension):
    path = tmp_path / f"sub-01_task-rest_eeg{extension}"
    write_eeg(path, [*VOLUMES, Mark(3.0, "Stimulus/S  2")], duration_s=DURATION_S)
    raw = mne.io.read_raw(path, preload=True, verbose="ERROR")
    found = raw.annotations.onset[raw.annotations.description == "Response/R128"]
    np.testing.assert_allclose(found, ONSETS_S, rtol=0, atol=0.0021)
    assert raw.annotations.onset[raw.annotations.description == "Stimulus/S  2"] == pytest.approx([3.0])
    assert raw.n_times == DURATION_S * raw.info["sfreq"]
    assert raw.get_data(picks="Cz").std() == pytest.approx(20e-6, rel=0.1)


# Names of files.


def test_a_run_that_the_eeg_does_not_name_is_paired_if_the_markers_fit(wild, plan):
    wild.bold("task-rest_run-001", N)
    wild.eeg("task-rest", VOLUMES, duration_s=DURATION_S)
    assert statuses(plan()) == {"sub-01_task-rest_eeg.vhdr + sub-01_task-rest_run-001_bold.nii.gz": "paired"}
    assert_onsets(plan()[0], ONSETS_S)


@pytest.mark.parametrize(
    "marks",
    [
        pytest.param((), id="no marker"),
        pytest.param(marks_at(onsets_of(60, tr_s=1.5, first_s=4.0)), id="markers of another repetition time"),
        pytest.param(marks_at(np.arange(1, 99, 3.7), "Stimulus/S  1"), id="stimuli"),
    ],
)
def test_a_run_that_the_eeg_does_not_name_is_not_paired_if_the_markers_do_not_fit(wild, plan, marks):
    wild.bold("task-rest_run-001", N)
    wild.eeg("task-rest", marks, duration_s=DURATION_S)
    assert statuses(plan()) == {
        "sub-01_task-rest_eeg.vhdr": "not simultaneous",
        "sub-01_task-rest_run-001_bold.nii.gz": "not simultaneous",
    }
    assert_order_and_words(plan())


def test_of_on_and_off_the_one_with_markers_is_paired(wild, plan):
    wild.bold("task-X", N)
    wild.eeg("task-XON", VOLUMES, duration_s=DURATION_S)
    wild.eeg("task-XOFF", marks_at(np.arange(2, 98, 3.1), "Stimulus/S  1"), duration_s=DURATION_S)
    assert statuses(plan()) == {
        "sub-01_task-XON_eeg.vhdr + sub-01_task-X_bold.nii.gz": "paired",
        "sub-01_task-XOFF_eeg.vhdr": "EEG only",
    }
    assert_onsets(by_bold(plan())["sub-01_task-X"], ONSETS_S)


def test_run_1_and_run_01_are_one_run(wild, plan_one):
    wild.bold("task-rest_run-01", N)
    wild.eeg("task-rest_run-1", VOLUMES, duration_s=DURATION_S)
    assert plan_one().recording.status == "paired"
    assert_onsets(plan_one(), ONSETS_S)


def test_sleep_that_is_longer_than_its_bold_is_aligned_without_any_sidecar(wild, plan):
    """As in ds003768: EEG without eeg.json, channels.tsv or events.tsv, and no participants.tsv."""
    for run, first_s in ((1, 201.508), (2, 33.044)):
        wild.bold(f"task-sleep_run-{run}", 140, tr_s=2.1)
        marks = marks_at(onsets_of(140, tr_s=2.1, first_s=first_s, drift_ppm=-30))
        wild.eeg(f"task-sleep_run-{run}", marks, duration_s=900, sfreq=125.0)
        (wild.find("func", f"task-sleep_run-{run}_bold.json")).unlink()
    wild.bold("task-rest_run-1", 140, tr_s=2.1)
    assert statuses(plan()) == {
        "sub-01_task-rest_run-1_bold.nii.gz": "BOLD only",
        "sub-01_task-sleep_run-1_eeg.vhdr + sub-01_task-sleep_run-1_bold.nii.gz": "paired",
        "sub-01_task-sleep_run-2_eeg.vhdr + sub-01_task-sleep_run-2_bold.nii.gz": "paired",
    }
    plans = by_bold(plan())
    for run, first_s in ((1, 201.508), (2, 33.044)):
        truth = onsets_of(140, tr_s=2.1, first_s=first_s, drift_ppm=-30)
        assert_onsets(plans[f"sub-01_task-sleep_run-{run}"], truth, within_s=0.005)


# Formats.


def test_brainvision_in_float32_is_read(wild, plan_one):
    wild.bold("task-rest", N)
    wild.eeg("task-rest", VOLUMES, duration_s=DURATION_S, binary_format="IEEE_FLOAT_32")
    assert_onsets(plan_one(), ONSETS_S)


@pytest.mark.parametrize("extension", [".set", ".edf"])
def test_eeglab_and_edf_carry_the_markers_inside(wild, plan_one, extension):
    write_rest(wild, extension=extension)
    assert plan_one().recording.eeg.suffix == extension
    assert_onsets(plan_one(), ONSETS_S)


def test_a_recording_in_two_formats_is_one_recording(wild, plan_one):
    write_rest(wild)
    wild.eeg("task-rest", VOLUMES, duration_s=DURATION_S, extension=".set")
    assert plan_one().recording.status == "paired"
    assert plan_one().recording.eeg.suffix in (".vhdr", ".set")
    assert_onsets(plan_one(), ONSETS_S)


def test_a_bold_file_without_gz_is_read(wild, plan_one):
    wild.bold("task-rest", N, extension=".nii")
    wild.eeg("task-rest", VOLUMES, duration_s=DURATION_S)
    assert plan_one().recording.bold.suffix == ".nii"
    assert_onsets(plan_one(), ONSETS_S)


def test_eeg_in_mat_files_is_named_as_what_it_is(wild, plan_one):
    wild.bold("task-rest", N)
    wild.find("eeg", "task-rest_eeg.mat").parent.mkdir()
    wild.find("eeg", "task-rest_eeg.mat").write_bytes(b"MATLAB 5.0 MAT-file".ljust(200, b"\0"))
    (wild.path / ".bidsignore").write_text("sub-*/eeg/*.mat\n")
    assert plan_one().recording.status == "BOLD only"
    assert ".mat" in plan_one().recording.reason


# Codes and tables.


@pytest.mark.parametrize("extension", [".vhdr", ".set", ".edf"])
@pytest.mark.parametrize("code", ["Response/R128", "Stimulus/T  1", "Stimulus/S128", "Scanner/Scan Start"])
def test_volumes_are_told_by_their_regularity_whatever_the_code(wild, plan_one, code, extension):
    stimuli = marks_at(np.random.default_rng(1).uniform(0, 99, 45), "Stimulus/S  1")
    write_rest(wild, [*marks_at(ONSETS_S, code), *stimuli], extension=extension)
    assert_onsets(plan_one(), ONSETS_S)
    assert code.partition("/")[2] in plan_one().alignment.evidence


@pytest.mark.parametrize("code", ["T  1", "S128", "R128"])
def test_codes_without_a_type_are_found_too(wild, plan_one, code):
    write_rest(wild, marks_at(ONSETS_S, code), extension=".set")
    assert_onsets(plan_one(), ONSETS_S)


def test_the_ticks_of_a_clock_are_left_for_the_volumes_even_if_they_are_as_far_apart(wild, plan_one):
    ticks = marks_at(np.arange(0.5, DURATION_S, TR_S), "SyncStatus/Sync On")
    write_rest(wild, [*VOLUMES, *ticks])
    assert_onsets(plan_one(), ONSETS_S)
    assert "R128" in plan_one().alignment.evidence


def test_tables_with_a_byte_order_mark_are_read(wild, plan_one):
    """The markers are in events.tsv alone, so nothing works if it is not read."""
    wild.bold("task-rest", N)
    wild.eeg("task-rest", duration_s=DURATION_S, extension=".edf")
    names = [*CAP, "ECG"]
    wild.eeg_table("task-rest_events.tsv", events_table(VOLUMES), bom=True)
    wild.eeg_table(
        "task-rest_channels.tsv",
        {"name": names, "type": ["EEG"] * len(CAP) + ["ECG"], "units": ["uV"] * len(names)},
        bom=True,
    )
    wild.table("participants.tsv", {"participant_id": ["sub-01"], "age": [30]}, bom=True)
    files = ["eeg/sub-01_task-rest_eeg.edf", "func/sub-01_task-rest_bold.nii.gz"]
    wild.table(
        "sub-01/sub-01_scans.tsv",
        {"filename": files, "acq_time": [acquisition_time(), acquisition_time(later_s=FIRST_S)]},
        bom=True,
    )
    assert plan_one().recording.status == "paired"
    assert_onsets(plan_one(), ONSETS_S)


def test_ecg_and_wire_loops_typed_misc_do_no_harm(wild, plan_one):
    names = [*CAP[:30], "ECG", "CWL1", "CWL2", "CWL3", "CWL4"]
    wild.bold("task-rest", N)
    wild.eeg("task-rest", VOLUMES, duration_s=DURATION_S, names=names)
    types = ["EEG"] * 30 + ["MISC"] * 5
    wild.eeg_table("task-rest_channels.tsv", {"name": names, "type": types, "units": ["uV"] * 35})
    assert_onsets(plan_one(), ONSETS_S)


def test_channels_that_are_all_typed_wrongly_do_not_stop_the_alignment(wild, plan_one):
    names = [*CAP, "ECG"]
    write_rest(wild)
    types = ["eeg"] * 20 + ["reponse"] * 5 + ["n/a"] * 7
    wild.eeg_table("task-rest_channels.tsv", {"name": names, "type": types, "units": ["microV"] * 32})
    assert_onsets(plan_one(), ONSETS_S)


def test_events_that_count_from_the_first_marker_do_not_move_the_volumes(wild, plan_one):
    """The header's markers are right, their copy in events.tsv is early by what comes before the first."""
    write_rest(wild)
    wild.eeg_table("task-rest_events.tsv", events_table(VOLUMES, shift_s=-FIRST_S))
    if plan_one().alignment:
        assert_onsets(plan_one(), ONSETS_S)
    else:
        assert_refused(plan_one(), N)


def test_events_that_repeat_the_header_are_one_witness(wild, plan_one):
    write_rest(wild)
    wild.eeg_table("task-rest_events.tsv", events_table(VOLUMES))
    assert_onsets(plan_one(), ONSETS_S)


# Too many markers.


@pytest.mark.parametrize("n_extra", [1, 2])
def test_a_marker_or_two_after_the_last_volume_leave_the_first_where_it_is(wild, plan_one, n_extra):
    write_rest(wild, marks_at(onsets_of(N + n_extra, first_s=FIRST_S, drift_ppm=25)))
    assert_onsets(plan_one(), ONSETS_S)


def test_dummies_that_the_sidecar_tells_of_come_before_the_first_volume(wild, plan_one):
    onsets = onsets_of(N + 4, first_s=FIRST_S, drift_ppm=25)
    write_rest(wild, marks_at(onsets), NumberOfVolumesDiscardedByScanner=4)
    assert_onsets(plan_one(), onsets[4:])


def test_dummies_that_nobody_tells_of_are_refused(wild, plan_one):
    write_rest(wild, marks_at(onsets_of(N + 4, first_s=FIRST_S)))
    assert_refused(plan_one(), N, N + 4)


def test_discarded_volumes_that_sent_no_marker_do_not_shift_the_rest(wild, plan_one):
    write_rest(wild, NumberOfVolumesDiscardedByScanner=4)
    if plan_one().alignment:
        assert_onsets(plan_one(), ONSETS_S)
    else:
        assert_refused(plan_one(), N)


def test_a_marker_at_the_start_of_the_file_is_not_the_first_volume(wild, plan_one):
    write_rest(wild, [Mark(0.0), *VOLUMES])
    assert_onsets(plan_one(), ONSETS_S)


@pytest.mark.parametrize("which", [slice(5, 31, 11), slice(None)], ids=["three", "all"])
def test_doubled_markers_count_once(wild, plan_one, which):
    write_rest(wild, [*VOLUMES, *marks_at(ONSETS_S[which] + 0.008)])
    assert_onsets(plan_one(), ONSETS_S, within_s=0.009)


def test_an_aborted_start_is_left_out(wild, plan_one):
    aborted = onsets_of(6, first_s=3.128)
    onsets = onsets_of(N, first_s=44.876)
    write_rest(wild, marks_at([*aborted, *onsets]), duration_s=140)
    assert_onsets(plan_one(), onsets)


def test_a_series_that_went_on_after_an_abort_is_not_taken_for_the_stored_one(wild, plan_one):
    """34 + 6 markers make 40, yet no 40 volumes were scanned in a row."""
    marks = marks_at([*onsets_of(34, first_s=3.128), *onsets_of(6, first_s=101.5)])
    write_rest(wild, marks, duration_s=140)
    assert_refused(plan_one(), N, 34)


# Too few markers.


@pytest.mark.parametrize("missing", [[17], [9, 10, 28], [0, 39]], ids=["one", "three", "the first and the last"])
def test_missing_markers_leave_the_others_where_they_are(wild, plan_one, missing):
    write_rest(wild, marks_at(np.delete(ONSETS_S, missing)))
    if 0 in missing and plan_one().problem:
        assert_refused(plan_one(), N, N - 2)  # a train of 38 could begin with any of three volumes
    else:
        assert_onsets(plan_one(), ONSETS_S)


def test_an_eeg_that_began_five_volumes_late_has_them_before_its_start(wild, plan_one):
    onsets = onsets_of(N, first_s=0.852 - 5 * TR_S)
    write_rest(wild, marks_at(onsets[5:]))
    assert_onsets(plan_one(), onsets)
    assert (plan_one().alignment.onsets_s < 0).sum() == 5


def test_an_eeg_that_ended_five_volumes_early_has_them_after_its_end(wild, plan_one):
    write_rest(wild, VOLUMES[:-5], duration_s=float(np.ceil(ONSETS_S[-6])))
    assert_onsets(plan_one(), ONSETS_S)


def test_an_eeg_that_began_late_and_ended_early_is_refused(wild, plan_one):
    onsets = onsets_of(35, first_s=0.852)
    write_rest(wild, marks_at(onsets), duration_s=float(np.ceil(onsets[-1])))
    assert_refused(plan_one(), N, 35)


def test_no_marker_at_all_is_refused_with_the_number_that_was_expected(wild, plan_one):
    write_rest(wild, (), n_volumes=98, duration_s=220)
    assert_refused(plan_one(), 98)


def test_28_of_98_markers_are_refused_with_both_numbers(wild, plan_one):
    write_rest(wild, marks_at(onsets_of(28, first_s=FIRST_S)), n_volumes=98, duration_s=220)
    assert_refused(plan_one(), 98, 28)


# Markers of slices.


@pytest.mark.parametrize("tr_s", [2.0, 1.28])
def test_markers_of_volumes_outrank_those_of_slices(wild, plan_one, tr_s):
    onsets = onsets_of(N, tr_s=tr_s, first_s=FIRST_S)
    slices = (onsets[:, None] + tr_s / 20 * np.arange(20)).ravel()
    write_rest(wild, [*marks_at(onsets, "Scanner/Scan Start"), *marks_at(slices, "Scanner/s ")], tr_s=tr_s)
    assert_onsets(plan_one(), onsets)


def test_markers_of_slices_alone_give_the_volumes(wild, plan_one):
    slices = (ONSETS_S[:, None] + TR_S / 20 * np.arange(20)).ravel()
    timing = [round(TR_S / 20 * number, 4) for number in range(20)]
    write_rest(wild, marks_at(slices), SliceTiming=timing)
    assert_onsets(plan_one(), ONSETS_S)


def test_markers_of_groups_of_slices_that_are_excited_together_give_the_volumes(wild, plan_one):
    """Four at once: 40 slices, ten markers per volume."""
    tr_s = 1.28
    onsets = onsets_of(N, tr_s=tr_s, first_s=FIRST_S)
    groups = (onsets[:, None] + tr_s / 10 * np.arange(10)).ravel()
    timing = [round(tr_s / 10 * group, 4) for group in range(10)] * 4
    write_rest(wild, marks_at(groups), tr_s=tr_s, SliceTiming=timing, MultibandAccelerationFactor=4)
    assert_onsets(plan_one(), onsets)


# More than one run in a file, and times of acquisition.


def test_two_runs_in_one_eeg_file_each_find_their_markers(wild, plan):
    first, second = onsets_of(41, first_s=FIRST_S), onsets_of(33, first_s=150.088)
    wild.bold("task-rest_run-1", 41)
    wild.bold("task-rest_run-2", 33)
    wild.eeg("task-rest", marks_at([*first, *second]), duration_s=230)
    assert statuses(plan()) == {
        "sub-01_task-rest_eeg.vhdr + sub-01_task-rest_run-1_bold.nii.gz": "paired",
        "sub-01_task-rest_eeg.vhdr + sub-01_task-rest_run-2_bold.nii.gz": "paired",
    }
    assert_order_and_words(plan())
    assert_onsets(by_bold(plan())["sub-01_task-rest_run-1"], first)
    assert_onsets(by_bold(plan())["sub-01_task-rest_run-2"], second)


def test_what_was_recorded_at_one_time_is_paired_although_the_names_differ(wild, plan):
    wild.bold("task-restMRI", N)
    wild.eeg("task-restEEG", VOLUMES, duration_s=DURATION_S)
    files = ["eeg/sub-01_task-restEEG_eeg.vhdr", "func/sub-01_task-restMRI_bold.nii.gz"]
    times = [acquisition_time(), acquisition_time(later_s=FIRST_S + 0.4)]
    wild.table("sub-01/sub-01_scans.tsv", {"filename": files, "acq_time": times})
    assert statuses(plan()) == {"sub-01_task-restEEG_eeg.vhdr + sub-01_task-restMRI_bold.nii.gz": "paired"}
    assert_onsets(plan()[0], ONSETS_S)


def test_what_was_recorded_a_week_apart_is_not_simultaneous_although_the_names_are_the_same(wild, plan):
    write_rest(wild, ())
    files = ["eeg/sub-01_task-rest_eeg.vhdr", "func/sub-01_task-rest_bold.nii.gz"]
    times = [acquisition_time(), acquisition_time(STARTED + timedelta(days=7))]
    wild.table("sub-01/sub-01_scans.tsv", {"filename": files, "acq_time": times})
    assert statuses(plan()) == {
        "sub-01_task-rest_eeg.vhdr": "not simultaneous",
        "sub-01_task-rest_bold.nii.gz": "not simultaneous",
    }
    assert_order_and_words(plan())


# What else lies about.


def test_a_sidecar_that_a_mac_left_or_that_is_for_another_participant_is_not_looked_at(wild, plan_one):
    from wild_files import RESOURCE_FORK

    write_rest(wild)
    for name in ("func/._sub-01_task-rest_bold.json", "func/._sub-01_task-rest_bold.nii.gz", "eeg/._x_eeg.vhdr"):
        (wild.path / "sub-01" / name).write_bytes(RESOURCE_FORK)
    write_bold(wild.path / "sub-02/func/sub-02_task-rest_bold.nii.gz", 7, tr_s=1.0)
    (wild.path / "sub-02/func/sub-02_task-rest_bold.json").write_text(json.dumps({"RepetitionTime": 1.0}))
    assert_onsets(plan_one(), ONSETS_S)
    assert plan_one().recording.subject == "01"
