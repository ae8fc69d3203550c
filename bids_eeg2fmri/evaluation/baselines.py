"""What needs no EEG, and the linear model that every network has to beat."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

# A response to what came longer before the first volume is over by then (nilearn leaves such events out as well).
EARLIEST_S = -24.0
# The cardiac response is taken this much later than Chang et al. have it; people differ by seconds.
CARDIAC_LAGS_S = (-6.0, -3.0, 0.0, 3.0, 6.0)
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
    penalties : array of shape (penalties,)
        That were tried, from the weakest.
    training_error, validation_error : arrays of shape (inner splits, penalties)
        Mean squared error of the samples that were fitted, and of those to judge by.
    judged : list of arrays of shape (samples, targets)
        Per inner split, what the chosen penalty predicts of the samples to judge by; without the gains.
    """

    features: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    gains: np.ndarray
    penalty: float
    penalties: np.ndarray
    training_error: np.ndarray
    validation_error: np.ndarray
    judged: list[np.ndarray]

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Predict (samples, targets) from (samples, features)."""
        standardized = (features - self.mean) / self.scale
        return (standardized @ self.features.T @ self.weights) * self.gains


def fit_ridge(
    features: np.ndarray,
    targets: np.ndarray,
    inner: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    independent: float,
    least_scale: float = 0.0,
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
    least_scale : float
        Features of a smaller standard deviation, or of none, are left out. A condition that the training samples hold
        nothing of but the end of a response would tower over everything in the test samples.

    References
    ----------
    Meir-Hasson, Y. et al. (2014). An EEG Finger-Print of fMRI deep regional activation. NeuroImage 102, 128-141.
    (Ridge on time, frequency and delay.)
    """
    penalties = np.logspace(-2, 4, 19) * features.shape[1]
    predictions, training_error = [], []
    for learn, judge in inner:
        solver = _Solver(features[learn], targets[learn], least_scale)
        predictions.append(np.array(list(solver.predict(features[judge], penalties))))
        training_error.append([solver.error(penalty) for penalty in penalties])
    measured = [targets[judge] for _, judge in inner]
    squared = np.array([((said - truth) ** 2).sum((1, 2)) for said, truth in zip(predictions, measured, strict=True)])
    best = int(np.argmin(squared.sum(0)))
    judged = [said[best] for said in predictions]
    gains = shrinkage(judged, measured, independent=independent)
    whole = _Solver(features, targets, least_scale)
    return Ridge(
        whole.features,
        whole.mean,
        whole.scale,
        whole.weights(penalties[best]).astype(np.float32),
        gains,
        float(penalties[best]),
        penalties,
        np.array(training_error),
        squared / np.array([[truth.size] for truth in measured]),
        judged,
    )


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

    def __init__(self, features: np.ndarray, targets: np.ndarray, least_scale: float):
        self.mean = features.mean(0)
        scale = features.std(0)
        self.scale = np.where(scale > least_scale, scale, np.inf)
        self.features = (features - self.mean) / self.scale
        self.eigenvalues, self.vectors = np.linalg.eigh((self.features @ self.features.T).astype(np.float64))
        self.rotated = self.vectors.T @ (targets - targets.mean(0))

    def predict(self, features: np.ndarray, penalties: np.ndarray) -> Iterator[np.ndarray]:
        """Predict by each penalty; the kernel with the training samples, which costs most, is made once."""
        rotated = ((features - self.mean) / self.scale) @ self.features.T @ self.vectors
        for penalty in penalties:
            yield rotated @ (self.rotated / (self.eigenvalues + penalty)[:, None])

    def weights(self, penalty: float) -> np.ndarray:
        return self.vectors @ (self.rotated / (self.eigenvalues + penalty)[:, None])

    def error(self, penalty: float) -> float:
        """Mean squared error of the samples that are fitted, around their mean."""
        left = self.rotated * (penalty / (self.eigenvalues + penalty))[:, None]
        return float(np.mean(left**2))


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


def list_conditions(tables: Iterable[pd.DataFrame | None]) -> list[str]:
    """List the trial types that occur at least twice in the runs' events: what occurs once can't be learned from.

    Empty where all events are of one type: that of any event tells the same.
    """
    types = [_trial_types(table) for table in tables if table is not None]
    counts = pd.concat(types).value_counts() if types else pd.Series(dtype=int)
    return sorted(counts.index[counts > 1]) if len(counts) > 1 else []


def schedule_features(
    events: pd.DataFrame | None, n_volumes: int, tr_s: float, conditions: Sequence[str] | None = None
) -> np.ndarray:
    """Convolve events with the hemodynamic response, its derivative and dispersion: what the task's schedule tells.

    Any event comes first, then each condition; so a type of its own for every trial leaves something to learn. The clock
    (:func:`time_features`) is left out: it is a baseline by itself, and slow cosines that tell little would share the
    schedule's penalty and weaken it.

    Parameters
    ----------
    events : DataFrame or None
        ``onset`` in s from the first volume, ``duration`` in s (what is missing or negative counts as 0), ``trial_type``
        where there is one; ``n/a`` is a type like any other. None gives zeros.
    n_volumes : int
    tr_s : float
    conditions : sequence of str or None
        Trial types of all runs, so that the columns of different runs are the same; None takes those of this one.

    Returns
    -------
    array of shape (n_volumes, 3 * (1 + conditions))
        At the middle of each volume. No column where there are neither events nor conditions.

    References
    ----------
    Friston, K. J. et al. (1998). Event-related fMRI: characterizing differential responses. NeuroImage 7, 30-40.
    """
    from nilearn.glm.first_level import compute_regressor

    if events is None:
        return np.zeros((n_volumes, 3 * (1 + len(conditions)) if conditions is not None else 0), dtype=np.float32)
    conditions = list_conditions([events]) if conditions is None else conditions
    onsets = pd.to_numeric(events["onset"], errors="coerce").to_numpy(float)
    durations = _numbers(events["duration"]).clip(min=0) if "duration" in events else np.zeros(len(events))
    end = onsets + durations
    middle = (np.arange(n_volumes) + 0.5) * tr_s
    inside = (end >= EARLIEST_S) & (onsets < n_volumes * tr_s)  # False where the onset is missing
    onsets = np.maximum(onsets, EARLIEST_S)
    types = _trial_types(events).to_numpy()
    columns = []
    for chosen in (inside, *(inside & (types == condition) for condition in conditions)):
        if not chosen.any():
            columns.append(np.zeros((n_volumes, 3)))
            continue
        condition = np.array([onsets[chosen], (end - onsets)[chosen], np.ones(np.count_nonzero(chosen))])
        earliest = EARLIEST_S - middle[0]
        columns.append(
            compute_regressor(condition, "spm + derivative + dispersion", middle, min_onset=earliest - 1e-3)[0]
        )
    return np.hstack(columns).astype(np.float32)


def _trial_types(events: pd.DataFrame) -> pd.Series:
    if "trial_type" not in events:
        return pd.Series("n/a", index=events.index, dtype=object)
    return events["trial_type"].astype(object).where(events["trial_type"].notna(), "n/a").astype(str)


def _numbers(column: pd.Series) -> np.ndarray:
    return np.nan_to_num(pd.to_numeric(column, errors="coerce").to_numpy(float))


def cardiac_response(times_s: np.ndarray) -> np.ndarray:
    """Sample the BOLD response to a faster heart.

    References
    ----------
    Chang, C., Cunningham, J. P. & Glover, G. H. (2009). Influence of heart rate on the BOLD signal: the cardiac response
    function. NeuroImage 44, 857-869.
    """
    times_s = np.maximum(times_s, 0)
    late = np.exp(-0.5 * (times_s - 12) ** 2 / 9) / np.sqrt(2 * np.pi * 9)
    return 0.6 * times_s**2.7 * np.exp(-times_s / 1.6) - 16 * late


def cardiac_features(beats_s: np.ndarray, onsets_s: np.ndarray) -> np.ndarray:
    """Convolve the heart rate with the cardiac response function, at several lags.

    The rate is the mean within 6 s, as Chang et al. have it; an interval that differs by more than a quarter from those
    around it (a beat that was missed, or seen twice) is not used. Where there are no beats the rate is as at the nearest.

    Parameters
    ----------
    beats_s : array of shape (beats,)
        At least two.
    onsets_s : array of shape (volumes,)
        On the same clock.

    Returns
    -------
    array of shape (volumes, len(CARDIAC_LAGS_S))
        Deviation from the mean, in beats per minute times s.
    """
    from scipy.ndimage import median_filter, uniform_filter1d

    step_s, response_s = 0.25, 30.0
    intervals = np.diff(beats_s)
    usual = np.abs(intervals / median_filter(intervals, 11, mode="nearest") - 1) < 0.25
    middles = (beats_s[1:] + beats_s[:-1]) / 2
    reach = max(CARDIAC_LAGS_S)
    grid = np.arange(onsets_s[0] - response_s - reach, onsets_s[-1] + reach + 6, step_s)
    rate = uniform_filter1d(np.interp(grid, middles[usual], 60 / intervals[usual]), round(6 / step_s), mode="nearest")
    response = cardiac_response(np.arange(0, response_s, step_s)) * step_s
    bold = np.convolve(rate - rate.mean(), response)[: len(grid)]
    return np.stack([np.interp(onsets_s - lag, grid, bold) for lag in CARDIAC_LAGS_S], axis=1).astype(np.float32)


def expand_motion(parameters: np.ndarray) -> np.ndarray:
    """Give six parameters of motion, their change from the volume before, and the squares of all, (volumes, 24).

    References
    ----------
    Satterthwaite, T. D. et al. (2013). An improved framework for confound regression and filtering for control of motion
    artifact. NeuroImage 64, 240-256.
    """
    both = np.hstack([parameters, np.diff(parameters, axis=0, prepend=parameters[:1])])
    return np.hstack([both, both**2]).astype(np.float32)
