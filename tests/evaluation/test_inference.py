import numpy as np
from scipy.stats import kstest

from bids_eeg2fmri.evaluation.inference import bootstrap_interval, p_of_mean


def test_the_interval_covers_the_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    intervals = [bootstrap_interval(rng.normal(0.3, 1, 30), seed=i, n_draws=800) for i in range(300)]
    covered = np.mean([low <= 0.3 <= high for low, high in intervals])
    assert 0.89 < covered < 0.98


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
