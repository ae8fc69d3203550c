import pytest

from bids_eeg2fmri.bids.participants import read_participant
from bids_eeg2fmri.errors import InputDataError, MissingFilesError


@pytest.fixture
def participants(tmp_path):
    def write(content):
        (tmp_path / "participants.tsv").write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path

    return write


def test_a_diagnosis_may_be_called_none_and_only_n_a_is_missing(participants):
    dataset = participants("participant_id\tdiagnosis\tage\tsite\nsub-01\tNone\tn/a\tNA\n")
    assert read_participant(dataset, "01") == {"diagnosis": "None", "site": "NA"}


def test_a_byte_order_mark_and_leading_zeros_are_kept_in_place(participants):
    dataset = participants("\ufeffparticipant_id\tage\nsub-007\t31\n")
    assert read_participant(dataset, "007") == {"age": 31}
    assert read_participant(dataset, "7") == {}


def test_a_column_is_one_of_numbers_if_all_its_values_are(participants):
    dataset = participants(
        "participant_id\tage\tscore\tgroup\tcode\nsub-01\t31\t-1.5e-1\t1\t12\nsub-02\tn/a\t2\t2\tx1\n"
    )
    row = read_participant(dataset, "01")
    assert row == {"age": 31, "score": -0.15, "group": 1, "code": "12"}
    assert isinstance(row["age"], int)
    assert read_participant(dataset, "02") == {"score": 2, "group": 2, "code": "x1"}


@pytest.mark.parametrize("separator", [";", ",", "   "])
def test_a_table_in_another_encoding_or_with_other_separators_is_read(separator, participants):
    content = f"participant_id{separator}name\n01{separator}José\n"
    assert read_participant(participants(content.encode("latin-1")), "01") == {"name": "José"}


def test_a_table_without_the_participant_or_the_column_of_participants_has_no_covariates(participants):
    assert read_participant(participants("participant_id\tage\nsub-02\t31\n"), "01") == {}
    assert read_participant(participants("id\tage\nsub-01\t31\n"), "01") == {}
    assert read_participant(participants("Participant_ID\tage\nsub-01\t31\n"), "01") == {"age": 31}


def test_a_dataset_without_the_file_has_no_covariates(tmp_path):
    assert read_participant(tmp_path, "01") == {}


def test_a_file_that_is_no_table_or_not_there_is_named(participants, tmp_path):
    with pytest.raises(InputDataError, match=r"participants.tsv: expected a table, found an empty file"):
        read_participant(participants(""), "01")
    (tmp_path / "participants.tsv").unlink()
    (tmp_path / "participants.tsv").symlink_to(".git/annex/objects/missing")
    with pytest.raises(
        MissingFilesError, match=r"participants.tsv: expected a file, found a broken link; run datalad get"
    ):
        read_participant(tmp_path, "01")
