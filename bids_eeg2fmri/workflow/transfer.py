"""Transfer between participants: learn from some, synthesize the others."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from bids_eeg2fmri.bids.derivatives import Derivatives
from bids_eeg2fmri.bids.reading import read_events
from bids_eeg2fmri.bold.basis import fit_basis
from bids_eeg2fmri.bold.drift import drift_regressors, remove_drift
from bids_eeg2fmri.bold.grid import Grid
from bids_eeg2fmri.bold.regions import Regions
from bids_eeg2fmri.config import Settings
from bids_eeg2fmri.eeg.spectrum import Spectrum, relative_to_mean
from bids_eeg2fmri.errors import InputDataError
from bids_eeg2fmri.evaluation.baselines import band_weights, time_features
from bids_eeg2fmri.evaluation.splits import Samples, hold_out, learn_from_all
from bids_eeg2fmri.training.learner import Learner
from bids_eeg2fmri.training.synthesizer import Synthesizer
from bids_eeg2fmri.windows import Windows, lags_s, make_windows
from bids_eeg2fmri.workflow.blind import blind_features
from bids_eeg2fmri.workflow.regions import regions_of
from bids_eeg2fmri.workflow.scoring import RIDGE, Said, Scores, score
from bids_eeg2fmri.workflow.training import (
    Learned,
    architecture_of,
    card_of,
    fit,
    gap_s,
    independent_share,
    make_trainer,
    predict_by_ridge,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sample:
    """A recording as the participant level left it.

    Attributes
    ----------
    participant, name, path : str
    spectrum : Spectrum
        Relative to its own mean.
    level_db : array of shape (channels, frequencies)
        That mean.
    onsets_s : array of shape (volumes,)
    positions : array of shape (channels, 3)
        In m, NaN where unknown.
    grid : Grid or None
        None without BOLD.
    events : DataFrame or None
        On the clock of the volumes.
    motion, cardiac, confounds : array of shape (volumes, regressors) or None
    usable : array of shape (volumes,)
        Volumes to learn from and to be judged by.
    """

    participant: str
    name: str
    path: str
    spectrum: Spectrum
    level_db: np.ndarray
    onsets_s: np.ndarray
    tr_s: float
    step_s: float
    frame_s: float
    fingerprint: str
    positions: np.ndarray
    grid: Grid | None
    events: pd.DataFrame | None = None
    motion: np.ndarray | None = None
    cardiac: np.ndarray | None = None
    confounds: np.ndarray | None = None
    usable: np.ndarray | None = None

    @property
    def known_positions(self) -> list[list[float] | None]:
        """Position of each channel, None where it is not known."""
        return [xyz.tolist() if np.isfinite(xyz).all() else None for xyz in self.positions]


@dataclass(frozen=True)
class Transfer:
    """Predictions of participants by models of the others.

    Attributes
    ----------
    scores : dict of participant to Scores
    courses : dict of participant to list of arrays of shape (volumes, regions)
        Synthesized percent signal change, out of sample; participants without BOLD by the model trained on all.
    mean_r : array of shape (voxels,)
        Average over participants (by Fisher's z).
    grid, regions : Grid, Regions
        Voxels that all participants have.
    synthesizer : Synthesizer
        Trained on all participants.
    """

    scores: dict[str, Scores]
    courses: dict[str, list[np.ndarray]]
    mean_r: np.ndarray
    grid: Grid
    regions: Regions
    synthesizer: Synthesizer


def read_sample(derivatives: Derivatives, participant: str, name: str, path: str, events: str | None = None) -> Sample:
    """Read a recording without its BOLD; ``path`` and the table of ``events`` as the participant's summary has them."""
    arrays = derivatives.read_samples(path, leave_out=("change", "baseline"))
    spectrum = Spectrum(
        arrays["power"],
        arrays["freqs_hz"],
        arrays["ends_s"],
        tuple(map(str, arrays["channels"])),
        arrays.get("signal"),
        float(arrays.get("sfreq", 0.0)),
    )
    return Sample(
        participant,
        name,
        path,
        relative_to_mean(spectrum),
        spectrum.power.mean(0),
        arrays["onsets_s"],
        float(arrays["tr_s"]),
        float(arrays["step_s"]),
        float(arrays["frame_s"]),
        str(arrays["fingerprint"]),
        arrays["positions_m"],
        _grid_of(arrays) if "mask" in arrays else None,
        read_events(derivatives.root / events) if events is not None else None,
        arrays.get("motion"),
        arrays.get("cardiac"),
        arrays.get("confounds"),
        arrays.get("usable"),
    )


def _grid_of(arrays: Mapping[str, np.ndarray]) -> Grid:
    named = [str(arrays[key]) if key in arrays else "" for key in ("space", "resolution")]
    return Grid(arrays["mask"], arrays["affine"], int(arrays["space_code"]), *named)


def transfer(
    derivatives: Derivatives,
    samples: Sequence[Sample],
    settings: Settings,
    *,
    seed: int,
    report: Callable[[str], None],
    work_dir: Path | None = None,
) -> Transfer:
    """Hold out each participant, by itself or in a group if there are many; then train on all.

    Parameters
    ----------
    samples : sequence of Sample
        With the same channels and frequencies; those with BOLD on the same grid.

    Raises
    ------
    InputDataError
        If fewer than three participants have BOLD.
    """
    with_bold = [s for s in samples if s.grid is not None]
    everyone = sorted({s.participant for s in with_bold})
    if not everyone:
        raise InputDataError("expected at least 3 participants to transfer between, found 0 with BOLD")
    architecture = architecture_of(settings)
    if architecture.looks_at == "signal" and any(s.spectrum.signal is None for s in samples):
        raise InputDataError(
            f"the architecture {architecture.name} looks at the EEG itself, which the participant level did not keep; run it "
            f"again with --model {architecture.name} or the same --config-file"
        )
    grids = [s.grid for s in with_bold if s.grid is not None]
    grid = replace(grids[0], mask=np.logical_and.reduce([g.mask for g in grids]))
    regions = regions_of(grid, settings.regions)
    step_s = float(np.median([s.step_s for s in with_bold]))
    lags = lags_s(span_s=settings.window.span_s, step_s=step_s)
    windows = make_windows([s.spectrum for s in with_bold], [s.onsets_s for s in with_bold], lags=lags)
    usable = [np.ones(len(s.onsets_s), bool) if s.usable is None else s.usable for s in with_bold]
    windows = replace(windows, complete=windows.complete & np.concatenate(usable))
    participant = np.array([everyone.index(s.participant) for s in with_bold])[windows.recording]
    windows = replace(windows, person=participant)
    volumes = Samples(
        recording=windows.recording,
        onset_s=np.concatenate([s.onsets_s for s in with_bold]),
        clock=windows.recording,  # runs of one EEG recording are on the same side, as their participant is
        usable=windows.complete,
        gap_s=gap_s(settings),
        participant=participant,
    )
    # Refuses too few participants before anything is computed.
    splits = hold_out(volumes, "participant", n_folds=settings.training.n_folds)

    reduced = []
    for number, sample in enumerate(with_bold):
        report(f"reading {sample.name}")
        reduced.append(_reduce(derivatives, sample, grid, windows, number, settings))
    template = np.mean([_baseline(derivatives, sample, grid) for sample in with_bold], axis=0)

    first = with_bold[0]
    trainer: Learner | None = None
    bands = windows.power @ band_weights(first.spectrum.freqs_hz)
    lengths = np.array([len(s.onsets_s) for s in with_bold])[windows.recording]
    by_volume = {"time only": time_features(windows.volume, lengths, tr_s=first.tr_s)}
    by_volume |= blind_features(with_bold, drift_period_s=settings.bold.drift_period_s)
    independent = independent_share([s.tr_s for s in with_bold])
    scores: dict[str, Scores] = {}
    courses: dict[str, list[np.ndarray]] = {}
    z = np.zeros(grid.n_voxels)
    for fold, split in enumerate(splits):
        held_out = np.unique(participant[split.test])
        report(f"transfer to {', '.join(everyone[i] for i in held_out)} ({fold + 1} of {len(splits)})")
        learned = _learn(windows, split.train, reduced, settings)
        trainer = _trainer(trainer, first, lags, learned, grid, settings, seed, work_dir)
        fit(trainer, windows, learned, split, independent=independent)
        by_name = {
            settings.training.architecture: trainer.predict(windows, split.test),
            RIDGE: predict_by_ridge(
                lambda which: bands[windows.frames[which]].reshape(len(which), -1), learned.targets, split, independent
            ),
        } | {
            name: predict_by_ridge(features.__getitem__, learned.targets, split, independent)
            for name, features in by_volume.items()
        }
        # What the model says of everybody's EEG, to be set against the BOLD of those who were held out.
        said = np.zeros((len(windows), learned.targets.shape[1]), dtype=np.float32)
        said[windows.complete] = trainer.predict(windows, np.flatnonzero(windows.complete))
        for i in held_out:
            who, of_participant = everyone[i], participant[split.test] == i
            of_model = {name: coefficients[of_participant] for name, coefficients in by_name.items()}
            scores[who], courses[who] = _score(
                derivatives,
                with_bold,
                windows,
                split.test[of_participant],
                learned,
                of_model,
                said,
                participant != i,
                grid,
                regions,
                settings,
                seed,
            )
            for sample in samples:
                if sample.participant == who and sample.grid is None:
                    own = make_windows([sample.spectrum], [sample.onsets_s], lags=lags)
                    change = learned.basis.expand(trainer.predict(own, np.flatnonzero(own.complete)))
                    courses[who].append(regions.mean(change))
            r = scores[who].voxels[settings.training.architecture].r
            z += np.arctanh(np.clip(r, -0.999, 0.999)) / len(everyone)

    report("training on all participants")
    split = learn_from_all(volumes, "participant", n_folds=settings.training.n_folds)
    learned = _learn(windows, split.train, reduced, settings)
    trainer = _trainer(trainer, first, lags, learned, grid, settings, seed, work_dir)
    fit(trainer, windows, learned, split, independent=independent)
    synthesizer = Synthesizer(
        trainer.model,
        trainer.spec,
        learned.basis,
        grid,
        grid.array(template),
        trainer.output_scale,
        _error(trainer, learned, reduced),
        card_of(
            settings,
            positions=first.known_positions,
            step_s=step_s,
            tr_s=first.tr_s,
            frame_s=first.frame_s,
            relative_power=True,
        )
        | {"trained_on": [s.name for s in with_bold], "fingerprints": [s.fingerprint for s in with_bold]},
    )
    for sample in samples:
        if sample.grid is None and sample.participant not in everyone:
            own = make_windows([sample.spectrum], [sample.onsets_s], lags=lags)
            change = synthesizer.predict(own, np.flatnonzero(own.complete))
            courses.setdefault(sample.participant, []).append(regions.mean(change))
    return Transfer(scores, courses, np.tanh(z), grid, regions, synthesizer)


@dataclass(frozen=True)
class _Reduced:
    """Drift-free percent signal change of a run's usable volumes, by its own leading directions."""

    rows: np.ndarray  # positions of the windows
    coefficients: np.ndarray  # (volumes, directions)
    directions: np.ndarray  # (directions, voxels)
    left: np.ndarray  # (voxels,), variance of what the directions do not hold


def _reduce(derivatives, sample: Sample, grid: Grid, windows: Windows, number: int, settings: Settings) -> _Reduced:
    rows = np.flatnonzero((windows.recording == number) & windows.complete)
    volumes = windows.volume[rows]
    slow = drift_regressors(len(sample.onsets_s), tr_s=sample.tr_s, shortest_period_s=settings.bold.drift_period_s)
    unwanted = slow if sample.confounds is None else np.hstack([slow, sample.confounds])
    change = remove_drift(_change(derivatives, sample, grid)[volumes], unwanted[volumes])
    # Twice as many directions as the group's basis keeps: what is lost here is below its noise.
    basis = fit_basis(change, 2 * settings.bold.n_components)
    coefficients = basis.project(change)
    return _Reduced(rows, coefficients, basis.components, (change - basis.expand(coefficients)).var(0))


def _learn(windows: Windows, train: np.ndarray, reduced: Sequence[_Reduced], settings: Settings) -> Learned:
    """Fit the basis to training participants only; NaN marks everybody else's targets."""
    used = [r for r in reduced if np.isin(r.rows, train).all()]
    # The scatter of all volumes is that of each run's directions, weighed by how much it varies along them.
    weighted = np.concatenate([np.linalg.norm(r.coefficients, axis=0)[:, None] * r.directions for r in used])
    basis = fit_basis(weighted, settings.bold.n_components)
    targets = np.full((len(windows), len(basis.components)), np.nan, dtype=np.float32)
    for r in used:
        targets[r.rows] = r.coefficients @ basis.project(r.directions)
    return Learned([], basis, targets, train, np.zeros((0, 0)))


def _error(trainer: Learner, learned: Learned, reduced: Sequence[_Reduced]) -> np.ndarray:
    """Give the standard deviation of what was measured around what was predicted on the inner splits, (voxels,), in percent."""
    squared, n = np.zeros(learned.basis.components.shape[1]), 0
    for rows, predicted in trainer.judged:
        for r in reduced:
            own = np.isin(r.rows, rows)
            said = learned.basis.expand(predicted[np.isin(rows, r.rows)].astype(np.float32))
            squared += ((r.coefficients[own] @ r.directions - said) ** 2).sum(0) + own.sum() * r.left
            n += int(own.sum())
    return np.sqrt(squared / max(n, 1))


def _trainer(
    trainer: Learner | None, sample: Sample, lags, learned: Learned, grid: Grid, settings: Settings, seed: int, work_dir
) -> Learner:
    n_targets = learned.targets.shape[1]
    if trainer is not None and len(trainer.output_scale) == n_targets:
        return trainer
    return make_trainer(
        sample.spectrum, sample.known_positions, lags, n_targets, grid, settings, seed=seed, work_dir=work_dir
    )


def _score(derivatives, samples, windows, test, learned, by_name, said, is_other, grid, regions, settings, seed):
    measured, blocks, tr_s, of_model, confounds = [], [], [], [], []
    predicted: dict[str, list[np.ndarray]] = {name: [] for name in [*by_name, "mean image"]}
    courses = []
    for number in np.unique(windows.recording[test]):
        sample = samples[number]
        rows = windows.recording[test] == number
        volumes = windows.volume[test][rows]
        measured.append(_change(derivatives, sample, grid))
        blocks.append(np.where(np.isin(np.arange(len(sample.onsets_s)), volumes), 0, -1))
        tr_s.append(sample.tr_s)
        confounds.append(sample.confounds)
        of_model.append(said[None, windows.recording == number])
        for name, coefficients in by_name.items():
            change = np.zeros_like(measured[-1])
            change[volumes] = learned.basis.expand(coefficients[rows].astype(np.float32))
            predicted[name].append(change)
        predicted["mean image"].append(np.zeros_like(measured[-1]))
        courses.append(regions.mean(predicted[settings.training.architecture][-1][volumes]))
    others = [
        said[None, (windows.recording == number) & windows.complete]
        for number in np.unique(windows.recording[is_other & windows.complete])
    ]
    scores = score(
        measured,
        predicted,
        blocks,
        tr_s=tr_s,
        confounds=confounds,
        regions=regions,
        settings=settings,
        seed=seed,
        said=Said(
            blocks,
            {settings.training.architecture: of_model},
            learned.basis.components[None],
            others=[others] * len(measured),
            kind="EEG of another participant",
        ),
    )
    return scores, courses


def _change(derivatives: Derivatives, sample: Sample, grid: Grid) -> np.ndarray:
    """Measured percent signal change on the group's voxels, from disk."""
    assert sample.grid is not None
    change = derivatives.read_samples(sample.path, only=("change",))["change"]
    return change[:, grid.mask[sample.grid.mask]]


def _baseline(derivatives: Derivatives, sample: Sample, grid: Grid) -> np.ndarray:
    assert sample.grid is not None
    return derivatives.read_samples(sample.path, only=("baseline",))["baseline"][grid.mask[sample.grid.mask]]
