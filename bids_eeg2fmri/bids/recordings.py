"""Find recordings, pair EEG with the BOLD taken at the same time, and say why a file has no partner."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bids_eeg2fmri.errors import BidsValidationError, InputDataError, MissingFilesError, NothingSelectedError

EEG_EXTENSIONS = (".vhdr", ".edf", ".bdf", ".set")
BOLD_EXTENSIONS = (".nii", ".nii.gz")
# What must agree for EEG and BOLD to be one recording.
PAIRING_ENTITIES = ("session", "task", "acquisition", "run")


@dataclass(frozen=True)
class Recording:
    """EEG and BOLD of the same minutes, or one of them without a partner.

    Attributes
    ----------
    subject : str
        Label without ``sub-``.
    eeg, bold : Path or None
    reason : str
        Why the files are paired, or why one stays alone.
    bold_metadata, eeg_metadata : mapping
        Sidecars, inheritance applied.
    """

    subject: str
    eeg: Path | None
    bold: Path | None
    reason: str
    bold_metadata: Mapping[str, Any] = field(default_factory=dict, repr=False)
    eeg_metadata: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """The entities as the file has them, e.g. ``sub-01_ses-02_task-rest_run-1``."""
        path = self.bold or self.eeg
        assert path is not None
        return path.name.split(".")[0].rpartition("_")[0]

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
            f"--participant-label {' '.join(unknown)}: no such participant in {dataset}; there are {_shorten(found)}"
        )
    return [label for label in found if label in wanted] if wanted else found


def find_recordings(
    dataset: Path, subject: str, filters: Mapping[str, Mapping[str, Sequence[str] | None]] | None = None
) -> list[Recording]:
    """Find and pair what a participant has.

    EEG and BOLD are one recording if session, task, acquisition and run are the same; nothing is paired by guess.

    Parameters
    ----------
    dataset : Path
    subject : str
        Label without ``sub-``.
    filters : mapping, optional
        For the suffixes ``eeg`` and ``bold``, entity to the labels that are wanted; None for files without the entity.

    Returns
    -------
    list of Recording
        In the order of their names, partnerless files included.

    Raises
    ------
    NothingSelectedError
        If the participant has recordings but the filters leave none.
    """
    layout = _index(dataset, subject)
    eeg = layout.get(subject=subject, suffix="eeg", datatype="eeg", extension=list(EEG_EXTENSIONS))
    bold = layout.get(subject=subject, suffix="bold", datatype="func", extension=list(BOLD_EXTENSIONS))
    files = [file for file in [*eeg, *bold] if not file.filename.startswith(".")]
    selected = [file for file in files if _selected(file, (filters or {}).get(file.entities["suffix"], {}))]
    known = {entity for file in files for entity in file.entities}
    asked = {entity for by_entity in (filters or {}).values() for entity, labels in by_entity.items() if labels}
    if files and (not selected or asked - known):
        raise NothingSelectedError(_nothing_selected(subject, files, filters or {}))

    by_key: dict[tuple, dict[str, list]] = {}
    for file in selected:
        key = tuple(_comparable(file.entities.get(entity)) for entity in PAIRING_ENTITIES)
        by_key.setdefault(key, {"eeg": [], "bold": []})[file.entities["suffix"]].append(file)
    recordings = [
        recording
        for group in by_key.values()
        for recording in _pair(dataset, subject, group["eeg"], group["bold"], by_key)
    ]
    return sorted(recordings, key=lambda recording: recording.name)


def _pair(dataset: Path, subject: str, eeg: list, bold: list, everything: Mapping) -> list[Recording]:
    same = "same " + ", ".join(PAIRING_ENTITIES[:-1]) + " and run"
    if len(eeg) == 1 and len(bold) == 1:
        return [
            Recording(
                subject,
                dataset / eeg[0].relpath,
                dataset / bold[0].relpath,
                same,
                dict(bold[0].get_metadata()),
                dict(eeg[0].get_metadata()),
            )
        ]
    if eeg and bold:
        reason = f"ambiguous: {len(eeg)} EEG and {len(bold)} BOLD files with the {same}; choose one of each with --bids-filter-file"
    elif eeg:
        others = sum(len(group["bold"]) for group in everything.values())
        reason = f"no BOLD with the {same}" if others else "this participant has no BOLD"
    else:
        others = sum(len(group["eeg"]) for group in everything.values())
        reason = f"no EEG with the {same}" if others else "this participant has no EEG"
    return [
        *(Recording(subject, dataset / file.relpath, None, reason, {}, dict(file.get_metadata())) for file in eeg),
        *(Recording(subject, None, dataset / file.relpath, reason, dict(file.get_metadata()), {}) for file in bold),
    ]


def _index(dataset: Path, subject: str):
    """Index one participant and the files that its sidecars inherit from; 500 others cost nothing."""
    import re

    from bids import BIDSLayout, BIDSLayoutIndexer

    others = re.compile(rf"^/?(sub-(?!{re.escape(subject)}(/|$))|derivatives|sourcedata|code)|/\.")
    try:
        indexer = BIDSLayoutIndexer(validate=False, ignore=[others])
        return BIDSLayout(str(dataset), validate=False, derivatives=False, indexer=indexer)
    except Exception as error:  # a sidecar that is no JSON, a name that is no path: pybids raises all kinds
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise InputDataError(
            f"{dataset / f'sub-{subject}'}: pybids cannot index it ({reason}); mend the file"
        ) from error


def _selected(file, filters: Mapping[str, Sequence[str] | None]) -> bool:
    for entity, labels in filters.items():
        value = file.entities.get(entity)
        if labels is None:
            if value is not None:
                return False
        elif value is None or _comparable(value) not in {_comparable(label) for label in labels}:
            return False
    return True


def _nothing_selected(subject: str, files: Sequence, filters: Mapping[str, Mapping[str, Sequence[str] | None]]) -> str:
    entities = sorted({entity for by_entity in filters.values() for entity in by_entity})
    wanted, there = [], []
    for entity in entities:
        labels = next(by_entity[entity] for by_entity in filters.values() if entity in by_entity)
        wanted.append(f"{entity} {' '.join(labels)}" if labels is not None else f"no {entity}")
        found = sorted({str(file.entities[entity]) for file in files if entity in file.entities})
        there.append(f"{entity}: {_shorten(found) if found else 'none'}")
    return f"sub-{subject}: expected recordings with {', '.join(wanted)}, found none; there is {'; '.join(there)}"


def _comparable(value: object) -> object:
    """``run-1`` and ``run-01`` are one run."""
    text = str(value) if value is not None else None
    return int(text) if text is not None and text.isdigit() else text


def _shorten(labels: Sequence[str], most: int = 20) -> str:
    shown = ", ".join(labels[:most])
    return f"{shown} and {len(labels) - most} more" if len(labels) > most else shown
