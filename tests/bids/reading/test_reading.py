"""EEG of every format and BOLD: written here byte by byte or with other people's software, and read back."""

import gzip
import re

import h5py
import mne
import nibabel as nib
import numpy as np
import pybv
import pytest
from scipy.io import savemat

from bids_eeg2fmri.bids.reading import (
    find_events_file,
    read_bold,
    read_bold_header,
    read_eeg,
    read_eeg_header,
    read_events,
)
from bids_eeg2fmri.bids.recordings import Recording
from bids_eeg2fmri.errors import InputDataError, MissingFilesError

SFREQ = 250
NAMES = ("Fp1", "Cz", "Oz", "ECG")
STEM = "sub-01_task-rest_eeg"
VOLUMES = 1.2 + 0.5 * np.arange(11)  # at samples of 250 Hz


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.10.0"}')
    path = tmp_path / "sub-01/eeg"
    path.mkdir(parents=True)
    return path


def signals(duration_s=8.0):
    """µV, with a resolution of 0.1 and channels of different size."""
    times = np.arange(round(duration_s * SFREQ)) / SFREQ
    waves = [amplitude * np.sin(2 * np.pi * hz * times) for amplitude, hz in ((20, 3), (30, 5), (40, 7), (600, 1))]
    return np.round(waves, 1)


def write_brainvision(folder, *, fmt="binary_int16", stem=STEM, onsets=VOLUMES, kind="Response", description=128):
    events = [{"onset": round(s * SFREQ), "type": kind, "description": description} for s in onsets]
    pybv.write_brainvision(
        data=signals() * 1e-6,
        sfreq=SFREQ,
        ch_names=list(NAMES),
        fname_base=stem,
        folder_out=str(folder),
        events=events,
        fmt=fmt,
        resolution=0.1 if "int" in fmt else 1.0,
        overwrite=True,
    )
    return folder / f"{stem}.vhdr"


def write_edf(path, *, annotations=(), triggers=None, n_records=8, stated=None, bits=16):
    """Write EDF+ or, with 24 bits, BDF: records of 1 s, signals in steps of 0.1 µV."""
    labels = [*NAMES, *(["Status"] if triggers is not None else []), *(["EDF Annotations"] if annotations else [])]
    digital = [*(signals(n_records) * 10), *([triggers] if triggers is not None else [])]
    largest = 30_000 if bits == 16 else 8_000_000
    n_text = 120
    per_record = [SFREQ] * len(digital) + ([n_text // 2] if annotations else [])

    def field(values, width):
        return b"".join(str(value).ljust(width).encode("latin-1") for value in values)

    n = len(labels)
    physical = [largest if label == "Status" else largest // 10 for label in labels]
    content = (b"\xffBIOSEMI" if bits == 24 else field(["0"], 8)) + field(["X X X X", "Startdate X X X X"], 80)
    content += field(["01.02.20", "03.04.05", 256 * (n + 1)], 8) + field(["EDF+C" if annotations else ""], 44)
    content += field([n_records if stated is None else stated, 1], 8) + field([n], 4)
    content += field(labels, 16) + field([""] * n, 80) + field(["uV"] * n, 8)
    content += field([-p for p in physical], 8) + field(physical, 8)
    content += field([-largest] * n, 8) + field([largest] * n, 8)
    content += field([""] * n, 80) + field(per_record, 8) + field([""] * n, 32)
    content = bytearray(content)
    for record in range(n_records):
        for channel in digital:
            values = np.rint(channel[record * SFREQ : (record + 1) * SFREQ]).astype("<i4")
            content += (
                values.astype("<i2").tobytes() if bits == 16 else values.view("u1").reshape(-1, 4)[:, :3].tobytes()
            )
        if annotations:
            here = [f"+{onset}\x14{text}\x14\x00" for onset, text in annotations if int(onset) == record]
            text = f"+{record}\x14\x14\x00" + "".join(here)
            content += text.encode().ljust(n_text // 2 * bits // 8, b"\x00")
    path.write_bytes(content)
    return path


def write_eeglab(path, *, layout, trials=1):
    """Write as EEGLAB does: one structure, or its fields; the signals inside, or beside it."""
    data = signals().astype(np.float32)
    codes = ["R128"] * len(VOLUMES) + ["boundary"]
    latencies = [*(VOLUMES * SFREQ + 1), 500.5]
    eeg = {
        "setname": "x",
        "nbchan": float(len(NAMES)),
        "trials": float(trials),
        "pnts": float(data.shape[1] // trials),
        "srate": float(SFREQ),
        "xmin": 0.0,
        "xmax": data.shape[1] / SFREQ,
        "chanlocs": np.array([(name, "") for name in NAMES], dtype=[("labels", object), ("type", object)]),
        "event": np.array(list(zip(codes, latencies, strict=True)), dtype=[("type", object), ("latency", object)]),
        "epoch": np.array([]),
        "data": data,
    }
    if layout == "beside":
        eeg["data"] = path.with_suffix(".fdt").name
        path.with_suffix(".fdt").write_bytes(data.T.astype("<f4").tobytes())
    savemat(path, eeg if layout == "fields" else {"EEG": eeg})
    return path


def write(kind, folder):
    if kind in ("binary_int16", "binary_float32"):
        return write_brainvision(folder, fmt=kind)
    if kind in ("edf", "bdf"):
        annotations = [(round(s, 3), "R128") for s in VOLUMES]
        return write_edf(folder / f"{STEM}.{kind}", annotations=annotations, bits=16 if kind == "edf" else 24)
    return write_eeglab(folder / f"{STEM}.set", layout=kind)


def recording(path, **metadata):
    return Recording("01", eeg=path, bold=None, status="EEG only", reason="x", eeg_metadata=metadata)


KINDS = ("binary_int16", "binary_float32", "edf", "bdf", "structure", "fields", "beside")


@pytest.mark.parametrize("kind", KINDS)
def test_signals_markers_and_length_come_back_from_every_format(kind, folder, caplog):
    path = write(kind, folder)
    eeg = read_eeg(recording(path))
    np.testing.assert_allclose(eeg.raw.get_data() * 1e6, signals(), atol=0.11)  # pybv truncates
    assert eeg.channels == ["Fp1", "Cz", "Oz"]
    assert eeg.raw.get_channel_types() == ["eeg", "eeg", "eeg", "ecg"]
    assert eeg.duration_s == 8.0
    source = path.with_suffix(".vmrk").name if path.suffix == ".vhdr" else path.name
    code = "Response/R128" if path.suffix == ".vhdr" else "R128"
    np.testing.assert_allclose(eeg.markers.pop((source, code)), VOLUMES, atol=1e-9)
    assert [code for _, code in eeg.markers] == (["boundary"] if path.suffix == ".set" else [])
    assert not caplog.records


@pytest.mark.parametrize("kind", KINDS)
def test_the_header_tells_what_the_recording_tells(kind, folder):
    path = write(kind, folder)
    header, eeg = read_eeg_header(path, {}), read_eeg(recording(path))
    assert (header.duration_s, header.sfreq) == (8.0, 250.0)
    assert list(header.markers) == list(eeg.markers)
    for key, onsets in header.markers.items():
        np.testing.assert_array_equal(onsets, eeg.markers[key])


# ---------------------------------------------------------------------------------------------------- EDF, BDF, EEGLAB


@pytest.mark.parametrize("bits", [16, 24])
def test_the_steps_of_a_status_channel_are_markers_as_mne_finds_them(bits, folder):
    triggers = np.zeros(8 * SFREQ, int)
    for i, onset in enumerate(VOLUMES):
        triggers[round(onset * SFREQ) :][: 5 + i] = 3
    triggers[700:705] = 7
    triggers[705:709] = 4  # without a return to 0
    if bits == 24:
        triggers += 2**16  # what the amplifier says of itself
    path = write_edf(folder / f"{STEM}.{'bdf' if bits == 24 else 'edf'}", triggers=triggers, bits=bits)
    markers = read_eeg_header(path, {}).markers
    assert set(markers) == {(path.name, f"Status/{value}") for value in (3, 4, 7)}
    np.testing.assert_allclose(markers[path.name, "Status/3"], VOLUMES)
    found = mne.find_events(
        mne.io.read_raw(path, verbose="error"),
        "Status",
        consecutive=True,
        shortest_event=1,
        mask=0xFFFF,
        mask_type="and",
        verbose="error",
    )
    for value in (3, 4, 7):
        np.testing.assert_array_equal(markers[path.name, f"Status/{value}"] * SFREQ, found[found[:, 2] == value, 0])
    assert "Status" not in read_eeg(recording(path)).channels


def test_triggers_are_found_across_the_minutes_in_which_they_are_read(folder):
    triggers = np.zeros(130 * SFREQ, int)
    samples = np.array([60, 61, 120, 125]) * SFREQ
    for sample in samples:
        triggers[sample - 2 : sample + 2] = 9
    triggers[: 10 * SFREQ] = 9  # on from the start: nobody knows since when
    path = write_edf(folder / f"{STEM}.bdf", triggers=triggers, bits=24, n_records=130)
    np.testing.assert_array_equal(read_eeg_header(path, {}).markers[path.name, "Status/9"] * SFREQ, samples - 2)


def test_a_trigger_channel_that_holds_a_signal_is_told(folder, caplog):
    path = write_edf(folder / f"{STEM}.bdf", triggers=np.arange(8 * SFREQ), bits=24)
    assert read_eeg_header(path, {}).markers == {}
    assert "expected triggers in Status, found 1999 values" in caplog.text


def test_annotations_in_another_encoding_are_read(folder):
    path = write_edf(folder / f"{STEM}.edf", annotations=[(2.5, "R128"), (3.5, "Augen zu?")])
    path.write_bytes(path.read_bytes().replace(b"Augen zu?", "Lärm: 5 µ".encode("latin-1")))
    assert {code for _, code in read_eeg_header(path, {}).markers} == {"R128", "Lärm: 5 µ"}
    assert read_eeg(recording(path)).duration_s == 8.0


@pytest.mark.parametrize("kind", ["edf", "bdf"])
def test_edf_that_was_cut_short_is_named(kind, folder):
    path = write(kind, folder)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(
        InputDataError, match=rf"{STEM}.{kind}: expected 8 s by its header, found 4 s; the file is cut short"
    ):
        read_eeg_header(path, {})


def test_edf_that_was_not_stopped_is_as_long_as_it_is(folder):
    assert read_eeg_header(write_edf(folder / f"{STEM}.edf", stated=-1), {}).duration_s == 8.0


def test_epochs_are_no_recording(folder):
    path = write_eeglab(folder / f"{STEM}.set", layout="structure", trials=4)
    with pytest.raises(
        InputDataError, match=r"expected a continuous recording, found 4 epochs; export the continuous data"
    ):
        read_eeg(recording(path))


def test_the_signals_beside_a_set_have_to_be_there_and_whole(folder):
    path = write_eeglab(folder / f"{STEM}.set", layout="beside")
    data = path.with_suffix(".fdt")
    data.write_bytes(data.read_bytes()[:-400])
    with pytest.raises(
        InputDataError, match=rf"{STEM}.fdt: expected 32000 bytes by {STEM}.set, found 31600; the file is cut"
    ):
        read_eeg_header(path, {})
    data.unlink()
    with pytest.raises(MissingFilesError, match=r"a file that belongs to it is missing \(.*fdt not found"):
        read_eeg_header(path, {})


def test_a_set_that_was_renamed_finds_its_signals(folder):
    path = write_eeglab(folder / "old.set", layout="beside").rename(folder / f"{STEM}.set")
    (folder / "old.fdt").rename(folder / f"{STEM}.fdt")
    assert read_eeg(recording(path)).duration_s == 8.0


def test_a_set_of_matlab_7_3_is_read(folder):
    """As MATLAB writes it: HDF5 behind a block of text, arrays transposed, letters as numbers, structures as groups."""
    path = folder / f"{STEM}.set"
    with h5py.File(path, "w", userblock_size=512) as file:
        eeg = file.create_group("EEG")
        eeg.attrs["MATLAB_class"] = np.bytes_("struct")
        for name, value in {
            "nbchan": 3.0,
            "pnts": 2000.0,
            "trials": 1.0,
            "srate": 250.0,
            "xmin": 0.0,
            "xmax": 7.996,
        }.items():
            eeg[name] = [[value]]
            eeg[name].attrs["MATLAB_class"] = np.bytes_("double")
        eeg["data"] = np.random.default_rng(0).normal(0, 20, (2000, 3)).astype(np.float32)
        eeg["data"].attrs["MATLAB_class"] = np.bytes_("single")
        references = file.create_group("#refs#")
        for structure, of_field in {
            "chanlocs": {"labels": ["Fp1", "Oz", "ECG"]},
            "event": {"type": ["R128", "R128"], "latency": [501.0, 1001.0]},
        }.items():
            group = eeg.create_group(structure)
            group.attrs["MATLAB_class"] = np.bytes_("struct")
            for field, values in of_field.items():
                pointers = []
                for number, value in enumerate(values):
                    text = isinstance(value, str)
                    letters = np.array([[ord(letter)] for letter in value], np.uint16) if text else np.array([[value]])
                    item = references.create_dataset(f"{structure}_{field}_{number}", data=letters)
                    item.attrs["MATLAB_class"] = np.bytes_("char" if text else "double")
                    pointers.append([item.ref])
                group.create_dataset(field, data=pointers, dtype=h5py.ref_dtype)
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    header = read_eeg_header(path, {})
    assert header.duration_s == 8.0
    np.testing.assert_allclose(header.markers[path.name, "R128"], [2.0, 4.0])
    assert read_eeg(recording(path)).channels == ["Fp1", "Oz"]


# ------------------------------------------------------------------------------------------------- what is not there


@pytest.mark.parametrize("kind", ["binary_int16", "beside"])
@pytest.mark.parametrize("instead", ["link", "pointer"])
def test_signals_that_were_not_fetched_ask_for_datalad_get(kind, instead, folder):
    path = write(kind, folder)
    data = path.with_suffix(".eeg" if path.suffix == ".vhdr" else ".fdt")
    data.unlink()
    if instead == "link":
        data.symlink_to("../../.git/annex/objects/MD5E-s1--0")
    else:
        data.write_text("/annex/objects/MD5E-s16000--5e1f.eeg\n")
    found = "a broken link" if instead == "link" else "a git-annex pointer without the content"
    with pytest.raises(MissingFilesError, match=rf"{data.name} beside it, found {found}; run datalad get"):
        read_eeg_header(path, {})


@pytest.mark.parametrize("suffix", [".vhdr", ".edf", ".bdf", ".set"])
def test_a_file_that_was_not_fetched_or_is_empty_is_named(suffix, folder):
    path = folder / f"{STEM}{suffix}"
    with pytest.raises(MissingFilesError, match="expected a file, found none; complete the dataset"):
        read_eeg_header(path, {})
    path.write_bytes(b"")
    with pytest.raises(InputDataError, match="expected an EEG file, found an empty one; copy it anew"):
        read_eeg_header(path, {})
    path.write_text("/annex/objects/SHA256E-s1--0.set\n")
    with pytest.raises(MissingFilesError, match="found a git-annex pointer without the content; run datalad get"):
        read_eeg_header(path, {})
    path.write_text("no EEG at all")
    with pytest.raises((InputDataError, MissingFilesError), match=re.escape(f"{path}: ")):
        read_eeg_header(path, {})


@pytest.mark.parametrize(("stated", "unit"), [(2000, "samples"), (8000, "ms")])
def test_a_duration_in_another_unit_is_no_reason_to_refuse(stated, unit, folder, caplog):
    path = write_brainvision(folder)
    assert read_eeg_header(path, {"RecordingDuration": stated}).duration_s == 8.0
    assert f"expected RecordingDuration in s in its sidecar, found {stated} {unit}" in caplog.text
    with pytest.raises(InputDataError, match=r"expected 60 s as RecordingDuration in its sidecar says, found 8\.0 s"):
        read_eeg_header(path, {"RecordingDuration": 60})


# ------------------------------------------------------------------------------------------------------------- events


def test_markers_of_the_header_and_of_the_table_are_both_given(folder):
    path = write_brainvision(folder)
    (folder / "sub-01_task-rest_events.tsv").write_text(
        "onset\tduration\ttrial_type\tvalue\n2.5\t0\tgo\t10\n1.5\tn/a\tstop\t20\n0.5\t0\tgo\t10\n3.5\t0\tn/a\t10\n"
    )
    markers = read_eeg_header(path, {}).markers
    assert {key: onsets.tolist() for key, onsets in markers.items() if key[0] == "events.tsv"} == {
        ("events.tsv", "go"): [0.5, 2.5],
        ("events.tsv", "stop"): [1.5],
        ("events.tsv", "10"): [0.5, 2.5, 3.5],
        ("events.tsv", "20"): [1.5],
    }
    assert len(markers[f"{STEM}.vmrk", "Response/R128"]) == 11
    assert read_eeg(recording(path)).markers.keys() == markers.keys()


def test_the_same_text_in_two_columns_is_two_codes_unless_it_means_the_same(folder):
    path = write_brainvision(folder, onsets=())
    events = folder / "sub-01_task-rest_events.tsv"
    events.write_text("onset\ttrial_type\tvalue\n1\t1\t2\n2\t2\t1\n3\t3\t3\n")
    markers = {code: onsets.tolist() for (_, code), onsets in read_eeg_header(path, {}).markers.items()}
    assert markers == {"1": [1], "2": [2], "3": [3], "value/2": [1], "value/1": [2]}


def test_events_without_a_name_are_markers_all_the_same(folder):
    path = write_brainvision(folder, onsets=())
    (folder / "sub-01_task-rest_events.tsv").write_text("onset\tduration\n1\t0\n3\t0\n")
    assert read_eeg_header(path, {}).markers["events.tsv", "n/a"].tolist() == [1, 3]


def test_a_table_in_the_root_is_on_the_clock_of_the_bold(folder, tmp_path):
    path = write_brainvision(folder)
    (tmp_path / "task-rest_events.tsv").write_text("onset\tduration\ttrial_type\n2\t20\tRest\n")
    bold = tmp_path / "sub-01/func/sub-01_task-rest_bold.nii"
    assert find_events_file(tmp_path, bold) == tmp_path / "task-rest_events.tsv"
    assert {source for source, _ in read_eeg_header(path, {}).markers} == {f"{STEM}.vmrk"}
    assert {source for source, _ in read_eeg(recording(path)).markers} == {f"{STEM}.vmrk"}


def test_the_nearest_table_of_events_applies(tmp_path):
    file = tmp_path / "sub-01/func/sub-01_task-rest_run-2_bold.nii.gz"
    file.parent.mkdir(parents=True)
    assert find_events_file(tmp_path, file) is None
    names = ["task-rest_events.tsv", "sub-01/sub-01_events.tsv", "sub-01/func/sub-01_task-rest_events.tsv"]
    for name in [*names, "sub-01/func/sub-01_task-rest_run-2_events.tsv"]:
        (tmp_path / name).write_text("onset\n")
        assert find_events_file(tmp_path, file) == tmp_path / name
        # Another run's, and what macOS left, is not taken.
        (tmp_path / name).with_name(f"._{(tmp_path / name).name}").write_text("")
        (tmp_path / "sub-01/func/sub-01_task-rest_run-3_events.tsv").write_text("onset\n")


def test_events_are_sorted_and_numbers(tmp_path, caplog):
    path = tmp_path / "events.tsv"
    path.write_text("onset\tduration\ttrial_type\tvalue\n4,5\tn/a\tb\t1\nn/a\t1\tc\t2\n-1.5\t2\ta\t03\n")
    events = read_events(path)
    assert events.onset.tolist() == [-1.5, 4.5]
    assert events.duration.tolist() == [2.0, 0.0]
    assert events.trial_type.tolist() == ["a", "b"]
    assert events.value.tolist() == ["03", "1"]
    assert f"{path}: 1 of 3 events have no onset; left out" in caplog.text


def test_events_without_durations_or_rows_are_events(tmp_path):
    path = tmp_path / "events.tsv"
    path.write_text("onset\ttrial_type\n1\ta\n")
    assert read_events(path).duration.tolist() == [0.0]
    path.write_text("onset\tduration\ttrial_type\n")
    assert len(read_events(path)) == 0


def test_events_without_onsets_are_named_and_left_out_of_the_markers(folder, caplog):
    path = write_brainvision(folder)
    events = folder / "sub-01_task-rest_events.tsv"
    events.write_text("time\ttrial_type\n1\ta\n")
    with pytest.raises(InputDataError, match=r"events.tsv: expected a column onset, found time, trial_type; name it"):
        read_events(events)
    assert len(read_eeg_header(path, {}).markers) == 1
    assert "expected a column onset" in caplog.text


# --------------------------------------------------------------------------------------------------------------- BOLD


def write_bold(path, *, shape=(5, 6, 7, 9), tr=2.0, unit="sec", space=1):
    data = np.random.default_rng(0).integers(100, 900, shape).astype(np.int16)
    image = nib.Nifti1Image(data, np.diag([3.0, 3.5, 4.0, 1.0]))
    image.header.set_xyzt_units("mm", unit)
    if len(shape) == 4:
        image.header.set_zooms((3.0, 3.5, 4.0, tr))
    image.set_sform(image.affine, code=space)
    image.to_filename(path)
    return data


def bold(path, **metadata):
    return Recording("01", eeg=None, bold=path, status="BOLD only", reason="x", bold_metadata=metadata)


@pytest.mark.parametrize("name", ["x_bold.nii", "x_bold.nii.gz"])
def test_a_series_is_read_compressed_or_not(name, tmp_path):
    path = tmp_path / name
    data = write_bold(path)
    found = read_bold(bold(path, RepetitionTime=2.0))
    np.testing.assert_array_equal(found.data, data)
    assert found.data.dtype == np.float32
    assert (found.tr_s, found.header.n_discarded, found.space_code) == (2.0, None, 1)
    header = read_bold_header(path, {"RepetitionTime": 2.0})
    assert header == found.header
    assert (header.n_volumes, header.n_slices, header.n_discarded, header.slice_groups) == (9, 7, None, 7)


@pytest.mark.parametrize(
    ("metadata", "groups"),
    [
        ({}, 7),
        ({"SliceTiming": [0.0, 0.5, 0.1, 0.6, 0.2, 0.7, 0.3]}, 7),
        ({"SliceTiming": [0, 0.5, 1.0, 0.0025, 0.5025, 1.0, 0.5]}, 3),
        ({"SliceTiming": "n/a"}, 7),
        ({"MultibandAccelerationFactor": 2}, 4),
        ({"MultibandAccelerationFactor": 2, "SliceTiming": [0, 0.5, 1.0, 0, 0.5, 1.0, 0]}, 3),
        ({"SliceEncodingDirection": "j-"}, 6),
        ({"MRAcquisitionType": "3D"}, None),
    ],
)
def test_excitations_per_volume_are_counted(metadata, groups, tmp_path):
    write_bold(tmp_path / "x_bold.nii")
    assert read_bold_header(tmp_path / "x_bold.nii", metadata).slice_groups == groups


@pytest.mark.parametrize(
    ("scanner", "user", "total"), [(None, None, None), (3, None, 3), (None, 0, 0), (3, 2, 5), ("n/a", None, None)]
)
def test_discarded_volumes_are_unknown_where_nobody_tells(scanner, user, total, tmp_path):
    write_bold(tmp_path / "x_bold.nii")
    told = {"NumberOfVolumesDiscardedByScanner": scanner, "NumberOfVolumesDiscardedByUser": user}
    metadata = {key: value for key, value in told.items() if value is not None}
    assert read_bold_header(tmp_path / "x_bold.nii", metadata).n_discarded == total


@pytest.mark.parametrize(
    ("tr", "unit", "stated", "expected"),
    [
        (2.0, "sec", None, 2.0),
        (2000.0, "msec", None, 2.0),
        (2000.0, "sec", 2.0, 2.0),  # a converter that writes ms and says s
        (2000.0, "unknown", None, 2.0),
        (2.16, "sec", 2.1599, 2.1599),
        (0.0, "sec", 1.28, 1.28),
        (1.0, "sec", 2.0, 2.0),  # what a header holds that knows nothing
    ],
)
def test_the_repetition_time_is_that_of_sidecar_and_header(tr, unit, stated, expected, tmp_path):
    write_bold(tmp_path / "x_bold.nii", tr=tr, unit=unit)
    metadata = {} if stated is None else {"RepetitionTime": stated}
    assert read_bold_header(tmp_path / "x_bold.nii", metadata).tr_s == pytest.approx(expected)


@pytest.mark.parametrize(
    ("tr", "stated", "found"),
    [
        (3.0, 2.0, "expected one repetition time, found 2 s in the sidecar and 3 s in the header"),
        (2.0, 2000, "expected RepetitionTime in s in its sidecar, found 2000"),
        (2.0, True, "expected RepetitionTime in s in its sidecar, found True"),
        (0.0, None, "expected RepetitionTime in its sidecar or header, found neither"),
    ],
)
def test_repetition_times_that_can_not_be_are_named(tr, stated, found, tmp_path):
    write_bold(tmp_path / "x_bold.nii", tr=tr)
    with pytest.raises(InputDataError, match=found):
        read_bold_header(tmp_path / "x_bold.nii", {} if stated is None else {"RepetitionTime": stated})


def test_an_image_that_is_not_there_or_not_whole_is_named_by_its_header_where_that_can_tell(tmp_path):
    path = tmp_path / "x_bold.nii"
    write_bold(path)
    whole = path.read_bytes()
    packed = tmp_path / "x_bold.nii.gz"
    packed.write_bytes(gzip.compress(whole)[:-900])
    read_bold_header(packed, {})
    with pytest.raises(InputDataError, match=r"x_bold.nii.gz: expected a whole NIfTI file, found it unreadable"):
        read_bold(bold(packed))
    path.write_bytes(whole[:-100])
    with pytest.raises(InputDataError, match=r"expected a whole NIfTI file, found it unreadable \(4032 of 4132 bytes"):
        read_bold_header(path, {})
    path.write_text("/annex/objects/MD5E-s4132--77.nii\n")
    with pytest.raises(MissingFilesError, match="found a git-annex pointer without the content; run datalad get"):
        read_bold_header(path, {})
    path.write_bytes(b"")
    with pytest.raises(InputDataError, match="expected a whole NIfTI file"):
        read_bold_header(path, {})
    path.unlink()
    path.symlink_to("../.git/annex/objects/x")
    with pytest.raises(MissingFilesError, match="found a broken link; run datalad get"):
        read_bold_header(path, {})


@pytest.mark.parametrize(("shape", "found"), [((5, 6, 7), "3-D"), ((5, 6, 7, 1), "1 volume")])
def test_what_is_no_series_is_named_by_its_header(shape, found, tmp_path):
    write_bold(tmp_path / "x_bold.nii.gz", shape=shape)
    with pytest.raises(InputDataError, match=rf"expected a series of volumes \(4-D\), found {found}"):
        read_bold_header(tmp_path / "x_bold.nii.gz", {})
