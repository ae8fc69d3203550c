"""Are p-values uniform where there is nothing, and is an image that knows anatomy only found out? In miniature, without networks.

The whole of the app is calibrated by benchmarks/calibration.py.
"""

from functools import partial

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import kstest

from bids_eeg2fmri.bold.drift import drift_regressors, remove_drift
from bids_eeg2fmri.bold.regions import Regions
from bids_eeg2fmri.config import EvaluationSettings, Settings
from bids_eeg2fmri.evaluation.baselines import fit_ridge
from bids_eeg2fmri.evaluation.chance import Forecast, compare_with, shifted
from bids_eeg2fmri.evaluation.splits import Samples, hold_out, pair_once
from bids_eeg2fmri.workflow.scoring import nuisance, score
from bids_eeg2fmri.workflow.verdict import judge

N_VOLUMES, TR_S, N_BLOCKS, N_VOXELS, N_CHANNELS = 160, 2.0, 5, 12, 6
RUN = np.zeros(N_VOLUMES, dtype=int)
SAMPLES = Samples(RUN, TR_S * np.arange(N_VOLUMES), RUN, np.ones(N_VOLUMES, dtype=bool), gap_s=12.0)
DRIFT = drift_regressors(N_VOLUMES, tr_s=TR_S, shortest_period_s=128.0)


def slow(rng, n_volumes, n):
    """Autocorrelated as BOLD and band power are."""
    return lfilter([1], [1, -0.7], rng.standard_normal((n_volumes + 30, n)), axis=0)[30:].astype(np.float32)


def compare(splits, seed):
    """Predict noise from other noise out of sample; give p."""
    rng = np.random.default_rng(seed)
    power = slow(rng, N_VOLUMES + 3, N_CHANNELS)
    features = np.hstack([power[3 - lag : N_VOLUMES + 3 - lag] for lag in range(4)])
    measured = slow(rng, N_VOLUMES, N_VOXELS)
    model = np.full(N_VOLUMES, -1)
    said = np.zeros((len(splits), N_VOLUMES, N_VOXELS))
    for number, split in enumerate(splits):
        train, inner = split.train, [[np.searchsorted(split.train, part) for part in parts] for parts in split.inner]
        targets = remove_drift(measured[train] - measured[train].mean(0), DRIFT[train])
        said[number] = fit_ridge(features[train], targets, inner, independent=1 / 3).predict(features)
        model[split.test] = number
    bases = np.stack([np.eye(N_VOXELS, dtype=np.float32)] * len(splits))
    forecast = Forecast(measured, nuisance(model, tr_s=TR_S, drift_period_s=128.0), model, said, bases)
    draws = shifted([forecast], shortest=[12], n_draws=59, seed=seed)
    chance = compare_with([forecast], draws, labels=np.zeros(N_VOXELS, int))
    return chance.p - rng.uniform(0, 1 / 60)  # p has steps


def simulate(make_splits, n_simulations):
    splits = make_splits(SAMPLES, "blocks", n_folds=N_BLOCKS)
    return np.array([compare(splits, seed) for seed in range(n_simulations)])


def test_p_by_models_that_do_not_judge_each_other_is_uniform_where_there_is_nothing():
    p = simulate(pair_once, 160)
    assert kstest(p, "uniform").pvalue > 0.01
    assert np.mean(p < 0.05) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 160)


def test_p_by_ordinary_cross_validation_is_not():
    """Why it is not used: what a block is predicted to be goes against what it is, by nothing but chance."""
    assert kstest(simulate(hold_out, 110), "uniform").pvalue < 0.005


REGIONS = Regions(("L15A0S15", "R15A0S15", "L15P30S45"), np.arange(45) % 3)
QUICK = Settings(evaluation=EvaluationSettings(n_shifts=100))
FOLDS = np.arange(100) // 25


def judge_simulated(predict, seed, alpha=0.05):
    """Judge what does not look at the measurement; anatomy is known to it."""
    rng = np.random.default_rng(seed)
    measured = slow(rng, 100, 45)
    anatomy = rng.standard_normal((4, 45)).astype(np.float32)
    predicted = {"separable": [predict(rng, anatomy)], "mean image": [np.zeros_like(measured)]}
    scores = score([measured], predicted, [FOLDS], tr_s=[2.0], regions=REGIONS, settings=QUICK, seed=seed)
    return judge(scores, REGIONS, alpha=alpha), scores.table.iloc[0]


def one_image(rng, anatomy):
    return np.tile(anatomy[0], (100, 1))


def the_mean_image_of_each_fold(rng, anatomy):
    return anatomy[FOLDS]


def hardly_changing(rng, anatomy, size=0.005):
    return anatomy[FOLDS] + np.float32(size) * slow(rng, 100, 45)


@pytest.mark.parametrize("predict", [one_image, the_mean_image_of_each_fold, hardly_changing])
def test_whoever_knows_anatomy_only_is_told_to_be_collapsed_every_time(predict):
    for seed in range(8):
        verdict, row = judge_simulated(predict, seed)
        assert verdict["collapsed"] is True
        assert verdict["headline"] == "The model gives a constant image"
        assert verdict["better_than_chance"] is verdict["better_than_baselines"] is False
        assert row.pooled_skill == pytest.approx(0, abs=1e-6 if predict is not hardly_changing else 5e-3)
        assert abs(row.pooled_r) < (1e-6 if predict is not hardly_changing else 0.2)


def test_changes_that_have_nothing_to_do_with_the_measurement_are_not_praised():
    """Even where chance is taken for evidence, as it is here in half of all cases: no baseline is beaten."""
    above_chance = []
    for seed in range(12):
        verdict, row = judge_simulated(partial(hardly_changing, size=0.5), seed, alpha=0.5)
        assert verdict["collapsed"] is False
        assert row.pooled_skill < 0
        assert verdict["better_than_baselines"] is False
        assert not verdict["headline"].startswith("Better")
        above_chance.append(verdict["better_than_chance"])
    assert 2 < sum(above_chance) < 10
