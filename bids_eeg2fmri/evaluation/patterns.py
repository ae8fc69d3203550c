"""Agreement of patterns: over space at each volume, between regions, and over frequencies.

The last two do not ask when something happened, so a prediction that knows nothing of the EEG can have high values: they
mean something only beside the baselines. Nuisance is removed from both sides first.
"""

from collections.abc import Sequence

import numpy as np
from scipy.signal import welch

from bids_eeg2fmri.evaluation.metrics import Course, residual_maker

# What is left of a series that lies within the nuisance, as a share of its power: rounding errors of single precision.
_ROUNDING = 1e-12
# Of a spectrum's peak: below it, a smooth prediction has nothing but rounding errors and leakage.
_SPECTRAL_FLOOR = 1e-6
_VOXELS_AT_ONCE = 4096


def spatial_r(courses: Sequence[Course]) -> np.ndarray:
    """Correlate over voxels, volume by volume.

    Returns
    -------
    array of shape (volumes,)
        Of all runs, one after the other; 0 where either side is the same in all voxels.
    """
    return np.concatenate([_spatial_r(course) for course in courses])


def _spatial_r(course: Course) -> np.ndarray:
    n_volumes, n = course.measured.shape
    means, squares, product = np.zeros((2, n_volumes)), np.zeros((2, n_volumes)), np.zeros(n_volumes)
    # Some voxels at a time: in double precision, all at once would be large.
    for start in range(0, n, _VOXELS_AT_ONCE):
        sides = _residuals(course, slice(start, start + _VOXELS_AT_ONCE))
        means += [side.sum(1) / n for side in sides]
        squares += [(side**2).sum(1) / n for side in sides]
        product += (sides[0] * sides[1]).sum(1) / n
    raw = [np.einsum("ij,ij->", x, x, dtype=np.float64) / x.size for x in (course.measured, course.predicted)]
    variances = squares - means**2
    variances[variances <= _ROUNDING * np.array(raw)[:, None]] = 0
    return _ratio(product - means[0] * means[1], np.sqrt(variances[0] * variances[1]))


def connectivity_agreement(courses: Sequence[Course]) -> float:
    """Correlate functional connectivity, predicted with measured, over pairs of regions.

    Connectivity is Fisher's z of the correlation between two regions' courses over the volumes of all runs, each run
    standardized by itself. A model of few components makes all regions alike or opposite; how they pair up is then all
    that it can get right.

    Parameters
    ----------
    courses : sequence of Course
        Of regions.

    Returns
    -------
    float
        NaN if fewer than three regions change on both sides, or all pairs are equally connected on one side.
    """
    sides = [np.concatenate(runs) for runs in zip(*(_standardized(course) for course in courses), strict=True)]
    changing = np.all([side.any(0) for side in sides], axis=0)
    if changing.sum() < 3:
        return float("nan")
    pairs = np.triu_indices(int(changing.sum()), 1)
    z = []
    for side in sides:
        r = np.corrcoef(side[:, changing], rowvar=False)[pairs]
        z.append(np.arctanh(np.clip(r, -1 + 1e-7, 1 - 1e-7)))  # identical courses would be infinitely connected
    return _correlate(*z, undefined=float("nan"))


def _standardized(course: Course) -> list[np.ndarray]:
    return [_ratio(side - side.mean(0), side.std(0)) for side in _residuals(course, slice(None))]


def spectral_agreement(courses: Sequence[Course], tr_s: float, *, segment_s: float = 100.0) -> float:
    """Correlate the logarithm of power spectra over frequencies, region by region, and average.

    Welch's spectra of the residuals: Hann window, segments of ``segment_s`` (or of the shortest run, if that is
    shorter) that overlap by half, mean over segments and runs, without the frequency 0; powers below 1e-6 of a
    spectrum's peak count as that. A number between -1 and 1, blind to amplitude and to timing.

    It tells whether a prediction is as slow or as fast as the measurement, which r over time and the amplitude do not:
    smoothed too much, or full of fast noise. It can't tell that anything was predicted: BOLD falls off with frequency
    everywhere, and the filter that removes drift has left the same gap on both sides, so whatever is about as
    smooth, shifted or made up, agrees as well. Hence only the difference from the baselines counts.

    Parameters
    ----------
    courses : sequence of Course
        Of regions.
    tr_s : float

    Returns
    -------
    float
        A region whose prediction does not change counts as 0; regions whose measurement does not change are left out.
        NaN if there is no other, or if runs are shorter than 8 volumes.

    References
    ----------
    Welch, P. (1967). The use of fast Fourier transform for the estimation of power spectra. IEEE Transactions on Audio
    and Electroacoustics 15, 70-73.
    """
    n = min([round(segment_s / tr_s), *(len(course.measured) for course in courses)])
    if n < 8:
        return float("nan")
    spectra = np.zeros((2, n // 2, courses[0].measured.shape[1]))
    for course in courses:
        for spectrum, side in zip(spectra, _residuals(course, slice(None)), strict=True):
            spectrum += len(side) * welch(side, fs=1 / tr_s, nperseg=n, detrend=False, axis=0)[1][1:]
    measured, predicted = (
        np.log(np.maximum(spectrum, np.maximum(_SPECTRAL_FLOOR * spectrum.max(0), np.finfo(float).tiny)))
        for spectrum in spectra
    )
    found = [_correlate(x, y, undefined=0.0) for x, y in zip(measured.T, predicted.T, strict=True) if np.ptp(x) > 0]
    return float(np.mean(found)) if found else float("nan")


def without_global(courses: Sequence[Course]) -> list[Course]:
    """Regress the mean over voxels out of both sides, each its own, run by run.

    What is left says whether a model knows more than how the whole brain goes up and down, which breathing, heart rate
    and arousal do to all voxels at once.

    Parameters
    ----------
    courses : sequence of Course
        Of voxels.
    """
    return [
        Course(
            _without_mean(course.measured, course.nuisance),
            _without_mean(course.predicted, course.nuisance),
            course.nuisance,
        )
        for course in courses
    ]


def _without_mean(table: np.ndarray, nuisance: np.ndarray) -> np.ndarray:
    q = residual_maker(nuisance)
    raw = table.mean(1, dtype=np.float64)
    signal = raw - q @ (q.T @ raw)
    if signal @ signal <= _ROUNDING * (raw @ raw):
        return table
    # Being free of nuisance, the signal has the same slope on the table as on the table's residuals.
    signal = signal.astype(table.dtype)
    return table - np.outer(signal, signal @ table / (signal @ signal))


def _residuals(course: Course, columns: slice) -> list[np.ndarray]:
    """Measured and predicted without nuisance; exactly 0 where nothing else is in them."""
    q = residual_maker(course.nuisance)
    residuals = []
    for side in (course.measured, course.predicted):
        raw = side[:, columns].astype(np.float64)
        residual = raw - q @ (q.T @ raw)
        residual[:, (residual**2).sum(0) <= _ROUNDING * (raw**2).sum(0)] = 0
        residuals.append(residual)
    return residuals


def _correlate(x: np.ndarray, y: np.ndarray, *, undefined: float) -> float:
    if any(np.ptp(values) <= 1e-9 * np.abs(values).max() for values in (x, y)):
        return undefined
    return float(np.corrcoef(x, y)[0, 1])


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    shape = np.broadcast_shapes(numerator.shape, denominator.shape)
    return np.divide(numerator, denominator, out=np.zeros(shape), where=denominator > 0)
