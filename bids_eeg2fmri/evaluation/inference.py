"""How certain a number is: over blocks of time within a participant, over participants beyond; never over windows."""

from collections.abc import Mapping, Sequence

import numpy as np

from bids_eeg2fmri.evaluation.metrics import Agreement, Sums


def bootstrap_interval(values: np.ndarray, *, seed: int, n_draws: int = 5000) -> tuple[float, float]:
    """Give the 95 % percentile interval of the mean over participants; NaN for fewer than two."""
    if len(values) < 2:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    means = values[rng.integers(len(values), size=(n_draws, len(values)))].mean(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


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
            "pooled_r": _middle(s.r),
            "pooled_skill": _middle(s.skill),
            "gain": _middle(first - s.skill),
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
    n = len(values)
    if 2**n <= n_draws:
        signs = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        reached = np.mean(signs @ values >= values.sum() - 1e-12)
        return float(reached)
    signs = np.random.default_rng(seed).choice([-1, 1], size=(n_draws, n))
    return float((1 + np.sum(signs @ values >= values.sum())) / (1 + n_draws))


def _middle(values: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
