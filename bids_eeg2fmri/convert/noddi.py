"""EEG, fMRI and NODDI at rest (OSF 94c5t): cleaned BrainVision exports and BOLD of 16 participants.

The EEG is BrainVision already, so its data are copied as they are and only the names inside the two text files are
corrected: a writer would lose the types of the markers (``Scanner,Scan Start``) and round what need not be rounded.
"""

import ntpath
import re
import shutil
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bids_eeg2fmri.convert.participants import (
    Download,
    Participant,
    Recording,
    copy_bold,
    label_of,
    refuse_empty,
    refuse_same_labels,
    visible_files,
    write_eeg_sidecars,
)
from bids_eeg2fmri.errors import InputDataError, MissingFilesError

TASK = "rest"
LAYOUT = "EEG*/ID/export/*.vhdr and fMRI/ID/*_cross.nii.gz"
DATA_SUFFIXES = (".eeg", ".dat")
# fmt: off
SLICE_TIMES_S = [
    0, 0.0725, 0.145, 0.2175, 0.29, 0.3625, 0.435, 0.5075, 0.58, 0.6525, 0.7225, 0.795, 0.8675, 0.94, 1.0125, 1.085,
    1.1575, 1.23, 1.3025, 1.375, 1.4475, 1.52, 1.59, 1.6625, 1.735, 1.8075, 1.88, 1.9525, 2.025, 2.0975,
]
# fmt: on

_DESCRIPTION = {
    "Name": "EEG, fMRI and NODDI at rest: cleaned EEG and BOLD",
    "License": "CC-BY-4.0",
    "Authors": ["F. Deligianni", "M. Centeno", "D.W. Carmichael", "G.H. Zhang", "C.A. Clark", "J.D. Clayden"],
    "ReferencesAndLinks": [
        "F. Deligianni, M. Centeno, D.W. Carmichael and J.D. Clayden (2014). Relating resting-state fMRI and EEG "
        "whole-brain connectomes across frequency bands. Frontiers in Neuroscience 8:258",
        "F. Deligianni, D.W. Carmichael, G.H. Zhang, C.A. Clark and J.D. Clayden (2016). NODDI and tensor-based "
        "microstructural indices as predictors of functional connectivity. PLoS ONE 11(4):e0153404",
    ],
    "SourceDatasets": [{"URL": "https://osf.io/94c5t/"}],
}
_README = """\
EEG, fMRI and NODDI at rest: cleaned EEG and BOLD

Converted by bids_eeg2fmri.convert from https://osf.io/94c5t/ (CC-BY 4.0). Please cite the articles that are listed in
dataset_description.json.

EEG: the authors' export, cleaned of gradient and pulse artefacts. The data are the same bytes as in the download, in
microvolts; in the header and the marker file only the names of the files were corrected. All markers are in the .vmrk
file: Scan Start (Scanner) is the volume marker, s (Scanner) one for each slice, Sync On a clock of 2 s that has nothing
to do with the volumes.

BOLD: the same bytes as *_cross.nii.gz. Acquisition parameters and slice times are those that the dataset's authors gave
for the BIDS example eeg_rest_fmri. The structural and diffusion images are left out.
"""
_EEG: dict[str, Any] = {
    "TaskName": TASK,
    "TaskDescription": "Rest; the head was immobilised by a vacuum cushion",
    "Manufacturer": "Brain Products",
    "ManufacturersModelName": "BrainAmp MR",
    "CapManufacturersModelName": "BrainCap MR",
    "PowerLineFrequency": 50,
    "EEGReference": "FCz",
}
_BOLD: dict[str, Any] = {
    "TaskName": TASK,
    "Manufacturer": "Siemens",
    "ManufacturersModelName": "Avanto",
    "MagneticFieldStrength": 1.5,
    "PulseSequenceType": "GE-EPI",
    "RepetitionTime": 2.16,
    "EchoTime": 0.03,
    "FlipAngle": 75,
    "SliceTiming": SLICE_TIMES_S,
}


def find_participants(source: Path) -> Sequence[Participant]:
    """List those who have EEG or BOLD, matched by the name of their folders.

    Raises
    ------
    MissingFilesError
        If there is nobody.
    InputDataError
        If two folders would become the same participant.
    """
    headers = _by_name(visible_files(source, "EEG*/*/export/*.vhdr"), source)
    images = _by_name(visible_files(source, "fMRI/*/*_cross.nii.gz"), source)
    names = sorted(headers.keys() | images.keys())
    refuse_same_labels(names)
    participants = [
        Participant(name, label_of(name), partial(_write, name=name, headers=headers[name], images=images[name]))
        for name in names
    ]
    refuse_empty(source, participants, LAYOUT)
    return participants


def _by_name(paths: Sequence[Path], source: Path) -> Mapping[str, list[Path]]:
    """Group by the name of the participant's folder, which is the second below the source."""
    groups: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        groups[path.relative_to(source).parts[1]].append(path)
    return groups


def _write(folder: Path, *, name: str, headers: Sequence[Path], images: Sequence[Path]) -> Iterator[Recording]:
    header, bold = _only(headers, "EEG*/ID/export/*.vhdr"), _only(images, "fMRI/ID/*_cross.nii.gz")
    stem = f"{folder.name}_task-{TASK}"
    contents: list[str] = []
    missing = ""
    remarks: tuple[str, ...] = ()
    if header:
        contents.append(_copy_eeg(header, folder / "eeg" / stem))
    else:
        missing = f"no EEG, expected EEG*/{name}/export/*.vhdr"
    if bold:
        words, remarks = copy_bold(bold, folder / "func" / stem, _BOLD)
        contents.append(words)
    else:
        missing = f"no BOLD, expected fMRI/{name}/*_cross.nii.gz"
    yield Recording(f"task-{TASK}", tuple(contents), missing, remarks)


def _only(paths: Sequence[Path], pattern: str) -> Path | None:
    if len(paths) > 1:
        found = " and ".join(map(str, paths))
        raise InputDataError(f"expected one {pattern} for each participant, found {found}; move the others away")
    return paths[0] if paths else None


# ---------------------------------------------------------------------------------------------------------- the EEG


def _copy_eeg(path: Path, stem: Path) -> str:
    """Copy header, markers and data under the name of BIDS; tell in words what is in them."""
    header = path.read_bytes()
    for key in ("DataFile", "MarkerFile"):
        if not _field(header, key):
            raise InputDataError(f"{path}: expected a line {key}=, found none; download it again")
    data_path = _beside(path, _field(header, "DataFile"), DATA_SUFFIXES)
    marker_path = _beside(path, _field(header, "MarkerFile"), (".vmrk",))
    _refuse_incomplete(path, header, data_path)
    markers = marker_path.read_bytes()

    stem.parent.mkdir()
    new = stem.with_name(f"{stem.name}_eeg.vhdr")
    names = {"DataFile": new.with_suffix(".eeg").name, "MarkerFile": new.with_suffix(".vmrk").name}
    shutil.copyfile(data_path, new.with_suffix(".eeg"))
    new.with_suffix(".vmrk").write_bytes(_renamed(markers, names))
    new.write_bytes(_renamed(header, names))

    import mne

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what it remarks on files that it can read
            raw = mne.io.read_raw_brainvision(new, preload=False, verbose="ERROR")
    except Exception as error:  # the reader raises all kinds
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputDataError(
            f"{path}: expected a BrainVision recording, found one that MNE cannot read ({line}); download it again"
        ) from error
    ecg = [name.upper() in ("ECG", "EKG") for name in raw.ch_names]
    channels = [
        (name, "ECG" if is_ecg else "EEG", "uV", "electrocardiogram" if is_ecg else "n/a")
        for name, is_ecg in zip(raw.ch_names, ecg, strict=True)
    ]
    sfreq = float(raw.info["sfreq"])
    about = {**_EEG, "SoftwareFilters": _filters(header)}
    write_eeg_sidecars(stem, channels, sfreq=sfreq, n_samples=raw.n_times, about=about)
    n_volumes = len(re.findall(rb"(?m)^Mk\d+=Scanner,Scan Start,", markers))
    return f"EEG {len(channels)} channels, {raw.n_times / sfreq:.1f} s at {sfreq:g} Hz, {n_volumes} x Scan Start"


def _beside(header_path: Path, named: str, suffixes: tuple[str, ...]) -> Path:
    """Find the file that belongs to a header: by its stem, else as the header has it, else the only one of its kind."""
    of_kind = [p for p in visible_files(header_path.parent, "*") if p.suffix.lower() in suffixes]
    # The header may have the path that the file had on another computer; ntpath takes both kinds of slashes.
    name = ntpath.basename(named)
    for matches in (
        [p for p in of_kind if p.stem == header_path.stem],
        [p for p in of_kind if p.name == name],
        of_kind,
    ):
        if len(matches) == 1:
            return matches[0]
    kinds = " or ".join(f"{header_path.stem}{suffix}" for suffix in suffixes)
    if of_kind:
        names = ", ".join(p.name for p in of_kind)
        raise InputDataError(f"{header_path}: expected {kinds} beside it, found {names}; move the wrong ones away")
    raise MissingFilesError(f"{header_path}: expected {kinds} beside it, found none; download it again")


def _refuse_incomplete(path: Path, header: bytes, data_path: Path) -> None:
    """Check the length: readers take a file that was cut short without a word."""
    kind = f"{_field(header, 'DataFormat')} {_field(header, 'BinaryFormat')}"
    if kind.upper() != "BINARY IEEE_FLOAT_32":
        raise InputDataError(
            f"{path}: expected BINARY IEEE_FLOAT_32 as in the cleaned export, found {kind.strip() or 'no format'}; take "
            "the header in the folder export"
        )
    n_channels, n_samples = (_field(header, key) for key in ("NumberOfChannels", "DataPoints"))
    width = 4 * int(n_channels) if n_channels.isdigit() else 0
    size = data_path.stat().st_size
    expected = width * int(n_samples) if n_samples.isdigit() else size
    if not width or not size or size % width or size < expected:
        raise InputDataError(
            f"{data_path}: expected {n_samples or 'some'} samples of {n_channels or 'some'} channels in 4 bytes each, found "
            f"{size} bytes; download it again"
        )


def _field(text: bytes, key: str) -> str:
    found = re.search(rb"(?m)^\s*" + key.encode() + rb"\s*=([^\r\n]*)", text)
    return found[1].decode("utf-8", "replace").strip() if found else ""


def _renamed(text: bytes, names: dict[str, str]) -> bytes:
    # In bytes, so that code page and line ends stay as they are.
    for key, name in names.items():
        text = re.sub(rb"(?m)^([ \t]*" + key.encode() + rb"[ \t]*=)[^\r\n]*", rb"\g<1>" + name.encode(), text, count=1)
    return text


def _filters(header: bytes) -> dict[str, dict[str, str]]:
    found = re.search(rb"(?m)^;\s*Data created from history path:\s*([^\r\n]+)", header)
    steps = {"History": found[1].decode("utf-8", "replace").strip()} if found else {}
    about = "gradient and pulse artefacts were removed by the authors of the dataset"
    return {"Cleaning": {"Description": about, **steps}}


NODDI = Download(_DESCRIPTION, _README, find_participants)
