import numpy as np
import pytest

from bids_eeg2fmri.models.layers.variational import DenseVariational

INPUTS = np.eye(6, dtype=np.float32)


def test_plain_prediction_uses_the_means():
    layer = DenseVariational(4, kl_weight=1.0)
    np.testing.assert_allclose(layer(INPUTS), layer.mean[:-1] + layer.mean[-1], atol=1e-6)
    np.testing.assert_array_equal(layer(INPUTS), layer(INPUTS))


def test_each_weight_is_drawn_for_itself_in_training_and_with_noise():
    """The original drew one number for the whole matrix."""
    layer = DenseVariational(4, kl_weight=1.0)
    plain = np.asarray(layer(INPUTS))
    trained = np.asarray(layer(INPUTS, training=True)) - plain
    layer.noise.assign(1.0)
    drawn = np.asarray(layer(INPUTS)) - plain
    for away in (trained, drawn):
        away = away - away.mean(axis=0)  # without the draw of the bias
        assert len(np.unique(away.round(7))) == away.size
    assert np.abs(trained - drawn).min() > 0


def test_draws_have_the_spread_that_was_learned():
    layer = DenseVariational(3000, kl_weight=1.0)
    plain = np.asarray(layer(INPUTS))
    drawn = np.asarray(layer(INPUTS, training=True))
    expected = np.sqrt(2) * 0.1 * layer.prior_scale  # of a weight and the bias
    assert (drawn - plain).std() == pytest.approx(expected, rel=0.05)


def test_the_divergence_from_the_prior_is_in_the_loss_times_its_weight():
    layer = DenseVariational(4, kl_weight=0.25)
    layer(INPUTS)
    mean, prior = np.asarray(layer.mean), layer.prior_scale
    sigma = 0.1 * prior
    expected = np.log(prior / sigma) + (sigma**2 + mean**2) / (2 * prior**2) - 0.5
    assert float(sum(layer.losses)) == pytest.approx(0.25 * expected.sum(), rel=1e-4)
    layer.mean.assign(0 * layer.mean)
    layer.spread.assign(np.full(layer.spread.shape, np.log(np.expm1(prior))))
    layer(INPUTS)
    assert float(sum(layer.losses)) == pytest.approx(0, abs=1e-4)
