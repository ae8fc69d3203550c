"""Solve a linear layer whose features are scaled by a prior; what participants have for themselves is told apart."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bids_eeg2fmri.training.solution import Solution, choose

# In its dual form it costs the cube of its samples.
MOST_SAMPLES = 1500
# Variance of the noise over that of what the prior gives the targets of an average sample, strongest first.
PENALTIES = np.logspace(3, -3, 19)


def solve(
    features: np.ndarray,
    targets: np.ndarray,
    inner: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    options: Any,
    independent: float,
    seed: int,
    person: np.ndarray | None,
) -> Solution:
    """Find kernel and bias, for the penalty that is best on the inner splits; the candidates are penalties, strongest first.

    The weights are normal and independent a priori, all of the same variance, and each participant adds some of its own, of
    ``options.own_share`` of that. Features are not standardized: their size is what the prior has to say. Nothing is drawn.

    References
    ----------
    Rasmussen, C. E. & Williams, C. K. I. (2006). Gaussian processes for machine learning, chapter 2. MIT Press.
    """
    who = np.zeros(len(features), dtype=int) if person is None else person
    own_share = options.own_share if len(np.unique(who)) > 1 else 0.0
    fitted, predicted = [], []
    for learn, judge in inner:
        process = _Process(features[learn], targets[learn], who[learn], own_share)
        fitted.append(process.predict(features[learn], PENALTIES))
        # Of people who are new: by what all share, even if they are not.
        predicted.append(process.predict(features[judge], PENALTIES))
    choice = choose(targets, inner, fitted, predicted, independent=independent)
    process = _Process(features, targets, who, own_share)
    return Solution(process.weights(PENALTIES[choice.best - 1]), choice)


class _Process:
    """One eigendecomposition of the covariance of the samples serves every penalty."""

    def __init__(self, features: np.ndarray, targets: np.ndarray, who: np.ndarray, own_share: float):
        self.mean, self.level = features.mean(0), targets.mean(0)
        self.features = features - self.mean
        covariance = (self.features @ self.features.T).astype(np.float64)
        covariance *= 1 + own_share * (who[:, None] == who)
        self.values, self.vectors = np.linalg.eigh(covariance)
        self.rotated = self.vectors.T @ (targets - self.level)

    def predict(self, features: np.ndarray, penalties: np.ndarray) -> np.ndarray:
        """Predict by what all share, (penalties, samples, targets)."""
        shared = ((features - self.mean) @ self.features.T) @ self.vectors
        return np.stack([shared @ self._solved(penalty) + self.level for penalty in penalties])

    def weights(self, penalty: float) -> list[np.ndarray]:
        """Give kernel and bias of what all share."""
        kernel = self.features.T @ (self.vectors @ self._solved(penalty))
        return [kernel.astype(np.float32), (self.level - self.mean @ kernel).astype(np.float32)]

    def _solved(self, penalty: float) -> np.ndarray:
        return self.rotated / (self.values + penalty * self.values.mean())[:, None]
