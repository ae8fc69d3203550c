"""Write small EEG and BOLD files as recorders and converters leave them: real headers, markers and sidecars, noise inside."""

import codecs
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np

from bids_eeg2fmri.testing.simulate import CAP, CAP_EXTENSION

SFREQ = 250.0
CAP_32 = [*CAP, "ECG"]
CAP_64 = [*CAP_32, *CAP_EXTENSION[:32]]
STARTED = datetime(2017, 6, 8, 15, 19, 15, 695_000)
RESOLUTION_UV = 0.5

# The head of the file that a Mac leaves beside another on a foreign disk. It is neither text, nor JSON, nor an image.
RESOURCE_FORK = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        ".ljust(4096, b"\x00")


@dataclass(frozen=True)
class Mark:
    """A marker of an EEG file; ``code`` is type/description, as MNE joins the two of a BrainVision file."""

    onset_s: float
    code: str = "Response/R128"


def onsets_of(n_volumes: int, *, tr_s: float = 2.0, first_s: float, drift_ppm: float = 0.0) -> np.ndarray:
    """Give the onset of each volume in s of the EEG; with a positive drift the EEG's clock runs fast."""
    return first_s + tr_s * (1 + 1e-6 * drift_ppm) * np.arange(n_volumes)


def marks_at(onsets_s: Sequence[float] | np.ndarray, code: str = "Response/R128") -> list[Mark]:
    return [Mark(float(onset_s), code) for onset_s in onsets_s]


def write_bold(path: Path, n_volumes: int, *, tr_s: float) -> None:
    """Write 4 x 5 x 3 voxels of int16; a ``.nii`` stays uncompressed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = np.random.default_rng(n_volumes).integers(400, 600, (4, 5, 3, n_volumes), dtype=np.int16)
    image = nib.Nifti1Image(data, np.diag([50.0, 45.0, 50.0, 1.0]))
    image.header.set_zooms((50.0, 45.0, 50.0, tr_s))
    image.header.set_xyzt_units("mm", "sec")
    image.to_filename(path)


def write_eeg(
    path: Path,
    marks: Sequence[Mark] = (),
    *,
    duration_s: float,
    names: Sequence[str] = tuple(CAP_32),
    sfreq: float = SFREQ,
    binary_format: str = "INT_16",
    started: datetime = STARTED,
) -> None:
    """Write EEG in the format of the suffix: ``.vhdr``, ``.edf``, or ``.set`` with its ``.fdt``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    marks = sorted(marks, key=lambda mark: mark.onset_s)
    if path.suffix == ".vhdr":
        _write_brainvision(path, marks, round(duration_s * sfreq), names, sfreq, binary_format, started)
    elif path.suffix == ".edf":
        write_edf(path, marks, duration_s=duration_s, units=dict.fromkeys(names, "uV"), sfreq=sfreq)
    else:
        _write_eeglab(path, marks, round(duration_s * sfreq), names, sfreq)


def noise(n_samples: int, n_channels: int, dtype: str) -> np.ndarray:
    """Repeat a block of noise, about 20 µV; the block is so long that its repetition is no rhythm."""
    block = _block(n_channels)
    whole = np.resize(block, (n_samples, n_channels))
    return whole.astype(dtype) if dtype == "<i2" else whole.astype(dtype) * RESOLUTION_UV


@cache
def _block(n_channels: int) -> np.ndarray:
    return np.random.default_rng(n_channels).normal(0, 20 / RESOLUTION_UV, (30_011, n_channels)).astype("<i2")


def _write_brainvision(path, marks, n_samples, names, sfreq, binary_format, started) -> None:
    dtype = {"INT_16": "<i2", "IEEE_FLOAT_32": "<f4"}[binary_format]
    resolution = RESOLUTION_UV if binary_format == "INT_16" else 1
    data, markers = path.with_suffix(".eeg"), path.with_suffix(".vmrk")
    noise(n_samples, len(names), dtype).tofile(data)
    header = [
        "Brain Vision Data Exchange Header File Version 1.0",
        "; Data created by the Vision Recorder",
        "",
        "[Common Infos]",
        "Codepage=UTF-8",
        f"DataFile={data.name}",
        f"MarkerFile={markers.name}",
        "DataFormat=BINARY",
        "; Data orientation: MULTIPLEXED=ch1,pt1, ch2,pt1 ...",
        "DataOrientation=MULTIPLEXED",
        f"NumberOfChannels={len(names)}",
        "; Sampling interval in microseconds",
        f"SamplingInterval={1e6 / sfreq:g}",
        "",
        "[Binary Infos]",
        f"BinaryFormat={binary_format}",
        "",
        "[Channel Infos]",
        *(f"Ch{number}={name},,{resolution},µV" for number, name in enumerate(names, 1)),
    ]
    path.write_text("\r\n".join(header) + "\r\n", encoding="utf-8", newline="")
    lines = [
        "Brain Vision Data Exchange Marker File, Version 1.0",
        "",
        "[Common Infos]",
        "Codepage=UTF-8",
        f"DataFile={data.name}",
        "",
        "[Marker Infos]",
        f"Mk1=New Segment,,1,1,0,{started:%Y%m%d%H%M%S%f}",
    ]
    for number, mark in enumerate(marks, 2):
        kind, _, description = mark.code.partition("/")
        lines.append(f"Mk{number}={kind},{description},{round(mark.onset_s * sfreq) + 1},1,0")
    markers.write_text("\r\n".join(lines) + "\r\n", encoding="utf-8", newline="")


def write_edf(
    path: Path, marks: Sequence[Mark] = (), *, duration_s: float, units: Mapping[str, str], sfreq: float = SFREQ
) -> None:
    """Write EDF+C with records of 1 s; its annotations keep the time and hold the marks, if any."""
    n_records, n_channels, width = int(duration_s), len(units), int(sfreq)
    annotations = [f"+{record}\x14\x14\x00".encode() for record in range(n_records)]
    for mark in marks:
        annotations[min(int(mark.onset_s), n_records - 1)] += f"+{mark.onset_s:.6f}\x14{mark.code}\x14\x00".encode()
    n_bytes = max(map(len, annotations)) + 1 & ~1
    layout = np.dtype([("signals", "<i2", (n_channels, width)), ("annotations", f"S{n_bytes}")])
    records = np.zeros(n_records, layout)
    samples = noise(n_records * width, n_channels, "<i2")
    records["signals"] = samples.reshape(n_records, width, n_channels).transpose(0, 2, 1)
    records["annotations"] = annotations

    labels = [*units, "EDF Annotations"]
    columns = [  # the header goes by field, each for all signals
        (16, labels),
        (80, [""] * len(labels)),
        (8, [*units.values(), ""]),
        (8, [*["-16384"] * n_channels, "-1"]),
        (8, [*["16383.5"] * n_channels, "1"]),
        (8, ["-32768"] * len(labels)),
        (8, ["32767"] * len(labels)),
        (80, [""] * len(labels)),
        (8, [*[str(width)] * n_channels, str(n_bytes // 2)]),
        (32, [""] * len(labels)),
    ]
    head = [
        "0".ljust(8),
        "X X X X".ljust(80),
        f"Startdate {STARTED:%d-%b-%Y} X X X".upper().replace("STARTDATE", "Startdate").ljust(80),
        f"{STARTED:%d.%m.%y%H.%M.%S}",
        str(256 * (len(labels) + 1)).ljust(8),
        "EDF+C".ljust(44),
        str(n_records).ljust(8),
        "1".ljust(8),
        str(len(labels)).ljust(4),
        *(value.ljust(size) for size, values in columns for value in values),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write("".join(head).encode("ascii"))
        records.tofile(file)


def _write_eeglab(path, marks, n_samples, names, sfreq) -> None:
    """The fields that EEGLAB's own ``pop_saveset`` writes and readers look at."""
    from scipy.io import savemat

    noise(n_samples, len(names), "<f4").tofile(path.with_suffix(".fdt"))
    events = np.zeros(len(marks), [("type", object), ("latency", object), ("duration", object), ("urevent", object)])
    for number, mark in enumerate(marks):
        # EEGLAB counts samples from 1.
        events[number] = (mark.code, float(round(mark.onset_s * sfreq) + 1), 1.0, number + 1)
    places = np.zeros(len(names), [("labels", object), ("X", object), ("Y", object), ("Z", object)])
    for number, name in enumerate(names):
        places[number] = (name, np.empty(0), np.empty(0), np.empty(0))
    eeg = {
        "setname": path.stem,
        "filename": path.name,
        "filepath": "",
        "nbchan": len(names),
        "trials": 1,
        "pnts": n_samples,
        "srate": float(sfreq),
        "xmin": 0.0,
        "xmax": (n_samples - 1) / sfreq,
        "times": np.empty(0),
        "data": path.with_suffix(".fdt").name,
        "icawinv": np.empty(0),
        "icasphere": np.empty(0),
        "icaweights": np.empty(0),
        "chanlocs": places,
        "ref": "common",
        "event": events,
        "epoch": np.empty(0),
    }
    savemat(path, {"EEG": eeg}, appendmat=False, oned_as="row")


def write_tsv(path: Path, columns: Mapping[str, Sequence], *, bom: bool = False) -> None:
    """Write a table; with ``bom`` as Windows' editors do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = zip(*columns.values(), strict=True)
    lines = ["\t".join(columns), *("\t".join(f"{value}" for value in row) for row in rows)]
    path.write_bytes((codecs.BOM_UTF8 if bom else b"") + ("\n".join(lines) + "\n").encode())


def acquisition_time(started: datetime = STARTED, *, later_s: float = 0.0) -> str:
    """Give a time as scans.tsv has it."""
    return f"{started + timedelta(seconds=later_s):%Y-%m-%dT%H:%M:%S.%f}"
