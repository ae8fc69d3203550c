"""A 4-D image as a table of voxels, and back."""

from dataclasses import dataclass

import nibabel as nib
import numpy as np


@dataclass(frozen=True)
class Grid:
    """Where the voxels are.

    Attributes
    ----------
    mask : array of shape (x, y, z)
        True for the voxels that are columns of a table, in C order.
    affine : array of shape (4, 4)
        Voxel indices to mm, RAS.
    space_code : int
        NIfTI's code of that space: 1 scanner, 2 aligned, 4 MNI152.
    space : str
        As BIDS calls it, such as MNI152NLin2009cAsym; empty for the space of the series itself.
    resolution : str
        Label of BIDS' entity ``res``; empty where there is none.
    """

    mask: np.ndarray
    affine: np.ndarray
    space_code: int = 2
    space: str = ""
    resolution: str = ""

    @property
    def entities(self) -> str:
        """Of a file's name: ``space-MNI152NLin2009cAsym_res-2``; empty for the space of the series itself."""
        named = {"space": self.space, "res": self.resolution if self.space else ""}
        return "_".join(f"{entity}-{label}" for entity, label in named.items() if label)

    @property
    def n_voxels(self) -> int:
        return int(np.count_nonzero(self.mask))

    def same_as(self, other: "Grid") -> bool:
        """Whether the grids are of one space, have one shape and, entry by entry within 0.01, one affine."""
        return (
            self.space == other.space
            and self.mask.shape == other.mask.shape
            and bool(np.allclose(self.affine, other.affine, atol=0.01))
        )

    def table(self, data: np.ndarray) -> np.ndarray:
        """Take the voxels of a 4-D array as (volumes, voxels), float32."""
        return np.ascontiguousarray(data[self.mask].T, dtype=np.float32)

    def array(self, table: np.ndarray, background: np.ndarray | float = 0) -> np.ndarray:
        """Put (voxels,) or (volumes, voxels) back in place; ``background`` (x, y, z) is what the rest holds."""
        shape = self.mask.shape if table.ndim == 1 else (*self.mask.shape, len(table))
        filled = np.empty(shape, dtype=np.float32)
        filled[...] = background if table.ndim == 1 or np.isscalar(background) else background[..., None]  # type: ignore[index]
        filled[self.mask] = table.T
        return filled

    def image(
        self, table: np.ndarray, *, background: np.ndarray | float = 0, tr_s: float | None = None
    ) -> nib.Nifti1Image:
        """Make a NIfTI image of (voxels,) or (volumes, voxels)."""
        return self.image_of(self.array(table, background), tr_s=tr_s)

    def image_of(self, array: np.ndarray, *, tr_s: float | None = None) -> nib.Nifti1Image:
        """Make a NIfTI image of an array on this grid; the fourth zoom is the repetition time in s."""
        image = nib.Nifti1Image(array, self.affine)
        image.set_sform(self.affine, code=self.space_code)
        image.set_qform(self.affine, code=self.space_code)
        image.header.set_xyzt_units("mm", "sec")
        if tr_s is not None:
            image.header.set_zooms((*image.header.get_zooms()[:3], tr_s))
        return image

    def coordinates_mm(self) -> np.ndarray:
        """Centers of the voxels of the mask, (voxels, 3), RAS."""
        return np.argwhere(self.mask) @ self.affine[:3, :3].T + self.affine[:3, 3]


def smooth(table: np.ndarray, grid: Grid, *, fwhm_mm: float) -> np.ndarray:
    """Smooth each volume with a Gaussian, within the mask alone: nothing of what surrounds the brain comes in.

    Parameters
    ----------
    table : array of shape (volumes, voxels)
    fwhm_mm : float
        Full width at half maximum; 0 leaves the table as it is.
    """
    if not fwhm_mm:
        return table
    from scipy.ndimage import gaussian_filter

    sigma = fwhm_mm / np.sqrt(8 * np.log(2)) / np.linalg.norm(grid.affine[:3, :3], axis=0)
    share = gaussian_filter(grid.mask.astype(np.float32), sigma)[grid.mask]
    smoothed = np.empty_like(table)
    for volume, values in enumerate(table):
        smoothed[volume] = gaussian_filter(grid.array(values), sigma)[grid.mask] / share
    return smoothed


def percent_change(values: np.ndarray, baseline: np.ndarray) -> np.ndarray:
    """Express intensities as percent signal change from a baseline.

    Parameters
    ----------
    values : array of shape (volumes, voxels)
    baseline : array of shape (voxels,)
        Mean of the *training* volumes; greater than 0.
    """
    return 100 * (values / baseline - 1)


def resample(data: np.ndarray, affine: np.ndarray, grid: Grid) -> np.ndarray:
    """Interpolate a 4-D array linearly at the voxels of another grid; 0 beyond its own field of view."""
    from nilearn.image import resample_img

    moved = resample_img(
        nib.Nifti1Image(data, affine),
        target_affine=grid.affine,
        target_shape=grid.mask.shape,
        interpolation="linear",
        force_resample=True,
        copy_header=True,
    )
    return np.asarray(moved.dataobj, dtype=np.float32)
