import json

import pytest

from bids_eeg2fmri.bids.recordings import find_recordings, list_participants
from bids_eeg2fmri.errors import NothingSelectedError

SIDECAR = {"RepetitionTime": 2.0, "TaskName": "rest"}


@pytest.fixture
def layout(tmp_path):
    """Make a dataset of empty files with these names."""

    def make(*names):
        (tmp_path / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.10.0"}')
        for name in names:
            subject = name.split("_")[0]
            session = [part for part in name.split("_") if part.startswith("ses-")]
            datatype = "eeg" if "_eeg." in name else "func"
            path = tmp_path.joinpath(subject, *session, datatype, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        return tmp_path

    return make


def names_and_kinds(recordings):
    return [(r.name, r.eeg is not None, r.bold is not None) for r in recordings]


def test_what_has_the_same_entities_is_paired(layout):
    dataset = layout("sub-01_ses-a_task-rest_run-1_eeg.vhdr", "sub-01_ses-a_task-rest_run-01_bold.nii.gz")
    [recording] = find_recordings(dataset, "01")
    assert recording.paired
    assert recording.name == "sub-01_ses-a_task-rest_run-01"
    assert recording.reason == "same session, task, acquisition and run"


def test_what_differs_in_one_entity_stays_alone_and_says_why(layout):
    dataset = layout("sub-01_task-rest_run-1_eeg.edf", "sub-01_task-rest_run-2_bold.nii.gz")
    recordings = find_recordings(dataset, "01")
    assert names_and_kinds(recordings) == [
        ("sub-01_task-rest_run-1", True, False),
        ("sub-01_task-rest_run-2", False, True),
    ]
    reasons = [r.reason for r in recordings]
    assert reasons == [f"no {x} with the same session, task, acquisition and run" for x in ("BOLD", "EEG")]


def test_two_candidates_are_not_guessed_between(layout):
    dataset = layout("sub-01_task-rest_eeg.set", "sub-01_task-rest_bold.nii.gz", "sub-01_task-rest_dir-AP_bold.nii.gz")
    recordings = find_recordings(dataset, "01")
    assert not any(r.paired for r in recordings)
    assert "ambiguous: 1 EEG and 2 BOLD files" in recordings[0].reason
    assert "--bids-filter-file" in recordings[0].reason


def test_a_participant_with_one_modality_says_so(layout):
    dataset = layout("sub-01_task-rest_eeg.bdf", "sub-02_task-rest_bold.nii")
    assert find_recordings(dataset, "01")[0].reason == "this participant has no BOLD"
    assert find_recordings(dataset, "02")[0].reason == "this participant has no EEG"


def test_sidecars_are_inherited(layout):
    dataset = layout("sub-01_task-rest_eeg.vhdr", "sub-01_task-rest_bold.nii.gz")
    (dataset / "task-rest_bold.json").write_text(json.dumps(SIDECAR | {"EchoTime": 0.03}))
    (dataset / "sub-01/func/sub-01_task-rest_bold.json").write_text(json.dumps({"EchoTime": 0.025}))
    [recording] = find_recordings(dataset, "01")
    assert recording.bold_metadata["RepetitionTime"] == 2.0
    assert recording.bold_metadata["EchoTime"] == 0.025


def test_filters_select_by_modality(layout):
    dataset = layout(
        "sub-01_task-rest_acq-raw_eeg.vhdr",
        "sub-01_task-rest_acq-clean_eeg.vhdr",
        "sub-01_task-rest_bold.nii.gz",
        "sub-01_task-nback_acq-raw_eeg.vhdr",
    )
    filters = {"eeg": {"task": ["rest"], "acquisition": ["clean"]}, "bold": {"acquisition": None}}
    assert names_and_kinds(find_recordings(dataset, "01", filters)) == [
        ("sub-01_task-rest", False, True),
        ("sub-01_task-rest_acq-clean", True, False),
    ]


def test_filters_that_select_nothing_list_what_exists(layout):
    dataset = layout("sub-01_ses-1_task-rest_run-1_bold.nii.gz", "sub-01_ses-2_task-nback_run-1_eeg.vhdr")
    with pytest.raises(NothingSelectedError) as caught:
        find_recordings(dataset, "01", {"eeg": {"task": ["sleep"]}, "bold": {"task": ["sleep"]}})
    assert str(caught.value) == "sub-01: expected recordings with task sleep, found none; there is task: nback, rest"


def test_other_participants_and_derivatives_are_not_looked_at(layout):
    dataset = layout("sub-01_task-rest_eeg.vhdr", "sub-011_task-rest_eeg.vhdr", "sub-01_task-rest_bold.nii.gz")
    (dataset / "derivatives/x/sub-01/eeg").mkdir(parents=True)
    (dataset / "derivatives/x/sub-01/eeg/sub-01_task-rest_eeg.vhdr").write_text("")
    [recording] = find_recordings(dataset, "01")
    assert recording.eeg == dataset / "sub-01/eeg/sub-01_task-rest_eeg.vhdr"


def test_a_relative_dataset_gives_relative_paths(layout, monkeypatch):
    dataset = layout("sub-01_task-rest_eeg.vhdr", "sub-01_task-rest_bold.nii.gz")
    monkeypatch.chdir(dataset.parent)
    relative = dataset.relative_to(dataset.parent)
    [recording] = find_recordings(relative, "01")
    assert recording.eeg == relative / "sub-01/eeg/sub-01_task-rest_eeg.vhdr"


def test_participants_are_folders(layout):
    dataset = layout("sub-02_task-rest_eeg.vhdr", "sub-01_task-rest_eeg.vhdr")
    (dataset / "sub-03.html").write_text("")
    assert list_participants(dataset) == ["01", "02"]
    assert list_participants(dataset, ["sub-02"]) == ["02"]
