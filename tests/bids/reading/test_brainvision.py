"""BrainVision by its two text files, with mne as the reference."""

import re
from pathlib import Path

import mne
import numpy as np
import pybv
import pytest

from bids_eeg2fmri.bids.reading import read_eeg, read_eeg_header
from bids_eeg2fmri.bids.recordings import Recording
from bids_eeg2fmri.errors import InputDataError, MissingFilesError

SKELETONS = Path(__file__).parents[4] / "shared/skeletons"
STEM = "sub-01_task-rest_eeg"
NAMES = ("Fp1", "Cz", "ECG")
MARKERS = [("New Segment", "", 1), ("Response", "R128", 101), ("Scanner", "Scan Start", 151), ("T", "T  1", 151)]
MARKERS += [
    ("SyncStatus", "Sync On", 201),
    ("Stimulus", "S  1", 301),
    ("Comment", "a\\1b", 401),
    ("Response", "R128", 601),
]


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "sub-01/eeg"
    path.mkdir(parents=True)
    return path


def write(folder, *, changes=(), data=None, orientation="MULTIPLEXED", fmt="INT_16", encoding="utf-8", stem=STEM):
    """Write header, markers and 3 channels of 750 samples at 250 Hz, in steps of 0.5 µV."""
    values = np.arange(3 * 750).reshape(3, 750) % 97 if data is None else data
    header = f"""Brain Vision Data Exchange Header File Version 1.0
; Data created by the Vision Recorder

[Common Infos]
Codepage=UTF-8
DataFile={STEM}.eeg
MarkerFile={STEM}.vmrk
DataFormat=BINARY
DataOrientation={orientation}
NumberOfChannels=3
SamplingInterval=4000

[Binary Infos]
BinaryFormat={fmt}

[Channel Infos]
Ch1=Fp1,,0.5,µV
Ch2=Cz,,0.5,µV
Ch3=ECG,,0.5,µV

[Comment]
NumberOfChannels=64 = what the amplifier has
"""
    markers = (
        "Brain Vision Data Exchange Marker File, Version 1.0\n\n[Common Infos]\n\n[Marker Infos]\n; Each entry: ...\n"
    )
    for i, (kind, description, position) in enumerate(MARKERS):
        date = ",20130410102544704278" if kind == "New Segment" else ""
        markers += f"Mk{i + 1}={kind},{description},{position},1,0{date}\n"
    for old, new in changes:
        assert old in header + markers
        header, markers = header.replace(old, new), markers.replace(old, new)
    path = folder / f"{stem}.vhdr"
    path.write_bytes(header.encode(encoding))
    (folder / f"{STEM}.vmrk").write_bytes(markers.encode(encoding))
    ordered = values if orientation == "VECTORIZED" else values.T
    dtype = {"INT_16": "<i2", "IEEE_FLOAT_32": "<f4", "INT_32": "<i4"}[fmt]
    (folder / f"{STEM}.eeg").write_bytes(ordered.astype(dtype).tobytes())
    return path


def read(path):
    return read_eeg(Recording("01", eeg=path, bold=None, status="EEG only", reason="x"))


def microvolts(path):
    return read(path).raw.get_data() * 1e6


def assert_as_mne(path):
    """Compare what the header tells with what mne reads."""
    raw = mne.io.read_raw(path, verbose="error")
    header = read_eeg_header(path, {})
    assert header.duration_s == raw.n_times / raw.info["sfreq"]
    assert header.sfreq == raw.info["sfreq"]
    codes = {code for code in raw.annotations.description if not code.startswith("New Segment")}
    assert {code for _, code in header.markers} == codes
    for (source, code), onsets in header.markers.items():
        assert source.endswith(".vmrk")
        np.testing.assert_allclose(onsets, raw.annotations.onset[raw.annotations.description == code])
    return header


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("orientation", ["MULTIPLEXED", "VECTORIZED"])
@pytest.mark.parametrize("fmt", ["INT_16", "INT_32", "IEEE_FLOAT_32"])
@pytest.mark.parametrize("points", [True, False])
def test_every_layout_is_read_as_mne_reads_it(version, orientation, fmt, points, folder):
    changes = [("Version 1.0", f"Version {version}")]
    changes += [("NumberOfChannels=3", "NumberOfChannels=3\nDataPoints=750")] if points else []
    path = write(folder, orientation=orientation, fmt=fmt, changes=changes)
    header = assert_as_mne(path)
    assert len(header.markers) == 6
    expected = (np.arange(3 * 750).reshape(3, 750) % 97) * 0.5
    np.testing.assert_allclose(microvolts(path), expected, atol=1e-6)


def test_markers_keep_their_type_and_their_spaces(folder):
    markers = {code: onsets.tolist() for (_, code), onsets in read_eeg_header(write(folder), {}).markers.items()}
    assert markers == {
        "Response/R128": [0.4, 2.4],
        "Scanner/Scan Start": [0.6],
        "T/T  1": [0.6],
        "SyncStatus/Sync On": [0.8],
        "Stimulus/S  1": [1.2],
        "Comment/a,b": [1.6],
    }


def test_a_missing_resolution_is_one_microvolt(folder):
    path = write(folder, changes=[(",,0.5,µV", ",,,µV")])
    np.testing.assert_allclose(microvolts(path)[1, :5], (np.arange(750, 755) % 97))


@pytest.mark.parametrize("codepage", ["Codepage=ANSI\n", ""])
@pytest.mark.parametrize("in_markers", [False, True])
def test_text_of_windows_is_read(codepage, in_markers, folder, caplog):
    """mne opens the marker file in the encoding of the system, and fails on a letter that is not in it."""
    changes = [("Codepage=UTF-8\n", codepage)] + ([("Scan Start", "Maß")] if in_markers else [])
    path = write(folder, encoding="latin-1", changes=changes)
    assert microvolts(path)[1, 0] == pytest.approx((750 % 97) * 0.5)
    codes = {code for _, code in read_eeg_header(path, {}).markers}
    assert ("Scanner/Maß" in codes) == in_markers
    assert len(codes) == 6
    assert ("MNE-BIDS cannot read it" in caplog.text) == in_markers


def test_markers_beyond_the_end_of_the_data_are_kept(folder):
    """They tell that the data were cut short; mne drops them."""
    path = write(folder, data=np.ones((3, 500)))
    header = read_eeg_header(path, {})
    assert header.duration_s == 2.0
    [onsets] = [onsets for (_, code), onsets in header.markers.items() if code == "Response/R128"]
    assert onsets.tolist() == [0.4, 2.4]


def test_a_recording_without_markers_has_none(folder):
    path = write(folder, changes=[(f"MarkerFile={STEM}.vmrk\n", "")])
    assert read_eeg_header(path, {}).markers == {}
    assert microvolts(path).shape == (3, 750)


@pytest.mark.parametrize("orientation", ["MULTIPLEXED", "VECTORIZED"])
@pytest.mark.parametrize("fmt", ["INT_16", "IEEE_FLOAT_32"])
def test_data_that_were_cut_short_are_named(orientation, fmt, folder):
    path = write(
        folder, orientation=orientation, fmt=fmt, changes=[("NumberOfChannels=3", "NumberOfChannels=3\nDataPoints=750")]
    )
    data = path.with_suffix(".eeg")
    whole = data.read_bytes()
    width = {"INT_16": 2, "IEEE_FLOAT_32": 4}[fmt]
    for left in (0, 3 * width * 600, len(whole) - 1):
        data.write_bytes(whole[:left])
        with pytest.raises(
            InputDataError,
            match=rf"{STEM}.eeg: expected {len(whole)} bytes by its header, found {left}; the file is cut short",
        ):
            read_eeg_header(path, {})
    path.write_text(path.read_text().replace("DataPoints=750\n", ""))
    data.write_bytes(whole[:-1])
    with pytest.raises(InputDataError, match=rf"expected a multiple of {3 * width} bytes \(3 channels\) by its header"):
        read_eeg_header(path, {})


def test_a_header_that_names_files_of_another_name_takes_those_beside_it(folder, caplog):
    path = write(folder, changes=[(f"DataFile={STEM}", "DataFile=vp07"), (f"MarkerFile={STEM}", "MarkerFile=vp07")])
    assert microvolts(path)[2, 3] == pytest.approx((1503 % 97) * 0.5)
    assert len(read_eeg_header(path, {}).markers) == 6
    assert (
        f"expected its data file vp07.eeg beside it, found none; {STEM}.eeg is taken, correct DataFile" in caplog.text
    )
    assert f"expected its marker file vp07.vmrk beside it, found none; {STEM}.vmrk is taken" in caplog.text
    assert len(caplog.records) == 2


def test_a_header_may_name_its_files_by_its_own_name(folder, caplog):
    path = write(folder, changes=[(f"DataFile={STEM}", "DataFile=$b"), (f"MarkerFile={STEM}", "MarkerFile=$b")])
    assert microvolts(path).shape == (3, 750)
    assert len(read_eeg_header(path, {}).markers) == 6
    assert not caplog.records


@pytest.mark.parametrize(("key", "what", "suffix"), [("DataFile", "data", ".eeg"), ("MarkerFile", "marker", ".vmrk")])
def test_a_file_that_is_nowhere_is_named(key, what, suffix, folder):
    path = write(folder, changes=[(f"{key}={STEM}", f"{key}=vp07")])
    path.with_suffix(suffix).unlink()
    message = f"{path}: expected its {what} file vp07{suffix} beside it, found none; complete the dataset, or correct {key} in"
    with pytest.raises(MissingFilesError, match=re.escape(message)):
        read_eeg_header(path, {})


def test_text_data_are_read_by_mne(folder):
    binary = "[Binary Infos]\nBinaryFormat=INT_16"
    text = "[ASCII Infos]\nSkipLines=0\nSkipColumns=0\nDecimalSymbol=."
    path = write(folder, changes=[("DataFormat=BINARY", "DataFormat=ASCII"), (binary, text)])
    path.with_suffix(".eeg").write_text("\n".join(f"{i} {2 * i} {3 * i}" for i in range(750)) + "\n")
    assert assert_as_mne(path).duration_s == 3.0
    assert microvolts(path)[2, 4] == pytest.approx(6.0)


@pytest.mark.parametrize("change", [("SamplingInterval=4000\n", ""), ("BinaryFormat=INT_16", "BinaryFormat=UINT_16")])
def test_what_mne_can_not_read_is_told(change, folder):
    path = write(folder, changes=[change])
    with pytest.raises(InputDataError, match=rf"{STEM}.vhdr: MNE cannot read it \(.*\); open it with mne to see more"):
        read(path)


def test_what_pybv_writes_is_read_as_mne_reads_it(folder):
    events = [{"onset": 100 + 50 * i, "type": "Stimulus", "description": i % 3 + 1, "duration": 5} for i in range(20)]
    pybv.write_brainvision(
        data=np.zeros((3, 2000)),
        sfreq=500,
        ch_names=list(NAMES),
        fname_base=STEM,
        folder_out=str(folder),
        events=events,
    )
    assert len(assert_as_mne(folder / f"{STEM}.vhdr").markers) == 3


@pytest.mark.skipif(not SKELETONS.is_dir(), reason="the text files of public datasets are not there")
@pytest.mark.parametrize(
    ("name", "n_times", "counts"),
    [
        ("sub-32/eeg/sub-32_task-rest_eeg", 4_000_000, {"SyncStatus/Sync On": 398}),
        (
            "derivatives/sub-32/eeg/sub-32_task-rest_eeg",
            162_023,
            {
                "Scanner/s ": 9000,
                "Scanner/Scan Start": 300,
                "Scanner/Scanner Start": 1,
                "SyncStatus/Sync On": 324,
                "Pulse Artifact/R": 745,
            },
        ),
    ],
)
def test_markers_of_a_public_dataset_are_those_that_mne_reads(name, n_times, counts, tmp_path):
    source = SKELETONS / "eeg_rest_fmri" / name
    folder = (tmp_path / name).parent
    folder.mkdir(parents=True)
    for suffix in (".vhdr", ".vmrk"):
        (tmp_path / name).with_suffix(suffix).write_bytes(source.with_suffix(suffix).read_bytes())
    path = (tmp_path / name).with_suffix(".vhdr")
    float32 = "IEEE_FLOAT_32" in path.read_text()
    with path.with_suffix(".dat" if float32 else ".eeg").open("wb") as file:
        file.truncate(n_times * 64 * (4 if float32 else 2))  # a hole, which takes no room
    header = assert_as_mne(path)
    assert {code: len(onsets) for (_, code), onsets in header.markers.items()} == counts
