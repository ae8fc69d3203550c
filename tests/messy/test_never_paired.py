"""Both modalities exist, but were not recorded together: nothing is ever paired."""

import numpy as np
import pytest
from wild_files import Mark, acquisition_time, marks_at, onsets_of
from wild_plans import assert_order_and_words, statuses

N = 40
VOLUMES = marks_at(onsets_of(N, first_s=7.316))
BLINKS = [Mark(float(onset_s), "Stimulus/S  1") for onset_s in np.random.default_rng(3).uniform(0, 99, 45)]
PRESENCES = pytest.mark.parametrize(
    "marks", [(), BLINKS, VOLUMES], ids=["no marker", "stimuli", "as many markers as volumes"]
)


@pytest.mark.parametrize(
    "marks",
    [
        pytest.param((), id="no marker"),
        pytest.param(marks_at(np.arange(0, 600, 30), "W"), id="sleep stages"),
        pytest.param(marks_at(np.arange(0, 600, 2), "Epoch"), id="epochs as long as the repetition time"),
    ],
)
def test_sleep_is_not_rest(wild, plan, marks):
    wild.bold("task-rest", N)
    wild.eeg("task-sleep", marks, duration_s=600, extension=".edf", sfreq=50.0)
    assert statuses(plan()) == {
        "sub-01_task-rest_bold.nii.gz": "not simultaneous",
        "sub-01_task-sleep_eeg.edf": "not simultaneous",
    }
    assert_order_and_words(plan())


@PRESENCES
def test_one_session_is_not_another_whatever_the_markers(wild, plan, marks):
    wild.bold("ses-01_task-rest", N)
    wild.eeg("ses-EEG_task-rest", marks, duration_s=100)
    assert statuses(plan()) == {
        "sub-01_ses-01_task-rest_bold.nii.gz": "not simultaneous",
        "sub-01_ses-EEG_task-rest_eeg.vhdr": "not simultaneous",
    }
    assert_order_and_words(plan())
    for planned in plan():
        assert "ses" in planned.recording.reason


@pytest.mark.parametrize("marks", [(), BLINKS], ids=["no marker", "stimuli"])
def test_an_eeg_without_run_is_none_of_the_runs_of_another_week(wild, plan, marks):
    for run in range(1, 5):
        wild.bold(f"task-rest_run-{run}", N)
    wild.eeg("task-rest", marks, duration_s=400)
    found = statuses(plan())
    assert sorted(found) == [
        "sub-01_task-rest_eeg.vhdr",
        *(f"sub-01_task-rest_run-{run}_bold.nii.gz" for run in range(1, 5)),
    ]
    assert set(found.values()) <= {"not simultaneous", "ambiguous"}
    assert_order_and_words(plan())


def test_an_eeg_that_fits_four_runs_alike_is_given_to_none(wild, plan):
    for run in range(1, 5):
        wild.bold(f"task-rest_run-{run}", N)
    wild.eeg("task-rest", VOLUMES, duration_s=100)
    found = statuses(plan())
    assert len(found) == 5
    assert found["sub-01_task-rest_eeg.vhdr"] == "ambiguous"
    assert "paired" not in found.values()
    assert_order_and_words(plan())


def test_two_runs_are_not_paired_crosswise(wild, plan):
    """run-1 has EEG alone and run-2 BOLD alone; the markers fit, but they would fit any run."""
    wild.bold("task-rest_run-2", N)
    wild.eeg("task-rest_run-1", VOLUMES, duration_s=100)
    assert "paired" not in statuses(plan()).values()
    assert len(plan()) == 2
    assert_order_and_words(plan())


def test_a_week_apart_outranks_markers_that_fit(wild, plan):
    wild.bold("task-rest_run-001", N)
    wild.eeg("task-rest", VOLUMES, duration_s=100)
    files = ["eeg/sub-01_task-rest_eeg.vhdr", "func/sub-01_task-rest_run-001_bold.nii.gz"]
    times = [acquisition_time(), acquisition_time(later_s=7 * 86_400)]
    wild.table("sub-01/sub-01_scans.tsv", {"filename": files, "acq_time": times})
    assert set(statuses(plan()).values()) == {"not simultaneous"}
    assert_order_and_words(plan())


def test_participants_do_not_borrow_from_each_other(wild, plan):
    from wild_files import write_bold

    wild.eeg("task-rest", VOLUMES, duration_s=100)
    write_bold(wild.path / "sub-02/func/sub-02_task-rest_bold.nii.gz", N, tr_s=2.0)
    assert statuses(plan()) == {"sub-01_task-rest_eeg.vhdr": "EEG only"}
