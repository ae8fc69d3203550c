"""Slow changes of the BOLD signal that no EEG explains."""

import numpy as np


def drift_regressors(n_volumes: int, *, tr_s: float, shortest_period_s: float) -> np.ndarray:
    """Make the discrete cosines slower than a period, (volumes, 1 + regressors), the constant first.

    Examples
    --------
    Ten minutes hold 9 half periods of at least 64 s:

    >>> drift_regressors(300, tr_s=2.0, shortest_period_s=128.0).shape
    (300, 10)
    """
    n_cosines = int(np.floor(2 * n_volumes * tr_s / shortest_period_s))
    middle = (np.arange(n_volumes) + 0.5) / n_volumes
    return np.cos(np.pi * np.outer(middle, np.arange(n_cosines + 1)))


def remove_drift(values: np.ndarray, regressors: np.ndarray) -> np.ndarray:
    """Take the least-squares fit of the regressors out of (volumes, voxels).

    Both hold training volumes only, so that no test volume has a say in what drift is. Regressors may depend on one another, as
    confounds do.
    """
    size = np.linalg.norm(regressors, axis=0)
    u, s, _ = np.linalg.svd(regressors / np.where(size > 0, size, 1), full_matrices=False)
    q = u[:, s > 1e-6 * s.max()].astype(values.dtype)
    return values - q @ (q.T @ values)
