"""From participants to a statement about all of them; never from windows or volumes."""

from collections.abc import Sequence

import numpy as np


def bootstrap_interval(values: np.ndarray, *, seed: int, n_draws: int = 5000) -> tuple[float, float]:
    """Give the 95 % percentile interval of the mean over participants; NaN for fewer than two."""
    if len(values) < 2:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    means = values[rng.integers(len(values), size=(n_draws, len(values)))].mean(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def p_of_mean(values: np.ndarray, nulls: Sequence[np.ndarray], *, seed: int, n_draws: int = 5000) -> float:
    """Compare the mean over participants with means of their own null distributions.

    Speaks of these participants: are their predictions better than chance, taken together?

    Parameters
    ----------
    values : array of shape (participants,)
    nulls : sequence of arrays
        Null distribution of each.
    """
    rng = np.random.default_rng(seed)
    means = np.mean([rng.choice(null, n_draws) for null in nulls], axis=0)
    return float((1 + np.sum(means >= values.mean())) / (1 + n_draws))
