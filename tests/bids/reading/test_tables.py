"""Tables as they are found: whatever was made of tabs, quotes and encodings, the values are those of the original."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bids_eeg2fmri.bids.reading.tables import QUOTES, find_column, read_table
from bids_eeg2fmri.errors import InputDataError, MissingFilesError

SKELETONS = Path(__file__).parents[4] / "shared/skeletons"
PLAIN = "name\ttype\tunits\nFp1\tEEG\tµV\nECG\tECG\tn/a\n"
ROWS = [["Fp1", "EEG", "µV"], ["ECG", "ECG", "n/a"]]


@pytest.fixture
def table(tmp_path):
    """Write content, read it as a table, and give its names and rows."""

    def read(content):
        path = tmp_path / "table.tsv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        found = read_table(path)
        return list(found.columns), found.to_numpy().tolist()

    return read


def test_a_table_as_bids_has_it_is_read_without_a_word(table, caplog):
    assert table(PLAIN) == (["name", "type", "units"], ROWS)
    assert table('name\tnote\nCz\t"a, b; c\'s"\n') == (["name", "note"], [["Cz", "a, b; c's"]])
    assert not caplog.records


@pytest.mark.parametrize(
    ("content", "remark"),
    [
        ("\ufeff" + PLAIN, "a byte order mark"),
        (PLAIN.encode("latin-1"), "text that is not UTF-8"),
        (PLAIN.encode("utf-16"), "UTF-16"),
        (PLAIN.replace("\t", "   "), "spaces instead of tabs"),
        (PLAIN.replace("\t", " "), "spaces instead of tabs"),
        (PLAIN.replace("\t", ","), "commas instead of tabs"),
        (PLAIN.replace("\t", ";"), "semicolons instead of tabs"),
        (PLAIN.replace("Fp1", "'Fp1'"), "quoted values"),
        (PLAIN.replace("ECG\tECG", "'ECG’\tECG"), "quoted values"),  # noqa: RUF001 (as in ds002336)
        (PLAIN.replace("ECG\tn/a", "ECG"), "too few values in 1 of 2 rows"),
        (PLAIN.replace("ECG\tn/a", "ECG\tn/a\tsurplus"), "more values than names in 1 of 2 rows"),
    ],
)
def test_what_is_not_as_bids_has_it_is_read_all_the_same_and_told(content, remark, table, caplog, tmp_path):
    assert table(content) == (["name", "type", "units"], ROWS)
    [record] = caplog.records
    assert f"{tmp_path / 'table.tsv'}: expected a table as BIDS has it, found {remark}" in record.getMessage()


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n\n"])
def test_the_end_of_a_line_does_not_matter(end, table, caplog):
    assert table(PLAIN.replace("\n", end)) == (["name", "type", "units"], ROWS)
    assert table(PLAIN.rstrip().replace("\n", end))[1] == ROWS
    assert not caplog.records


def test_tabs_win_over_what_else_is_in_the_line_of_names(table):
    assert table("name\tnote; or, so\nCz\ta b,c\n") == (["name", "note; or, so"], [["Cz", "a b,c"]])


def test_what_stands_between_several_spaces_may_hold_single_ones(table):
    content = "name   description   status\nCz   touched the magnet   bad\nPz  fine good\n"
    assert table(content)[1] == [["Cz", "touched the magnet", "bad"], ["Pz", "fine", "good"]]
    assert table("name note\n'C z' it came loose\n")[1] == [["C z", "it came loose"]]


def test_a_comma_within_quotes_does_not_separate(table):
    assert table('name,note\nCz,"loose, later"\n')[1] == [["Cz", "loose, later"]]


def test_a_single_column_is_a_table(table, caplog):
    assert table("participant_id\nsub-32\nsub-35\n") == (["participant_id"], [["sub-32"], ["sub-35"]])
    assert not caplog.records


def test_what_is_empty_is_missing_and_a_tab_at_the_end_of_the_line_is_no_column(table):
    assert table("name\ttype\t\nCz\t\t\n") == (["name", "type"], [["Cz", "n/a"]])


def test_values_stay_text(table):
    content = "participant_id\tdiagnosis\tsite\tage\nsub-007\tNone\tNA\t031\n"
    assert table(content)[1] == [["sub-007", "None", "NA", "031"]]


def test_columns_of_the_same_name_are_told_apart(table):
    assert table("x\tx\nthis\tthat\n") == (["x", "x 2"], [["this", "that"]])


def test_a_line_of_names_alone_is_a_table_without_rows(table):
    assert table("onset\tduration\n") == (["onset", "duration"], [])


@pytest.mark.parametrize(
    ("content", "found"), [(b"", "an empty file"), (b"\n \n", "an empty file"), (b"PK\x03\x04\x00\x00", "no text")]
)
def test_what_is_no_table_is_named(content, found, table, tmp_path):
    with pytest.raises(InputDataError, match=rf"{re.escape(str(tmp_path))}.*expected a table, found .*{found}"):
        table(content)


def test_a_pointer_without_its_content_asks_for_datalad_get(table):
    with pytest.raises(MissingFilesError, match="found a git-annex pointer without the content; run datalad get"):
        table("/annex/objects/MD5E-s812--9f0a.tsv\n")


def test_a_deviation_is_told_once_and_a_changed_file_is_read_anew(tmp_path, caplog):
    path = tmp_path / "table.tsv"
    path.write_text("a b\n1 2\n")
    first, second = read_table(path), read_table(path)
    assert first.equals(second)
    first.loc[0, "a"] = "changed"  # a copy: the next one to ask is not told of it
    assert read_table(path).loc[0, "a"] == "1"
    assert len(caplog.records) == 1
    path.write_text("a b\n10 20\n")
    assert read_table(path).loc[0, "a"] == "10"


def test_a_column_is_found_whatever_its_case(tmp_path):
    path = tmp_path / "table.tsv"
    path.write_text("Name\tTYPE\tOnset\tonset\nCz\tEEG\t1\t2\n")
    table = read_table(path)
    assert list(find_column(table, "type")) == ["EEG"]
    assert list(find_column(table, "onset")) == ["2"]
    assert find_column(table, "status") is None


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters=QUOTES), min_size=1)


@given(names=st.lists(WORDS, min_size=1, max_size=5, unique=True), data=st.data())
def test_any_table_of_bids_comes_back(names, data, tmp_path_factory):
    row = st.lists(WORDS, min_size=len(names), max_size=len(names))
    rows = data.draw(st.lists(row, max_size=4))
    if len(names) == 1 and (set(names[0]) & set(",;") or any(set(value) & {"\t"} for [value] in rows)):
        return  # nothing tells that what looks like a separator is none
    path = tmp_path_factory.mktemp("any") / "table.tsv"
    path.write_text("\n".join("\t".join(line) for line in [names, *rows]) + "\n", encoding="utf-8")
    table = read_table(path)
    assert list(table.columns) == names
    assert table.to_numpy().tolist() == rows


@pytest.mark.skipif(not SKELETONS.is_dir(), reason="the text files of public datasets are not there")
def test_the_tables_of_public_datasets_are_read():
    for path in sorted(SKELETONS.rglob("*.tsv")):
        if path.name.startswith((".", "_")):
            continue
        table = read_table(path)
        kind = path.stem.rpartition("_")[2]
        known = {"channels": "name", "events": "onset", "participants": "participant_id", "scans": "filename"}
        assert known.get(kind, table.columns[0]) in table.columns, path
    table = read_table(SKELETONS / "ds002336/task-eegfmriNF_channels.tsv")
    assert table.shape == (64, 3)
    assert list(table.iloc[31]) == ["ECG", "ECG", "microV"]
    table = read_table(SKELETONS / "ds002725/sub-01/eeg/sub-01_task-genMusic01_channels.tsv")
    assert table.shape == (46, 5)
    assert table.status_description[38].startswith("The value of the music channel indicates which piece")
