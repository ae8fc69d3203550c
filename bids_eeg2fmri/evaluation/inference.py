"""How certain a number is: over blocks of time within a participant, over participants beyond; never over windows."""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import ndtr, stdtrit

from bids_eeg2fmri.evaluation.metrics import Agreement, Sums


def bootstrap_interval(values: np.ndarray, *, seed: int, n_draws: int = 5000) -> tuple[float, float]:
    """Give the 95 % interval of the mean over participants; NaN for fewer than two."""
    if len(values) < 2:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    means = values[rng.integers(len(values), size=(n_draws, len(values)))].mean(1)
    return _middle(means, len(values))


def block_intervals(
    agreements: Mapping[str, Agreement], *, block: int, seed: int, n_draws: int = 2000
) -> dict[str, dict[str, tuple[float, float]]]:
    """Give 95 % intervals of pooled numbers by drawing blocks of time with replacement, the same ones for all models.

    Speaks of other minutes of the same recordings, not of other people.

    Parameters
    ----------
    agreements : mapping of model to Agreement
        With the same volumes.
    block : int
        Volumes of a block; long enough that blocks hardly know of each other. A run's last block may be shorter.
    seed, n_draws : int

    Returns
    -------
    dict of model to dict
        ``pooled_r``, ``pooled_skill``, and ``gain``: skill of the first model minus this one's. NaN with fewer than four
        blocks.

    References
    ----------
    Künsch, H. R. (1989). The jackknife and the bootstrap for general stationary observations. Ann. Statist. 17, 1217-1241.
    """
    names = list(agreements)
    run = agreements[names[0]].run
    starts = np.concatenate([np.flatnonzero(run == r)[::block] for r in np.unique(run)])
    if len(starts) < 4:
        unknown = (float("nan"), float("nan"))
        return {name: dict.fromkeys(("pooled_r", "pooled_skill", "gain"), unknown) for name in names}
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(starts), size=(n_draws, len(starts)))
    # How often each block is drawn: a draw is then one row of a matrix product.
    weights = np.stack([np.bincount(row, minlength=len(starts)) for row in drawn]).astype(float)
    resampled = {}
    for name, agreement in agreements.items():
        s = agreement.sums
        parts = (weights @ np.add.reduceat(a, starts) for a in (s.product, s.measured, s.predicted, s.error))
        resampled[name] = Sums(*(part[:, None] for part in parts))
    first = resampled[names[0]].skill
    return {
        name: {
            "pooled_r": _middle(s.r, len(starts)),
            "pooled_skill": _middle(s.skill, len(starts)),
            "gain": _middle(first - s.skill, len(starts)),
        }
        for name, s in resampled.items()
    }


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


def p_by_sign_flips(values: np.ndarray, *, seed: int, n_draws: int = 10_000) -> float:
    """Test whether the mean over participants is above 0, by flipping signs at random.

    Speaks of the people that the participants were drawn from. With few participants every pattern of signs is tried; n of
    them can't give less than 1 / 2**n.

    Parameters
    ----------
    values : array of shape (participants,)
        Symmetric around 0 if there is no effect.

    References
    ----------
    Nichols, T. E. & Holmes, A. P. (2002). Nonparametric permutation tests for functional neuroimaging. Hum. Brain Mapp. 15, 1-25.

    Examples
    --------
    Only one of eight patterns of signs gives a mean as large:

    >>> p_by_sign_flips(np.array([0.2, 0.1, 0.3]), seed=0)
    0.125
    """
    return float(p_by_sign_flips_of_each(values[:, None], seed=seed, n_draws=n_draws)[0])


def p_by_sign_flips_of_each(values: np.ndarray, *, seed: int, n_draws: int = 10_000) -> np.ndarray:
    """Do what :func:`p_by_sign_flips` does for many series at once, corrected for their number.

    Each mean is compared with the largest one of any series under the same flips, so that series need not be independent.

    Parameters
    ----------
    values : array of shape (participants, series)

    Returns
    -------
    array of shape (series,)
    """
    n = len(values)
    observed = values.sum(0)
    if 2**n <= n_draws:
        signs = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        # Rounding must not keep the pattern of signs that was observed from reaching itself.
        return np.mean((signs @ values).max(1)[:, None] >= observed - 1e-12, axis=0)
    signs = np.random.default_rng(seed).choice([-1, 1], size=(n_draws, n))
    return (1 + np.sum((signs @ values).max(1)[:, None] >= observed, axis=0)) / (1 + n_draws)


def _middle(values: np.ndarray, n: int) -> tuple[float, float]:
    """Give a 95 % interval of what was drawn from n units: wider percentiles, as Student's distribution has them.

    The plain percentiles of a mean of ten hold the truth in some 90 % of cases only.

    References
    ----------
    Hesterberg, T. C. (2015). What teachers should know about the bootstrap. Am. Stat. 69, 371-386. (Expanded percentiles.)
    """
    beyond = float(ndtr(np.sqrt(n / (n - 1)) * stdtrit(n - 1, 0.025)))
    low, high = np.quantile(values, [beyond, 1 - beyond])
    return float(low), float(high)
