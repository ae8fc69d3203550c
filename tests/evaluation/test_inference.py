import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import kstest

from bids_eeg2fmri.evaluation.inference import (
    block_intervals,
    bootstrap_interval,
    p_by_sign_flips,
    p_by_sign_flips_of_each,
    p_of_mean,
)
from bids_eeg2fmri.evaluation.metrics import Course, measure_agreement


def test_the_interval_covers_the_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    intervals = [bootstrap_interval(rng.normal(0.3, 1, 30), seed=i, n_draws=800) for i in range(300)]
    covered = np.mean([low <= 0.3 <= high for low, high in intervals])
    assert 0.89 < covered < 0.98


def test_the_interval_of_few_participants_is_not_too_narrow():
    """The plain percentiles of six hold the mean in 87 % of cases."""
    rng = np.random.default_rng(3)
    intervals = [bootstrap_interval(rng.normal(0.3, 1, 6), seed=i, n_draws=800) for i in range(400)]
    covered = np.mean([low <= 0.3 <= high for low, high in intervals])
    assert covered == pytest.approx(0.95, abs=2.5 * np.sqrt(0.95 * 0.05 / 400))


def test_one_participant_has_no_interval():
    assert np.isnan(bootstrap_interval(np.array([0.4]), seed=0)).all()


def test_p_of_a_mean_is_uniform_where_there_is_nothing():
    rng = np.random.default_rng(1)
    p = []
    for i in range(200):
        nulls = [rng.standard_normal(300) * scale for scale in (0.1, 0.2, 0.4)]
        values = np.array([rng.normal(0, scale) for scale in (0.1, 0.2, 0.4)])
        p.append(p_of_mean(values, nulls, seed=i, n_draws=500))
    assert kstest(p, "uniform").pvalue > 0.01


def test_small_effects_in_everybody_add_up():
    rng = np.random.default_rng(2)
    nulls = [rng.standard_normal(300) for _ in range(12)]
    assert p_of_mean(np.full(12, 1.2), nulls, seed=0) < 0.01
    assert p_of_mean(np.full(1, 1.2), nulls[:1], seed=0) > 0.05


def test_p_is_never_0():
    assert p_of_mean(np.array([99.0]), [np.zeros(10)], seed=0, n_draws=400) == 1 / 401


def slow(rng, n_volumes, n):
    """Autocorrelated as BOLD is; of variance 1 / (1 - 0.6 ** 2)."""
    return lfilter([1], [1, -0.6], rng.standard_normal((n_volumes + 40, n)), axis=0)[40:]


def simulate(rng, n_volumes):
    """What is measured holds half of a course, of which one model says 0.8 and another, more careful, 0.24."""
    course = slow(rng, n_volumes, 6)
    measured = 0.5 * course + slow(rng, n_volumes, 6)
    constant = np.ones((n_volumes, 1))
    return {
        name: measure_agreement([Course(measured, share * course, constant)])
        for name, share in (("bold", 0.8), ("careful", 0.24))
    }


R = 0.5 / np.sqrt(1.25)
SKILL = {"bold": 1 - (0.3**2 + 1) / 1.25, "careful": 1 - (0.26**2 + 1) / 1.25}


def test_intervals_over_blocks_cover_the_truth_about_as_often_as_they_say():
    hits = []
    for seed in range(250):
        found = block_intervals(simulate(np.random.default_rng(seed), 600), block=30, seed=seed, n_draws=500)
        told = [
            (found["bold"]["pooled_r"], R),
            (found["bold"]["pooled_skill"], SKILL["bold"]),
            (found["careful"]["gain"], SKILL["bold"] - SKILL["careful"]),
        ]
        hits.append([low <= truth <= high for (low, high), truth in told])
    np.testing.assert_allclose(np.mean(hits, axis=0), 0.95, atol=2.5 * np.sqrt(0.95 * 0.05 / 250))


def test_intervals_of_ten_blocks_are_hardly_too_narrow():
    """The plain percentiles hold the truth in 85 % of cases."""
    hits = []
    for seed in range(250):
        low, high = block_intervals(simulate(np.random.default_rng(seed), 150), block=15, seed=seed, n_draws=500)[
            "bold"
        ]["pooled_skill"]
        hits.append(low <= SKILL["bold"] <= high)
    assert 0.87 < np.mean(hits) < 0.98


def test_models_are_compared_block_by_block():
    agreements = simulate(np.random.default_rng(4), 160)
    found = block_intervals(agreements | {"again": agreements["bold"]}, block=15, seed=0)
    assert found["bold"]["gain"] == found["again"]["gain"] == (0.0, 0.0)
    assert found["again"]["pooled_r"] == found["bold"]["pooled_r"]
    # Blocks that one model finds hard, the other one does, too: their difference is more certain than either skill.
    (low, high), (lowest, highest) = found["careful"]["gain"], found["bold"]["pooled_skill"]
    assert 0 < high - low < 0.8 * (highest - lowest)


def test_fewer_than_four_blocks_have_no_interval():
    agreements = simulate(np.random.default_rng(5), 60)
    three, four = (block_intervals(agreements, block=block, seed=0, n_draws=200)["careful"] for block in (20, 19))
    assert np.isnan(list(three.values())).all()
    assert np.isfinite(list(four.values())).all()


def test_a_block_never_reaches_into_another_run():
    """Five runs, each all right or all wrong and shorter than a block: draws have a skill of fifths and nothing else."""
    courses = []
    for right in (True, True, False, True, False):
        measured = np.array([[1.0], [-1.0]] * 7)  # 14 volumes
        courses.append(Course(measured, measured if right else 0 * measured, np.ones((14, 1))))
    agreement = measure_agreement(courses)
    skills = [
        block_intervals({"model": agreement}, block=25, seed=seed, n_draws=1)["model"]["pooled_skill"][0]
        for seed in range(40)
    ]
    np.testing.assert_allclose(skills, np.round(np.multiply(skills, 5)) / 5, atol=1e-6)
    assert np.ptp(skills) >= 0.6


def test_the_same_seed_gives_the_same_interval():
    agreements = simulate(np.random.default_rng(7), 140)
    first, again, other = (block_intervals(agreements, block=20, seed=seed, n_draws=300) for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize("n_draws", [400, 5000])
def test_p_by_sign_flips_is_uniform_where_there_is_nothing(n_draws):
    """Of twelve participants, 400 patterns of signs are drawn; 5000 are enough to try all 4096."""
    rng = np.random.default_rng(8)
    p = [p_by_sign_flips(rng.standard_t(4, 12), seed=i, n_draws=n_draws) for i in range(250)]
    assert kstest(p, "uniform").pvalue > 0.01
    assert np.mean(np.array(p) < 0.05) < 0.05 + 2 * np.sqrt(0.05 * 0.95 / 250)


def test_all_patterns_of_signs_of_few_participants_are_counted():
    # Sums of 1, 2 and 4 with signs: -7, -5, -3, -1, 1, 3, 5, 7; five of them reach 1 + 2 - 4.
    assert p_by_sign_flips(np.array([1.0, 2.0, -4.0]), seed=0) == 5 / 8
    assert p_by_sign_flips(np.array([-1.0, -2.0, -4.0]), seed=0) == 1.0
    assert p_by_sign_flips(np.full(7, 0.1), seed=0) == 1 / 2**7  # whatever rounding does to the sum


def test_p_by_sign_flips_is_small_where_there_is_something():
    rng = np.random.default_rng(9)
    values = rng.normal(0.9, 1, 24)
    assert p_by_sign_flips(values, seed=0) < 0.002
    assert p_by_sign_flips(-values, seed=0) > 0.998
    assert p_by_sign_flips(np.full(40, 1.0), seed=0, n_draws=300) == 1 / 301


def test_the_same_seed_gives_the_same_flips():
    values = np.random.default_rng(10).normal(0.2, 1, 18)
    first, again, other = (p_by_sign_flips(values, seed=seed, n_draws=500) for seed in (3, 3, 5))
    assert first == again != other
    assert first == pytest.approx(other, abs=0.1)


def test_the_smallest_of_many_p_is_an_ordinary_one_after_correction():
    rng = np.random.default_rng(11)
    smallest = [
        p_by_sign_flips_of_each(rng.standard_normal((10, 6)) + rng.standard_normal((10, 1)), seed=i, n_draws=300).min()
        for i in range(250)
    ]
    assert kstest(smallest, "uniform").pvalue > 0.01
