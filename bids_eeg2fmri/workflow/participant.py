"""The participant level: from one participant's recordings to synthesized BOLD, scores and a report."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bids_eeg2fmri.bids.participants import read_participant
from bids_eeg2fmri.bids.recordings import Recording
from bids_eeg2fmri.bold.grid import percent_change
from bids_eeg2fmri.bold.regions import Regions, tile_regions
from bids_eeg2fmri.config import Settings
from bids_eeg2fmri.eeg.spectrum import relative_to_mean
from bids_eeg2fmri.errors import Eeg2FmriError, InputDataError, MissingFilesError
from bids_eeg2fmri.evaluation.metrics import Course, measure_agreement
from bids_eeg2fmri.training.synthesizer import Synthesizer, load_synthesizer
from bids_eeg2fmri.windows import make_windows
from bids_eeg2fmri.workflow.account import Account, Task
from bids_eeg2fmri.workflow.plan import plan_participant
from bids_eeg2fmri.workflow.preparation import Prepared, Sampling, on_common_ground, prepare
from bids_eeg2fmri.workflow.scoring import Scores, judge, nuisance, score
from bids_eeg2fmri.workflow.training import describe_history, gap_volumes, predict_out_of_sample, train_on_all

logger = logging.getLogger(__name__)


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
    plan = plan_participant(task.dataset, subject, task.settings, task.filters)
    recordings = [planned.recording for planned in plan]
    task.derivatives.remove_participant(subject)  # what an earlier run concluded does not stand beside a failure
    covariates = read_participant(task.dataset, subject)
    # EEG without a partner that has the name of a pair would be written over it.
    names = {r.name for r in recordings if r.paired}
    with_eeg = [p for p in plan if p.recording.paired or (p.recording.eeg and p.recording.name not in names)]
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
        eeg, bold = with_eeg[0].recording, next(r for r in recordings if r.bold)
        raise MissingFilesError(
            f"{task.dataset / f'sub-{subject}'}: expected EEG and BOLD that were recorded together, found {eeg.file.name} "
            f"({eeg.status}: {eeg.reason}) and {bold.file.name} ({bold.status}: {bold.reason}); map them in [[pairs]] of "
            "--config-file if they were, or apply a model with --model"
        )

    synthesizer = load_synthesizer(task.bundle) if task.bundle else None
    sampling = (
        Sampling.by_settings(task.settings.spectrum, task.settings.window.step_s)
        if synthesizer is None
        else _sampling_of(synthesizer)
    )
    prepared: list[Prepared] = []
    failed: list[tuple[Recording, Eeg2FmriError]] = []
    for planned in with_eeg:
        report(f"reading {planned.recording.name}")
        try:
            prepared.append(prepare(planned, sampling))
        except Eeg2FmriError as error:
            failed.append((planned.recording, error))
    if not prepared:
        raise failed[0][1]

    account = Account(task, subject, recordings, failed, covariates, sampling.frame_s)
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


def _train(task: Task, account: Account, prepared: Sequence[Prepared], report: Callable[[str], None]) -> None:
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
    task: Task, account: Account, synthesizer: Synthesizer, prepared: Sequence[Prepared]
) -> list[tuple[Recording, Eeg2FmriError]]:
    """Synthesize by a saved model; where BOLD on the same grid exists, score it. Give the recordings that failed."""
    settings = task.settings
    regions = tile_regions(synthesizer.grid)
    lags = np.array(synthesizer.spec.lags_s)
    name = str(synthesizer.card["architecture"])
    seen = set(synthesizer.card.get("fingerprints", []))
    # How EEG was prepared and what was learned is the bundle's; what was paired and how it was judged, this run's.
    own = {stage: settings.as_dict()[stage] for stage in ("pairs", "alignment", "evaluation")}
    account.settings = synthesizer.card["settings"] | own
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
        remark = account.entries[p.recording.file]["remark"]
        account.note(p.recording, "synthesized", f"{remark}; not scored, its BOLD is on another grid than the model")
    for p, values, change, block in zip(scored, measured, predictions, blocks, strict=True):
        _write_agreement(account, p, regions, values, change, block, synthesizer.grid)
    return failed


def _write_agreement(account: Account, p: Prepared, regions: Regions, measured, predicted, blocks, grid) -> None:
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
