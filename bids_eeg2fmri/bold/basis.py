"""The low-rank dynamics that a network predicts instead of anatomy."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Basis:
    """Spatial components of percent signal change.

    Attributes
    ----------
    components : array of shape (components, voxels)
        Orthonormal rows: the squared error of coefficients is that of voxels.
    """

    components: np.ndarray

    def project(self, values: np.ndarray) -> np.ndarray:
        """Give the coefficients (volumes, components) of (volumes, voxels)."""
        return values @ self.components.T

    def expand(self, coefficients: np.ndarray) -> np.ndarray:
        """Give the percent signal change (volumes, voxels) of coefficients."""
        return coefficients @ self.components


def fit_basis(values: np.ndarray, n_components: int) -> Basis:
    """Find the directions in which training volumes vary most.

    Parameters
    ----------
    values : array of shape (volumes, voxels)
        Percent signal change of training volumes, drift removed.
    n_components : int
        At most; never more than volumes or voxels.
    """
    # The volumes are far fewer than the voxels: their scatter matrix is small.
    eigenvalues, vectors = np.linalg.eigh((values @ values.T).astype(np.float64))
    order = np.argsort(eigenvalues)[::-1][: min(n_components, *values.shape)]
    # Smaller ones are rounding of single precision; their directions would be noise, and not of length 1.
    order = order[eigenvalues[order] > 1e-6 * max(eigenvalues.max(), 1e-30)]
    components = (vectors[:, order].T.astype(values.dtype) @ values) / np.sqrt(eigenvalues[order])[:, None]
    return Basis(components.astype(np.float32))
