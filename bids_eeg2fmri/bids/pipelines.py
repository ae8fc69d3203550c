"""What other pipelines made of the dataset: BOLD of fMRIPrep, and cleaned EEG."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from bids_eeg2fmri.bids.index import EEG_EXTENSIONS, DataFile, parse_entities
from bids_eeg2fmri.bids.reading.sidecars import read_sidecar, split_name
from bids_eeg2fmri.bids.recordings import Pipeline, PreprocessedBold
from bids_eeg2fmri.errors import InputDataError, MissingFilesError

# Taken without being asked for where they lie in the dataset's own folder; any other is named with --derivatives.
KNOWN = ("fmriprep",)
NATIVE = "native"
# In the order of preference: what people have in common before what is a participant's own.
STANDARD = ("MNI152NLin2009cAsym", "MNI152NLin6Asym", "MNI152NLin2009aAsym")
OWN = ("T1w", NATIVE)
# Entities by which files of one series differ from one another.
_OF_OUTPUT = ("space", "cohort", "res", "desc", "hemi", "den", "label")
_NOT_KEPT = ("echo", "part")


def find_pipelines(dataset: Path, named: Mapping[str, Path]) -> list[Pipeline]:
    """List the derivative datasets to look into: those that the user names, then fMRIPrep's in the folder ``derivatives``.

    Raises
    ------
    MissingFilesError
        If a folder that the user names does not exist, or holds no participant.
    """
    found = []
    for name, root in named.items():
        if not root.is_dir():
            raise MissingFilesError(f"--derivatives {name}={root}: expected a folder, found none; check the path")
        if not any(root.glob("sub-*")):
            raise MissingFilesError(
                f"--derivatives {name}={root}: expected folders sub-<label>, found none; check the path"
            )
        found.append(Pipeline(name, root))
    known = {pipeline.root.resolve() for pipeline in found}
    folders = sorted((dataset / "derivatives").glob("*/")) if (dataset / "derivatives").is_dir() else []
    for root in folders:
        made_by = _made_by(root)
        if root.resolve() not in known and made_by is not None:
            found.append(Pipeline(made_by, root))
    return found


def _made_by(root: Path) -> str | None:
    """Name the known pipeline that a folder is from, by its description or its own name."""
    try:
        description = json.loads((root / "dataset_description.json").read_text(encoding="utf-8-sig"))
        names = [str(entry.get("Name", "")) for entry in description.get("GeneratedBy", [])]
    except (OSError, ValueError, AttributeError, TypeError):
        names = []
    for name in (*names, root.name):
        if name.lower() in KNOWN:
            return name.lower()
    return None


def find_preprocessed_bold(pipelines: Sequence[Pipeline], bold: Path, space: str) -> PreprocessedBold | None:
    """Find what a pipeline made of a BOLD file.

    Parameters
    ----------
    pipelines : sequence of Pipeline
        The first one that has the series counts.
    bold : Path
        As recorded.
    space : str
        "auto" takes a standard space where there is one; else its name, or "native"; ``:res-2`` after it chooses among several
        resolutions.

    Returns
    -------
    PreprocessedBold or None
        None where no pipeline has the series.

    Raises
    ------
    InputDataError
        If there is the series, but not in that space.
    """
    for pipeline in pipelines:
        found = list(_series(pipeline, bold))
        if not found:
            continue
        wanted, _, resolution = space.partition(":")
        resolution = resolution.removeprefix("res-")
        in_space = [path for path in found if wanted in ("auto", _space(path))]
        chosen = [path for path in in_space if resolution in ("", split_name(path.name)[0].get("res"))]
        if not chosen:
            there = ", ".join(sorted({_space_and_resolution(path) for path in found}))
            raise InputDataError(
                f"{found[0].parent}: expected {bold.name} in the space {space}, found it in {there}; choose one of them by "
                "--output-spaces"
            )
        return _describe(pipeline, min(chosen, key=_preference), bold)
    return None


def match_cleaned_eeg(
    pipelines: Sequence[Pipeline], subject: str, eeg: Sequence[DataFile]
) -> tuple[dict[Path, Path], list[DataFile]]:
    """Find the EEG of a participant that pipelines have cleaned.

    Parameters
    ----------
    pipelines : sequence of Pipeline
        The first one that has a recording counts.
    subject : str
    eeg : sequence of DataFile
        As recorded.

    Returns
    -------
    cleaned : dict
        File as recorded to cleaned file.
    others : list of DataFile
        Cleaned files of recordings that the dataset itself does not hold.

    Raises
    ------
    InputDataError
        If a pipeline has several versions of one recording.
    """
    cleaned: dict[Path, Path] = {}
    others: list[DataFile] = []
    for pipeline in pipelines:
        versions: dict[tuple, list[Path]] = {}
        for path in sorted(pipeline.root.glob(f"sub-{subject}/**/eeg/*_eeg.*")):
            if path.name.endswith(EEG_EXTENSIONS) and not path.name.startswith("."):
                versions.setdefault(tuple(sorted(_entities(path).items())), []).append(path)
        for paths in versions.values():
            if len(paths) > 1:
                raise InputDataError(
                    f"{pipeline.root}: expected one version of a recording, found {', '.join(path.name for path in paths)}; keep "
                    "one of them there"
                )
            [path] = paths
            recorded = [file for file in eeg if _entities(file.path) == _entities(path)]
            for file in recorded:
                cleaned.setdefault(file.path, path)
            if not recorded and not any(_entities(file.path) == _entities(path) for file in others):
                others.append(DataFile(path, "eeg", parse_entities(path.name)))
    return cleaned, others


def _series(pipeline: Pipeline, bold: Path) -> list[Path]:
    own = _entities(bold)
    return [
        path
        for path in sorted(pipeline.root.glob(f"sub-{_subject(bold)}/**/func/*_desc-preproc_bold.nii*"))
        if not path.name.startswith(".") and _entities(path) == own
    ]


def _describe(pipeline: Pipeline, path: Path, bold: Path) -> PreprocessedBold:
    entities = split_name(path.name)[0]
    stem = path.name.partition("_desc-preproc_bold")[0]
    masks = [path.with_name(f"{stem}_desc-brain_mask{extension}") for extension in (".nii.gz", ".nii")]
    # One table for all spaces.
    tables = [
        table
        for table in sorted(path.parent.glob("*_desc-confounds_*.tsv"))
        if _entities(table) == _entities(bold) and split_name(table.name)[1] in ("timeseries", "regressors")
    ]
    return PreprocessedBold(
        pipeline,
        path,
        _space(path),
        entities.get("res"),
        next((mask for mask in masks if mask.exists()), None),
        tables[-1] if tables else None,
        read_sidecar(pipeline.root, path),
    )


def _preference(path: Path) -> tuple[int, bool, bool, str]:
    """Sort standard spaces before other ones, echoes behind their combination; the series' resolution before a template's."""
    space = _space(path)
    order = (*STANDARD, "", *OWN)
    rank = order.index(space) if space in order else order.index("") if space.startswith("MNI") else len(order)
    entities = split_name(path.name)[0]
    return rank, "echo" in entities, "res" in entities, path.name


def _space(path: Path) -> str:
    space = split_name(path.name)[0].get("space", NATIVE)
    return NATIVE if space in ("boldref", "func", "orig", "scanner") else space


def _space_and_resolution(path: Path) -> str:
    resolution = split_name(path.name)[0].get("res")
    return _space(path) + (f":res-{resolution}" if resolution else "")


def _entities(path: Path) -> dict[str, str]:
    """What a file shares with what was made of it."""
    return {k: v for k, v in split_name(path.name)[0].items() if k not in (*_OF_OUTPUT, *_NOT_KEPT)}


def _subject(path: Path) -> str:
    return path.name.partition("_")[0].removeprefix("sub-")
