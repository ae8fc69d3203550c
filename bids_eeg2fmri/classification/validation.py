"""Classify participants by cross-validation; the same folds for every kind of features."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

FEWEST_PER_GROUP = 5


@dataclass(frozen=True)
class Classification:
    """How well participants are told apart.

    Attributes
    ----------
    table : DataFrame
        A row per kind of features: AUC with 95 % bootstrap interval over participants, balanced accuracy, sensitivity
        (of the second group), specificity, permutation p of the AUC.
    probability : DataFrame
        A row per participant: its group and, per kind of features, the mean out-of-sample probability of the second group.
    """

    table: pd.DataFrame
    probability: pd.DataFrame


def classify(
    features: Mapping[str, np.ndarray],
    groups: np.ndarray,
    participants: list[str],
    *,
    seed: int,
    n_repeats: int = 2,
    n_permutations: int = 200,
) -> Classification:
    """Classify two groups by each kind of features.

    Logistic regression in stratified five-fold cross-validation over participants, repeated; features are scaled by the
    training participants of each fold, the penalty is fixed. The null distribution permutes groups and repeats everything.

    Parameters
    ----------
    features : mapping of name to array of shape (participants, features)
    groups : array of shape (participants,)
        Of two values.
    """
    from sklearn.metrics import balanced_accuracy_score, recall_score

    levels = np.unique(groups)
    truth = groups == levels[1]
    rng = np.random.default_rng(seed)
    folds_seed = int(rng.integers(2**31))
    permutations = [rng.permutation(truth) for _ in range(n_permutations)]
    bootstraps = [rng.integers(len(truth), size=len(truth)) for _ in range(2000)]
    rows, probability = [], {"participant_id": participants, "group": groups}
    for name, table in features.items():
        scores = _out_of_sample(table, truth, seed=folds_seed, n_repeats=n_repeats)
        auc = area_under_curve(truth, scores)
        null = [
            area_under_curve(shuffled, _out_of_sample(table, shuffled, seed=folds_seed, n_repeats=n_repeats))
            for shuffled in permutations
        ]
        resampled = [area_under_curve(truth[b], scores[b]) for b in bootstraps if 0 < truth[b].sum() < len(b)]
        said = scores > 0.5
        rows.append(
            {
                "features": name,
                "n_features": table.shape[1],
                "auc": auc,
                "auc_low": np.percentile(resampled, 2.5),
                "auc_high": np.percentile(resampled, 97.5),
                "balanced_accuracy": balanced_accuracy_score(truth, said),
                "sensitivity": recall_score(truth, said),
                "specificity": recall_score(~truth, ~said),
                "p": (1 + np.sum(np.array(null) >= auc)) / (1 + len(null)),
            }
        )
        probability[name] = scores
    return Classification(pd.DataFrame(rows), pd.DataFrame(probability))


def area_under_curve(truth: np.ndarray, scores: np.ndarray) -> float:
    """Compute the area under the ROC curve, to the last bit as scikit-learn does.

    Its checks of what it is given take a hundred times longer than the computation, and here there are thousands of
    resampled scores.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.r_[np.flatnonzero(np.diff(scores[order])), len(order) - 1]  # of equal scores the last
    hits = np.cumsum(truth[order])[ends]
    alarms = 1 + ends - hits
    if len(ends) > 2:
        corner = np.r_[True, (np.diff(alarms, 2) != 0) | (np.diff(hits, 2) != 0), True]
        hits, alarms = hits[corner], alarms[corner]
    return float(np.trapezoid(np.r_[0, hits] / hits[-1], np.r_[0, alarms] / alarms[-1]))


def _out_of_sample(table: np.ndarray, truth: np.ndarray, *, seed: int, n_repeats: int) -> np.ndarray:
    """Mean probability of the second group, each by classifiers that did not see the participant."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    total = np.zeros(len(truth))
    n_splits = min(5, int(truth.sum()), int((~truth).sum()))
    for repeat in range(n_repeats):
        for train, test in StratifiedKFold(n_splits, shuffle=True, random_state=seed + repeat).split(table, truth):
            # Few participants and many features: a fixed, strong penalty, scaled with the number of features.
            classifier = make_pipeline(
                StandardScaler(), LogisticRegression(C=1.0 / table.shape[1], class_weight="balanced", max_iter=500)
            )
            classifier.fit(table[train], truth[train])
            total[test] += classifier.predict_proba(table[test])[:, 1]
    return total / n_repeats
