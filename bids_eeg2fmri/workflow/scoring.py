"""Score a model beside the baselines: agreement, intervals, chance, ceilings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from bids_eeg2fmri.bold.drift import drift_regressors
from bids_eeg2fmri.bold.regions import Regions
from bids_eeg2fmri.config import EvaluationSettings, Settings
from bids_eeg2fmri.evaluation.ceilings import split_half_reliability
from bids_eeg2fmri.evaluation.chance import (
    Chance,
    Forecast,
    compare_with,
    exchanged,
    randomize_phases,
    share_significant,
    shifted,
)
from bids_eeg2fmri.evaluation.inference import block_intervals
from bids_eeg2fmri.evaluation.metrics import Agreement, Course, measure_agreement
from bids_eeg2fmri.evaluation.patterns import connectivity_agreement, spatial_r, spectral_agreement, without_global

# What does not look at the EEG, and has to be beaten.
BLIND = ("mean image", "own mean image", "time only", "schedule only", "nuisance only")
# What looks at the very volumes that are to be predicted: no baseline, but something to compare with.
REFERENCES = ("global signal",)
RIDGE = "lagged band-power ridge"
# What is told of a saved model that is tuned.
AS_IT_WAS = "saved model before it was tuned"

# Shifts that differ by this much have nothing to do with each other: twice the width of a hemodynamic response.
INDEPENDENT_SHIFT_S = 12.0

PHASES = "phase-randomized EEG"
# Where nobody can ask the model about other EEG.
PHASES_OF_PREDICTION = "phase-randomized prediction"


@dataclass(frozen=True)
class Said:
    """What models say of other times than the one at hand, to tell chance; see ``evaluation.chance.Forecast``.

    Attributes
    ----------
    model : list of arrays of shape (volumes,)
        Per run, which model predicts each volume; -1 where none does.
    coefficients : dict of model to list of arrays of shape (models, volumes, components)
        Of the models that look at the EEG, one array per run, for every volume of it.
    bases : array of shape (models, components, voxels)
    surrogates : list of draws, each a list of arrays of shape (volumes, components)
        What the first model says of EEG with random phases.
    others : list of lists of arrays of shape (models, volumes, components)
        Per run, what the first model says of other recordings; empty takes the other runs.
    kind : str
        What the others are.
    share : float
        Of the parts that the models could have learned from, the share that they did.
    """

    model: Sequence[np.ndarray]
    coefficients: Mapping[str, Sequence[np.ndarray]]
    bases: np.ndarray
    surrogates: Sequence[Sequence[np.ndarray]] = ()
    others: Sequence[Sequence[np.ndarray]] = ()
    kind: str = "EEG of another run"
    share: float = 1.0


@dataclass(frozen=True)
class Scores:
    """Agreement of every model with the measurement.

    Attributes
    ----------
    table : DataFrame
        A row per model.
    voxels, regions : dict of model to Agreement
    chance : Chance or None
        Of the first model, against shifts in time; None if the runs are too short.
    others : dict of kind to Chance
        Of the first model, against other kinds of EEG that has nothing to do with the measurement.
    learned_from : float
        Share of what they could have learned from that the models behind ``chance`` and ``others`` did; 1 if they are those
        that gave the predictions.
    ceilings : array of shape (regions,)
        r of a perfect model, estimated by the split-half reliability of the region's mean; NaN where unknown.
    """

    table: pd.DataFrame
    voxels: dict[str, Agreement]
    regions: dict[str, Agreement]
    chance: Chance | None
    others: dict[str, Chance] = field(default_factory=dict)
    ceilings: np.ndarray = field(default_factory=lambda: np.array([]))
    learned_from: float = 1.0

    @property
    def model(self) -> str:
        """The model that the scores are about."""
        return str(self.table.model.iloc[0])


def nuisance(
    blocks: np.ndarray, *, tr_s: float, drift_period_s: float, confounds: np.ndarray | None = None
) -> np.ndarray:
    """Regressors that neither side is judged by: drift, one constant per held-out block, and confounds.

    Parameters
    ----------
    blocks : array of shape (volumes,)
        Number of the block of each volume, -1 where none was predicted; those volumes are left out.
    confounds : array of shape (volumes, regressors), optional
    """
    drift = drift_regressors(len(blocks), tr_s=tr_s, shortest_period_s=drift_period_s)
    constants = blocks[:, None] == np.unique(blocks[blocks >= 0])
    known = [drift, constants] if confounds is None else [drift, constants, confounds]
    return np.hstack(known)[blocks >= 0]


def score(
    measured: Sequence[np.ndarray],
    predicted: Mapping[str, Sequence[np.ndarray]],
    blocks: Sequence[np.ndarray],
    *,
    tr_s: Sequence[float],
    regions: Regions,
    settings: Settings,
    seed: int,
    said: Said | None = None,
    confounds: Sequence[np.ndarray | None] = (),
) -> Scores:
    """Compare models with the measurement over all runs of a participant.

    Parameters
    ----------
    measured : list of arrays of shape (volumes, voxels)
        Percent signal change, one array per run.
    predicted : mapping of model name to such lists
        The first is the one that is tested against chance.
    blocks : list of arrays of shape (volumes,)
        See :func:`nuisance`. The number of a block is that of the model that predicts it.
    said : Said or None
        None if a single model, which has not seen these runs, predicts all of them.
    confounds : list of arrays of shape (volumes, regressors) or None
        Left out of both sides of each run; empty where there are none.
    """
    use = [b >= 0 for b in blocks]

    def nuisances(of: Sequence[np.ndarray]) -> list[np.ndarray]:
        period_s = settings.bold.drift_period_s
        return [
            nuisance(b, tr_s=tr, drift_period_s=period_s, confounds=c)
            for b, tr, c in zip(of, tr_s, confounds or [None] * len(of), strict=True)
        ]

    out = nuisances(blocks)
    # The parts that tell chance need not be those of the scores.
    out_for_chance = out if said is None else nuisances(said.model)
    truth = [m[u] for m, u in zip(measured, use, strict=True)]
    by_voxel: dict[str, Agreement] = {}
    by_region: dict[str, Agreement] = {}
    rows = []
    for name, prediction in predicted.items():
        voxels = [Course(m, p[u], n) for m, p, u, n in zip(truth, prediction, use, out, strict=True)]
        regional = [Course(regions.mean(c.measured), regions.mean(c.predicted), c.nuisance) for c in voxels]
        by_voxel[name], by_region[name] = measure_agreement(voxels), measure_agreement(regional)
        rows.append(_row(name, by_voxel[name], by_region[name]) | _patterns(voxels, regional, tr_s))
    block = int(np.ceil(settings.evaluation.shortest_shift_s / min(tr_s)))
    intervals = block_intervals(by_voxel, block=block, seed=seed)
    first = by_voxel[next(iter(predicted))]
    for number, row in enumerate(rows):
        for key, (low, high) in intervals[row["model"]].items():
            row |= {f"{key}_low": low, f"{key}_high": high}
        row["gain"] = first.pooled_skill - row["pooled_skill"]
        if not number:
            row |= dict.fromkeys(("gain", "gain_low", "gain_high"), np.nan)
    chance, others = None, {}
    for row in rows:
        if row is rows[0] or (said is not None and row["model"] in said.coefficients):
            forecasts = _forecasts(row["model"], predicted, truth, use, out_for_chance, said)
            found = _against_shifts(forecasts, tr_s, regions, settings.evaluation, seed)
            if found is not None and found.voxel_p is not None:
                row["share_significant"] = share_significant(found.voxel_p)
            if row is rows[0] and found is not None:
                chance = found
                others = _against_others(row["model"], forecasts, said, use, regions, settings.evaluation, seed)
    return Scores(
        pd.DataFrame(rows),
        by_voxel,
        by_region,
        chance,
        others,
        split_half_reliability(truth, regions.labels, out, seed=seed),
        1.0 if said is None else said.share,
    )


def _forecasts(model, predicted, truth, use, out, said: Said | None) -> dict[int, Forecast]:
    """By the number of the run; a run that no model predicts to tell chance has none."""
    if said is None:
        return {
            run: Forecast.of(m, p[u], n)
            for run, (m, p, u, n) in enumerate(zip(truth, predicted[model], use, out, strict=True))
        }
    forecasts = {}
    for run, which in enumerate(said.model):
        judged = which >= 0
        if judged.any():
            rows = judged[use[run]]
            coefficients = said.coefficients[model][run][:, judged]
            forecasts[run] = Forecast(truth[run][rows], out[run], which[judged], coefficients, said.bases)
    return forecasts


def _against_shifts(
    forecasts: Mapping[int, Forecast], tr_s: Sequence[float], regions: Regions, how: EvaluationSettings, seed: int
) -> Chance | None:
    """Compare with the EEG of another time; None if all runs are too short for that."""
    shortest = {run: int(np.ceil(how.shortest_shift_s / tr_s[run])) for run in forecasts}
    long = [run for run, forecast in forecasts.items() if forecast.n_volumes > 2 * shortest[run]]
    if not long:
        return None
    kept = [forecasts[run] for run in long]
    draws = shifted(kept, shortest=[shortest[run] for run in long], n_draws=how.n_shifts, seed=seed)
    seconds = sum(forecasts[run].n_volumes * tr_s[run] for run in long)
    return compare_with(kept, draws, labels=regions.labels, independent_draws=seconds / INDEPENDENT_SHIFT_S)


def _against_others(
    model: str,
    forecasts: Mapping[int, Forecast],
    said: Said | None,
    use: Sequence[np.ndarray],
    regions: Regions,
    how: EvaluationSettings,
    seed: int,
) -> dict[str, Chance]:
    """Compare with EEG of random phases, and with that of other runs, as far as models have looked at them.

    Of a prediction whose model can't be asked, the phases of the prediction itself are drawn at random.
    """
    real = list(forecasts.values())
    if said is None:
        phases = (
            [randomize_phases(f.real, seed=[seed, draw, run]) for run, f in forecasts.items()]
            for draw in range(how.n_shifts)
        )
        return {PHASES_OF_PREDICTION: compare_with(real, phases, labels=regions.labels)}
    found = {}
    if said.surrogates:
        draws = ([draw[run][said.model[run] >= 0] for run in forecasts] for draw in said.surrogates)
        found[PHASES] = compare_with(real, draws, labels=regions.labels)
    every = [c[:, u] for c, u in zip(said.coefficients[model], use, strict=True)]
    others = [said.others[run] if said.others else [*every[:run], *every[run + 1 :]] for run in forecasts]
    if all(others):
        exchanges = exchanged(real, others, n_draws=how.n_shifts, seed=seed)
        found[said.kind] = compare_with(real, exchanges, labels=regions.labels)
    return found


def _row(name: str, voxels: Agreement, regions: Agreement) -> dict[str, Any]:
    quartiles = np.percentile(voxels.r, [25, 50, 75, 95])
    looks = name not in BLIND and name not in REFERENCES
    kind = (
        "baseline" if name in BLIND else "reference" if name in REFERENCES else "linear" if name == RIDGE else "model"
    )
    return {
        "model": name,
        "kind": kind,
        "looks_at_eeg": looks,
        "pooled_r": voxels.pooled_r,
        "pooled_skill": voxels.pooled_skill,
        "voxel_r_25": quartiles[0],
        "voxel_r_median": quartiles[1],
        "voxel_r_75": quartiles[2],
        "voxel_r_95": quartiles[3],
        "region_r_median": float(np.median(regions.r)),
        "best_region_r": float(regions.r.max()),
        "share_significant": np.nan,
        "amplitude": voxels.sums.amplitude,
        "amplitude_median": float(np.median(voxels.amplitude)),
    }


def _patterns(voxels: Sequence[Course], regional: Sequence[Course], tr_s: Sequence[float]) -> dict[str, float]:
    """Agreement over space, between regions, over frequency, and of what is not common to the whole brain."""
    return {
        "spatial_r_median": float(np.median(spatial_r(voxels))),
        "connectivity_r": connectivity_agreement(regional),
        "spectral_r": spectral_agreement(regional, float(np.median(tr_s))),
        "pooled_r_no_global": measure_agreement(without_global(voxels)).pooled_r,
    }
