"""Real datasets: the text files are theirs, the binaries are simulated, and what is true is known."""

import mne
import nibabel as nib
import numpy as np
import pytest
from wild_plans import assert_onsets, assert_order_and_words, assert_refused, by_bold, statuses

TASKS_OF_MUSIC = ("classicalMusic", "genMusic01", "genMusic02", "genMusic03", "washout")
FIRST_VOLUME_S = {  # as read from events.tsv by hand; two started a second time
    "sub-01_task-classicalMusic": 30.675,
    "sub-01_task-genMusic01": 190.005,
    "sub-02_task-classicalMusic": 15.680,
    "sub-03_task-genMusic01": 338.309,
    "sub-03_task-washout": 19.071,
}
CLEANED = """\
[[pairs]]
eeg = "derivatives/sub-{subject}/eeg/sub-{subject}_task-rest_eeg.vhdr"
bold = "sub-{subject}/func/sub-{subject}_task-rest_bold.nii.gz"
"""


@pytest.fixture(scope="module")
def neurofeedback(fill):
    return fill("ds002336")


@pytest.fixture(scope="module")
def confidence(fill):
    return fill("ds002158")


@pytest.fixture(scope="module")
def music(fill):
    return fill("ds002725")


@pytest.fixture(scope="module")
def resting(fill):
    return fill("eeg_rest_fmri")


@pytest.fixture(scope="module")
def ultimatum(fill):
    return fill("ds004000")


@pytest.fixture(scope="module")
def neuralgia(fill):
    return fill("on007181")


def pairs(subject, tasks, *, eeg, session=""):
    """Name the pairs that have the same entities on both sides."""
    stems = [f"sub-{subject}{session}_{task}" for task in tasks]
    return {f"{stem}_eeg{eeg} + {stem}_bold.nii.gz": "paired" for stem in stems}


def assert_all_onsets(filled, subject, *, within_s):
    paired = {name: planned for name, planned in by_bold(filled.plan(subject)).items() if planned.recording.eeg}
    assert paired
    for name, planned in paired.items():
        assert_onsets(planned, filled.onsets_s[name], within_s=within_s)


# The fillers themselves: what they say must be in the files.


@pytest.mark.parametrize(
    ("name", "code"),
    [("neurofeedback", "Response/R128"), ("confidence", "Response/R128"), ("resting", "SyncStatus/Sync On")],
)
def test_the_filled_brainvision_files_hold_their_markers(name, code, request):
    filled = request.getfixturevalue(name)
    headers = [path for path in filled.path.glob("sub-*/**/*_eeg.vhdr") if not path.name.startswith("._")]
    assert headers
    for path in headers:
        raw = mne.io.read_raw(path, verbose="ERROR")
        found = raw.annotations.onset[raw.annotations.description == code]
        assert len(raw.ch_names) == 64
        if name == "resting":
            np.testing.assert_allclose(np.diff(found), 2.0, atol=1e-9)
            continue
        onsets = filled.onsets_s[path.name.removesuffix("_eeg.vhdr")]
        np.testing.assert_allclose(found, onsets[: len(found)], rtol=0, atol=0.5001 / raw.info["sfreq"])
        assert found[-1] < raw.times[-1]


def test_the_filled_edf_files_are_as_long_as_their_events(music):
    paths = sorted(music.path.rglob("*_eeg.edf"))
    assert len(paths) == 15
    for path in paths:
        raw = mne.io.read_raw(path, verbose="ERROR")
        assert len(raw.ch_names) == 46
        assert not len(raw.annotations)
        assert raw.times[-1] > music.onsets_s[path.name.removesuffix("_eeg.edf")][-1]


def test_the_cleaned_files_hold_300_volumes(resting):
    for subject in ("32", "35"):
        raw = mne.io.read_raw(
            resting.path / f"derivatives/sub-{subject}/eeg/sub-{subject}_task-rest_eeg.vhdr", verbose=40
        )
        found = raw.annotations.onset[raw.annotations.description == "Scanner/Scan Start"]
        np.testing.assert_allclose(found, resting.onsets_s[f"sub-{subject}_task-rest"], atol=1e-9)
        assert len(found) == 300
        assert 1e-6 < raw.get_data(picks=[0], stop=1000).std() < 1e-4


@pytest.mark.parametrize("name", ["neurofeedback", "confidence", "music", "resting", "neuralgia"])
def test_the_filled_bold_is_a_series_with_its_repetition_time(name, request):
    paths = [
        path for path in request.getfixturevalue(name).path.rglob("sub-*_bold.nii*") if not path.name.startswith("._")
    ]
    assert paths
    for path in paths:
        image = nib.load(path)
        assert image.shape[:3] == (4, 5, 3)
        assert image.header.get_zooms()[3] == pytest.approx({"confidence": 1.28, "resting": 2.16}.get(name, 2.0))


# ds002336: same task, no session, no run; sidecars at the root alone, channels.tsv parted by blanks.


def test_tasks_pair_without_session_and_run(neurofeedback):
    plan = neurofeedback.plan("xp101")
    tasks = ("task-eegNF", "task-eegfmriNF", "task-fmriNF", "task-motorloc")
    assert statuses(plan) == pairs("xp101", tasks, eeg=".vhdr")
    assert_order_and_words(plan)


def test_a_task_with_eeg_alone_is_eeg_only(neurofeedback):
    plan = neurofeedback.plan("xp102")
    tasks = ("task-MIpost", "task-MIpre", "task-eegfmriNF", "task-fmriNF", "task-motorloc")
    assert statuses(plan) == {
        **pairs("xp102", tasks, eeg=".vhdr"),
        "sub-xp102_task-eegNF_eeg.vhdr": "EEG only",
    }
    assert_order_and_words(plan)


def test_tasks_with_bold_alone_are_bold_only(neurofeedback):
    plan = neurofeedback.plan("xp109")
    tasks = ("task-eegNF", "task-eegfmriNF", "task-fmriNF", "task-motorloc")
    assert statuses(plan) == {
        **pairs("xp109", tasks, eeg=".vhdr"),
        "sub-xp109_task-MIpost_bold.nii.gz": "BOLD only",
        "sub-xp109_task-MIpre_bold.nii.gz": "BOLD only",
    }
    assert_order_and_words(plan)


@pytest.mark.parametrize(("subject", "drift_ppm"), [("xp101", 0), ("xp102", 30), ("xp109", -12)])
def test_r128_marks_the_volumes_and_shows_how_the_clocks_drift(neurofeedback, subject, drift_ppm):
    assert_all_onsets(neurofeedback, subject, within_s=0.0025)  # samples are 4 ms apart
    for planned in neurofeedback.plan(subject):
        if planned.recording.status == "paired":
            # A sample is 10 ppm of 400 s and 20 ppm of 200 s: that is how far rounding can turn the line.
            short = len(planned.alignment.onsets_s) < 200
            assert planned.alignment.drift_ppm == pytest.approx(drift_ppm, abs=20 if short else 10)
            assert planned.alignment.jitter_ms < 2
            assert "R128" in planned.alignment.evidence


# ds002158: sessions and runs; resting BOLD without EEG, a run-00, and files that a Mac left.


def test_six_runs_pair_and_the_resting_bold_stays_alone_whatever_a_mac_left_beside_them(confidence):
    assert (confidence.path / "sub-02/ses-001/eeg/._sub-02_ses-001_task-main_run-001_eeg.vhdr").exists()
    plan = confidence.plan("02")
    runs = [f"task-main_run-00{number}" for number in range(1, 7)]
    assert statuses(plan) == {
        **pairs("02", runs, session="_ses-001", eeg=".vhdr"),
        "sub-02_ses-001_task-rest_run-001_bold.nii.gz": "BOLD only",
    }
    assert_order_and_words(plan)


def test_an_eeg_of_run_00_and_a_bold_of_run_006_are_not_taken_for_each_other(confidence):
    plan = confidence.plan("12")
    runs = [f"task-main_run-00{number}" for number in range(1, 6)]
    assert statuses(plan) == {
        **pairs("12", runs, session="_ses-001", eeg=".vhdr"),
        "sub-12_ses-001_task-main_run-00_eeg.vhdr": "ambiguous",
        "sub-12_ses-001_task-main_run-006_bold.nii.gz": "ambiguous",
        "sub-12_ses-001_task-rest_run-001_bold.nii.gz": "BOLD only",
    }
    assert_order_and_words(plan)


def test_a_run_whose_bold_was_rejected_is_eeg_only(confidence):
    plan = confidence.plan("19")
    runs = [f"task-main_run-00{number}" for number in range(1, 6)]
    assert statuses(plan) == {
        **pairs("19", runs, session="_ses-001", eeg=".vhdr"),
        "sub-19_ses-001_task-main_run-006_eeg.vhdr": "EEG only",
        "sub-19_ses-001_task-rest_run-001_bold.nii.gz": "BOLD only",
    }
    assert_order_and_words(plan)


@pytest.mark.parametrize("subject", ["02", "12"])
def test_volumes_are_found_among_thousands_of_other_markers(confidence, subject):
    assert_all_onsets(confidence, subject, within_s=0.0045)  # samples are 8 ms apart


def test_an_eeg_that_ended_early_gives_the_onsets_of_all_volumes_or_none(confidence):
    """sub-19's first run: 406 s of EEG, 477 s of BOLD, so the last sixth of the volumes has no marker."""
    plan = by_bold(confidence.plan("19"))
    name = "sub-19_ses-001_task-main_run-001"
    if plan[name].alignment:
        assert_onsets(plan[name], confidence.onsets_s[name], within_s=0.008)
    else:
        assert_refused(plan[name], 373)
    for number in (2, 3, 4, 5):
        name = f"sub-19_ses-001_task-main_run-00{number}"
        assert_onsets(plan[name], confidence.onsets_s[name], within_s=0.0045)


# ds002725: EDF; markers in events.tsv alone, with a decoy as regular as the volumes.


@pytest.mark.parametrize("subject", ["01", "02", "03"])
def test_every_piece_of_music_is_paired(music, subject):
    plan = music.plan(subject)
    assert statuses(plan) == pairs(subject, [f"task-{task}" for task in TASKS_OF_MUSIC], eeg=".edf")
    assert_order_and_words(plan)


@pytest.mark.parametrize("subject", ["01", "02", "03"])
def test_the_decoy_47_is_not_taken_for_the_volumes(music, subject):
    assert_all_onsets(music, subject, within_s=0.001)  # the times of events.tsv


@pytest.mark.parametrize("name", FIRST_VOLUME_S)
def test_the_first_volume_comes_when_events_tsv_says_even_if_the_scanner_was_started_twice(music, name):
    planned = by_bold(music.plan(name.removeprefix("sub-").partition("_")[0]))[name]
    assert planned.alignment.onsets_s[0] == pytest.approx(FIRST_VOLUME_S[name], abs=0.002)


def test_a_bold_file_of_60_volumes_less_than_markers_is_refused(fill):
    """By its size, the file of sub-01 holds 214 volumes; 5 and then 274 markers were sent."""
    [planned] = fill("ds002725", subjects=("01",), tasks="genMusic01", n_volumes=214).plan("01")
    assert_refused(planned, 214)
    assert "274" in planned.problem or "279" in planned.problem


# eeg_rest_fmri: the ticks of a clock in the raw files, the volumes in the cleaned ones.


@pytest.mark.parametrize(("subject", "n_ticks"), [("32", 398), ("35", 394)])
def test_the_ticks_of_a_clock_are_not_volumes(resting, subject, n_ticks):
    plan = resting.plan(subject)
    assert statuses(plan) == pairs(subject, ["task-rest"], eeg=".vhdr")
    [planned] = plan
    assert planned.recording.eeg == resting.path / f"sub-{subject}/eeg/sub-{subject}_task-rest_eeg.vhdr"
    assert_refused(planned, 300, n_ticks)


@pytest.mark.parametrize(("subject", "first_s"), [("32", 0.144), ("35", 129.568)])
def test_cleaned_files_that_the_settings_name_are_aligned_by_their_scan_starts(resting, tmp_path, subject, first_s):
    from bids_eeg2fmri.config import load_settings
    from bids_eeg2fmri.workflow.plan import plan_participant

    (tmp_path / "pairs.toml").write_text(CLEANED)
    plan = plan_participant(resting.path, subject, load_settings(tmp_path / "pairs.toml"))
    [planned] = [planned for planned in plan if planned.recording.status == "paired"]
    assert planned.recording.eeg == resting.path / f"derivatives/sub-{subject}/eeg/sub-{subject}_task-rest_eeg.vhdr"
    assert planned.recording.bold == resting.path / f"sub-{subject}/func/sub-{subject}_task-rest_bold.nii.gz"
    assert_onsets(planned, resting.onsets_s[f"sub-{subject}_task-rest"])
    assert planned.alignment.onsets_s[0] == pytest.approx(first_s, abs=0.002)
    assert_order_and_words(plan)


# Datasets of one modality, or of two on different days.


@pytest.mark.parametrize("subject", ["000", "001", "042"])
def test_a_dataset_of_eeg_is_eeg_only(ultimatum, subject):
    plan = ultimatum.plan(subject)
    assert statuses(plan) == {
        f"sub-{subject}_task-proposer_run-1_eeg.vhdr": "EEG only",
        f"sub-{subject}_task-responder_run-1_eeg.vhdr": "EEG only",
    }
    assert_order_and_words(plan)


def test_sleep_and_rest_of_different_days_are_not_simultaneous(neuralgia):
    plan = neuralgia.plan("02")
    assert statuses(plan) == {
        "sub-02_task-rest_bold.nii": "not simultaneous",
        "sub-02_task-sleep_acq-PSG_eeg.edf": "not simultaneous",
    }
    assert_order_and_words(plan)


def test_who_has_one_modality_has_that_only(neuralgia):
    assert statuses(neuralgia.plan("01")) == {"sub-01_task-rest_bold.nii": "BOLD only"}
    assert statuses(neuralgia.plan("30")) == {"sub-30_task-sleep_acq-PSG_eeg.edf": "EEG only"}
