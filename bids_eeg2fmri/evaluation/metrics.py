"""Agreement of what changes: percent signal change, drift and block means left out on both sides."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Course:
    """One run's measured and predicted values with what neither is judged by.

    Attributes
    ----------
    measured, predicted : arrays of shape (volumes, n)
        The volumes that were predicted, in order; n voxels, regions, or other series.
    nuisance : array of shape (volumes, regressors)
        Drift and one constant per held-out block: a model that was trained without a block has another mean there,
        which would pull r of an empty prediction below 0.
    """

    measured: np.ndarray
    predicted: np.ndarray
    nuisance: np.ndarray


@dataclass(frozen=True)
class Agreement:
    """Series by series, (n,) each.

    Attributes
    ----------
    r : array
        Pearson correlation over time; 0 where the prediction does not change.
    skill : array
        1 - squared error / squared error of the mean image; at most 1, negative if worse than the mean.
    amplitude : array
        Standard deviation of the prediction over that of the measurement: near 0, the model gives a constant image.
    pooled_r : float
        One correlation over all series at once: weighs a series by how much the model says that it changes.
    pooled_skill : float
    sums : Sums
        What the pooled numbers are made of, volume by volume, run after run.
    run : array of shape (volumes,)
        Number of the run of each.
    """

    r: np.ndarray
    skill: np.ndarray
    amplitude: np.ndarray
    sums: "Sums"
    run: np.ndarray

    @property
    def pooled_r(self) -> float:
        return self.sums.r

    @property
    def pooled_skill(self) -> float:
        return self.sums.skill


@dataclass(frozen=True)
class Sums:
    """Sums over all series: what pooled numbers are made of, so that they can be made again of some volumes.

    Attributes
    ----------
    product, measured, predicted, error : arrays of shape (volumes,) or of any other that is summed over its last axis
        Of measurement times prediction, of the squares of either, and of their difference squared.
    """

    product: np.ndarray
    measured: np.ndarray
    predicted: np.ndarray
    error: np.ndarray

    @property
    def r(self) -> Any:
        """One correlation over all series at once."""
        measured, predicted = self.measured.sum(-1), self.predicted.sum(-1)
        return _plain(_ratio(self.product.sum(-1), np.sqrt(measured * _changing(predicted, measured))))

    @property
    def skill(self) -> Any:
        """1 - squared error / squared error of the mean image; 0 if nothing was measured."""
        measured = self.measured.sum(-1)
        return _plain(np.where(measured > 0, 1 - _ratio(self.error.sum(-1), measured), 0.0))

    @property
    def amplitude(self) -> Any:
        """Standard deviation of the prediction over that of the measurement."""
        measured = self.measured.sum(-1)
        return _plain(np.sqrt(_ratio(_changing(self.predicted.sum(-1), measured), measured)))


def residual_maker(nuisance: np.ndarray) -> np.ndarray:
    """Orthonormal basis of the nuisance space, (volumes, rank)."""
    u, s, _ = np.linalg.svd(nuisance, full_matrices=False)
    return u[:, s > 1e-8 * s[0]]


def measure_agreement(courses: Sequence[Course]) -> Agreement:
    """Compare prediction and measurement over all runs.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> measured = rng.standard_normal((60, 3))
    >>> agreement = measure_agreement([Course(measured, 0.5 * measured, np.ones((60, 1)))])
    >>> agreement.r.round(6), agreement.amplitude.round(6)
    (array([1., 1., 1.]), array([0.5, 0.5, 0.5]))
    """
    n = courses[0].measured.shape[1]
    product, of_measured, of_predicted, of_error, raw = (np.zeros(n) for _ in range(5))
    by_volume: list[np.ndarray] = []
    for course in courses:
        q = residual_maker(course.nuisance).astype(np.float32)
        measured = course.measured - q @ (q.T @ course.measured)
        predicted = course.predicted - q @ (q.T @ course.predicted)
        raw += np.einsum("ij,ij->j", course.measured, course.measured, dtype=np.float64)
        rows = []
        for total, (a, b) in zip(
            (product, of_measured, of_predicted),
            ((measured, predicted), (measured, measured), (predicted, predicted)),
            strict=True,
        ):
            total += np.einsum("ij,ij->j", a, b, dtype=np.float64)
            rows.append(np.einsum("ij,ij->i", a, b, dtype=np.float64))
        predicted -= measured
        of_error += np.einsum("ij,ij->j", predicted, predicted, dtype=np.float64)
        rows.append(np.einsum("ij,ij->i", predicted, predicted, dtype=np.float64))
        by_volume.append(np.stack(rows))
    # A constant in single precision leaves residuals of some 1e-7; they are no variance.
    of_measured = np.where(of_measured > 1e-12 * raw, of_measured, 0)
    of_predicted = _changing(of_predicted, of_measured)
    return Agreement(
        r=_ratio(product, np.sqrt(of_measured * of_predicted)),
        skill=np.where(of_measured > 0, 1 - _ratio(of_error, of_measured), 0),
        amplitude=np.sqrt(_ratio(of_predicted, of_measured)),
        sums=Sums(*np.concatenate(by_volume, axis=1)),
        run=np.repeat(np.arange(len(by_volume)), [rows.shape[1] for rows in by_volume]),
    )


def coverage(courses: Sequence[Course], errors: Sequence[np.ndarray], shares: Sequence[float]) -> list[float]:
    """Tell how much of the measurement lies where it was said to lie.

    Parameters
    ----------
    courses : sequence of Course
    errors : sequence of arrays of shape (volumes, n)
        Standard deviation that was expected of measurement around prediction.
    shares : sequence of float
        That intervals around the prediction are to hold, if errors are normal.

    Returns
    -------
    list of float
        Share of all values within each.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> noise = 2.0 * rng.standard_normal((500, 40))
    >>> course = Course(noise, np.zeros_like(noise), np.ones((500, 1)))
    >>> [round(found, 2) for found in coverage([course], [np.full((500, 40), 2.0)], [0.5, 0.9])]
    [0.5, 0.9]
    """
    from scipy.stats import norm

    widths = norm.ppf(0.5 + 0.5 * np.array(shares))
    inside, n = np.zeros(len(shares)), 0
    for course, error in zip(courses, errors, strict=True):
        q = residual_maker(course.nuisance).astype(np.float32)
        left = course.measured - course.predicted
        left = np.abs(left - q @ (q.T @ left))
        inside += [np.count_nonzero(left <= width * error) for width in widths]
        n += left.size
    return (inside / n).tolist()


def _changing(of_predicted: np.ndarray, of_measured: np.ndarray) -> np.ndarray:
    """Take for constant what changes by less than rounding does."""
    return np.where(of_predicted > 1e-10 * np.maximum(of_measured, 1e-30), of_predicted, 0)


def _plain(value: np.ndarray) -> Any:
    return float(value) if value.ndim == 0 else value


def _ratio(numerator, denominator):
    numerator, denominator = np.asarray(numerator, float), np.asarray(denominator, float)
    return np.divide(numerator, denominator, out=np.zeros_like(denominator), where=denominator > 0)
