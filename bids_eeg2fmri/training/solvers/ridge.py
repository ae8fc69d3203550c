"""Solve a linear layer by ridge regression: the lagged ridge among the baselines, as a network."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bids_eeg2fmri.evaluation.baselines import fit_ridge
from bids_eeg2fmri.training.solution import Choice, Solution, relative_errors

# In its dual form it costs the cube of its samples.
MOST_SAMPLES = 1500


def solve(
    features: np.ndarray,
    targets: np.ndarray,
    inner: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    options: Any,
    independent: float,
    seed: int,
    person: np.ndarray | None = None,
) -> Solution:
    """Find kernel and bias, for the penalty that is best on the inner splits; the candidates are penalties, strongest first.

    Nothing is drawn; an architecture of this solver has no options that it knows.
    """
    ridge = fit_ridge(features, targets, inner, independent=independent)
    # From weights of samples to weights of features, in the features' own units.
    kernel = (ridge.features.T @ ridge.weights) / ridge.scale[:, None]
    learned, measured = ([targets[pair[side]] for pair in inner] for side in (0, 1))
    choice = Choice(
        relative_errors(list(ridge.training_error[:, ::-1]), learned),
        relative_errors(list(ridge.validation_error[:, ::-1]), measured),
        int(np.count_nonzero(ridge.penalties >= ridge.penalty)),
        ridge.judged,
        ridge.gains,
    )
    return Solution([kernel, -ridge.mean @ kernel], choice)
