"""Auditory and visual oddball (OpenfMRI ds000116): EEG in MATLAB files and BOLD, 17 participants, two tasks, three runs.

What is said of channels, units and codes is from the dataset's own README.
"""

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

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
    write_json,
    write_table,
)
from bids_eeg2fmri.errors import InputDataError

LAYOUT = "sub001/EEG/task001_run001/EEG_noGA.mat and sub001/BOLD/task001_run001/bold.nii.gz"
TASKS = {"task001": "auditory oddball", "task002": "visual oddball"}
SFREQ = 1000.0
VARIABLE = "data_noGA"
STIMULUS_S = 0.2

# Rows of data_noGA: name, type, unit, description.
CHANNELS = [
    *((f"EEG{i:02d}", "EEG", "uV", f"bipolar pair {i}, see the dataset's table of pairs") for i in range(1, 44)),
    ("HEOG", "EOG", "uV", "horizontal electrooculogram"),
    ("VEOG", "EOG", "uV", "vertical electrooculogram"),
    ("ECG1", "ECG", "uV", "electrocardiogram"),
    ("ECG2", "ECG", "uV", "electrocardiogram"),
    (
        "STIM",
        "TRIG",
        "n/a",
        "25 task, 125 and 150 auditory standard and target, 225 and 250 visual standard and target",
    ),
    ("RESP", "TRIG", "n/a", "100 response"),
]
N_EEG = 43
STIMULUS_ROW, RESPONSE_ROW = 47, 48
TASK_STARTED = 25

_DESCRIPTION = {
    "Name": "Auditory and Visual Oddball EEG-fMRI",
    "License": "PDDL",
    "Authors": [
        "Jennifer M Walz",
        "Robin I Goldman",
        "Jordan Muraskin",
        "Bryan Conroy",
        "Truman R Brown",
        "Paul Sajda",
    ],
    "ReferencesAndLinks": [
        "Walz JM, Goldman RI, Carapezza M, Muraskin J, Brown TR, Sajda P (2013). Simultaneous EEG-fMRI reveals temporal "
        "evolution of coupling between supramodal cortical attention networks and the brainstem. J Neurosci "
        "33(49):19212-22. doi:10.1523/JNEUROSCI.2649-13.2013",
        "Walz JM, Goldman RI, Carapezza M, Muraskin J, Brown TR, Sajda P (2015). Prestimulus EEG alpha oscillations "
        "modulate task-related fMRI BOLD responses to auditory stimuli. NeuroImage 113:153-163. "
        "doi:10.1016/j.neuroimage.2015.03.028",
    ],
    "SourceDatasets": [
        {"URL": "https://legacy.openfmri.org/dataset/ds000116/"},
        {"URL": "https://openneuro.org/datasets/ds000116"},
    ],
}
_README = """\
Auditory and Visual Oddball EEG-fMRI

Converted by bids_eeg2fmri.convert from OpenfMRI's ds000116 (PDDL). Please cite the articles that are listed in
dataset_description.json.

EEG: data_noGA of EEG_noGA.mat, in microvolts: the gradient artefact was removed by the authors, the pulse artefact was
not. 43 bipolar pairs (the electrodes of each are in EEGfMRI_cap_bipolar_pair_mapping.pdf of the download), EOG, ECG, and
two channels of codes. Where these hold nothing but the documented codes, the codes are markers as well: S 25 start of the
task, S125 and S150 auditory standard and target, S225 and S250 visual standard and target, R100 response.

There are no volume markers. The authors say that the start of the scan triggered the EEG and that the clocks were
synchronized: the first sample belongs to the start of the first volume.

BOLD: the same bytes as bold.nii.gz. Slice times are not given; slice_order.txt of the download has the order.

func/*_events.tsv: the onset files of the download, which hold only correct trials with clean EEG, and the other trials of
behavdata.txt, whose trial_type is n/a. The structural images are left out.
"""
_EEG: dict[str, Any] = {
    "Manufacturer": "custom built",
    "PowerLineFrequency": 60,
    "EEGReference": "bipolar pairs of electrodes",
    "SoftwareFilters": {
        "GradientArtifactRemoval": {"Description": "mean across volumes of each channel subtracted by the authors"},
        "Filters": {"Description": "standard filtering by the authors, cut-offs not given"},
    },
}
_BOLD: dict[str, Any] = {
    "Manufacturer": "Philips",
    "ManufacturersModelName": "Achieva",
    "MagneticFieldStrength": 3,
    "RepetitionTime": 2.0,
    "EchoTime": 0.025,
}
_EVENTS = {
    "trial_type": {
        "Description": "Condition of the onset file, by its name in condition_key.txt or that of the file (cond001: targets, "
        "cond002: standards, cond003: reaction time); n/a: a trial of behavdata.txt that is in no onset file"
    },
    "weight": {"Description": "Third column of the onset file"},
    "response_time": {"Description": "RT of behavdata.txt", "Units": "s"},
}


def find_participants(source: Path) -> Sequence[Participant]:
    """List the folders sub001, sub002, ... that hold EEG or BOLD.

    Raises
    ------
    MissingFilesError
        If there is nobody.
    """
    folders = [folder for folder in sorted(source.glob("sub*")) if folder.is_dir() and _runs(folder)]
    labels = {folder: folder.name.removeprefix("sub") for folder in folders}
    refuse_same_labels(labels.values())
    keys = _condition_names(source)
    participants = [
        Participant(folder.name, label_of(label), partial(_write, source=folder, conditions=keys))
        for folder, label in labels.items()
    ]
    refuse_empty(source, participants, LAYOUT)
    return participants


def _runs(folder: Path) -> list[str]:
    """Names of the runs that have EEG or BOLD, as task001_run001."""
    files = [*folder.glob("EEG/*/EEG_noGA.mat"), *folder.glob("BOLD/*/bold.nii.gz")]
    return sorted({path.parent.name for path in files if re.fullmatch(r"task\d+_run\d+", path.parent.name)})


def _write(folder: Path, *, source: Path, conditions: Mapping[tuple[str, str], str]) -> Iterator[Recording]:
    for run in _runs(source):
        task, _, number = run.partition("_run")
        title = TASKS.get(task, task)
        name = f"task-{label_of(title)}_run-{int(number):02d}"
        stem = f"{folder.name}_{name}"
        eeg, bold = source / "EEG" / run / "EEG_noGA.mat", source / "BOLD" / run / "bold.nii.gz"
        contents: list[str] = []
        missing = ""
        remarks: tuple[str, ...] = ()
        if eeg.is_file():
            contents.append(_write_eeg(eeg, folder / "eeg" / stem, title))
        else:
            missing = f"no EEG, expected {source.name}/EEG/{run}/EEG_noGA.mat"
        if bold.is_file():
            words, remarks = copy_bold(bold, folder / "func" / stem, {"TaskName": title, **_BOLD})
            n_events = _write_events(source, run, folder / "func" / stem, conditions)
            contents.append(f"{words}, {n_events} events")
        else:
            missing = f"no BOLD, expected {source.name}/BOLD/{run}/bold.nii.gz"
        yield Recording(name, tuple(contents), missing, remarks)


# ---------------------------------------------------------------------------------------------------------- the EEG


def _write_eeg(path: Path, stem: Path, title: str) -> str:
    import pybv

    data = read_mat(path)
    channels = CHANNELS[: len(data)]
    voltage = np.array([unit == "uV" for _, _, unit, _ in channels])
    markers = find_markers(data)
    stem.parent.mkdir(exist_ok=True)
    with warnings.catch_warnings():
        # Codes have no unit; told to be µV they would be read as volts, a millionth of what they are.
        warnings.filterwarnings("ignore", message="Encountered unsupported non-voltage units", category=UserWarning)
        pybv.write_brainvision(
            data=np.where(voltage[:, None], data * 1e-6, data),
            sfreq=SFREQ,
            ch_names=[name for name, *_ in channels],
            fname_base=f"{stem.name}_eeg",
            folder_out=stem.parent,
            events=markers,
            resolution=1,
            unit=["µV" if is_voltage else "n/a" for is_voltage in voltage],
            fmt="binary_float32",
        )
    about = {"TaskName": title, **_EEG}
    write_eeg_sidecars(stem, channels, sfreq=SFREQ, n_samples=data.shape[1], about=about)
    return f"EEG {len(data)} channels, {data.shape[1] / SFREQ:.1f} s at {SFREQ:g} Hz, {len(markers)} markers"


def read_mat(path: Path) -> np.ndarray:
    """Read ``data_noGA`` from a MATLAB file of any version.

    Returns
    -------
    array of shape (channels, samples)
        In µV; the last two of 49 channels are codes.

    Raises
    ------
    InputDataError
        If the file is broken, or the array is missing or no recording.
    """
    import h5py
    from scipy import io

    try:
        if h5py.is_hdf5(path):  # version 7.3, which has the axes the other way round
            with h5py.File(path) as file:
                names = [name for name in file if not name.startswith("#")]
                data = np.asarray(file[VARIABLE]).T if VARIABLE in names else None
        else:
            names = [name for name, *_ in io.whosmat(path)]
            data = io.loadmat(path, variable_names=[VARIABLE])[VARIABLE] if VARIABLE in names else None
    except Exception as error:  # scipy, zlib, h5py and the system raise their own
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputDataError(
            f"{path}: expected a MATLAB file, found it unreadable ({line}); download it again"
        ) from error
    if data is None:
        raise InputDataError(
            f"{path}: expected the variable {VARIABLE}, found {', '.join(names) or 'none'}; take the file of the download"
        )
    if data.ndim != 2 or data.dtype.kind not in "iuf" or not N_EEG <= len(data) <= len(CHANNELS) or not data.shape[1]:
        shape = "x".join(map(str, data.shape))
        raise InputDataError(
            f"{path}: expected {VARIABLE} with {N_EEG} to {len(CHANNELS)} channels in its rows, found {shape} of type "
            f"{data.dtype}; take the file of the download"
        )
    return np.asarray(data, dtype=float)


def find_markers(data: np.ndarray) -> list[dict[str, Any]]:
    """Find the steps of the two channels of codes, as pybv wants its events.

    Parameters
    ----------
    data : array of shape (channels, samples)
        A channel with values other than the documented codes, as after filtering, gives no marker.

    Returns
    -------
    list of dict
        ``onset`` in samples, ``type`` and ``description``, in order of time. The stimulus channel may return to the
        code of the task's start after each stimulus: only the first counts.
    """
    markers = []
    for row, kind, codes in (
        (STIMULUS_ROW, "Stimulus", (TASK_STARTED, 125, 150, 225, 250)),
        (RESPONSE_ROW, "Response", (100,)),
    ):
        if row >= len(data) or not np.isin(data[row], (0, *codes)).all():
            continue
        starts = np.flatnonzero(np.diff(data[row], prepend=0))
        started = starts[data[row, starts] == TASK_STARTED][:1]
        later = starts[~np.isin(data[row, starts], (0, TASK_STARTED))]
        markers += [{"onset": int(i), "type": kind, "description": int(data[row, i])} for i in (*started, *later)]
    return sorted(markers, key=lambda marker: marker["onset"])


# ------------------------------------------------------------------------------------------------------- the events


def _write_events(source: Path, run: str, stem: Path, conditions: Mapping[tuple[str, str], str]) -> int:
    """Write events.tsv where the download knows of events; return how many."""
    rows = [
        (onset, duration, conditions.get((run.partition("_")[0], path.stem), path.stem), f"{weight:g}")
        for path in visible_files(source / "model" / "model001" / "onsets" / run, "cond*.txt")
        for onset, duration, weight in _read_onsets(path)
    ]
    trials = _read_trials(source / "behav" / run / "behavdata.txt")
    # Trials are 2 s apart at least, so this is the same one with its decimals cut off.
    modelled = np.array([row[0] for row in rows])
    rows += [(onset, STIMULUS_S, "n/a", "n/a") for onset in trials if not np.any(np.abs(modelled - onset) < 0.05)]
    if not rows:
        return 0
    table = []
    for onset, duration, kind, weight in sorted(rows):
        time = next((rt for trial, rt in trials.items() if abs(trial - onset) < 0.05), "n/a")
        table.append((f"{onset:.10g}", f"{duration:.10g}", kind, weight, time))
    columns = ("onset", "duration", "trial_type", "weight", "response_time")
    write_table(stem.with_name(f"{stem.name}_events.tsv"), columns, table)
    write_json(stem.with_name(f"{stem.name}_events.json"), _EVENTS)
    return len(table)


def _read_onsets(path: Path) -> Iterator[tuple[float, float, float]]:
    """Onset and duration in s, and weight, of each line."""
    for line in path.read_text().splitlines():
        try:
            numbers = [float(word) for word in line.split()]
        except ValueError:
            numbers = [np.nan]
        if numbers and (len(numbers) != 3 or not np.isfinite(numbers).all()):
            raise InputDataError(f"{path}: expected onset, duration and weight, found {line!r}; download it again")
        if numbers:
            yield numbers[0], numbers[1], numbers[2]


def _read_trials(path: Path) -> dict[float, str]:
    """Onset in s of each trial to its response time, by the columns TrialOnset and RT; empty where there are none."""
    lines = [line.split() for line in path.read_text().splitlines()] if path.is_file() else []
    if not lines or "TrialOnset" not in lines[0]:
        return {}
    trials = {}
    for words in lines[1:]:
        row = dict(zip(lines[0], words, strict=False))
        try:
            onset, time = float(row.get("TrialOnset", "nan")), float(row.get("RT", "nan"))
        except ValueError:
            raise InputDataError(f"{path}: expected numbers, found {' '.join(words)!r}; download it again") from None
        if np.isfinite(onset):
            trials[onset] = f"{time:g}" if np.isfinite(time) else "n/a"
    return trials


def _condition_names(source: Path) -> dict[tuple[str, str], str]:
    """Read (task, condition) to name, as ``task001 cond001 Target`` in condition_key.txt."""
    for folder in ("models", "model"):
        path = source / folder / "model001" / "condition_key.txt"
        if path.is_file():
            lines = [line.split(maxsplit=2) for line in path.read_text().splitlines()]
            return {(words[0], words[1]): words[2].strip() for words in lines if len(words) == 3}
    return {}


ODDBALL = Download(_DESCRIPTION, _README, find_participants)
