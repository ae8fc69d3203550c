"""Grow boosted trees by scikit-learn and lay them out as the weights of ``models.layers.boosted_trees``.

Its ``GradientBoostingRegressor`` tells its trees by public attributes, which the histogram-based one does not; and with few
features and samples drawn for each question and tree (as XGBoost does it) it is faster than that one on the some thousand
samples that there are: 20 outputs take less than a minute.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from bids_eeg2fmri.training.solution import Solution, choose

MOST_SAMPLES = 3000


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
    """Grow as many trees as are best on the inner splits; the candidates are numbers of trees, the same for all outputs.

    ``options`` is the ``Config`` of ``models.zoo.trees``.
    """
    fitted, predicted = [], []
    for learn, judge in inner:
        centered = targets[learn] - targets[learn].mean(0)
        grown = [_grow(features[learn], course, options, options.n_trees, seed) for course in centered.T]
        fitted.append(_by_number_of_trees(grown, features[learn]))
        predicted.append(_by_number_of_trees(grown, features[judge]))
    choice = choose(targets, inner, fitted, predicted, independent=independent)
    centered = targets - targets.mean(0)
    return Solution(
        lay_out([_grow(features, course, options, choice.best, seed) for course in centered.T], options),
        choice,
        "number of trees",
    )


def _grow(features: np.ndarray, course: np.ndarray, options: Any, n_trees: int, seed: int):
    import sklearn
    from sklearn.ensemble import GradientBoostingRegressor

    trees = GradientBoostingRegressor(
        init="zero",
        n_estimators=n_trees,
        max_depth=options.depth,
        learning_rate=options.learning_rate,
        max_features=options.feature_share,
        subsample=options.sample_share,
        random_state=seed,
    )
    # Each of the many small trees would be checked by itself, which takes longer than to grow it.
    with sklearn.config_context(assume_finite=True, skip_parameter_validation=True):
        return trees.fit(features, course)


def _by_number_of_trees(grown: Sequence[Any], features: np.ndarray) -> np.ndarray:
    """Predict by one tree, by two, ..., (trees, samples, outputs)."""
    return np.stack([np.array(list(trees.staged_predict(features))) for trees in grown], axis=-1)


def lay_out(grown: Sequence[Any], options: Any) -> list[np.ndarray]:
    """Read trees into features, thresholds and leaves, as the layer has them.

    Parameters
    ----------
    grown : sequence of GradientBoostingRegressor
        One per output, each with ``options.n_trees`` trees at most, of depth ``options.depth`` at most.
    options
        With ``n_trees``, ``depth`` and ``learning_rate``.
    """
    nodes = 2**options.depth - 1
    trees = (len(grown), options.n_trees)
    features = np.zeros((*trees, nodes), dtype=np.int32)
    thresholds = np.zeros((*trees, nodes), dtype=np.float32)
    leaves = np.zeros((*trees, nodes + 1), dtype=np.float32)
    for output, of_output in enumerate(grown):
        for number, regressor in enumerate(of_output.estimators_[:, 0]):
            tree = regressor.tree_
            place = (output, number)
            # Where each node of the full tree stands in that which was grown; a leaf goes on as itself.
            stands = [0]
            for node in range(nodes):
                here = stands[node]
                if tree.children_left[here] < 0:
                    stands += [here, here]
                    continue
                features[*place, node] = tree.feature[here]
                thresholds[*place, node] = _rounded_down(tree.threshold[here])
                stands += [tree.children_left[here], tree.children_right[here]]
            leaves[place] = options.learning_rate * tree.value[stands[nodes:], 0, 0]
    return [features, thresholds, leaves]


def _rounded_down(threshold: float) -> np.float32:
    """Give the nearest number of single precision that is not above: features of single precision then go the same way."""
    rounded = np.float32(threshold)
    return np.nextafter(rounded, np.float32(-np.inf)) if rounded > threshold else rounded
