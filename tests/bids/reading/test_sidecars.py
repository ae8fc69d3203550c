import json
import time

import pytest

from bids_eeg2fmri.bids.reading.sidecars import find_inherited, find_root, read_sidecar, split_name


@pytest.fixture
def dataset(tmp_path):
    """Make a dataset of files with content: a dict becomes JSON."""

    def make(**files):
        for name, content in files["files"].items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, dict):
                content = json.dumps(content)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path

    return make


FILE = "sub-01/ses-2/func/sub-01_ses-2_task-rest_run-1_bold.nii.gz"


def test_deeper_files_outrank_higher_ones(dataset):
    root = dataset(
        files={
            "bold.json": {"a": 0, "b": 0, "c": 0, "d": 0},
            "task-rest_bold.json": {"b": 1, "c": 1, "d": 1},
            "sub-01/ses-2/sub-01_ses-2_bold.json": {"c": 2, "d": 2},
            "sub-01/ses-2/func/sub-01_ses-2_task-rest_run-1_bold.json": {"d": 3},
        }
    )
    assert read_sidecar(root, root / FILE) == {"a": 0, "b": 1, "c": 2, "d": 3}


def test_of_several_in_one_folder_the_one_with_more_entities_wins(dataset):
    root = dataset(files={"task-rest_run-1_bold.json": {"a": 2}, "task-rest_bold.json": {"a": 1, "b": 1}})
    assert read_sidecar(root, root / FILE) == {"a": 2, "b": 1}


@pytest.mark.parametrize(
    "name",
    [
        "task-motor_bold.json",  # another task
        "task-rest_eeg.json",  # another suffix
        "task-rest_echo-1_bold.json",  # an entity that the file has not
        "sub-02/func/sub-02_task-rest_bold.json",  # another participant
        "sub-01/ses-1/func/sub-01_ses-1_task-rest_run-1_bold.json",  # another session
        "sub-01/ses-2/eeg/sub-01_ses-2_task-rest_run-1_bold.json",  # another folder
        "._task-rest_bold.json",  # a resource fork
        "task-rest_bold.json.bak",
        "dataset_bold.json",
    ],
)
def test_what_is_of_another_file_is_not_inherited(name, dataset):
    root = dataset(files={name: {"a": 1}})
    assert read_sidecar(root, root / FILE) == {}


def test_run_1_and_run_01_are_one_run(dataset):
    root = dataset(files={"sub-01/ses-2/func/sub-01_ses-2_task-rest_run-01_bold.json": {"a": 1}})
    assert read_sidecar(root, root / FILE) == {"a": 1}


@pytest.mark.parametrize(
    "content", ['{"a": "µ"}', '\ufeff{"a": "µ"}', '{"a": "µ"}'.encode("latin-1"), '{"a": "µ"}'.encode("utf-16")]
)
def test_any_encoding_is_read(content, dataset):
    root = dataset(files={"task-rest_bold.json": content})
    assert read_sidecar(root, root / FILE) == {"a": "µ"}


@pytest.mark.parametrize("content", ['{"a": 1,}', "", "[1, 2]", b"\x00\x05\x16\x07"])
def test_what_is_no_json_object_is_named_once_and_left_out(content, dataset, caplog):
    root = dataset(files={"task-rest_bold.json": content, "bold.json": {"a": 2}})
    assert read_sidecar(root, root / FILE) == read_sidecar(root, root / FILE) == {"a": 2}
    [record] = caplog.records
    assert f"{root / 'task-rest_bold.json'}: expected a JSON object, found" in record.getMessage()


def test_a_sidecar_whose_link_is_broken_is_left_out(dataset, caplog):
    root = dataset(files={"bold.json": {"a": 2}})
    (root / "task-rest_bold.json").symlink_to("nowhere")
    assert read_sidecar(root, root / FILE) == {"a": 2}
    assert "No such file" in caplog.text


def test_a_sidecar_that_is_changed_or_added_is_seen(dataset):
    root = dataset(files={"bold.json": {"a": 1}})
    assert read_sidecar(root, root / FILE) == {"a": 1}
    time.sleep(0.02)  # a folder's time of change is not that fine
    dataset(files={"bold.json": {"a": 12}, "task-rest_bold.json": {"b": 2}})
    assert read_sidecar(root, root / FILE) == {"a": 12, "b": 2}


def test_a_relative_dataset_is_looked_through(dataset, monkeypatch):
    root = dataset(files={"task-rest_bold.json": {"a": 1}})
    monkeypatch.chdir(root.parent)
    relative = root.relative_to(root.parent)
    assert read_sidecar(relative, relative / FILE) == {"a": 1}


def test_the_metadata_of_one_file_may_be_changed_without_the_next_knowing(dataset):
    root = dataset(files={"task-rest_bold.json": {"a": 1}})
    read_sidecar(root, root / FILE)["a"] = 7
    assert read_sidecar(root, root / FILE) == {"a": 1}


def test_tables_are_listed_with_the_one_that_applies_last(dataset):
    names = ("task-rest_events.tsv", "sub-01/ses-2/func/sub-01_ses-2_task-rest_run-1_events.tsv")
    root = dataset(files=dict.fromkeys(names, "onset\n"))
    found = find_inherited(root, root / FILE, suffix="events", extension=".tsv")
    assert found == [root / name for name in names]
    other = root / "sub-01/ses-2/func/sub-01_ses-2_task-rest_run-2_bold.nii.gz"
    assert find_inherited(root, other, suffix="events", extension=".tsv") == [root / names[0]]


def test_the_root_holds_the_folder_of_the_participant(tmp_path):
    assert find_root(tmp_path / "sub-data/x/sub-01/ses-2/eeg/sub-01_eeg.vhdr") == tmp_path / "sub-data/x"
    assert find_root(tmp_path / "x/eeg.vhdr") == tmp_path / "x"


def test_a_name_is_split_into_entities_suffix_and_extension():
    assert split_name("sub-xp101_task-MIpre_eeg.vhdr") == ({"sub": "xp101", "task": "MIpre"}, "eeg", ".vhdr")
    assert split_name("participants.tsv") == ({}, "participants", ".tsv")


def test_1600_files_of_a_large_dataset_take_less_than_a_second(tmp_path, monkeypatch):
    (tmp_path / "task-rest_bold.json").write_text(json.dumps({"SliceTiming": list(range(3000))}))
    files = [
        tmp_path / f"sub-{i:03d}/func/sub-{i:03d}_task-rest_run-{run}_bold.nii" for i in range(400) for run in range(4)
    ]
    for file in files[::4]:
        file.parent.mkdir(parents=True)
    parsed = []
    loads = json.loads
    monkeypatch.setattr(json, "loads", lambda text: parsed.append(1) or loads(text))
    start = time.perf_counter()
    assert all(len(read_sidecar(tmp_path, file)["SliceTiming"]) == 3000 for file in files)
    assert time.perf_counter() - start < 1  # 0.2 s as a rule; pybids takes minutes
    assert len(parsed) == 1
