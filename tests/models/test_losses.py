import math

import keras
import numpy as np
import pytest

from bids_eeg2fmri.models.losses import (
    contrastive,
    contrastive_classification,
    cosine_distance,
    laplacian,
    mae_cosine,
    mse_cosine,
)

RNG = np.random.default_rng(0)
LATENT = RNG.standard_normal((5, 2, 3, 4)).astype(np.float32)
Y, PREDICTED = RNG.standard_normal((2, 5, 7)).astype(np.float32)


def test_identical_latents_cost_nothing_whatever_their_length():
    lengths = np.array([0.1, 1, 10, 100, 3], np.float32)[:, None, None, None]
    np.testing.assert_allclose(cosine_distance(LATENT, lengths * LATENT), 0, atol=1e-6)


def test_opposite_latents_cost_2_and_right_angles_1():
    np.testing.assert_allclose(cosine_distance(LATENT, -LATENT), 2, atol=1e-6)
    np.testing.assert_allclose(cosine_distance(np.eye(4)[:2], np.eye(4)[2:]), 1, atol=1e-6)


def test_the_cosine_of_a_sample_does_not_depend_on_the_others_in_the_batch():
    others = RNG.standard_normal(LATENT.shape).astype(np.float32)
    np.testing.assert_allclose(cosine_distance(LATENT, others)[:2], cosine_distance(LATENT[:2], others[:2]), atol=1e-6)


def test_a_latent_of_zeros_is_finite_and_costs_1():
    np.testing.assert_allclose(cosine_distance(0 * LATENT, LATENT), 1)


def test_errors_are_means_over_outputs_plus_the_distance_of_the_latents():
    apart = np.asarray(cosine_distance(LATENT, LATENT[::-1]))
    error = np.abs(Y - PREDICTED)
    np.testing.assert_allclose(mae_cosine(Y, PREDICTED), error.mean(1), rtol=1e-5)
    np.testing.assert_allclose(mae_cosine(Y, PREDICTED, (LATENT, LATENT[::-1])), error.mean(1) + apart, rtol=1e-5)
    np.testing.assert_allclose(mse_cosine(Y, PREDICTED, (LATENT, LATENT[::-1])), (error**2).mean(1) + apart, rtol=1e-5)


def test_the_laplacian_loss_is_a_negative_log_likelihood():
    from scipy.stats import laplace

    log_scale = 0.3 * RNG.standard_normal(Y.shape).astype(np.float32)
    expected = -laplace.logpdf(Y, PREDICTED, np.exp(log_scale)).mean(1)
    np.testing.assert_allclose(laplacian(Y, PREDICTED, log_scale), expected, rtol=1e-5)


def test_pairs_of_one_group_are_drawn_together_and_others_half_a_turn_apart():
    phases = LATENT.reshape(5, -1)
    same = np.array([1, 1, 1, 0, 0])
    np.testing.assert_allclose(contrastive(phases, phases, same), [0, 0, 0, math.pi, math.pi], rtol=1e-5)
    np.testing.assert_allclose(contrastive(phases, phases + math.pi, same)[3:], 0, atol=1e-5)


def test_classification_adds_the_cross_entropy_of_both():
    phases = LATENT.reshape(5, -1)
    logits = np.zeros((5, 3), np.float32)
    groups = np.array([0, 1, 2, 0, 1])
    cost = contrastive_classification((phases, phases), (logits, logits), (groups, groups))
    np.testing.assert_allclose(cost, 2 * math.log(3), rtol=1e-5)
    unsure = contrastive_classification(
        (phases, phases), (logits, logits), (groups, groups), (np.ones(5, np.float32), np.ones(5, np.float32))
    )
    np.testing.assert_allclose(unsure, 2 * (math.log(3) / math.e + 1), rtol=1e-5)


@pytest.mark.parametrize("loss", ["contrastive", "classification"])
def test_the_gradient_of_pairs_reaches_the_encoder(loss):
    """The original converted the phases to numpy on the way."""
    inputs = keras.Input((6,))
    phases = keras.layers.Dense(4, use_bias=False, name="encoder")(inputs)

    class Pairs(keras.Model):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            pair = y_pred[:3], y_pred[3:]
            if loss == "contrastive":
                return keras.ops.mean(contrastive(*pair, y[:3] == y[3:]))
            logits = keras.ops.zeros((3, 2)), keras.ops.zeros((3, 2))
            return keras.ops.mean(contrastive_classification(pair, logits, (y[:3], y[3:])))

    model = Pairs(inputs, phases)
    model.compile(keras.optimizers.SGD(0.1), run_eagerly=True, jit_compile=False)
    before = model.get_weights()[0].copy()
    groups = np.array([0, 1, 0, 0, 0, 1])
    model.train_on_batch(RNG.standard_normal((6, 6)).astype(np.float32), groups)
    assert np.abs(model.get_weights()[0] - before).max() > 1e-4
