import numpy as np
import pytest

from bids_eeg2fmri.bold.basis import fit_basis


def low_rank(n_volumes=40, n_voxels=300, rank=3, noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((n_volumes, rank)) @ rng.standard_normal((rank, n_voxels))
    return (values + noise * rng.standard_normal(values.shape)).astype(np.float32)


@pytest.mark.parametrize(("n_volumes", "n_voxels"), [(40, 300), (50, 30)])
def test_components_are_orthonormal(n_volumes, n_voxels):
    basis = fit_basis(low_rank(n_volumes, n_voxels, noise=1.0), 12)
    assert basis.components.shape == (12, n_voxels)
    np.testing.assert_allclose(basis.components @ basis.components.T, np.eye(12), atol=1e-4)


def test_what_is_of_low_rank_comes_back_whole():
    values = low_rank(rank=3)
    basis = fit_basis(values, 20)
    assert len(basis.components) == 3
    np.testing.assert_allclose(basis.expand(basis.project(values)), values, atol=1e-4)


def test_components_are_those_of_the_singular_value_decomposition():
    values = low_rank(noise=0.5)
    basis = fit_basis(values, 3)
    _, _, vt = np.linalg.svd(values, full_matrices=False)
    np.testing.assert_allclose(np.abs((basis.components * vt[:3]).sum(1)), 1, atol=1e-4)


def test_the_error_of_coefficients_is_the_error_of_voxels():
    basis = fit_basis(low_rank(noise=1.0), 5)
    a, b = np.random.default_rng(1).standard_normal((2, 7, 5))
    np.testing.assert_allclose(((a - b) ** 2).sum(), ((basis.expand(a) - basis.expand(b)) ** 2).sum(), rtol=1e-4)


def test_there_are_never_more_components_than_volumes():
    assert len(fit_basis(low_rank(n_volumes=6, noise=1.0), 20).components) <= 6
