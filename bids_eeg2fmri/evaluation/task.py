"""Agreement of the maps of a task: one first-level GLM on measured and on predicted series."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from bids_eeg2fmri.evaluation.baselines import EARLIEST_S
from bids_eeg2fmri.evaluation.metrics import residual_maker

# The response to fewer events can't be told from what else happened at those times.
FEWEST_EVENTS = 3
# A map for each of a hundred kinds of pictures is nothing that anybody looks at.
MOST_CONDITIONS = 8
# Variance of a condition's course that nothing else in the design accounts for: a variance inflation of at most 10.
SMALLEST_OWN_SHARE = 0.1
FEWEST_DEGREES_OF_FREEDOM = 20
# By custom not modeled; of two conditions that can't be told apart, the other one is kept.
BASELINES = ("rest", "baseline", "fixation")
MISSING = "n/a"


@dataclass(frozen=True)
class Design:
    """Design matrix of a run, and what is asked of it.

    Attributes
    ----------
    matrix : array of shape (volumes in use, columns)
        Courses of conditions, then the nuisance, made orthonormal. The courses peak at 1, so that effects are in percent
        signal change at the peak, whatever the duration of the events.
    n_nuisance : int
        The last columns.
    contrasts : dict of str to array of shape (parts, columns)
        Weights of the columns. One part, or one for each held-out block: see :func:`split_by_block`.
    left_out : dict of str to str
        Conditions that are not modeled, with the reason.
    """

    matrix: np.ndarray
    n_nuisance: int
    contrasts: dict[str, np.ndarray]
    left_out: dict[str, str]


@dataclass(frozen=True)
class ContrastMaps:
    """Maps of a contrast, (parts, voxels) each; NaN where the measurement does not change.

    Attributes
    ----------
    measured : array
        z.
    predicted : dict of model to array
        The effect in the prediction, as z in the noise of the measurement.
    """

    measured: np.ndarray
    predicted: dict[str, np.ndarray]


@dataclass(frozen=True)
class MapAgreement:
    """How alike two maps are.

    Attributes
    ----------
    r : float
        Pearson correlation over voxels; 0 if a map is constant.
    dice : float
        Overlap of the strongest voxels, see :func:`agree`.
    threshold_share : float
        Share of the voxels that count as strongest.
    """

    r: float
    dice: float
    threshold_share: float


def design_matrix(events: pd.DataFrame, nuisance: np.ndarray, blocks: np.ndarray, *, tr_s: float) -> Design:
    """Convolve the events with the HRF of SPM, a course per kind of event, at the middle of each volume.

    The contrasts are each condition against the implicit baseline, and of two or three conditions their differences, which
    show what is special about one (all share what any event evokes). With more there would be more differences than conditions.

    Parameters
    ----------
    events : DataFrame
        ``onset`` from the first volume and ``duration`` in s, and ``trial_type``. Without types all events are of one
        kind, "event"; where some have a type, those without are left out. Events of no known duration are impulses.
    nuisance : array of shape (volumes in use, regressors)
        Drift, a constant for each held-out block: what neither side is judged by.
    blocks : array of shape (volumes,)
        Number of the held-out block, -1 for volumes that were not predicted: those are left out on both sides.
    tr_s : float
    """
    from nilearn.glm.first_level import compute_regressor

    use = blocks >= 0
    middles = (np.arange(len(use)) + 0.5) * tr_s
    onsets = events["onset"].to_numpy(float)
    durations = np.nan_to_num(events["duration"].to_numpy(float)) if "duration" in events else np.zeros(len(events))
    ends = onsets + durations.clip(min=0)
    inside = (ends >= EARLIEST_S) & (onsets < len(use) * tr_s)  # False where the onset is missing
    onsets = np.maximum(onsets, EARLIEST_S)
    kinds = _kinds(events)
    basis = residual_maker(nuisance)
    # Each condition needs a column for each block.
    room = (use.sum() - basis.shape[1] - FEWEST_DEGREES_OF_FREEDOM) // max(1, len(np.unique(blocks[use])))
    left_out: dict[str, str] = {}
    courses: dict[str, np.ndarray] = {}
    for kind in sorted(pd.unique(kinds), key=lambda kind: (kind.lower() in BASELINES, -int(np.sum(kinds == kind)))):
        which = inside & (kinds == kind)
        if kind == MISSING:
            left_out[kind] = f"{np.sum(kinds == kind)} events of no kind"
        elif which.sum() < FEWEST_EVENTS:
            left_out[kind] = f"{which.sum()} events during the volumes, {FEWEST_EVENTS} are needed"
        elif len(courses) == MOST_CONDITIONS:
            left_out[kind] = f"{MOST_CONDITIONS} others are more frequent"
        elif len(courses) >= room:
            left_out[kind] = f"{use.sum()} volumes are too few for another condition"
        else:
            triplet = np.array([onsets[which], (ends - onsets)[which], np.ones(which.sum())])
            # nilearn counts from the first of the times, and warns of what lies before the earliest.
            course = compute_regressor(triplet, "spm", middles, min_onset=EARLIEST_S - middles[0] - 1e-3)[0][use, 0]
            peak = np.abs(course).max()
            candidates = courses | {kind: course / (peak if peak > 0 else 1)}
            if _own_shares(np.stack(list(candidates.values()), 1), basis).min() < SMALLEST_OWN_SHARE:
                others = ", ".join([*courses, "drift and means of blocks"])
                left_out[kind] = f"its course can't be told from those of {others}"
            else:
                courses = candidates
    matrix = np.stack([*courses.values(), *basis.T], 1)
    unit = dict(zip(courses, np.eye(len(courses), matrix.shape[1])[:, None], strict=True))
    contrasts = dict(unit)
    if len(unit) <= 3:
        contrasts = {f"{a} - {b}": unit[a] - unit[b] for a, b in combinations(unit, 2)}
        contrasts = unit | {name: weights for name, weights in contrasts.items() if name not in unit}
    return Design(matrix, basis.shape[1], contrasts, left_out)


def split_by_block(design: Design, blocks: np.ndarray) -> Design:
    """Ask for the effects in each held-out block by itself.

    Predictions of a block come from volumes outside of it, but those of *all* blocks together come from all volumes: the
    average of what the others say of each block is the average of all. A map of the whole run would show that, and agree with the
    measured one in its noise: "schedule only" with r > 0.9 where the BOLD has no task in it. Within a block the measurement has had
    no say in the prediction.

    Parameters
    ----------
    design : Design
    blocks : array of shape (volumes,)
        As :func:`design_matrix` takes them.

    Returns
    -------
    Design
        A part for each block in which a contrast can be told from the block's mean and drift; without contrasts for which
        there is none.
    """
    number = blocks[blocks >= 0]
    n = design.matrix.shape[1] - design.n_nuisance
    courses, basis = design.matrix[:, :n], design.matrix[:, n:]
    masks = [number == block for block in np.unique(number)]
    columns = np.stack([courses[:, i] * mask for mask in masks for i in range(n)], 1) if n else courses
    kept = np.flatnonzero(np.abs(columns).max(0) > 0.01)
    while len(kept) and (shares := _own_shares(columns[:, kept], basis)).min() < SMALLEST_OWN_SHARE:
        kept = np.delete(kept, np.argmin(shares))
    where = {int(column): i for i, column in enumerate(kept)}
    contrasts: dict[str, np.ndarray] = {}
    for name, [weights] in design.contrasts.items():
        parts = []
        for block in range(len(masks)):
            needed = {block * n + int(i): weights[i] for i in np.flatnonzero(weights)}
            if all(column in where for column in needed):
                part = np.zeros(len(kept) + design.n_nuisance)
                part[[where[column] for column in needed]] = list(needed.values())
                parts.append(part)
        if parts:
            contrasts[name] = np.stack(parts)
    return Design(np.hstack([columns[:, kept], basis]), design.n_nuisance, contrasts, design.left_out)


def _kinds(events: pd.DataFrame) -> np.ndarray:
    if "trial_type" in events:
        told = events["trial_type"].astype(object)
        kinds = told.where(told.notna(), MISSING).astype(str).str.strip().replace("", MISSING).to_numpy(dtype=object)
        if (kinds != MISSING).any():
            return kinds
    return np.full(len(events), "event", dtype=object)


def _own_shares(courses: np.ndarray, nuisance: np.ndarray) -> np.ndarray:
    """Share of each course's variance that neither the other ones nor the nuisance account for."""
    shares = np.zeros(courses.shape[1])
    for i, course in enumerate(courses.T):
        others = np.hstack([nuisance, np.delete(courses, i, axis=1)])
        residual = course - others @ np.linalg.lstsq(others, course)[0]
        variance = np.sum((course - course.mean()) ** 2)
        shares[i] = residual @ residual / variance if variance > 0 else 0
    return shares


def map_contrasts(measured: np.ndarray, predicted: Mapping[str, np.ndarray], design: Design) -> dict[str, ContrastMaps]:
    """Fit one GLM to measurement and predictions, and give the maps of each contrast.

    The noise is first-order autoregressive, as in ``nilearn``. Both sides are whitened, and their effects divided, by
    the noise of the *measurement*: a prediction has next to none of its own, so its own z would be large wherever it
    follows the task at all, by a thousandth of a percent as by one percent (if it is of one component, the same
    everywhere but for the sign). A prediction that equals the measurement gives the same map.

    Parameters
    ----------
    measured : array of shape (volumes in use, voxels)
        Percent signal change.
    predicted : mapping of model to such arrays
    design : Design
    """
    from nilearn.glm.first_level import run_glm

    matrix = design.matrix
    nuisance = matrix[:, matrix.shape[1] - design.n_nuisance :]
    power = _power(measured, nuisance)
    # A constant in single precision leaves residuals of some 1e-7; they are no variance.
    changes = power > 1e-12 * np.einsum("ij,ij->j", measured, measured, dtype=np.float64)
    if not design.contrasts or not changes.any():
        return {}
    weights = np.concatenate(list(design.contrasts.values()))
    labels, results = run_glm(measured[:, changes], matrix, noise_model="ar1")
    series = {name: values[:, changes] for name, values in predicted.items()}
    of_measured, variance, *of_predicted = (np.zeros((len(weights), len(labels))) for _ in range(2 + len(series)))
    for label, result in results.items():
        where = labels == label
        of_measured[:, where] = weights @ result.theta
        variance[:, where] = np.outer(np.einsum("ij,jk,ik->i", weights, result.cov, weights), result.dispersion)
        # The estimate is linear in the series: the same rows serve either side.
        rows = weights @ result.model.calc_beta @ result.model.whiten(np.eye(len(matrix)))
        for effects, values in zip(of_predicted, series.values(), strict=True):
            effects[:, where] = rows.astype(values.dtype) @ values[:, where]
    for effects, values in zip(of_predicted, series.values(), strict=True):
        effects[:, _power(values, nuisance) <= 1e-10 * power[changes]] = 0

    def z(effects: np.ndarray) -> np.ndarray:
        filled = np.full((len(effects), len(changes)), np.nan)
        filled[:, changes] = _z_of_t(effects / np.sqrt(variance), dof=matrix.shape[0] - matrix.shape[1])
        return filled

    z_measured, z_predicted = z(of_measured), {n: z(e) for n, e in zip(series, of_predicted, strict=True)}
    ends = np.cumsum([len(parts) for parts in design.contrasts.values()])
    return {
        name: ContrastMaps(
            z_measured[end - len(parts) : end], {model: z[end - len(parts) : end] for model, z in z_predicted.items()}
        )
        for (name, parts), end in zip(design.contrasts.items(), ends, strict=True)
    }


def _z_of_t(t: np.ndarray, *, dof: int) -> np.ndarray:
    """Convert by way of p-values, in a table: distribution functions of every voxel take longer than the GLM."""
    from scipy.stats import norm
    from scipy.stats import t as student

    table = np.linspace(0, 60, 6001)  # what is beyond becomes the last
    z = -norm.ppf(np.maximum(student.sf(table, dof), 1e-300))
    return np.sign(t) * np.interp(np.abs(t), table, z)


def _power(values: np.ndarray, nuisance: np.ndarray) -> np.ndarray:
    """Sum of squares of each series after the orthonormal nuisance is taken out."""
    q = nuisance.astype(values.dtype)
    residual = values - q @ (q.T @ values)
    return np.einsum("ij,ij->j", residual, residual, dtype=np.float64)


def agree(measured: np.ndarray, predicted: np.ndarray, *, share: float = 0.05) -> MapAgreement:
    """Compare two maps by correlation, and by the overlap of their strongest voxels.

    The thresholds are matched: on each side the given share of voxels that are farthest from 0, so that a prediction
    that is too small all over is not put at a disadvantage. A voxel overlaps if it is among them on both sides *and has
    the same sign*. Chance is about half the share. Of voxels that tie for the last places, each counts in part, as in
    the mean over all ways to break the tie; a map of zeros has just the Dice of chance.

    A model has to be read against "schedule only", which knows when the events were but not the EEG: it gives every
    event the average response of the training volumes, which is most of what such a map shows. What the EEG tells of single
    events does not show here.

    Parameters
    ----------
    measured, predicted : arrays of shape (voxels,) or (parts, voxels)
        Each part around its own mean: what was learned without a part lies on the other side of the mean of all. Voxels that
        are not finite in both are left out.
    share : float

    Examples
    --------
    >>> agreement = agree(np.array([0.1, 3.0, -0.2, -4.0]), np.array([0.0, 0.4, 0.1, -0.3]), share=0.5)
    >>> round(agreement.r, 3), agreement.dice
    (0.979, 1.0)
    """
    a, b = np.atleast_2d(measured).astype(float), np.atleast_2d(predicted).astype(float)
    finite = (np.isfinite(a) & np.isfinite(b)).all(0)
    a, b = a[:, finite], b[:, finite]
    if not a.size:
        return MapAgreement(0.0, 0.0, share)
    a_centered, b_centered = _centered(a), _centered(b)
    size = np.sqrt(np.sum(a_centered**2) * np.sum(b_centered**2))
    r = float(np.sum(a_centered * b_centered) / size) if size > 0 else 0.0
    n = max(1, round(share * a.size))
    same_sign = (1 + np.sign(a) * np.sign(b)) / 2
    dice = float(np.sum(_among_strongest(a, n) * _among_strongest(b, n) * same_sign) / n)
    return MapAgreement(r, dice, share)


def _centered(maps: np.ndarray) -> np.ndarray:
    """Take the mean out of each map; what is constant but for the last digits becomes 0."""
    varies = np.ptp(maps, axis=1, keepdims=True) > 1e-9 * np.abs(maps).max(axis=1, keepdims=True)
    return (maps - maps.mean(axis=1, keepdims=True)) * varies


def _among_strongest(values: np.ndarray, n: int) -> np.ndarray:
    """1 for the n voxels that are farthest from 0, a share of it for those that tie for the last places, else 0."""
    size = np.abs(values)
    last = np.partition(size, -n, axis=None)[-n]
    # What differs in the last digits only is no order.
    above = size > last * (1 + 1e-9)
    tied = ~above & (size >= last * (1 - 1e-9))
    return above + tied * (n - above.sum()) / tied.sum()
