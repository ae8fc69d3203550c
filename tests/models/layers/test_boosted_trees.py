from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingRegressor

from bids_eeg2fmri.models.layers.boosted_trees import BoostedTrees
from bids_eeg2fmri.training.solvers.trees import lay_out


def layer_of(weights, n_outputs, n_trees, depth, n_features=7):
    layer = BoostedTrees(n_outputs, n_trees, depth)
    layer.build((None, n_features))
    layer.set_weights(weights)
    return layer


def test_a_tree_that_can_be_checked_by_hand():
    """Is feature 2 above 0? If not, is feature 0 above 5? If so, is feature 1 above -1?"""
    features, thresholds = np.array([[[2, 0, 1]]]), np.array([[[0.0, 5.0, -1.0]]])
    layer = layer_of([features, thresholds, np.array([[[10.0, 20.0, 30.0, 40.0]]])], 1, 1, 2, n_features=3)
    samples = np.array([[5, 9, 0], [6, 9, 0], [9, -1, 1], [9, 0, 1]], np.float32)
    assert np.asarray(layer(samples))[:, 0].tolist() == [10, 20, 30, 40]


@pytest.mark.parametrize("depth", [1, 3])
def test_it_predicts_as_the_trees_that_it_was_read_from(depth):
    """Trees of fewer questions than they may ask, and outputs of fewer trees than there is room for, among them."""
    rng = np.random.default_rng(0)
    samples, new = rng.standard_normal((90, 7)).astype(np.float32), rng.standard_normal((70, 7)).astype(np.float32)
    samples[:, 3] = np.round(samples[:, 3])
    targets = (np.sign(samples[:, 1]), samples[:, 3] * samples[:, 5])
    options = SimpleNamespace(n_trees=15, depth=depth, learning_rate=0.3)
    how = {"init": "zero", "max_depth": depth, "learning_rate": 0.3, "random_state": 0}
    grown = [
        GradientBoostingRegressor(n_estimators=n, **how).fit(samples, target)
        for n, target in zip((11, 15), targets, strict=True)
    ]
    layer = layer_of(lay_out(grown, options), 2, 15, depth)
    for which in (samples, new):
        expected = np.stack([trees.predict(which) for trees in grown], 1)
        np.testing.assert_allclose(np.asarray(layer(which)), expected, atol=1e-5)
        assert expected.std(0).min() > 0.1


def test_neighbours_of_single_precision_are_told_apart_as_they_were_when_the_tree_was_grown():
    """Halfway between them there is no number of single precision; rounded up, both would go left."""
    low = np.nextafter(np.float32(64), np.float32(65))
    high = np.nextafter(low, np.float32(65))
    samples = np.array([[low], [high]] * 3)
    trees = GradientBoostingRegressor(init="zero", n_estimators=1, max_depth=1, learning_rate=1.0, random_state=0)
    trees.fit(samples, np.array([-3.0, 3.0] * 3))
    assert np.float32(trees.estimators_[0, 0].tree_.threshold[0]) == high
    options = SimpleNamespace(n_trees=1, depth=1, learning_rate=1.0)
    outputs = np.asarray(layer_of(lay_out([trees], options), 1, 1, 1, n_features=1)(samples))
    np.testing.assert_allclose(outputs[:, 0], [-3, 3] * 3)


def test_no_gradient_moves_any_of_its_weights():
    layer = BoostedTrees(2, 3, 2)
    layer.build((None, 5))
    assert layer.trainable_variables == []
    assert [tuple(weight.shape) for weight in layer.weights] == [(2, 3, 3), (2, 3, 3), (2, 3, 4)]
