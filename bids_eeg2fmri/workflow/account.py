"""What becomes of a participant's recordings: the books that are kept, and the files that are written along the way."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bids_eeg2fmri.bids.derivatives import Derivatives
from bids_eeg2fmri.bids.index import Filters
from bids_eeg2fmri.bids.recordings import Pipeline, Recording
from bids_eeg2fmri.bold.grid import percent_change
from bids_eeg2fmri.config import Settings
from bids_eeg2fmri.eeg.alignment import Alignment
from bids_eeg2fmri.eeg.gradient import HIGH_PASS_HZ
from bids_eeg2fmri.errors import Eeg2FmriError
from bids_eeg2fmri.workflow.montage import describe_montage
from bids_eeg2fmri.workflow.preparation import Prepared
from bids_eeg2fmri.workflow.scoring import Scores


@dataclass(frozen=True)
class Task:
    """What to do with every participant.

    Attributes
    ----------
    dataset : Path
    derivatives : Derivatives
    filters : mapping
        See ``bids.index``.
    bundle : Path or None
        A saved synthesizer to apply; None trains.
    pipelines : sequence of Pipeline
        Other derivative datasets, with preprocessed BOLD or cleaned EEG.
    work_dir : Path or None
        Where an interrupted training finds how far it came.
    fine_tune : bool
        Whether the bundle is tuned to each participant, rather than applied.
    """

    dataset: Path
    derivatives: Derivatives
    settings: Settings
    seed: int = 0
    filters: Filters = field(default_factory=dict)
    bundle: Path | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    pipelines: Sequence[Pipeline] = ()
    work_dir: Path | None = None
    fine_tune: bool = False


class Account:
    """Keep the books of a participant: what became of each recording, and where its files are."""

    def __init__(
        self,
        task: Task,
        subject: str,
        recordings: Sequence[Recording],
        failed: Sequence[tuple[Recording, Eeg2FmriError]],
        covariates: Mapping[str, Any],
        frame_s: float,
    ):
        self.task = task
        self.derivatives = task.derivatives
        self.subject = subject
        self.covariates = covariates
        self.settings, self.settings_hash = task.settings.as_dict(), task.settings.hash
        self.frame_s = frame_s
        self.scores: Scores | None = None
        self.results: dict[str, Any] = {}
        self.entries: dict[Path, dict[str, Any]] = {
            r.file: {
                "name": r.name,
                "eeg": self._named(r.eeg),
                "bold": self._named(r.bold),
                "decision": r.status,
                "pairing": r.reason,
                "status": "not used",
                "remark": f"{r.status}: {r.reason}",
                "files": {},
            }
            for r in recordings
        }
        for recording, error in failed:
            self.note(recording, "failed", str(error))

    def _named(self, file: Path | None) -> str | None:
        """Give a file's path in the raw dataset; in another one, with that one's name."""
        return self.derivatives.locate(file).removeprefix("raw:") if file is not None else None

    def note(self, recording: Recording, status: str, remark: str) -> None:
        self.entries[recording.file] |= {"status": status, "remark": remark}

    def file(self, recording: Recording, kind: str, path: Path) -> None:
        self.entries[recording.file]["files"][kind] = path.as_posix()

    def alignment(self, p: Prepared) -> None:
        entry = self.entries[p.recording.file]
        entry |= {"n_volumes": p.n_volumes, "tr_s": p.tr_s, "first_volume_s": float(p.onsets_s[0])}
        if p.alignment is not None:
            a = p.alignment
            residual_ms = 1000 * (a.markers_s - a.onsets_s)
            entry["alignment"] = {
                "evidence": a.evidence,
                "notes": list(a.notes),
                "drift_ppm": a.drift_ppm,
                "jitter_ms": a.jitter_ms,
                "residual_ms": np.round(residual_ms, 3).tolist(),
                "onset_s": np.round(a.onsets_s, 5).tolist(),
                "others_s": np.round(a.others_s, 4).tolist(),
                "code": a.code,
                "eeg_duration_s": p.duration_s,
            }
            self._write_alignment(p, a, residual_ms)
            entry["event_conflicts"] = list(p.event_conflicts)
            if p.events is not None:
                # On the volumes' clock, beside the synthesized series.
                self.file(p.recording, "events", self.derivatives.write_events(p.recording, p.events))
        if p.cleaned is not None:
            self._write_cleaned(p)
        if p.bold_done is not None:
            entry["bold_done"] = p.bold_done
        if p.points_mm is not None and p.grid is not None:
            self._write_transform(p)
        spectrum = p.spectrum
        found = {
            "gradient": p.gradient,
            "wires": p.wires,
            "pulse": p.pulse,
            "bad_channels": p.bad_channels,
            "montage": p.montage,
        }
        entry |= {name: asdict(told) for name, told in found.items() if told is not None}
        entry["spectrum"] = {
            "freqs_hz": spectrum.freqs_hz.tolist(),
            "channels": list(spectrum.channels),
            "mean_db": np.round(spectrum.power.mean(0), 2).tolist(),
            "positions_m": p.positions,
        }

    def _write_cleaned(self, p: Prepared) -> None:
        """Write the EEG as it was used, its volumes as markers."""
        assert p.cleaned is not None
        replaced = dict(p.bad_channels.reasons) if p.bad_channels is not None and p.bad_channels.interpolated else {}
        if p.montage is not None:
            missing = dict.fromkeys(p.montage.distances_mm, "is not among the channels of the recording")
            replaced = missing | replaced
        done = {"gradient": p.gradient, "wires": p.wires, "pulse": p.pulse}
        filters = {"Low-pass before downsampling": {"half-amplitude frequency (Hz)": p.cleaned.sfreq / 2}}
        if any(artefact is not None and artefact.corrected for artefact in done.values()):
            filters["High-pass, Butterworth, zero phase"] = {"half-power frequency (Hz), each way": HIGH_PASS_HZ}
        told = {
            "SoftwareFilters": filters,
            "Subtracted": [name for name, artefact in done.items() if artefact is not None and artefact.corrected],
            "Interpolated": replaced,
        }
        c = p.cleaned
        onsets_s = p.onsets_s - c.start_s if p.alignment is not None else np.array([])
        path = self.derivatives.write_eeg(
            p.recording, c.data, c.sfreq, c.channels, start_s=c.start_s, onsets_s=onsets_s, told=told
        )
        self.file(p.recording, "cleaned_eeg", path)

    def _write_transform(self, p: Prepared) -> None:
        """Write where the template's voxels lie in the BOLD as recorded, before its first volume was left by the head."""
        assert p.points_mm is not None
        assert p.grid is not None
        assert p.bold_done is not None
        told = {"Affine": p.bold_done["normalization"]["affine"], "Overlap": p.bold_done["normalization"]["overlap"][1]}
        image = p.grid.image_of(p.points_mm)
        path = self.derivatives.write_transform(p.recording, image, p.grid.space, told)
        self.file(p.recording, "transform", path)

    def _write_alignment(self, p: Prepared, a: Alignment, residual_ms: np.ndarray) -> None:
        volumes = pd.DataFrame(
            {
                "volume": np.arange(p.n_volumes),
                "onset": a.onsets_s,
                "marker": a.markers_s,
                "residual": np.round(residual_ms, 3) + 0.0,
                "eeg": (a.onsets_s >= 0) & (a.onsets_s < p.duration_s),
            }
        )
        told = {
            "Decision": p.recording.status,
            "Pairing": p.recording.reason,
            "Evidence": a.evidence,
            "Notes": list(a.notes),
            "Marker": a.code,
            "RepetitionTime": p.tr_s,
            "RepetitionTimeByEEG": round(a.tr_s, 9),
            "DriftPPM": round(a.drift_ppm, 2),
            "Jitter": round(a.jitter_ms, 3),
        }
        self.file(p.recording, "alignment", self.derivatives.write_alignment(p.recording, volumes, told))

    def samples(self, p: Prepared) -> None:
        """Write what the group level reads; the measured BOLD as percent change from its own mean."""
        self.alignment(p)
        arrays: dict[str, np.ndarray] = {
            "power": p.spectrum.power,
            "freqs_hz": p.spectrum.freqs_hz,
            "ends_s": p.spectrum.ends_s,
            "channels": np.array(p.spectrum.channels),
            "positions_m": np.array([xyz or [np.nan] * 3 for xyz in p.positions]),
            "onsets_s": p.onsets_s,
            "tr_s": np.array(p.tr_s),
            "step_s": np.array(p.step_s),
            "frame_s": np.array(self.frame_s),
            "fingerprint": np.array(p.fingerprint),
        }
        if p.spectrum.signal is not None:
            arrays |= {"signal": p.spectrum.signal, "sfreq": np.array(p.spectrum.sfreq)}
        known = {"motion": p.motion, "cardiac": p.cardiac, "confounds": p.confounds, "usable": p.usable}
        arrays |= {name: columns for name, columns in known.items() if columns is not None}
        if p.table is not None and p.grid is not None:
            baseline = p.mean
            arrays |= {
                "mask": p.grid.mask,
                "affine": p.grid.affine,
                "space_code": np.array(p.grid.space_code),
                "space": np.array(p.grid.space),
                "resolution": np.array(p.grid.resolution),
                "baseline": baseline,
                "change": percent_change(p.table, baseline).astype(np.float32),
            }
        self.file(p.recording, "samples", self.derivatives.write_samples(p.recording, **arrays))

    def synthesized(
        self, p: Prepared, synthesizer_grid, intensities: np.ndarray, volumes: pd.DataFrame, sidecar: Mapping[str, Any]
    ) -> None:
        """Write a recording's series with its mask, its table of volumes."""
        d = self.derivatives
        image = synthesizer_grid.image(intensities, tr_s=p.tr_s)
        self.file(
            p.recording, "synthesized", d.write_bold(p.recording, image, sidecar, space=synthesizer_grid.entities)
        )
        mask = synthesizer_grid.image_of(synthesizer_grid.mask.astype(np.uint8))
        self.file(p.recording, "mask", d.write_mask(p.recording, mask, space=synthesizer_grid.entities))
        self.file(p.recording, "volumes", d.write_volumes(p.recording, volumes))
        n = int(volumes.synthesized.sum())
        unsteady = p.usable is not None and bool((~p.usable & ~volumes.synthesized).any())
        why = "for want of EEG before them, or as BOLD that is of no use" if unsteady else "for want of EEG before them"
        some = f"{n} of {len(volumes)} volumes; the others hold the mean image {why}"
        self.note(p.recording, "synthesized", some if n < len(volumes) else f"all {n} volumes")

    def sidecar(self, p: Prepared, model: Mapping[str, Any], scores: Scores | None) -> dict[str, Any]:
        told: dict[str, Any] = {"Model": dict(model), "SettingsHash": self.settings_hash, "Settings": self.settings}
        told["RepetitionTime"] = p.tr_s  # the header's is in single precision
        if p.bold_done is not None:
            told["MeasuredBOLD"] = {key: value for key, value in p.bold_done.items() if key != "motion"} | (
                {"motion": {k: v for k, v in p.bold_done["motion"].items() if k != "framewise_mm"}}
                if "motion" in p.bold_done
                else {}
            )
        if p.montage is not None and p.montage.wanted_by:
            told["Montage"] = describe_montage(p.montage)
        if scores is not None:
            first = scores.table.iloc[0]
            told["Scores"] = {"PooledR": float(first.pooled_r), "Skill": float(first.pooled_skill)}
        return told

    def close(self) -> None:
        summary = {
            "participant_id": f"sub-{self.subject}",
            "covariates": self.covariates,
            "recordings": list(self.entries.values()),
            "settings": self.settings,
            "settings_hash": self.settings_hash,
            "provenance": dict(self.task.provenance),
            **self.results,
        }
        self.derivatives.write_participant(
            self.subject, summary, self.scores.table if self.scores is not None else None
        )
