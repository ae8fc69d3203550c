"""What a participant's summary and derivatives say of the scores."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bids_eeg2fmri.bold.grid import Grid
from bids_eeg2fmri.bold.regions import Regions
from bids_eeg2fmri.evaluation.metrics import Course, coverage, measure_agreement, residual_maker
from bids_eeg2fmri.evaluation.published import calhas2022, e2fnet2025
from bids_eeg2fmri.workflow.account import Account
from bids_eeg2fmri.workflow.preparation import Prepared
from bids_eeg2fmri.workflow.scoring import Scores, nuisance

# Published metrics are means over volumes: some, evenly spread over a run, tell as much as all.
PUBLISHED_VOLUMES = 40
# Share of the measurement that a band around the prediction is to hold.
COVERAGE = 0.95
# Shares of it that intervals in voxels are to hold.
INTERVALS = (0.5, 0.9)


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
            "learned_from": scores.learned_from,
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
    runs: Sequence[Prepared],
    regions: Regions,
    measured: Sequence[np.ndarray],
    predicted: Sequence[np.ndarray],
    blocks: Sequence[np.ndarray],
    grid: Grid,
) -> None:
    """Write the map of r of each run and its regions' courses with a band, drift removed from both."""
    use = [block >= 0 for block in blocks]
    courses: list[dict[str, np.ndarray]] = []
    for p, m, s, block, judged in zip(runs, measured, predicted, blocks, use, strict=True):
        period_s = account.task.settings.bold.drift_period_s
        out = nuisance(block, tr_s=p.tr_s, drift_period_s=period_s, confounds=p.confounds)
        agreement = measure_agreement([Course(m[judged], s[judged], out)])
        r_map = grid.image(agreement.r.astype(np.float32))
        account.file(p.recording, "r_map", account.derivatives.write_map(p.recording, r_map, space=grid.entities))
        q = residual_maker(out)
        means = {"measured": regions.mean(m[judged]), "synthesized": regions.mean(s[judged])}
        courses.append({side: course - q @ (q.T @ course) for side, course in means.items()})
    errors = [course["measured"] - course["synthesized"] for course in courses]
    halves = half_width(errors, [block[judged] for block, judged in zip(blocks, use, strict=True)])
    for p, course, half, judged in zip(runs, courses, halves, use, strict=True):
        course |= {"low": course["synthesized"] - half, "high": course["synthesized"] + half}
        columns: dict[str, np.ndarray] = {"onset": p.onsets_s}
        for kind, values in course.items():
            table = np.full((len(judged), len(regions.names)), np.nan)
            table[judged] = values
            columns |= {f"{name}_{kind}": table[:, i] for i, name in enumerate(regions.names)}
        account.file(p.recording, "regions", account.derivatives.write_regions(p.recording, pd.DataFrame(columns)))


def half_width(errors: Sequence[np.ndarray], blocks: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Tell how far from the prediction a measurement is to be expected, by the errors in the other blocks of all runs.

    Parameters
    ----------
    errors : sequence of arrays of shape (volumes, regions)
        Measured minus predicted, run by run.
    blocks : sequence of arrays of shape (volumes,)
        Blocks of one number in two runs are two blocks.

    Returns
    -------
    list of arrays of shape (volumes, regions)
        Of 95 % of the errors in the other blocks, the largest size; NaN where there is no other block.

    References
    ----------
    Barber, R. F. et al. (2021). Predictive inference with the jackknife+. Ann. Statist. 49, 486-507. (Cross-conformal bands.)
    """
    lengths = [len(block) for block in blocks]
    run, block, size = (
        np.repeat(np.arange(len(lengths)), lengths),
        np.concatenate(blocks),
        np.abs(np.concatenate(errors)),
    )
    half = np.full(size.shape, np.nan)
    for own_run, own_block in np.unique([run, block], axis=1).T:
        own = (run == own_run) & (block == own_block)
        if not own.all():
            half[own] = np.quantile(size[~own], COVERAGE, axis=0)
    return np.split(half, np.cumsum(lengths)[:-1])


def write_errors(
    account: Account,
    runs: Sequence[Prepared],
    measured: Sequence[np.ndarray],
    predicted: Sequence[np.ndarray],
    blocks: Sequence[np.ndarray],
    errors: Sequence[np.ndarray],
    grid: Grid,
) -> dict[str, Any]:
    """Write the map of the error that was expected of each run, and tell how much of the measurement is where it was expected.

    Parameters
    ----------
    errors : sequence of arrays of shape (voxels,)
        By the number of a block: what the model that predicts it expects, in percent signal change.
    """
    courses, expected = [], []
    for p, m, s, block in zip(runs, measured, predicted, blocks, strict=True):
        judged = block >= 0
        period_s = account.task.settings.bold.drift_period_s
        out = nuisance(block, tr_s=p.tr_s, drift_period_s=period_s, confounds=p.confounds)
        courses.append(Course(m[judged], s[judged], out))
        expected.append(np.stack(errors)[block[judged]])
        write_error(account, p, np.sqrt(np.mean(expected[-1] ** 2, axis=0)), grid)
    found = coverage(courses, expected, INTERVALS)
    return {
        "error_median": float(np.median(np.stack(errors))),
        "coverage": [{"wanted": wanted, "found": share} for wanted, share in zip(INTERVALS, found, strict=True)],
    }


def write_error(account: Account, p: Prepared, error: np.ndarray, grid: Grid) -> None:
    """Write the map of the error that is expected of a run."""
    image = grid.image(error.astype(np.float32))
    account.file(p.recording, "error_map", account.derivatives.write_error(p.recording, image, space=grid.entities))


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
    of_runs = []
    for run, change, template, block in zip(runs, predicted, templates, blocks, strict=True):
        assert run.table is not None
        rows = some_volumes(block)
        constant = np.broadcast_to(template, change.shape)[rows]
        candidates = {
            model: constant * (1 + change[rows] / 100),
            "mean image": constant,
            "own mean image": np.broadcast_to(run.mean, constant.shape),
        }
        of_runs.append((grid.array(run.table[rows]), {name: grid.array(table) for name, table in candidates.items()}))
    return compare_images(of_runs)


def some_volumes(blocks: np.ndarray) -> np.ndarray:
    """Choose volumes that were predicted, evenly spread, ascending."""
    judged = np.flatnonzero(blocks >= 0)
    return judged[np.linspace(0, len(judged) - 1, min(PUBLISHED_VOLUMES, len(judged))).round().astype(int)]


def compare_images(runs: Sequence[tuple[np.ndarray, Mapping[str, np.ndarray]]]) -> list[dict[str, Any]]:
    """Score images (x, y, z, volumes) of each model against the measured ones, run by run, as papers do."""
    found: dict[tuple[str, str, str], list[float]] = {}
    for measured, images in runs:
        for name, image in images.items():
            for paper in (calhas2022, e2fnet2025):
                for metric, value in paper(measured, image).items():
                    found.setdefault((paper.__name__, metric, name), []).append(value)
    return [
        {"paper": paper, "metric": metric, "model": name, "value": float(np.mean(values))}
        for (paper, metric, name), values in found.items()
    ]
