"""What needs no EEG, and the linear model that every network has to beat."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Field's usual bands, in Hz; those beyond a spectrum are left out.
BANDS_HZ = ((2, 4), (4, 8), (8, 13), (13, 30), (30, 45))


def band_weights(freqs_hz: np.ndarray) -> np.ndarray:
    """Average frequencies into the usual bands, (frequencies, bands)."""
    inside = np.array([(freqs_hz >= low) & (freqs_hz < high) for low, high in BANDS_HZ], dtype=np.float32).T
    inside = inside[:, inside.any(0)]
    return inside / inside.sum(0)


@dataclass(frozen=True)
class Ridge:
    """Ridge regression in its dual form, for far more features than samples.

    Attributes
    ----------
    features : array of shape (training samples, features)
        Standardized.
    weights : array of shape (training samples, targets)
        The prediction is the standardized kernel with the training samples times these.
    gains : array of shape (targets,)
        See :func:`shrinkage`.
    penalty : float
    """

    features: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    gains: np.ndarray
    penalty: float

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Predict (samples, targets) from (samples, features)."""
        standardized = (features - self.mean) / self.scale
        return (standardized @ self.features.T @ self.weights) * self.gains


def fit_ridge(
    features: np.ndarray, targets: np.ndarray, inner: Sequence[tuple[np.ndarray, np.ndarray]], *, independent: float
) -> Ridge:
    """Fit a ridge; penalty and gains are chosen on inner splits, as epochs and gains of a network are.

    Parameters
    ----------
    features : array of shape (samples, features)
        Training samples only.
    targets : array of shape (samples, targets)
        Of mean about 0.
    inner : sequence of pairs of arrays of int
        Samples to fit and samples to judge by.
    independent : float
        See :func:`shrinkage`.

    References
    ----------
    Meir-Hasson, Y. et al. (2014). An EEG Finger-Print of fMRI deep regional activation. NeuroImage 102, 128-141.
    (Ridge on time, frequency and delay.)
    """
    penalties = np.logspace(-2, 4, 19) * features.shape[1]
    predictions: list[list[np.ndarray]] = [[] for _ in penalties]
    for learn, judge in inner:
        solver = _Solver(features[learn], targets[learn])
        for i, penalty in enumerate(penalties):
            predictions[i].append(solver.ridge(penalty).predict(features[judge]))
    measured = [targets[judge] for _, judge in inner]
    best = int(
        np.argmin([sum(np.sum((m - p) ** 2) for m, p in zip(measured, tried, strict=True)) for tried in predictions])
    )
    gains = shrinkage(predictions[best], measured, independent=independent)
    whole = _Solver(features, targets).ridge(penalties[best])
    return Ridge(whole.features, whole.mean, whole.scale, whole.weights, gains, float(penalties[best]))


def shrinkage(predicted: Sequence[np.ndarray], measured: Sequence[np.ndarray], *, independent: float) -> np.ndarray:
    """Tell how much of each predicted target to believe, (targets,) between 0 and 1.

    The slope of measurement on prediction, shrunk by how certain it is (positive-part James-Stein): a target whose
    prediction fits no better than noise would is predicted by its mean.

    Parameters
    ----------
    predicted, measured : sequences of arrays of shape (samples, targets)
        On samples that the prediction was not fitted on, one array per fit; each is judged around its own mean.
    independent : float
        Share of the samples that count as independent; neighbours of a BOLD series do not.

    References
    ----------
    James, W. & Stein, C. (1961). Estimation with quadratic loss. Proc. 4th Berkeley Symposium 1, 361-379.
    """
    said = np.concatenate([p - p.mean(0) for p in predicted])
    found = np.concatenate([m - m.mean(0) for m in measured])
    product = (said * found).sum(0)
    power = np.maximum((said**2).sum(0), 1e-30)
    r2 = np.clip(product**2 / (power * np.maximum((found**2).sum(0), 1e-30)), 0, 1 - 1e-9)
    t2 = r2 / (1 - r2) * max(len(said) * independent - 2, 1)
    certain = np.clip(1 - 1 / np.maximum(t2, 1e-9), 0, None)
    return np.clip(product / power, 0, 1) * certain


class _Solver:
    """One eigendecomposition of the kernel serves every penalty."""

    def __init__(self, features: np.ndarray, targets: np.ndarray):
        self.mean = features.mean(0)
        scale = features.std(0)
        self.scale = np.where(scale > 0, scale, 1)
        self.features = (features - self.mean) / self.scale
        self.eigenvalues, self.vectors = np.linalg.eigh((self.features @ self.features.T).astype(np.float64))
        self.rotated = self.vectors.T @ (targets - targets.mean(0))

    def ridge(self, penalty: float) -> Ridge:
        weights = self.vectors @ (self.rotated / (self.eigenvalues + penalty)[:, None])
        return Ridge(
            self.features, self.mean, self.scale, weights.astype(np.float32), np.ones(weights.shape[1]), float(penalty)
        )


def time_features(
    volume: np.ndarray, n_volumes: np.ndarray, *, tr_s: float, shortest_period_s: float = 40.0
) -> np.ndarray:
    """Describe the position in the run by slow cosines, (samples, cosines): what a model knows from the clock alone.

    Parameters
    ----------
    volume, n_volumes : arrays of shape (samples,)
        Position in the run and the run's length.
    """
    longest = float(n_volumes.max()) * tr_s
    order = np.arange(1, max(2, int(2 * longest / shortest_period_s)) + 1)
    return np.cos(np.pi * ((volume + 0.5) / n_volumes)[:, None] * order).astype(np.float32)
