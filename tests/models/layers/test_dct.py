import numpy as np
import pytest
from scipy.fft import dctn, idctn

from bids_eeg2fmri.models.layers.dct import CosineResize, cosine_matrix, resize_matrix

VOLUMES = np.random.default_rng(0).standard_normal((2, 4, 5, 3)).astype(np.float32)


def test_the_matrix_is_the_orthonormal_transform():
    np.testing.assert_allclose(cosine_matrix(5) @ VOLUMES[0, 0], dctn(VOLUMES[0, 0], norm="ortho", axes=[0]), atol=1e-6)
    np.testing.assert_allclose(cosine_matrix(7) @ cosine_matrix(7).T, np.eye(7), atol=1e-12)


def test_zeros_are_put_behind_the_coefficients():
    outputs = CosineResize((8, 7, 9))(VOLUMES)
    padded = np.zeros((2, 8, 7, 9))
    padded[:, :4, :5, :3] = dctn(VOLUMES, norm="ortho", axes=(1, 2, 3))
    expected = idctn(padded, norm="ortho", axes=(1, 2, 3)) * np.sqrt(8 * 7 * 9 / (4 * 5 * 3))
    np.testing.assert_allclose(outputs, expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(8, 9, 7), (3, 2, 1), (6, 2, 4)])
def test_a_constant_stays_that_constant_at_any_resolution(shape):
    np.testing.assert_allclose(CosineResize(shape)(np.full((1, 4, 5, 3), 2.5, np.float32)), 2.5, rtol=1e-5)


def test_up_and_down_again_changes_nothing():
    np.testing.assert_allclose(resize_matrix(9, 5) @ resize_matrix(5, 9), np.eye(5), atol=1e-12)
