"""The oddball download becomes a valid BIDS dataset, whatever version of MATLAB wrote its files."""

import contextlib
import io
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import h5py
import mne_bids
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import scipy.io

from bids_eeg2fmri.convert.__main__ import main
from bids_eeg2fmri.convert.oddball import find_markers

N_SAMPLES = 6100


def simulate_eeg(*, n_channels=49, seed=0) -> np.ndarray:
    """Simulate data_noGA in µV: 43 pairs, EOG, ECG, and two rows of codes with two stimuli and a response."""
    data = np.random.default_rng(seed).normal(0, 30, (49, N_SAMPLES))
    data[47:] = 0
    data[47, 800:] = 25
    data[47, 1200:1400], data[47, 3700:3900] = 125, 150
    data[48, 4100:4150] = 100
    return data[:n_channels]


def write_mat(path: Path, data: np.ndarray, *, version="5", name="data_noGA") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if version == "5":
        scipy.io.savemat(path, {name: data})
    else:  # version 7.3 is HDF5 behind 512 bytes of MATLAB's own, axes reversed
        with h5py.File(path, "w", userblock_size=512) as file:
            file[name] = data.T
            file.create_group("#refs#")


def write_bold(path: Path, n_volumes=3) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = np.random.default_rng(3).integers(0, 900, (5, 6, 4, n_volumes)).astype(np.int16)
    image = nib.Nifti1Image(data, np.diag([3.0, 3.0, 4.0, 1.0]))
    image.header.set_xyzt_units("mm", "sec")
    image.header.set_zooms((3, 3, 4, 2))
    image.to_filename(path)


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def errors_of(dataset: Path) -> list[str]:
    validator = shutil.which("bids-validator-deno", path=Path(sys.executable).parent)
    if validator is None:
        pytest.skip("bids-validator-deno is not installed")
    done = subprocess.run(
        [validator, "--json", "--ignoreWarnings", dataset], capture_output=True, text=True, check=False
    )
    issues = json.loads(done.stdout)["issues"]["issues"]
    return [f"{i['code']} {i.get('subCode', '')} {i.get('location', '')}" for i in issues if i["severity"] == "error"]


def run(source: Path, destination: Path) -> tuple[int, str]:
    err = io.StringIO()
    with contextlib.redirect_stderr(err):
        code = main(["oddball", str(source), str(destination)])
    return code, err.getvalue()


@dataclass(frozen=True)
class Converted:
    source: Path
    dataset: Path
    code: int
    err: str
    before: dict[str, str]


@pytest.fixture(scope="module")
def converted(tmp_path_factory, hash_files) -> Converted:
    """One with two runs from two versions of MATLAB, one with a side missing in each run."""
    source = tmp_path_factory.mktemp("openfmri") / "ds116"
    one, two = source / "sub001", source / "sub002"
    write_mat(one / "EEG/task001_run001/EEG_noGA.mat", simulate_eeg(seed=1))
    write_bold(one / "BOLD/task001_run001/bold.nii.gz")
    write_mat(one / "EEG/task002_run003/EEG_noGA.mat", simulate_eeg(seed=2), version="7.3")
    write_bold(one / "BOLD/task002_run003/bold.nii.gz", n_volumes=7)
    write_mat(two / "EEG/task001_run001/EEG_noGA.mat", simulate_eeg(n_channels=43, seed=3))
    write_bold(two / "BOLD/task001_run002/bold.nii.gz")

    onsets = one / "model/model001/onsets/task001_run001"
    write_text(onsets / "cond001.txt", "3.7000\t0.2\t1\n")
    write_text(onsets / "cond002.txt", "1.2000\t0.2\t1\n\n")
    write_text(one / "behav/task001_run001/behavdata.txt", "TrialOnset Stim RT\n1.2 1 NaN\n3.7 2 0.402\n5.9 2 0.311\n")
    write_text(one / "model/model001/onsets/task002_run003/cond001.txt", "2.5 0.2 1\n")
    write_text(source / "models/model001/condition_key.txt", "task001 cond001 Target\ntask001 cond002 Standard tone\n")
    before = hash_files(source)
    dataset = source.with_name("bids")
    code, err = run(source, dataset)
    return Converted(source, dataset, code, err, before)


def read_raw(dataset, subject, task, run):
    path = mne_bids.BIDSPath(subject=subject, task=task, run=run, datatype="eeg", root=dataset)
    return mne_bids.read_raw_bids(path, verbose="ERROR")


def test_the_validator_finds_no_error(converted):
    assert converted.code == 0, converted.err
    assert errors_of(converted.dataset) == []


def test_the_download_stays_as_it_was(converted, hash_files):
    assert hash_files(converted.source) == converted.before


@pytest.mark.parametrize(
    ("subject", "task", "run", "seed", "n_channels"),
    [
        ("001", "auditoryoddball", "01", 1, 49),
        ("001", "visualoddball", "03", 2, 49),
        ("002", "auditoryoddball", "01", 3, 43),
    ],
)
def test_microvolts_stay_microvolts_from_any_version_of_matlab(subject, task, run, seed, n_channels, converted):
    raw = read_raw(converted.dataset, subject, task, run)
    expected = simulate_eeg(seed=seed)[:n_channels]
    assert raw.info["sfreq"] == 1000
    assert raw.get_data().shape == (n_channels, N_SAMPLES)
    np.testing.assert_allclose(raw.get_data()[:47] * 1e6, expected[:47], rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(raw.get_data()[47:], expected[47:])


def test_channels_have_the_types_that_the_authors_give(converted):
    raw = read_raw(converted.dataset, "001", "auditoryoddball", "01")
    assert raw.ch_names[:2] + raw.ch_names[42:] == [
        "EEG01", "EEG02", "EEG43", "HEOG", "VEOG", "ECG1", "ECG2", "STIM", "RESP",
    ]  # fmt: skip
    assert raw.get_channel_types()[42:] == ["eeg", "eog", "eog", "ecg", "ecg", "stim", "stim"]
    folder = converted.dataset / "sub-001/eeg"
    sidecar = json.loads((folder / "sub-001_task-auditoryoddball_run-01_eeg.json").read_text())
    assert (sidecar["EEGChannelCount"], sidecar["TriggerChannelCount"]) == (43, 2)
    assert (sidecar["TaskName"], sidecar["RecordingDuration"]) == ("auditory oddball", 6.1)


def test_steps_of_the_code_channels_are_markers(converted):
    found = read_raw(converted.dataset, "001", "visualoddball", "03").annotations
    assert list(found.description) == ["Stimulus/S 25", "Stimulus/S125", "Stimulus/S150", "Response/R100"]
    np.testing.assert_allclose(found.onset, [0.8, 1.2, 3.7, 4.1])


def test_a_code_channel_that_was_filtered_gives_no_marker():
    data = simulate_eeg()
    data[47] = np.convolve(data[47], np.ones(5) / 5, mode="same")
    assert [marker["description"] for marker in find_markers(data)] == [100]
    assert find_markers(data[:47]) == []


def test_events_are_those_of_the_onset_files_and_the_trials_that_they_leave_out(converted):
    stem = "sub-001/func/sub-001_task-auditoryoddball_run-01"
    table = pd.read_csv(converted.dataset / f"{stem}_events.tsv", sep="\t", keep_default_na=False, dtype=str)
    assert table.to_dict("list") == {
        "onset": ["1.2", "3.7", "5.9"],
        "duration": ["0.2", "0.2", "0.2"],
        "trial_type": ["Standard tone", "Target", "n/a"],
        "weight": ["1", "1", "n/a"],
        "response_time": ["n/a", "0.402", "0.311"],
    }


def test_a_condition_without_a_name_keeps_that_of_its_file(converted):
    path = converted.dataset / "sub-001/func/sub-001_task-visualoddball_run-03_events.tsv"
    assert pd.read_csv(path, sep="\t").trial_type.tolist() == ["cond001"]
    assert not list((converted.dataset / "sub-002").rglob("*_events.*"))


def test_the_image_is_the_same_to_the_last_byte(converted):
    stem = "sub-001/func/sub-001_task-visualoddball_run-03_bold"
    old = converted.source / "sub001/BOLD/task002_run003/bold.nii.gz"
    assert (converted.dataset / f"{stem}.nii.gz").read_bytes() == old.read_bytes()
    sidecar = json.loads((converted.dataset / f"{stem}.json").read_text())
    assert (sidecar["RepetitionTime"], sidecar["TaskName"]) == (2.0, "visual oddball")


def test_each_recording_has_its_line_and_a_missing_side_is_told(converted):
    lines = converted.err.splitlines()
    assert lines[:3] == [
        "sub-001 task-auditoryoddball_run-01: EEG 49 channels, 6.1 s at 1000 Hz, 4 markers; BOLD 5x6x4, 3 volumes, 3 events",
        "sub-001 task-visualoddball_run-03: EEG 49 channels, 6.1 s at 1000 Hz, 4 markers; BOLD 5x6x4, 7 volumes, 1 events",
        "sub-002 task-auditoryoddball_run-01: EEG 43 channels, 6.1 s at 1000 Hz, 0 markers; no BOLD, expected "
        "sub002/BOLD/task001_run001/bold.nii.gz",
    ]
    assert lines[3].endswith("no EEG, expected sub002/EEG/task001_run002/EEG_noGA.mat")
    assert [line.partition(":")[0] for line in lines[4:6]] == ["one side only", "one side only"]
    assert lines[6] == f"2 of 2 participants are in {converted.dataset}"


# ---------------------------------------------------------------------------------------------------------- failures


def cut(path):
    write_mat(path, simulate_eeg())
    path.write_bytes(path.read_bytes()[:-5000])


def cut_hdf5(path):
    write_mat(path, simulate_eeg(), version="7.3")
    path.write_bytes(path.read_bytes()[:-5000])


def empty(path):
    path.parent.mkdir(parents=True)
    path.touch()


def rename(path):
    write_mat(path, simulate_eeg(), name="data_raw")


def rename_hdf5(path):
    write_mat(path, simulate_eeg(), name="data_raw", version="7.3")


def reference_anew(path):
    write_mat(path, simulate_eeg(n_channels=37))


def turn(path):
    write_mat(path, simulate_eeg().T)


@pytest.mark.parametrize(
    ("damaged", "message"),
    [
        (cut, "expected a MATLAB file, found it unreadable ("),
        (cut_hdf5, "expected a MATLAB file, found it unreadable ("),
        (empty, "expected a MATLAB file, found it unreadable ("),
        (rename, "expected the variable data_noGA, found data_raw; take the file of the download"),
        (rename_hdf5, "expected the variable data_noGA, found data_raw; take the file of the download"),
        (reference_anew, "expected data_noGA with 43 to 49 channels in its rows, found 37x6100 of type float64"),
        (turn, "expected data_noGA with 43 to 49 channels in its rows, found 6100x49 of type float64"),
    ],
)
def test_a_broken_mat_is_told_and_leaves_the_other_participants(damaged, message, tmp_path):
    source, destination = tmp_path / "ds116", tmp_path / "bids"
    write_bold(source / "sub001/BOLD/task001_run001/bold.nii.gz")
    damaged(source / "sub001/EEG/task001_run002/EEG_noGA.mat")
    write_bold(source / "sub002/BOLD/task001_run001/bold.nii.gz")
    code, err = run(source, destination)
    assert code == 1
    line = next(line for line in err.splitlines() if line.startswith("sub-001 failed: "))
    assert message in line
    assert "EEG_noGA.mat" in line
    expected = ["README", "dataset_description.json", "participants.json", "participants.tsv", "sub-002"]
    assert sorted(path.name for path in destination.iterdir()) == expected


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("model/model001/onsets/task001_run001/cond001.txt", "3.7 0.2 1\n5.1 0.2\n", "found '5.1 0.2'"),
        ("model/model001/onsets/task001_run001/cond001.txt", "onset duration weight\n", "expected onset, duration"),
        ("behav/task001_run001/behavdata.txt", "TrialOnset RT\n3.7 late\n", "expected numbers, found '3.7 late'"),
    ],
)
def test_onsets_that_are_no_numbers_are_told(name, text, message, tmp_path):
    write_bold(tmp_path / "ds116/sub001/BOLD/task001_run001/bold.nii.gz")
    write_text(tmp_path / "ds116/sub001" / name, text)
    code, err = run(tmp_path / "ds116", tmp_path / "bids")
    assert code == 65
    assert message in err


def test_another_layout_is_told_in_one_line(tmp_path):
    write_bold(tmp_path / "ds116/sub-01/func/sub-01_task-visual_run-01_bold.nii.gz")
    code, err = run(tmp_path / "ds116", tmp_path / "bids")
    assert code == 66
    assert "expected sub001/EEG/task001_run001/EEG_noGA.mat and sub001/BOLD/task001_run001/bold.nii.gz" in err
    assert "found sub-01; unpack the download, or give the folder that holds it" in err
    assert len(err.splitlines()) == 1
