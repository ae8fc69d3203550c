"""What lies beside the BOLD of a participant's body: pulse or ECG, and tables of confounds."""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bids_eeg2fmri.bids.reading.files import refuse_missing
from bids_eeg2fmri.bids.reading.sidecars import find_inherited, find_root, read_sidecar
from bids_eeg2fmri.errors import InputDataError

CARDIAC = ("cardiac", "ecg", "ekg", "pulse", "ppg")


@dataclass(frozen=True)
class Physio:
    """A cardiac recording: ``signal`` (samples,) in any unit; sample 0 is ``start_s`` after the first volume's onset."""

    signal: np.ndarray
    sfreq: float
    start_s: float


def find_confounds_file(bold: Path) -> Path | None:
    """Find the table of confounds that belongs to a BOLD file."""
    tables = find_inherited(find_root(bold), bold, suffix="timeseries", extension=".tsv", besides=("desc",))
    return next((path for path in reversed(tables) if "_desc-confounds_" in path.name), None)


def find_physio_file(bold: Path) -> Path | None:
    """Find the recording of the body that holds a cardiac column and belongs to a BOLD file."""
    root = find_root(bold)
    files = find_inherited(root, bold, suffix="physio", extension=".tsv.gz", besides=("recording",))
    return next((path for path in reversed(files) if _column(read_sidecar(root, path)) is not None), None)


def read_physio(path: Path) -> Physio:
    """Read the cardiac column of a recording of the body.

    Parameters
    ----------
    path : Path
        ``*_physio.tsv.gz``, which has no line of names.

    Raises
    ------
    MissingFilesError
        If the file, or its content, is not there.
    InputDataError
        If its sidecar does not tell the column and the rate, or it can't be read.
    """
    metadata = read_sidecar(find_root(path), path)
    column = _column(metadata)
    sfreq, start_s = _number(metadata.get("SamplingFrequency")), _number(metadata.get("StartTime", 0.0))
    if column is None or sfreq is None or start_s is None or sfreq <= 0:
        found = ", ".join(f"{key} {metadata.get(key)}" for key in ("Columns", "SamplingFrequency", "StartTime"))
        raise InputDataError(
            f"{path}: expected Columns with one of {', '.join(CARDIAC)}, SamplingFrequency in Hz and StartTime in s in its "
            f"sidecar, found {found}; correct them"
        )
    refuse_missing(path)
    try:
        with gzip.open(path, "rt") as file:
            signal = np.genfromtxt(file, delimiter="\t", usecols=(column,), missing_values="n/a")
    except (OSError, EOFError, ValueError) as error:
        raise InputDataError(f"{path}: expected numbers, found it unreadable ({error}); copy it anew") from error
    return Physio(np.atleast_1d(signal), sfreq, start_s)


def _column(metadata: Mapping[str, Any]) -> int | None:
    names = [str(name).lower() for name in metadata.get("Columns") or ()]
    return next((names.index(name) for name in CARDIAC if name in names), None)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(value):
        return None
    return float(value)
