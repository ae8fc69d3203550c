"""How the head moved, from the image itself."""

import numpy as np

from bids_eeg2fmri.bold.drift import drift_regressors, remove_drift
from bids_eeg2fmri.errors import InputDataError

# How far from the brain voxels are looked at: skull, scalp and eyes.
RIM_MM = 12.0
# What two halves of it have to agree on (Spearman-Brown), drift apart.
LEAST_RELIABILITY = 0.75
DRIFT_PERIOD_S = 128.0


def estimate_motion(data: np.ndarray, mask: np.ndarray, affine: np.ndarray, *, tr_s: float) -> np.ndarray:
    """Estimate rigid-body motion to first order, from what surrounds the brain.

    Every volume is explained by the spatial gradients of the mean image: the first step of a realignment, which suffices
    for the fractions of a voxel that are left in aligned series. Only voxels outside the brain count, and not the
    layer next to it: a baseline that is to be blind for the BOLD it predicts must not look at it, and activation would pass
    for motion. A change of overall intensity is told apart.

    A head is rigid: what four octants around the brain do not say as the other four is noise, or the breath, and is left
    out.

    Parameters
    ----------
    data : array of shape (x, y, z, volumes)
    mask : array of shape (x, y, z)
        The brain.
    affine : array of shape (4, 4)
    tr_s : float

    Returns
    -------
    array of shape (volumes, 6)
        Translation along x, y and z in mm, and rotation around them in rad, from the mean position, RAS; 0 throughout for
        those that can't be told.

    Raises
    ------
    InputDataError
        If nothing is there around the brain, or it tells of no motion.

    References
    ----------
    Friston, K. J. et al. (1995). Spatial registration and normalization of images. Human Brain Mapping 3, 165-189.
    Freire, L. & Mangin, J. F. (2001). Motion correction algorithms may create spurious brain activations in the absence of
    subject motion. NeuroImage 14, 709-722.
    """
    from scipy.ndimage import distance_transform_edt

    voxel_mm = np.linalg.norm(affine[:3, :3], axis=0)
    distance = distance_transform_edt(~mask, sampling=voxel_mm)
    layer = float(voxel_mm.max())
    rim = (distance > 1.01 * layer) & (distance <= 1.01 * layer + RIM_MM)
    mean = np.nan_to_num(data.mean(-1, dtype=np.float64))
    values = data[rim].astype(np.float64)
    useful = np.isfinite(values).all(1) & (np.ptp(values, axis=1) > 0)
    if np.count_nonzero(useful) < 100:
        raise InputDataError(
            f"expected an image of more than the brain, found {np.count_nonzero(useful)} voxels around it"
        )
    values = values[useful]

    # From change per voxel to change per mm of the world.
    gradient = np.stack(np.gradient(mean), -1)[rim][useful] @ np.linalg.inv(affine[:3, :3])
    position = np.argwhere(rim)[useful] @ affine[:3, :3].T + affine[:3, 3]
    position -= position.mean(0)
    level = values.mean(1)
    explain = np.column_stack([-gradient, -np.cross(position, gradient), level])
    change = values - level[:, None]
    octants = np.prod(np.where(position > 0, 1, -1), axis=1) > 0
    drift = drift_regressors(data.shape[-1], tr_s=tr_s, shortest_period_s=DRIFT_PERIOD_S)
    halves = [remove_drift(_solve(explain[half], change[half]), drift) for half in (octants, ~octants)]
    r = (halves[0] * halves[1]).sum(0) / np.maximum(np.prod([np.linalg.norm(h, axis=0) for h in halves], axis=0), 1e-30)
    told = 2 * r / (1 + np.maximum(r, 0)) >= LEAST_RELIABILITY
    if not told.any():
        raise InputDataError("what surrounds the brain tells of no motion")
    return np.where(told, _solve(explain, change), 0.0)


def _solve(explain: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Fit all volumes, (volumes, 6)."""
    size = np.linalg.norm(explain, axis=0)
    if len(explain) < explain.shape[1] or size.min() == 0:
        raise InputDataError("expected an image with edges all around the brain, found none")
    parameters, *_ = np.linalg.lstsq(explain / size, change, rcond=None)
    return (parameters.T / size)[:, :6]
