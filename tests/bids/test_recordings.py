from pathlib import Path

import pytest

from bids_eeg2fmri.bids.recordings import Recording, check_dataset, list_participants, shorten
from bids_eeg2fmri.errors import BidsValidationError, MissingFilesError, NothingSelectedError

EEG = Path("data/sub-01/eeg/sub-01_task-rest_eeg.vhdr")
BOLD = Path("data/sub-01/func/sub-01_task-rest_run-01_bold.nii.gz")


@pytest.fixture
def dataset(tmp_path):
    for name in ("sub-02", "sub-01", "sub-010", "sourcedata"):
        (tmp_path / name).mkdir()
    (tmp_path / "sub-03.html").write_text("")
    (tmp_path / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.10.0"}')
    return tmp_path


def test_a_pair_is_known_by_its_bold():
    pair = Recording("01", EEG, BOLD, "paired", "same task")
    assert (pair.name, pair.file, pair.paired) == ("sub-01_task-rest_run-01", BOLD, True)


@pytest.mark.parametrize(
    ("eeg", "bold", "name"), [(EEG, None, "sub-01_task-rest"), (None, BOLD, "sub-01_task-rest_run-01")]
)
def test_a_file_without_a_partner_is_known_by_itself(eeg, bold, name):
    alone = Recording("01", eeg, bold, "not simultaneous", "of another week")
    assert (alone.name, alone.file, alone.paired) == (name, eeg or bold, False)


def test_participants_are_folders(dataset):
    assert list_participants(dataset) == ["01", "010", "02"]


@pytest.mark.parametrize("labels", [["sub-02", "01"], ["01", "02", "02"]])
def test_participants_are_selected_with_and_without_prefix_in_their_own_order(dataset, labels):
    assert list_participants(dataset, labels) == ["01", "02"]


def test_an_unknown_participant_gets_the_list_of_those_that_exist(dataset):
    with pytest.raises(NothingSelectedError, match=r"label 1 7: no such participant in .*; there are 01, 010, 02$"):
        list_participants(dataset, ["sub-1", "02", "7"])


def test_a_folder_without_participants_is_named(tmp_path):
    with pytest.raises(NothingSelectedError, match="expected folders named sub-<label>, found none; check the path"):
        list_participants(tmp_path)


def test_a_long_list_is_cut_short_and_counted():
    assert shorten(["a", "b", "c"], most=3) == "a, b, c"
    assert shorten(["a", "b", "c", "d", "e"], most=3) == "a, b, c and 2 more"


def test_a_dataset_that_describes_itself_is_accepted(dataset):
    check_dataset(dataset)


def test_a_byte_order_mark_before_the_description_does_no_harm(dataset):
    path = dataset / "dataset_description.json"
    path.write_text(path.read_text(), encoding="utf-8-sig")
    check_dataset(dataset)


def test_a_folder_that_does_not_exist_is_named_whatever_is_validated(tmp_path):
    for validate in (True, False):
        with pytest.raises(MissingFilesError, match="nowhere: expected the folder of a BIDS dataset, found none"):
            check_dataset(tmp_path / "nowhere", validate=validate)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (None, "expected in every BIDS dataset, found no such file; add it"),
        ("{", "expected JSON, found"),
        ('{"Name": "x"}', "expected BIDSVersion, found none"),
        ('["Name", "BIDSVersion"]', "expected Name and BIDSVersion, found none"),
    ],
)
def test_a_dataset_that_does_not_describe_itself_is_refused_unless_validation_is_skipped(dataset, content, found):
    path = dataset / "dataset_description.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(BidsValidationError) as caught:
        check_dataset(dataset)
    assert f"{path}: {found}" in str(caught.value)
    assert "--skip-bids-validation" in str(caught.value)
    check_dataset(dataset, validate=False)
