"""Regions without an atlas: cubes of the space that the images are in."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bids_eeg2fmri.bold.grid import Grid

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True)
class Regions:
    """A name for each region and the region of each voxel.

    Attributes
    ----------
    names : tuple of str
        The center of the cube in mm, e.g. ``L15A0S45``: 15 mm left, 45 mm above the origin.
    labels : array of shape (voxels,)
        Position in ``names``.
    """

    names: tuple[str, ...]
    labels: np.ndarray

    def mean(self, table: np.ndarray) -> np.ndarray:
        """Average (volumes, voxels) within each region, (volumes, regions)."""
        return table @ self.shares

    @cached_property
    def shares(self) -> "csr_array":
        """What each voxel adds to the mean of its region, (voxels, regions)."""
        from scipy.sparse import csr_array

        count = np.bincount(self.labels, minlength=len(self.names))
        where = (np.arange(len(self.labels)), self.labels)
        return csr_array((1.0 / count[self.labels], where), shape=(len(self.labels), len(count)))


def tile_regions(grid: Grid, *, edge_mm: float = 30.0) -> Regions:
    """Cut the mask into cubes; a rim with less than a quarter of a cube goes to the nearest full one.

    Nothing of the signal is looked at, so the regions can't favour what was measured, and participants on one grid get
    the same names.
    """
    xyz = grid.coordinates_mm()
    cubes, labels = np.unique(np.floor(xyz / edge_mm).astype(int), axis=0, return_inverse=True)
    labels = labels.ravel()
    voxels_of_a_cube = edge_mm**3 / abs(np.linalg.det(grid.affine[:3, :3]))
    large = np.bincount(labels) >= 0.25 * voxels_of_a_cube
    if not large.any():
        large[np.argmax(np.bincount(labels))] = True
    centers = (cubes + 0.5) * edge_mm
    keep = np.flatnonzero(large)
    nearest = keep[np.argmin(np.linalg.norm(centers[:, None] - centers[keep], axis=-1), axis=1)]
    used, labels = np.unique(nearest[labels], return_inverse=True)
    return Regions(tuple(_name(center) for center in centers[used]), labels.ravel())


def _name(center: np.ndarray) -> str:
    return "".join(
        f"{letters[0] if value < 0 else letters[1]}{abs(value):.0f}"
        for letters, value in zip(("LR", "PA", "IS"), center, strict=True)
    )
