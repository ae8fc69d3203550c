"""What a simulated brain looks like to the scanner: its own shape, its movements, its first volumes."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Shape:
    """How a participant's brain differs from the template.

    Attributes
    ----------
    points_mm : array of shape (x, y, z, 3)
        Where each voxel of the participant's image lies in the template, RAS.
    """

    points_mm: np.ndarray


def draw_shape(shape: tuple[int, int, int], affine: np.ndarray, *, size_mm: float, rng: np.random.Generator) -> Shape:
    """Draw a head that lies, is sized and is folded differently.

    Parameters
    ----------
    size_mm : float
        Standard deviation, along each axis, of what is left when position (up to 6 mm), rotation (up to 6 degrees) and size (up to
        8 percent) are accounted for.
    """
    from scipy.ndimage import gaussian_filter
    from scipy.spatial.transform import Rotation

    points = _positions(shape, affine)
    turned = Rotation.from_euler("xyz", rng.uniform(-6, 6, 3), degrees=True).as_matrix()
    linear = turned @ np.diag(1 + rng.uniform(-0.08, 0.08, 3))
    voxel_mm = np.linalg.norm(affine[:3, :3], axis=0)
    folds = np.stack([gaussian_filter(rng.standard_normal(shape), 20 / voxel_mm) for _ in range(3)], -1)
    folds *= size_mm / folds.reshape(-1, 3).std(0)
    return Shape(points @ linear.T + rng.uniform(-6, 6, 3) + folds)


def draw_motion(n_volumes: int, *, size_mm: float, rng: np.random.Generator) -> np.ndarray:
    """Draw six parameters of motion, (volumes, 6), in mm and rad around the center: the head sinks, sways, and nods at times.

    Translation along z ends about ``size_mm`` away from where it was.
    """
    steps = rng.standard_normal((n_volumes, 6)) * [0.3, 0.3, 0.5, 0.008, 0.004, 0.004]
    walk = np.cumsum(steps, axis=0) / np.sqrt(n_volumes)
    walk[:, 2] -= np.linspace(0, 1, n_volumes)
    nods = np.zeros(n_volumes)
    for at in rng.choice(np.arange(5, n_volumes), max(1, n_volumes // 60), replace=False):
        nods[at:] += rng.normal(0, 0.4) * np.exp(-np.arange(n_volumes - at) / 3.0)
    walk[:, 3] += 0.01 * nods
    walk[:, 2] += nods
    return size_mm * (walk - walk[0])


def as_scanned(
    bold: np.ndarray, affine: np.ndarray, shape: Shape | None = None, motion: np.ndarray | None = None
) -> np.ndarray:
    """Interpolate a series of the template's brain where a participant has it, volume by volume.

    Parameters
    ----------
    bold : array of shape (x, y, z, volumes)
    affine : array of shape (4, 4)
    shape : Shape, optional
        None leaves the brain as the template has it.
    motion : array of shape (volumes, 6), optional
        Translation in mm and rotation in rad around the center of the image.
    """
    from scipy.ndimage import map_coordinates
    from scipy.spatial.transform import Rotation

    to_voxels = np.linalg.inv(affine)
    still = _positions(bold.shape[:3], affine)
    center = still.reshape(-1, 3).mean(0)
    scanned = np.empty_like(bold)
    for volume in range(bold.shape[-1]):
        points = still
        if motion is not None:
            # What lies at a place now has come there from where the movement is undone.
            turned = Rotation.from_rotvec(motion[volume, 3:]).as_matrix()
            points = (still - center - motion[volume, :3]) @ turned + center
        if shape is not None:
            voxels = points @ to_voxels[:3, :3].T + to_voxels[:3, 3]
            points = np.stack(
                [_interpolated(axis, voxels, order=1) for axis in np.moveaxis(shape.points_mm, -1, 0)], -1
            )
        voxels = points @ to_voxels[:3, :3].T + to_voxels[:3, 3]
        scanned[..., volume] = map_coordinates(bold[..., volume], np.moveaxis(voxels, -1, 0), order=3, mode="nearest")
    return scanned


def brighten_first(bold: np.ndarray, n_volumes: int) -> np.ndarray:
    """Make the first volumes brighter, as they are before the magnetization is steady; in place."""
    bold[..., :n_volumes] *= 1 + 0.4 * np.exp(-1.1 * np.arange(n_volumes, dtype=bold.dtype))
    return bold


def _interpolated(values: np.ndarray, voxels: np.ndarray, order: int) -> np.ndarray:
    from scipy.ndimage import map_coordinates

    return map_coordinates(values, np.moveaxis(voxels, -1, 0), order=order, mode="nearest")


def _positions(shape: tuple[int, ...], affine: np.ndarray) -> np.ndarray:
    """Centers of all voxels, (x, y, z, 3), RAS in mm."""
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    return grid @ affine[:3, :3].T + affine[:3, 3]
