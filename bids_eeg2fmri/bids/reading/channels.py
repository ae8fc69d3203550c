"""What each channel of a recording is: by channels.tsv as it is found, then by name."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bids_eeg2fmri.bids.reading.tables import MISSING, find_column
from bids_eeg2fmri.bids.recordings import shorten

# BIDS' types, as MNE-BIDS translates them. Those that BIDS knows and MNE has no word for are misc.
TYPES = {
    "EEG": "eeg",
    "EOG": "eog",
    "HEOG": "eog",
    "VEOG": "eog",
    "ECG": "ecg",
    "EKG": "ecg",
    "EMG": "emg",
    "TRIG": "stim",
    "RESP": "resp",
    "GSR": "gsr",
    "TEMP": "temperature",
    "ECOG": "ecog",
    "SEEG": "seeg",
    "DBS": "dbs",
} | dict.fromkeys(("MISC", "REF", "AUDIO", "PHOTO", "PPG", "PUPIL", "EYEGAZE", "SYSCLOCK", "ADC", "DAC"), "misc")

# What names tell where types are missing or wrong. An EEG electrode has none of these words.
ECG = re.compile(r"(?<![a-z])(ecg|ekg)", re.IGNORECASE)
# Loops of carbon wire, which see how the head moves in the scanner's field.
LOOP = re.compile(r"^(cwl|cw[-_ ]?\d|carbon|loop)", re.IGNORECASE)
BY_NAME = (
    (ECG, "ecg"),
    (re.compile(r"(?<![a-z])[hvlr]?eog|^eye", re.IGNORECASE), "eog"),
    (re.compile(r"(?<![a-z])emg", re.IGNORECASE), "emg"),
    (re.compile(r"^(status|trig(ger)?|stim|sti|markers?|sync)([-_ ]?\d+)?$", re.IGNORECASE), "stim"),
    (LOOP, "misc"),
    # What else hangs on the amplifiers of simultaneous recordings.
    (re.compile(r"^(acc|[xyz][-_ ]?acc|accel|gyr|motion|mot\d)", re.IGNORECASE), "misc"),
    (re.compile(r"^(gsr|eda|scr|resp|ppg|pleth|pulse|spo2|photo|audio|temp$|aux)", re.IGNORECASE), "misc"),
)


@dataclass(frozen=True)
class Description:
    """What channels.tsv says of the channels of a file.

    Attributes
    ----------
    types : mapping
        Channel to mne's type, for those that the table types.
    bads : tuple of str
    remarks : tuple of str
        What did not fit, in words.
    """

    types: Mapping[str, str]
    bads: tuple[str, ...]
    remarks: tuple[str, ...]


def describe_channels(table: pd.DataFrame, names: Sequence[str]) -> Description:
    """Match the rows of channels.tsv with the channels of a file.

    By name, then whatever the case, then, if no name is the same and there are as many rows as channels, by order.

    Parameters
    ----------
    table : DataFrame
        channels.tsv.
    names : sequence of str
        Of the file's channels.

    Examples
    --------
    >>> table = pd.DataFrame({"name": ["FP1", "ecg"], "type": ["EEG", "ECG"], "status": ["bad", "good"]})
    >>> description = describe_channels(table, ["Fp1", "ECG"])
    >>> description.types, description.bads
    ({'Fp1': 'eeg', 'ECG': 'ecg'}, ('Fp1',))
    """
    labels = find_column(table, "name")
    if labels is None:
        return Description({}, (), ("there is no column name",))
    rows, remarks = _match(list(labels), list(names))
    types: dict[str, str] = {}
    unknown: dict[str, list[str]] = {}
    stated = find_column(table, "type")
    for name, row in rows.items():
        kind = str(stated.iloc[row]) if stated is not None else MISSING
        if kind == MISSING:
            continue
        types[name] = TYPES.get(kind.upper(), "misc")
        if kind.upper() not in TYPES:
            unknown.setdefault(kind, []).append(name)
    if stated is None:
        remarks.append("there is no column type")
    for kind, channels in unknown.items():
        remarks.append(f"type {kind} of {shorten(channels, 6)} is unknown to BIDS and taken as MISC")
    status = find_column(table, "status")
    bads = [name for name, row in rows.items() if status is not None and status.iloc[row].lower() == "bad"]
    return Description(types, tuple(bads), tuple(remarks))


def correct_by_name(types: Mapping[str, str]) -> dict[str, str]:
    """Give the channels whose names tell that they are not what their type says, with the type that they are.

    Only EEG is doubted, and MISC where the name says ECG.

    Examples
    --------
    >>> correct_by_name({"Cz": "eeg", "ECG": "eeg", "EKG2": "misc", "CWL1": "eeg", "VEOG": "misc"})
    {'ECG': 'ecg', 'EKG2': 'ecg', 'CWL1': 'misc'}
    """
    corrected = {}
    for name, kind in types.items():
        if kind == "eeg":
            told = next((other for pattern, other in BY_NAME if pattern.search(name)), None)
        else:
            told = "ecg" if kind == "misc" and ECG.search(name) else None
        if told is not None:
            corrected[name] = told
    return corrected


def compare_counts(types: Mapping[str, str], metadata: Mapping[str, Any]) -> list[str]:
    """Say in words where the counts in eeg.json are not those of the channels."""
    remarks = []
    for kind in ("EEG", "ECG", "EOG", "EMG"):
        stated = metadata.get(f"{kind}ChannelCount")
        found = sum(other == kind.lower() for other in types.values())
        if isinstance(stated, (int, float)) and stated != found:
            remarks.append(f"{kind}ChannelCount in its sidecar is {stated:g}, there are {found}")
    return remarks


def _match(labels: list[str], names: list[str]) -> tuple[dict[str, int], list[str]]:
    """Give channel to row, and remarks."""
    # mne numbers names that occur twice, from 0.
    seen: dict[str, int] = {}
    for i, label in enumerate(labels):
        seen[label] = seen.get(label, -1) + 1
        if label not in names or seen[label]:
            labels[i] = f"{label}-{seen[label]}" if f"{label}-{seen[label]}" in names else label
    exact: dict[str, int] = {}
    for row, label in enumerate(labels):
        exact.setdefault(label, row)
    folded: dict[str, int] = {}
    for row, label in enumerate(labels):
        folded.setdefault(label.casefold(), row)
    rows = {name: exact.get(name, folded.get(name.casefold(), -1)) for name in names}
    rows = {name: row for name, row in rows.items() if row >= 0}
    if not rows and len(labels) == len(names):
        return {name: row for row, name in enumerate(names)}, ["no name is that of a channel; matched by their order"]
    missing = [name for name in names if name not in rows]
    left = [labels[row] for row in range(len(labels)) if row not in rows.values()]
    remarks = []
    if missing:
        remarks.append(f"{shorten(missing, 6)} of the recording not listed")
    if left:
        remarks.append(f"{shorten(left, 6)} listed but not in the recording")
    return rows, remarks
