"""Bring the volumes of a series to where the first one was."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bids_eeg2fmri.errors import InputDataError

# Volumes are smoothed by this much, or by a little more than a voxel where voxels are larger: what moves has to stay smooth.
FWHM_MM, FWHM_VOXELS = 5.0, 1.2
# Points at which volumes are compared; more of them change a position by less than the noise does.
N_POINTS = 8_000
MOST_STEPS = 20
# A step below which the estimate stays as it is, in mm at the rim of a head.
PRECISION_MM = 0.01
# Rotations are told as what they move at this distance from the center of the head (Power et al. 2012).
RADIUS_MM = 50.0


@dataclass(frozen=True)
class Motion:
    """Where the head was.

    Attributes
    ----------
    matrices : array of shape (volumes, 4, 4)
        From where something lies in the first steady volume, in mm, RAS, to where it lies in each volume.
    center_mm : array of shape (3,)
        What rotations turn around.
    """

    matrices: np.ndarray
    center_mm: np.ndarray

    @property
    def parameters(self) -> np.ndarray:
        """Translation of the center along x, y and z in mm, and rotation vector in rad, (volumes, 6)."""
        from scipy.spatial.transform import Rotation

        turned = self.matrices[:, :3, :3]
        translation = turned @ self.center_mm + self.matrices[:, :3, 3] - self.center_mm
        return np.hstack([translation, Rotation.from_matrix(turned).as_rotvec()])

    @property
    def framewise_mm(self) -> np.ndarray:
        """Framewise displacement, (volumes,): absolute changes of all parameters, added up; 0 for the first volume.

        References
        ----------
        Power, J. D., Barnes, K. A., Snyder, A. Z., Schlaggar, B. L., & Petersen, S. E. (2012). Spurious but systematic
        correlations in functional connectivity MRI networks arise from subject motion. NeuroImage 59, 2142-2154.
        """
        change = np.abs(np.diff(self.parameters, axis=0, prepend=self.parameters[:1]))
        return change[:, :3].sum(1) + RADIUS_MM * change[:, 3:].sum(1)

    @property
    def farthest_mm(self) -> float:
        """How far the rim of the head was from where it had been at the start, at most."""
        size = np.abs(self.parameters)
        return float((np.linalg.norm(size[:, :3], axis=1) + RADIUS_MM * np.linalg.norm(size[:, 3:], axis=1)).max())


def estimate_position(data: np.ndarray, affine: np.ndarray, *, reference: int = 0) -> Motion:
    """Find where the head was in each volume, by least squares over its six degrees of freedom.

    Gauss-Newton steps on smoothed volumes: the gradients of the reference say what a small movement changes, and a change of
    overall intensity is told apart. Every volume is compared with the reference alone, so no volume has a say in how another
    one is moved.

    Own code, for registration libraries take seconds per volume by mutual information, which is made for images of different
    contrast; between volumes of one series least squares is more exact and far faster.

    Parameters
    ----------
    data : array of shape (x, y, z, volumes)
    affine : array of shape (4, 4)
        Voxel indices to mm, RAS.
    reference : int
        The volume that the others are compared with: the first one that is steady.

    Raises
    ------
    InputDataError
        If the image has no edges to go by.

    References
    ----------
    Friston, K. J. et al. (1995). Spatial registration and normalization of images. Human Brain Mapping 3, 165-189.
    """
    from scipy.ndimage import map_coordinates, spline_filter

    def smooth(volume: np.ndarray) -> np.ndarray:
        from scipy.ndimage import gaussian_filter

        return gaussian_filter(np.nan_to_num(volume).astype(np.float32), sigma, mode="nearest")

    voxel_mm = np.linalg.norm(affine[:3, :3], axis=0)
    sigma = max(FWHM_MM, FWHM_VOXELS * float(voxel_mm.max())) / np.sqrt(8 * np.log(2)) / voxel_mm
    to_voxels = np.linalg.inv(affine)
    fixed = smooth(data[..., reference])
    # The rim of the field of view leaves it when the head moves.
    inner = np.zeros(fixed.shape, bool)
    inner[tuple(slice(1, size - 1) if size > 4 else slice(None) for size in fixed.shape)] = True
    bright = np.argwhere((fixed > 0.2 * np.percentile(fixed, 98)) & inner)
    points = bright[:: max(1, len(bright) // N_POINTS)]
    at = tuple(points.T)
    gradient = np.stack([axis[at] for axis in np.gradient(fixed)], -1) @ to_voxels[:3, :3]
    position = points @ affine[:3, :3].T + affine[:3, 3]
    center = position.mean(0) if len(points) else np.zeros(3)
    explain = np.column_stack([gradient, np.cross(position - center, gradient), fixed[at]]).astype(np.float64)
    size = np.linalg.norm(explain, axis=0)
    if len(points) < 200 or size.min() <= 0 or np.linalg.matrix_rank(explain / size) < explain.shape[1]:
        raise InputDataError("expected an image with edges on all sides, found none; how the head moved can't be told")
    solve = np.linalg.pinv(explain / size) / size[:, None]
    matrices = np.empty((data.shape[-1], 4, 4))
    moved = np.eye(4)  # a head is close to where it was a volume ago
    for number in range(data.shape[-1]):
        volume = spline_filter(smooth(data[..., number]), order=3, output=np.float32)
        for _ in range(MOST_STEPS):
            voxels = to_voxels @ moved
            where = voxels[:3, :3] @ position.T + voxels[:3, 3:]
            seen = map_coordinates(volume, where, order=3, prefilter=False, mode="nearest")
            step = -(solve @ (seen - fixed[at]))[:6]
            moved = moved @ _rigid(step, center)
            if np.linalg.norm(step[:3]) + RADIUS_MM * np.linalg.norm(step[3:]) < PRECISION_MM:
                break
        matrices[number] = moved
    return Motion(matrices, center)


def resample_at(
    data: np.ndarray, affine: np.ndarray, points_mm: np.ndarray, motion: Motion | None = None
) -> Iterator[np.ndarray]:
    """Interpolate each volume once, by cubic splines, at points of the head.

    Parameters
    ----------
    data : array of shape (x, y, z, volumes)
    affine : array of shape (4, 4)
    points_mm : array of shape (points, 3)
        In the reference volume, RAS.
    motion : Motion, optional
        Where those points are in each volume.

    Yields
    ------
    array of shape (points,)
        Of each volume; values never fall outside those of the volume, as splines beside a sharp edge would.
    """
    from scipy.ndimage import map_coordinates, spline_filter

    to_voxels = np.linalg.inv(affine)
    for number in range(data.shape[-1]):
        voxels = to_voxels if motion is None else to_voxels @ motion.matrices[number]
        where = voxels[:3, :3] @ points_mm.T + voxels[:3, 3:]
        volume = np.nan_to_num(data[..., number]).astype(np.float32)
        values = map_coordinates(
            spline_filter(volume, order=3, output=np.float32), where, order=3, prefilter=False, mode="nearest"
        )
        yield np.clip(values, volume.min(), volume.max()).astype(np.float32)


def _rigid(parameters: np.ndarray, center: np.ndarray) -> np.ndarray:
    """Make the matrix of a translation in mm and a rotation vector in rad around a center."""
    from scipy.spatial.transform import Rotation

    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(parameters[3:]).as_matrix()
    matrix[:3, 3] = parameters[:3] + center - matrix[:3, :3] @ center
    return matrix
