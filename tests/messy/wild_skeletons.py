"""Fill the skeletons of real datasets: their text files as they are, their binaries small but true to the text.

EEG is written at a lower rate than it was recorded with, in as many channels and as long as the original: the rate that
sidecars and headers state is changed with it, nothing else is.
"""

import csv
import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from wild_files import CAP_64, RESOURCE_FORK, Mark, marks_at, noise, onsets_of, write_bold, write_edf, write_eeg

SKELETONS = Path(__file__).resolve().parents[2].parent / "shared" / "skeletons"
TEXT = {".tsv", ".json", ".vhdr", ".vmrk", ".txt", ".md", ""}


@dataclass(frozen=True)
class Filled:
    """A dataset and what is true of it.

    Attributes
    ----------
    path : Path
    onsets_s : dict
        Name of a recording, without its suffix, to the onsets of the stored volumes in the EEG of the same name.
    """

    path: Path
    onsets_s: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Skeleton:
    """One of the folders, and the lines of its ``_filelist.tsv`` that concern the chosen participants."""

    name: str
    target: Path
    subjects: Sequence[str]

    @property
    def source(self) -> Path:
        return SKELETONS / self.name

    def copy(self) -> None:
        """Copy the text files but those of anatomy, diffusion and field maps; what a Mac left behind comes along."""
        for path in sorted(self.source.rglob("*")):
            relative = path.relative_to(self.source)
            subject = next((part[4:] for part in relative.parts if part.startswith("sub-")), None)
            other = path.parent.name in ("anat", "dwi", "fmap") and not path.name.startswith("._")
            mine = (subject is None or subject in self.subjects) and not other and path.name != "_filelist.tsv"
            if path.is_file() and path.stat().st_size and path.suffix in TEXT and mine:
                (self.target / relative).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, self.target / relative)

    def originals(self, pattern: str) -> dict[str, int]:
        """Find original files by a regular expression for the end of their path; gives their size in bytes."""
        lines = (self.source / "_filelist.tsv").read_text().splitlines()[1:]
        table = {path: int(size) for path, _, size in (line.split("\t") for line in lines)}
        chosen = tuple(f"sub-{subject}/" for subject in self.subjects)
        return {
            path: size for path, size in table.items() if path.startswith(chosen) and re.search(rf"{pattern}$", path)
        }


def read_tsv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def stem_of(path: str) -> str:
    return path.rpartition("/")[2].partition(".")[0].rpartition("_")[0]


def _lower_rate(path: Path, sfreq: float) -> None:
    """The files here are written at a lower rate than the recorder's."""
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r'("SamplingFrequency":\s*)[\d.]+', rf"\g<1>{sfreq:g}", text), encoding="utf-8")


def _first_volume_s(number: int, spare_s: float) -> float:
    """Somewhere in the first half of what the EEG is longer than the BOLD, on a sample of all rates here."""
    return round((0.35 + 0.1 * (number % 3)) * spare_s / 0.008) * 0.008


def _started(sidecar: Path, *, before_s: float, year: int = 2017) -> datetime:
    """The EEG's clock was set by another hand than the scanner's: half a minute ahead of it."""
    found = re.search(r'"AcquisitionTime": "(\d+):(\d+):(\d+)', sidecar.read_text()) if sidecar.exists() else None
    hours, minutes, seconds = map(int, found.groups()) if found else (12, 0, 0)
    return datetime(year, 6, 8, hours, minutes, seconds) - timedelta(seconds=before_s - 30)


def fill_ds002336(target: Path) -> Filled:
    """XP1: sidecars at the root, channels.tsv parted by blanks and in quotes, R128 with every volume."""
    skeleton = Skeleton("ds002336", target, ("xp101", "xp102", "xp109"))
    skeleton.copy()
    n_volumes = {"MIpre": 101, "MIpost": 101, "motorloc": 161}  # 202, 202, 322 s; the three others 402 s
    drift_ppm = {"xp101": 0.0, "xp102": 30.0, "xp109": -12.0}
    sfreq, tr_s = 250.0, 2.0
    for sidecar in target.glob("task-*_eeg.json"):
        _lower_rate(sidecar, sfreq)
    for path in skeleton.originals(r"_bold\.nii\.gz"):
        write_bold(target / path, n_volumes.get(path.split("task-")[1].split("_")[0], 201), tr_s=tr_s)

    filled = Filled(target)
    for number, (path, size) in enumerate(skeleton.originals(r"_eeg\.eeg").items()):
        subject, task = re.findall(r"sub-(\w+?)_task-(\w+?)_", path)[0]
        duration_s = size / (64 * 2 * 5000)
        n = n_volumes.get(task, 201)
        first_s = _first_volume_s(number, duration_s - n * tr_s)
        onsets = onsets_of(n, tr_s=tr_s, first_s=first_s, drift_ppm=drift_ppm[subject])
        # The protocol starts with the scanner; its events.tsv counts from there.
        blocks = [row for row in read_tsv(target / f"task-{task}_events.tsv") if (row["duration"] or "").strip()]
        stimuli = [
            Mark(first_s + float(row["onset"]), "Stimulus/S 99" if row["trial_type"] == "Rest" else "Stimulus/S  2")
            for row in blocks
        ]
        # 'Fp1' in quotes; that of the ECG closes with a typographic one.
        rows = (target / f"task-{task}_channels.tsv").read_text(encoding="utf-8").splitlines()[1:]
        names = [row.split()[0].strip("'\u2019") for row in rows if row.strip()]
        write_eeg(
            (target / path).with_suffix(".vhdr"),
            # As its README warns, the first S 99 is missing now and then.
            [*marks_at(onsets), *stimuli[subject == "xp102" :]],
            duration_s=duration_s,
            names=names,
            sfreq=sfreq,
            started=_started(
                target / path.replace("eeg/", "func/").replace("_eeg.eeg", "_bold.json"), before_s=first_s
            ),
        )
        filled.onsets_s[stem_of(path)] = onsets
    return filled


def fill_ds002158(target: Path) -> Filled:
    """Confidence: no eeg.json and no channels.tsv, thousands of stimulus markers, forks of a Mac beside the files."""
    skeleton = Skeleton("ds002158", target, ("02", "12", "19"))
    skeleton.copy()
    sfreq, tr_s = 125.0, 1.28
    n_volumes = {}
    for path in skeleton.originals(r"_bold\.nii\.gz"):
        sidecar = target / path.replace(".nii.gz", ".json")
        n_volumes[stem_of(path)] = json.loads(sidecar.read_text())["dcmmeta_shape"][3]
        write_bold(target / path, n_volumes[stem_of(path)], tr_s=tr_s)

    filled = Filled(target)
    rng = np.random.default_rng(2158)
    n_markers = {path: size // 34 for path, size in skeleton.originals(r"_eeg\.vmrk").items()}
    for number, (path, size) in enumerate(skeleton.originals(r"_eeg\.eeg").items()):
        # run-00 is as long as run-006, of which there is BOLD only, and has its markers.
        n = n_volumes.get(stem_of(path), 373)
        duration_s = size / (64 * 2 * 5000)
        first_s = max(6.304 + 0.304 * (number % 13), _first_volume_s(number, duration_s - n * tr_s))
        onsets = onsets_of(n, tr_s=tr_s, first_s=first_s, drift_ppm=21)
        recorded = onsets[onsets < duration_s]  # sub-19's first run ended early
        n_stimuli = max(100, n_markers[path.replace(".eeg", ".vmrk")] - n)
        stimuli = [
            Mark(onset_s, f"Stimulus/S{code:3d}")
            for onset_s, code in zip(
                rng.uniform(0, duration_s - 0.1, n_stimuli), rng.integers(1, 64, n_stimuli), strict=True
            )
        ]
        write_eeg(
            (target / path).with_suffix(".vhdr"),
            [*marks_at(recorded), *stimuli],
            duration_s=duration_s,
            names=CAP_64,
            sfreq=sfreq,
            started=_started(
                target / path.replace("eeg/", "func/").replace("_eeg.eeg", "_bold.json"), before_s=first_s
            ),
        )
        filled.onsets_s[stem_of(path)] = onsets

    written = [
        path for path in target.rglob("sub-02_*") if path.name.endswith((".nii.gz", ".vhdr", ".eeg", "_bold.json"))
    ]
    for path in written:
        path.with_name(f"._{path.name}").write_bytes(RESOURCE_FORK)
    return filled


def fill_ds002725(
    target: Path,
    subjects: Sequence[str] = ("01", "02", "03"),
    *,
    tasks: str = "classicalMusic|genMusic0.|washout",
    n_volumes: int | None = None,
) -> Filled:
    """Music: EDF whose markers are in events.tsv alone, among them a decoy that is as regular as the volumes.

    Without ``n_volumes`` there are as many as markers, those of a start that was aborted left out.
    """
    skeleton = Skeleton("ds002725", target, subjects)
    skeleton.copy()
    sfreq, tr_s = 100.0, 2.0
    for sidecar in target.rglob("*_eeg.json"):
        _lower_rate(sidecar, sfreq)
    filled = Filled(target)
    for path, size in skeleton.originals(rf"_task-({tasks})_eeg\.edf").items():
        stem = (target / path).as_posix().removesuffix("_eeg.edf")
        units = {row["name"]: row["units"].replace("micro", "u") for row in read_tsv(Path(f"{stem}_channels.tsv"))}
        n_records = (size - 256 * (len(units) + 2)) // ((len(units) + 1) * 2 * 1000)
        write_edf(target / path, duration_s=n_records, units=units, sfreq=sfreq)
        events = read_tsv(Path(f"{stem}_events.tsv"))
        pulses = np.array([float(row["onset"]) for row in events if row["trial_type"] == "10"])
        aborted = np.flatnonzero(np.diff(pulses) > 2.5)
        onsets = pulses[aborted[-1] + 1 if aborted.size else 0 :]
        bold = target / path.replace("eeg/", "func/").replace("_eeg.edf", "_bold.nii.gz")
        write_bold(bold, n_volumes or len(onsets), tr_s=tr_s)
        filled.onsets_s[stem_of(path)] = onsets
    for path in [*target.glob("sub-*/*/*")]:
        if not (re.search(rf"_task-({tasks})_", path.name)):
            path.unlink()
    return filled


def fill_eeg_rest_fmri(target: Path) -> Filled:
    """NODDI: the raw EEG has the ticks of a clock, the cleaned one under ``derivatives`` the volumes.

    The raw files are at 250 Hz instead of 5 kHz, so positions are divided by 20; the ticks fall on samples. Onsets are those
    of the cleaned files.
    """
    skeleton = Skeleton("eeg_rest_fmri", target, ("32", "35"))
    skeleton.copy()
    _lower_rate(target / "task-rest_eeg.json", 250)
    filled = Filled(target)
    for subject in skeleton.subjects:
        name = f"sub-{subject}/eeg/sub-{subject}_task-rest_eeg"
        write_bold(target / name.replace("eeg/", "func/").replace("_eeg", "_bold.nii.gz"), 300, tr_s=2.16)
        raw = target / f"{name}.vhdr"
        raw.write_text(raw.read_text(encoding="utf-8").replace("SamplingInterval=200", "SamplingInterval=4000"))
        markers, last = [], 0
        for line in raw.with_suffix(".vmrk").read_text(encoding="utf-8").splitlines():
            found = re.match(r"(Mk\d+=[^,]*,[^,]*,)(\d+)(,.*)", line)
            if found:
                last = (int(found[2]) - 1) // 20 + 1
                line = f"{found[1]}{last}{found[3]}"
            markers.append(line)
        raw.with_suffix(".vmrk").write_text("\n".join(markers) + "\n", encoding="utf-8")
        noise(last + 250, 64, "<i2").tofile(raw.with_suffix(".eeg"))

        cleaned = target / f"derivatives/{name}.vhdr"
        header = dict(re.findall(r"^(\w+)=(\S+)$", cleaned.read_text(encoding="utf-8"), re.MULTILINE))
        samples = noise(int(header["DataPoints"]), int(header["NumberOfChannels"]), "<f4")
        (samples.T.copy() if header["DataOrientation"] == "VECTORIZED" else samples).tofile(cleaned.with_suffix(".dat"))
        scans = re.findall(r"=Scanner,Scan Start,(\d+)", cleaned.with_suffix(".vmrk").read_text(encoding="utf-8"))
        filled.onsets_s[f"sub-{subject}_task-rest"] = (np.array(scans, float) - 1) / 250
    return filled


def fill_ds004000(target: Path) -> Filled:
    """Schizophrenia: EEG only, 128 channels and what a Biosemi has beside them, of which there are 20 s here."""
    skeleton = Skeleton("ds004000", target, ("000", "001", "042"))
    skeleton.copy()
    for sidecar in target.rglob("*_eeg.json"):
        _lower_rate(sidecar, 256)
    rng = np.random.default_rng(4000)
    for path in skeleton.originals(r"_eeg\.vhdr"):
        electrodes = (target / path).with_name(f"{path.split('/')[0]}_electrodes.tsv")
        write_eeg(
            target / path,
            marks_at(np.sort(rng.uniform(1, 19, 30)), "Stimulus/S 11"),
            duration_s=20,
            names=[row["name"] for row in read_tsv(electrodes)],
            sfreq=256,
            binary_format="IEEE_FLOAT_32",
        )
    return Filled(target)


def fill_on007181(target: Path) -> Filled:
    """Neuralgia: a night's EEG and a resting BOLD of another day. Eight hours fit at 8 Hz."""
    skeleton = Skeleton("on007181", target, ("01", "02", "30"))
    skeleton.copy()
    for sidecar in target.rglob("*_eeg.json"):
        _lower_rate(sidecar, 8)
    for path in skeleton.originals(r"_bold\.nii"):
        write_bold(target / path, 240, tr_s=2.0)
    for path in skeleton.originals(r"_eeg\.edf"):
        stem = (target / path).as_posix().removesuffix("_eeg.edf")
        units = {row["name"]: row["units"] for row in read_tsv(Path(f"{stem}_channels.tsv"))}
        duration_s = 30 * len(read_tsv(Path(f"{stem}_events.tsv")))
        write_edf(target / path, duration_s=duration_s, units=units, sfreq=8)
    return Filled(target)


FILLERS: dict[str, Callable[[Path], Any]] = {
    "ds002336": fill_ds002336,
    "ds002158": fill_ds002158,
    "ds002725": fill_ds002725,
    "eeg_rest_fmri": fill_eeg_rest_fmri,
    "ds004000": fill_ds004000,
    "on007181": fill_on007181,
}
