import re

import pytest

from bids_eeg2fmri.bids.index import comparable, index_dataset, select_files
from bids_eeg2fmri.errors import NothingSelectedError


@pytest.fixture
def layout(tmp_path):
    """Make a dataset of empty files with these paths."""

    def make(*paths):
        (tmp_path / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.10.0"}')
        for name in paths:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        return tmp_path

    return make


def names(files):
    return [file.name for file in files]


# -------------------------------------------------------------------------------------------------------------- the index


def test_eeg_and_bold_are_listed_by_name_with_what_they_are(layout):
    dataset = layout(
        "sub-01/ses-a/func/sub-01_ses-a_task-rest_run-01_bold.nii.gz",
        "sub-01/ses-a/func/sub-01_ses-a_task-rest_run-01_bold.json",
        "sub-01/ses-a/anat/sub-01_ses-a_T1w.nii.gz",
        "sub-01/ses-a/eeg/sub-01_ses-a_task-rest_run-1_eeg.vhdr",
        "sub-01/ses-a/eeg/sub-01_ses-a_task-rest_run-1_eeg.eeg",
        "sub-01/ses-a/eeg/sub-01_ses-a_task-rest_run-1_eeg.vmrk",
    )
    eeg, bold = index_dataset(dataset, ["01"])["01"]
    assert (eeg.suffix, eeg.path.suffix, bold.suffix) == ("eeg", ".vhdr", "bold")
    assert bold.path == dataset / "sub-01/ses-a/func/sub-01_ses-a_task-rest_run-01_bold.nii.gz"
    assert [bold.label(entity) for entity in ("session", "task", "run", "acquisition")] == ["a", "rest", 1, None]


def test_all_formats_are_found(layout):
    eeg = [f"sub-01/eeg/sub-01_task-{number}_eeg{end}" for number, end in enumerate((".bdf", ".edf", ".set", ".vhdr"))]
    bold = [f"sub-01/func/sub-01_task-{number}_bold{end}" for number, end in enumerate((".nii", ".nii.gz"))]
    dataset = layout(*eeg, *bold)
    files = index_dataset(dataset, ["01"])["01"]
    assert [file.path.relative_to(dataset).as_posix() for file in files] == [*eeg, *bold]


def test_a_participant_is_indexed_alone_and_with_others(layout):
    paths = [f"sub-{label}/eeg/sub-{label}_task-rest_eeg.set" for label in ("01", "011", "02")]
    dataset = layout(*paths)
    alone, together = index_dataset(dataset, ["01"]), index_dataset(dataset, ["02", "01", "011"])
    assert {label: names(files) for label, files in alone.items()} == {"01": ["sub-01_task-rest_eeg.set"]}
    assert {label: len(files) for label, files in together.items()} == {"01": 1, "011": 1, "02": 1}
    assert together["01"] == alone["01"]


def test_a_participant_without_files_has_none(layout):
    assert index_dataset(layout("sub-01/anat/sub-01_T1w.nii.gz"), ["01", "02"]) == {"01": [], "02": []}


@pytest.mark.parametrize(
    "other",
    [
        "sub-01/eeg/._sub-01_task-rest_eeg.vhdr",
        "sub-01/func/._sub-01_task-rest_bold.nii.gz",
        "sub-01/eeg/.sub-01_task-rest_eeg.vhdr",
        ".git/annex/objects/sub-01_task-rest_bold.nii.gz",
        "derivatives/clean/sub-01/eeg/sub-01_task-rest_eeg.vhdr",
        "sourcedata/sub-01/eeg/sub-01_task-rest_eeg.vhdr",
        "code/sub-01/func/sub-01_task-rest_bold.nii.gz",
        "sub-01/eeg/sub-01_task-rest_bold.nii.gz",
        "sub-01/func/sub-01_task-rest_eeg.vhdr",
        "sub-01/fmap/sub-01_dir-AP_bold.nii.gz",
        "sub-01/func/sub-01_task-rest_sbref.nii.gz",
        "sub-01/func/sub-01_task-rest_bold.nii.gz.part",
    ],
)
def test_what_lies_about_or_in_the_wrong_folder_is_not_looked_at(layout, other):
    dataset = layout("sub-01/eeg/sub-01_task-sleep_eeg.vhdr", other)
    assert names(index_dataset(dataset, ["01"])["01"]) == ["sub-01_task-sleep_eeg.vhdr"]


def test_a_folder_named_like_a_file_is_none(layout):
    dataset = layout("sub-01/eeg/sub-01_task-x_eeg.set/inside.txt", "sub-01/eeg/sub-01_task-rest_eeg.vhdr")
    assert names(index_dataset(dataset, ["01"])["01"]) == ["sub-01_task-rest_eeg.vhdr"]


def test_a_relative_dataset_gives_relative_paths(layout, monkeypatch):
    dataset = layout("sub-01/eeg/sub-01_task-rest_eeg.vhdr")
    monkeypatch.chdir(dataset.parent)
    relative = dataset.relative_to(dataset.parent)
    [file] = index_dataset(relative, ["01"])["01"]
    assert file.path == relative / "sub-01/eeg/sub-01_task-rest_eeg.vhdr"


def test_a_dataset_behind_a_link_keeps_the_path_that_the_user_gave(layout, tmp_path_factory):
    dataset = layout("sub-01/eeg/sub-01_task-rest_eeg.vhdr")
    link = tmp_path_factory.mktemp("links") / "mine"
    link.symlink_to(dataset)
    [file] = index_dataset(link, ["01"])["01"]
    assert file.path == link / "sub-01/eeg/sub-01_task-rest_eeg.vhdr"


def test_files_whose_content_was_not_fetched_are_listed(layout):
    dataset = layout("sub-01/func/sub-01_task-rest_bold.nii.gz")
    (dataset / "sub-01/func/sub-01_task-nback_bold.nii.gz").symlink_to("../../.git/annex/objects/missing")
    files = index_dataset(dataset, ["01"])["01"]
    assert names(files) == ["sub-01_task-nback_bold.nii.gz", "sub-01_task-rest_bold.nii.gz"]


@pytest.mark.parametrize(
    ("value", "label"), [("1", 1), ("01", 1), (1, 1), ("001", 1), ("1a", "1a"), ("rest", "rest"), (None, None)]
)
def test_labels_of_the_same_number_are_the_same(value, label):
    assert comparable(value) == label


# ---------------------------------------------------------------------------------------------------------------- filters


@pytest.fixture
def files(layout):
    dataset = layout(
        "sub-01/eeg/sub-01_task-rest_acq-raw_run-1_eeg.vhdr",
        "sub-01/eeg/sub-01_task-rest_acq-clean_run-1_eeg.vhdr",
        "sub-01/eeg/sub-01_task-nback_eeg.vhdr",
        "sub-01/func/sub-01_task-rest_run-01_bold.nii.gz",
        "sub-01/func/sub-01_task-rest_run-02_bold.nii.gz",
    )
    return index_dataset(dataset, ["01"])["01"]


@pytest.mark.parametrize(
    ("filters", "left"),
    [
        ({}, ["nback", "rest_acq-clean_run-1", "rest_acq-raw_run-1", "rest_run-01", "rest_run-02"]),
        ({"eeg": {"task": ["rest"]}}, ["rest_acq-clean_run-1", "rest_acq-raw_run-1", "rest_run-01", "rest_run-02"]),
        ({"eeg": {"acquisition": ["clean"]}, "bold": {"run": ["1"]}}, ["rest_acq-clean_run-1", "rest_run-01"]),
        ({"eeg": {"acquisition": None}, "bold": {"run": ["002"]}}, ["nback", "rest_run-02"]),
        ({"eeg": {"task": ["rest", "nback"], "run": None}, "bold": {"run": ["1", "2"]}}, ["nback", "rest_run-01", "rest_run-02"]),
        ({"eeg": {"task": ["rest"]}, "bold": {"task": ["nback"]}}, ["rest_acq-clean_run-1", "rest_acq-raw_run-1"]),
    ],
    ids=["nothing asked", "one side", "different entities", "without an entity", "several labels", "one side only"],
)  # fmt: skip
def test_filters_select_by_modality(files, filters, left):
    selected = select_files(files, filters, subject="01")
    assert [re.sub(r"sub-01_task-|_(eeg|bold)\..*", "", file.name) for file in selected] == left


def test_filters_that_leave_nothing_list_what_there_is(files):
    filters = {"eeg": {"task": ["sleep"]}, "bold": {"task": ["sleep"], "run": ["7", "8"]}}
    with pytest.raises(NothingSelectedError) as caught:
        select_files(files, filters, subject="01")
    assert str(caught.value) == (
        "sub-01: expected recordings with run 7 8, task sleep, found none; there is run: 01, 02, 1; task: nback, rest"
    )


def test_an_entity_that_nobody_has_is_a_mistake_although_files_are_left(files):
    with pytest.raises(NothingSelectedError, match="with sesion 1, found none; there is sesion: none"):
        select_files(files, {"eeg": {"sesion": ["1"]}}, subject="01")


def test_asking_for_files_without_an_entity_that_nobody_has_is_none(files):
    assert select_files(files, {"eeg": {"session": None}, "bold": {"session": None}}, subject="01") == files


def test_who_has_no_files_is_not_blamed_on_the_filters():
    assert select_files([], {"eeg": {"task": ["rest"]}}, subject="01") == []


def test_folders_above_the_dataset_have_no_say(tmp_path):
    func = tmp_path / "sub-99_task-memory" / "ses-x" / "dataset" / "sub-01" / "func"
    func.mkdir(parents=True)
    (func.parents[1] / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.10.0"}')
    (func / "sub-01_task-rest_bold.nii.gz").write_bytes(b"")
    [file] = index_dataset(func.parents[1], ["01"])["01"]
    assert [file.label(entity) for entity in ("subject", "session", "task")] == [1, None, "rest"]
