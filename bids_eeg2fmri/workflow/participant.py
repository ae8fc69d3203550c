"""The participant level: from one participant's recordings to synthesized BOLD, scores and a report."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bids_eeg2fmri.bids.derivatives import Derivatives
from bids_eeg2fmri.bids.participants import read_participant
from bids_eeg2fmri.bids.recordings import Recording, find_recordings
from bids_eeg2fmri.bold.grid import percent_change
from bids_eeg2fmri.bold.regions import Regions, tile_regions
from bids_eeg2fmri.config import Settings
from bids_eeg2fmri.eeg.spectrum import relative_to_mean
from bids_eeg2fmri.errors import Eeg2FmriError, InputDataError, MissingFilesError
from bids_eeg2fmri.evaluation.metrics import Course, measure_agreement
from bids_eeg2fmri.training.synthesizer import Synthesizer, load_synthesizer
from bids_eeg2fmri.windows import make_windows
from bids_eeg2fmri.workflow.preparation import Prepared, Sampling, on_common_ground, prepare
from bids_eeg2fmri.workflow.scoring import Scores, judge, nuisance, score
from bids_eeg2fmri.workflow.training import describe_history, gap_volumes, predict_out_of_sample, train_on_all

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """What to do with every participant.

    Attributes
    ----------
    dataset : Path
    derivatives : Derivatives
    filters : mapping
        See ``find_recordings``.
    bundle : Path or None
        A saved synthesizer to apply; None trains.
    """

    dataset: Path
    derivatives: Derivatives
    settings: Settings
    seed: int = 0
    filters: Mapping[str, Mapping[str, Sequence[str] | None]] = field(default_factory=dict)
    bundle: Path | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)


def process_participant(task: Task, subject: str, report: Callable[[str], None]) -> list[tuple[str, Eeg2FmriError]]:
    """Process all recordings of a participant and write everything but the HTML report.

    Parameters
    ----------
    task : Task
    subject : str
    report : callable
        Is told what is being done.

    Returns
    -------
    list of (recording, error)
        Recordings that failed while others went through.

    Raises
    ------
    Eeg2FmriError
        If nothing could be done.
    """
    report("finding recordings")
    recordings = find_recordings(task.dataset, subject, task.filters)
    task.derivatives.remove_participant(subject)  # what an earlier run concluded does not stand beside a failure
    covariates = read_participant(task.dataset, subject)
    with_eeg = [r for r in recordings if r.eeg is not None]
    if not recordings:
        raise MissingFilesError(
            f"{task.dataset / f'sub-{subject}'}: expected EEG (eeg/*_eeg.vhdr, .edf, .bdf, .set) and BOLD "
            "(func/*_bold.nii.gz), found neither; check the names"
        )
    if not with_eeg:
        raise MissingFilesError(
            f"{task.dataset / f'sub-{subject}'}: expected EEG (eeg/*_eeg.vhdr, .edf, .bdf, .set), found BOLD only; "
            "there is nothing to synthesize from"
        )
    if task.bundle is None and not any(r.paired for r in recordings) and any(r.bold for r in recordings):
        bold = next(r for r in recordings if r.bold)
        raise MissingFilesError(
            f"{task.dataset / f'sub-{subject}'}: expected EEG and BOLD with the same entities, found {with_eeg[0].name} with "
            f"EEG and {bold.name} with BOLD ({bold.reason}); rename them if they were recorded together, or apply a model "
            "with --model"
        )

    synthesizer = load_synthesizer(task.bundle) if task.bundle else None
    sampling = (
        Sampling.by_settings(task.settings.spectrum, task.settings.window.step_s)
        if synthesizer is None
        else _sampling_of(synthesizer)
    )
    prepared: list[Prepared] = []
    failed: list[tuple[Recording, Eeg2FmriError]] = []
    for recording in with_eeg:
        report(f"reading {recording.name}")
        try:
            prepared.append(prepare(recording, sampling))
        except Eeg2FmriError as error:
            failed.append((recording, error))
    if not prepared:
        raise failed[0][1]

    account = _Account(task, subject, recordings, failed, covariates, sampling.frame_s)
    if synthesizer is not None:
        failed += _apply(task, account, synthesizer, prepared)
    elif any(p.table is not None for p in prepared):
        _train(task, account, prepared, report)
    else:
        for p in prepared:
            account.samples(p)
            account.note(
                p.recording, "EEG only", "no BOLD to learn from; apply a model with --model, as the group level saves"
            )
    report("writing")
    account.close()
    return [(recording.name, error) for recording, error in failed]


class _Account:
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
        self.entries: dict[str, dict[str, Any]] = {
            r.name: {
                "name": r.name,
                "eeg": r.eeg.relative_to(task.dataset).as_posix() if r.eeg else None,
                "bold": r.bold.relative_to(task.dataset).as_posix() if r.bold else None,
                "pairing": r.reason,
                "status": "not used",
                "remark": r.reason,
                "files": {},
            }
            for r in recordings
        }
        for recording, error in failed:
            self.note(recording, "failed", str(error))

    def note(self, recording: Recording, status: str, remark: str) -> None:
        self.entries[recording.name] |= {"status": status, "remark": remark}

    def file(self, recording: Recording, kind: str, path: Path) -> None:
        self.entries[recording.name]["files"][kind] = path.as_posix()

    def alignment(self, p: Prepared) -> None:
        entry = self.entries[p.recording.name]
        entry |= {"n_volumes": p.n_volumes, "tr_s": p.tr_s, "first_volume_s": float(p.onsets_s[0])}
        if p.alignment is not None:
            a = p.alignment
            residual_ms = 1000 * (a.markers_s - a.onsets_s)
            entry["alignment"] = {
                "evidence": a.evidence,
                "drift_ppm": a.drift_ppm,
                "jitter_ms": a.jitter_ms,
                "residual_ms": np.round(residual_ms, 3).tolist(),
            }
        spectrum = p.spectrum
        entry["spectrum"] = {
            "freqs_hz": spectrum.freqs_hz.tolist(),
            "channels": list(spectrum.channels),
            "mean_db": np.round(spectrum.power.mean(0), 2).tolist(),
            "positions_m": p.positions,
        }

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
        if p.table is not None and p.grid is not None:
            baseline = p.table.mean(0)
            arrays |= {
                "mask": p.grid.mask,
                "affine": p.grid.affine,
                "space_code": np.array(p.grid.space_code),
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
        self.file(p.recording, "synthesized", d.write_bold(p.recording, image, sidecar))
        mask = synthesizer_grid.image_of(synthesizer_grid.mask.astype(np.uint8))
        self.file(p.recording, "mask", d.write_mask(p.recording, mask))
        self.file(p.recording, "volumes", d.write_volumes(p.recording, volumes))
        n = int(volumes.synthesized.sum())
        some = f"{n} of {len(volumes)} volumes; the others hold the mean image for want of EEG before them"
        self.note(p.recording, "synthesized", some if n < len(volumes) else f"all {n} volumes")

    def sidecar(self, p: Prepared, model: Mapping[str, Any], scores: Scores | None) -> dict[str, Any]:
        told: dict[str, Any] = {"Model": dict(model), "SettingsHash": self.settings_hash, "Settings": self.settings}
        told["RepetitionTime"] = p.tr_s  # the header's is in single precision
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


def _train(task: Task, account: _Account, prepared: Sequence[Prepared], report: Callable[[str], None]) -> None:
    """Synthesize every run of a participant by models trained on the rest of them."""
    settings = task.settings
    long_enough, left_out = _without_short_runs([p for p in prepared if p.table is not None], settings)
    runs, other_grid = on_common_ground(long_enough)
    left_out += other_grid
    for recording, reason in left_out:
        account.note(recording, "not used", reason)
    for p in prepared:
        if p.table is None:
            account.samples(p)
            account.note(p.recording, "EEG only", f"{p.recording.reason}; apply a model with --model")
    grid = runs[0].grid
    assert grid is not None
    regions = tile_regions(grid)

    out = predict_out_of_sample(runs, settings, seed=task.seed, report=lambda what: report(f"training, {what}"))
    report("scoring")
    measured = [
        percent_change(run.table, baseline)
        for run, baseline in zip(runs, out.baselines, strict=True)
        if run.table is not None
    ]
    blocks = [np.where(complete, fold, -1) for complete, fold in zip(out.complete, out.folds, strict=True)]
    scores = score(
        measured,
        out.predicted,
        blocks,
        tr_s=[run.tr_s for run in runs],
        regions=regions,
        settings=settings,
        seed=task.seed,
    )
    account.scores = scores
    architecture = settings.training.architecture

    report("training on all volumes")
    card = {
        "trained_on": [run.recording.name for run in runs],
        "fingerprints": [run.fingerprint for run in runs],
        "scores": {
            "pooled_r": float(scores.table.pooled_r.iloc[0]),
            "pooled_skill": float(scores.table.pooled_skill.iloc[0]),
        },
    }
    synthesizer, history = train_on_all(runs, settings, seed=task.seed, card=card)
    synthesizer.card["epochs"] = history.best_epoch
    synthesizer.save(account.derivatives.model_folder(f"sub-{account.subject}"))

    for number, run in enumerate(runs):
        account.samples(run)
        predicted = out.predicted[architecture][number]
        volumes = pd.DataFrame(
            {
                "volume": np.arange(run.n_volumes),
                "onset": run.onsets_s,
                "fold": out.folds[number],
                "synthesized": out.complete[number],
            }
        )
        model = {"Architecture": architecture, "Training": "within participant, block of each volume held out"}
        account.synthesized(
            run, grid, out.baselines[number] * (1 + predicted / 100), volumes, account.sidecar(run, model, scores)
        )
        _write_agreement(account, run, regions, measured[number], predicted, blocks[number], grid)
    account.results = _results(scores, regions, judge(scores, regions, alpha=settings.evaluation.alpha)) | {
        "model": {"architecture": architecture, "bundle": f"models/sub-{account.subject}"},
        "training": describe_history(out.histories),
    }


def _without_short_runs(
    runs: Sequence[Prepared], settings: Settings
) -> tuple[list[Prepared], list[tuple[Recording, str]]]:
    """Leave out runs of which nothing is left to learn from when a block in their middle is held out."""
    needed = {
        id(run): int((2 * gap_volumes(settings, run.tr_s) + 10) / (1 - 1 / settings.training.n_folds)) + 1
        for run in runs
    }
    kept = [run for run in runs if run.n_volumes >= needed[id(run)]]
    if not kept:
        longest = max(runs, key=lambda run: run.n_volumes)
        raise InputDataError(
            f"{longest.recording.bold}: expected at least {needed[id(longest)]} volumes to train on parts of a run and predict "
            f"the rest, found {longest.n_volumes}; apply a saved model with --model"
        )
    return kept, [
        (run.recording, f"too short to train on: {run.n_volumes} volumes, {needed[id(run)]} are needed")
        for run in runs
        if run.n_volumes < needed[id(run)]
    ]


def _apply(
    task: Task, account: _Account, synthesizer: Synthesizer, prepared: Sequence[Prepared]
) -> list[tuple[Recording, Eeg2FmriError]]:
    """Synthesize by a saved model; where BOLD on the same grid exists, score it. Give the recordings that failed."""
    settings = task.settings
    regions = tile_regions(synthesizer.grid)
    lags = np.array(synthesizer.spec.lags_s)
    name = str(synthesizer.card["architecture"])
    seen = set(synthesizer.card.get("fingerprints", []))
    # How EEG was prepared and what was learned is the bundle's; how it was judged, this run's.
    account.settings = synthesizer.card["settings"] | {"evaluation": settings.as_dict()["evaluation"]}
    account.settings_hash = synthesizer.card["settings_hash"]
    scored: list[Prepared] = []
    other_grid: list[Prepared] = []
    measured, predictions, blocks = [], [], []
    outputs = []
    failed: list[tuple[Recording, Eeg2FmriError]] = []
    for p in prepared:
        spectrum = relative_to_mean(p.spectrum) if synthesizer.card["relative_power"] else p.spectrum
        windows = make_windows([spectrum], [p.onsets_s], lags=lags)
        which = np.flatnonzero(windows.complete)
        if not len(which):
            error = InputDataError(
                f"{p.recording.eeg}: no volume has the {lags[-1]:g} s of EEG before it that the model needs; longer EEG is needed"
            )
            account.note(p.recording, "failed", str(error))
            failed.append((p.recording, error))
            continue
        change = np.zeros((p.n_volumes, synthesizer.grid.n_voxels), dtype=np.float32)
        change[which] = synthesizer.predict(windows, which)
        # Percent signal change is relative to the mean of a recording, so its own mean is the template.
        change[which] -= change[which].mean(0)
        account.samples(p)
        outputs.append((p, change, windows.complete))
        if p.table is None or p.grid is None:
            continue
        if not p.grid.same_as(synthesizer.grid):
            other_grid.append(p)
            continue
        values = np.full((p.n_volumes, synthesizer.grid.n_voxels), np.nan, dtype=np.float32)
        inside = p.grid.mask[synthesizer.grid.mask]
        values[:, inside] = percent_change(p.table, p.table.mean(0))[:, synthesizer.grid.mask[p.grid.mask]]
        values = np.nan_to_num(values)
        scored.append(p)
        measured.append(values)
        predictions.append(change)
        blocks.append(np.where(windows.complete, 0, -1))

    if not outputs:
        raise failed[0][1]

    scores = None
    if scored:
        scores = score(
            measured,
            {name: predictions, "mean image": [np.zeros_like(change) for change in predictions]},
            blocks,
            tr_s=[p.tr_s for p in scored],
            regions=regions,
            settings=settings,
            seed=task.seed,
        )
        account.scores = scores
        trained_on = any(p.fingerprint in seen for p in scored)
        verdict = judge(scores, regions, alpha=settings.evaluation.alpha, trained_on=trained_on)
        account.results = _results(scores, regions, verdict)
    else:
        why = (
            "the measured BOLD is on another grid than the model"
            if other_grid
            else "there is no measured BOLD to compare with"
        )
        account.results = {
            "verdict": {
                "headline": f"Not scored: {why}",
                "better_than_chance": None,
                "better_than_baselines": None,
                "sentences": ["Look at the scores of the model on participants whose BOLD was measured."],
            }
        }
    account.results["model"] = {"architecture": name, "bundle": str(task.bundle)}

    template = synthesizer.template[synthesizer.grid.mask]
    for p, change, complete in outputs:
        volumes = pd.DataFrame(
            {"volume": np.arange(p.n_volumes), "onset": p.onsets_s, "fold": np.nan, "synthesized": complete}
        )
        model = {"Architecture": name, "Training": "saved model", "TrainedOn": synthesizer.card.get("trained_on", [])}
        account.synthesized(
            p, synthesizer.grid, template * (1 + change / 100), volumes, account.sidecar(p, model, scores)
        )
    for p in other_grid:
        remark = account.entries[p.recording.name]["remark"]
        account.note(p.recording, "synthesized", f"{remark}; not scored, its BOLD is on another grid than the model")
    for p, values, change, block in zip(scored, measured, predictions, blocks, strict=True):
        _write_agreement(account, p, regions, values, change, block, synthesizer.grid)
    return failed


def _write_agreement(account: _Account, p: Prepared, regions: Regions, measured, predicted, blocks, grid) -> None:
    """Write the map of r of one run and its regions' courses, drift removed from both."""
    out = nuisance(blocks, tr_s=p.tr_s, drift_period_s=account.task.settings.bold.drift_period_s)
    use = blocks >= 0
    agreement = measure_agreement([Course(measured[use], predicted[use], out)])
    account.file(
        p.recording, "r_map", account.derivatives.write_map(p.recording, grid.image(agreement.r.astype(np.float32)))
    )
    q, _ = np.linalg.qr(out)
    columns: dict[str, np.ndarray] = {"onset": p.onsets_s}
    for kind, table in (("measured", measured), ("synthesized", predicted)):
        course = np.full((len(use), len(regions.names)), np.nan)
        means = regions.mean(table[use])
        course[use] = means - q @ (q.T @ means)
        columns |= {f"{name}_{kind}": course[:, i] for i, name in enumerate(regions.names)}
    account.file(p.recording, "regions", account.derivatives.write_regions(p.recording, pd.DataFrame(columns)))


def _results(scores: Scores, regions: Regions, verdict: Mapping[str, Any]) -> dict[str, Any]:
    model = str(scores.table.model.iloc[0])
    results: dict[str, Any] = {
        "verdict": dict(verdict),
        "scores": scores.table.to_dict("records"),
        "regions": [
            {"name": name, "r": float(r)} for name, r in zip(regions.names, scores.regions[model].r, strict=True)
        ],
    }
    if scores.chance is not None and verdict["better_than_chance"] is not None:
        results["chance"] = {
            "pooled_r": scores.chance.pooled_r,
            "p": scores.chance.p,
            "null_pooled_r": np.round(scores.chance.null_pooled_r, 5).tolist(),
        }
        for entry, p in zip(results["regions"], scores.chance.region_p, strict=True):
            entry["p"] = float(p)
    return results


def _sampling_of(synthesizer: Synthesizer) -> Sampling:
    card = synthesizer.card
    return Sampling(
        synthesizer.spec.freqs_hz,
        float(card["frame_s"]),
        float(card["step_s"]),
        channels=synthesizer.spec.channels,
        lags_s=synthesizer.spec.lags_s,
        tr_s=float(card["tr_s"]),
    )
