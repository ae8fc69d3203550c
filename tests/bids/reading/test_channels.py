"""Types, bad channels and positions, whatever lies beside the data; with MNE-BIDS as the reference where it is right."""

import json
import re
from pathlib import Path

import mne
import mne_bids
import numpy as np
import pandas as pd
import pybv
import pytest

from bids_eeg2fmri.bids.reading import Eeg, channel_positions, read_eeg
from bids_eeg2fmri.bids.reading.channels import correct_by_name, describe_channels
from bids_eeg2fmri.bids.reading.tables import read_table
from bids_eeg2fmri.bids.recordings import Recording
from bids_eeg2fmri.errors import InputDataError

SKELETONS = Path(__file__).parents[4] / "shared/skeletons"
NAMES = ("Fp1", "Cz", "Oz", "ECG", "X1")
ROWS = ["Fp1\tEEG\tbad", "Cz\tEEG\tgood", "Oz\tEEG\tgood", "ECG\tECG\tgood", "X1\tTRIG\tgood"]
TYPES = ["eeg", "eeg", "eeg", "ecg", "stim"]


def table(*rows):
    return "\n".join(["name\ttype\tstatus", *(rows or ROWS)]) + "\n"


@pytest.fixture
def dataset(tmp_path):
    """Make a dataset of one recording, and files by their names in the root or in the folder of the recording."""

    def make(files=(), *, stem="sub-01_task-rest", names=NAMES):
        (tmp_path / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.10.0"}')
        folder = tmp_path / "sub-01/eeg"
        pybv.write_brainvision(
            data=np.random.default_rng(3).normal(0, 1e-5, (len(names), 500)),
            sfreq=250,
            ch_names=list(names),
            fname_base=f"{stem}_eeg",
            folder_out=str(folder),
            events=[{"onset": 100, "type": "Response", "description": 128}],
            overwrite=True,
        )
        for name, content in dict(files).items():
            path = (tmp_path if name.startswith(("/", "task", "part")) else folder) / name.lstrip("/")
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return folder / f"{stem}_eeg.vhdr"

    return make


def read(path, **metadata):
    recording = Recording("01", eeg=path, bold=None, status="EEG only", reason="x", eeg_metadata=metadata)
    return read_eeg(recording).raw


CHANNELS = "sub-01_task-rest_channels.tsv"
EVENTS = "sub-01_task-rest_events.tsv"


def test_a_dataset_as_bids_has_it_is_read_as_mne_bids_reads_it(dataset, caplog):
    sidecar = json.dumps({"PowerLineFrequency": 50, "EEGChannelCount": 3, "ECGChannelCount": 1})
    files = {CHANNELS: table(), "sub-01_task-rest_eeg.json": sidecar, "participants.tsv": "participant_id\nsub-01\n"}
    path = dataset(files)
    raw = read(path, **json.loads(sidecar))
    theirs = mne_bids.read_raw_bids(mne_bids.get_bids_path_from_fname(path), verbose="error")
    assert raw.get_channel_types() == theirs.get_channel_types() == TYPES
    assert raw.info["bads"] == theirs.info["bads"] == ["Fp1"]
    assert raw.info["line_freq"] == 50
    np.testing.assert_array_equal(raw.get_data(), theirs.get_data())
    assert not caplog.records


@pytest.mark.parametrize(
    ("files", "remark"),
    [
        ({CHANNELS: table().replace("\t", "   ").replace("ECG   E", "'ECG’   E")}, "spaces instead of tabs"),  # noqa: RUF001
        ({"task-rest_channels.tsv": table().replace("\t", "   ")}, "spaces instead of tabs"),
        ({CHANNELS: "\ufeff" + table()}, "a byte order mark"),
        ({CHANNELS: table().encode("utf-16")}, "UTF-16"),
        ({CHANNELS: table().replace("\n", "\r\n"), f"._{CHANNELS}": b"\x00\x05\x16\x07"}, None),
        ({CHANNELS: table(*reversed(ROWS))}, None),
        ({CHANNELS: table().replace("EEG", "eeg").replace("Fp1", "FP1").replace("Cz", "CZ")}, None),
        ({CHANNELS: table(*ROWS, "A7\tEEG\tgood")}, "A7 listed but not in the recording"),
        ({CHANNELS: table(*ROWS[:2], *ROWS[3:])}, "Oz of the recording not listed"),
        ({CHANNELS: table(*ROWS, ROWS[1])}, "Cz listed but not in the recording"),
        ({CHANNELS: table().replace("ECG\tgood", "ECG")}, "too few values in 1 of 5 rows"),
        ({CHANNELS: table(), "sub-01_task-rest_eeg.json": '\ufeff{"TaskName": "rest"}'}, "MNE-BIDS cannot read it"),
        ({CHANNELS: table(), "sub-01_task-rest_eeg.json": "{"}, "MNE-BIDS cannot read it"),
        ({CHANNELS: table(), "sub-01_task-rest_eeg.json": '{"PowerLineFrequency": "50 Hz"}'}, "MNE-BIDS cannot read"),
        ({CHANNELS: table(), "participants.tsv": "id\nsub-01\n"}, "MNE-BIDS cannot read it"),
        ({CHANNELS: table(), EVENTS: "onset\ttrial_type\n1\ta\n"}, "MNE-BIDS cannot read it"),
        ({CHANNELS: table(), EVENTS: "onset duration\n1 0\n"}, "MNE-BIDS cannot read it"),
        ({CHANNELS: table(), EVENTS: b"\x00\x01"}, "MNE-BIDS cannot read it"),
        ({CHANNELS: table(), "sub-01_electrodes.tsv": "x\n", "sub-01_coordsystem.json": "{}"}, "MNE-BIDS cannot"),
    ],
)
def test_types_and_bad_channels_are_found_whatever_is_wrong_beside_the_data(files, remark, dataset, caplog):
    raw = read(dataset(files))
    assert raw.get_channel_types() == TYPES
    assert raw.info["bads"] == ["Fp1"]
    assert np.isfinite(raw.get_data()).all()
    if remark is None:
        assert "channels.tsv" not in caplog.text
    else:
        assert remark in caplog.text


def test_what_mne_bids_takes_for_right_is_not(dataset):
    """It says nothing that a user would see, and the ECG becomes EEG; should it learn, less is left for us."""
    for content in (table().replace("\t", "   "), table(*ROWS[:2]), table(*reversed(ROWS))):
        path = dataset({CHANNELS: content})
        with mne.utils.use_log_level("ERROR"):
            theirs = mne_bids.read_raw_bids(mne_bids.get_bids_path_from_fname(path), on_ch_mismatch="warn")
        assert theirs.get_channel_types()[3] == "eeg"
        assert read(path).get_channel_types()[3] == "ecg"


def test_the_table_of_another_run_is_not_taken(dataset, caplog):
    """MNE-BIDS does, if the file has no run of its own."""
    path = dataset({"sub-01_task-rest_run-2_channels.tsv": table("Cz\tEEG\tbad")})
    raw = read(path)
    assert raw.info["bads"] == []
    assert "it takes sub-01_task-rest_run-2_channels.tsv for the channels" in caplog.text


@pytest.mark.parametrize(
    "stem", ["sub-01_task-rest_run-00", "sub-01_task-rest_acq-x_run-1", "sub-01", "sub-01_task-re-st"]
)
def test_names_that_are_unusual_or_wrong_are_read(stem, dataset):
    raw = read(dataset({f"{stem}_channels.tsv": table()}, stem=stem))
    assert raw.get_channel_types() == TYPES
    assert raw.info["bads"] == ["Fp1"]


def test_unknown_types_are_misc_and_named(dataset, caplog):
    """As in ds002725."""
    raw = read(dataset({CHANNELS: table(*ROWS[:4], "X1\treponse\tgood")}), EEGChannelCount=30)
    assert raw.get_channel_types() == [*TYPES[:4], "misc"]
    assert "type reponse of X1 is unknown to BIDS and taken as MISC" in caplog.text
    assert "EEGChannelCount in its sidecar is 30, there are 3" in caplog.text
    assert len(caplog.records) == 1


def test_rows_are_matched_by_their_order_if_no_name_is_the_same(dataset, caplog):
    rows = [f"E{i}\t{row.partition(chr(9))[2]}" for i, row in enumerate(ROWS)]
    raw = read(dataset({CHANNELS: table(*rows)}))
    assert raw.ch_names == list(NAMES)
    assert raw.get_channel_types() == TYPES
    assert raw.info["bads"] == ["Fp1"]
    assert "no name is that of a channel; matched by their order" in caplog.text


def test_without_a_table_names_tell(dataset, caplog):
    names = ("Fp1", "ECG", "HEOG", "VEOGb", "EMG1", "CWL1", "ACC_X", "TRIGGER", "Resp", "Oz")
    raw = read(dataset(names=names))
    assert raw.get_channel_types() == ["eeg", "ecg", "eog", "eog", "emg", "misc", "misc", "stim", "misc", "eeg"]
    assert not caplog.records


def test_loops_of_carbon_wire_are_told_by_their_names_if_they_are_not_bad(dataset):
    names = ("Fp1", "CWL1", "cw_2", "Loop3", "CarbonWire4", "CWL5", "CP5", "AUX1")
    types = ("EEG", "EEG", "MISC", "MISC", "EEG", "MISC", "EEG", "MISC")
    rows = [f"{name}\t{kind}\t{'bad' if name == 'CWL5' else 'good'}" for name, kind in zip(names, types, strict=True)]
    eeg = Eeg(read(dataset({CHANNELS: table(*rows)}, names=names)), {})
    assert eeg.loops == ["CWL1", "cw_2", "Loop3", "CarbonWire4"]
    assert eeg.channels == ["Fp1", "CP5"]


@pytest.mark.parametrize("kind", ["EEG", "MISC"])
def test_an_ecg_is_an_ecg_by_its_name_if_not_by_its_type(kind, dataset, caplog):
    raw = read(dataset({CHANNELS: table(*ROWS[:3], f"ECG\t{kind}\tgood", "X1\tMISC\tgood")}))
    assert raw.get_channel_types() == ["eeg", "eeg", "eeg", "ecg", "misc"]
    assert f"ECG is typed {kind} and taken as ECG by its name" in caplog.text


@pytest.mark.parametrize(
    "name", ["Fp1", "AFz", "T7", "TP10", "Iz", "E128", "A1", "C3-M2", "EEG 001", "FCC5h", "CPz", "M1"]
)
def test_no_electrode_is_taken_for_something_else(name):
    assert correct_by_name({name: "eeg"}) == {}


def test_every_electrode_of_the_standard_montages_is_eeg():
    for montage in mne.channels.get_builtin_montages():
        names = mne.channels.make_standard_montage(montage).ch_names
        assert not correct_by_name(dict.fromkeys(names, "eeg")), montage


def test_a_table_that_types_no_channel_as_eeg_is_named(dataset):
    path = dataset({CHANNELS: table(*(row.replace("EEG", "MISC") for row in ROWS))})
    with pytest.raises(InputDataError, match=r"expected EEG channels, found none; check the types in channels.tsv"):
        read(path)


@pytest.mark.parametrize("content", ["", "PK\x00\x03", "channel\tkind\nCz\tEEG\n"])
def test_a_table_that_is_none_is_left_out_and_named(content, dataset, caplog):
    raw = read(dataset({CHANNELS: content}))
    assert raw.get_channel_types() == ["eeg", "eeg", "eeg", "ecg", "eeg"]
    assert re.search(r"channels.tsv: (expected a table|there is no column name)", caplog.text)


def test_names_that_occur_twice_are_those_that_mne_numbers():
    description = describe_channels(
        pd.DataFrame({"name": ["Cz", "X", "X"], "type": ["EEG", "EMG", "EOG"]}), ["Cz", "X-0", "X-1"]
    )
    assert description.types == {"Cz": "eeg", "X-0": "emg", "X-1": "eog"}
    assert not description.remarks


# ----------------------------------------------------------------------------------------------------------- positions

# x to the right, y to the front.
XYZ = {"Fp1": (-0.03, 0.08, 0.01), "Cz": (0.001, -0.01, 0.11), "Oz": (0.0, -0.09, 0.02)}


def positions_of(raw):
    return channel_positions(raw, ["Fp1", "Cz", "Oz", "X1"])


def electrodes(system, unit, scale, *, rotated=False):
    rows = [(name, *((y, -x, z) if rotated else (x, y, z))) for name, (x, y, z) in XYZ.items()]
    lines = [f"{name}\t{x * scale:.5f}\t{y * scale:.5f}\t{z * scale:.5f}" for name, x, y, z in rows]
    space = f"sub-01_space-{system}"
    stated = {"EEGCoordinateSystem": system, "EEGCoordinateUnits": unit}
    return {
        f"{space}_electrodes.tsv": "\n".join(["name\tx\ty\tz", *lines, "ECG\tn/a\tn/a\tn/a"]) + "\n",
        f"{space}_coordsystem.json": json.dumps({key: value for key, value in stated.items() if value}),
    }


@pytest.mark.parametrize("broken", [False, True])
@pytest.mark.parametrize(("unit", "scale"), [("m", 1), ("cm", 100), ("mm", 1000)])
def test_positions_are_the_same_whether_mne_bids_reads_the_rest_or_not(unit, scale, broken, dataset):
    files = electrodes("CapTrak", unit, scale) | {CHANNELS: table()}
    if broken:
        files["sub-01_task-rest_eeg.json"] = '\ufeff{"TaskName": "rest"}'
    positions = positions_of(read(dataset(files)))
    assert positions[3] is None
    np.testing.assert_allclose(np.array(positions[:3], float), list(XYZ.values()), atol=1e-5)


@pytest.mark.parametrize(("unit", "scale"), [(None, 1), (None, 100), ("inch", 1000)])
def test_a_unit_that_is_not_stated_is_that_of_a_head(unit, scale, dataset):
    files = electrodes("EEGLAB", unit, scale, rotated=True) | {"sub-01_task-rest_eeg.json": "{"}
    np.testing.assert_allclose(np.array(positions_of(read(dataset(files)))[:3], float), list(XYZ.values()), atol=1e-5)


@pytest.mark.parametrize("system", ["Other", "MNI305"])
def test_positions_in_a_space_that_is_no_head_are_unknown_without_mne_bids(system, dataset):
    files = electrodes(system, "mm", 1000) | {"sub-01_task-rest_eeg.json": "{"}
    assert positions_of(read(dataset(files))) == [None] * 4


# ----------------------------------------------------------------------------------------------------- public datasets

NODDI = "Fp1 Fp2 F3 F4 C3 C4 P3 P4 O1 O2 F7 F8 T7 T8 P7 P8 Fz Cz Pz Oz FC1 FC2 CP1 CP2 FC5 FC6 CP5 CP6 TP9 TP10 POz ECG"


@pytest.mark.skipif(not SKELETONS.is_dir(), reason="the text files of public datasets are not there")
def test_the_channels_of_public_datasets_are_what_they_are(dataset, caplog):
    xp1 = read_table(SKELETONS / "ds002336/task-eegfmriNF_channels.tsv")
    content = (SKELETONS / "ds002336/task-eegfmriNF_channels.tsv").read_bytes()
    raw = read(dataset({"task-rest_channels.tsv": content}, names=tuple(xp1.name)))
    assert [name for name, kind in zip(raw.ch_names, raw.get_channel_types(), strict=True) if kind != "eeg"] == ["ECG"]
    assert raw.get_channel_types()[31] == "ecg"

    path = SKELETONS / "ds002725/sub-01/eeg/sub-01_task-genMusic01_channels.tsv"
    description = describe_channels(read_table(path), list(read_table(path).name))
    counts = pd.Series(description.types).value_counts().to_dict()
    assert counts == {"eeg": 31, "misc": 14, "ecg": 1}
    assert [remark.split(" of ")[0] for remark in description.remarks] == [
        "type reponse",
        "type stimuli",
        "type response",
    ]

    raw = read(dataset(stem="sub-01_task-noddi", names=tuple(NODDI.split())))
    assert raw.get_channel_types() == ["eeg"] * 31 + ["ecg"]
