"""Train the models that tell chance: no two of them judge each other."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bids_eeg2fmri.config import Settings
from bids_eeg2fmri.errors import InputDataError
from bids_eeg2fmri.evaluation.splits import hold_out, pair_once
from bids_eeg2fmri.training.learner import Learner
from bids_eeg2fmri.training.synthesizer import Synthesizer
from bids_eeg2fmri.windows import without_timing
from bids_eeg2fmri.workflow.preparation import Prepared
from bids_eeg2fmri.workflow.scoring import RIDGE, Said
from bids_eeg2fmri.workflow.training import (
    fit,
    independent_share,
    learn_targets,
    predict_by_ridge,
    ridge_features,
    samples_of,
    trainer_for,
    windows_of,
)

logger = logging.getLogger(__name__)

# Of fewer parts, some would be predicted from a single one, and nothing apart from it could tell when to stop.
FEWEST_PARTS = 5


def ask_about_chance(
    runs: Sequence[Prepared],
    settings: Settings,
    *,
    seed: int,
    work_dir: Path | None = None,
    start: Synthesizer | None = None,
) -> Said:
    """Let models that learned from half of the other parts say what they make of every time of a run.

    The series that are written come from models that learned from all other parts; their scores depend on one another, see
    :func:`~bids_eeg2fmri.evaluation.splits.pair_once`, and a p-value of them would not be uniform by chance alone.

    Parameters
    ----------
    runs : sequence of Prepared
        With the same voxels and channels.
    work_dir, start
        See :func:`~bids_eeg2fmri.workflow.training.predict_out_of_sample`.

    Returns
    -------
    Said
        Of the network and the lagged ridge. Where the runs are too short to learn from half of them, of models that learned
        from all other parts: p then errs on the safe side.
    """
    windows, lags = windows_of(runs, settings)
    samples = samples_of(runs, windows, settings)
    by, n_folds = settings.training.hold_out, settings.training.n_folds
    try:
        splits, share = pair_once(samples, by, n_folds=max(n_folds, FEWEST_PARTS)), 0.5
    except InputDataError as error:
        logger.info("chance is told by models that learned from all other parts: %s", error)
        splits, share = hold_out(samples, by, n_folds=n_folds), 1.0
    if len(splits) == 1:
        share = 1.0  # of two parts, the one that is judged is predicted from all of the other
    architecture = settings.training.architecture
    n_components = settings.bold.n_components if start is None else len(start.output_scale)
    ridge = ridge_features(windows, runs, settings)[RIDGE]
    independent = independent_share([run.tr_s for run in runs])
    every = np.flatnonzero(windows.complete)
    n = len(windows)
    coefficients = {name: np.zeros((len(splits), n, n_components), np.float32) for name in (architecture, RIDGE)}
    assert runs[0].grid is not None
    bases = np.zeros((len(splits), n_components, runs[0].grid.n_voxels), np.float32)
    surrogates = np.zeros((settings.evaluation.n_surrogates, n, n_components), np.float32)
    model = np.full(n, -1)
    trainer: Learner | None = None
    trained = []
    for number, split in enumerate(splits):
        learned = learn_targets(runs, windows, split.train, settings, start)
        n_targets = learned.targets.shape[1]
        trainer = trainer_for(trainer, runs[0], lags, learned, settings, seed=seed, work_dir=work_dir, start=start)
        fit(trainer, windows, learned, split, independent=independent)
        trained.append((split.test, trainer, trainer.learned()))
        model[split.test] = number
        # Of fewer components than asked for, the last ones stay empty.
        bases[number, :n_targets] = learned.basis.components
        coefficients[architecture][number, every, :n_targets] = trainer.predict(windows, every)
        coefficients[RIDGE][number, every, :n_targets] = predict_by_ridge(
            ridge, learned.targets, split, independent, which=every
        )
    for draw, surrogate in enumerate(surrogates):
        other = without_timing(windows, [run.spectrum for run in runs], seed=[seed, draw])
        for test, of_split, weights in trained:
            of_split.restore(weights)
            said = of_split.predict(other, test)
            surrogate[test, : said.shape[1]] = said
    of_run = [windows.recording == number for number in range(len(runs))]
    return Said(
        [model[rows] for rows in of_run],
        {name: [values[:, rows] for rows in of_run] for name, values in coefficients.items()},
        bases,
        [[surrogate[rows] for rows in of_run] for surrogate in surrogates],
        share=share,
    )
