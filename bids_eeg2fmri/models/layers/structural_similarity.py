"""Say how alike images are, place by place."""

import numpy as np
from keras import ops


def structural_similarity(truth, said, *, window: int = 7, spread: float = 1.0):
    """Average the structural similarity of images over places and slices: 1 where they differ by a constant, -1 where by sign.

    Contrast and structure are compared, but not the level, which is a factor of the published index: of images of changes,
    which have either sign, an image and its negative would differ in both factors' signs and be called alike.

    Parameters
    ----------
    truth, said : tensors of shape (batch, x, y, slices)
    window : int
        Pixels along x and y that means and variances are taken over; fewer where the image is smaller.
    spread : float
        Of values in an image; variances well below the square of 3 % of it count as none.

    References
    ----------
    Wang, Z., Bovik, A. C., Sheikh, H. R., & Simoncelli, E. P. (2004). Image quality assessment: from error visibility to
    structural similarity. IEEE Transactions on Image Processing 13, 600-612.
    """
    _, n_x, n_y, _ = truth.shape
    over_x, over_y = (ops.convert_to_tensor(_windows(n, window), dtype=said.dtype) for n in (n_x, n_y))

    def mean(image):
        return ops.einsum("ax,by,nxyz->nabz", over_x, over_y, image)

    mean_t, mean_s = mean(truth), mean(said)
    variance_t = mean(ops.square(truth)) - ops.square(mean_t)
    variance_s = mean(ops.square(said)) - ops.square(mean_s)
    covariance = mean(truth * said) - mean_t * mean_s
    constant = (0.03 * spread) ** 2
    return ops.mean((2 * covariance + constant) / (variance_t + variance_s + constant))


def _windows(length: int, window: int) -> np.ndarray:
    """Average over each window that lies within an axis, (places, length)."""
    window = min(window, length)
    return np.stack([np.eye(length)[first : first + window].mean(0) for first in range(length - window + 1)])
