"""The EEG and BOLD files of a dataset with their entities, filtered as the user asks."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bids_eeg2fmri.bids.recordings import shorten
from bids_eeg2fmri.errors import InputDataError, NothingSelectedError

# In the order of preference where a recording is there in several formats.
EEG_EXTENSIONS = (".vhdr", ".set", ".edf", ".bdf")
BOLD_EXTENSIONS = (".nii.gz", ".nii")

# For the suffixes eeg and bold: entity to the labels that are wanted, None for files without the entity.
Filters = Mapping[str, Mapping[str, Sequence[str] | None]]


@dataclass(frozen=True)
class DataFile:
    """A file of EEG or BOLD.

    Attributes
    ----------
    path : Path
    suffix : str
        "eeg" or "bold".
    entities : mapping
        By their names in pybids: subject, session, task, acquisition, run, ...
    """

    path: Path
    suffix: str
    entities: Mapping[str, Any] = field(compare=False, repr=False)

    @property
    def name(self) -> str:
        return self.path.name

    def label(self, entity: str) -> str | int | None:
        """Give an entity's label, so that ``run-1`` and ``run-01`` are one run."""
        return comparable(self.entities.get(entity))


def index_dataset(dataset: Path, subjects: Iterable[str]) -> dict[str, list[DataFile]]:
    """List the EEG and BOLD files of participants, in the order of their names.

    Sidecars are read later and one by one (``sidecars.read_sidecar``): pybids reads those of everybody, and stops at the
    first that is no JSON.
    """
    from bids import BIDSLayout, BIDSLayoutIndexer

    wanted = sorted(set(subjects))
    someone = "|".join(re.escape(subject) for subject in wanted)
    # Names with a leading dot are what a Mac or git-annex keeps for itself.
    others = re.compile(rf"^/?(sub-(?!({someone})(/|$))|derivatives|sourcedata|code|stimuli)|/\.")
    try:
        indexer = BIDSLayoutIndexer(validate=False, index_metadata=False, ignore=[others])
        layout = BIDSLayout(str(dataset), validate=False, derivatives=False, indexer=indexer)
        known = layout.get_files()
    except Exception as error:  # a name that is no path, a folder that can't be opened: pybids raises all kinds
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise InputDataError(f"{dataset}: pybids cannot index it ({reason}); mend the file") from error
    files: dict[str, list[DataFile]] = {subject: [] for subject in wanted}
    root = Path(layout.root)
    for path in known:
        kind = _kind(Path(path).name)
        if kind is None or Path(path).parent.name != {"eeg": "eeg", "bold": "func"}[kind]:
            continue
        entities = parse_entities(Path(path).name)
        if entities.get("subject") in files:
            # As the user wrote the dataset's path, not as the system resolves it.
            files[entities["subject"]].append(DataFile(dataset / Path(path).relative_to(root), kind, entities))
    return {subject: sorted(found, key=lambda f: f.path.as_posix()) for subject, found in files.items()}


def select_files(files: Sequence[DataFile], filters: Filters, *, subject: str) -> list[DataFile]:
    """Keep what the filters ask for.

    Raises
    ------
    NothingSelectedError
        If the participant has recordings but the filters leave none, or name an entity that nobody has.
    """
    selected = [file for file in files if is_selected(file, filters.get(file.suffix, {}))]
    known = {entity for file in files for entity in file.entities}
    asked = {entity for by_entity in filters.values() for entity, labels in by_entity.items() if labels}
    if files and (not selected or asked - known):
        raise NothingSelectedError(_nothing_selected(subject, files, filters))
    return selected


def parse_entities(name: str) -> dict[str, Any]:
    """Give the entities of a file by its name alone: folders above the dataset may look like entities too."""
    from bids.layout import parse_file_entities

    return dict(parse_file_entities(f"/{name}"))


def comparable(value: object) -> str | int | None:
    """Make labels of the same number the same, whatever zeros stand before it."""
    text = str(value) if value is not None else None
    return int(text) if text is not None and text.isdigit() else text


def _kind(name: str) -> str | None:
    if name.startswith("."):
        return None
    if name.endswith(tuple(f"_eeg{extension}" for extension in EEG_EXTENSIONS)):
        return "eeg"
    return "bold" if name.endswith(tuple(f"_bold{extension}" for extension in BOLD_EXTENSIONS)) else None


def is_selected(file: DataFile, filters: Mapping[str, Sequence[str] | None]) -> bool:
    """Whether a file has the labels that are wanted."""
    for entity, labels in filters.items():
        value = file.label(entity)
        if labels is None:
            if value is not None:
                return False
        elif value is None or value not in {comparable(label) for label in labels}:
            return False
    return True


def _nothing_selected(subject: str, files: Sequence[DataFile], filters: Filters) -> str:
    entities = sorted({entity for by_entity in filters.values() for entity in by_entity})
    wanted, there = [], []
    for entity in entities:
        labels = next(by_entity[entity] for by_entity in filters.values() if entity in by_entity)
        wanted.append(f"{entity} {' '.join(labels)}" if labels is not None else f"no {entity}")
        found = sorted({str(file.entities[entity]) for file in files if entity in file.entities})
        there.append(f"{entity}: {shorten(found) if found else 'none'}")
    return f"sub-{subject}: expected recordings with {', '.join(wanted)}, found none; there is {'; '.join(there)}"
