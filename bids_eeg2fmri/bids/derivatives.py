"""Write derivatives: names, sidecars, dataset_description. The only one that knows output names.

Every file appears whole or not at all: it is written under a hidden name and then renamed.
"""

import datetime
import json
import os
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd

from bids_eeg2fmri import __version__
from bids_eeg2fmri.bids.recordings import Recording
from bids_eeg2fmri.errors import MissingFilesError, OutputError

# What BIDS has no name for yet. Patterns without a trailing slash: the validator does not take one.
BIDSIGNORE = (
    *(
        "*.html",
        "*_summary.json",
        "*_timeseries.*",
        "*_desc-synth_events.tsv",
        "*_statmap.*",
        "*_xfm.*",
        "*_scores.*",
        "group_*",
    ),
    "models",
)

README = """\
# Synthesized BOLD

BOLD series in this dataset whose names hold `desc-synth` were synthesized from EEG by bids_eeg2fmri. THEY ARE NOT
MEASUREMENTS. Read `sub-<label>.html` before use: it says whether the synthesis is better than chance and than
baselines that ignore the EEG.

- `sub-*/func/*_desc-synth_bold.nii.gz`: percent signal change predicted from EEG on top of a mean image, in the unit of
  the source; 0 outside the brain mask.
- `*_desc-synth_timeseries.tsv`: for each volume its onset, the fold that it was held out in, and whether it was
  synthesized or holds the mean image: for want of EEG before it, or because the magnetization was not steady yet.
- `*_desc-alignment_timeseries.tsv`, `.json`: where each volume lies on the EEG's clock, and the evidence for it.
- `*_desc-synth_events.tsv`: events on the clock of the volumes, for a GLM on the synthesized series.
- `*_desc-synth_statmap.nii.gz`: correlation over time of synthesized and measured BOLD, voxel by voxel.
- `*_desc-error_statmap.nii.gz`: how far from the synthesized change the measured one is to be expected: a standard
  deviation, in percent signal change.
- `*_contrast-*_desc-measured_statmap.nii.gz`, `*_contrast-*_desc-synth_statmap.nii.gz`: where there are events, z maps of
  a first-level GLM on the measured series, and of the synthesized series' effect in the noise of the measurement.
- `*_desc-regions_timeseries.tsv`: measured and synthesized percent signal change of each region.
- `*_xfm.nii.gz`, where recorded BOLD was normalized: where each voxel of the template lies in it.
- `*_desc-samples_timeseries.npz`: what the group level reads.
- `*_desc-preproc_eeg.vhdr`, where it was asked for: the EEG as it was used, cleaned and downsampled.
- `sub-*/sub-*_scores.tsv`, `sub-*/sub-*_summary.json`: the numbers of the report.
- `models`: trained models, to be used with `--model`.
- `logs/*.log`: what each run did; `logs/CITATION.md`, `.bib`: the methods in words, for a paper.
"""


class Derivatives:
    """A derivative dataset on disk.

    Parameters
    ----------
    root : Path
    source : Path
        The raw dataset, which is never written to.
    links : mapping, optional
        Name to folder of other datasets that files come from.
    """

    def __init__(self, root: Path, source: Path, links: Mapping[str, Path] | None = None):
        self.root = root
        self.source = source
        self.links = links or {}

    def create(self) -> None:
        """Make the folder and the files of the dataset.

        Raises
        ------
        OutputError
            If the folder can't be created or written to, or lies within the source.
        """
        root, source = self.root.resolve(), self.source.resolve()
        # BIDS keeps derivatives of a dataset in its folder `derivatives`; elsewhere we would change the input.
        inside = root == source or source in root.parents
        if inside and (root == source or root.relative_to(source).parts[0] != "derivatives"):
            raise OutputError(
                f"{self.root}: the output lies inside the input, which is never written to; choose another folder"
            )
        self.make_folder()
        description = {
            "Name": "BOLD synthesized from EEG",
            "BIDSVersion": "1.10.0",
            "DatasetType": "derivative",
            "License": "CC0",
            "GeneratedBy": [{"Name": "bids_eeg2fmri", "Version": __version__}],
            "DatasetLinks": {
                name: os.path.relpath(folder.resolve(), root) for name, folder in {"raw": source, **self.links}.items()
            },
        }
        self._write_text("dataset_description.json", _json(description))
        self._write_text("README.md", README)
        self._write_text(".bidsignore", "\n".join(BIDSIGNORE) + "\n")
        self._write_text(
            "descriptions.tsv",
            "desc_id\tdescription\n"
            "desc-synth\tsynthesized from EEG by bids_eeg2fmri, not measured\n"
            "desc-measured\tfrom the measured BOLD, to compare with what was synthesized\n"
            "desc-brain\tbrain mask of the mean image\n"
            "desc-alignment\twhere each volume lies on the clock of the EEG\n"
            "desc-regions\tmeans of regions\n"
            "desc-samples\twhat the group level reads\n"
            "desc-preproc\tEEG as it was used: cleaned and downsampled\n",
        )

    def make_folder(self) -> None:
        """Make the folder.

        Raises
        ------
        OutputError
            If it can't be created or written to.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root):
                pass
        except OSError as error:
            raise OutputError(
                f"{self.root}: expected a folder to write to, found {error.strerror}; choose another"
            ) from error

    def write_judgement(
        self, summary: Mapping[str, Any], scores: pd.DataFrame, r_map: nib.Nifti1Image
    ) -> dict[str, Any]:
        """Write what is to be said of a prediction that came from elsewhere; the folder is no dataset then.

        Returns
        -------
        dict
            The summary as it was written.
        """
        self._write_table(Path("scores.tsv"), scores)
        self._write_image(Path("r.nii.gz"), r_map, None)
        text = _json(summary)
        self._write_text("summary.json", text)
        return json.loads(text)

    # ------------------------------------------------------------------------------------------------ of a recording

    def folder(self, recording: Recording, datatype: str) -> Path:
        """Folder of a recording's files, relative to the root."""
        session = [part for part in recording.name.split("_") if part.startswith("ses-")]
        return Path(f"sub-{recording.subject}", *session, datatype)

    def write_bold(
        self, recording: Recording, image: nib.Nifti1Image, sidecar: Mapping[str, Any], *, space: str = ""
    ) -> Path:
        """Write the synthesized series as 16-bit integers with a scale factor.

        ``space``, here and below, are the entities of a space that is not the series' own: ``space-T1w``.
        """
        path = self._image(recording, "desc-synth_bold", space)
        data = np.asarray(image.dataobj)
        slope = max(float(np.abs(data).max()), 1e-6) / 32767  # no intercept: 0 stays 0 outside the mask
        stored = nib.Nifti1Image(np.rint(data / slope).astype(np.int16), image.affine, image.header)
        stored.set_data_dtype(np.int16)
        stored.header.set_slope_inter(slope, 0)
        required = {
            "Description": "BOLD synthesized from EEG by bids_eeg2fmri; not a measurement.",
            "TaskName": (recording.bold_metadata or recording.eeg_metadata).get("TaskName", _task_of(recording)),
            "RepetitionTime": float(image.header.get_zooms()[3]),
            "SkullStripped": True,
            "Units": "arbitrary",
            "Sources": self.sources(recording),
        }
        self._write_image(path, stored, required | dict(sidecar))
        return path

    def write_mask(self, recording: Recording, image: nib.Nifti1Image, *, space: str = "") -> Path:
        path = self._image(recording, "desc-brain_mask", space)
        self._write_image(path, image, {"Type": "Brain", "Sources": self.sources(recording)})
        return path

    def write_map(self, recording: Recording, image: nib.Nifti1Image, *, space: str = "") -> Path:
        """Write the correlation of measured and synthesized BOLD."""
        path = self._image(recording, "desc-synth_statmap", space)
        self._write_image(path, image, {"Description": "Pearson r over time, synthesized against measured BOLD"})
        return path

    def write_error(self, recording: Recording, image: nib.Nifti1Image, *, space: str = "") -> Path:
        """Write how far from the synthesized BOLD the measured one is to be expected."""
        path = self._image(recording, "desc-error_statmap", space)
        told = {
            "Description": "Standard deviation of measured around synthesized BOLD, drift removed, as told by volumes that the "
            "models had not learned from and that were not these",
            "Units": "percent signal change",
        }
        self._write_image(path, image, told)
        return path

    def write_task_map(
        self,
        recording: Recording,
        contrast: str,
        side: str,
        image: nib.Nifti1Image,
        told: Mapping[str, Any],
        *,
        space: str = "",
    ) -> Path:
        """Write the z map of a contrast.

        Parameters
        ----------
        recording : Recording
        contrast : str
            See :func:`labels_of`.
        side : str
            "measured" or "synthesized".
        image : Nifti1Image
        told : mapping
            What else the sidecar tells.
        """
        desc, description = {
            "measured": ("measured", "First-level GLM of the measured BOLD: z of the contrast"),
            "synthesized": (
                "synth",
                "First-level GLM of BOLD synthesized from EEG by bids_eeg2fmri, not a measurement: effect of the contrast in the "
                "synthesized series, as z in the noise of the measured series. The models of all held-out blocks together have "
                "seen the whole run, so likeness to the map of the measured run is no evidence; see task in the summary",
            ),
        }[side]
        path = self._image(recording, f"contrast-{contrast}_desc-{desc}_statmap", space)
        required = {"Description": description, "Units": "z", "Sources": self.sources(recording)}
        self._write_image(path, image, required | dict(told))
        return path

    def write_transform(
        self, recording: Recording, image: nib.Nifti1Image, template: str, told: Mapping[str, Any]
    ) -> Path:
        """Write where each voxel of a template lies in the series as recorded: x, y and z in mm, RAS, along the fourth axis."""
        path = self._image(recording, f"from-{template}_to-native_mode-points_xfm", "")
        description = (
            "Where the center of each voxel of the template lies in the BOLD as recorded: x, y and z in mm, RAS, along the fourth "
            "axis; NaN beyond its field of view"
        )
        self._write_image(path, image, {"Description": description, "Sources": self.sources(recording)} | dict(told))
        return path

    def write_volumes(self, recording: Recording, table: pd.DataFrame) -> Path:
        return self._write_table(self._series(recording, "synth"), table)

    def write_alignment(self, recording: Recording, table: pd.DataFrame, told: Mapping[str, Any]) -> Path:
        """Write where each volume lies on the EEG's clock, with the evidence for it in the sidecar."""
        path = self._series(recording, "alignment")
        columns = {
            "onset": {
                "Description": "Onset of the volume from the start of the EEG file, by the clock model",
                "Units": "s",
            },
            "marker": {"Description": "The volume's marker as recorded", "Units": "s"},
            "residual": {"Description": "Marker minus onset", "Units": "ms"},
            "eeg": {"Description": "Whether EEG was recorded at the onset"},
        }
        self._write_text(path.with_suffix(".json"), _json({**told, "Sources": self.sources(recording), **columns}))
        return self._write_table(path, table)

    def write_events(self, recording: Recording, table: pd.DataFrame) -> Path:
        """Write events on the clock of the volumes: ``onset`` in s from the first one."""
        return self._write_table(self.folder(recording, "func") / f"{recording.name}_desc-synth_events.tsv", table)

    def write_regions(self, recording: Recording, table: pd.DataFrame) -> Path:
        return self._write_table(self._series(recording, "regions"), table)

    def write_samples(self, recording: Recording, **arrays: np.ndarray) -> Path:
        """Write what the group level needs of a recording: numbers and strings, no pickles."""
        path = self.folder(recording, "eeg") / f"{recording.name}_desc-samples_timeseries.npz"
        with self._replacing(path) as part:
            np.savez(part, **arrays)  # type: ignore[arg-type]
        return path

    def write_eeg(
        self,
        recording: Recording,
        data: np.ndarray,
        sfreq: float,
        channels: Sequence[str],
        *,
        start_s: float,
        onsets_s: np.ndarray,
        told: Mapping[str, Any],
    ) -> Path:
        """Write EEG as BrainVision, with its channels, events and sidecar.

        Parameters
        ----------
        data : array of shape (channels, samples)
            In V.
        start_s : float
            When it starts, in s of the source.
        onsets_s : array of shape (volumes,)
            From its first sample on; those outside are left out.
        told : mapping
            What else the sidecar tells.
        """
        import pybv

        stem = f"{recording.name}_desc-preproc"
        folder = self.folder(recording, "eeg")
        inside = onsets_s[(onsets_s >= 0) & (onsets_s < (data.shape[1] - 1) / sfreq)]
        markers = [{"onset": int(sample), "type": "Response", "description": 128} for sample in np.rint(inside * sfreq)]
        # The header goes last: a file that can be opened is complete.
        with self._replacing(folder / f"{stem}_eeg.vhdr") as part:
            made = Path(tempfile.mkdtemp(prefix=".part_", dir=part.parent))
            try:
                pybv.write_brainvision(
                    data=data,
                    sfreq=sfreq,
                    ch_names=list(channels),
                    fname_base=f"{stem}_eeg",
                    folder_out=str(made),
                    events=markers,
                    fmt="binary_float32",
                )
                for ending in ("eeg", "vmrk"):
                    os.replace(made / f"{stem}_eeg.{ending}", part.parent / f"{stem}_eeg.{ending}")
                os.replace(made / f"{stem}_eeg.vhdr", part)
            finally:
                shutil.rmtree(made, ignore_errors=True)
        metadata = recording.eeg_metadata
        sidecar = {
            "Description": "EEG from which BOLD was synthesized: cleaned and downsampled by bids_eeg2fmri.",
            "TaskName": metadata.get("TaskName", _task_of(recording)),
            "SamplingFrequency": sfreq,
            "EEGReference": metadata.get("EEGReference", "n/a"),
            "PowerLineFrequency": metadata.get("PowerLineFrequency", "n/a"),
            "RecordingDuration": data.shape[1] / sfreq,
            "RecordingType": "continuous",
            "StartInSource": start_s,
            "Sources": [uri for uri in self.sources(recording) if "/eeg/" in uri],
        }
        self._write_text(folder / f"{stem}_eeg.json", _json(sidecar | dict(told)))
        interpolated = dict(told.get("Interpolated") or {})
        table = pd.DataFrame({"name": list(channels), "type": "EEG", "units": "uV", "sampling_frequency": sfreq})
        table["status"] = "good"
        table["status_description"] = [
            f"interpolated: {interpolated[name]}" if name in interpolated else "n/a" for name in channels
        ]
        self._write_table(folder / f"{stem}_channels.tsv", table)
        if len(inside):
            events = pd.DataFrame({"onset": inside, "duration": 0.0, "trial_type": "volume"})
            self._write_table(folder / f"{stem}_events.tsv", events)
        return folder / f"{stem}_eeg.vhdr"

    def read_samples(
        self, relative: str, *, only: Sequence[str] = (), leave_out: Sequence[str] = ()
    ) -> dict[str, np.ndarray]:
        """Read what :meth:`write_samples` wrote, or some of it: what is not asked for is not loaded."""
        with np.load(self.root / relative, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in (only or arrays.files) if name not in leave_out}

    def read_image(self, relative: str) -> nib.Nifti1Image:
        """Open an image of this dataset; its voxels are loaded when they are asked for."""
        return nib.load(self.root / relative)

    def read_regions(self, relative: str) -> pd.DataFrame:
        """Read what :meth:`write_regions` wrote; NaN for volumes that were not judged."""
        return pd.read_csv(self.root / relative, sep="\t", na_values="n/a")

    def sources(self, recording: Recording) -> list[str]:
        """BIDS URIs of the files that a recording was made of."""
        preprocessed = recording.preprocessed
        files = [recording.eeg, recording.bold, *([] if preprocessed is None else [preprocessed.path])]
        return [f"bids:{self.locate(file)}" for file in files if file is not None]

    def locate(self, file: Path) -> str:
        """Name the dataset that a file lies in, and its path there: ``raw:sub-01/eeg/...``."""
        # The innermost one: derivatives may lie within the raw dataset.
        links = sorted(self.links.items(), key=lambda link: -len(link[1].parts))
        for name, folder in (*links, ("raw", self.source)):
            if file.is_relative_to(folder):
                return f"{name}:{file.relative_to(folder).as_posix()}"
        return str(file)

    def _image(self, recording: Recording, kind: str, space: str) -> Path:
        parts = [recording.name, *([space] if space else []), kind]
        # In the order of BIDS: a contrast stands behind the space, a description last.
        return self.folder(recording, "func") / f"{'_'.join(parts)}.nii.gz"

    def _series(self, recording: Recording, desc: str) -> Path:
        return self.folder(recording, "func") / f"{recording.name}_desc-{desc}_timeseries.tsv"

    # ---------------------------------------------------------------------------------------- of a participant, a group

    def write_participant(self, subject: str, summary: Mapping[str, Any], scores: pd.DataFrame | None) -> None:
        """Write a participant's summary and scores, and bring participants.tsv up to date."""
        if scores is not None:
            self._write_table(Path(f"sub-{subject}", f"sub-{subject}_scores.tsv"), scores)
        self._write_text(Path(f"sub-{subject}", f"sub-{subject}_summary.json"), _json(summary))
        self.update_participants()

    def write_failure(self, subject: str, message: str) -> None:
        """Note why a participant has no results, for the group level."""
        self._write_text(Path("logs", f"sub-{subject}_failed.txt"), message + "\n")

    def read_failures(self) -> list[dict[str, str]]:
        """List participants who have no results, with the reason."""
        reasons = {
            folder.name: "has files but no summary: the participant level was stopped or is still running"
            for folder in sorted(self.root.glob("sub-*"))
            if folder.is_dir() and not (folder / f"{folder.name}_summary.json").exists()
        }
        for path in sorted(self.root.glob("logs/sub-*_failed.txt")):
            reasons[path.name.removesuffix("_failed.txt")] = path.read_text().strip()
        return [{"name": name, "reason": reason} for name, reason in reasons.items()]

    def remove_participant(self, subject: str) -> None:
        """Forget what an earlier run concluded, so that a run that fails now does not leave it standing."""
        for path in (
            self.root / f"sub-{subject}" / f"sub-{subject}_summary.json",
            self.root / f"sub-{subject}.html",
            self.root / "logs" / f"sub-{subject}_failed.txt",
        ):
            path.unlink(missing_ok=True)

    def read_summaries(self) -> list[dict[str, Any]]:
        """Read the summary of every participant that is done.

        Raises
        ------
        MissingFilesError
            If there is none.
        """
        paths = sorted(self.root.glob("sub-*/sub-*_summary.json"))
        if not paths:
            raise MissingFilesError(
                f"{self.root}: expected results of the participant level (sub-*/sub-*_summary.json), found none; run "
                "`bids_eeg2fmri <bids_dir> <output_dir> participant` first"
            )
        return [json.loads(path.read_text()) for path in paths]

    def read_summary(self, subject: str) -> dict[str, Any]:
        """Read the summary of one participant."""
        return json.loads((self.root / f"sub-{subject}" / f"sub-{subject}_summary.json").read_text())

    def list_done(self) -> list[str]:
        """List the labels of participants who have a summary."""
        return sorted(path.parent.name.removeprefix("sub-") for path in self.root.glob("sub-*/sub-*_summary.json"))

    def read_group_summary(self) -> dict[str, Any]:
        """Read the summary of the group level.

        Raises
        ------
        MissingFilesError
            If there is none.
        """
        path = self.root / "group_summary.json"
        try:
            return json.loads(path.read_text())
        except FileNotFoundError:
            raise MissingFilesError(
                f"{path}: expected results of the group level, found none; run `bids_eeg2fmri <bids_dir> <output_dir> group` "
                "first"
            ) from None

    def write_report(self, name: str, html: str) -> Path:
        self._write_text(f"{name}.html", html)
        return self.root / f"{name}.html"

    def write_citation(self, text: str, bibliography: str) -> list[Path]:
        """Write the methods in words with what they cite."""
        contents = {"CITATION.md": text, "CITATION.bib": bibliography}
        for name, content in contents.items():
            self._write_text(Path("logs", name), content)
        return [self.root / "logs" / name for name in contents]

    def create_log(self, level: str) -> Path:
        """Make an empty file for the log of this process.

        Raises
        ------
        OutputError
            If it can't be created.
        """
        stem = f"{level}_{datetime.datetime.now():%Y%m%dT%H%M%S}_{os.getpid()}"
        folder, number = self.root / "logs", 1
        try:
            folder.mkdir(exist_ok=True)
            while True:
                path = folder / f"{stem}{f'_{number}' if number > 1 else ''}.log"
                try:
                    path.touch(exist_ok=False)
                    return path
                except FileExistsError:  # in containers that start together, processes have the same numbers
                    number += 1
        except OSError as error:
            raise OutputError(
                f"{folder}: expected a folder to write a log to, found {error.strerror or error}; choose another output"
            ) from error

    def remove_group(self) -> None:
        """Forget what an earlier run concluded of the group."""
        for pattern in ("group_*.tsv", "group_*.nii.gz", "group_summary.json", "group.html"):
            for path in self.root.glob(pattern):
                path.unlink()

    def write_group(self, summary: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]) -> None:
        for name, table in tables.items():
            self._write_table(Path(f"group_{name}.tsv"), table)
        self._write_text("group_summary.json", _json(summary))

    def write_group_map(self, name: str, image: nib.Nifti1Image) -> Path:
        path = Path(f"group_{name}.nii.gz")
        self._write_image(path, image, None)
        return path

    def model_folder(self, name: str) -> Path:
        return self.root / "models" / name

    def update_participants(self) -> None:
        """Write participants.tsv: a row for everybody who has a folder."""
        # Rebuilt from what each participant wrote, so participants may be processed at the same time.
        rows = []
        for folder in sorted(self.root.glob("sub-*")):
            if folder.is_dir():
                path = folder / f"{folder.name}_summary.json"
                try:
                    covariates = json.loads(path.read_text()).get("covariates", {})
                except FileNotFoundError:  # not done yet, or being done anew
                    covariates = {}
                rows.append({"participant_id": folder.name, **covariates})
        self._write_table(Path("participants.tsv"), pd.DataFrame(rows))

    # ------------------------------------------------------------------------------------------------------ atomically

    @contextmanager
    def _replacing(self, relative: str | Path):
        """Give a hidden path beside the target; rename it when all went well, remove it when not."""
        path = self.root / relative
        ending = "".join(path.suffixes) or path.name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=".part_", suffix=ending, dir=path.parent)
            os.close(handle)
            part = Path(name)
            try:
                yield part
                part.chmod(0o666 & ~_umask())
                os.replace(part, path)
            finally:
                part.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(
                f"{path}: cannot be written ({error.strerror or error}); free space or choose another folder"
            ) from error

    def _write_text(self, relative: str | Path, text: str) -> None:
        with self._replacing(relative) as part:
            part.write_text(text, encoding="utf-8")

    def _write_table(self, relative: Path, table: pd.DataFrame) -> Path:
        with self._replacing(relative) as part:
            table.to_csv(part, sep="\t", index=False, na_rep="n/a", float_format=_readable)
        return relative

    def _write_image(self, relative: Path, image: nib.Nifti1Image, sidecar: Mapping[str, Any] | None) -> None:
        with self._replacing(relative) as part:
            image.to_filename(part)
        if sidecar is not None and "_res-" in relative.name:
            voxel = " x ".join(f"{size:.3g}" for size in image.header.get_zooms()[:3])
            sidecar = {"Resolution": f"voxels of {voxel} mm"} | dict(sidecar)
        if sidecar is not None:
            self._write_text(str(relative).removesuffix(".nii.gz") + ".json", _json(sidecar))


def _task_of(recording: Recording) -> str:
    return next((part[5:] for part in recording.name.split("_") if part.startswith("task-")), "unknown")


def labels_of(names: Sequence[str]) -> list[str]:
    """Make labels for file names: letters and digits, unlike each other also where capitals don't count.

    Examples
    --------
    >>> labels_of(["faces", "faces - houses", "Fäces", "<顔>", "<手>"])
    ['faces', 'facesMinusHouses', 'Faces2', 'contrast4', 'contrast5']
    """
    labels: list[str] = []
    for number, name in enumerate(names, 1):
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
        first, *others = re.findall("[0-9A-Za-z]+", plain.replace(" - ", " minus ")) or [f"contrast{number}"]
        # A name of a file has at most 255 characters.
        label = wanted = (first + "".join(word[0].upper() + word[1:] for word in others))[:80]
        copy = 2
        while label.lower() in (taken.lower() for taken in labels):
            label, copy = f"{wanted}{copy}", copy + 1
        labels.append(label)
    return labels


def _readable(value: Any) -> str:
    """Six digits, and for times late in a recording tenths of a millisecond."""
    return f"{value:.6g}" if abs(value) < 100 else f"{round(value, 4):.12g}"


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(_plain(content), indent=2, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    """Make numbers, strings, lists and dicts of what JSON does not know; NaN becomes null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value
