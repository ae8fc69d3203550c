"""Train within a participant so that the whole of every run is predicted out of sample."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from bids_eeg2fmri import __version__
from bids_eeg2fmri.bold.basis import Basis, fit_basis
from bids_eeg2fmri.bold.drift import drift_regressors, remove_drift
from bids_eeg2fmri.bold.grid import Grid, percent_change
from bids_eeg2fmri.config import Settings
from bids_eeg2fmri.eeg.spectrum import Spectrum
from bids_eeg2fmri.errors import InputDataError
from bids_eeg2fmri.evaluation.baselines import band_weights, fit_ridge, time_features
from bids_eeg2fmri.evaluation.splits import Samples, Split, folds_of, hold_out, learn_from_all
from bids_eeg2fmri.models.registry import Architecture, load_architecture
from bids_eeg2fmri.models.spec import SampleSpec
from bids_eeg2fmri.training.engine import has_gpu
from bids_eeg2fmri.training.fitting import History, Schedule, Start
from bids_eeg2fmri.training.learner import Learner, make_learner
from bids_eeg2fmri.training.synthesizer import Synthesizer
from bids_eeg2fmri.windows import Windows, lags_s, make_windows
from bids_eeg2fmri.workflow.blind import GLOBAL, blind_features, global_signal
from bids_eeg2fmri.workflow.preparation import Prepared
from bids_eeg2fmri.workflow.scoring import AS_IT_WAS, RIDGE

logger = logging.getLogger(__name__)

# A ridge in its dual form costs the cube of its samples.
MOST_RIDGE_SAMPLES = 1500
# Features are in dB, cosines, or units of their standard deviation over all runs: what varies less in a training set is
# not there.
LEAST_FEATURE_SCALE = 0.3


@dataclass(frozen=True)
class OutOfSample:
    """Predictions of every run by models that saw neither the volume nor its neighbours.

    Attributes
    ----------
    baselines : list of arrays of shape (volumes, voxels)
        Per run, mean intensity of its training volumes in the fold that each volume was held out in; of the other runs'
        where the whole run was held out.
    predicted : dict of model to such a list
        Percent signal change from the baseline; 0 where there is not enough EEG.
    folds : list of arrays of shape (volumes,)
        Number of the fold that a volume was held out in.
    complete : list of arrays of shape (volumes,)
        Whether a volume has all the EEG it needs.
    histories : list of History
        Of the network, one per fold.
    errors : list of arrays of shape (voxels,)
        Of the network, one per fold: standard deviation of the measured change around the predicted one, in percent, in
        training volumes that were left out in between.
    """

    baselines: list[np.ndarray]
    predicted: dict[str, list[np.ndarray]]
    folds: list[np.ndarray]
    complete: list[np.ndarray]
    histories: list[History] = field(default_factory=list)
    errors: list[np.ndarray] = field(default_factory=list)


def windows_of(runs: Sequence[Prepared], settings: Settings) -> tuple[Windows, np.ndarray]:
    """Window all runs, without the volumes that are of no use; also give the lags in s."""
    step_s = float(np.median([run.step_s for run in runs]))
    lags = lags_s(span_s=settings.window.span_s, step_s=step_s)
    windows = make_windows([run.spectrum for run in runs], [run.onsets_s for run in runs], lags=lags)
    usable = [np.ones(run.n_volumes, bool) if run.usable is None else run.usable for run in runs]
    return replace(windows, complete=windows.complete & np.concatenate(usable)), lags


def gap_s(settings: Settings) -> float:
    """Time between training and test: the gap that is set, but never less than a window with its first frame."""
    return max(settings.training.gap_s, settings.window.span_s + settings.spectrum.frame_s)


def samples_of(runs: Sequence[Prepared], windows: Windows, settings: Settings) -> Samples:
    """Say what the windows of a participant have in common, for their splits.

    Raises
    ------
    InputDataError
        If a run has no volume with all its EEG.
    """
    for number, run in enumerate(runs):
        if not windows.complete[windows.recording == number].any():
            raise InputDataError(
                f"{run.recording.eeg}: expected volumes with {settings.window.span_s + settings.spectrum.frame_s:g} s of EEG "
                f"before them, found none of {run.n_volumes}; leave this run out with --run-label or --bids-filter-file"
            )
    files = [run.recording.eeg for run in runs]
    sessions = [run.recording.session for run in runs]
    return Samples(
        recording=windows.recording,
        onset_s=np.concatenate([run.onsets_s for run in runs]),
        clock=np.array([files.index(file) for file in files])[windows.recording],
        usable=windows.complete,
        gap_s=gap_s(settings),
        session=np.array([sessions.index(session) for session in sessions])[windows.recording],
    )


def predict_out_of_sample(
    runs: Sequence[Prepared],
    settings: Settings,
    *,
    seed: int,
    report: Callable[[str], None],
    work_dir: Path | None = None,
    start: Synthesizer | None = None,
) -> OutOfSample:
    """Hold out each block, run or session in turn; train the network and fit the baselines on the rest.

    Parameters
    ----------
    runs : sequence of Prepared
        With the same voxels and channels.
    report : callable
        Is told what is being done.
    work_dir : Path, optional
        Where an interrupted training finds how far it came.
    start : Synthesizer, optional
        A model of other people that is tuned; its basis is kept, and what it says by itself is among the predictions.

    Raises
    ------
    InputDataError
        If the runs are too short or too few.
    """
    windows, lags = windows_of(runs, settings)
    samples = samples_of(runs, windows, settings)
    independent = independent_share([run.tr_s for run in runs])
    trainer: Learner | None = None
    histories: list[History] = []
    errors: list[np.ndarray] = []

    def network(learned: Learned, split: Split) -> np.ndarray:
        nonlocal trainer
        trainer = trainer_for(trainer, runs[0], lags, learned, settings, seed=seed, work_dir=work_dir, start=start)
        histories.append(fit(trainer, windows, learned, split, independent=independent))
        errors.append(error_of(trainer, learned))
        logger.debug("%d epochs", histories[-1].best_epoch)
        return trainer.predict(windows, split.test)

    models: dict[str, Model] = {settings.training.architecture: network}
    if start is not None:
        models[AS_IT_WAS] = lambda learned, split: start.coefficients(windows, split.test)[split.test]
    models |= ridge_models(windows, runs, settings)
    out = hold_out_in_turn(runs, windows, samples, models, settings, report=report, start=start)
    return replace(out, histories=histories, errors=errors)


# From what training volumes determine to coefficients of the test volumes, (volumes, components).
Model = Callable[["Learned", Split], np.ndarray]


def ridge_models(windows: Windows, runs: Sequence[Prepared], settings: Settings) -> dict[str, Model]:
    """Make the linear models: that of the EEG, if there is any, and the baselines."""
    independent = independent_share([run.tr_s for run in runs])

    def model(of: Callable[[np.ndarray], np.ndarray]) -> Model:
        return lambda learned, split: predict_by_ridge(of, learned.targets, split, independent)

    return {name: model(of) for name, of in ridge_features(windows, runs, settings).items()}


def hold_out_in_turn(
    runs: Sequence[Prepared],
    windows: Windows,
    samples: Samples,
    models: Mapping[str, Model],
    settings: Settings,
    *,
    report: Callable[[str], None],
    start: Synthesizer | None = None,
) -> OutOfSample:
    """Let models, and the mean image, predict each block, run or session from the rest."""
    by, n_folds = settings.training.hold_out, settings.training.n_folds
    splits = hold_out(samples, by, n_folds=n_folds)
    tables = [_table(run) for run in runs]
    predicted = {name: [np.zeros_like(table) for table in tables] for name in (*models, "mean image")}
    baselines = [np.empty_like(table) for table in tables]
    fold_of = folds_of(samples, by, n_folds=n_folds)
    folds = [fold_of[windows.recording == number] for number in range(len(runs))]
    for fold, split in enumerate(splits):
        report(f"fold {fold + 1} of {len(splits)}")
        learned = learn_targets(runs, windows, split.train, settings, start)
        for number, run in enumerate(runs):
            if by == "blocks" and not (windows.recording[split.train] == number).any():
                raise InputDataError(
                    f"{run.recording.bold}: expected volumes to learn its mean from when a block of them and its neighbours are "
                    f"held out, found none of {run.n_volumes}; leave this run out with --run-label or --bids-filter-file"
                )
            rows = folds[number] == fold
            baselines[number][rows] = learned.baselines[number]
        for name, model in models.items():
            values = learned.basis.expand(model(learned, split).astype(np.float32))
            for number in range(len(runs)):
                of_run = windows.recording[split.test] == number
                predicted[name][number][windows.volume[split.test][of_run]] = values[of_run]
    complete = [windows.complete[windows.recording == number] for number in range(len(runs))]
    return OutOfSample(baselines, predicted, folds, complete)


def train_on_all(
    runs: Sequence[Prepared],
    settings: Settings,
    *,
    seed: int,
    card: dict[str, Any],
    work_dir: Path | None = None,
    start: Synthesizer | None = None,
) -> tuple[Synthesizer, History]:
    """Train a synthesizer on all volumes, to be applied to other recordings; say how training went."""
    windows, lags = windows_of(runs, settings)
    samples = samples_of(runs, windows, settings)
    split = learn_from_all(samples, settings.training.hold_out, n_folds=settings.training.n_folds)
    learned = learn_targets(runs, windows, split.train, settings, start)
    trainer = trainer_for(None, runs[0], lags, learned, settings, seed=seed, work_dir=work_dir, start=start)
    history = fit(trainer, windows, learned, split, independent=independent_share([run.tr_s for run in runs]))
    grid = runs[0].grid
    assert grid is not None
    template = grid.array(np.mean(learned.baselines, axis=0))
    run = runs[0]
    about = card_of(
        settings,
        positions=run.positions,
        step_s=run.step_s,
        tr_s=run.tr_s,
        frame_s=settings.spectrum.frame_s,
        relative_power=start is not None and bool(start.card["relative_power"]),
    )
    synthesizer = Synthesizer(
        trainer.model,
        trainer.spec,
        learned.basis,
        grid,
        template,
        trainer.output_scale,
        error_of(trainer, learned),
        about | card,
    )
    return synthesizer, history


@dataclass(frozen=True)
class Learned:
    """What training volumes alone determine.

    Attributes
    ----------
    baselines : list of arrays of shape (voxels,)
        Mean intensity of each run's training volumes; of a run without any, the mean over the others.
    basis : Basis
    targets : array of shape (windows, components)
        Coefficients; NaN for windows that are not trained on, so that nobody can look at them unnoticed.
    train : array of int
        Positions of the windows that are.
    change : array of shape (len(train), voxels)
        Their percent signal change, drift removed.
    """

    baselines: list[np.ndarray]
    basis: Basis
    targets: np.ndarray
    train: np.ndarray
    change: np.ndarray


def error_of(trainer: Learner, learned: Learned) -> np.ndarray:
    """Give the standard deviation of what was measured around what was predicted on the inner splits, (voxels,), in percent."""
    squared = np.zeros(learned.change.shape[1])
    n = 0
    for rows, predicted in trainer.judged:
        left = learned.change[np.searchsorted(learned.train, rows)] - learned.basis.expand(predicted.astype(np.float32))
        squared += np.einsum("ij,ij->j", left, left, dtype=np.float64)
        n += len(rows)
    return np.sqrt(squared / max(n, 1)).astype(np.float32)


def learn_targets(
    runs: Sequence[Prepared],
    windows: Windows,
    train: np.ndarray,
    settings: Settings,
    start: Synthesizer | None = None,
) -> Learned:
    """Compute baseline, drift and confounds, basis and coefficients from training volumes only.

    Of a model that is tuned, ``start``, the basis is kept, on the voxels that the runs have of it.
    """
    baselines: dict[int, np.ndarray] = {}
    changes = []
    for number, run in enumerate(runs):
        volumes = windows.volume[train][windows.recording[train] == number]
        if not len(volumes):
            continue
        values = _table(run)[volumes]
        baseline = values.mean(0)
        slow = drift_regressors(run.n_volumes, tr_s=run.tr_s, shortest_period_s=settings.bold.drift_period_s)
        unwanted = slow if run.confounds is None else np.hstack([slow, run.confounds])
        changes.append(remove_drift(percent_change(values, baseline), unwanted[volumes]))
        baselines[number] = baseline
    # Of a run that is held out as a whole not even the mean image is known.
    of_others: np.ndarray = np.mean(list(baselines.values()), axis=0)
    change = np.concatenate(changes)
    grid = runs[0].grid
    assert grid is not None
    basis = fit_basis(change, settings.bold.n_components) if start is None else start.basis_on(grid)
    targets = np.full((len(windows), len(basis.components)), np.nan, dtype=np.float32)
    targets[train] = basis.project(change)  # train is sorted by run, as the changes are
    return Learned([baselines.get(number, of_others) for number in range(len(runs))], basis, targets, train, change)


def trainer_for(
    trainer: Learner | None,
    run: Prepared,
    lags: np.ndarray,
    learned: "Learned",
    settings: Settings,
    *,
    seed: int,
    work_dir: Path | None = None,
    start: Synthesizer | None = None,
) -> Learner:
    """Go on with a trainer if it has as many targets, else make one."""
    n_targets = learned.targets.shape[1]
    if trainer is not None and len(trainer.output_scale) == n_targets:
        return trainer
    assert run.grid is not None
    if start is not None:
        begin = Start(start.network.get_weights(), start.output_scale)
        return make_learner(
            architecture_of(settings), start.spec, _schedule_of(settings), seed=seed, work_dir=work_dir, start=begin
        )
    return make_trainer(run.spectrum, run.positions, lags, n_targets, run.grid, settings, seed=seed, work_dir=work_dir)


def fit(trainer: Learner, windows: Windows, learned: "Learned", split: Split, *, independent: float) -> History:
    """Fit to the training samples of a split."""
    return trainer.fit(
        windows,
        learned.targets,
        split.train,
        split.inner,
        independent=independent,
        components=learned.basis.components,
    )


def architecture_of(settings: Settings) -> Architecture:
    """Load the architecture of the settings, with its options."""
    return load_architecture(settings.training.architecture, settings.training.options)


def make_trainer(
    spectrum: Spectrum,
    positions: Sequence[Sequence[float] | None],
    lags: np.ndarray,
    n_targets: int,
    grid: Grid,
    settings: Settings,
    *,
    seed: int,
    work_dir: Path | None = None,
) -> Learner:
    """Make the network of the settings for windows of such a spectrum, and targets of such a grid."""
    architecture = architecture_of(settings)
    of_voxels = architecture.predicts == "voxels"
    spec = SampleSpec(
        tuple(lags.tolist()),
        spectrum.channels,
        tuple(spectrum.freqs_hz.tolist()),
        grid.n_voxels if of_voxels else n_targets,
        tuple(None if xyz is None else (xyz[0], xyz[1], xyz[2]) for xyz in positions),
        spectrum.sfreq if architecture.looks_at == "signal" else 0.0,
        grid.mask if of_voxels else None,
    )
    return make_learner(architecture, spec, _schedule_of(settings), seed=seed, work_dir=work_dir)


def _schedule_of(settings: Settings) -> Schedule:
    t = settings.training
    half = t.mixed_precision == "auto" and has_gpu()
    return Schedule(t.max_epochs, t.patience, t.batch_size, t.learning_rate, t.decay, t.accumulated_batches, half)


def card_of(
    settings: Settings, *, positions: list, step_s: float, tr_s: float, frame_s: float, relative_power: bool
) -> dict[str, Any]:
    """Describe a synthesizer for its bundle: how EEG has to be prepared for it, and what made it."""
    return {
        "architecture": settings.training.architecture,
        "architecture_options": settings.training.options,
        "positions_m": positions,
        "frame_s": frame_s,
        "step_s": step_s,
        "tr_s": tr_s,
        "relative_power": relative_power,
        "settings": settings.as_dict(),
        "settings_hash": settings.hash,
        "bids_eeg2fmri": __version__,
    }


def describe_history(histories: Sequence[History]) -> list[dict[str, Any]]:
    """Training curves as plain values."""
    return [asdict(history) for history in histories]


def _table(run: Prepared) -> np.ndarray:
    assert run.table is not None
    return run.table


def ridge_features(
    windows: Windows, runs: Sequence[Prepared], settings: Settings
) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """What each of the linear models looks at, for positions of windows; without channels there is none of the EEG."""
    lengths = np.array([run.n_volumes for run in runs])
    drift_period_s = settings.bold.drift_period_s
    by_volume = {"time only": time_features(windows.volume, lengths[windows.recording], tr_s=runs[0].tr_s)}
    by_volume |= blind_features(runs, drift_period_s=drift_period_s)
    by_volume[GLOBAL] = global_signal(runs, [_table(run) for run in runs], drift_period_s=drift_period_s)
    blind: dict[str, Callable[[np.ndarray], np.ndarray]] = {name: of.__getitem__ for name, of in by_volume.items()}
    if not runs[0].spectrum.channels:
        return blind
    power = windows.power @ band_weights(runs[0].spectrum.freqs_hz)
    return {RIDGE: lambda which: power[windows.frames[which]].reshape(len(which), -1)} | blind


def predict_by_ridge(
    features: Callable[[np.ndarray], np.ndarray],
    targets: np.ndarray,
    split: Split,
    independent: float,
    *,
    which: np.ndarray | None = None,
) -> np.ndarray:
    """Fit a ridge to training samples and predict the test samples, or ``which``, (samples, targets)."""
    stride = max(1, -(-len(split.train) // MOST_RIDGE_SAMPLES))
    train = split.train[::stride]
    inner = [
        (np.flatnonzero(np.isin(train, learn)), np.flatnonzero(np.isin(train, judge))) for learn, judge in split.inner
    ]
    ridge = fit_ridge(
        features(train),
        targets[train],
        inner,
        independent=min(1.0, independent * stride),
        least_scale=LEAST_FEATURE_SCALE,
    )
    return ridge.predict(features(split.test if which is None else which))


def independent_share(tr_s: Sequence[float]) -> float:
    """Share of volumes that count as independent: one in about 6 s, the width of a hemodynamic response."""
    return min(1.0, min(tr_s) / 6.0)
