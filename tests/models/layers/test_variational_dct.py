import numpy as np
import pytest
from scipy.fft import dctn
from scipy.special import iv

from bids_eeg2fmri.models.layers.variational_dct import VariationalInverseDCT, von_mises_quantiles

FEATURES = np.random.default_rng(0).standard_normal((2, 5)).astype(np.float32)


@pytest.mark.parametrize("distribution", ["normal", "von_mises"])
def test_the_plain_prediction_is_the_mean_of_many_draws(distribution):
    layer = VariationalInverseDCT((2, 3, 2), (4, 5, 3), distribution)
    plain = np.asarray(layer(FEATURES))
    np.testing.assert_array_equal(plain, layer(FEATURES))
    drawn = np.asarray(layer(np.repeat(FEATURES, 600, axis=0), training=True)).reshape(2, 600, 4, 5, 3)
    assert drawn.std(axis=1).min() > 0.01
    error = np.abs(drawn.mean(axis=1) - plain) / drawn.std(axis=1)
    assert error.max() < 5 / np.sqrt(600)


@pytest.mark.parametrize("distribution", ["normal", "von_mises"])
def test_fine_coefficients_are_drawn_as_well_as_coarse_ones(distribution):
    layer = VariationalInverseDCT((2, 3, 2), (4, 5, 3), distribution)
    drawn = np.asarray(layer(np.repeat(FEATURES[:1], 50, axis=0), training=True))
    assert dctn(drawn, norm="ortho", axes=(1, 2, 3)).std(axis=0).min() > 1e-4


def test_quantiles_of_angles_are_those_of_von_mises():
    kappa = np.array([0.1, 1.0, 5.0, 30.0], np.float32)
    angles = np.asarray(von_mises_quantiles(kappa[:, None]))
    assert (np.diff(angles, axis=1) >= 0).all()
    np.testing.assert_allclose(np.cos(angles).mean(1), iv(1, kappa) / iv(0, kappa), atol=0.005)
    np.testing.assert_allclose(np.sin(angles).mean(1), 0, atol=0.005)


def test_another_distribution_is_refused():
    with pytest.raises(ValueError, match="distribution: normal or von_mises, not cauchy"):
        VariationalInverseDCT((2, 3, 2), (4, 5, 3), "cauchy")
