"""Read EEG of every format of BIDS: mne's Raw with types, bad channels and positions, and the markers of all sources."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mne
import numpy as np

from bids_eeg2fmri.bids.reading.brainvision import read_brainvision_markers
from bids_eeg2fmri.bids.reading.channels import LOOP, compare_counts, correct_by_name, describe_channels
from bids_eeg2fmri.bids.reading.electrodes import read_positions
from bids_eeg2fmri.bids.reading.events import read_event_markers
from bids_eeg2fmri.bids.reading.files import warn_once
from bids_eeg2fmri.bids.reading.formats import EegFile, check_eeg_file, first_line, open_raw, quiet
from bids_eeg2fmri.bids.reading.markers import read_annotated, read_triggered
from bids_eeg2fmri.bids.reading.sidecars import find_inherited, find_root
from bids_eeg2fmri.bids.reading.tables import read_table
from bids_eeg2fmri.bids.recordings import Recording
from bids_eeg2fmri.errors import Eeg2FmriError, InputDataError

# What stands among the annotations and is no marker.
NO_MARKERS = ("BAD", "EDGE", "New Segment")


@dataclass(frozen=True)
class EegHeader:
    """What is known of an EEG file without its signals.

    Attributes
    ----------
    markers : dict
        (file, code) to ascending onsets in s from the start of the EEG. The file is the one that holds the markers, or
        ``events.tsv``.
    duration_s, sfreq : float
        In s and Hz.
    """

    markers: dict[tuple[str, str], np.ndarray]
    duration_s: float
    sfreq: float


@dataclass(frozen=True)
class Eeg:
    """EEG of a recording, not loaded yet.

    Attributes
    ----------
    raw : mne.io.BaseRaw
        Types and bad channels by channels.tsv and by name, positions as electrodes.tsv has them.
    markers : dict
        As in the header.
    """

    raw: mne.io.BaseRaw
    markers: dict[tuple[str, str], np.ndarray]

    @property
    def channels(self) -> list[str]:
        """EEG channels that are not marked as bad."""
        picks = mne.pick_types(self.raw.info, eeg=True, exclude="bads")
        return [self.raw.ch_names[pick] for pick in picks]

    @property
    def ecg(self) -> str | None:
        """The first ECG channel that is not marked as bad."""
        picks = mne.pick_types(self.raw.info, ecg=True, exclude="bads")
        return self.raw.ch_names[picks[0]] if len(picks) else None

    @property
    def loops(self) -> list[str]:
        """Loops of carbon wire that are not marked as bad, told by their names."""
        picks = mne.pick_types(self.raw.info, misc=True, exclude="bads")
        return [self.raw.ch_names[pick] for pick in picks if LOOP.search(self.raw.ch_names[pick])]

    @property
    def duration_s(self) -> float:
        return self.raw.n_times / self.raw.info["sfreq"]


def read_eeg_header(path: Path, metadata: Mapping[str, Any]) -> EegHeader:
    """Read the length of a recording and its markers: those of the file and of events.tsv, as either may be complete.

    BrainVision takes a few milliseconds. Of EDF and BDF the annotations and the trigger channel are read, which lie
    between the signals.

    Parameters
    ----------
    path : Path
        EEG file; ``.vhdr`` for BrainVision, ``.set`` for EEGLAB.
    metadata : mapping
        Its sidecar, inheritance applied.

    Raises
    ------
    MissingFilesError
        If the file or one that its header names, or their content, is not there.
    InputDataError
        If the file is shorter than its header or sidecar says, or can't be read.
    """
    return _examine(path, metadata)[0]


def read_eeg(recording: Recording) -> Eeg:
    """Open the EEG and collect its markers.

    Whatever is wrong with channels.tsv, eeg.json or another text file beside the data is told and worked around.

    Raises
    ------
    MissingFilesError
        If the file or one that its header names, or their content, is not there.
    InputDataError
        If the file is shorter than its header or sidecar says, can't be read, or has no EEG.
    """
    path = recording.eeg
    assert path is not None
    header, file = _examine(path, recording.eeg_metadata)
    dataset = find_root(path)
    tables = find_inherited(dataset, path, suffix="channels", extension=".tsv")
    table = tables[-1] if tables else None
    raw = _open_with_positions(file, dataset, table)
    remarks = _set_channels(raw, table)
    types = dict(zip(raw.ch_names, raw.get_channel_types(), strict=True))
    remarks += compare_counts(types, recording.eeg_metadata)
    if remarks:
        warn_once(f"{path}: {'; '.join(remarks)}")
    if "eeg" not in types.values():
        raise InputDataError(f"{path}: expected EEG channels, found none; check the types in channels.tsv")
    return Eeg(raw, header.markers)


def channel_positions(raw: mne.io.BaseRaw, channels: list[str]) -> list[list[float] | None]:
    """List x, y, z in m in the head frame (RAS), None where unknown."""
    montage = raw.get_montage()
    known = montage.get_positions()["ch_pos"] if montage is not None else {}
    positions: list[list[float] | None] = []
    for name in channels:
        xyz = known.get(name)
        positions.append(np.round(xyz, 5).tolist() if xyz is not None and np.isfinite(xyz).all() else None)
    return positions


def _examine(path: Path, metadata: Mapping[str, Any]) -> tuple[EegHeader, EegFile]:
    """Read the header, and how the file is to be opened."""
    file = check_eeg_file(path)
    vision = file.vision
    own: dict[str, np.ndarray] = {}
    if vision is not None and vision.n_times is not None and vision.sfreq is not None:
        duration_s, sfreq = vision.n_times / vision.sfreq, vision.sfreq
    else:
        raw, file = open_raw(file)
        sfreq = float(raw.info["sfreq"])
        duration_s = float(raw.n_times / sfreq)
        own = read_annotated(raw) | read_triggered(raw) if vision is None else {}
    source = path.name
    if vision is not None and vision.markers is not None:
        source = vision.markers.name
        own = read_brainvision_markers(vision.markers, sfreq)
    _check_duration(path, duration_s, sfreq, metadata)
    last_s = max((float(onsets.max()) for onsets in own.values() if len(onsets)), default=0.0)
    if last_s > duration_s + 1:
        raise InputDataError(
            f"{path}: expected {last_s:.1f} s or more, as its markers go on so far, found {duration_s:.1f} s; the file is cut "
            "short, copy it anew"
        )
    markers = {(source, code): onsets for code, onsets in own.items()}
    markers |= {("events.tsv", code): onsets for code, onsets in read_event_markers(path).items()}
    markers = {key: onsets for key, onsets in markers.items() if not key[1].startswith(NO_MARKERS)}
    return EegHeader(markers, duration_s, sfreq), file


def _check_duration(path: Path, duration_s: float, sfreq: float, metadata: Mapping[str, Any]) -> None:
    stated = metadata.get("RecordingDuration")
    if isinstance(stated, bool) or not isinstance(stated, (int, float)) or duration_s >= stated - 1:
        return
    # A number of samples, or of milliseconds, is no reason to refuse a recording.
    for factor, unit in ((sfreq, "samples"), (1000.0, "ms")):
        if abs(stated / factor - duration_s) <= 0.01 * duration_s:
            warn_once(f"{path}: expected RecordingDuration in s in its sidecar, found {stated:g} {unit}; correct it")
            return
    raise InputDataError(
        f"{path}: expected {stated:g} s as RecordingDuration in its sidecar says, found {duration_s:.1f} s; the file is "
        "cut short, copy it anew"
    )


def _open_with_positions(file: EegFile, dataset: Path, table: Path | None) -> mne.io.BaseRaw:
    """Open a file with MNE-BIDS, which adds positions and more; where that fails, with mne, and add the positions."""
    import mne_bids

    try:
        with quiet():
            bids_path = mne_bids.get_bids_path_from_fname(file.path, check=False)
            theirs = bids_path.find_matching_sidecar(suffix="channels", extension=".tsv", on_error="ignore")
            # It would mark channels as bad by the table of another run.
            if theirs is not None and (table is None or not Path(theirs).samefile(table)):
                raise ValueError(f"it takes {Path(theirs).name} for the channels")
            return mne_bids.read_raw_bids(bids_path, extra_params=dict(file.options), on_ch_mismatch="warn")
    except Exception as error:  # of any file beside the data
        reason = first_line(error)
    raw, _ = open_raw(file)
    warn_once(f"{file.path}: MNE-BIDS cannot read it ({reason}); read without it")
    positions = read_positions(dataset, file.path)
    if positions:
        with quiet():
            montage = mne.channels.make_dig_montage(positions, coord_frame="head")
            raw.set_montage(montage, match_case=False, on_missing="ignore")
    return raw


def _set_channels(raw: mne.io.BaseRaw, table: Path | None) -> list[str]:
    """Set types and bad channels, in place; say in words what did not fit."""
    remarks: list[str] = []
    types = dict(zip(raw.ch_names, raw.get_channel_types(), strict=True))
    stated: dict[str, str] = {}
    if table is not None:
        try:
            description = describe_channels(read_table(table), raw.ch_names)
        except Eeg2FmriError as error:
            remarks.append(f"{error}; left out")
        else:
            remarks += [f"{table.name}: {remark}" for remark in description.remarks]
            stated = dict(description.types)
            raw.info["bads"] = list(description.bads)
    corrected = correct_by_name(types | stated)
    for name, kind in corrected.items():
        if name in stated:
            remarks.append(f"{name} is typed {stated[name].upper()} and taken as {kind.upper()} by its name")
    changed = {name: kind for name, kind in (stated | corrected).items() if kind != types[name]}
    with quiet():
        raw.set_channel_types(changed, on_unit_change="ignore")
    return remarks
