"""The dataset, its participants, and what one recording is."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bids_eeg2fmri.errors import BidsValidationError, MissingFilesError, NothingSelectedError

Status = Literal["paired", "EEG only", "BOLD only", "not simultaneous", "ambiguous"]


@dataclass(frozen=True)
class Pipeline:
    """A derivative dataset: ``name`` as it is called in BIDS URIs, and the folder ``root``."""

    name: str
    root: Path


@dataclass(frozen=True)
class PreprocessedBold:
    """A series that a pipeline has preprocessed.

    Attributes
    ----------
    pipeline : Pipeline
    path : Path
    space : str
        As BIDS calls it; "native" is that of the series itself.
    resolution : str or None
        Label of the entity ``res``.
    mask, confounds : Path or None
    metadata : mapping
    """

    pipeline: Pipeline
    path: Path
    space: str
    resolution: str | None
    mask: Path | None
    confounds: Path | None
    metadata: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Recording:
    """EEG and BOLD of the same minutes, or one of them without a partner.

    Attributes
    ----------
    subject : str
        Label without ``sub-``.
    eeg, bold : Path or None
        Several series scanned during one EEG file are several recordings with the same EEG. EEG that another pipeline has
        cleaned lies in that pipeline's dataset; BOLD is the file as recorded.
    status : str
        "paired", "EEG only", "BOLD only" (nothing of the other kind belongs to it), "not simultaneous" (there is some, of
        another time) or "ambiguous" (more than one file could be its partner; nothing is guessed).
    reason : str
        Why the files are paired, or why one stays alone.
    bold_metadata, eeg_metadata : mapping
        Sidecars, inheritance applied.
    preprocessed : PreprocessedBold or None
        What another pipeline made of the BOLD, which is then read in its stead.
    """

    subject: str
    eeg: Path | None
    bold: Path | None
    status: Status
    reason: str
    bold_metadata: Mapping[str, Any] = field(default_factory=dict, repr=False)
    eeg_metadata: Mapping[str, Any] = field(default_factory=dict, repr=False)
    preprocessed: PreprocessedBold | None = None

    @property
    def name(self) -> str:
        """The entities as the file has them, e.g. ``sub-01_ses-02_task-rest_run-1``."""
        return self.file.name.split(".")[0].rpartition("_")[0]

    @property
    def session(self) -> str | None:
        """The label without ``ses-``."""
        labels = [part.removeprefix("ses-") for part in self.name.split("_") if part.startswith("ses-")]
        return labels[0] if labels else None

    @property
    def file(self) -> Path:
        """The file that it is known by: no other recording of the participant has it as its BOLD, or has its EEG alone."""
        path = self.bold or self.eeg
        assert path is not None
        return path

    @property
    def paired(self) -> bool:
        return self.eeg is not None and self.bold is not None


def check_dataset(dataset: Path, *, validate: bool = True) -> None:
    """Refuse a folder that is not a BIDS dataset.

    Parameters
    ----------
    dataset : Path
    validate : bool
        False asks for a folder only. Files are judged one by one when they are read: one participant's fault must not
        stop the others.

    Raises
    ------
    MissingFilesError
        If the folder does not exist.
    BidsValidationError
        If ``dataset_description.json`` is missing or lacks what BIDS requires.
    """
    if not dataset.is_dir():
        raise MissingFilesError(f"{dataset}: expected the folder of a BIDS dataset, found none; check the path")
    if not validate:
        return
    path = dataset / "dataset_description.json"
    remedy = "add it as the BIDS specification has it, or pass --skip-bids-validation"
    try:
        description = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise BidsValidationError(f"{path}: expected in every BIDS dataset, found no such file; {remedy}") from None
    except (OSError, ValueError) as error:
        raise BidsValidationError(
            f"{path}: expected JSON, found {error}; mend it or pass --skip-bids-validation"
        ) from None
    missing = [key for key in ("Name", "BIDSVersion") if not isinstance(description, dict) or key not in description]
    if missing:
        raise BidsValidationError(f"{path}: expected {' and '.join(missing)}, found none; {remedy}")


def list_participants(dataset: Path, labels: Sequence[str] = ()) -> list[str]:
    """List the participants, or those of ``labels``, without the prefix ``sub-``, sorted.

    Raises
    ------
    NothingSelectedError
        If a label does not exist, or there is no participant; the message lists what exists.
    """
    found = sorted(path.name.removeprefix("sub-") for path in dataset.glob("sub-*") if path.is_dir())
    wanted = [label.removeprefix("sub-") for label in labels]
    unknown = [label for label in wanted if label not in found]
    if not found:
        raise NothingSelectedError(f"{dataset}: expected folders named sub-<label>, found none; check the path")
    if unknown:
        raise NothingSelectedError(
            f"--participant-label {' '.join(unknown)}: no such participant in {dataset}; there are {shorten(found)}"
        )
    return [label for label in found if label in wanted] if wanted else found


def shorten(labels: Sequence[str], most: int = 20) -> str:
    """Name the first labels and count the rest."""
    shown = ", ".join(labels[:most])
    return f"{shown} and {len(labels) - most} more" if len(labels) > most else shown
