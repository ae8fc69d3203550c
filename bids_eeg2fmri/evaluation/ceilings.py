"""How high r can get: what a measurement shares with itself, and with those who saw the same."""

from collections.abc import Sequence

import numpy as np

from bids_eeg2fmri.evaluation.metrics import residual_maker

FEWEST_VOXELS = 4


def split_half_reliability(
    values_by_run: Sequence[np.ndarray],
    labels: np.ndarray,
    nuisances: Sequence[np.ndarray],
    *,
    seed: int,
    n_splits: int = 20,
) -> np.ndarray:
    """Estimate the r of a perfect model with a region's measured mean.

    Voxels of a region are split at random into halves; the halves' mean courses are correlated over the volumes of all
    runs, averaged over splits, and corrected for the halved number of voxels (Spearman-Brown: 2 r / (1 + r)). That
    is the reliable share of the mean's variance; its square root is what a perfect model would correlate with it.

    What the voxels of a region share counts as signal. So it is too high where they share noise: neighbouring voxels of a
    smooth image do, and motion and physiology move all voxels of a region. It is too low where each has a signal of its own.

    Parameters
    ----------
    values_by_run : sequence of arrays of shape (volumes, voxels)
        Measured.
    labels : array of int, shape (voxels,)
        Region of each voxel, from 0 on; negative for none.
    nuisances : sequence of arrays of shape (volumes, regressors)
        Removed from each run first, as from what is judged.

    Returns
    -------
    array of shape (regions,)
        Between 0 and 1; NaN for a region of fewer than 4 voxels or without any change.

    References
    ----------
    Spearman, C. (1910) and Brown, W. (1910). British Journal of Psychology 3, 271-295 and 296-322.
    """
    rng = np.random.default_rng(seed)
    bases = [residual_maker(nuisance) for nuisance in nuisances]
    ceilings = np.full(int(labels.max()) + 1, np.nan)
    for region in range(len(ceilings)):
        voxels = np.flatnonzero(labels == region)
        if len(voxels) < FEWEST_VOXELS:
            continue
        halves = np.stack([rng.permutation(len(voxels)) < len(voxels) // 2 for _ in range(n_splits)], 1)
        products = np.zeros((3, n_splits))
        raw = 0.0
        for values, q in zip(values_by_run, bases, strict=True):
            table = values[:, voxels].astype(np.float64)
            first, second = (table @ (half / half.sum(0)) for half in (halves, ~halves))
            raw += float((first**2).sum() + (second**2).sum())
            first, second = (course - q @ (q.T @ course) for course in (first, second))
            products += [(first * second).sum(0), (first**2).sum(0), (second**2).sum(0)]
        if products[1:].min() <= 1e-12 * raw / n_splits:
            continue
        r = np.mean(products[0] / np.sqrt(products[1] * products[2]))
        # Corrected after averaging: for single splits of pure noise, 2 r / (1 + r) of a negative r can be any number.
        r = np.clip(r, 0, 1)
        ceilings[region] = np.sqrt(2 * r / (1 + r))
    return ceilings


def intersubject_correlation(courses: Sequence[np.ndarray]) -> np.ndarray:
    """Correlate each participant with the mean of all others: what a shared stimulus does to everybody.

    For a model of the stimulus, not of the EEG: a participant's own EEG may know more than others can tell.

    Parameters
    ----------
    courses : sequence of arrays of shape (volumes, regions)
        One per participant, on the same clock of the stimulus. Each is standardized, so that no participant weighs more
        in the mean of the others.

    Returns
    -------
    array of shape (participants, regions)
        NaN where a participant's course, or the mean of the others', does not change, and for fewer than two
        participants.

    Raises
    ------
    ValueError
        If the courses differ in shape.

    References
    ----------
    Hasson, U. et al. (2004). Intersubject synchronization of cortical activity during natural vision. Science 303,
    1634-1640.
    Nastase, S. et al. (2019). Measuring shared responses across subjects using intersubject correlation. Social
    Cognitive and Affective Neuroscience 14, 667-685.
    """
    if len({course.shape for course in courses}) > 1:
        raise ValueError(f"expected courses of one shape, found {sorted({course.shape for course in courses})}")
    standardized = _standardize(np.stack([course.astype(np.float64) for course in courses]))
    others = _standardize(standardized.sum(0) - standardized)
    found = (standardized * others).mean(1)
    return np.where(standardized.any(1) & others.any(1), found, np.nan)


def _standardize(tables: np.ndarray) -> np.ndarray:
    """Over volumes, (participants, volumes, regions); 0 where nothing changes."""
    centered = tables - tables.mean(1, keepdims=True)
    sd = centered.std(1, keepdims=True)
    changes = sd > 1e-10 * np.abs(tables).max(1, keepdims=True)
    return np.divide(centered, sd, out=np.zeros_like(centered), where=changes)
