"""What computing the weights of a network comes to, and how the samples to judge by choose between candidates."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bids_eeg2fmri.evaluation.baselines import shrinkage


@dataclass(frozen=True)
class Choice:
    """What the inner splits chose.

    Candidates (penalties, numbers of trees) come from the most cautious to the boldest, as the epochs of a training do.

    Attributes
    ----------
    training_loss, validation_loss : tuple of tuples of float
        Per inner split and candidate: mean squared error over that of predicting no change, of the samples that were solved
        for and of those to judge by.
    best : int
        The candidate that was chosen, counted from 1.
    judged : list of arrays of shape (samples, targets)
        Per inner split, what that candidate predicts of the samples to judge by.
    gains : array of shape (targets,)
        How much of each target is believed; see :func:`~bids_eeg2fmri.evaluation.baselines.shrinkage`.
    """

    training_loss: tuple[tuple[float, ...], ...]
    validation_loss: tuple[tuple[float, ...], ...]
    best: int
    judged: list[np.ndarray]
    gains: np.ndarray


@dataclass(frozen=True)
class Solution:
    """Weights that were computed from all training samples, for the candidate that the inner splits chose.

    Attributes
    ----------
    weights : list of arrays
        Of the layer ``coefficients``, as its ``set_weights`` takes them.
    choice : Choice
    tried : str
        What the candidates are.
    """

    weights: list[np.ndarray]
    choice: Choice
    tried: str = "penalty, strongest first"


def choose(
    targets: np.ndarray,
    inner: Sequence[tuple[np.ndarray, np.ndarray]],
    fitted: Sequence[np.ndarray],
    predicted: Sequence[np.ndarray],
    *,
    independent: float,
) -> Choice:
    """Choose the candidate with the least squared error over all targets and all samples to judge by.

    Parameters
    ----------
    targets : array of shape (samples, targets)
    inner : sequence of pairs of arrays of int
        Samples that were solved for, and samples to judge by.
    fitted, predicted : sequences of arrays of shape (candidates, samples, targets)
        Per inner split, what each candidate says of the one and the other.
    independent : float
        See :func:`~bids_eeg2fmri.evaluation.baselines.shrinkage`.
    """
    learned, measured = ([targets[pair[side]] for pair in inner] for side in (0, 1))
    squared = np.array([((said - truth) ** 2).sum((1, 2)) for said, truth in zip(predicted, measured, strict=True)])
    best = int(np.argmin(squared.sum(0)))
    judged = [said[best] for said in predicted]
    return Choice(
        relative_errors(
            [((said - truth) ** 2).mean((1, 2)) for said, truth in zip(fitted, learned, strict=True)], learned
        ),
        relative_errors([one / truth.size for one, truth in zip(squared, measured, strict=True)], measured),
        best + 1,
        judged,
        shrinkage(judged, measured, independent=independent),
    )


def relative_errors(squared: Sequence[np.ndarray], truths: Sequence[np.ndarray]) -> tuple[tuple[float, ...], ...]:
    """Divide mean squared errors, per split and candidate, by that of predicting no change."""
    return tuple(
        tuple((errors / (float(np.mean(truth**2)) or 1.0)).tolist())
        for errors, truth in zip(squared, truths, strict=True)
    )
