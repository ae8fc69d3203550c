"""How good a prediction is that has nothing to do with the measurement: circular shifts in time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bids_eeg2fmri.evaluation.metrics import Course, residual_maker


@dataclass(frozen=True)
class Chance:
    """Null distributions by shifting the prediction against the measurement.

    Attributes
    ----------
    pooled_r : float
        Of the true alignment, over all series.
    null_pooled_r : array of shape (draws,)
    p : float
        Share of draws at least as good, the true one counted among them.
    region_p : array of shape (regions,)
        Against the largest r of any region in each draw: corrected for their number.
    """

    pooled_r: float
    null_pooled_r: np.ndarray
    p: float
    region_p: np.ndarray


def test_against_shifts(
    voxels: Sequence[Course], regions: Sequence[Course], *, shortest: int, n_draws: int, seed: int
) -> Chance:
    """Compare with predictions shifted in time, each run by its own amount.

    A shift keeps everything of a prediction (its spectrum, its autocorrelation, its pattern over the brain) but its
    timing.

    Parameters
    ----------
    voxels, regions : sequences of Course
        One per run; voxels and the regions' means.
    shortest : int
        Shifts by fewer volumes, in either direction, are left out.
    n_draws : int
        At most; a single short run has fewer different shifts, and then each is used once.
    seed : int

    Raises
    ------
    ValueError
        If a run is too short for any shift.
    """
    kernels = [_Kernel.of(course, course_of_regions) for course, course_of_regions in zip(voxels, regions, strict=True)]
    choices = [np.arange(shortest, k.n - shortest + 1) for k in kernels]
    if any(not len(choice) for choice in choices):
        raise ValueError("a run is too short to shift")
    rng = np.random.default_rng(seed)
    if np.prod([float(len(choice)) for choice in choices]) <= n_draws:
        draws = np.stack([grid.ravel() for grid in np.meshgrid(*choices, indexing="ij")], 1)
    else:
        draws = np.stack([rng.choice(choice, n_draws) for choice in choices], 1)

    true_r, true_regions = _score(kernels, [0] * len(kernels))
    null = [_score(kernels, shifts) for shifts in draws]
    null_r = np.array([r for r, _ in null])
    null_largest = np.array([regions_r.max() for _, regions_r in null])
    return Chance(
        pooled_r=true_r,
        null_pooled_r=null_r,
        p=float((1 + np.sum(null_r >= true_r)) / (1 + len(null_r))),
        region_p=(1 + np.sum(null_largest[:, None] >= true_regions, axis=0)) / (1 + len(null_largest)),
    )


test_against_shifts.__test__ = False  # type: ignore[attr-defined]  # not a test of pytest's


@dataclass(frozen=True)
class _Kernel:
    """What a shift needs of a run: sums over voxels are done once, so a draw costs (volumes x volumes)."""

    n: int
    cross: np.ndarray  # (volumes predicted, volumes measured)
    power: np.ndarray  # (volumes, volumes) of the prediction
    of_measured: float
    q: np.ndarray
    predicted_regions: np.ndarray
    measured_regions: np.ndarray

    @classmethod
    def of(cls, voxels: Course, regions: Course) -> "_Kernel":
        q = residual_maker(voxels.nuisance)
        q32 = q.astype(np.float32)
        measured = voxels.measured - q32 @ (q32.T @ voxels.measured)
        regional = regions.measured - q @ (q.T @ regions.measured)
        # Without the steps between blocks that it has at its true alignment, or shifts would carry them along.
        predicted = voxels.predicted - q32 @ (q32.T @ voxels.predicted)
        return cls(
            n=len(measured),
            cross=(predicted @ measured.T).astype(np.float64),
            power=(predicted @ predicted.T).astype(np.float64),
            of_measured=float(np.einsum("ij,ij->", measured, measured, dtype=np.float64)),
            q=q,
            predicted_regions=regions.predicted - q @ (q.T @ regions.predicted),
            measured_regions=regional,
        )


def _score(kernels: Sequence[_Kernel], shifts: Sequence[int]) -> tuple[float, np.ndarray]:
    product = of_predicted = of_measured = 0.0
    by_region = np.zeros((3, kernels[0].measured_regions.shape[1]))
    for k, shift in zip(kernels, shifts, strict=True):
        rows = (np.arange(k.n) - shift) % k.n
        product += k.cross[rows, np.arange(k.n)].sum()
        power = k.power[np.ix_(rows, rows)]
        of_predicted += np.trace(power) - np.einsum("ij,ik,kj->", k.q, power, k.q)
        of_measured += k.of_measured
        predicted = k.predicted_regions[rows]
        predicted = predicted - k.q @ (k.q.T @ predicted)
        by_region += [
            (predicted * k.measured_regions).sum(0), (predicted**2).sum(0), (k.measured_regions**2).sum(0)
        ]  # fmt: skip
    denominator = np.sqrt(max(of_predicted, 0) * of_measured)
    r = product / denominator if of_predicted > 1e-10 * of_measured else 0.0
    regional = np.sqrt(by_region[1] * by_region[2])
    flat = by_region[1] <= 1e-10 * by_region[2]
    return float(r), np.where(flat, 0, by_region[0] / np.where(regional > 0, regional, 1))
