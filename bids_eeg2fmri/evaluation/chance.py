"""How good a prediction is that has nothing to do with the measurement, and how much better the real one is."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bids_eeg2fmri.evaluation.metrics import residual_maker

# Draws that tell how r of a voxel scatters; only its standard deviation is estimated.
VOXEL_DRAWS = 100


@dataclass(frozen=True)
class Forecast:
    """What models say of a run, in a form that can be set against any other time of it.

    A held-out block is predicted by a model of its own. Null predictions of a block have to come from the same model: what the
    model of one block says would otherwise meet, in another block, the very volumes that it was trained on.

    Attributes
    ----------
    measured : array of shape (volumes, voxels)
        Percent signal change of the volumes that are judged, in order.
    nuisance : array of shape (volumes, regressors)
        What neither side is judged by, see :class:`~bids_eeg2fmri.evaluation.metrics.Course`.
    model : array of int, shape (volumes,)
        Which model predicts each volume.
    coefficients : array of shape (models, volumes, components)
        What each model says of every volume.
    bases : array of shape (models, components, voxels)
        The prediction of a model is its coefficients times its basis.
    """

    measured: np.ndarray
    nuisance: np.ndarray
    model: np.ndarray
    coefficients: np.ndarray
    bases: np.ndarray

    @property
    def n_volumes(self) -> int:
        return len(self.measured)

    @property
    def real(self) -> np.ndarray:
        """What is said of each volume by the model that predicts it, (volumes, components)."""
        return self.coefficients[self.model, np.arange(self.n_volumes)]

    @classmethod
    def of(cls, measured: np.ndarray, predicted: np.ndarray, nuisance: np.ndarray) -> "Forecast":
        """Make it of a prediction (volumes, voxels) by one model that has not seen the run."""
        # The volumes are far fewer than the voxels: their scatter matrix is small.
        scatter = (predicted @ predicted.T).astype(np.float64)
        values, vectors = np.linalg.eigh(scatter)
        kept = values > 1e-10 * max(float(values[-1]), 1e-30)
        if not kept.any():
            kept[-1] = True
        basis = (vectors[:, kept].T @ predicted).astype(np.float32)
        model = np.zeros(len(measured), dtype=int)
        return cls(measured, nuisance, model, vectors[None, :, kept].astype(np.float32), basis[None])


@dataclass(frozen=True)
class Chance:
    """A null distribution and where the real prediction lies in it.

    Attributes
    ----------
    pooled_r : float
        Of the real prediction, over all voxels and volumes at once.
    null_pooled_r : array of shape (draws,)
    p : float
        Share of draws at least as good, the real one counted among them.
    region_p : array of shape (regions,)
        Against the largest r of any region in each draw: corrected for their number.
    voxel_p : array of shape (voxels,) or None
        Not corrected: by the scatter of the voxel's own r over draws, by Student's distribution, see :func:`share_significant`.
    """

    pooled_r: float
    null_pooled_r: np.ndarray
    p: float
    region_p: np.ndarray
    voxel_p: np.ndarray | None = None


def compare_with(
    forecasts: Sequence[Forecast],
    draws: Iterable[Sequence[np.ndarray]],
    *,
    labels: np.ndarray,
    independent_draws: float | None = None,
) -> Chance:
    """Compare the real prediction with others that can't know the measurement.

    Parameters
    ----------
    forecasts : sequence of Forecast
        One per run.
    draws : iterable of sequences of arrays of shape (volumes, components)
        One array per run: what the model of each volume says in this draw; see :func:`shifted` and :func:`exchanged`.
    labels : array of int, shape (voxels,)
        Region of each voxel.
    independent_draws : float or None
        To tell p of each voxel too: how many draws have nothing to do with each other; shifts by less than the width of a
        hemodynamic response do. So many degrees of freedom has the scatter of r.

    References
    ----------
    Phipson, B. & Smyth, G. K. (2010). Permutation P-values should never be zero. Stat. Appl. Genet. Mol. Biol. 9, 39.
    Nichols, T. E. & Holmes, A. P. (2002). Nonparametric permutation tests for functional neuroimaging. Hum. Brain Mapp. 15, 1-25.
    """
    kernels = [_Kernel.of(forecast, labels) for forecast in forecasts]
    real = [forecast.real for forecast in forecasts]
    pooled_r, regions_r = _score(kernels, real)
    null, largest, voxel_z = [], [], []
    for number, draw in enumerate(draws):
        r, by_region = _score(kernels, draw)
        null.append(r)
        largest.append(by_region.max())
        if independent_draws is not None and number < VOXEL_DRAWS:
            voxel_z.append(np.arctanh(_voxel_r(forecasts, kernels, draw)))
    if not null:
        raise ValueError("there is nothing to compare with: no draws")
    voxel_p = None
    if independent_draws is not None:
        from scipy.stats import t

        # Around 0, which is where r of a voxel is without a link: a short run has too few shifts to tell its mean from them.
        spread = np.sqrt(np.mean(np.square(voxel_z), axis=0))
        z = np.arctanh(_voxel_r(forecasts, kernels, real))
        voxel_p = np.where(spread > 0, t.sf(z / np.where(spread > 0, spread, 1), independent_draws), 1.0)
    null_r = np.array(null)
    return Chance(
        pooled_r=pooled_r,
        null_pooled_r=null_r,
        p=float((1 + np.sum(null_r >= pooled_r)) / (1 + len(null_r))),
        region_p=(1 + np.sum(np.array(largest)[:, None] >= regions_r, axis=0)) / (1 + len(null_r)),
        voxel_p=voxel_p,
    )


def shifted(
    forecasts: Sequence[Forecast], *, shortest: Sequence[int], n_draws: int, seed: int
) -> Iterator[list[np.ndarray]]:
    """Let the models see the EEG of another time of the run: circular shifts, each run by its own amount.

    A shift keeps everything of a prediction (its spectrum, its autocorrelation, its pattern over the brain) but its timing.

    Parameters
    ----------
    shortest : sequence of int
        Per run, volumes of the shortest shift in either direction.
    n_draws : int
        At most; a single short run has fewer different shifts, and then each is used once.

    Raises
    ------
    ValueError
        If a run is too short for any shift.
    """
    choices = [np.arange(least, f.n_volumes - least + 1) for f, least in zip(forecasts, shortest, strict=True)]
    if any(not len(choice) for choice in choices):
        raise ValueError("a run is too short to shift")
    rng = np.random.default_rng(seed)
    if np.prod([float(len(choice)) for choice in choices]) <= n_draws:
        draws = np.stack([grid.ravel() for grid in np.meshgrid(*choices, indexing="ij")], 1)
        draws = rng.permutation(draws)  # the first ones serve for the voxels
    else:
        draws = np.stack([rng.choice(choice, n_draws) for choice in choices], 1)
    for shifts in draws:
        yield [_taken(f, f.coefficients, shift) for f, shift in zip(forecasts, shifts, strict=True)]


def exchanged(
    forecasts: Sequence[Forecast], of_others: Sequence[Sequence[np.ndarray]], *, n_draws: int, seed: int
) -> Iterator[list[np.ndarray]]:
    """Let the models see the EEG of another run or participant, at any offset in time.

    Parameters
    ----------
    of_others : sequence of sequences of arrays of shape (models, volumes, components)
        Per run, what its models say of recordings of other times or people; one of them is drawn for each draw.

    Raises
    ------
    ValueError
        If there is a run without others.
    """
    if not all(of_others):
        raise ValueError("expected for each run another one to take the EEG of, found none")
    rng = np.random.default_rng(seed)
    for _ in range(n_draws):
        chosen = [others[int(rng.integers(len(others)))] for others in of_others]
        yield [_taken(f, other, int(rng.integers(other.shape[1]))) for f, other in zip(forecasts, chosen, strict=True)]


def randomize_phases(values: np.ndarray, *, seed: int | Sequence[int]) -> np.ndarray:
    """Give each frequency of a series a random phase, the same for all columns.

    Power spectrum of each column and cross-spectra between them stay, timing is lost.

    Parameters
    ----------
    values : array of shape (time, ...)

    References
    ----------
    Prichard, D. & Theiler, J. (1994). Generating surrogate data for time series with several simultaneously measured variables.
    Phys. Rev. Lett. 73, 951-954.
    """
    n = len(values)
    turned = np.fft.rfft(values, axis=0)
    phases = np.random.default_rng(seed).uniform(0, 2 * np.pi, len(turned))
    phases[0] = 0.0  # the mean stays
    if n % 2 == 0:
        phases[-1] = 0.0  # real by nature
    turned *= np.exp(1j * phases).reshape(-1, *[1] * (values.ndim - 1)).astype(turned.dtype)
    return np.fft.irfft(turned, n, axis=0).astype(values.dtype)


def share_significant(p: np.ndarray, *, q: float = 0.05) -> float:
    """Give the share of voxels that stay when false discoveries are held to ``q`` of them.

    References
    ----------
    Benjamini, Y. & Hochberg, Y. (1995). Controlling the false discovery rate. J. R. Stat. Soc. B 57, 289-300.
    """
    from scipy.stats import false_discovery_control

    return float(np.mean(false_discovery_control(p) < q))


def _taken(forecast: Forecast, coefficients: np.ndarray, shift: int) -> np.ndarray:
    """What each volume's model says of the volume ``shift`` before it, beyond the start of the run from its end."""
    rows = (np.arange(forecast.n_volumes) - shift) % coefficients.shape[1]
    return coefficients[forecast.model, rows]


@dataclass(frozen=True)
class _Kernel:
    """What a draw needs of a run: sums over voxels are done once, so a draw costs what its coefficients do."""

    rows: list[np.ndarray]  # volumes of each model
    q: np.ndarray
    projected: list[np.ndarray]  # per model, measured residual times basis, (its volumes, components)
    gram: np.ndarray  # (models x components, models x components) of the bases
    of_measured: float
    residual: np.ndarray  # (volumes, voxels)
    regional_bases: list[np.ndarray]  # (components, regions)
    regional: np.ndarray  # measured residual, (volumes, regions)

    @classmethod
    def of(cls, forecast: Forecast, labels: np.ndarray) -> "_Kernel":
        q = residual_maker(forecast.nuisance)
        q32 = q.astype(np.float32)
        residual = forecast.measured - q32 @ (q32.T @ forecast.measured)
        n_models, n_components, n_voxels = forecast.bases.shape
        rows = [np.flatnonzero(forecast.model == model) for model in range(n_models)]
        flat = forecast.bases.reshape(-1, n_voxels)
        # Means of regions as a product with a sparse table of shares.
        from scipy.sparse import csr_array

        count = np.bincount(labels)
        shares = csr_array((1.0 / count[labels], (np.arange(n_voxels), labels)), shape=(n_voxels, len(count)))
        return cls(
            rows,
            q,
            [(residual[which] @ basis.T).astype(np.float64) for which, basis in zip(rows, forecast.bases, strict=True)],
            (flat @ flat.T).astype(np.float64),
            float(np.einsum("ij,ij->", residual, residual, dtype=np.float64)),
            residual,
            list((flat @ shares).reshape(n_models, n_components, -1)),
            residual.astype(np.float64) @ shares,
        )

    def nuisance_part(self, draw: np.ndarray) -> np.ndarray:
        """Coefficients of the nuisance in a prediction, (regressors, models x components)."""
        return np.hstack([self.q[which].T @ draw[which] for which in self.rows])


def _score(kernels: Sequence[_Kernel], draw: Sequence[np.ndarray]) -> tuple[float, np.ndarray]:
    """Give pooled r and r of each region."""
    product = of_predicted = of_measured = 0.0
    by_region = np.zeros((3, kernels[0].regional.shape[1]))
    for k, coefficients in zip(kernels, draw, strict=True):
        said = coefficients.astype(np.float64)
        size = said.shape[1]
        regional = np.zeros_like(k.regional)
        for model, which in enumerate(k.rows):
            block = slice(model * size, (model + 1) * size)
            product += float(np.sum(k.projected[model] * said[which]))
            of_predicted += float(np.sum((said[which] @ k.gram[block, block]) * said[which]))
            regional[which] = said[which] @ k.regional_bases[model]
        out = k.nuisance_part(said)
        of_predicted -= float(np.sum((out @ k.gram) * out))
        of_measured += k.of_measured
        regional -= k.q @ (k.q.T @ regional)
        by_region += [(regional * k.regional).sum(0), (regional**2).sum(0), (k.regional**2).sum(0)]
    denominator = np.sqrt(max(of_predicted, 0) * of_measured)
    r = product / denominator if of_predicted > 1e-10 * of_measured else 0.0
    regional_denominator = np.sqrt(by_region[1] * by_region[2])
    flat = by_region[1] <= 1e-10 * by_region[2]
    return float(r), np.where(flat, 0, by_region[0] / np.where(regional_denominator > 0, regional_denominator, 1))


def _voxel_r(forecasts: Sequence[Forecast], kernels: Sequence[_Kernel], draw: Sequence[np.ndarray]) -> np.ndarray:
    """Give r of each voxel, (voxels,), within the open interval from -1 to 1."""
    n_voxels = forecasts[0].measured.shape[1]
    product, of_predicted, of_measured = (np.zeros(n_voxels) for _ in range(3))
    for f, k, coefficients in zip(forecasts, kernels, draw, strict=True):
        said = coefficients.astype(np.float32)
        for model, which in enumerate(k.rows):
            basis = f.bases[model]
            product += np.einsum("cv,cv->v", said[which].T @ k.residual[which], basis)
            of_predicted += np.einsum("cv,cv->v", (said[which].T @ said[which]) @ basis, basis)
        out = k.nuisance_part(said).astype(np.float32) @ f.bases.reshape(-1, n_voxels)
        of_predicted -= np.einsum("rv,rv->v", out, out)
        of_measured += np.einsum("tv,tv->v", k.residual, k.residual)
    changes = (of_predicted > 1e-9 * of_measured) & (of_measured > 0)
    denominator = np.sqrt(np.where(changes, of_predicted * of_measured, 1))
    return np.where(changes, np.clip(product / denominator, -0.999999, 0.999999), 0)
