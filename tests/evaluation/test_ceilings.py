import numpy as np
import pytest

from bids_eeg2fmri.evaluation.ceilings import intersubject_correlation, split_half_reliability

SIZES = (40, 15, 90)
NOISE = (2.0, 4.0, 12.0)  # of a voxel, its signal being 1
LABELS = np.repeat([0, 1, 2], SIZES)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def simulate(rng, n_volumes, noise=NOISE):
    """One signal per region, noise of each voxel's own, and drift."""
    signal = rng.standard_normal((n_volumes, 3))
    own = rng.standard_normal((n_volumes, len(LABELS))) * np.repeat(noise, SIZES)
    nuisance = np.stack([np.ones(n_volumes), np.linspace(-1, 1, n_volumes)], 1)
    drift = nuisance @ rng.standard_normal((2, len(LABELS))) * 30
    return signal, (signal[:, LABELS] + own + drift).astype(np.float32), nuisance


def test_the_ceiling_is_that_of_the_simulated_noise(rng):
    runs = [simulate(rng, n) for n in (1500, 1100)]
    ceilings = split_half_reliability([r[1] for r in runs], LABELS, [r[2] for r in runs], seed=3)
    analytic = [1 / np.sqrt(1 + noise**2 / size) for noise, size in zip(NOISE, SIZES, strict=True)]
    np.testing.assert_allclose(ceilings, analytic, atol=0.04)


def test_the_ceiling_is_what_a_perfect_model_reaches(rng):
    signal, values, nuisance = simulate(rng, 2500)
    q, _ = np.linalg.qr(nuisance)
    means = np.stack([values[:, region == LABELS].mean(1) for region in range(3)], 1)
    means = means - q @ (q.T @ means)
    reached = [np.corrcoef(signal[:, i], means[:, i])[0, 1] for i in range(3)]
    np.testing.assert_allclose(split_half_reliability([values], LABELS, [nuisance], seed=3), reached, atol=0.04)


def test_noise_alone_has_a_ceiling_near_0_and_copies_one_of_1(rng):
    noise = rng.standard_normal((1800, 80))
    copies = np.tile(rng.standard_normal((1800, 1)), (1, 9))
    labels = np.repeat([0, 1], [80, 9])
    ceilings = split_half_reliability([np.hstack([noise, copies])], labels, [np.ones((1800, 1))], seed=0)
    assert ceilings[0] < 0.25
    assert ceilings[1] == pytest.approx(1)


def test_noise_that_neighbours_share_passes_for_signal(rng):
    """Why smoothing makes the ceiling an upper bound."""
    noise = rng.standard_normal((900, 60))
    shared = noise + rng.standard_normal((900, 1))
    ceilings = [split_half_reliability([v], np.zeros(60, int), [np.ones((900, 1))], seed=0)[0] for v in (noise, shared)]
    assert ceilings[0] < 0.35
    assert ceilings[1] > 0.95


def test_small_regions_and_those_that_never_change_have_no_ceiling(rng):
    labels = np.repeat([0, 1, 2, -1], [3, 4, 6, 5])
    values = rng.standard_normal((70, 18)).astype(np.float32)
    values[:, labels == 2] = 123.4
    ceilings = split_half_reliability([values], labels, [np.ones((70, 1))], seed=0)
    assert np.isnan(ceilings).tolist() == [True, False, True]


def test_the_same_seed_gives_the_same_ceiling(rng):
    _, values, nuisance = simulate(rng, 130)
    first, again, other = (split_half_reliability([values], LABELS, [nuisance], seed=s, n_splits=5) for s in (1, 1, 2))
    assert first.tolist() == again.tolist() != other.tolist()


def test_intersubject_correlation_is_that_of_the_shared_part(rng):
    n, noise = 6, 1.5
    shared = rng.standard_normal((3000, 2))
    courses = [shared * scale + noise * scale * rng.standard_normal((3000, 2)) for scale in range(1, n + 1)]
    found = intersubject_correlation(courses)
    expected = 1 / np.sqrt((1 + noise**2) * (1 + noise**2 / (n - 1)))
    assert found.shape == (6, 2)
    np.testing.assert_allclose(found, expected, atol=0.04)


def test_leave_one_out_is_by_its_definition(rng):
    courses = [rng.standard_normal((50, 3)) + 2 for _ in range(4)]
    z = [(c - c.mean(0)) / c.std(0) for c in courses]
    expected = np.corrcoef(z[1][:, 2], (z[0] + z[2] + z[3])[:, 2])[0, 1]
    assert intersubject_correlation(courses)[1, 2] == pytest.approx(expected)


def test_participants_who_share_nothing_do_not_correlate(rng):
    found = intersubject_correlation([rng.standard_normal((2000, 4)) for _ in range(5)])
    assert np.abs(found).max() < 0.1


def test_what_never_changes_and_who_is_alone_has_no_intersubject_correlation(rng):
    courses = [rng.standard_normal((60, 2)).astype(np.float32) for _ in range(3)]
    courses[1][:, 0] = 123.4
    assert np.isnan(intersubject_correlation(courses)).tolist() == [[False, False], [True, False], [False, False]]
    assert np.isnan(intersubject_correlation(courses[:1])).all()


def test_courses_of_different_length_are_refused(rng):
    with pytest.raises(ValueError, match=r"one shape, found \[\(60, 2\), \(61, 2\)\]"):
        intersubject_correlation([np.ones((60, 2)), np.ones((61, 2))])
