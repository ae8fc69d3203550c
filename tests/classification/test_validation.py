import numpy as np
import pytest

from bids_eeg2fmri.classification.features import bold_features, eeg_features
from bids_eeg2fmri.classification.validation import area_under_curve, classify

GROUPS = np.repeat(["control", "patient"], [9, 8])
WHO = [f"sub-{i:02d}" for i in range(17)]


@pytest.fixture(scope="module")
def result():
    rng = np.random.default_rng(0)
    telling = rng.standard_normal((17, 3)) + 2.5 * (GROUPS == "patient")[:, None]
    features = {"telling": telling, "noise": rng.standard_normal((17, 7))}
    return classify(features, GROUPS, WHO, seed=0, n_repeats=1, n_permutations=25)


def test_groups_that_differ_are_told_apart_and_others_are_not(result):
    table = result.table.set_index("features")
    assert table.auc["telling"] > 0.9
    assert table.p["telling"] == pytest.approx(1 / 26)
    assert table.p["noise"] > 0.05
    assert (table.auc_low <= table.auc).all()
    assert (table.auc <= table.auc_high).all()


def test_balanced_accuracy_is_the_mean_of_sensitivity_and_specificity(result):
    table = result.table
    np.testing.assert_allclose(table.balanced_accuracy, (table.sensitivity + table.specificity) / 2)


def test_every_participant_has_a_probability_of_the_second_group(result):
    assert result.probability.participant_id.tolist() == WHO
    assert result.probability[["telling", "noise"]].stack().between(0, 1).all()
    by_group = result.probability.groupby("group").telling.mean()
    assert by_group["patient"] > by_group["control"]


def test_the_same_seed_gives_the_same_table(result):
    features = {"telling": np.random.default_rng(0).standard_normal((17, 3)) + 2.5 * (GROUPS == "patient")[:, None]}
    again = classify(features, GROUPS, WHO, seed=0, n_repeats=1, n_permutations=1)
    assert again.table.auc[0] == result.table.auc[0]


def test_features_of_bold_are_the_spread_of_each_region():
    rng = np.random.default_rng(1)
    courses = [rng.standard_normal((4000, 3)) * [1.0, 2.0, 0.0] for _ in range(2)]
    features = bold_features(courses)
    np.testing.assert_allclose(features[:2], np.log([1, 2]), atol=0.05)
    assert np.isfinite(features).all()


def test_features_of_eeg_are_level_and_spread_of_each_channel_and_band():
    rng = np.random.default_rng(2)
    power = rng.normal(-110, 3, (5000, 4, 6))
    bands = np.zeros((6, 2))
    bands[0, 0] = bands[4, 1] = 1
    features = eeg_features([power], bands)
    assert features.shape == (16,)
    np.testing.assert_allclose(features[:8], -110, atol=0.3)
    np.testing.assert_allclose(features[8:], 3, atol=0.2)


@pytest.mark.parametrize("n_levels", [2, 7, 1000])
def test_the_area_is_that_of_scikit_learn_to_the_last_bit(n_levels):
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(n_levels)
    for _ in range(60):
        truth = np.arange(rng.integers(3, 40)) % 3 == 0
        scores = np.round(rng.random(len(truth)) * n_levels) / n_levels
        assert area_under_curve(truth, scores) == roc_auc_score(truth, scores)
