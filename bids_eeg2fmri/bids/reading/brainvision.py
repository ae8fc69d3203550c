"""BrainVision: what the header says of its files, whether they are whole, and the markers.

The signals are read by mne. What is here are the two small text files: mne reads a data file that was cut short without a
word, drops markers beyond its end, and needs 0.2 s where there is a marker per slice.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bids_eeg2fmri.bids.reading.files import decode, find_fault, warn_once
from bids_eeg2fmri.errors import InputDataError, MissingFilesError

WIDTHS = {"INT_16": 2, "UINT_16": 2, "INT_32": 4, "IEEE_FLOAT_32": 4}


@dataclass(frozen=True)
class BrainVision:
    """The files of a recording, found and measured.

    Attributes
    ----------
    data : Path
    markers : Path or None
    sfreq : float or None
        In Hz; None where only mne can tell.
    n_times : int or None
        By the size of the data file; None where only mne can tell.
    options : dict
        What mne's reader has to be told to find the data.
    """

    data: Path
    markers: Path | None
    sfreq: float | None
    n_times: int | None
    options: dict[str, Any] = field(default_factory=dict)


def open_brainvision(path: Path) -> BrainVision:
    """Find the files that a header names, and check that they are whole.

    A header that names files which are not there is common where recordings were renamed. Then the one that bears the name
    of the header is taken.

    Raises
    ------
    MissingFilesError
        If the data file or the marker file, or its content, is not there.
    InputDataError
        If the data file is shorter than its header says.
    """
    header = _read_header(path)
    named = header.get("datafile", "").replace("$b", path.stem)
    data = _find_data(path, named)
    width = WIDTHS.get(header.get("binaryformat", "").upper())
    n_channels = int(header["numberofchannels"]) if header.get("numberofchannels", "").isdigit() else 0
    n_times = None
    # The rest is for mne to judge.
    if header.get("dataformat", "BINARY").upper() == "BINARY" and width and n_channels:
        n_times = _count_samples(data, n_channels * width, n_channels, header.get("datapoints", ""))
    return BrainVision(
        data,
        _find_markers(path, header.get("markerfile", "").replace("$b", path.stem)),
        _sampling_rate(header.get("samplinginterval", "")),
        n_times,
        {} if data.name == header.get("datafile") else {"overrides": {"data_fname": data.name}},
    )


def read_brainvision_markers(path: Path, sfreq: float) -> dict[str, np.ndarray]:
    """Read a marker file: ``type/description`` to onsets in s, ascending. Segment starts are no markers.

    Markers beyond the end of the data are kept: they tell that the data were cut short.
    """
    text, _ = decode(path.read_bytes())
    *_, body = re.split(r"^\[Marker Infos\]", text, maxsplit=1, flags=re.IGNORECASE | re.MULTILINE)
    positions: dict[str, list[int]] = {}
    for kind, description, position in re.findall(r"^Mk\d+=([^,\r\n]*),([^,\r\n]*),(\d+)", body, re.MULTILINE):
        if kind != "New Segment":
            code = f"{kind}/{description}".replace("\\1", ",")
            positions.setdefault(code, []).append(int(position))
    # The first sample of the file is number 1.
    return {code: (np.sort(np.array(found, float)) - 1) / sfreq for code, found in positions.items()}


def _read_header(path: Path) -> dict[str, str]:
    text, _ = decode(path.read_bytes())
    header: dict[str, str] = {}
    # Whatever the amplifier's software noted is free text, and not of use here.
    for line in text.partition("[Comment]")[0].splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith(";"):
            header.setdefault(key.strip().lower(), value.strip())
    return header


def _find_data(path: Path, named: str) -> Path:
    data = path.parent / named
    fault = find_fault(data) if named else ("none", "")
    if fault is None:
        return data
    if fault[0] == "none":
        for other in (path.with_suffix(".eeg"), path.with_suffix(".dat")):
            if find_fault(other) is None:
                warn_once(
                    f"{path}: expected its data file {named or '(none named)'} beside it, found none; {other.name} is taken, "
                    "correct DataFile in the header"
                )
                return other
    found, remedy = fault
    if found == "none":
        remedy = "complete the dataset, or correct DataFile in the header"
    raise MissingFilesError(
        f"{path}: expected its data file {named or '(none named)'} beside it, found {found}; {remedy}"
    )


def _find_markers(path: Path, named: str) -> Path | None:
    if not named:
        return None
    markers = path.parent / named
    fault = find_fault(markers)
    if fault is None:
        return markers
    other = path.with_suffix(".vmrk")
    if fault[0] == "none" and find_fault(other) is None:
        warn_once(
            f"{path}: expected its marker file {named} beside it, found none; {other.name} is taken, correct MarkerFile in "
            "the header"
        )
        return other
    found, remedy = fault
    if found == "none":
        remedy = "complete the dataset, or correct MarkerFile in the header"
    raise MissingFilesError(f"{path}: expected its marker file {named} beside it, found {found}; {remedy}")


def _count_samples(data: Path, frame: int, n_channels: int, stated: str) -> int:
    """Count samples by the size in bytes, ``frame`` being that of one sample of all channels."""
    size = data.stat().st_size
    expected = int(stated) * frame if stated.isdigit() else 0
    if size == 0 or size % frame or size < expected:
        should = f"{expected} bytes" if expected else f"a multiple of {frame} bytes ({n_channels} channels)"
        raise InputDataError(
            f"{data}: expected {should} by its header, found {size}; the file is cut short, copy it anew"
        )
    return size // frame


def _sampling_rate(interval_us: str) -> float | None:
    try:
        interval = float(interval_us)
    except ValueError:
        return None
    return 1e6 / interval if interval > 0 else None
