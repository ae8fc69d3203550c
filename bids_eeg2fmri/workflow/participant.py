"""The participant level: from one participant's recordings to synthesized BOLD, scores and a report."""

import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bids_eeg2fmri.bids.participants import read_participant
from bids_eeg2fmri.bids.pipelines import NATIVE
from bids_eeg2fmri.bids.recordings import Recording
from bids_eeg2fmri.bold.grid import percent_change
from bids_eeg2fmri.config import Settings, changed_settings
from bids_eeg2fmri.eeg.montage import Wanted
from bids_eeg2fmri.eeg.spectrum import relative_to_mean
from bids_eeg2fmri.errors import Eeg2FmriError, InputDataError, MissingFilesError
from bids_eeg2fmri.evaluation.splits import n_parts
from bids_eeg2fmri.training.synthesizer import Synthesizer, load_synthesizer
from bids_eeg2fmri.windows import make_windows, without_timing
from bids_eeg2fmri.workflow.account import Account, Task
from bids_eeg2fmri.workflow.chance import ask_about_chance
from bids_eeg2fmri.workflow.eeg import Sampling
from bids_eeg2fmri.workflow.montage import warn_of_covering
from bids_eeg2fmri.workflow.plan import plan_participant
from bids_eeg2fmri.workflow.preparation import Prepared, on_common_ground, prepare
from bids_eeg2fmri.workflow.progress import Progress
from bids_eeg2fmri.workflow.regions import regions_of
from bids_eeg2fmri.workflow.results import published_metrics, results_of, write_agreement, write_error, write_errors
from bids_eeg2fmri.workflow.scoring import Said, score
from bids_eeg2fmri.workflow.task import compare_task_maps
from bids_eeg2fmri.workflow.training import (
    architecture_of,
    describe_history,
    gap_s,
    predict_out_of_sample,
    train_on_all,
)
from bids_eeg2fmri.workflow.verdict import judge

logger = logging.getLogger(__name__)

# Stages of the settings that a saved model brings along.
_LEARNED = ("spectrum", "window", "montage", "training")


def process_participant(task: Task, subject: str, report: Progress) -> list[tuple[str, Eeg2FmriError]]:
    """Process all recordings of a participant and write everything but the HTML report.

    Parameters
    ----------
    task : Task
    subject : str
    report : Progress
        Is told what is being done, and how much is to come.

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
    synthesizer = load_synthesizer(task.bundle, trusted=task.settings.training.architecture) if task.bundle else None
    settings = task.settings if synthesizer is None else _in_the_space_of(synthesizer, task.settings)
    plan = plan_participant(
        task.dataset,
        subject,
        settings,
        task.filters,
        pipelines=task.pipelines,
        insist_on_space=synthesizer is None,  # a model synthesizes all the same, and is not scored
    )
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

    report.expect(len(with_eeg) + _count_stages(task, [p.recording for p in with_eeg if p.recording.paired]))
    sampling = _sampling_by(task.settings) if synthesizer is None else _sampling_of(synthesizer)
    prepared: list[Prepared] = []
    failed: list[tuple[Recording, Eeg2FmriError]] = []
    for planned in with_eeg:
        report(f"reading {planned.recording.name}")
        try:
            model_grid = synthesizer.grid if synthesizer is not None else None
            prepared.append(prepare(planned, sampling, settings, model_grid=model_grid))
        except Eeg2FmriError as error:
            failed.append((planned.recording, error))
    if not prepared:
        raise failed[0][1]

    account = Account(task, subject, recordings, failed, covariates, sampling.frame_s)
    if synthesizer is not None and task.fine_tune:
        _train(task, account, prepared, report, synthesizer)
    elif synthesizer is not None:
        failed += _apply(task, account, synthesizer, prepared, report)
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


def _count_stages(task: Task, paired: Sequence[Recording]) -> int:
    """Count what is to be done after reading, the page included; a little more where runs will be left out."""
    if task.bundle is not None and not task.fine_tune:
        return 4
    if not paired:
        return 2
    training = task.settings.training
    sessions = {recording.session for recording in paired}
    units = {"run": len(paired), "session": len(sessions)}.get(training.hold_out)
    return (training.n_folds if units is None else n_parts(units)) + 5


def _train(
    task: Task,
    account: Account,
    prepared: Sequence[Prepared],
    report: Callable[[str], None],
    start: Synthesizer | None = None,
) -> None:
    """Synthesize every run of a participant by models trained on the rest of them, or by ``start``, tuned to the rest of them."""
    settings = task.settings if start is None else settings_to_tune(start, task.settings)
    if start is not None:
        _refuse_to_tune(start, prepared)
        account.settings = settings.as_dict()
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
    regions = regions_of(grid, settings.regions)
    as_recorded = runs
    if start is not None and start.card["relative_power"]:
        runs = [replace(run, spectrum=relative_to_mean(run.spectrum)) for run in runs]

    work_dir = task.work_dir / f"sub-{account.subject}" if task.work_dir is not None else None
    out = predict_out_of_sample(
        runs, settings, seed=task.seed, report=lambda what: report(f"training, {what}"), work_dir=work_dir, start=start
    )
    report("training for chance")
    said = ask_about_chance(runs, settings, seed=task.seed, work_dir=work_dir, start=start)
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
        confounds=[run.confounds for run in runs],
        regions=regions,
        settings=settings,
        seed=task.seed,
        said=said,
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
    if start is not None:
        card |= {"tuned_from": str(task.bundle), "tuned_from_trained_on": start.card.get("trained_on", [])}
        card["fingerprints"] += start.card.get("fingerprints", [])
    synthesizer, history = train_on_all(runs, settings, seed=task.seed, card=card, work_dir=work_dir, start=start)
    synthesizer.card["epochs"] = history.best_epoch
    synthesizer.save(account.derivatives.model_folder(f"sub-{account.subject}"))

    for number, run in enumerate(runs):
        account.samples(as_recorded[number])
        predicted = out.predicted[architecture][number]
        volumes = pd.DataFrame(
            {
                "volume": np.arange(run.n_volumes),
                "onset": run.onsets_s,
                "fold": out.folds[number],
                "synthesized": out.complete[number],
            }
        )
        held_out = settings.training.hold_out.removesuffix("s")
        model = {"Architecture": architecture, "Training": f"within participant, {held_out} of each volume held out"}
        if start is not None:
            model |= {"TunedFrom": str(task.bundle), "TrainedOn": start.card.get("trained_on", [])}
        account.synthesized(
            run, grid, out.baselines[number] * (1 + predicted / 100), volumes, account.sidecar(run, model, scores)
        )
    write_agreement(account, runs, regions, measured, out.predicted[architecture], blocks, grid)
    account.results = results_of(scores, regions, judge(scores, regions, alpha=settings.evaluation.alpha)) | {
        "published": published_metrics(runs, grid, architecture, out.predicted[architecture], out.baselines, blocks),
        "task": compare_task_maps(account, runs, measured, out.predicted, blocks, grid),
        "model": {"architecture": architecture, "bundle": f"models/sub-{account.subject}"}
        | ({"tuned_from": str(task.bundle)} if start is not None else {}),
        "training": describe_history(out.histories),
        "uncertainty": write_errors(account, runs, measured, out.predicted[architecture], blocks, out.errors, grid),
    }
    account.results["verdict"]["sentences"] += warn_of_covering([(run.recording, run.montage) for run in runs])
    if work_dir is not None:
        shutil.rmtree(work_dir, ignore_errors=True)


def settings_to_tune(start: Synthesizer, settings: Settings) -> Settings:
    """Give the settings of a run with what a saved model brings along: its frames, its architecture, its components."""
    told = start.card["settings"]
    learned: dict[str, Any] = {stage: told[stage] for stage in ("spectrum", "window", "montage") if stage in told}
    learned["training"] = {
        "architecture": start.card["architecture"],
        "options": start.card["architecture_options"],
    }
    learned["bold"] = {"n_components": len(start.output_scale)}
    return changed_settings(settings, learned)


def _refuse_to_tune(start: Synthesizer, prepared: Sequence[Prepared]) -> None:
    """Refuse what would not be out of sample, or is not where the model is.

    Raises
    ------
    InputDataError
        If there is no BOLD, it is on another grid than the model, or the model has learned from it.
    """
    with_bold = [p for p in prepared if p.grid is not None]
    if not with_bold:
        raise InputDataError(
            f"{prepared[0].recording.eeg}: expected BOLD to tune the model to, found none; leave --fine-tune out"
        )
    for p in with_bold:
        assert p.grid is not None
        if not p.grid.same_as(start.grid):
            raise InputDataError(
                f"{p.recording.bold}: expected the voxel grid of the model, found another one; train one anew, or bring both to "
                "one space with --output-spaces"
            )
        if p.fingerprint in start.card.get("fingerprints", []):
            raise InputDataError(
                f"{p.recording.bold}: the model has learned from this very recording, so nothing that it says of it would be out "
                "of sample; tune a model of other people"
            )


def _without_short_runs(
    runs: Sequence[Prepared], settings: Settings
) -> tuple[list[Prepared], list[tuple[Recording, str]]]:
    """Leave out runs of which nothing is left to learn from when a block in their middle is held out.

    Where whole runs are held out, such a block judges when to stop if a single run is left.
    """
    needed = {
        id(run): int((2 * np.ceil(gap_s(settings) / run.tr_s) + 10) / (1 - 1 / settings.training.n_folds)) + 1
        for run in runs
    }
    kept = [run for run in runs if run.n_volumes >= needed[id(run)]]
    if not kept:
        longest = max(runs, key=lambda run: run.n_volumes)
        raise InputDataError(
            f"{longest.recording.bold}: expected at least {needed[id(longest)]} volumes to learn from and to predict, found "
            f"{longest.n_volumes}; apply a saved model with --model"
        )
    return kept, [
        (run.recording, f"too short to train on: {run.n_volumes} volumes, {needed[id(run)]} are needed")
        for run in runs
        if run.n_volumes < needed[id(run)]
    ]


def _apply(
    task: Task,
    account: Account,
    synthesizer: Synthesizer,
    prepared: Sequence[Prepared],
    report: Callable[[str], None],
) -> list[tuple[Recording, Eeg2FmriError]]:
    """Synthesize by a saved model; where BOLD on the same grid exists, score it. Give the recordings that failed."""
    report("synthesizing")
    settings = task.settings
    regions = regions_of(synthesizer.grid, settings.regions)
    lags = np.array(synthesizer.spec.lags_s)
    name = str(synthesizer.card["architecture"])
    seen = set(synthesizer.card.get("fingerprints", []))
    # What was learned, and of which frames, is the bundle's; what was paired, cleaned and judged, and how, this run's.
    learned = {
        stage: synthesizer.card["settings"][stage] for stage in _LEARNED if stage in synthesizer.card["settings"]
    }
    account.settings = settings.as_dict() | learned
    if "n_components" in synthesizer.card["settings"].get("bold", {}):
        account.settings["bold"]["n_components"] = synthesizer.card["settings"]["bold"]["n_components"]
    account.settings_hash = synthesizer.card["settings_hash"]
    scored: list[Prepared] = []
    other_grid: list[Prepared] = []
    measured, predictions, blocks = [], [], []
    coefficients: list[np.ndarray] = []
    surrogates: list[list[np.ndarray]] = [[] for _ in range(settings.evaluation.n_surrogates)]
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
        said = synthesizer.coefficients(windows, which)
        change = np.zeros((p.n_volumes, synthesizer.grid.n_voxels), dtype=np.float32)
        change[which] = synthesizer.basis.expand(said[which])
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
        values[:, inside] = percent_change(p.table, p.mean)[:, synthesizer.grid.mask[p.grid.mask]]
        values = np.nan_to_num(values)
        scored.append(p)
        measured.append(values)
        predictions.append(change)
        blocks.append(np.where(windows.complete & (True if p.usable is None else p.usable), 0, -1))
        coefficients.append(said[None])
        for draw, surrogate in enumerate(surrogates):
            surrogate.append(
                synthesizer.coefficients(without_timing(windows, [spectrum], seed=[task.seed, draw]), which)
            )

    if not outputs:
        raise failed[0][1]

    scores = None
    if scored:
        report("scoring")
        # Change is relative to the mean of each series, so "mean image" is the participant's own here. The clock, the
        # schedule and the body are no baselines: only the volumes that are to be predicted could teach their weights.
        predicted = {name: predictions, "mean image": [np.zeros_like(change) for change in predictions]}
        scores = score(
            measured,
            predicted,
            blocks,
            tr_s=[p.tr_s for p in scored],
            confounds=[p.confounds for p in scored],
            regions=regions,
            settings=settings,
            seed=task.seed,
            said=Said(blocks, {name: coefficients}, synthesizer.basis.components[None], surrogates),
        )
        account.scores = scores
        trained_on = any(p.fingerprint in seen for p in scored)
        verdict = judge(scores, regions, alpha=settings.evaluation.alpha, trained_on=trained_on)
        account.results = results_of(scores, regions, verdict) | {
            "task": compare_task_maps(account, scored, measured, predicted, blocks, synthesizer.grid)
        }
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
    account.results["verdict"]["sentences"] += warn_of_covering([(p.recording, p.montage) for p, _, _ in outputs])
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
        if np.isfinite(synthesizer.error).all():
            write_error(account, p, synthesizer.error, synthesizer.grid)
    for p in other_grid:
        remark = account.entries[p.recording.file]["remark"]
        account.note(p.recording, "synthesized", f"{remark}; not scored, its BOLD is on another grid than the model")
    if scored:
        write_agreement(account, scored, regions, measured, predictions, blocks, synthesizer.grid)
    return failed


def _in_the_space_of(synthesizer: Synthesizer, settings: Settings) -> Settings:
    """Have BOLD read where the model's is."""
    grid = synthesizer.grid
    space = f"{grid.space}:res-{grid.resolution}" if grid.space and grid.resolution else grid.space or NATIVE
    return replace(settings, bold=replace(settings.bold, space=space))


def _sampling_by(settings: Settings) -> Sampling:
    sampling = Sampling.by_settings(settings)
    return sampling.with_signal() if architecture_of(settings).looks_at == "signal" else sampling


def _sampling_of(synthesizer: Synthesizer) -> Sampling:
    card = synthesizer.card
    return Sampling(
        synthesizer.spec.freqs_hz,
        float(card["frame_s"]),
        float(card["step_s"]),
        wanted=Wanted.of(synthesizer.spec.channels, card["positions_m"]),
        lags_s=synthesizer.spec.lags_s,
        tr_s=float(card["tr_s"]),
        sfreq=synthesizer.spec.sfreq,
    )
