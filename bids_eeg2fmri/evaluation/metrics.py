"""Agreement of what changes: percent signal change, drift and block means left out on both sides."""

from collections.abc import Sequence
from dataclasses import dataclass

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
    """

    r: np.ndarray
    skill: np.ndarray
    amplitude: np.ndarray
    pooled_r: float
    pooled_skill: float


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
    for course in courses:
        q = residual_maker(course.nuisance).astype(np.float32)
        measured = course.measured - q @ (q.T @ course.measured)
        predicted = course.predicted - q @ (q.T @ course.predicted)
        raw += np.einsum("ij,ij->j", course.measured, course.measured, dtype=np.float64)
        product += np.einsum("ij,ij->j", measured, predicted, dtype=np.float64)
        of_measured += np.einsum("ij,ij->j", measured, measured, dtype=np.float64)
        of_predicted += np.einsum("ij,ij->j", predicted, predicted, dtype=np.float64)
        predicted -= measured
        of_error += np.einsum("ij,ij->j", predicted, predicted, dtype=np.float64)
    # A constant in single precision leaves residuals of some 1e-7; they are no variance.
    of_measured = np.where(of_measured > 1e-12 * raw, of_measured, 0)
    of_predicted = np.where(of_predicted > 1e-10 * np.maximum(of_measured, 1e-30), of_predicted, 0)
    return Agreement(
        r=_ratio(product, np.sqrt(of_measured * of_predicted)),
        skill=np.where(of_measured > 0, 1 - _ratio(of_error, of_measured), 0),
        amplitude=np.sqrt(_ratio(of_predicted, of_measured)),
        pooled_r=float(_ratio(product.sum(), np.sqrt(of_measured.sum() * of_predicted.sum()))),
        pooled_skill=float(1 - _ratio(of_error.sum(), of_measured.sum())),
    )


def _ratio(numerator, denominator):
    numerator, denominator = np.asarray(numerator, float), np.asarray(denominator, float)
    return np.divide(numerator, denominator, out=np.zeros_like(denominator), where=denominator > 0)
