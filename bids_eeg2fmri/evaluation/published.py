"""Metrics of other papers, as they define them: whole volumes, so anatomy decides. Never to be shown without a mean image.

Both papers say no more than "SSIM"; what they leave open is taken from the libraries that their published code calls.
Common to both: 2-D windows of 11 x 11, Gaussian of sigma 1.5 that is cut off there and normalized, moments by these
weights (no N / (N - 1)), K1 = 0.01, K2 = 0.03. They differ at the rim of a slice, see each function.

References
----------
Wang, Z. et al. (2004). Image quality assessment: from error visibility to structural similarity. IEEE Transactions on
Image Processing 13, 600-612.
"""

from collections.abc import Callable

import numpy as np

_RADIUS = 5
_GAUSSIAN = np.exp(-0.5 * (np.arange(-_RADIUS, _RADIUS + 1) / 1.5) ** 2)
_GAUSSIAN /= _GAUSSIAN.sum()
_K1, _K2 = 0.01, 0.03


def calhas2022(measured: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Give RMSE, MAE and SSIM, means over volumes, in units of the recording's standard deviation.

    Each recording is z-scored by one mean and one standard deviation over all its voxels and volumes. SSIM is that of
    every third axial slice from the first one on, n // 3 slices of n, each with the larger maximum of the two slices as
    its dynamic range.

    Ambiguous, and chosen: only windows that lie inside the slice count, as in tf.image.ssim of the original (and in
    scikit-image with ``gaussian_weights=True, sigma=1.5, use_sample_covariance=False``). The original's network gave
    z-scores and its output was not z-scored again; here both images are, each by its own numbers, because a prediction
    may come in any unit. The original's code can also z-score each volume by itself; that is not done. The maximum of a
    slice of z-scores may be negative; only the square of the range counts.

    Parameters
    ----------
    measured, predicted : arrays of shape (x, y, z, volumes)
        Whole volumes, background included. A constant one becomes 0.

    Returns
    -------
    dict of str to float
        ``RMSE``, ``MAE``, ``SSIM``; SSIM is NaN if a slice is smaller than 11 x 11.

    References
    ----------
    Calhas, D. & Henriques, R. (2022). EEG to fMRI Synthesis Benefits from Attentional Graphs of Electrode
    Relationships. arXiv 2203.03481.
    """
    _check(measured, predicted)
    standards = [_mean_and_sd(image) for image in (measured, predicted)]
    n_slices = measured.shape[2]
    thirds = np.arange(max(1, n_slices // 3)) * 3
    values = np.empty((measured.shape[3], 3))
    for i in range(measured.shape[3]):
        x, y = (
            (image[..., i].astype(np.float64) - mean) / sd
            for image, (mean, sd) in zip((measured, predicted), standards, strict=True)
        )
        rmse, mae = np.sqrt(np.mean((x - y) ** 2)), np.mean(np.abs(x - y))
        x, y = x[..., thirds], y[..., thirds]
        value_range = np.maximum(x.max((0, 1)), y.max((0, 1)))
        values[i] = rmse, mae, _ssim(x, y, value_range, _windows_inside)
    return dict(zip(("RMSE", "MAE", "SSIM"), values.mean(0).tolist(), strict=True))


def e2fnet2025(measured: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Give SSIM, PSNR and RMSE, means over volumes, each volume scaled to [0, 1] by its own minimum and maximum.

    SSIM is that of all slices, as channels of one picture, with the dynamic range 1; PSNR is 10 log10(1 / mean squared
    error).

    Ambiguous, and chosen: a window around every voxel counts, slices are padded by reflection, as in torchmetrics since
    1.4.2 (the original asks for 1.4.3; before, the padded rim was cut off again). The original's network ended in a
    sigmoid and its output was not scaled again; here both images are, because a prediction may come in any unit. Means
    are over volumes, as of the original's batches of one, not of the error over all of them; the range of PSNR, left to
    the library there, is 1 for volumes that reach from 0 to 1.

    Parameters
    ----------
    measured, predicted : arrays of shape (x, y, z, volumes)
        Whole volumes, background included. A constant one becomes 0.

    Returns
    -------
    dict of str to float
        ``SSIM``, ``PSNR``, ``RMSE``; PSNR is infinite if a volume is predicted without any error, SSIM is NaN if a
        slice is smaller than 6 x 6.

    References
    ----------
    Roos, K., Fukuda, A. & Cap, Q. H. (2025). From Brainwaves to Brain Scans: A Robust Neural Network for EEG-to-fMRI
    Synthesis. arXiv 2502.08025; the authors' code: https://github.com/kgr20/E2fNet.
    """
    _check(measured, predicted)
    values = np.empty((measured.shape[3], 3))
    for i in range(measured.shape[3]):
        x, y = (_scale(image[..., i]) for image in (measured, predicted))
        mse = np.mean((x - y) ** 2)
        psnr = -10 * np.log10(mse) if mse > 0 else np.inf
        values[i] = _ssim(x, y, np.ones(x.shape[2]), _windows_everywhere), psnr, np.sqrt(mse)
    return dict(zip(("SSIM", "PSNR", "RMSE"), values.mean(0).tolist(), strict=True))


def _check(measured: np.ndarray, predicted: np.ndarray) -> None:
    if measured.shape != predicted.shape or measured.ndim != 4:
        raise ValueError(
            f"expected two images of the same shape (x, y, z, volumes), found {measured.shape} and {predicted.shape}"
        )


def _mean_and_sd(image: np.ndarray) -> tuple[float, float]:
    """Of all voxels and volumes; volume by volume, so that no copy of the whole is needed."""
    if image.min() == image.max():  # its standard deviation would be a rounding error
        return float(image.min()), 1.0
    mean = float(image.mean(dtype=np.float64))
    squares = [np.mean((image[..., i].astype(np.float64) - mean) ** 2) for i in range(image.shape[3])]
    return mean, float(np.sqrt(np.mean(squares)))


def _scale(volume: np.ndarray) -> np.ndarray:
    volume = volume.astype(np.float64)
    span = np.ptp(volume)
    return (volume - volume.min()) / (span if span > 0 else 1)


def _ssim(x: np.ndarray, y: np.ndarray, value_range: np.ndarray, windows: Callable[[int], np.ndarray]) -> float:
    """Average over windows and slices; x, y of shape (x, y, slices)."""
    # Two matrix products are faster than a separable filter.
    rows, columns = windows(x.shape[0]), windows(x.shape[1])
    if not rows.size or not columns.size:
        return float("nan")
    x, y = (np.ascontiguousarray(np.moveaxis(image, 2, 0)) for image in (x, y))
    mean_x, mean_y, power, product = (rows @ image @ columns.T for image in (x, y, x**2 + y**2, x * y))
    c1, c2 = (((k * value_range) ** 2)[:, None, None] for k in (_K1, _K2))
    products, squares = mean_x * mean_y, mean_x**2 + mean_y**2
    # A window without variance can come out a rounding error below 0.
    variances = np.maximum(power - squares, 0)
    luminance = _ratio(2 * products + c1, squares + c1)
    structure = _ratio(2 * (product - products) + c2, variances + c2)
    return float(np.mean(luminance * structure))


def _windows_inside(n: int) -> np.ndarray:
    """Weights of the windows that fit into n voxels, (windows, n); none if n is too small."""
    return _windows_everywhere(n)[_RADIUS : n - _RADIUS] if n > 2 * _RADIUS else np.empty((0, n))


def _windows_everywhere(n: int) -> np.ndarray:
    """Weights of the window around each of n voxels, reflected at the edges; none if n is too small to reflect."""
    if n <= _RADIUS:
        return np.empty((0, n))
    voxel = np.abs(np.arange(n)[:, None] + np.arange(-_RADIUS, _RADIUS + 1))
    voxel = np.where(voxel < n, voxel, 2 * (n - 1) - voxel)
    weights = np.zeros((n, n))
    np.add.at(weights, (np.arange(n)[:, None], voxel), _GAUSSIAN)
    return weights


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """1 where both are 0: without a range, two empty windows are the same."""
    return np.divide(numerator, denominator, out=np.ones_like(denominator), where=denominator > 0)
