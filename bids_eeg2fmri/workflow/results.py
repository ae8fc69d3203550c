"""What a participant's summary and derivatives say of the scores."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bids_eeg2fmri.bold.grid import Grid
from bids_eeg2fmri.bold.regions import Regions
from bids_eeg2fmri.evaluation.metrics import Course, measure_agreement, residual_maker
from bids_eeg2fmri.evaluation.published import calhas2022, e2fnet2025
from bids_eeg2fmri.workflow.account import Account
from bids_eeg2fmri.workflow.preparation import Prepared
from bids_eeg2fmri.workflow.scoring import Scores, nuisance

# Published metrics are means over volumes: some, evenly spread over a run, tell as much as all.
PUBLISHED_VOLUMES = 40
# Share of the measurement that a band around the prediction is to hold.
COVERAGE = 0.95


def results_of(scores: Scores, regions: Regions, verdict: Mapping[str, Any]) -> dict[str, Any]:
    """Give scores as plain values; without chance where no verdict is possible."""
    results: dict[str, Any] = {
        "verdict": dict(verdict),
        "scores": scores.table.to_dict("records"),
        "regions": [
            {"name": name, "r": float(r), "ceiling": float(ceiling)}
            for name, r, ceiling in zip(regions.names, scores.regions[scores.model].r, scores.ceilings, strict=True)
        ],
        "ceiling": {
            "region_median": float(np.nanmedian(scores.ceilings)) if np.isfinite(scores.ceilings).any() else None
        },
    }
    chance = scores.chance
    if chance is not None and verdict["better_than_chance"] is not None:
        results["chance"] = {
            "pooled_r": chance.pooled_r,
            "p": chance.p,
            "null_pooled_r": np.round(chance.null_pooled_r, 5).tolist(),
            "others": [
                {"kind": kind, "p": other.p, "null_pooled_r": np.round(other.null_pooled_r, 5).tolist()}
                for kind, other in scores.others.items()
            ],
        }
        for entry, p in zip(results["regions"], chance.region_p, strict=True):
            entry["p"] = float(p)
    return results


def write_agreement(
    account: Account,
    p: Prepared,
    regions: Regions,
    measured: np.ndarray,
    predicted: np.ndarray,
    blocks: np.ndarray,
    grid: Grid,
) -> None:
    """Write the map of r of one run and its regions' courses with a band, drift removed from both."""
    out = nuisance(blocks, tr_s=p.tr_s, drift_period_s=account.task.settings.bold.drift_period_s)
    use = blocks >= 0
    agreement = measure_agreement([Course(measured[use], predicted[use], out)])
    account.file(
        p.recording, "r_map", account.derivatives.write_map(p.recording, grid.image(agreement.r.astype(np.float32)))
    )
    q = residual_maker(out)
    courses = {}
    for kind, table in (("measured", measured), ("synthesized", predicted)):
        means = regions.mean(table[use])
        courses[kind] = means - q @ (q.T @ means)
    half = half_width(courses["measured"] - courses["synthesized"], blocks[use])
    courses |= {"low": courses["synthesized"] - half, "high": courses["synthesized"] + half}
    columns: dict[str, np.ndarray] = {"onset": p.onsets_s}
    for kind, values in courses.items():
        course = np.full((len(use), len(regions.names)), np.nan)
        course[use] = values
        columns |= {f"{name}_{kind}": course[:, i] for i, name in enumerate(regions.names)}
    account.file(p.recording, "regions", account.derivatives.write_regions(p.recording, pd.DataFrame(columns)))


def half_width(errors: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """Tell how far from the prediction a measurement is to be expected, by the errors in the other blocks.

    Parameters
    ----------
    errors : array of shape (volumes, regions)
        Measured minus predicted.
    blocks : array of shape (volumes,)

    Returns
    -------
    array of shape (volumes, regions)
        Of 95 % of the errors in the other blocks, the largest size; NaN where there is no other block.

    References
    ----------
    Barber, R. F. et al. (2021). Predictive inference with the jackknife+. Ann. Statist. 49, 486-507. (Cross-conformal bands.)
    """
    half = np.full(errors.shape, np.nan)
    for block in np.unique(blocks):
        others = np.abs(errors[blocks != block])
        if len(others):
            half[blocks == block] = np.quantile(others, COVERAGE, axis=0)
    return half


def published_metrics(
    runs: Sequence[Prepared],
    grid: Grid,
    model: str,
    predicted: Sequence[np.ndarray],
    templates: Sequence[np.ndarray],
    blocks: Sequence[np.ndarray],
) -> list[dict[str, Any]]:
    """Score whole volumes as other papers do, the model beside images that never change.

    Parameters
    ----------
    runs : sequence of Prepared
        With the voxels of ``grid``.
    predicted : sequence of arrays of shape (volumes, voxels)
        Percent signal change from the templates.
    templates : sequence of arrays of shape (volumes, voxels) or (voxels,)
        Mean images of training volumes.
    blocks : sequence of arrays of shape (volumes,)
        -1 where nothing was predicted.

    Returns
    -------
    list of dict
        ``paper``, ``metric``, ``model``, ``value``: means over runs, inside of the mask; outside all are 0.
    """
    found: dict[tuple[str, str, str], list[float]] = {}
    for run, change, template, block in zip(runs, predicted, templates, blocks, strict=True):
        assert run.table is not None
        judged = np.flatnonzero(block >= 0)
        rows = judged[np.linspace(0, len(judged) - 1, min(PUBLISHED_VOLUMES, len(judged))).round().astype(int)]
        constant = np.broadcast_to(template, change.shape)[rows]
        measured = grid.array(run.table[rows])
        candidates = {
            model: constant * (1 + change[rows] / 100),
            "mean image": constant,
            "own mean image": np.broadcast_to(run.table.mean(0), constant.shape),
        }
        for name, table in candidates.items():
            image = grid.array(table)
            for paper in (calhas2022, e2fnet2025):
                for metric, value in paper(measured, image).items():
                    found.setdefault((paper.__name__, metric, name), []).append(value)
    return [
        {"paper": paper, "metric": metric, "model": name, "value": float(np.mean(values))}
        for (paper, metric, name), values in found.items()
    ]
