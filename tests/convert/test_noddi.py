"""The NODDI download becomes a valid BIDS dataset without a sample, a marker or a byte of an image lost."""

import contextlib
import io
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import mne
import mne_bids
import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bids_eeg2fmri.convert import noddi
from bids_eeg2fmri.convert.__main__ import main

# fmt: off
CHANNELS = [
    "Fp1", "Fp2", "F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2", "F7", "F8", "T7", "T8", "P7", "P8", "Fz", "Cz", "Pz",
    "Oz", "FC1", "FC2", "CP1", "CP2", "FC5", "FC6", "CP5", "CP6", "TP9", "TP10", "POz", "ECG", "F1", "F2", "C1", "C2",
    "P1", "P2", "AF3", "AF4", "FC3", "FC4", "CP3", "CP4", "PO3", "PO4", "F5", "F6", "C5", "C6", "P5", "P6", "AF7", "AF8",
    "FT7", "FT8", "TP7", "TP8", "PO7", "PO8", "FT9", "FT10", "Fpz", "CPz",
]
# fmt: on
N_VOLUMES = 20
VOLUME = 540  # samples between volumes: 2.16 s at 250 Hz
N_SAMPLES = 36 + N_VOLUMES * VOLUME + 77

HEADER = """\
Brain Vision Data Exchange Header File Version 2.0
; Data created from history path: {history}/Raw Data/Edit Markers/Scanner Artifact Correction/Filters/Segmentation

[Common Infos]
Codepage=UTF-8
DataFile={data}
MarkerFile={markers}
DataFormat=BINARY
; Data orientation: VECTORIZED=ch1,pt1, ch1,pt2..., MULTIPLEXED=ch1,pt1, ch2,pt1 ...
DataOrientation=MULTIPLEXED
DataType=TIMEDOMAIN
NumberOfChannels=64
DataPoints={n_samples}
; Sampling interval in microseconds if time domain (convert to Hertz:
SamplingInterval=4000

[User Infos]
; Each entry: Prop<Number>=<Type>,<Name>,<Value>,<Value2>,...,<ValueN>

[Binary Infos]
BinaryFormat={binary}

[Channel Infos]
; Each entry: Ch<Channel number>=<Name>,<Reference channel name>,
{channels}

[Coordinates]
; Each entry: Ch<Channel number>=<Radius>,<Theta>,<Phi>
{coordinates}
"""


def write_markers(path: Path, data: str) -> None:
    lines = ["New Segment,,1,1,0,20130410102740488278"]
    for volume in range(N_VOLUMES):
        start = 37 + volume * VOLUME
        lines += [f"Scanner,s ,{start},1,0,,false", f"Scanner,Scan Start,{start},1,0"]
        lines += [f"Scanner,s ,{start + 18 * i},1,0,,false" for i in range(1, 30)]
    lines += [f"Pulse Artifact,R,{at},1,32" for at in range(215, N_SAMPLES, 221)]
    lines += [f"SyncStatus,Sync On,{at},1,0" for at in range(370, N_SAMPLES, 500)]
    text = "Brain Vision Data Exchange Marker File, Version 2.0\n\n[Common Infos]\nCodepage=UTF-8\n"
    text += f"DataFile={data}\n\n[Marker Infos]\n" + "".join(f"Mk{i}={line}\n" for i, line in enumerate(lines, 1))
    path.write_bytes(text.replace("\n", "\r\n").encode())


def write_eeg(folder: Path, *, stem="rest", data=None, named="rest.dat", binary="IEEE_FLOAT_32", seed=0) -> np.ndarray:
    """Write an export; ``data`` is the true name of the data file, ``named`` that in the header. Return it in µV."""
    folder.mkdir(parents=True)
    data = data or f"{stem}.dat"
    recording = np.random.default_rng(seed).normal(0, 30, (N_SAMPLES, 64)).astype("<f4")
    recording.tofile(folder / data)
    markers = f"{Path(data).stem}.vmrk"
    write_markers(folder / markers, named)
    names = {"data": named, "markers": named.rpartition(".")[0] + ".vmrk", "history": folder.parent.name}
    channels = "\n".join(f"Ch{i}={name},,,µV" for i, name in enumerate(CHANNELS, 1))
    places = (f"{'0,0,0' if name == 'ECG' else f'1,{i + 20},{i - 40}'}" for i, name in enumerate(CHANNELS))
    coordinates = "\n".join(f"Ch{i}={place}" for i, place in enumerate(places, 1))
    text = HEADER.format(**names, n_samples=N_SAMPLES, binary=binary, channels=channels, coordinates=coordinates)
    (folder / f"{stem}.vhdr").write_bytes(text.replace("\n", "\r\n").encode())
    return recording.T


def write_bold(folder: Path, shape=(5, 6, 4, N_VOLUMES), tr_s=2.16) -> None:
    folder.mkdir(parents=True)
    data = np.random.default_rng(7).integers(0, 900, shape).astype(np.int16)
    image = nib.Nifti1Image(data, np.diag([3.3, 3.3, 4, 1]))
    image.header.set_xyzt_units("mm", "sec")
    image.header.set_zooms((3.3, 3.3, 4, tr_s))
    image.to_filename(folder / "3_nw_mepi_rest_with_cross.nii.gz")


def errors_of(dataset: Path) -> list[str]:
    validator = shutil.which("bids-validator-deno", path=Path(sys.executable).parent)
    if validator is None:
        pytest.skip("bids-validator-deno is not installed")
    done = subprocess.run(
        [validator, "--json", "--ignoreWarnings", dataset], capture_output=True, text=True, check=False
    )
    issues = json.loads(done.stdout)["issues"]["issues"]
    return [f"{i['code']} {i.get('subCode', '')} {i.get('location', '')}" for i in issues if i["severity"] == "error"]


def run(*arguments: object) -> tuple[int, str]:
    err = io.StringIO()
    with contextlib.redirect_stderr(err):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as leaving:  # argparse's way to end
            code = int(leaving.code or 0)
    return code, err.getvalue()


@dataclass(frozen=True)
class Converted:
    source: Path
    dataset: Path
    code: int
    err: str
    recordings_uv: dict[str, np.ndarray]
    before: dict[str, str]


@pytest.fixture(scope="module")
def converted(tmp_path_factory, hash_files) -> Converted:
    """Two with both sides, one with EEG alone, one with BOLD alone; the names in the headers are wrong."""
    source = tmp_path_factory.mktemp("osf")
    windows = "C:\\Vision\\Export\\20130410320002 Segmentation.dat"
    recordings = {
        "20130410320002": write_eeg(source / "EEG1/20130410320002/export", named=windows),
        "35": write_eeg(source / "EEG2/35/export", stem="cleaned", data="export.eeg", named="renamed.dat", seed=35),
        "p36b": write_eeg(source / "EEG2/p_36-b/export", named="rest.dat", seed=36),
    }
    write_bold(source / "fMRI/20130410320002")
    write_bold(source / "fMRI/35")
    write_bold(source / "fMRI/37", shape=(5, 6, 30, 7))
    (source / "EEG2/35/export/._cleaned.vhdr").write_bytes(b"left by macOS")
    (source / "EEG1/notes").mkdir()
    before = hash_files(source)
    dataset = source.with_name("noddi_bids")
    code, err = run("noddi", source, dataset)
    return Converted(source, dataset, code, err, recordings, before)


def test_the_validator_finds_no_error(converted):
    assert converted.code == 0, converted.err
    assert errors_of(converted.dataset) == []


def test_the_download_stays_as_it_was(converted, hash_files):
    assert hash_files(converted.source) == converted.before


def test_the_label_is_the_name_of_the_folder_in_letters_and_digits(converted):
    table = pd.read_csv(converted.dataset / "participants.tsv", sep="\t", dtype=str)
    assert table.participant_id.tolist() == ["sub-20130410320002", "sub-35", "sub-37", "sub-p36b"]
    assert table.source_id.tolist() == ["20130410320002", "35", "37", "p_36-b"]


@pytest.mark.parametrize("label", ["20130410320002", "35", "p36b"])
def test_samples_survive_whatever_the_header_said(label, converted):
    path = mne_bids.BIDSPath(subject=label, task="rest", datatype="eeg", root=converted.dataset)
    raw = mne_bids.read_raw_bids(path, verbose="ERROR")
    assert raw.ch_names == CHANNELS
    assert raw.get_channel_types(["ECG", "Fp1", "CPz"]) == ["ecg", "eeg", "eeg"]
    assert raw.info["sfreq"] == 250
    np.testing.assert_allclose(raw.get_data() * 1e6, converted.recordings_uv[label], rtol=1e-6)


def test_every_marker_survives_with_its_type_place_and_channel(converted):
    def markers(path):
        return [line for line in path.read_bytes().splitlines() if line.startswith(b"Mk")]

    new = converted.dataset / "sub-35/eeg/sub-35_task-rest_eeg.vmrk"
    assert markers(new) == markers(converted.source / "EEG2/35/export/export.vmrk")
    raw = mne.io.read_raw_brainvision(new.with_suffix(".vhdr"), verbose="ERROR")
    onsets = [a["onset"] for a in raw.annotations if a["description"] == "Scanner/Scan Start"]
    np.testing.assert_allclose(onsets, 36 / 250 + 2.16 * np.arange(N_VOLUMES), atol=1e-6)


def test_header_and_markers_name_the_files_beside_them(converted):
    folder = converted.dataset / "sub-35/eeg"
    header = (folder / "sub-35_task-rest_eeg.vhdr").read_bytes()
    assert b"\r\nDataFile=sub-35_task-rest_eeg.eeg\r\nMarkerFile=sub-35_task-rest_eeg.vmrk\r\n" in header
    assert b"\r\nDataFile=sub-35_task-rest_eeg.eeg\r\n" in (folder / "sub-35_task-rest_eeg.vmrk").read_bytes()


def test_sidecars_say_what_is_known(converted):
    folder = converted.dataset / "sub-35"
    eeg = json.loads((folder / "eeg/sub-35_task-rest_eeg.json").read_text())
    assert (eeg["EEGChannelCount"], eeg["ECGChannelCount"], eeg["EEGReference"]) == (63, 1, "FCz")
    assert eeg["RecordingDuration"] == pytest.approx(N_SAMPLES / 250)
    assert eeg["SoftwareFilters"]["Cleaning"]["History"].startswith("35/Raw Data/Edit Markers")
    bold = json.loads((folder / "func/sub-35_task-rest_bold.json").read_text())
    assert (bold["TaskName"], bold["RepetitionTime"]) == ("rest", 2.16)
    description = json.loads((converted.dataset / "dataset_description.json").read_text())
    assert description["GeneratedBy"][0]["Name"] == "bids_eeg2fmri.convert"
    assert description["License"] == "CC-BY-4.0"


def test_slice_times_are_given_to_images_of_30_slices_alone(converted):
    def sidecar(label):
        return json.loads((converted.dataset / f"sub-{label}/func/sub-{label}_task-rest_bold.json").read_text())

    assert "SliceTiming" not in sidecar("35")
    assert len(sidecar("37")["SliceTiming"]) == 30
    assert np.all(np.diff(sidecar("37")["SliceTiming"]) > 0.07)


def test_the_image_is_the_same_to_the_last_byte(converted):
    for label in ("35", "37"):
        new = converted.dataset / f"sub-{label}/func/sub-{label}_task-rest_bold.nii.gz"
        old = converted.source / f"fMRI/{label}/3_nw_mepi_rest_with_cross.nii.gz"
        assert new.read_bytes() == old.read_bytes()


def test_each_recording_has_its_line_and_a_missing_side_is_told(converted):
    lines = converted.err.splitlines()
    assert lines[0] == (
        "sub-20130410320002 task-rest: EEG 64 channels, 43.7 s at 250 Hz, 20 x Scan Start; BOLD 5x6x4, 20 volumes"
    )
    assert lines[2] == "sub-37 task-rest: BOLD 5x6x30, 7 volumes; no EEG, expected EEG*/37/export/*.vhdr"
    assert lines[4:6] == [
        "one side only: sub-37 task-rest: no EEG, expected EEG*/37/export/*.vhdr",
        "one side only: sub-p36b task-rest: no BOLD, expected fMRI/p_36-b/*_cross.nii.gz",
    ]
    assert lines[6] == f"4 of 4 participants are in {converted.dataset}"
    assert not (converted.dataset / "sub-p36b/func").exists()
    assert not (converted.dataset / "sub-37/eeg").exists()


def test_the_app_pairs_what_was_converted(converted, app, tmp_path):
    result = app(converted.dataset, tmp_path / "out", "participant", "--participant-label", "35", "--dry-run")
    assert result.code == 0, result.err
    assert "sub-35_task-rest" in result.out


# ---------------------------------------------------------------------------------------------------------- failures


def break_data(source):
    path = source / "EEG/32/export/rest.dat"
    path.write_bytes(path.read_bytes()[:-64])


def remove_data(source):
    (source / "EEG/32/export/rest.dat").unlink()


def remove_markers(source):
    (source / "EEG/32/export/rest.vmrk").unlink()


def add_headers(source):
    shutil.copy(source / "EEG/32/export/rest.vhdr", source / "EEG/32/export/other.vhdr")


def take_raw(source):
    path = source / "EEG/32/export/rest.vhdr"
    path.write_bytes(path.read_bytes().replace(b"IEEE_FLOAT_32", b"INT_16"))


def cut_image(source):
    path = source / "fMRI/32/3_nw_mepi_rest_with_cross.nii.gz"
    path.write_bytes(path.read_bytes()[:-100])


def flatten_image(source):
    shutil.rmtree(source / "fMRI/32")
    write_bold(source / "fMRI/32", shape=(5, 6, 4, 1))


@pytest.mark.parametrize(
    ("damage", "code", "message"),
    [
        (break_data, 65, f"expected {N_SAMPLES} samples of 64 channels in 4 bytes each, found"),
        (remove_data, 66, "expected rest.eeg or rest.dat beside it, found none; download it again"),
        (remove_markers, 66, "expected rest.vmrk beside it, found none"),
        (add_headers, 65, "rest.vhdr; move the others away"),
        (take_raw, 65, "expected BINARY IEEE_FLOAT_32 as in the cleaned export, found BINARY INT_16"),
        (cut_image, 65, "expected a whole NIfTI file, found it unreadable"),
        (flatten_image, 65, "expected a series of volumes (4-D), found shape 5x6x4x1"),
    ],
)
def test_a_broken_file_is_told_and_nothing_is_written(damage, code, message, tmp_path):
    source, destination = tmp_path / "osf", tmp_path / "bids"
    write_eeg(source / "EEG/32/export")
    write_bold(source / "fMRI/32")
    damage(source)
    found, err = run("noddi", source, destination)
    assert found == code
    assert err.splitlines()[-2].startswith("sub-32 failed: ")
    assert message in err.splitlines()[-2]
    assert err.splitlines()[-1] == f"0 of 1 participants are in {destination}"
    assert not list(destination.iterdir())


def test_one_participants_failure_leaves_the_others(tmp_path):
    source, destination = tmp_path / "osf", tmp_path / "bids"
    for name in ("32", "35"):
        write_bold(source / "fMRI" / name)
    cut_image(source)
    code, err = run("noddi", source, destination)
    assert code == 1
    assert err.splitlines()[0] == "sub-32: failed"
    assert sorted(p.name for p in destination.iterdir() if p.is_dir()) == ["sub-35"]
    assert pd.read_csv(destination / "participants.tsv", sep="\t").participant_id.tolist() == ["sub-35"]


def test_an_interruption_leaves_whole_participants_alone(tmp_path, monkeypatch):
    source, destination = tmp_path / "osf", tmp_path / "bids"
    write_bold(source / "fMRI/32")
    write_eeg(source / "EEG2/35/export")
    write_bold(source / "fMRI/35")
    copy_bold = noddi.copy_bold

    def stop_at_35(path, *arguments):
        if path.parent.name == "35":
            raise KeyboardInterrupt
        return copy_bold(path, *arguments)

    monkeypatch.setattr(noddi, "copy_bold", stop_at_35)
    code, err = run("noddi", source, destination)
    assert code == 130
    assert "interrupted" in err.splitlines()[-1]
    expected = ["README", "dataset_description.json", "participants.json", "participants.tsv", "sub-32"]
    assert sorted(p.name for p in destination.iterdir()) == expected


def test_another_repetition_time_in_the_image_is_told(tmp_path):
    write_bold(tmp_path / "osf/fMRI/32", tr_s=1.0)
    _, err = run("noddi", tmp_path / "osf", tmp_path / "bids")
    assert (
        "the image's header says a repetition time of 1 s, the dataset's authors 2.16 s: the validator will object"
        in err.splitlines()[0]
    )


def test_folders_that_would_become_the_same_participant_are_refused(tmp_path):
    write_bold(tmp_path / "osf/fMRI/p-32")
    write_eeg(tmp_path / "osf/EEG/p_32/export")
    code, err = run("noddi", tmp_path / "osf", tmp_path / "bids")
    assert code == 65
    assert "expected one folder for sub-p32, found p-32 and p_32; rename one" in err
    assert not (tmp_path / "bids").exists()


def test_a_missing_or_other_folder_is_told_in_one_line(tmp_path):
    code, err = run("noddi", tmp_path / "osf", tmp_path / "bids")
    assert code == 66
    assert "expected the folder of the download, found nothing; check the path" in err
    (tmp_path / "osf/sub001/EEG").mkdir(parents=True)
    code, err = run("noddi", tmp_path / "osf", tmp_path / "bids")
    assert code == 66
    assert "expected EEG*/ID/export/*.vhdr and fMRI/ID/*_cross.nii.gz, found sub001; unpack the download" in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "bids").exists()


def test_what_is_there_is_not_written_over(converted, hash_files, tmp_path):
    before = hash_files(converted.dataset)
    code, err = run("noddi", converted.source, converted.dataset)
    assert code == 73
    assert "expected a new or empty folder, found README, dataset_description.json" in err
    assert hash_files(converted.dataset) == before
    for destination in (converted.source / "bids", converted.source):
        code, err = run("noddi", converted.source, destination)
        assert code == 73
        assert "expected a folder outside the download" in err
    (tmp_path / "file").touch()
    assert run("noddi", converted.source, tmp_path / "file")[0] == 73
    assert run("noddi", converted.source, tmp_path / "file/below")[0] == 73


@pytest.mark.parametrize("arguments", [[], ["noddi"], ["nodi", "a", "b"], ["noddi", "a", "b", "--force"]])
def test_wrong_usage_is_told(arguments):
    code, err = run(*arguments)
    assert code == 64
    assert "--help" in err


def test_help_imports_nothing_heavy():
    script = (
        "import sys\nfrom bids_eeg2fmri.convert.__main__ import main\n"
        "try: main(['--help'])\nfinally: assert not {'numpy', 'mne', 'nibabel'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "{noddi,oddball}" in done.stdout
