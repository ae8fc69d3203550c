"""A prior says how large weights are, and that participants differ a little."""

from types import SimpleNamespace

import numpy as np

from bids_eeg2fmri.training.solvers.prior import PENALTIES, solve

ONE = SimpleNamespace(own_share=0.3)


def fit(features, targets, inner, *, own_share=0.3, person=None):
    options = SimpleNamespace(own_share=own_share)
    return solve(features, targets, inner, options=options, independent=1.0, seed=0, person=person)


def data(n=90, *, noise=0.5, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((n, 7)) * np.array([3, 2, 1, 1, 0.5, 0.2, 0.1]) + 5
    weights = rng.standard_normal((7, 2))
    targets = features @ weights + noise * rng.standard_normal((n, 2))
    return features.astype(np.float32), (targets - targets.mean(0)).astype(np.float32), weights


def halves(n):
    return [(np.arange(n // 2 - 5), np.arange(n // 2 + 5, n)), (np.arange(n // 2 + 5, n), np.arange(n // 2 - 5))]


def test_the_weights_are_those_of_a_ridge_on_features_as_they_are():
    features, targets, _ = data()
    solution = fit(features, targets, halves(90))
    kernel, bias = solution.weights
    centered = (features - features.mean(0)).astype(np.float64)
    penalty = PENALTIES[solution.choice.best - 1] * np.trace(centered @ centered.T) / len(centered)
    expected = np.linalg.solve(centered.T @ centered + penalty * np.eye(7), centered.T @ (targets - targets.mean(0)))
    np.testing.assert_allclose(kernel, expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(features @ kernel + bias, centered @ expected + targets.mean(0), atol=1e-3)


def test_more_noise_asks_for_more_caution():
    chosen = [fit(*data(noise=noise)[:2], halves(90)).choice for noise in (0.05, 5.0)]
    assert chosen[0].best > chosen[1].best
    assert chosen[0].gains.min() > 0.9


def test_nothing_but_what_the_inner_splits_learned_from_says_what_they_predict():
    features, targets, _ = data()
    before = fit(features, targets, halves(90)[:1]).choice
    poisoned = targets.copy()
    poisoned[47:] += 100 * np.random.default_rng(1).standard_normal(poisoned[47:].shape)
    after = fit(features, poisoned, [(np.arange(40), np.arange(50, 90))]).choice
    assert after.training_loss[0] == before.training_loss[0]


def test_a_person_of_many_volumes_does_not_outvote_the_others():
    """Six people share weights, and one of them, who was recorded far longer, has much that is its own."""
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((6, 1))
    n_of = [400, *[40] * 5]
    own = [2.0, *[0.2] * 5]
    features = rng.standard_normal((sum(n_of), 6)).astype(np.float32)
    person = np.repeat(np.arange(6), n_of)
    weights = [shared + size * rng.standard_normal((6, 1)) for size in own]
    targets = np.concatenate([features[person == i] @ weights[i] for i in range(6)])
    targets = (targets + 0.3 * rng.standard_normal(targets.shape)).astype(np.float32)
    inner = [(np.flatnonzero(person != i), np.flatnonzero(person == i)) for i in (1, 2)]
    wrong = {
        share: np.linalg.norm(fit(features, targets, inner, own_share=share, person=person).weights[0] - shared)
        for share in (0.0, 1.0)
    }
    assert wrong[1.0] < 0.6 * wrong[0.0]


def test_what_one_person_has_for_itself_is_not_told_apart():
    features, targets, _ = data()
    alone = fit(features, targets, halves(90), person=np.full(90, 3))
    np.testing.assert_array_equal(alone.weights[0], fit(features, targets, halves(90)).weights[0])
