"""Write a dataset participant by participant: each one whole or not at all, and one's failure is nobody else's."""

import errno
import gzip
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bids_eeg2fmri import __version__
from bids_eeg2fmri.errors import Eeg2FmriError, InputDataError, MissingFilesError, OutputError

SOME_FAILED = 1
PROGRAM = {"Name": "bids_eeg2fmri.convert", "Version": __version__}


@dataclass(frozen=True)
class Recording:
    """What was written of a recording.

    Attributes
    ----------
    name : str
        Its entities but for the participant, as ``task-rest``.
    contents : tuple of str
        The EEG and the BOLD in a few words, for the progress line.
    missing : str
        Why there is one side only; empty if both are there.
    remarks : tuple of str
        What a user should know of the files.
    """

    name: str
    contents: tuple[str, ...]
    missing: str = ""
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Participant:
    """Someone who has at least one side of a recording.

    Attributes
    ----------
    source_id : str
        Name of the folder in the download.
    label : str
        The same in letters and digits, as BIDS wants it.
    write : callable
        Given the participant's new folder, writes one recording after the other into it.
    """

    source_id: str
    label: str
    write: Callable[[Path], Iterator[Recording]]


@dataclass(frozen=True)
class Download:
    """A published dataset: what is to be said of it, and how its participants are found."""

    description: Mapping[str, Any]
    readme: str
    find: Callable[[Path], Sequence[Participant]]


def convert(source: Path, destination: Path, download: Download) -> int:
    """Convert all participants, with a line for each recording on stderr; return the exit code.

    Parameters
    ----------
    source : Path
        Folder of the download; only read.
    destination : Path
        Folder of the BIDS dataset, new or empty.
    download : Download

    Raises
    ------
    MissingFilesError
        If the source does not exist or holds none of the files that are looked for.
    OutputError
        If the destination is not empty, lies within the source, or can't be written to.
    """
    if not source.is_dir():
        raise MissingFilesError(
            f"{source}: expected the folder of the download, found {'a file' if source.exists() else 'nothing'}; check "
            "the path"
        )
    _refuse_used(destination, source)
    participants = download.find(source)
    try:
        destination.mkdir(parents=True, exist_ok=True)
        return _convert_all(participants, destination, download)
    except OSError as error:
        raise OutputError(
            f"{destination}: expected to be able to write, found {error.strerror or error}; choose another folder or "
            "free some space"
        ) from error


def _convert_all(participants: Sequence[Participant], destination: Path, download: Download) -> int:
    done: list[Participant] = []
    failures: list[tuple[Participant, Eeg2FmriError]] = []
    one_sided: list[str] = []
    for participant in participants:
        try:
            recordings = _write_whole(participant, destination)
        except Eeg2FmriError as error:
            print(f"sub-{participant.label}: failed", file=sys.stderr)
            failures.append((participant, error))
            continue
        one_sided += [f"sub-{participant.label} {r.name}: {r.missing}" for r in recordings if r.missing]
        if not done:
            _write_dataset_files(destination, download)
        done.append(participant)
        _write_participants(destination, done)

    for line in one_sided:
        print(f"one side only: {line}", file=sys.stderr)
    for participant, failure in failures:
        print(f"sub-{participant.label} failed: {failure}", file=sys.stderr)
    print(f"{len(done)} of {len(participants)} participants are in {destination}", file=sys.stderr)
    if not failures:
        return 0
    codes = {failure.exit_code for _, failure in failures}
    return codes.pop() if not done and len(codes) == 1 else SOME_FAILED


def _write_whole(participant: Participant, destination: Path) -> list[Recording]:
    """Write aside, then rename: who looks at the dataset never sees half a participant."""
    recordings = []
    with tempfile.TemporaryDirectory(prefix=".part_", dir=destination) as aside:
        folder = Path(aside) / f"sub-{participant.label}"
        folder.mkdir()
        try:
            for recording in participant.write(folder):
                told = filter(None, (*recording.contents, recording.missing, *recording.remarks))
                print(f"sub-{participant.label} {recording.name}: {'; '.join(told)}", file=sys.stderr)
                recordings.append(recording)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
                raise  # the next participant would fare no better
            raise InputDataError(f"{error.filename}: expected to be able to read it, found {error.strerror}") from error
        folder.rename(destination / folder.name)
    return recordings


def _refuse_used(destination: Path, source: Path) -> None:
    if destination.resolve().is_relative_to(source.resolve()):
        raise OutputError(
            f"{destination}: expected a folder outside the download, found one within {source}; choose another"
        )
    if destination.is_dir():
        found = sorted(path.name for path in destination.iterdir())
        if found:
            raise OutputError(
                f"{destination}: expected a new or empty folder, found {_some(found)} in it; choose another or delete it"
            )
    elif destination.exists():
        raise OutputError(f"{destination}: expected a new or empty folder, found a file; choose another name")


# ------------------------------------------------------------------------------------------------------ finding


def label_of(name: str) -> str:
    """Keep the letters and digits of a folder's name.

    >>> label_of("patient_07-b")
    'patient07b'
    """
    return re.sub("[^A-Za-z0-9]", "", name)


def refuse_same_labels(names: Iterable[str]) -> None:
    """Raise InputDataError if two folders would become the same participant, or one has no letter or digit."""
    seen: dict[str, str] = {}
    for name in sorted(set(names)):
        label = label_of(name)
        if not label:
            raise InputDataError(f"{name}: expected letters or digits in the name of the folder, found none; rename it")
        if label in seen:
            raise InputDataError(
                f"{name}: expected one folder for sub-{label}, found {seen[label]} and {name}; rename one"
            )
        seen[label] = name


def refuse_empty(source: Path, participants: Sequence[Participant], layout: str) -> None:
    """Raise MissingFilesError if the folder has another layout."""
    if not participants:
        found = sorted(path.name for path in source.iterdir() if not path.name.startswith("."))
        raise MissingFilesError(
            f"{source}: expected {layout}, found {_some(found) or 'an empty folder'}; unpack the download, or give the "
            "folder that holds it"
        )


def visible_files(folder: Path, pattern: str) -> list[Path]:
    """List the files of a folder that match, without those that macOS and editors leave."""
    return sorted(path for path in folder.glob(pattern) if path.is_file() and not path.name.startswith("."))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


# ------------------------------------------------------------------------------------------------------ writing


def copy_bold(path: Path, stem: Path, sidecar: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Copy a BOLD series byte by byte and write its sidecar.

    Parameters
    ----------
    path : Path
        The ``.nii.gz`` of the download.
    stem : Path
        Path of the copy without ``_bold.nii.gz``; its folder is made.
    sidecar : mapping
        ``SliceTiming`` is left out where it does not fit the number of slices.

    Returns
    -------
    contents : str
        Its size in words.
    remarks : tuple of str
        If the header names another repetition time.

    Raises
    ------
    InputDataError
        If the file is no series of volumes, or not whole.
    """
    import nibabel as nib

    try:
        header = nib.load(path).header
        # Its checksum comes last: a download that was cut short is noticed here.
        with gzip.open(path) as stream:
            while stream.read(1 << 20):
                pass
    except Exception as error:  # gzip, zlib, nibabel and the system raise their own
        raise InputDataError(
            f"{path}: expected a whole NIfTI file, found it unreadable ({_first_line(error)}); download it again"
        ) from error
    shape = header.get_data_shape()
    if len(shape) != 4 or shape[3] < 2:
        raise InputDataError(
            f"{path}: expected a series of volumes (4-D), found shape {'x'.join(map(str, shape))}; download it again"
        )
    content = dict(sidecar)
    if len(content.get("SliceTiming", ())) != shape[2]:
        content.pop("SliceTiming", None)
    stem.parent.mkdir(exist_ok=True)
    shutil.copyfile(path, stem.with_name(f"{stem.name}_bold.nii.gz"))
    write_json(stem.with_name(f"{stem.name}_bold.json"), content)

    stated = float(content["RepetitionTime"])
    tr_s = float(header.get_zooms()[3]) * {"msec": 1e-3, "usec": 1e-6}.get(header.get_xyzt_units()[1], 1.0)
    remark = (
        f"the image's header says a repetition time of {tr_s:g} s, the dataset's authors {stated:g} s: the validator will "
        "object"
    )
    remarks = () if abs(tr_s - stated) < 0.001 else (remark,)
    return f"BOLD {'x'.join(map(str, shape[:3]))}, {shape[3]} volumes", remarks


def write_eeg_sidecars(
    stem: Path, channels: Sequence[tuple[str, str, str, str]], *, sfreq: float, n_samples: int, about: Mapping[str, Any]
) -> None:
    """Write channels.tsv and eeg.json.

    Parameters
    ----------
    stem : Path
        Path without ``_eeg.vhdr``.
    channels : sequence of tuple
        Name, BIDS type, unit and description of each, in the file's order.
    sfreq : float
        In Hz.
    n_samples : int
    about : mapping
        The fields of eeg.json that are the same for all recordings.
    """
    rows = [(name, kind, unit, f"{sfreq:g}", description) for name, kind, unit, description in channels]
    columns = ("name", "type", "units", "sampling_frequency", "description")
    write_table(stem.with_name(f"{stem.name}_channels.tsv"), columns, rows)
    kinds = [kind for _, kind, _, _ in channels]
    counts = {
        f"{'Trigger' if kind == 'TRIG' else kind}ChannelCount": kinds.count(kind)
        for kind in ("EEG", "ECG", "EOG", "TRIG")
    }
    measured = {"SamplingFrequency": sfreq, "RecordingType": "continuous", "RecordingDuration": n_samples / sfreq}
    write_json(stem.with_name(f"{stem.name}_eeg.json"), {**about, **measured, **counts})


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a sidecar."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a TSV file."""
    path.write_text("".join("\t".join(row) + "\n" for row in (columns, *rows)), encoding="utf-8")


def _write_dataset_files(destination: Path, download: Download) -> None:
    description = {"BIDSVersion": "1.10.0", "DatasetType": "raw", **download.description, "GeneratedBy": [PROGRAM]}
    write_json(destination / "dataset_description.json", description)
    (destination / "README").write_text(download.readme, encoding="utf-8")
    write_json(
        destination / "participants.json",
        {"source_id": {"Description": "Name of the participant's folder in the download"}},
    )


def _write_participants(destination: Path, done: Sequence[Participant]) -> None:
    path = destination / "participants.tsv"
    new = path.with_name(".part_participants.tsv")
    write_table(new, ("participant_id", "source_id"), [(f"sub-{p.label}", p.source_id) for p in done])
    os.replace(new, path)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
