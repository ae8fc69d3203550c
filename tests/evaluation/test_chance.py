import numpy as np
import pytest
from scipy.stats import kstest

from bids_eeg2fmri.evaluation.chance import test_against_shifts as compare_with_shifts
from bids_eeg2fmri.evaluation.metrics import Course, measure_agreement


def slow_noise(rng, n_volumes, n):
    """Autocorrelated as BOLD is."""
    white = rng.standard_normal((n_volumes + 20, n))
    return np.apply_along_axis(np.convolve, 0, white, np.hanning(7), mode="same")[10:-10]


def compare(measured, predicted, *, n_draws=200, shortest=8, seed=0):
    nuisance = np.stack([np.ones(len(measured)), np.linspace(-1, 1, len(measured))], 1)
    voxels = [Course(measured, predicted, nuisance)]
    regions = [Course(measured[:, :3], predicted[:, :3], nuisance)]
    return compare_with_shifts(voxels, regions, shortest=shortest, n_draws=n_draws, seed=seed)


def test_p_is_uniform_where_there_is_nothing():
    rng = np.random.default_rng(0)
    p, smallest = [], []
    for _ in range(300):
        chance = compare(slow_noise(rng, 90, 5), slow_noise(rng, 90, 5))
        p.append(chance.p - rng.uniform(0, 1 / (1 + len(chance.null_pooled_r))))  # p has steps
        smallest.append(chance.region_p.min() - rng.uniform(0, 1 / (1 + len(chance.null_pooled_r))))
    assert kstest(p, "uniform").pvalue > 0.01
    # Corrected for the number of regions, the smallest p of a null is an ordinary p.
    assert kstest(smallest, "uniform").pvalue > 0.01


def test_p_is_small_where_there_is_something():
    rng = np.random.default_rng(1)
    measured = slow_noise(rng, 120, 5)
    predicted = slow_noise(rng, 120, 5)
    predicted[:, 1] = measured[:, 1] + 0.5 * predicted[:, 1]
    chance = compare(measured, predicted)
    assert chance.p < 0.02
    assert chance.region_p[1] < 0.02


def test_the_true_alignment_counts_among_the_draws():
    rng = np.random.default_rng(2)
    measured = slow_noise(rng, 60, 4)
    chance = compare(measured, measured, n_draws=1000, shortest=5)
    assert len(chance.null_pooled_r) == 51  # shifts by 5 to 55 volumes, each once
    assert chance.p == pytest.approx(1 / 52)


def test_the_score_of_the_true_alignment_is_that_of_the_metrics():
    rng = np.random.default_rng(3)
    measured, predicted = slow_noise(rng, 90, 5), slow_noise(rng, 90, 5)
    nuisance = np.stack([np.ones(90), np.linspace(-1, 1, 90)], 1)
    agreement = measure_agreement([Course(measured, predicted, nuisance)])
    assert compare(measured, predicted).pooled_r == pytest.approx(agreement.pooled_r, abs=1e-4)


def test_runs_are_shifted_each_by_its_own_amount():
    rng = np.random.default_rng(4)
    runs = [Course(slow_noise(rng, n, 4), slow_noise(rng, n, 4), np.ones((n, 1))) for n in (60, 45)]
    chance = compare_with_shifts(runs, runs, shortest=10, n_draws=80, seed=0)
    assert chance.null_pooled_r.shape == (80,)
    assert len(set(chance.null_pooled_r.round(9))) > 70


def test_the_same_seed_gives_the_same_draws():
    rng = np.random.default_rng(5)
    runs = [Course(slow_noise(rng, n, 4), slow_noise(rng, n, 4), np.ones((n, 1))) for n in (60, 45)]
    a, b = (compare_with_shifts(runs, runs, shortest=10, n_draws=80, seed=7) for _ in range(2))
    np.testing.assert_array_equal(a.null_pooled_r, b.null_pooled_r)


def test_a_run_that_is_too_short_to_shift_is_refused():
    with pytest.raises(ValueError, match="too short to shift"):
        compare(np.ones((12, 3)), np.ones((12, 3)), shortest=7)
