"""Score a model beside the baselines, and say in words what that means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bids_eeg2fmri.bold.drift import drift_regressors
from bids_eeg2fmri.bold.regions import Regions
from bids_eeg2fmri.config import Settings
from bids_eeg2fmri.evaluation.chance import Chance, test_against_shifts
from bids_eeg2fmri.evaluation.metrics import Agreement, Course, measure_agreement

# What does not look at the EEG.
BLIND = ("mean image", "time only")
RIDGE = "lagged band-power ridge"


@dataclass(frozen=True)
class Scores:
    """Agreement of every model with the measurement.

    Attributes
    ----------
    table : DataFrame
        A row per model.
    voxels, regions : dict of model to Agreement
    chance : Chance or None
        Of the first model; None if the runs are too short.
    """

    table: pd.DataFrame
    voxels: dict[str, Agreement]
    regions: dict[str, Agreement]
    chance: Chance | None


def nuisance(blocks: np.ndarray, *, tr_s: float, drift_period_s: float) -> np.ndarray:
    """Regressors that neither side is judged by: drift, and one constant per held-out block.

    Parameters
    ----------
    blocks : array of shape (volumes,)
        Number of the block of each volume, -1 where none was predicted; those volumes are left out.
    """
    drift = drift_regressors(len(blocks), tr_s=tr_s, shortest_period_s=drift_period_s)
    constants = blocks[:, None] == np.unique(blocks[blocks >= 0])
    return np.hstack([drift, constants])[blocks >= 0]


def score(
    measured: Sequence[np.ndarray],
    predicted: Mapping[str, Sequence[np.ndarray]],
    blocks: Sequence[np.ndarray],
    *,
    tr_s: Sequence[float],
    regions: Regions,
    settings: Settings,
    seed: int,
) -> Scores:
    """Compare models with the measurement over all runs of a participant.

    Parameters
    ----------
    measured : list of arrays of shape (volumes, voxels)
        Percent signal change, one array per run.
    predicted : mapping of model name to such lists
        The first is the one that is tested against chance.
    blocks : list of arrays of shape (volumes,)
        See :func:`nuisance`.
    """
    by_voxel: dict[str, Agreement] = {}
    by_region: dict[str, Agreement] = {}
    chance = None
    out = [
        nuisance(b, tr_s=tr, drift_period_s=settings.bold.drift_period_s) for b, tr in zip(blocks, tr_s, strict=True)
    ]
    use = [b >= 0 for b in blocks]
    for number, (name, prediction) in enumerate(predicted.items()):
        voxels = [Course(m[u], p[u], n) for m, p, u, n in zip(measured, prediction, use, out, strict=True)]
        regional = [Course(regions.mean(c.measured), regions.mean(c.predicted), c.nuisance) for c in voxels]
        by_voxel[name] = measure_agreement(voxels)
        by_region[name] = measure_agreement(regional)
        if number == 0:
            shortest = int(np.ceil(settings.evaluation.shortest_shift_s / min(tr_s)))
            long = [i for i, u in enumerate(use) if u.sum() > 2 * shortest]
            if long:
                chance = test_against_shifts(
                    [voxels[i] for i in long],
                    [regional[i] for i in long],
                    shortest=shortest,
                    n_draws=settings.evaluation.n_shifts,
                    seed=seed,
                )
    table = pd.DataFrame([_row(name, by_voxel[name], by_region[name]) for name in predicted])
    return Scores(table, by_voxel, by_region, chance)


def _row(name: str, voxels: Agreement, regions: Agreement) -> dict[str, Any]:
    quartiles = np.percentile(voxels.r, [25, 50, 75, 95])
    return {
        "model": name,
        "looks_at_eeg": name not in BLIND,
        "pooled_r": voxels.pooled_r,
        "pooled_skill": voxels.pooled_skill,
        "voxel_r_median": quartiles[1],
        "voxel_r_25": quartiles[0],
        "voxel_r_75": quartiles[2],
        "voxel_r_95": quartiles[3],
        "best_region_r": float(regions.r.max()),
        "amplitude_median": float(np.median(voxels.amplitude)),
    }


def judge(scores: Scores, regions: Regions, *, alpha: float, trained_on: bool = False) -> dict[str, Any]:
    """Say whether the first model is better than chance and than what ignores the EEG.

    Parameters
    ----------
    trained_on : bool
        Whether the model has seen these very volumes; then no verdict is possible.

    Returns
    -------
    dict
        ``headline``, ``better_than_chance``, ``better_than_baselines``, ``sentences``.
    """
    table = scores.table.set_index("model")
    model = table.index[0]
    blind = table[[not looks for looks in table.looks_at_eeg]]
    best_blind = float(max(blind.pooled_skill.max(), 0.0)) if len(blind) else 0.0
    skill = float(table.pooled_skill.iloc[0])
    sentences: list[str] = []
    if trained_on:
        headline = "No verdict: the model was trained on these recordings"
        sentences.append("Agreement with volumes that a model has learned from says nothing about new ones.")
        return {"headline": headline, "better_than_chance": None, "better_than_baselines": None, "sentences": sentences}
    if scores.chance is None:
        headline = "No verdict: the runs are too short to tell chance"
        return {"headline": headline, "better_than_chance": None, "better_than_baselines": None, "sentences": sentences}

    chance = scores.chance
    above_chance = chance.p < alpha
    above_blind = skill > best_blind
    typical = float(np.median(chance.null_pooled_r))
    sentences.append(
        f"Over the brain, r = {chance.pooled_r:.2f} at the true alignment against {typical:.2f} in the median of "
        f"{len(chance.null_pooled_r)} shifts of the prediction in time ({say_p(chance.p)})."
    )
    sentences.append(
        f"It explains {100 * skill:.1f} % of the changes over time (skill over the mean image); the best baseline that "
        f"ignores the EEG explains {100 * best_blind:.1f} %."
    )
    significant = [
        f"{name} (r = {r:.2f}, {say_p(p)})"
        for name, r, p in sorted(
            zip(regions.names, scores.regions[model].r, chance.region_p, strict=True), key=lambda item: -item[1]
        )
        if p < alpha
    ]
    if above_chance and above_blind:
        headline = "Better than chance and than the baselines that ignore the EEG"
        if significant:
            more = f" and {len(significant) - 5} more" if len(significant) > 5 else ""
            sentences.append(
                f"In {len(significant)} of {len(regions.names)} regions, corrected for their number: "
                f"{', '.join(significant[:5])}{more}."
            )
        else:
            sentences.append("No region is above chance by itself after correction for their number.")
        if RIDGE in table.index and table.pooled_r[RIDGE] >= table.pooled_r.iloc[0]:
            sentences.append(
                f"The {RIDGE} does as well or better (r = {table.pooled_r[RIDGE]:.2f}): the network adds nothing here."
            )
    elif above_chance:
        headline = "No better than the baselines that ignore the EEG"
        sentences.append("Its timing fits better than shifted timing does, but its size does not; do not rely on it.")
    else:
        headline = "No better than chance"
        sentences.append("The synthesized series of this participant holds no evidence of a link to the measured BOLD.")
    if float(table.amplitude_median.iloc[0]) < 0.05:
        sentences.append("The prediction hardly changes over time: it is close to a constant image.")
    return {
        "headline": headline,
        "better_than_chance": bool(above_chance),
        "better_than_baselines": bool(above_blind),
        "sentences": sentences,
    }


def say_p(p: float) -> str:
    """Write a p-value for a reader: three decimals, and never 0."""
    return "p < 0.001" if p < 0.0005 else f"p = {p:.3f}"
