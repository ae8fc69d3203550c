import numpy as np

from bids_eeg2fmri.models.layers.style import StylePosterior, StylePrior

RNG = np.random.default_rng(0)
FEATURES = RNG.standard_normal((3, 6)).astype(np.float32)


def test_the_posterior_comes_from_the_scores_of_the_sample():
    scores = RNG.random((3, 4, 4)).astype(np.float32)
    layer = StylePosterior()
    outputs = layer([FEATURES, scores])
    (kernel,) = layer.get_weights()
    np.testing.assert_allclose(outputs, FEATURES * (scores.reshape(3, 16) @ kernel), atol=1e-5)


def test_the_prior_is_the_same_for_all_samples():
    layer = StylePrior()
    layer.build(FEATURES.shape)
    layer.style.assign(np.arange(6.0))
    np.testing.assert_allclose(layer(FEATURES), FEATURES * np.arange(6))
