"""Regions of the brain: of an atlas, or cubes of the space that the images are in."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bids_eeg2fmri.bold.grid import Grid
from bids_eeg2fmri.errors import InputDataError

if TYPE_CHECKING:
    from scipy.sparse import csr_array


ELSEWHERE = "elsewhere"
FEWEST_VOXELS = 5
# An atlas of the cortex covers about half of a brain; one that covers less than this is of another space.
LEAST_SHARE = 0.1


@dataclass(frozen=True)
class Regions:
    """A name for each region and the region of each voxel.

    Attributes
    ----------
    names : tuple of str
        Of the atlas, or the center of the cube in mm, e.g. ``L15A0S45``: 15 mm left, 45 mm above the origin.
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


def label_regions(grid: Grid, labels: np.ndarray, affine: np.ndarray, names: Mapping[int, str]) -> Regions:
    """Give each voxel the region of the atlas' voxel that is nearest; what is left of the brain is a region too, "elsewhere".

    Regions of which fewer than ``FEWEST_VOXELS`` lie in the mask go there.

    Parameters
    ----------
    grid : Grid
    labels : array of int, shape (x, y, z)
        0 where there is no region.
    affine : array of shape (4, 4)
        Of the atlas, to mm in the space of ``grid``.
    names : mapping
        Label to name; a label without one is called by its number.

    Raises
    ------
    InputDataError
        If hardly any voxel lies in a region: an atlas of another space.
    """
    to_atlas = np.linalg.inv(affine)
    index = np.rint(grid.coordinates_mm() @ to_atlas[:3, :3].T + to_atlas[:3, 3]).astype(int)
    inside = ((index >= 0) & (index < labels.shape)).all(1)
    of_voxel = np.zeros(len(index), dtype=np.int64)
    of_voxel[inside] = labels[tuple(index[inside].T)]
    found, count = np.unique(of_voxel, return_counts=True)
    kept = found[(count >= FEWEST_VOXELS) & (found > 0)]
    of_voxel[~np.isin(of_voxel, kept)] = 0
    share = np.count_nonzero(of_voxel) / len(of_voxel)
    if share < LEAST_SHARE:
        raise InputDataError(
            f"expected an atlas that lies on the brain, found regions in {100 * share:.0f} % of its voxels; it has to be in the "
            f"space of the BOLD ({grid.space or 'the native one of the series'}), see --output-spaces"
        )
    used, position = np.unique(of_voxel, return_inverse=True)
    called: list[str] = []
    for label in used:
        name = ELSEWHERE if label == 0 else str(names.get(int(label), f"label{label}"))
        called.append(f"{name} ({label})" if name in called else name)
    return Regions(tuple(called), position.ravel())


def _name(center: np.ndarray) -> str:
    return "".join(
        f"{letters[0] if value < 0 else letters[1]}{abs(value):.0f}"
        for letters, value in zip(("LR", "PA", "IS"), center, strict=True)
    )
