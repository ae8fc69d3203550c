"""Judge a prediction that came from elsewhere as the app judges its own: baselines, chance, verdict."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bids_eeg2fmri.bold.grid import Grid, percent_change
from bids_eeg2fmri.config import Settings
from bids_eeg2fmri.windows import make_windows
from bids_eeg2fmri.workflow.foreign import Files, Foreign, read_foreign
from bids_eeg2fmri.workflow.regions import regions_of
from bids_eeg2fmri.workflow.results import compare_images, results_of, some_volumes
from bids_eeg2fmri.workflow.scoring import Scores, score
from bids_eeg2fmri.workflow.task import compare_in_blocks
from bids_eeg2fmri.workflow.training import OutOfSample, hold_out_in_turn, ridge_models, samples_of, windows_of
from bids_eeg2fmri.workflow.units import Unit
from bids_eeg2fmri.workflow.verdict import judge

PREDICTION = "prediction"
# No other participant's image is known, so the mean is that of the measured run itself: a stronger baseline.
OWN_MEAN = "own mean image"

_SIZES = ("pooled_skill", "pooled_skill_low", "pooled_skill_high", "amplitude_median")
_GAINS = ("gain", "gain_low", "gain_high")


@dataclass(frozen=True)
class Judgement:
    """What is to be said of a prediction.

    Attributes
    ----------
    summary : dict
        Plain values, with the keys of a participant's ``summary.json``.
    scores : Scores
    grid : Grid
        The voxels that were judged, in the order of ``scores.voxels``.
    mean : array of shape (voxels,)
        Measured, over all runs.
    """

    summary: dict[str, Any]
    scores: Scores
    grid: Grid
    mean: np.ndarray


def judge_files(
    files: Sequence[Files],
    settings: Settings | None = None,
    *,
    mask: Path | None = None,
    tr_s: float | None = None,
    unit: Unit | None = None,
    resampled: bool = False,
    seed: int = 0,
) -> Judgement:
    """Judge the predictions of one model that has not seen the measured volumes.

    Parameters
    ----------
    files : sequence of Files
        Runs of one participant; see :func:`~bids_eeg2fmri.workflow.foreign.read_foreign` for all but ``seed``.
    settings : Settings, optional
        Whole runs are never held out: baselines learn from the rest of a run.
    seed : int

    Raises
    ------
    Eeg2FmriError
        What is wrong with the files.
    """
    settings = settings or Settings()
    settings = replace(settings, training=replace(settings.training, hold_out="blocks"))
    foreign = read_foreign(files, settings, mask=mask, tr_s=tr_s, unit=unit, resampled=resampled)
    runs, grid = foreign.runs, foreign.grid
    out = _baselines(foreign, settings)
    blocks = [
        # A constant for what each model of either side predicted; what one side has not predicted is not judged.
        np.where(complete & (own >= 0), fold * (own.max() + 1) + own, -1)
        for complete, fold, own in zip(out.complete, out.folds, foreign.blocks, strict=True)
    ]
    measured = [
        percent_change(run.table, baseline)
        for run, baseline in zip(runs, out.baselines, strict=True)
        if run.table is not None
    ]
    predicted = {PREDICTION: foreign.changes} | out.predicted
    predicted[OWN_MEAN] = predicted.pop("mean image")
    regions = regions_of(grid, settings.regions)
    scores = score(
        measured, predicted, blocks, tr_s=[run.tr_s for run in runs], regions=regions, settings=settings, seed=seed
    )
    scores = _without_size(scores, foreign)
    verdict = judge(scores, regions, alpha=settings.evaluation.alpha)
    n_models = len(np.unique(np.concatenate([own[own >= 0] for own in foreign.blocks])))
    if n_models > 1 and verdict["better_than_chance"] is not None:
        verdict["sentences"].append(
            f"{n_models} models predicted different parts of the runs. If each learned from what the others predict, their scores "
            "depend on one another and p is not exact: take a verdict that hangs on it with care."
        )
    task = []
    for i, (f, run) in enumerate(zip(files, runs, strict=True)):
        if run.events is not None:
            series = {model: of_runs[i] for model, of_runs in predicted.items()}
            rows, _, left_out = compare_in_blocks(
                run.events, measured[i], series, blocks[i], tr_s=run.tr_s, drift_period_s=settings.bold.drift_period_s
            )
            task += [{"recording": f.name} | row for row in rows]
            foreign.notes.extend(f"{f.name}: {condition}: {reason}" for condition, reason in left_out.items())
    summary = results_of(scores, regions, verdict) | {
        "published": compare_images([_images(foreign, i, blocks[i]) for i in range(len(runs))]),
        "task": task,
        "unit": foreign.unit,
        "n_voxels": grid.n_voxels,
        "notes": foreign.notes,
        "recordings": [_describe(f, foreign, i, blocks[i]) for i, f in enumerate(files)],
        "settings": settings.as_dict(),
        "settings_hash": settings.hash,
    }
    mean = np.mean([run.table.mean(0) for run in runs if run.table is not None], axis=0)
    return Judgement(summary, scores, grid, mean)


def _baselines(foreign: Foreign, settings: Settings) -> OutOfSample:
    """Fit what needs no network on the measured runs, each block predicted from the others."""
    runs = foreign.runs
    if runs[0].spectrum.channels:
        windows, _ = windows_of(runs, settings)
        samples = samples_of(runs, windows, settings)
    else:
        windows = make_windows([run.spectrum for run in runs], [run.onsets_s for run in runs], lags=np.array([]))
        # Nothing tells how far apart the runs were.
        samples = replace(samples_of(runs, windows, settings), clock=windows.recording)
    models = ridge_models(windows, runs, settings)
    return hold_out_in_turn(runs, windows, samples, models, settings, report=lambda what: None)


def _without_size(scores: Scores, foreign: Foreign) -> Scores:
    """Leave out what depends on the unit of the prediction, if that is unknown."""
    if foreign.unit != "other":
        return scores
    table = scores.table.copy()
    sizes = _SIZES if foreign.amplitude_known else (*_SIZES, "amplitude")
    table.loc[0, list(sizes)] = np.nan
    table[list(_GAINS)] = np.nan
    return replace(scores, table=table)


def _images(foreign: Foreign, number: int, blocks: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Give whole volumes, as published metrics look at them; what is not finite counts as background."""
    rows = some_volumes(blocks)
    measured, predicted = (np.nan_to_num(image[..., rows]) for image in foreign.images[number])
    mean = np.nan_to_num(foreign.images[number][0]).mean(-1, keepdims=True)
    return measured, {PREDICTION: predicted, OWN_MEAN: np.broadcast_to(mean, measured.shape)}


def _describe(files: Files, foreign: Foreign, number: int, blocks: np.ndarray) -> dict[str, Any]:
    run = foreign.runs[number]
    told: dict[str, Any] = {
        "name": files.name,
        "predicted": str(files.predicted),
        "measured": str(files.measured),
        "eeg": str(files.eeg) if files.eeg is not None else None,
        "n_volumes": run.n_volumes,
        "n_judged": int(np.sum(blocks >= 0)),
        "tr_s": run.tr_s,
    }
    if run.alignment is not None:
        told["alignment"] = {"evidence": run.alignment.evidence, "notes": list(run.alignment.notes)}
    return told


def run(options: argparse.Namespace, command: str) -> None:
    """Do what the command line of ``bids_eeg2fmri.evaluation`` says: judge, print, and write if there is a folder to write to."""
    from bids_eeg2fmri.bids.derivatives import Derivatives
    from bids_eeg2fmri.config import load_settings
    from bids_eeg2fmri.reports.judgement import judgement_page
    from bids_eeg2fmri.reports.plain import in_plain_text
    from bids_eeg2fmri.workflow.executor import describe_run

    overrides: dict[str, dict[str, Any]] = {}
    if options.drift_period is not None:
        overrides["bold"] = {"drift_period_s": options.drift_period}
    if options.alpha is not None:
        overrides["evaluation"] = {"alpha": options.alpha}
    if options.assume_start_together:
        overrides["alignment"] = {"assume_start_together": True}
    settings = load_settings(options.config_file, overrides)
    output = Derivatives(options.output, options.output) if options.output is not None else None
    if output is not None:
        output.make_folder()
    n_runs = len(options.images) // 2
    known = {name: getattr(options, name) or [None] * n_runs for name in ("events", "eeg", "confounds", "blocks")}
    files = [
        Files(options.images[2 * i], options.images[2 * i + 1], **{name: paths[i] for name, paths in known.items()})
        for i in range(n_runs)
    ]
    judgement = judge_files(
        files,
        settings,
        mask=options.mask,
        tr_s=options.tr,
        unit=options.unit,
        resampled=options.resample,
        seed=options.random_seed,
    )
    summary = judgement.summary | {"provenance": describe_run(command, seed=options.random_seed, engine=None)}
    print(in_plain_text(summary), end="")
    if output is not None:
        r_map = judgement.grid.image(judgement.scores.voxels[PREDICTION].r.astype(np.float32))
        written = output.write_judgement(summary, judgement.scores.table, r_map)
        mask = judgement.grid.image_of(judgement.grid.mask.astype(np.uint8))
        output.write_report("report", judgement_page(written, r_map, judgement.grid.image(judgement.mean), mask))
        print(f"\nwritten: {output.root / 'report.html'} and the numbers beside it")
