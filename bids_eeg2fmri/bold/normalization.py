"""Bring the brain of a participant to the MNI template."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from bids_eeg2fmri.bold.grid import Grid
from bids_eeg2fmri.errors import InputDataError

# nilearn ships the asymmetric template of 2009, version a; fMRIPrep's default is version c, which lies a little differently.
TEMPLATE = "MNI152NLin2009aAsym"
# NIfTI's code of that space.
MNI152_CODE = 4
# Voxels of the registration: finer ones take much longer and change the result by less than a millimetre.
REGISTERED_AT_MM = 4
# Of adults and children of school age to the template, along any axis; what needs more is no whole brain.
SIZES = (0.7, 1.4)
# Overlap (Dice) of a brain with the template's below which they can't be said to lie on each other.
LEAST_OVERLAP = 0.8


@dataclass(frozen=True)
class Normalization:
    """Where the voxels of the template lie in the image of a participant.

    Attributes
    ----------
    points_mm : array of shape (x, y, z, 3)
        RAS; NaN beyond the field of view.
    grid_affine : array of shape (4, 4)
        Of the template's voxels, to mm.
    affine : array of shape (4, 4)
        The affine part: mm of the template to mm of the image.
    overlap : tuple of float
        Of the participant's brain with the template's (Dice, within the field of view): by the affine part, and by all.
    """

    points_mm: np.ndarray
    grid_affine: np.ndarray
    affine: np.ndarray
    overlap: tuple[float, float]

    def locate(self, template_mm: np.ndarray) -> np.ndarray:
        """Give where points of the template, (points, 3), lie in the image; NaN beyond the field of view."""
        from scipy.ndimage import map_coordinates

        to_voxels = np.linalg.inv(self.grid_affine)
        where = to_voxels[:3, :3] @ template_mm.T + to_voxels[:3, 3:]
        axes = np.moveaxis(self.points_mm, -1, 0)
        return np.stack([map_coordinates(axis, where, order=1, mode="nearest") for axis in axes], -1)


def template_grid(resolution_mm: int) -> Grid:
    """Make the grid of the template's brain."""
    _, mask, affine = _template(resolution_mm)
    return Grid(mask, affine, MNI152_CODE, TEMPLATE, str(resolution_mm))


def normalize(image: np.ndarray, mask: np.ndarray, affine: np.ndarray) -> Normalization:
    """Register the mean image of a series with the MNI template.

    First an affine transform by mutual information, then a smooth deformation by local correlation, for which it does not matter
    that fluid is bright in one image and dark in the other. No image of the anatomy is needed.

    dipy does it: of the well-kept libraries it alone installs beside the versions of this package (BSD, 35 MB with two
    small dependencies); ANTsPy's wheels are bound to older numpy and scipy.

    Parameters
    ----------
    image : array of shape (x, y, z)
        Mean of a series.
    mask : array of shape (x, y, z)
        Its brain.
    affine : array of shape (4, 4)
        Voxel indices to mm, RAS.

    Raises
    ------
    InputDataError
        If the brain does not come to lie on the template.

    References
    ----------
    Mattes, D. et al. (2003). PET-CT image registration in the chest using free-form deformations. IEEE Trans. Med. Imaging 22,
    120-128.
    Avants, B. B., Epstein, C. L., Grossman, M., & Gee, J. C. (2008). Symmetric diffeomorphic image registration with
    cross-correlation. Medical Image Analysis 12, 26-41.
    Calhoun, V. D. et al. (2017). The impact of T1 versus EPI spatial normalization templates for fMRI data analyses. Human Brain
    Mapping 38, 5331-5342.
    """
    from dipy.align.imaffine import AffineMap, AffineRegistration, MutualInformationMetric, transform_centers_of_mass
    from dipy.align.imwarp import SymmetricDiffeomorphicRegistration
    from dipy.align.metrics import CCMetric
    from dipy.align.transforms import AffineTransform3D, RigidTransform3D

    template, inside, template_affine = _template(REGISTERED_AT_MM)
    fixed = template * inside
    moving = np.where(mask, np.nan_to_num(image), 0).astype(np.float64)
    spaces = {"static_grid2world": template_affine, "moving_grid2world": affine}
    linear = transform_centers_of_mass(fixed, template_affine, moving, affine).affine
    for transform in (RigidTransform3D(), AffineTransform3D()):
        search = AffineRegistration(
            metric=MutualInformationMetric(nbins=32, sampling_proportion=0.3),
            level_iters=[200, 50],
            sigmas=[2.0, 0.0],
            factors=[2, 1],
            verbosity=0,
        )
        linear = search.optimize(fixed, moving, transform, None, starting_affine=linear, **spaces).affine
    size = np.linalg.svd(linear[:3, :3], compute_uv=False)
    if not (size.min() > SIZES[0] and size.max() < SIZES[1]):
        raise InputDataError(
            f"expected a brain of {SIZES[0]:g} to {SIZES[1]:g} times the size of the template's, found {size.min():.2f} to "
            f"{size.max():.2f} times; look at the image, or choose --output-spaces native"
        )
    by_affine = AffineMap(
        linear,
        domain_grid_shape=fixed.shape,
        domain_grid2world=template_affine,
        codomain_grid_shape=moving.shape,
        codomain_grid2world=affine,
    )
    # What the image does not show can't be deformed.
    seen = by_affine.transform(np.ones(mask.shape)) > 0.99
    search = SymmetricDiffeomorphicRegistration(CCMetric(3, sigma_diff=5.0, radius=2), level_iters=[50, 25])
    search.verbosity = 0  # nothing is printed
    mapping = search.optimize(np.where(seen, fixed, 0), moving, prealign=linear, **spaces)
    seen = mapping.transform(np.ones(mask.shape)) > 0.99
    centers = np.stack(np.meshgrid(*map(np.arange, mask.shape), indexing="ij"), -1) @ affine[:3, :3].T + affine[:3, 3]
    points = np.stack([mapping.transform(axis) for axis in np.moveaxis(centers, -1, 0)], -1)
    points[~seen] = np.nan
    brain = mask.astype(np.float64)
    overlap = tuple(_dice(moved.transform(brain) > 0.5, inside, seen) for moved in (by_affine, mapping))
    if overlap[1] < LEAST_OVERLAP:
        raise InputDataError(
            f"expected the brain to come to lie on the template's, found an overlap (Dice) of {overlap[1]:.2f}, less than "
            f"{LEAST_OVERLAP:g}; look at the image and where its affine places it, or choose --output-spaces native"
        )
    return Normalization(points, template_affine, linear, (overlap[0], overlap[1]))


def _dice(a: np.ndarray, b: np.ndarray, within: np.ndarray) -> float:
    a, b = a & within, b & within
    return 2 * int(np.count_nonzero(a & b)) / max(int(np.count_nonzero(a)) + int(np.count_nonzero(b)), 1)


@cache
def _template(resolution_mm: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give the template's T1-weighted image, its brain mask and the affine of both."""
    from nilearn.datasets import load_mni152_brain_mask, load_mni152_template

    image, mask = load_mni152_template(resolution=resolution_mm), load_mni152_brain_mask(resolution=resolution_mm)
    return np.asarray(image.dataobj, dtype=np.float64), np.asarray(mask.dataobj) > 0, image.affine
