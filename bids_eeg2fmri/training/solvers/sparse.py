"""Solve a linear layer by an elastic net that keeps a feature for all outputs or for none.

The norm over the outputs of each feature is what is penalized (a group lasso whose groups are features), for which
scikit-learn has coordinate descent that starts each penalty from the one before and leaves out what can't come in: seconds
where groups of one's own would need code of one's own. Delays are features of their own, so that the few that are needed of
a channel and band stay.

References
----------
Zou, H. & Hastie, T. (2005). Regularization and variable selection via the elastic net. J. R. Stat. Soc. B 67, 301-320.
Obozinski, G. et al. (2010). Joint covariate selection and joint subspace selection. Statistics and Computing 20, 231-252.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from bids_eeg2fmri.training.solution import Solution, choose

MOST_SAMPLES = 3000
# Of the duality gap, relative to the targets: below the differences that the samples to judge by can tell.
_TOLERANCE = 1e-3


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

    Nothing is drawn. ``options`` has ``sparsity``, ``n_penalties`` and ``weakest_penalty``.
    """
    whole = _Standardized(features, targets)
    strongest = np.linalg.norm(whole.features.T @ whole.targets, axis=1).max() / len(features) / options.sparsity
    # Of targets that are all 0 any penalty is the strongest.
    penalties = np.geomspace(1, options.weakest_penalty, options.n_penalties) * (strongest or 1.0)
    fitted, predicted = [], []
    for learn, judge in inner:
        kernels = _Standardized(features[learn], targets[learn]).kernels(penalties, options.sparsity)
        fitted.append(np.array([features[learn] @ kernel + bias for kernel, bias in kernels]))
        predicted.append(np.array([features[judge] @ kernel + bias for kernel, bias in kernels]))
    choice = choose(targets, inner, fitted, predicted, independent=independent)
    # On the way to the penalty that was chosen, each one starts from the one before.
    return Solution(list(whole.kernels(penalties[: choice.best], options.sparsity)[-1]), choice)


class _Standardized:
    """Samples to solve for, around their mean and in units of their deviation."""

    def __init__(self, features: np.ndarray, targets: np.ndarray):
        self.mean = features.mean(0, dtype=np.float64)
        scale = features.std(0, dtype=np.float64)
        self.scale = np.where(scale > 0, scale, np.inf)
        # By columns, as scikit-learn goes through them.
        self.features = np.asfortranarray((features - self.mean) / self.scale)
        self.targets = np.asfortranarray(targets - targets.mean(0), dtype=np.float64)

    def kernels(self, penalties: np.ndarray, sparsity: float) -> list[tuple[np.ndarray, np.ndarray]]:
        """Give kernel (features, targets) and bias (targets,) for each penalty, in the features' own units."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import enet_path

        with warnings.catch_warnings():
            # The weakest penalties may stop a little short of their optimum; they are judged by what they predict.
            warnings.simplefilter("ignore", ConvergenceWarning)
            _, found, _ = enet_path(
                self.features, self.targets, l1_ratio=sparsity, alphas=penalties, tol=_TOLERANCE, max_iter=300
            )
        kernels = [found[:, :, i].T / self.scale[:, None] for i in range(len(penalties))]
        return [(kernel, -self.mean @ kernel) for kernel in kernels]
