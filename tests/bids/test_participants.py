import pytest

from bids_eeg2fmri.bids.participants import read_participant
from bids_eeg2fmri.errors import InputDataError


def test_a_diagnosis_may_be_called_none_and_only_n_a_is_missing(tmp_path):
    (tmp_path / "participants.tsv").write_text("participant_id\tdiagnosis\tage\tsite\nsub-01\tNone\tn/a\tNA\n")
    assert read_participant(tmp_path, "01") == {"diagnosis": "None", "site": "NA"}


def test_a_byte_order_mark_and_leading_zeros_are_kept_in_place(tmp_path):
    (tmp_path / "participants.tsv").write_text("participant_id\tage\nsub-007\t31\n", encoding="utf-8-sig")
    assert read_participant(tmp_path, "007") == {"age": 31}
    assert read_participant(tmp_path, "7") == {}


def test_a_table_in_another_encoding_is_named(tmp_path):
    (tmp_path / "participants.tsv").write_bytes("participant_id\tname\nsub-01\tJosé\n".encode("latin-1"))
    with pytest.raises(InputDataError, match=r"participants.tsv: expected a table in UTF-8"):
        read_participant(tmp_path, "01")
