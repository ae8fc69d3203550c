"""Open EEG files of all formats with mne, after checking that they are there and whole."""

import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mne

from bids_eeg2fmri.bids.reading.brainvision import BrainVision, open_brainvision
from bids_eeg2fmri.bids.reading.files import find_fault, refuse_missing, warn_once
from bids_eeg2fmri.errors import Eeg2FmriError, InputDataError, MissingFilesError

# What may help mne's readers if they fail: bytes that are not in the encoding that the standard asks for.
SECOND_TRIES: Mapping[str, dict[str, Any]] = {
    ".edf": {"encoding": "latin1"},
    ".bdf": {"encoding": "latin1"},
    ".set": {"uint16_codec": "latin1"},
}


@dataclass(frozen=True)
class EegFile:
    """An EEG file whose parts are there.

    Attributes
    ----------
    path : Path
        What mne is to open.
    options : dict
        What mne's reader has to be told.
    vision : BrainVision or None
    """

    path: Path
    options: dict[str, Any] = field(default_factory=dict)
    vision: BrainVision | None = None


def check_eeg_file(path: Path) -> EegFile:
    """Refuse a file that is not there, or whose data file is not.

    Raises
    ------
    MissingFilesError
        If the file or one that its header names, or their content, is not there.
    InputDataError
        If it is empty, or BrainVision that was cut short.
    """
    refuse_missing(path)
    if path.stat().st_size == 0:
        raise InputDataError(f"{path}: expected an EEG file, found an empty one; copy it anew")
    if path.suffix == ".vhdr":
        vision = open_brainvision(path)
        return EegFile(path, vision.options, vision)
    if path.suffix == ".set":
        data = path.with_suffix(".fdt")
        fault = find_fault(data)
        if fault is not None and fault[0] != "none":
            raise MissingFilesError(
                f"{path}: expected its data file {data.name} beside it, found {fault[0]}; {fault[1]}"
            )
    return EegFile(path)


def open_raw(file: EegFile) -> tuple[mne.io.BaseRaw, EegFile]:
    """Open a file with mne, if need be at a second try; give the options that it took, too.

    Raises
    ------
    MissingFilesError
        If a file that belongs to it is missing.
    InputDataError
        If mne can't read it, or it was cut short.
    """
    tries = [file]
    if file.vision is not None:
        # mne reads the markers in the encoding of the system. We read them ourselves.
        without = {"overrides": {**file.options.get("overrides", {}), "marker_fname": False}}
        tries.append(EegFile(file.path, without, file.vision))
    elif file.path.suffix.lower() in SECOND_TRIES:
        tries.append(EegFile(file.path, SECOND_TRIES[file.path.suffix.lower()]))
    first: Exception | None = None
    for attempt in tries:
        try:
            with quiet():
                raw = mne.io.read_raw(attempt.path, preload=False, **attempt.options)
        except Exception as error:  # the readers of many formats raise all kinds
            first = first or error
            continue
        _refuse_cut(file.path, raw)
        return raw, attempt
    assert first is not None
    raise _explain(file.path, first) from first


@contextmanager
def quiet() -> Iterator[None]:
    """Say nothing of what readers remark on files that they can read."""
    with warnings.catch_warnings(), mne.utils.use_log_level("ERROR"):
        warnings.simplefilter("ignore")
        yield


def first_line(error: BaseException) -> str:
    """Give the first line of what an exception says."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0]


def _explain(path: Path, error: Exception) -> Eeg2FmriError:
    """Say what a user can do about a file that mne does not read."""
    line = first_line(error)
    trials = re.search(r"number of trials is (\d+)", line)
    if trials:
        return InputDataError(
            f"{path}: expected a continuous recording, found {trials[1]} epochs; export the continuous data"
        )
    if isinstance(error, FileNotFoundError):
        return MissingFilesError(f"{path}: a file that belongs to it is missing ({line}); complete the dataset")
    return InputDataError(f"{path}: MNE cannot read it ({line}); open it with mne to see more")


def _refuse_cut(path: Path, raw: mne.io.BaseRaw) -> None:
    """Refuse files that were cut short, which mne reads as far as they go."""
    if path.suffix.lower() in (".edf", ".bdf"):
        _refuse_cut_edf(path, raw)
    for name in raw.filenames:
        data = Path(name) if name is not None else path
        if data.suffix != ".fdt":
            continue
        refuse_missing(data)
        expected, size = 4 * raw.n_times * len(raw.ch_names), data.stat().st_size
        if size < expected:
            raise InputDataError(
                f"{data}: expected {expected} bytes by {path.name}, found {size}; the file is cut short, copy it anew"
            )


def _refuse_cut_edf(path: Path, raw: mne.io.BaseRaw) -> None:
    with path.open("rb") as file:
        header = file.read(252)
    try:
        n_records, record_s = int(header[236:244]), float(header[244:252])
    except ValueError:
        return
    if header[192:197] in (b"EDF+D", b"BDF+D"):
        warn_once(f"{path}: expected a recording without gaps, found {header[192:197].decode()}; gaps are not honoured")
    sfreq = raw.info["sfreq"]
    found_s = raw.n_times / sfreq
    # A recorder that was not stopped leaves -1.
    if n_records > 0 and found_s < n_records * record_s - 1 / sfreq:
        raise InputDataError(
            f"{path}: expected {n_records * record_s:g} s by its header, found {found_s:g} s; the file is cut short, copy it "
            "anew"
        )
